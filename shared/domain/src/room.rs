//! Rooms: who may claim what is sprayed in them.

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::CodePointSetData;
use icu_properties::props::{BidiControl, DefaultIgnorableCodePoint};

/// The longest name of a room, in characters: code points of its NFC form (docs/limits.md).
pub const ROOM_NAME_LEN_MAX: usize = 100;

/// How many members one `POST /rooms` may name: a transaction holds 100 items, one is the room.
pub const ROOM_FIRST_MEMBERS_MAX: usize = 98;

/// A room's name in Unicode's normal form C: 1 to 100 characters, at least one of them visible,
/// none of them a control character or one that changes the direction of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomName(String);

/// Why a text is no room name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoomNameError {
    /// Empty, or only white space and characters without a visible form.
    #[error("a room's name has at least one visible character")]
    Blank,
    /// Above [`ROOM_NAME_LEN_MAX`].
    #[error("a room's name has at most {ROOM_NAME_LEN_MAX} characters")]
    TooLong,
    /// A control character.
    #[error("a room's name has no control character")]
    Control,
    /// A character that changes the direction of the text around it, so that the name, and what is
    /// written beside it, could be read as another text.
    #[error(
        "a room's name has no character that controls the direction of text (U+061C, U+200E, \
         U+200F, U+202A to U+202E, U+2066 to U+2069)"
    )]
    Direction,
}

impl RoomName {
    /// Takes a text as a name, in its normal form C. A syllable of Hangul is one character in every
    /// spelling.
    ///
    /// # Errors
    /// [`RoomNameError`], the first that applies.
    pub fn new(text: &str) -> Result<Self, RoomNameError> {
        let name = ComposingNormalizerBorrowed::new_nfc().normalize(text);
        if name.chars().all(is_blank) {
            return Err(RoomNameError::Blank);
        }
        if name.chars().count() > ROOM_NAME_LEN_MAX {
            return Err(RoomNameError::TooLong);
        }
        if name.chars().any(char::is_control) {
            return Err(RoomNameError::Control);
        }
        if name.chars().any(|c| CodePointSetData::new::<BidiControl>().contains(c)) {
            return Err(RoomNameError::Direction);
        }
        Ok(Self(name.into_owned()))
    }

    /// A name that was stored. It is not checked again: a later version of Unicode may have other
    /// rules, and the room must stay readable.
    #[must_use]
    pub const fn stored(name: String) -> Self {
        Self(name)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a character shows nothing. The blank Braille pattern is a symbol to Unicode.
fn is_blank(c: char) -> bool {
    c.is_whitespace()
        || c == '\u{2800}'
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::korean("회식 방", "회식 방")]
    #[case::decomposed("\u{1112}\u{116c}", "회")]
    #[case::letter_with_accent("cafe\u{301}", "caf\u{e9}")]
    #[case::joined_emoji("\u{1f468}\u{200d}\u{1f469}", "\u{1f468}\u{200d}\u{1f469}")]
    #[case::zero_width_inside("a\u{200b}b", "a\u{200b}b")]
    fn a_room_name_is_kept_in_normal_form_c(#[case] text: &str, #[case] name: &str) {
        assert_eq!(RoomName::new(text).unwrap().as_str(), name);
    }

    #[rstest]
    #[case::empty("", RoomNameError::Blank)]
    #[case::blanks(" \t\u{3000}", RoomNameError::Blank)]
    #[case::zero_width_space("\u{200b}", RoomNameError::Blank)]
    #[case::zero_width_joiners("\u{200c}\u{200d}\u{2060}\u{feff} ", RoomNameError::Blank)]
    #[case::soft_hyphen("\u{ad}", RoomNameError::Blank)]
    #[case::hangul_fillers("\u{115f}\u{1160}\u{3164}\u{ffa0}", RoomNameError::Blank)]
    #[case::blank_braille("\u{2800}", RoomNameError::Blank)]
    #[case::variation_selector("\u{fe0f}", RoomNameError::Blank)]
    #[case::tags("\u{e0001}\u{e0041}", RoomNameError::Blank)]
    #[case::only_a_direction("\u{200e}", RoomNameError::Blank)]
    #[case::nul("a\0b", RoomNameError::Control)]
    #[case::line_feed("a\nb", RoomNameError::Control)]
    fn a_room_name_is_visible_and_printable(#[case] text: &str, #[case] error: RoomNameError) {
        assert_eq!(RoomName::new(text), Err(error));
    }

    #[test]
    fn a_room_name_does_not_change_the_direction_of_text() {
        let marks = ['\u{61c}', '\u{200e}', '\u{200f}'];
        for c in marks.into_iter().chain('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}') {
            assert_eq!(RoomName::new(&format!("a{c}b")), Err(RoomNameError::Direction), "{c:?}");
        }
        assert!(RoomName::new("\u{5e9}\u{5dc}\u{5d5}\u{5dd} abc").is_ok());
    }

    #[rstest]
    #[case::composed("회")]
    #[case::decomposed("\u{1112}\u{116c}")]
    fn a_room_name_has_up_to_100_syllables_in_either_spelling(#[case] syllable: &str) {
        assert_eq!(RoomName::new(&syllable.repeat(100)).unwrap().as_str(), "회".repeat(100));
        assert_eq!(RoomName::new(&syllable.repeat(101)), Err(RoomNameError::TooLong));
    }
}
