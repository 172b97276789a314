//! Who may call which route: one table for all functions.
//!
//! A route that is not in the table is refused. The middleware checks the scope. The use cases check
//! the relation, because it needs what they read; the table states it, and tests try every route with
//! every scope and with the resource of another member.
//!
//! # Guarantees
//! * The table has every route of the API and no other: `the_table_has_every_route_and_no_other`.
//! * A key without the scope of a route is refused: `every_route_refuses_every_scope_but_its_own`.
//! * A resource of another member is refused: `every_route_refuses_the_resource_of_another_member`.

use http::Method;
use largesse_domain::key::Scope;

use self::Relation::{Anyone, MemberOrFunder, NotCreator, Own, RoomMember, Sender, WalletOwner};
use crate::call::{BODY_LEN_MAX, UPLOAD_LEN_MAX};

/// What the member that the caller acts for must be to the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Nothing: the resource is for every caller who has the scope.
    Anyone,
    /// The route names no other member's resource: it works on the caller's own.
    Own,
    /// The owner of the wallet.
    WalletOwner,
    /// A member of the room.
    RoomMember,
    /// The sender of the spray.
    Sender,
    /// The member of the entry, or who pays for the drop.
    MemberOrFunder,
    /// Not who made the campaign.
    NotCreator,
}

/// The rule of a route.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The method.
    pub method: &'static str,
    /// The pattern of the path.
    pub path: &'static str,
    /// What the key must be made for; `None`: no key is needed.
    pub scope: Option<Scope>,
    /// What the member must be to the resource.
    pub relation: Relation,
}

const fn rule(
    method: &'static str,
    path: &'static str,
    scope: Option<Scope>,
    relation: Relation,
) -> Rule {
    Rule { method, path, scope, relation }
}

