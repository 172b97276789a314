//! The settings of the edge.

use largesse_app::budget::create::CreationLimits;
use largesse_app::budget::miss::MissLimits;
use largesse_app::settings::{SettingError, Variables};
use largesse_domain::id::UserId;
use largesse_domain::rate::RATE_LIMIT_MAX;

use crate::auth::SignatureSecrets;
use crate::code::Code;
use crate::cursor::CursorKey;
use crate::error::ApiError;
use crate::limits::{LIMIT_MAX, Limits};

/// How callers are authenticated.
#[derive(Clone, Debug)]
pub enum Auth {
    /// Not at all: `X-USER-ID` is taken as sent. Only for an API behind a service that
    /// authenticates callers.
    Open,
    /// By an API key and a signature, which follows from these secrets.
    Signed(SignatureSecrets),
}

impl Auth {
    /// `AUTH`, and `SIGNATURE_SECRETS` where it is `signed`.
    fn read(variables: &Variables<'_>) -> Result<Self, SettingError> {
        let is_signed = |text: &str| match text {
            "open" => Some(false),
            "signed" => Some(true),
            _ => None,
        };
        if !variables.required("AUTH", "`signed` or `open`", is_signed)? {
            return Ok(Self::Open);
        }
        let (name, expected) = ("SIGNATURE_SECRETS", SignatureSecrets::EXPECTED);
        variables.required(name, expected, SignatureSecrets::read).map(Self::Signed)
    }
}

/// What is known of the money service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoneyFacts {
    /// How many payments it takes a second; `None` where no setting says so.
    pub per_s: Option<u64>,
    /// Whether it is behind HTTP: then the ledger is not written, and the wallets are not ours to
    /// read.
    pub is_http: bool,
}

impl MoneyFacts {
    /// The ledger, at no rate.
    pub const LEDGER: Self = Self { per_s: None, is_http: false };
}

/// The edge's settings.
#[derive(Clone, Debug)]
pub struct EdgeConfig {
    /// How callers are authenticated.
    pub auth: Auth,
    /// The key that signs cursors; only functions with lists need it.
    pub cursors: Option<CursorKey>,
    /// What estimates of campaigns know of the money service.
    pub money: MoneyFacts,
    /// Who may force a campaign; only for the function that acts on campaigns.
    pub force_users: Vec<UserId>,
    /// How much callers may do.
    pub limits: Limits,
}

impl EdgeConfig {
    /// Settings without authentication and without limits, with that key for cursors.
    #[must_use]
    pub const fn open(cursors: CursorKey) -> Self {
        Self {
            auth: Auth::Open,
            cursors: Some(cursors),
            money: MoneyFacts::LEDGER,
            force_users: Vec::new(),
            limits: Limits::NONE,
        }
    }

    /// The secrets of signatures.
    ///
    /// # Errors
    /// ERR004 with `AUTH=open`, where there are none.
    pub fn signature_secrets(&self) -> Result<&SignatureSecrets, ApiError> {
        match &self.auth {
            Auth::Signed(secrets) => Ok(secrets),
            Auth::Open => Err(ApiError::new(Code::Forbidden, "API keys need AUTH=signed.")),
        }
    }

