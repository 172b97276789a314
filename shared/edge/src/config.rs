//! The settings of the edge.

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

/// Why a function does not start.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// `AUTH` is missing or unknown. It has no default, because `open` authenticates nobody.
    #[error("AUTH must be `open`; authenticated modes do not exist yet")]
    Auth,
    /// `CURSOR_SECRET` is too short to resist guessing.
    #[error("CURSOR_SECRET must have at least {} characters", CursorKey::SECRET_LEN_MIN)]
    CursorSecret,
}

impl EdgeConfig {
    /// Settings without authentication, with that key for cursors.
    #[must_use]
    pub const fn open(cursors: CursorKey) -> Self {
        Self { auth: Auth::Open, cursors: Some(cursors) }
    }

    /// Settings from environment variables: `AUTH`, and `CURSOR_SECRET` where cursors are needed.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let auth = match lookup("AUTH").as_deref() {
            Some("open") => Auth::Open,
            Some(_) | None => return Err(ConfigError::Auth),
        };
        let cursors = match lookup("CURSOR_SECRET") {
            Some(secret) => Some(CursorKey::new(&secret).ok_or(ConfigError::CursorSecret)?),
            None => None,
        };
        Ok(Self { auth, cursors })
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
    #[case(Some("open"), None, true)]
    #[case(Some("open"), Some("0123456789abcdef"), true)]
    #[case(Some("open"), Some("short"), false)]
    #[case(Some("closed"), None, false)]
    #[case(None, None, false)]
    fn a_function_starts_only_with_a_known_way_to_authenticate(
        #[case] auth: Option<&str>,
        #[case] secret: Option<&str>,
        #[case] starts: bool,
    ) {
        let lookup = |name: &str| match name {
            "AUTH" => auth.map(str::to_owned),
            _ => secret.map(str::to_owned),
        };
        assert_eq!(EdgeConfig::from_lookup(lookup).is_ok(), starts);
    }
}