/// The rules of all routes.
#[rustfmt::skip]
pub const RULES: &[Rule] = &[
    rule("POST", "/api/v1/spray", Some(Scope::Spray), RoomMember),
    rule("POST", "/api/v1/receive", Some(Scope::Spray), RoomMember),
    rule("GET", "/api/v1/spray/{token}", Some(Scope::Read), Sender),
    rule("POST", "/api/v1/wallet/charge", Some(Scope::Wallet), Own),
    rule("GET", "/api/v1/wallet/balance", Some(Scope::Read), Own),
    rule("GET", "/api/v1/wallet", Some(Scope::Read), Own),
    rule("GET", "/api/v1/transactions", Some(Scope::Read), Own),
    rule("GET", "/api/v1/transactions/{id}", Some(Scope::Read), WalletOwner),
    rule("POST", "/api/v1/rooms", Some(Scope::Spray), Own),
    rule("POST", "/api/v1/rooms/{room_id}/invite", Some(Scope::Spray), RoomMember),
    rule("POST", "/api/v2/wallets/{user}/deposits", Some(Scope::Wallet), WalletOwner),
    rule("GET", "/api/v2/wallets/{user}", Some(Scope::Read), WalletOwner),
    rule("GET", "/api/v2/wallets/{user}/transactions", Some(Scope::Read), WalletOwner),
    rule("GET", "/api/v2/wallets/{user}/transactions/{id}", Some(Scope::Read), WalletOwner),
    rule("POST", "/api/v2/rooms", Some(Scope::Spray), Own),
    rule("GET", "/api/v2/rooms/{room}", Some(Scope::Read), RoomMember),
    rule("PUT", "/api/v2/rooms/{room}/members/{user}", Some(Scope::Spray), RoomMember),
    rule("DELETE", "/api/v2/rooms/{room}/members/{user}", Some(Scope::Spray), RoomMember),
    rule("POST", "/api/v2/sprays", Some(Scope::Spray), RoomMember),
    rule("GET", "/api/v2/sprays", Some(Scope::Read), Own),
    rule("GET", "/api/v2/sprays/{token}", Some(Scope::Read), Sender),
    rule("POST", "/api/v2/sprays/{token}/claims", Some(Scope::Spray), RoomMember),
    rule("POST", "/api/v2/drops", Some(Scope::Drop), Own),
    rule("GET", "/api/v2/drops", Some(Scope::Read), Anyone),
    rule("GET", "/api/v2/drops/{id}", Some(Scope::Read), Anyone),
    rule("POST", "/api/v2/drops/{id}/entries", Some(Scope::Drop), Own),
    rule("GET", "/api/v2/drops/{id}/entries/{user}", Some(Scope::Read), MemberOrFunder),
    rule("POST", "/api/v2/products", Some(Scope::Operate), Anyone),
    rule("GET", "/api/v2/products", Some(Scope::Read), Anyone),
    rule("GET", "/api/v2/products/{id}", Some(Scope::Read), Anyone),
    rule("POST", "/api/v2/products/{id}/investments", Some(Scope::Invest), Own),
    rule("GET", "/api/v2/investments", Some(Scope::Read), Own),
    rule("POST", "/api/v2/campaigns", Some(Scope::CampaignWrite), Anyone),
    rule("GET", "/api/v2/campaigns", Some(Scope::Read), Anyone),
    rule("GET", "/api/v2/campaigns/{id}", Some(Scope::Read), Anyone),
    rule("GET", "/api/v2/campaigns/{id}/audit", Some(Scope::Read), Anyone),
    rule("GET", "/api/v2/campaigns/{id}/duplicates.csv", Some(Scope::Read), Anyone),
    rule("GET", "/api/v2/campaigns/{id}/failures.csv", Some(Scope::Read), Anyone),
    rule("GET", "/api/v2/campaigns/{id}/parts", Some(Scope::Read), Anyone),
    rule("GET", "/api/v2/campaigns/{id}/progress", Some(Scope::Read), Anyone),
    rule("GET", "/api/v2/campaigns/{id}/rows", Some(Scope::Read), Anyone),
    rule("GET", "/api/v2/campaigns/{id}/rows/{member}", Some(Scope::Read), Anyone),
    rule("PUT", "/api/v2/campaigns/{id}/parts/{n}", Some(Scope::CampaignWrite), Anyone),
    rule("POST", "/api/v2/campaigns/{id}/seal", Some(Scope::CampaignWrite), Anyone),
    rule("POST", "/api/v2/campaigns/{id}/approve", Some(Scope::CampaignApprove), NotCreator),
    rule("POST", "/api/v2/campaigns/{id}/start", Some(Scope::CampaignWrite), Anyone),
    rule("POST", "/api/v2/campaigns/{id}/stop", Some(Scope::CampaignWrite), Anyone),
    rule("POST", "/api/v2/campaigns/{id}/retry", Some(Scope::CampaignWrite), Anyone),
    rule("POST", "/api/v2/campaigns/{id}/force", Some(Scope::CampaignForce), Anyone),
    rule("POST", "/api/v2/campaigns/{id}/rollback", Some(Scope::CampaignWrite), Anyone),
    rule("POST", "/api/v2/keys", Some(Scope::Operate), Anyone),
    rule("GET", "/api/v2/keys", Some(Scope::Operate), Anyone),
    rule("POST", "/api/v2/keys/{id}/rotate", Some(Scope::Operate), Anyone),
    rule("DELETE", "/api/v2/keys/{id}", Some(Scope::Operate), Anyone),
    rule("GET", "/api/v2/stats", Some(Scope::Read), Anyone),
    rule("GET", "/api/v2/health", None, Anyone),
    rule("GET", "/api/openapi.json", None, Anyone),
    rule("GET", "/docs", None, Anyone),
    rule("GET", "/", None, Anyone),
];

/// The route that takes files.
const UPLOAD: (&str, &str) = ("PUT", "/api/v2/campaigns/{id}/parts/{n}");

impl Rule {
    /// The rule of a route; `None` when the table has none. `HEAD` has the rule of `GET`.
    #[must_use]
    pub fn of(method: &Method, path: &str) -> Option<&'static Self> {
        let method = if method == Method::HEAD { "GET" } else { method.as_str() };
        RULES.iter().find(|rule| rule.method == method && rule.path == path)
    }

    /// The largest body of the route, in bytes.
    #[must_use]
    pub fn body_len_max(&self) -> usize {
        if (self.method, self.path) == UPLOAD { UPLOAD_LEN_MAX } else { BODY_LEN_MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_has_one_rule_and_an_unknown_one_has_none() {
        for rule in RULES {
            let same = RULES.iter().filter(|r| (r.method, r.path) == (rule.method, rule.path));
            assert_eq!(same.count(), 1, "{} {}", rule.method, rule.path);
        }
        assert!(Rule::of(&Method::HEAD, "/api/v2/sprays").is_some());
        assert!(Rule::of(&Method::DELETE, "/api/v2/sprays").is_none());
        assert!(Rule::of(&Method::GET, "/api/v2/sprays/").is_none());
        let upload = Rule::of(&Method::PUT, UPLOAD.1).unwrap();
        assert_eq!(upload.body_len_max(), UPLOAD_LEN_MAX);
    }
}
