//! Rooms: who may claim what is sprayed in them.

/// The longest name of a room, in characters (docs/limits.md).
pub const ROOM_NAME_LEN_MAX: usize = 100;

/// How many members one `POST /rooms` may name: a transaction holds 100 items, one is the room.
pub const ROOM_FIRST_MEMBERS_MAX: usize = 98;

/// A room's name: 1 to 100 characters, no control characters, not only blanks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomName(String);

/// Why a text is no room name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a room's name is 1 to {ROOM_NAME_LEN_MAX} characters, none of them a control character")]
pub struct RoomNameError;

impl RoomName {
    /// Takes a text as a name.
    ///
    /// # Errors
    /// [`RoomNameError`] when it is blank, too long, or has control characters.
    pub fn new(text: &str) -> Result<Self, RoomNameError> {
        let fits = text.chars().count() <= ROOM_NAME_LEN_MAX
            && !text.trim().is_empty()
            && !text.chars().any(char::is_control);
        if fits { Ok(Self(text.to_owned())) } else { Err(RoomNameError) }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_name_is_short_and_printable() {
        assert!(RoomName::new("회식 방").is_ok());
        for bad in ["", "  ", "a\0b", "a\nb", &"가".repeat(101)] {
            assert_eq!(RoomName::new(bad), Err(RoomNameError));
        }
        assert!(RoomName::new(&"가".repeat(100)).is_ok());
    }
}
