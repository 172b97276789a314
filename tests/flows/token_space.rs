//! One member and the space of tokens, at its full size and with the limits of template.yaml.

use std::time::Duration;

use largesse_app::budget::create::{CreationLimits, admit};
use largesse_app::ports::{Clock, Wallets};
use largesse_app::spray::create::{Create, CreateError, create};
use largesse_domain::id::{SprayId, TOKEN_COUNT, Token};
use largesse_domain::split::Split;
use largesse_domain::spray::{LIVE_SPRAYS_MAX, Terms};
use largesse_tests::http::{Api, Reply};
use largesse_tests::{Sandbox, user};
use serde_json::json;

/// What a member may ask in a second, and a member and an owner create in a minute (template.yaml).
const REQUESTS_MEMBER_PER_S: u32 = 50;
const CREATIONS_MEMBER_MAX: u32 = 600;
const CREATIONS_OWNER_MAX: u32 = 6_000;
/// The longest window of a spray, in seconds.
const WEEK_S: u64 = 604_800;

/// A world in which callers reach the limits that the template gives.
fn limited(seed: u64) -> Api {
    let limits = [
        ("REQUESTS_MEMBER_PER_S", REQUESTS_MEMBER_PER_S),
        ("CREATIONS_MEMBER_MAX", CREATIONS_MEMBER_MAX),
        ("CREATIONS_OWNER_MAX", CREATIONS_OWNER_MAX),
    ];
    Api::with_limits(seed, &limits)
}

/// Sprays 1 for as long as a spray may live.
async fn spray(api: &Api, room: &str, sender: &str) -> Reply {
    let wish = json!({ "amount": 1, "recipients": 1, "expires_in_s": WEEK_S });
    api.post(sender, "/api/v2/sprays").room(room).key(api.new_key()).json(wish).await
}

/// What a member who sprays was told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    made: u32,
    too_many_live: u32,
    budget_used_up: u32,
}

impl Told {
    fn count(&mut self, reply: &Reply) {
        match reply.verdict() {
            (201, _) => self.made += 1,
            (409, "ERR105") => self.too_many_live += 1,
            (429, "ERR007") => self.budget_used_up += 1,
            _ => panic!("{}", reply.text),
        }
    }
}

/// As many tries as there are tokens, as fast as a member may ask, for a quarter of an hour. Each
/// minute the budget admits 600; of these, the limit of live sprays lets a thousand through in all.
/// Below the routes, which would take five times as long; the next test goes through them.
#[tokio::test(start_paused = true)]
async fn a_member_who_tries_as_many_sprays_as_there_are_tokens_takes_a_thousand() {
    let sandbox = Sandbox::new(1);
    let room = sandbox.room(&["ann", "bob"]).await;
    for name in ["ann", "bob"] {
        sandbox.deposit(name, 2_000).await;
    }
    let limits = CreationLimits { member: CREATIONS_MEMBER_MAX, owner: CREATIONS_OWNER_MAX };
    let try_one = async |name: &str| {
        let store = &*sandbox.store;
        if admit(store, "chat", &user(name), limits).await.unwrap().is_err() {
            return Err(None);
        }
        let terms = Terms::new(1, 1, Split::Equal, WEEK_S).unwrap();
        let (id, sender) = (SprayId(sandbox.id()), user(name));
        create(store, Create { id, room, sender, terms }).await.map_err(Some)
    };
    let (mut told, mut minutes) = (Told::default(), 0);
    for n in 0..TOKEN_COUNT {
        if n % (60 * REQUESTS_MEMBER_PER_S) == 0 {
            // Another member is served in each of these minutes.
            try_one("bob").await.unwrap();
            minutes += 1;
        }
        match try_one("ann").await {
            Ok(_) => told.made += 1,
            Err(Some(CreateError::TooManyLive)) => told.too_many_live += 1,
            Err(None) => told.budget_used_up += 1,
            Err(Some(other)) => panic!("{other}"),
        }
        tokio::time::advance(Duration::from_secs(1) / REQUESTS_MEMBER_PER_S).await;
    }
    let admitted = minutes * CREATIONS_MEMBER_MAX;
    let expected = Told {
        made: LIVE_SPRAYS_MAX,
        too_many_live: admitted - LIVE_SPRAYS_MAX,
        budget_used_up: TOKEN_COUNT - admitted,
    };
    assert_eq!((told, minutes), (expected, 16));
    let wallet = sandbox.store.wallet(&user("ann")).await.unwrap();
    assert_eq!(wallet.balance.get(), 1_000, "what is refused costs nothing");
}

/// The sprays of others hold all tokens but a thousand and three. One member takes a thousand, and
/// goes on; the three are left to others.
#[tokio::test(start_paused = true)]
async fn a_member_who_takes_what_a_member_may_leaves_the_last_tokens_to_others() {
    const OTHERS: [&str; 3] = ["bob", "carol", "dave"];
    let api = limited(2);
    let room = api.room(&["bob", "carol", "dave", "eve", "ann"]).await;
    api.deposit("ann", 2_000).await;
    for name in OTHERS.into_iter().chain(["eve"]) {
        api.deposit(name, 1).await;
    }
    let left = LIVE_SPRAYS_MAX + u32::try_from(OTHERS.len()).unwrap();
    let left: Vec<Token> = (0..left).map(|n| Token::from_index(n * 46)).collect();
    let week = api.sandbox.store.now().plus_ms(WEEK_S * 1_000);
    api.sandbox.take_all_tokens_but(&left, week).await;
    let mut told = Told::default();
    for _ in 0..2 * CREATIONS_MEMBER_MAX {
        told.count(&spray(&api, &room, "ann").await);
        tokio::time::advance(Duration::from_secs(60) / CREATIONS_MEMBER_MAX).await;
    }
    let expected = Told { made: LIVE_SPRAYS_MAX, too_many_live: 200, budget_used_up: 0 };
    assert_eq!(told, expected);
    for name in OTHERS {
        let made = spray(&api, &room, name).await.expect(201);
        let token: Token = made.string("token").parse().unwrap();
        assert!(left.contains(&token), "{token}");
    }
    // Now the space is full, and that is said: nothing of it was lost.
    assert_eq!(spray(&api, &room, "eve").await.status, 503);
}
