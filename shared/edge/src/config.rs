//! How the edge is set up.

use crate::cursor::CursorKey;

/// Who is believed to be who.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Everybody: `X-USER-ID` is taken as sent. Only behind something that authenticates callers.
    Open,
}

/// The edge's settings.
#[derive(Clone, Debug)]
pub struct EdgeConfig {
    /// Who is believed.
    pub auth: Auth,
    /// What cursors are signed with; only functions that list things need it.
    pub cursors: Option<CursorKey>,
}

/// Why a function refuses to start.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// `AUTH` is missing or unknown: whether callers are believed is never left to a default.
    #[error("AUTH must be `open`; authenticated modes do not exist yet")]
    Auth,
    /// `CURSOR_SECRET` is too short to resist guessing.
    #[error("CURSOR_SECRET must have at least {} characters", CursorKey::SECRET_LEN_MIN)]
    CursorSecret,
}

impl EdgeConfig {
    /// Settings for callers that are believed, with that key for cursors.
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

    /// Says loudly what a reader of the log must know.
    pub fn announce(&self) {
        match self.auth {
            Auth::Open => tracing::warn!(
                auth.mode = "open",
                "AUTH=open: every caller is believed to be who X-USER-ID says"
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
    fn a_function_starts_only_when_it_knows_whom_to_believe(
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
