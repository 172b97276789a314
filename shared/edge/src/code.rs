//! The table of error codes. It generates the enum, the OpenAPI schema and docs/errors.md.

use std::fmt::Write as _;

use http::StatusCode;

macro_rules! codes {
    ($($name:ident = $code:literal, $status:expr, $title:literal,
        when $when:literal, then $then:literal, v1 $v1:literal;)+) => {
        /// An error code. The meaning of a code never changes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = $when] $name,)+
        }

        impl Code {
            /// All codes, in order.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The code on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// The status in v2, unless `when` names another.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => $status,)+ }
            }

            /// The title, the same for every problem of this code.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }

            /// When it is answered.
            #[must_use]
            pub const fn when(self) -> &'static str {
                match self { $(Self::$name => $when,)+ }
            }

            /// What the caller should do.
            #[must_use]
            pub const fn then(self) -> &'static str {
                match self { $(Self::$name => $then,)+ }
            }

            /// The status in v1.
            #[must_use]
            pub const fn v1(self) -> &'static str {
                match self { $(Self::$name => $v1,)+ }
            }

            /// The problem type: a relative reference to the explanation of the code.
            #[must_use]
            pub const fn type_uri(self) -> &'static str {
                match self { $(Self::$name => concat!("/docs#", $code),)+ }
            }
        }
    };
}

