//! What a key may do, from where, and whose it is.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// The service that a key belongs to. Budgets and idempotency keys are the owner's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(String);

/// A text that is no [`Owner`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an owner is 1 to 64 characters of [A-Za-z0-9_-]")]
pub struct OwnerError;

impl Owner {
    /// The owner as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Owner {
    type Err = OwnerError;

    fn from_str(text: &str) -> Result<Self, OwnerError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(allowed);
        if fits { Ok(Self(text.to_owned())) } else { Err(OwnerError) }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One thing that a key may do. No scope includes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Make sprays, claim them, and keep rooms.
    Spray,
    /// Make drops and enter them.
    Drop,
    /// Invest in products.
    Invest,
    /// Deposit.
    Wallet,
    /// Make campaigns, give them rows, start, stop, retry and roll them back.
    CampaignWrite,
    /// Approve campaigns.
    CampaignApprove,
    /// Start a campaign beside others.
    CampaignForce,
    /// Make products, and keep API keys.
    Operate,
    /// Read.
    Read,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Spray,
        Self::Drop,
        Self::Invest,
        Self::Wallet,
        Self::CampaignWrite,
        Self::CampaignApprove,
        Self::CampaignForce,
        Self::Operate,
        Self::Read,
    ];

    /// The scope on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spray => "spray",
            Self::Drop => "drop",
            Self::Invest => "invest",
            Self::Wallet => "wallet",
            Self::CampaignWrite => "campaign:write",
            Self::CampaignApprove => "campaign:approve",
            Self::CampaignForce => "campaign:force",
            Self::Operate => "operate",
            Self::Read => "read",
        }
    }
}

/// The scopes of a key: at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

/// A text that is no [`Scopes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "scopes are one or more of spray, drop, invest, wallet, campaign:write, campaign:approve, \
     campaign:force, operate and read"
)]
pub struct ScopesError;

impl Scopes {
    /// Every scope.
    #[must_use]
    pub fn all() -> Self {
        Self(Scope::ALL.into())
    }

    /// Reads them by their names on the wire.
    ///
    /// # Errors
    /// [`ScopesError`] when there is none, or an unknown one.
    pub fn read<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, ScopesError> {
        let read = |name| Scope::ALL.into_iter().find(|scope| scope.as_str() == name);
        let scopes: Option<BTreeSet<Scope>> = names.into_iter().map(read).collect();
        scopes.filter(|scopes| !scopes.is_empty()).map(Self).ok_or(ScopesError)
    }

    /// Whether it is among them.
    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    /// Each by its name on the wire.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|scope| scope.as_str())
    }
}

impl FromStr for Scopes {
    type Err = ScopesError;

    /// Reads names that are separated by commas.
    fn from_str(text: &str) -> Result<Self, ScopesError> {
        Self::read(text.split(',').map(str::trim))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join(","))
    }
}

/// The most networks in the list of a key.
pub const NETWORKS_MAX: usize = 20;

/// From which addresses a key may be used; an empty list allows all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

/// A text that is no [`Networks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("networks are at most 20 IP addresses or ranges, as 203.0.113.7 or 2001:db8::/32")]
pub struct NetworksError;

impl Networks {
    /// Reads addresses and ranges in CIDR notation.
    ///
    /// # Errors
    /// [`NetworksError`] for a text that is neither, and for more than [`NETWORKS_MAX`].
    pub fn read<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, NetworksError> {
        let read = |text: &str| {
            let address = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
            address.or_else(|_| text.parse::<IpNet>().map(|net| net.trunc())).ok()
        };
        let networks: Option<Vec<IpNet>> = texts.into_iter().map(read).collect();
        networks.filter(|list| list.len() <= NETWORKS_MAX).map(Self).ok_or(NetworksError)
    }

    /// Whether a request from there is allowed. An unknown address is in no list.
    #[must_use]
    pub fn allow(&self, source: Option<IpAddr>) -> bool {
        // A socket that takes both versions shows an IPv4 peer as an IPv6 address.
        let source = source.map(|address| address.to_canonical());
        self.0.is_empty()
            || source.is_some_and(|address| self.0.iter().any(|net| net.contains(&address)))
    }

    /// Whether the list is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each as text, in CIDR notation.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(IpNet::to_string)
    }
}

impl FromStr for Networks {
    type Err = NetworksError;

    /// Reads addresses and ranges that are separated by commas.
    fn from_str(text: &str) -> Result<Self, NetworksError> {
        Self::read(text.split(',').map(str::trim))
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.texts().collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn every_scope_is_read_by_its_name_and_no_other_text_is_one() {
        for scope in Scope::ALL {
            let scopes: Scopes = scope.as_str().parse().unwrap();
            assert!(scopes.has(scope));
            assert_eq!(Scope::ALL.into_iter().filter(|other| scopes.has(*other)).count(), 1);
        }
        assert_eq!(Scopes::all().to_string().parse(), Ok(Scopes::all()));
        for text in ["", ",", "Read", "read,", "write", "campaign", "read spray", "*"] {
            assert_eq!(text.parse::<Scopes>(), Err(ScopesError), "{text}");
        }
    }

    #[rstest]
    #[case::empty_list("", "203.0.113.7", true)]
    #[case::address("203.0.113.7", "203.0.113.7", true)]
    #[case::other_address("203.0.113.7", "203.0.113.8", false)]
    #[case::range("203.0.113.0/24,10.0.0.0/8", "10.9.8.7", true)]
    #[case::outside_range("203.0.113.0/24", "203.0.114.0", false)]
    #[case::host_bits("203.0.113.99/24", "203.0.113.1", true)]
    #[case::mapped("203.0.113.0/24", "::ffff:203.0.113.7", true)]
    #[case::mapped_in_the_list("::ffff:203.0.113.7", "203.0.113.7", true)]
    #[case::six("2001:db8::/32", "2001:db8::1", true)]
    #[case::six_outside("2001:db8::/32", "2001:db9::1", false)]
    #[case::other_version("0.0.0.0/0", "2001:db8::1", false)]
    fn a_list_allows_only_what_is_in_it(
        #[case] list: &str,
        #[case] source: &str,
        #[case] allowed: bool,
    ) {
        let networks = if list.is_empty() { Networks::default() } else { list.parse().unwrap() };
        assert_eq!(networks.allow(Some(source.parse().unwrap())), allowed);
        assert_eq!(networks.allow(None), networks.is_empty());
        assert!(networks.is_empty() || networks.to_string().parse() == Ok(networks));
    }

    #[test]
    fn a_text_that_is_no_network_is_refused_and_so_are_too_many() {
        for text in ["", "localhost", "203.0.113.7/33", "203.0.113", "10.0.0.0/8,"] {
            assert_eq!(text.parse::<Networks>(), Err(NetworksError), "{text}");
        }
        assert!(vec!["10.0.0.1"; NETWORKS_MAX].join(",").parse::<Networks>().is_ok());
        assert!(vec!["10.0.0.1"; NETWORKS_MAX + 1].join(",").parse::<Networks>().is_err());
    }
}
