//! Items: typed reading and writing of attributes.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::{PortError, PortResult};
use largesse_domain::money::{Amount, Balance};
use largesse_domain::time::Timestamp;

use crate::errors::corrupt;

/// An item.
pub(crate) type Item = HashMap<String, Av>;

pub(crate) fn s(value: impl Display) -> Av {
    Av::S(value.to_string())
}

pub(crate) fn n(value: impl Display) -> Av {
    Av::N(value.to_string())
}

pub(crate) fn ms(at: Timestamp) -> Av {
    n(at.ms())
}

/// An item from its attributes.
pub(crate) fn item<const N: usize>(attributes: [(&str, Av); N]) -> Item {
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Reads attributes and says of which kind of item one was unreadable.
pub(crate) struct Reader<'a> {
    pub(crate) item: &'a Item,
    /// Named in the error, for instance "wallet item".
    pub(crate) what: &'static str,
}

impl Reader<'_> {
    pub(crate) fn corrupt(&self) -> PortError {
        corrupt(self.what)
    }

    pub(crate) fn text(&self, name: &str) -> PortResult<&str> {
        match self.item.get(name) {
            Some(Av::S(text)) => Ok(text),
            _ => Err(self.corrupt()),
        }
    }

    pub(crate) fn parse<T: FromStr>(&self, name: &str) -> PortResult<T> {
        self.text(name)?.parse().map_err(|_| self.corrupt())
    }

    /// What stands after `prefix`.
    pub(crate) fn parse_after<T: FromStr>(&self, name: &str, prefix: &str) -> PortResult<T> {
        let rest = self.text(name)?.strip_prefix(prefix).ok_or_else(|| self.corrupt())?;
        rest.parse().map_err(|_| self.corrupt())
    }

    pub(crate) fn optional<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Self, &str) -> PortResult<T>,
    ) -> PortResult<Option<T>> {
        if self.item.contains_key(name) { read(self, name).map(Some) } else { Ok(None) }
    }

    pub(crate) fn number<T: FromStr>(&self, name: &str) -> PortResult<T> {
        match self.item.get(name) {
            Some(Av::N(digits)) => digits.parse().map_err(|_| self.corrupt()),
            _ => Err(self.corrupt()),
        }
    }

    pub(crate) fn amount(&self, name: &str) -> PortResult<Amount> {
        Amount::new(self.number(name)?).map_err(|_| self.corrupt())
    }

    pub(crate) fn balance(&self, name: &str) -> PortResult<Balance> {
        Balance::new(self.number(name)?).ok_or_else(|| self.corrupt())
    }

    pub(crate) fn ms(&self, name: &str) -> PortResult<Timestamp> {
        self.number(name).map(Timestamp::from_ms)
    }

    pub(crate) fn flag(&self, name: &str) -> PortResult<bool> {
        match self.item.get(name) {
            Some(Av::Bool(flag)) => Ok(*flag),
            _ => Err(self.corrupt()),
        }
    }

    pub(crate) fn map(&self, name: &str) -> PortResult<&Item> {
        match self.item.get(name) {
            Some(Av::M(map)) => Ok(map),
            _ => Err(self.corrupt()),
        }
    }

    pub(crate) fn bytes<const N: usize>(&self, name: &str) -> PortResult<[u8; N]> {
        match self.item.get(name) {
            Some(Av::B(blob)) => blob.as_ref().try_into().map_err(|_| self.corrupt()),
            _ => Err(self.corrupt()),
        }
    }
}