codes! {
    InvalidRequest = "ERR001", StatusCode::BAD_REQUEST, "Invalid request",
        when "The request is malformed or outside its limits; `errors` names the \
              field, in v1 each of them. \
              Also a wrong method (405), a body above 64 KiB (413; above 6 MiB for \
              a part of a campaign) and a body that is not `application/json` (415; for a part, one \
              that is neither CSV nor JSON Lines). When a part is refused, `errors` also has `line`, \
              `column` and `byte`.",
        then "Correct the request. The same request is refused again.",
        v1 "422; 405 and 413 as in v2";
    AuthenticationFailed = "ERR002", StatusCode::UNAUTHORIZED, "Authentication failed",
        when "The API key or the signature is missing or wrong; `reason` says what: `missing` or \
              `malformed` (a header), `key` (unknown, expired or revoked), `clock` (more than 300 \
              seconds off), `signature`, or `nonce` (used before).",
        then "Check the key, the signature and the clock. Sign a repeat anew, with another nonce.",
        v1 "401";
    Internal = "ERR003", StatusCode::INTERNAL_SERVER_ERROR, "Internal error",
        when "A defect of this service.",
        then "Report `request_id`. Repeat under the same Idempotency-Key to learn the outcome.",
        v1 "500";
    Forbidden = "ERR004", StatusCode::FORBIDDEN, "Forbidden",
        when "The caller is not a member of the room, or the wallet or spray belongs to another \
              user. The answer is the same for a room that does not exist. Also: the caller may not \
              force a campaign, the API key has not the scope of the route or may not be used from this \
              address, or API keys are managed while AUTH is open.",
        then "Send the request for a member who has access, with a key that was made for it.",
        v1 "403";
    NotFound = "ERR005", StatusCode::NOT_FOUND, "Not found",
        when "The route, token, spray, transaction, campaign, part, row or product does not exist for this \
              caller. The answer is the same for a malformed name of one of these, and for a \
              malformed wallet or room id. A well-formed wallet or room without access is ERR004, whether \
              it exists or not.",
        then "Check the name.",
        v1 "404; 400 for a token at `POST /receive`";
    IdempotencyConflict = "ERR006", StatusCode::CONFLICT, "Idempotency conflict",
        when "The Idempotency-Key belongs to a request that is still running after 2 seconds, or \
              whose process ended less than 15 seconds ago, 35 for campaigns (409, with Retry-After), or to a \
              request with another payload (422). The key covers the exact bytes of the body. A \
              malformed request (ERR001) is refused before its key is read, and is not kept.",
        then "409: repeat after Retry-After seconds. 422: use a new key for a new request.",
        v1 "409 and 422";
    TooManyRequests = "ERR007", StatusCode::TOO_MANY_REQUESTS, "Too many requests",
        when "A limit is reached: requests a second of a member or an owner, tokens that were \
              missed, or creations in a minute. `RateLimit-Policy` names the limit, Retry-After and \
              `RateLimit` say for how long. docs/limits.md has the figures. API Gateway \
              answers 429 too, without a code.",
        then "Wait for Retry-After seconds, then repeat.",
        v1 "429";
    Unavailable = "ERR008", StatusCode::SERVICE_UNAVAILABLE, "Unavailable",
        when "The service cannot answer now: the store is busy, or live sprays use all tokens. The \
              outcome may be unknown.",
        then "Repeat after Retry-After seconds, under the same Idempotency-Key.",
        v1 "503";
    OwnSpray = "ERR101", StatusCode::FORBIDDEN, "Own spray",
        when "The caller claims a share of their own spray.",
        then "Nothing: the sender cannot claim.",
        v1 "400";
    AlreadyClaimed = "ERR102", StatusCode::CONFLICT, "Already claimed",
        when "The caller already has a share of this spray; `amount` is its amount.",
        then "Nothing: the share is paid or will be paid.",
        v1 "400";
    Exhausted = "ERR103", StatusCode::CONFLICT, "Exhausted",
        when "All shares are taken.",
        then "Nothing: no share becomes free again.",
        v1 "400";
    Expired = "ERR104", StatusCode::GONE, "Expired",
        when "The spray has expired, or the sender reads it by its token after seven days; \
              `token_status` is -2.",
        then "The sender can read it by its id, without a time limit.",
        v1 "400 at `POST /receive`, 404 at `GET /spray/{token}`";
    TooManyLiveSprays = "ERR105", StatusCode::CONFLICT, "Too many live sprays",
        when "The sender has as many live sprays as a member may have; 1,000 by default.",
        then "Wait until a spray is over and refunded.",
        v1 "400";
    WrongState = "ERR201", StatusCode::CONFLICT, "Wrong state",
        when "The campaign is in a state in which this cannot be done; `state` is its state.",
        then "Read the campaign. docs/campaigns.md says what can be done in which state.",
        v1 "–";
    OtherContent = "ERR202", StatusCode::CONFLICT, "Other content",
        when "The request names another content than the one that was sealed; `content_hash` is \
              the hash of the sealed one.",
        then "Read the campaign, check what was sealed, and name its hash.",
        v1 "–";
    ApprovalNotNeeded = "ERR203", StatusCode::CONFLICT, "Approval not needed",
        when "The campaign was made without approvals.",
        then "Start it.",
        v1 "–";
    OwnCampaign = "ERR204", StatusCode::FORBIDDEN, "Own campaign",
        when "The creator of a campaign approves it.",
        then "Have another member approve it.",
        v1 "–";
    ApprovalMissing = "ERR205", StatusCode::CONFLICT, "Approval missing",
        when "The campaign needs an approval before it starts.",
        then "Have a member other than its creator approve it.",
        v1 "–";
    RowsOpen = "ERR206", StatusCode::CONFLICT, "Rows open",
        when "Rows are not paid and not failed yet, so it is not known which have failed; `rows` \
              says how many.",
        then "Repeat after Retry-After seconds. If the campaign was stopped or has failed: start it.",
        v1 "–";
    NothingFailed = "ERR207", StatusCode::CONFLICT, "Nothing failed",
        when "No row of the campaign has failed.",
        then "Nothing: there is nothing to retry.",
        v1 "–";
    OtherPart = "ERR208", StatusCode::CONFLICT, "Other part",
        when "The number of the part was given to other content.",
        then "Send the same content again, or take another number.",
        v1 "–";
    CampaignTooLarge = "ERR209", StatusCode::CONFLICT, "Campaign too large",
        when "With this part the campaign would have more than 1,000,000 rows, or pay more than \
              9,007,199,254,740,991.",
        then "Put the rest into another campaign.",
        v1 "–";
    TooManyCampaigns = "ERR210", StatusCode::CONFLICT, "Too many campaigns",
        when "200 campaigns are queued, running or rolled back.",
        then "Repeat when one of them has ended.",
        v1 "–";
    AlreadyEntered = "ERR301", StatusCode::CONFLICT, "Already entered",
        when "The caller already has a slot of this drop; `slot` is its number.",
        then "Nothing: the slot is paid or will be paid.",
        v1 "–";
    DropSoldOut = "ERR302", StatusCode::GONE, "Sold out",
        when "All slots of the drop and all places on its waiting list are taken.",
        then "Nothing: no place becomes free again.",
        v1 "–";
    DropNotOpen = "ERR303", StatusCode::CONFLICT, "Not open",
        when "The drop has not opened; `opens_at` says when it does. Without `opens_at`: the lots of \
              the drop are being drawn.",
        then "Repeat after Retry-After seconds.",
        v1 "–";
    DropOver = "ERR304", StatusCode::GONE, "Over",
        when "The drop is over.",
        then "Nothing. Read the entry to learn what became of it.",
        v1 "–";
    NoLotLeft = "ERR305", StatusCode::GONE, "No lot left",
        when "All lots of the drop are taken. Their members get all slots and all places.",
        then "Nothing: no lot becomes free again.",
        v1 "–";
    AboveRemaining = "ERR401", StatusCode::CONFLICT, "Above the remainder",
        when "Less than the amount remains of the product; `remaining` is what remains. Nothing is \
              invested in part.",
        then "Invest `remaining` or less.",
        v1 "–";
    ProductSoldOut = "ERR402", StatusCode::GONE, "Sold out",
        when "Nothing remains of the product.",
        then "Nothing: no capacity becomes free again.",
        v1 "–";
    NotOpenYet = "ERR403", StatusCode::CONFLICT, "Not open yet",
        when "The product does not take investments yet; `opens_at` is when it does.",
        then "Repeat from then on, under a new Idempotency-Key.",
        v1 "–";
    ProductOver = "ERR404", StatusCode::GONE, "Over",
        when "The product takes no investments any more; `closes_at` is when it closed.",
        then "Nothing: it does not open again.",
        v1 "–";
    OutsideInvestorLimits = "ERR405", StatusCode::CONFLICT, "Outside the limits",
        when "The amount is below the least investment of the product, `min_investment`, and not all \
              that remains; or the investor would have more than `max_per_investor`, with `invested` \
              so far.",
        then "Invest an amount within the limits.",
        v1 "–";
    InsufficientBalance = "ERR501", StatusCode::CONFLICT, "Insufficient balance",
        when "The balance of the wallet is below the amount; `balance` is the balance.",
        then "Deposit, or give or invest less.",
        v1 "400";
    WalletFull = "ERR502", StatusCode::CONFLICT, "Wallet full",
        when "The balance would be above 9,007,199,254,740,991.",
        then "Spend first.",
        v1 "400";
    TooManyKeys = "ERR601", StatusCode::CONFLICT, "Too many keys",
        when "The owner has 20 live API keys.",
        then "Revoke one of them.",
        v1 "–";
    DeadKey = "ERR602", StatusCode::CONFLICT, "Dead key",
        when "The API key that is to be rotated is expired or revoked.",
        then "Make a new key.",
        v1 "–";
}

