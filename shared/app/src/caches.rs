//! What a process keeps instead of reading it again, and how old it may be. `docs/caching.md` shows
//! this table; a test keeps both the same.
//!
//! Money moves only under the conditions of a write, whatever a cache says. Membership of a room is the
//! one rule that is decided from a cache.

use std::fmt::Write;

use largesse_domain::time::{TIMESTAMP_MS_MAX, Timestamp};

/// What one cache keeps.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// Its name: the label `cache` of the metrics.
    pub name: &'static str,
    /// What it keeps.
    pub what: &'static str,
    /// How old it may be.
    pub stale: Stale,
    /// What follows for callers.
    pub follows: &'static str,
    /// How many entries one process keeps at most.
    pub len_max: usize,
}

/// How old what is kept may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale {
    /// It cannot change while it is kept.
    Never,
    /// That many milliseconds.
    Ms(u64),
}

impl Kept {
    /// Until when a value that was true at `now` is kept.
    #[must_use]
    pub fn until(&self, now: Timestamp) -> Timestamp {
        match self.stale {
            Stale::Never => Timestamp::from_ms(TIMESTAMP_MS_MAX),
            Stale::Ms(ms) => now.plus_ms(ms),
        }
    }
}

/// API keys.
pub const KEYS: Kept = Kept {
    name: "keys",
    what: "an API key: its owner, scopes, addresses and end",
    // Half of the minute within which a revocation counts.
    stale: Stale::Ms(30_000),
    follows: "a key that was revoked is admitted for that long",
    len_max: 10_000,
};

/// That there is no such API key.
pub const UNKNOWN_KEYS: Kept = Kept {
    name: "unknown_keys",
    what: "that there is no such API key",
    stale: Stale::Ms(5_000),
    follows: "a new key that was asked for before it was made is refused for that long",
    len_max: 10_000,
};

/// What callers have used of their budgets.
pub const BUDGETS: Kept = Kept {
    name: "budgets",
    what: "what is used of a budget, until its window closes",
    stale: Stale::Ms(60_000),
    follows: "a token that this process knows is looked up although the budget is used up elsewhere",
    len_max: 10_000,
};

/// What a process took of a budget and has not spent.
pub const LEASES: Kept = Kept {
    name: "leases",
    what: "what this process took of a budget and has not spent, until its window closes",
    stale: Stale::Ms(60_000),
    follows: "a caller may be refused while other processes keep a rest",
    len_max: 10_000,
};

/// That a user is in a room.
pub const MEMBERS: Kept = Kept {
    name: "members",
    what: "that a user is in a room; \"no\" is never kept",
    stale: Stale::Ms(1_000),
    follows: "a member who was removed can still claim in that second",
    len_max: 10_000,
};

/// That a member of a room was read.
pub const RECENT_ROOMS: Kept = Kept {
    name: "recent_rooms",
    what: "that a member of a room was read: the next one reads the whole list",
    stale: Stale::Ms(1_000),
    follows: "nothing: it only decides how members are read",
    len_max: 10_000,
};

/// The members of a crowded room.
pub const ROOM_MEMBERS: Kept = Kept {
    name: "room_members",
    what: "the first 1,000 members of a room that many ask about",
    stale: Stale::Ms(1_000),
    follows: "as for `members`",
    len_max: 256,
};

/// What a token stands for.
pub const TOKENS: Kept = Kept {
    name: "tokens",
    what: "what a token stands for, until its window closes",
    stale: Stale::Never,
    follows: "nothing: no spray can take the token before",
    len_max: 10_000,
};

/// That no token is free.
pub const FULL_TOKENS: Kept = Kept {
    name: "full_tokens",
    what: "that no token is free, no longer than the first may become free",
    stale: Stale::Ms(2_000),
    follows: "a spray is refused although a refund has freed a token",
    len_max: 1,
};

/// Full buckets.
pub const FULL_BUCKETS: Kept = Kept {
    name: "full_buckets",
    what: "buckets of which every part is drawn, members included, some 2 KB each",
    stale: Stale::Never,
    follows: "nothing: a full bucket changes no more but to be closed",
    // More than the 6,250 of slots and 6,250 of places of the largest drop, or its 12,500 of lots,
    // which no member asks for then.
    len_max: 16_384,
};

/// The terms of drops.
pub const DROPS: Kept = Kept {
    name: "drops",
    what: "the terms of a drop",
    stale: Stale::Never,
    follows: "nothing: they never change",
    len_max: 256,
};

/// Waiting lists of drops.
pub const WAITING_LISTS: Kept = Kept {
    name: "waiting_lists",
    what: "the waiting list of a drop: 1 s, or 2 ms for each of its buckets if that is longer",
    stale: Stale::Ms(LARGEST_DROP_MS),
    follows: "a position is that old",
    len_max: 256,
};

