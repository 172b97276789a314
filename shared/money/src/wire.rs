//! The shapes of the contract (docs/money-openapi.json).

use largesse_domain::grant::Grant;
use largesse_domain::ledger::Memo;
use serde::{Deserialize, Serialize};

/// A payment that is asked for.
#[derive(Serialize)]
pub(crate) struct Order<'a> {
    id: String,
    member: &'a str,
    amount: u64,
    reason: &'static str,
    source: String,
    funder: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    memo: Option<&'a str>,
}

impl<'a> Order<'a> {
    /// The same at every attempt, since the grant alone decides it.
    pub(crate) fn of(grant: &'a Grant) -> Self {
        Self {
            id: grant.id.to_string(),
            member: grant.member.as_str(),
            amount: grant.amount.get(),
            reason: grant.reason.as_str(),
            source: grant.source.to_string(),
            funder: grant.funder.as_str(),
            memo: grant.memo.as_ref().map(Memo::as_str),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Paid,
    Pending,
    Refused,
    Reversed,
}

/// A transfer, as the service tells it. Fields of a later version are ignored.
#[derive(Debug, Deserialize)]
pub(crate) struct Transfer {
    id: String,
    pub(crate) status: Status,
    amount: u64,
    member: String,
}

impl Transfer {
    /// Whether it is the grant's.
    pub(crate) fn is_of(&self, grant: &Grant) -> bool {
        self.id == grant.id.to_string()
            && self.amount == grant.amount.get()
            && self.member == grant.member.as_str()
    }
}

/// Why a request came to nothing.
#[derive(Debug, Deserialize)]
pub(crate) struct Problem {
    pub(crate) code: String,
    #[serde(default)]
    pub(crate) missing: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use largesse_domain::grant::Reason;
    use largesse_domain::money::Amount;

    /// Another service reads these names.
    #[test]
    fn an_order_has_the_fields_of_the_contract_and_a_memo_only_where_there_is_one() {
        let mut grant = Grant {
            id: "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(),
            source: "CAMPAIGN#01ARZ3NDEKTSV4RRFFQ69G5FAX".parse().unwrap(),
            member: "m".parse().unwrap(),
            amount: Amount::new(5).unwrap(),
            reason: Reason::Campaign,
            funder: "op".parse().unwrap(),
            memo: None,
        };
        let json = |grant: &Grant| serde_json::to_value(Order::of(grant)).unwrap();
        let mut expected = serde_json::json!({
            "id": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "source": "CAMPAIGN#01ARZ3NDEKTSV4RRFFQ69G5FAX",
            "member": "m", "amount": 5, "reason": "campaign", "funder": "op",
        });
        assert_eq!(json(&grant), expected);
        grant.memo = Some(Memo::new("점심").unwrap());
        expected["memo"] = "점심".into();
        assert_eq!(json(&grant), expected);
    }
}