impl Code {
    /// The statuses in v2.
    #[must_use]
    pub fn v2(self) -> String {
        match self {
            Self::InvalidRequest => "400, 405, 413 and 415".to_owned(),
            Self::IdempotencyConflict => "409 and 422".to_owned(),
            _ => self.status().as_u16().to_string(),
        }
    }
}

/// The text of docs/errors.md.
#[must_use]
pub fn errors_markdown() -> String {
    let mut text = String::from(
        "# Error codes\n\n\
         Generated from the table in `shared/edge/src/code.rs`; a test compares both.\n\n\
         v2 answers RFC 9457 `application/problem+json`: `{type, title, status, detail, code, \
         request_id, errors?: [{field, code, detail}]}`.\n\
         v1 answers `{\"detail\": …, \"code\": …}`; for ERR001 with status 422, \
         `detail` is a list of `{loc, msg, type}`.\n",
    );
    for code in Code::ALL {
        let (name, title, v2) = (code.as_str(), code.title(), code.v2());
        let (when, then, v1) = (code.when(), code.then(), code.v1());
        // Writing into a String cannot fail.
        let _ = write!(
            text,
            "\n## {name}\n\n**{title}** · v2: {v2} · v1: {v1}\n\n\
             * When: {when}\n* What to do: {then}\n",
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_has_a_unique_name_in_ascending_order() {
        let names: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        let sorted: Vec<_> = names.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        assert_eq!(names, sorted);
    }

    #[test]
    fn the_error_document_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, errors_markdown()).unwrap();
        }
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(stored, errors_markdown(), "run the tests with UPDATE=1");
    }
}