    /// Settings from environment variables: `AUTH` and `SIGNATURE_SECRETS`, `REQUESTS_MEMBER_PER_S`
    /// and `REQUESTS_OWNER_PER_S`. `AUTH` has no default, because `open` authenticates no caller.
    ///
    /// # Errors
    /// [`SettingError`].
    pub fn read(variables: &Variables<'_>) -> Result<Self, SettingError> {
        let config = Self {
            auth: Auth::read(variables)?,
            cursors: None,
            money: MoneyFacts::LEDGER,
            force_users: Vec::new(),
            limits: Limits::NONE,
        };
        config.with_requests(variables)
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

    /// Adds how often callers may come: `REQUESTS_MEMBER_PER_S` and `REQUESTS_OWNER_PER_S`.
    ///
    /// # Errors
    /// [`SettingError`].
    pub fn with_requests(mut self, variables: &Variables<'_>) -> Result<Self, SettingError> {
        self.limits.member_per_s = variables.number("REQUESTS_MEMBER_PER_S", 1..=LIMIT_MAX)?;
        self.limits.owner_per_s = variables.number("REQUESTS_OWNER_PER_S", 1..=LIMIT_MAX)?;
        Ok(self)
    }

    /// Adds how many tokens callers may miss in a minute: `TOKEN_MISSES_MEMBER_MAX`,
    /// `TOKEN_MISSES_ROOM_MAX` and `TOKEN_MISSES_OWNER_MAX`.
    ///
    /// # Errors
    /// [`SettingError`].
    pub fn with_misses(mut self, variables: &Variables<'_>) -> Result<Self, SettingError> {
        self.limits.misses = MissLimits {
            member: variables.number("TOKEN_MISSES_MEMBER_MAX", 1..=LIMIT_MAX)?,
            room: variables.number("TOKEN_MISSES_ROOM_MAX", 1..=LIMIT_MAX)?,
            owner: variables.number("TOKEN_MISSES_OWNER_MAX", 1..=LIMIT_MAX)?,
        };
        Ok(self)
    }

    /// Adds how much callers may create in a minute: `CREATIONS_MEMBER_MAX` and
    /// `CREATIONS_OWNER_MAX`.
    ///
    /// # Errors
    /// [`SettingError`].
    pub fn with_creations(mut self, variables: &Variables<'_>) -> Result<Self, SettingError> {
        self.limits.creations = CreationLimits {
            member: variables.number("CREATIONS_MEMBER_MAX", 1..=LIMIT_MAX)?,
            owner: variables.number("CREATIONS_OWNER_MAX", 1..=LIMIT_MAX)?,
        };
        Ok(self)
    }

    /// Adds what estimates of campaigns need: `MONEY_RATE_PER_S` and `MONEY_URL`, which may be
    /// missing.
    ///
    /// # Errors
    /// [`SettingError`].
    pub fn with_money(self, variables: &Variables<'_>) -> Result<Self, SettingError> {
        let expected = format!("a whole number from 1 to {RATE_LIMIT_MAX}");
        let per_s = variables.optional("MONEY_RATE_PER_S", &expected, |text| {
            text.parse().ok().filter(|rate| (1..=u64::from(RATE_LIMIT_MAX)).contains(rate))
        })?;
        // Nothing is called here: the functions that pay check the rest of the URL.
        let url = variables.optional("MONEY_URL", "an http or https URL", |text| {
            (text.starts_with("https://") || text.starts_with("http://")).then_some(())
        })?;
        Ok(Self { money: MoneyFacts { per_s, is_http: url.is_some() }, ..self })
    }

    /// Adds who may force a campaign: `CAMPAIGN_FORCE_USERS`. Without it, no user may. With
    /// `AUTH=signed` the scope `campaign:force` decides instead.
    ///
    /// # Errors
    /// [`SettingError`].
    pub fn with_force_users(self, variables: &Variables<'_>) -> Result<Self, SettingError> {
        let users = |text: &str| text.split(',').map(|user| user.trim().parse().ok()).collect();
        let expected = "user ids, separated by commas";
        let force_users = variables.optional("CAMPAIGN_FORCE_USERS", expected, users)?;
        Ok(Self { force_users: force_users.unwrap_or_default(), ..self })
    }

    /// Whether that member may force a campaign. With `AUTH=signed` the scope was checked before.
    #[must_use]
    pub fn may_force(&self, user: &UserId) -> bool {
        matches!(self.auth, Auth::Signed(_)) || self.force_users.contains(user)
    }

    /// Logs a warning when callers are not authenticated.
    pub fn warn_if_open(&self) {
        match &self.auth {
            Auth::Signed(_) => {}
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
    #[case(Some("signed"), Some("0123456789abcdef0123456789abcdef"), true, true)]
    #[case(Some("signed"), Some("0123456789abcdef"), false, false)]
    #[case(Some("signed"), None, false, false)]
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
            "REQUESTS_MEMBER_PER_S" | "REQUESTS_OWNER_PER_S" => Some("1".to_owned()),
            _ => secret.map(str::to_owned),
        });
        assert_eq!(EdgeConfig::read(&variables).is_ok(), starts);
        assert_eq!(EdgeConfig::read_with_cursors(&variables).is_ok(), starts_with_cursors);
    }

    #[rstest]
    #[case(None, Some(vec![]))]
    #[case(Some("ann"), Some(vec!["ann"]))]
    #[case(Some("ann, bob"), Some(vec!["ann", "bob"]))]
    #[case(Some("ann,"), None)]
    #[case(Some("ann bob"), None)]
    #[case(Some("*"), None)]
    fn only_users_that_are_named_may_force(
        #[case] setting: Option<&str>,
        #[case] users: Option<Vec<&str>>,
    ) {
        let variables = Variables::new(|_| setting.map(str::to_owned));
        let config = EdgeConfig::open(CursorKey::from_bytes([0; 32])).with_force_users(&variables);
        let found = config.ok().map(|config| config.force_users);
        let users = users.map(|users| users.iter().map(|user| user.parse().unwrap()).collect());
        assert_eq!(found, users);
    }

    #[rstest]
    #[case(None, None, Ok((None, false)))]
    #[case(Some("1000"), None, Ok((Some(1_000), false)))]
    #[case(Some("5000"), Some("https://money.example"), Ok((Some(5_000), true)))]
    #[case(None, Some("http://127.0.0.1:3200"), Ok((None, true)))]
    #[case(Some("1000"), Some(""), Ok((Some(1_000), false)))]
    #[case(Some("5001"), None, Err(()))]
    #[case(Some("0"), None, Err(()))]
    #[case(Some("fast"), None, Err(()))]
    #[case(None, Some("money.example"), Err(()))]
    fn the_rate_and_the_url_of_the_money_service_are_optional(
        #[case] rate: Option<&str>,
        #[case] url: Option<&str>,
        #[case] expected: Result<(Option<u64>, bool), ()>,
    ) {
        let variables = Variables::new(|name| match name {
            "MONEY_URL" => url.map(str::to_owned),
            _ => rate.map(str::to_owned),
        });
        let config = EdgeConfig::open(CursorKey::from_bytes([0; 32])).with_money(&variables);
        let found = config.map(|EdgeConfig { money, .. }| (money.per_s, money.is_http));
        assert_eq!(found.map_err(|_| ()), expected);
    }
}
