//! The settings of the edge.

use largesse_app::settings::{SettingError, Variables};

use crate::cursor::CursorKey;

/// How callers are authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Not at all: `X-USER-ID` is taken as sent. Only for an API behind a service that
    /// authenticates callers.
    Open,
}

/// The edge's settings.
#[derive(Clone, Debug)]
pub struct EdgeConfig {
    /// How callers are authenticated.
    pub auth: Auth,
    /// The key that signs cursors; only functions with lists need it.
    pub cursors: Option<CursorKey>,
}

impl EdgeConfig {
    /// Settings without authentication, with that key for cursors.
    #[must_use]
    pub const fn open(cursors: CursorKey) -> Self {
        Self { auth: Auth::Open, cursors: Some(cursors) }
    }

    /// Settings from environment variables: `AUTH`. It has no default, because `open` authenticates
    /// no caller.
    ///
    /// # Errors
    /// [`SettingError`].
    pub fn read(variables: &Variables<'_>) -> Result<Self, SettingError> {
        let expected = "`open`; authenticated modes do not exist yet";
        let auth =
            variables.required("AUTH", expected, |text| (text == "open").then_some(Auth::Open))?;
        Ok(Self { auth, cursors: None })
    }

    /// As [`EdgeConfig::read`], for a function that answers in pages: `CURSOR_SECRET` too.
    ///
    /// # Errors
    /// [`SettingError`].
    pub fn read_with_cursors(variables: &Variables<'_>) -> Result<Self, SettingError> {
        let expected = format!("a secret of at least {} characters", CursorKey::SECRET_LEN_MIN);
        let cursors = variables.required("CURSOR_SECRET", &expected, CursorKey::new)?;
        Ok(Self { cursors: Some(cursors), ..Self::read(variables)? })
    }

    /// Logs a warning when callers are not authenticated.
    pub fn warn_if_open(&self) {
        match self.auth {
            Auth::Open => tracing::warn!(
                auth.mode = "open",
                "AUTH=open: callers are not authenticated, X-USER-ID is taken as sent"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(Some("open"), None, true, false)]
    #[case(Some("open"), Some("0123456789abcdef"), true, true)]
    #[case(Some("open"), Some("short"), true, false)]
    #[case(Some("closed"), Some("0123456789abcdef"), false, false)]
    #[case(None, Some("0123456789abcdef"), false, false)]
    fn a_function_starts_only_with_a_known_way_to_authenticate_and_its_key_of_cursors(
        #[case] auth: Option<&str>,
        #[case] secret: Option<&str>,
        #[case] starts: bool,
        #[case] starts_with_cursors: bool,
    ) {
        let variables = Variables::new(|name| match name {
            "AUTH" => auth.map(str::to_owned),
            _ => secret.map(str::to_owned),
        });
        assert_eq!(EdgeConfig::read(&variables).is_ok(), starts);
        assert_eq!(EdgeConfig::read_with_cursors(&variables).is_ok(), starts_with_cursors);
    }
}
