//! What is asked for, and who asks.

use serde_json::Value;

use super::super::BenchError;

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The member that `X-USER-ID` names: it is believed.
    Open,
    /// The holder of a key, who signs.
    Signed,
}

impl Mode {
    pub(super) const ALL: [Self; 2] = [Self::Open, Self::Signed];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Signed => "signed",
        }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A member reads a wallet.
    Read,
    /// A member claims a share.
    Claim,
    /// A member claims by a token that stands for no spray of the room.
    Miss,
    /// A member makes a spray.
    Create,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Read, Self::Claim, Self::Miss, Self::Create];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Read => "read of a wallet",
            Self::Claim => "claim",
            Self::Miss => "claim by a wrong token",
            Self::Create => "spray create",
        }
    }

    /// Whether the answer is the one that is measured.
    pub(super) fn check(self, (status, body): (u16, Value)) -> Result<(), BenchError> {
        let expected = match self {
            Self::Read => 200,
            Self::Claim | Self::Create => 201,
            Self::Miss => 404,
        };
        if status == expected {
            return Ok(());
        }
        Err(BenchError::Broken(format!("{} was answered {status}: {body}", self.name())))
    }
}
