//! One wiring: template.yaml, the crates under functions/, their events and what the local stack
//! runs are the same. Routes, queues, streams, schedules and tables of the local stack are read
//! from the template itself; the rest is compared here. (The routes of each router with the
//! template's: tests/flows/openapi.rs. What each function may do, and the names that it is given:
//! policies.rs.)

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use largesse_app::drop::promote::CALLS_END_MS;
use largesse_aws::keys;
use largesse_emulator::{FunctionSpec, Stack, World, WorldClock};

fn stack() -> Stack {
    largesse::compose::stack().unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn folders(under: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(root().join(under)).unwrap().map(Result::unwrap);
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    folders.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

fn binaries(stack: &Stack) -> BTreeSet<String> {
    stack.functions.iter().map(|function| function.binary.clone()).collect()
}

#[test]
fn every_crate_under_functions_is_deployed_and_nothing_else_is() {
    assert_eq!(folders("functions"), binaries(&stack()));
}

#[test]
fn every_function_has_a_happy_and_a_hostile_event() {
    let with_events: BTreeSet<String> =
        folders("events").into_iter().filter(|name| name != "schemas").collect();
    assert_eq!(with_events, binaries(&stack()));
    for binary in binaries(&stack()) {
        for case in ["happy", "hostile"] {
            let file = root().join(format!("events/{binary}/{case}.json"));
            assert!(file.is_file(), "{} is missing", file.display());
        }
    }
}

async fn composed(stack: &Stack) -> Result<(), String> {
    let world = World::memory_at(stack, WorldClock::at(0)).unwrap();
    let rng = largesse_aws::production::SecureRng::from_seed(1);
    let store = std::sync::Arc::new(largesse::compose::store(&world, rng));
    let secret = "0123456789abcdef0123456789abcdef";
    let local = largesse::compose::compose(world.clone(), store, secret);
    local.map_err(|error| error.to_string())?;
    for function in &stack.functions {
        for (name, _) in &function.schedules {
            let name = format!("{}/{name}", function.binary);
            world.run_schedule(&name).await.map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_local_stack_runs_every_function_of_the_template_and_every_schedule() {
    composed(&stack()).await.unwrap();
}

#[tokio::test]
async fn a_function_that_the_local_stack_does_not_contain_keeps_it_from_starting() {
    let mut stack = stack();
    stack.functions.push(FunctionSpec { binary: "new-one".to_owned(), ..FunctionSpec::default() });
    let refused = composed(&stack).await.unwrap_err();
    assert!(refused.contains("new-one"), "{refused}");
}

#[test]
fn every_function_has_a_trigger() {
    for function in stack().functions {
        let triggers = function.routes.len()
            + function.queues.len()
            + function.streams.len()
            + function.schedules.len()
            + function.rules.len();
        assert!(triggers > 0, "nothing starts {}", function.binary);
    }
}

#[test]
fn the_indexes_and_keys_that_the_adapters_name_are_the_templates() {
    let stack = stack();
    let names = |schema: &serde_json::Value| {
        let keys = schema.as_array().unwrap().iter().map(|key| key["AttributeName"].clone());
        keys.map(|name| name.as_str().unwrap().to_owned()).collect::<Vec<String>>()
    };
    type Indexes<'a> = &'a [(&'a str, [&'a str; 2])];
    let expected: [(&str, Indexes<'_>); 12] = [
        ("rooms", &[]),
        ("ledger", &[]),
        ("tokens", &[(keys::FREE, [keys::FREE_SHARD, keys::PK])]),
        (
            "sprays",
            &[
                (keys::BY_SENDER, [keys::SENDER, keys::SPRAY_ID]),
                (keys::DUE, [keys::DUE_SHARD, keys::DUE_MS]),
            ],
        ),
        ("pools", &[(keys::SWEEP, [keys::SWEEP_SHARD, keys::SWEEP_MS])]),
        (
            "drops",
            &[
                (keys::BY_LIST, [keys::LIST, keys::DROP_ID]),
                (keys::DUE, [keys::DUE_SHARD, keys::DUE_MS]),
            ],
        ),
        ("grants", &[]),
        ("edge", &[]),
        ("campaigns", &[(keys::BY_TIME, [keys::LIST, keys::CAMPAIGN_ID])]),
        ("campaign-rows", &[]),
        (
            "products",
            &[
                (keys::BY_CLOSING, [keys::LIST, keys::CLOSES_MS]),
                (keys::BY_INVESTOR, [keys::INVESTOR, keys::INVESTMENT_ID]),
                (keys::DUE, [keys::DUE_SHARD, keys::DUE_MS]),
            ],
        ),
        ("reconcile", &[]),
    ];
    assert_eq!(stack.tables.len(), expected.len());
    for (name, indexes) in expected {
        let table = stack.table(&format!("largesse-{name}")).unwrap();
        assert_eq!(table.indexes.len(), indexes.len(), "{name}");
        for (index, keys) in indexes {
            let found = table.indexes.iter().find(|found| found["IndexName"] == *index);
            let found = found.unwrap_or_else(|| panic!("no index {index}"));
            assert_eq!(names(&found["KeySchema"]), *keys, "{index}");
        }
        let sorted =
            ["rooms", "ledger", "grants", "campaigns", "campaign-rows", "products", "reconcile"];
        let has_sort_key = sorted.contains(&name);
        let expected = if has_sort_key { &[keys::PK, keys::SK][..] } else { &[keys::PK][..] };
        let keys: Vec<&String> = table.keys.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, expected, "{name}");
        let ttl = match name {
            "tokens" => Some("ttl"),
            "edge" => Some("expires_at"),
            _ => None,
        };
        assert_eq!(table.ttl_attribute.as_deref(), ttl, "{name}: others are kept for ever");
        let view = match name {
            "pools" | "products" => Some("NEW_AND_OLD_IMAGES"),
            "campaigns" => Some("NEW_IMAGE"),
            _ => None,
        };
        assert_eq!(table.stream_view.as_deref(), view, "{name}");
    }
}

#[test]
fn the_outbox_and_its_mapping_have_the_same_dead_letter_queue() {
    let stack = stack();
    let outbox = stack.function("outbox").unwrap();
    for stream in &outbox.streams {
        let told = largesse_emulator::queue_url(stream.on_failure.as_deref().unwrap());
        assert_eq!(outbox.environment["QUEUE_OUTBOX_DLQ_URL"], told, "{}", stream.table);
    }
}

#[test]
fn a_function_moves_what_is_given_up_to_its_queues_own_dead_letter_queue() {
    let stack = stack();
    for (binary, variable) in
        [("grant-pay", "QUEUE_GRANTS_DLQ_URL"), ("notify", "QUEUE_NOTIFY_DLQ_URL")]
    {
        let function = stack.function(binary).unwrap();
        let redrive = stack.queue(&function.queues[0].queue).unwrap().redrive.clone().unwrap();
        let own = largesse_emulator::queue_url(&redrive.queue);
        assert_eq!(function.environment[variable], own, "{binary}");
    }
}

/// Lambda refuses a mapping from a queue that shows a message again while its function still runs.
#[test]
fn a_queue_hides_a_message_for_six_times_as_long_as_its_function_may_run() {
    let stack = stack();
    for function in &stack.functions {
        for trigger in &function.queues {
            let hidden_ms = stack.queue(&trigger.queue).unwrap().visibility_ms;
            let runs_ms = i64::try_from(function.timeout.as_millis()).unwrap();
            assert_eq!(hidden_ms, 6 * runs_ms, "{}", trigger.queue);
        }
    }
}

/// A slot is passed on when no call for it is under way: an invocation that began one has ended.
#[test]
fn a_slot_is_passed_on_after_twice_the_time_that_a_payment_may_run() {
    let timeout = stack().function("grant-pay").unwrap().timeout;
    assert_eq!(u128::from(CALLS_END_MS), 2 * timeout.as_millis());
}

#[test]
fn every_end_of_a_campaign_goes_to_the_queue_of_notices() {
    let stack = stack();
    let [rule] = &stack.rules[..] else { panic!("one rule: {:?}", stack.rules) };
    assert_eq!(rule.bus, "largesse-events");
    assert_eq!(rule.queues, [stack.function("notify").unwrap().queues[0].queue.clone()]);
    let wants = |kind: &str| {
        let event = serde_json::json!({ "source": "largesse", "detail-type": kind });
        rule.pattern.as_ref().unwrap().matches(&event)
    };
    for kind in ["completed", "failed", "stopped", "rolled_back"] {
        assert!(wants(&format!("campaign.{kind}")), "{kind}");
    }
    assert!(!wants("grant.permanently_failed"));
}

#[test]
fn an_outage_of_three_days_uses_up_no_message() {
    let stack = stack();
    let campaigns = ["largesse-campaigns.fifo", "largesse-campaign-retries"];
    for queue in ["largesse-grants.fifo", "largesse-notify"].into_iter().chain(campaigns) {
        let redrive = stack.queue(queue).unwrap().redrive.clone().unwrap();
        // Each receive that fails for want of infrastructure delays the message, once the delay has
        // grown, by 450 s to 900 s at random (functions/grant-pay, functions/notify): by 675 s on
        // average.
        let grown = redrive.receives_max - 10;
        assert!(grown * 675 > 3 * 24 * 3_600, "{queue}: {grown} receives");
    }
    let redrive = stack.queue("largesse-grants.fifo").unwrap().redrive.clone().unwrap();
    let retries = &stack.function("grant-pay").unwrap().environment["GRANT_RETRIES_MAX"];
    assert!(redrive.receives_max > retries.parse::<u32>().unwrap() + 1);
}