/// Drops whose lots are to be drawn.
pub const WAITING_DROPS: Kept = Kept {
    name: "waiting_drops",
    what: "that the lots of a drop are to be drawn",
    stale: Stale::Ms(1_000),
    follows: "a member who enters in that second after the draw hears to come again",
    len_max: 256,
};

/// Figures of drops.
pub const DROP_FIGURES: Kept = Kept {
    name: "drop_figures",
    what: "the figures of a drop: 1 s, or 2 ms for each bucket of its slots if that is longer",
    stale: Stale::Ms(LARGEST_DROP_MS),
    follows: "`taken`, `paid`, `failed` and `waiting` are that old",
    len_max: 256,
};

/// The 6,250 buckets of the largest drop.
const LARGEST_DROP_MS: u64 = 12_500;

/// The terms of products.
pub const PRODUCTS: Kept = Kept {
    name: "products",
    what: "the terms of a product",
    stale: Stale::Never,
    follows: "nothing: they never change. The mark that it is sold out may be missing, and then the \
              shards say so",
    len_max: 1_024,
};

/// Shards of products.
pub const PRODUCT_SHARDS: Kept = Kept {
    name: "product_shards",
    what: "the shards of a product: what is left and how many invested",
    stale: Stale::Ms(1_000),
    follows: "`raised`, `remaining` and `investors` of lists are that old; an investment that does not \
              fit is refused only after a fresh read",
    len_max: 1_024,
};

/// Snapshots of campaigns.
pub const SNAPSHOTS: Kept = Kept {
    name: "snapshots",
    what: "that a time slot of a campaign has its snapshot",
    stale: Stale::Never,
    follows: "nothing: a snapshot is never removed. It is kept for a minute",
    len_max: 10_000,
};

/// The pools that are frozen.
pub const FROZEN: Kept = Kept {
    name: "frozen",
    what: "which pools are frozen, all of them in one entry",
    // One read a second, whatever a process pays.
    stale: Stale::Ms(1_000),
    follows: "a pool that was frozen can still be paid from in that second; its buckets give nothing \
              at once",
    len_max: 1,
};

/// How old the view of a circuit breaker may be, in milliseconds.
pub(crate) const BREAKER_MS: u64 = 1_000;

/// The shared circuit breaker of a money service.
pub const BREAKER: Kept = Kept {
    name: "breaker",
    what: "the circuit breaker of the money service",
    stale: Stale::Ms(BREAKER_MS),
    follows: "a process calls a service for that long after another one opened the breaker",
    len_max: 1,
};

/// All of them.
pub const ALL: [&Kept; 19] = [
    &KEYS,
    &UNKNOWN_KEYS,
    &BUDGETS,
    &LEASES,
    &MEMBERS,
    &RECENT_ROOMS,
    &ROOM_MEMBERS,
    &TOKENS,
    &FULL_TOKENS,
    &FULL_BUCKETS,
    &DROPS,
    &WAITING_LISTS,
    &WAITING_DROPS,
    &DROP_FIGURES,
    &PRODUCTS,
    &PRODUCT_SHARDS,
    &SNAPSHOTS,
    &FROZEN,
    &BREAKER,
];

/// The table in Markdown.
#[must_use]
pub fn table() -> String {
    let mut table =
        "| cache | what it keeps | how old at most | what follows | entries at most |\n\
                     | --- | --- | --- | --- | --- |\n"
            .to_owned();
    for Kept { name, what, stale, follows, len_max } in ALL {
        let age = match stale {
            Stale::Never => "cannot change".to_owned(),
            Stale::Ms(ms) => format!("{ms} ms"),
        };
        // Writing to a `String` cannot fail.
        let _ = writeln!(table, "| `{name}` | {what} | {age} | {follows} | {len_max} |");
    }
    table
}

#[cfg(test)]
mod tests {
    use largesse_domain::drop::SLOTS_MAX;
    use largesse_domain::pool::bucket_count;

    use super::*;
    use crate::drop::read::remember_until;

    #[test]
    fn what_is_kept_of_the_largest_drop_is_as_old_as_the_table_says() {
        let begin = Timestamp::from_ms(0);
        let largest = remember_until(begin, bucket_count(SLOTS_MAX));
        for kept in [WAITING_LISTS, DROP_FIGURES] {
            assert_eq!(kept.until(begin), largest, "{}", kept.name);
        }
    }

    #[test]
    fn each_cache_has_a_name_of_its_own() {
        let mut names: Vec<_> = ALL.iter().map(|kept| kept.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
