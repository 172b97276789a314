use std::io;
use std::sync::{Arc, Mutex};

use largesse_domain::grant::Reason;
use largesse_domain::money::Amount;

use super::*;

fn grant() -> Grant {
    Grant {
        id: "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(),
        source: "SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAW".parse().unwrap(),
        member: "m".parse().unwrap(),
        amount: Amount::new(5).unwrap(),
        reason: Reason::Share,
        funder: "f".parse().unwrap(),
        memo: None,
    }
}

fn answer(status: u16, body: &str) -> Answer {
    Answer { status, retry_after: None, body: Ok(body.as_bytes().to_vec()) }
}

const NOW: i64 = 1_769_850_000_000;

fn payment(status: u16, body: &str) -> &'static str {
    match answer(status, body).payment(&grant(), Timestamp::from_ms(NOW)) {
        Read::Doubt(_) | Read::Known(Payment::Unknown(_) | Payment::Pending) => "unknown",
        Read::Known(Payment::Paid) => "paid",
        Read::Known(Payment::AlreadyPaid) => "before",
        Read::Known(Payment::Refused(_)) => "refused",
        Read::Known(Payment::NotNow { .. }) => "later",
        Read::Known(Payment::Voided) => "voided",
    }
}

fn transfer(status: &str) -> String {
    let id = grant().id;
    format!(r#"{{"id":"{id}","status":"{status}","amount":5,"member":"m"}}"#)
}

#[test]
fn a_status_without_a_body_never_says_paid_or_refused() {
    for status in 100..=599 {
        let expected = match status {
            400..=499 if status != 408 && status != 422 => "later",
            _ => "unknown",
        };
        assert_eq!(payment(status, ""), expected, "{status}");
    }
}

#[test]
fn only_201_and_200_with_the_grants_transfer_say_paid() {
    for status in 100..=599 {
        let expected = match status {
            201 => "paid",
            200 => "before",
            _ => payment(status, ""),
        };
        assert_eq!(payment(status, &transfer("paid")), expected, "{status}");
    }
    assert_eq!(payment(200, &transfer("reversed")), "before");
    for status in ["pending", "refused", "gone"] {
        assert_eq!(payment(201, &transfer(status)), "unknown", "{status}");
    }
}

#[test]
fn a_refusal_without_a_sound_code_counts_nothing() {
    assert_eq!(payment(422, r#"{"code":"account_closed","detail":"Closed."}"#), "refused");
    for body in [r#"{"code":""}"#, r#"{"code":"Bad Code"}"#, "{}", "<html>"] {
        assert_eq!(payment(422, body), "unknown", "{body}");
    }
}

#[test]
fn the_wait_is_read_as_seconds_or_as_a_date() {
    let wait = |text: &str| {
        let retry_after = Some(text.to_owned());
        let answer = Answer { status: 429, retry_after, body: Ok(Vec::new()) };
        answer.retry_after_ms(Timestamp::from_ms(NOW))
    };
    assert_eq!(wait("7"), Some(7_000));
    assert_eq!(wait("18446744073709551615"), Some(u64::MAX));
    // NOW is Sat, 31 Jan 2026 09:00:00 GMT.
    assert_eq!(wait("Sat, 31 Jan 2026 09:00:30 GMT"), Some(30_000));
    assert_eq!(wait("Sat, 31 Jan 2026 08:00:00 GMT"), Some(0));
    for text in ["-1", "1.5", "soon", ""] {
        assert_eq!(wait(text), None, "{text}");
    }
}

#[test]
fn a_404_that_is_not_the_services_own_says_nothing() {
    let standing = |body: &str| answer(404, body).standing(&grant());
    assert_eq!(standing(r#"{"code":"not_found"}"#).unwrap(), Standing::NotPaid);
    assert!(standing("<html>no route</html>").is_err());
    let reversal = |body: &str| answer(404, body).reversal(&grant(), Timestamp::from_ms(NOW));
    let never = r#"{"code":"never_paid"}"#;
    assert!(matches!(reversal(never), Read::Known(Ok(Reversal::NotPaid))));
    assert!(matches!(reversal("<html>no route</html>"), Read::Known(Err(_))));
}

/// What is written to a log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_an_operator_must_look_at_is_logged_as_an_error_and_names_no_member() {
    let other = transfer("paid").replace(r#""amount":5"#, r#""amount":6"#);
    for (status, body) in [(201, other.as_str()), (409, "{}")] {
        let lines = Lines::default();
        let written = lines.clone();
        let log = tracing_subscriber::fmt().json().with_writer(move || written.clone()).finish();
        let mut grant = grant();
        grant.member = "canary".parse().unwrap();
        tracing::subscriber::with_default(log, || {
            drop(answer(status, body).payment(&grant, Timestamp::from_ms(NOW)));
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("ERROR") && text.contains(&grant.id.to_string()), "{text}");
        assert!(!text.contains("canary"), "{text}");
    }
}
