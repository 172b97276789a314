//! Numbers with fewer digits than `DynamoDB` keeps.

use serde_json::Value;

/// Rounds every number of a `DynamoDB` reply to `digits` significant digits, half to even: what a
/// store does that calculates with fewer than the 38 digits of `DynamoDB`.
pub fn keep_digits(reply: &mut Value, digits: usize) {
    match reply {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(number) if name == "N" => *number = rounded(number, digits),
                    Value::Array(numbers) if name == "NS" => {
                        for number in numbers.iter_mut() {
                            if let Value::String(number) = number {
                                *number = rounded(number, digits);
                            }
                        }
                    }
                    other => keep_digits(other, digits),
                }
            }
        }
        Value::Array(members) => {
            members.iter_mut().for_each(|member| keep_digits(member, digits));
        }
        _ => {}
    }
}

/// `DynamoDB` writes numbers without an exponent; another form stays as it is.
fn rounded(number: &str, digits: usize) -> String {
    let (sign, magnitude) = number.split_at(usize::from(number.starts_with('-')));
    let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, ""));
    let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    let zeros = all.iter().take_while(|digit| **digit == b'0').count();
    let kept = zeros.saturating_add(digits);
    if kept >= all.len() || digits == 0 || !all.iter().all(u8::is_ascii_digit) {
        return number.to_owned();
    }
    let (head, tail) = all.split_at(kept);
    let mut head = head.to_vec();
    let half = tail.first().copied().unwrap_or(b'0').cmp(&b'5');
    let is_exact_half = tail.iter().skip(1).all(|digit| *digit == b'0');
    let is_odd = head.last().is_some_and(|digit| digit % 2 == 1);
    if half.is_gt() || (half.is_eq() && (!is_exact_half || is_odd)) {
        add_one(&mut head);
    }
    // A carry may have made the head one digit longer.
    let point = whole.len().saturating_add(head.len()).saturating_sub(kept);
    head.resize(head.len().max(point), b'0');
    let text = |digits: &[u8]| digits.iter().map(|digit| char::from(*digit)).collect::<String>();
    let (whole, fraction) = head.split_at(point);
    let fraction = text(fraction);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{fraction}", text(whole))
}

fn add_one(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        if *digit < b'9' {
            *digit = digit.saturating_add(1);
            return;
        }
        *digit = b'0';
    }
    digits.insert(0, b'1');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_keep_their_first_digits_and_round_half_to_even() {
        for (number, expected) in [
            ("123", "123"),
            ("12345", "12300"),
            ("12355", "12400"),
            ("12350", "12400"),
            ("12450", "12400"),
            ("-12450.5", "-12500"),
            ("99960", "100000"),
            ("0.0012345", "0.00123"),
            ("9.996", "10"),
            ("1.5e3", "1.5e3"),
        ] {
            assert_eq!(rounded(number, 3), expected, "{number}");
        }
    }

    #[test]
    fn a_number_of_27_digits_is_exact_in_28_and_one_of_38_is_not() {
        let stamp = "151767323045000123456789012";
        let mut reply = json!({ "Attributes": { "draws": { "M": { "m": { "N": stamp } } } } });
        let before = reply.clone();
        keep_digits(&mut reply, 28);
        assert_eq!(reply, before);
        let mut reply = json!({ "a": { "N": "99999999999970000000000001000000000005" } });
        keep_digits(&mut reply, 28);
        assert_eq!(reply["a"]["N"], "99999999999970000000000001000000000000");
    }
}
