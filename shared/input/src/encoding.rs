//! Bytes to characters, one at a time; whatever is not UTF-8 is named and never converted.

use std::ops::ControlFlow;

use crate::code::Code;

/// How many bytes from the first foreign one are looked at to name the encoding.
const SAMPLE_LEN: usize = 256;

/// The first byte that is not UTF-8, and what the file looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// How many bytes stand before it.
    pub(crate) byte: u64,
    pub(crate) code: Code,
}

/// Lets characters through, and stops at the first byte that begins none. It decides byte by byte,
/// so the way the input is cut changes nothing.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// Bytes that came through as characters.
    passed: u64,
    /// The beginning of a character: at most 3 bytes.
    partial: Vec<u8>,
    /// What was found from the first foreign byte on.
    sample: Option<Vec<u8>>,
}

impl Gate {
    /// Gives each character to `each`, until it breaks or the encoding is known to be another.
    pub(crate) fn feed(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(char) -> ControlFlow<()>,
    ) -> Option<Foreign> {
        for &byte in bytes {
            if let Some(sample) = &mut self.sample {
                sample.push(byte);
                if sample.len() >= SAMPLE_LEN {
                    return self.finish();
                }
                continue;
            }
            if byte == 0 && self.at() < 2 {
                // UTF-16 without a mark: one half of an ASCII character is zero.
                return Some(Foreign { byte: self.at(), code: Code::EncodingUtf16 });
            }
            if let Some(c) = self.take(byte)
                && each(c).is_break()
            {
                return None;
            }
        }
        None
    }

    /// What the input turns out to be at its end; `None` for UTF-8.
    pub(crate) fn finish(&self) -> Option<Foreign> {
        let code = match &self.sample {
            Some(sample) => named(sample, self.passed == 0),
            // The end came inside a character.
            None if !self.partial.is_empty() => Code::EncodingUnknown,
            None => return None,
        };
        Some(Foreign { byte: self.passed, code })
    }

    /// Where the next byte stands in the file.
    fn at(&self) -> u64 {
        self.passed.saturating_add(count(self.partial.len()))
    }

    /// The character that ends with this byte, if one does.
    fn take(&mut self, byte: u8) -> Option<char> {
        if self.partial.is_empty() && byte.is_ascii() {
            self.passed = self.passed.saturating_add(1);
            return Some(char::from(byte));
        }
        self.partial.push(byte);
        match std::str::from_utf8(&self.partial) {
            Ok(text) => {
                let c = text.chars().next();
                self.passed = self.at();
                self.partial.clear();
                c
            }
            // The character may go on.
            Err(error) if error.error_len().is_none() => None,
            Err(_) => {
                self.sample = Some(std::mem::take(&mut self.partial));
                None
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn held_bytes(&self) -> usize {
        self.partial.capacity() + self.sample.as_ref().map_or(0, Vec::capacity)
    }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// The encoding that a sample looks like.
fn named(sample: &[u8], at_start: bool) -> Code {
    let marked = sample.starts_with(&[0xff, 0xfe]) || sample.starts_with(&[0xfe, 0xff]);
    if at_start && marked || sample.contains(&0) {
        Code::EncodingUtf16
    } else if looks_cp949(sample) {
        Code::EncodingCp949
    } else {
        Code::EncodingUnknown
    }
}

/// Whether every byte above 127 begins a pair that CP949 has (lead 81..FE; trail 41..5A, 61..7A or
/// 81..FE, the layout of Microsoft's code page 949), and one pair is a syllable of KS X 1001 (B0..C8
/// and A1..FE). Without the second rule an accented letter of Latin-1 before an ASCII letter would
/// do. A table of characters would not say more, as nothing is converted.
fn looks_cp949(sample: &[u8]) -> bool {
    let mut bytes = sample.iter();
    let mut syllables = false;
    while let Some(&lead) = bytes.next() {
        if lead.is_ascii() {
            continue;
        }
        // The sample may end inside a pair.
        let Some(&trail) = bytes.next() else { break };
        let is_pair =
            matches!(lead, 0x81..=0xfe) && matches!(trail, 0x41..=0x5a | 0x61..=0x7a | 0x81..=0xfe);
        if !is_pair {
            return false;
        }
        syllables |= matches!(lead, 0xb0..=0xc8) && trail >= 0xa1;
    }
    syllables
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// 출석 보상 in CP949.
    const CP949: &[u8] = b"\xc3\xe2\xbc\xae \xba\xb8\xbb\xf3\n";

    fn found(bytes: &[u8]) -> (String, Option<Foreign>) {
        let (mut gate, mut text) = (Gate::default(), String::new());
        let foreign = gate.feed(bytes, |c| {
            text.push(c);
            ControlFlow::Continue(())
        });
        (text, foreign.or_else(|| gate.finish()))
    }

    #[rstest]
    #[case::cp949(&[b"a\n".as_slice(), CP949].concat(), 2, Code::EncodingCp949)]
    #[case::cp949_extended(b"\xb6\xb4\xb6\x41", 0, Code::EncodingCp949)]
    #[case::long_cp949(&CP949.repeat(100), 0, Code::EncodingCp949)]
    #[case::latin_1_before_a_comma(b"caf\xe9,1", 3, Code::EncodingUnknown)]
    #[case::latin_1_before_a_letter(b"\xe9l\xe8ve", 0, Code::EncodingUnknown)]
    #[case::utf16_le_marked(b"\xff\xfea\0", 0, Code::EncodingUtf16)]
    #[case::utf16_be_marked(b"\xfe\xff\0a", 0, Code::EncodingUtf16)]
    #[case::utf16_le(b"a\0b\0", 1, Code::EncodingUtf16)]
    #[case::utf16_be(b"\0a\0b", 0, Code::EncodingUtf16)]
    #[case::utf16_le_of_hangul(b"\x8c\xd6\xd0\xc6I\0D\0", 0, Code::EncodingUtf16)]
    #[case::surrogate_in_utf8(b"a\xed\xa0\x80", 1, Code::EncodingUnknown)]
    #[case::overlong(b"\xe0\x80\xaf", 0, Code::EncodingUnknown)]
    #[case::cut_off("a가".as_bytes().split_last().unwrap().1, 1, Code::EncodingUnknown)]
    fn a_foreign_encoding_is_named_with_its_first_byte(
        #[case] bytes: &[u8],
        #[case] byte: u64,
        #[case] code: Code,
    ) {
        assert_eq!(found(bytes).1, Some(Foreign { byte, code }));
    }

    #[test]
    fn utf8_comes_through_as_it_is() {
        let text = "a\u{7f}\u{80}출석 보상\u{10ffff}";
        assert_eq!(found(text.as_bytes()), (text.to_owned(), None));
        // A zero byte after the first two is a character.
        assert_eq!(found(b"ab\0"), ("ab\0".to_owned(), None));
    }
}
