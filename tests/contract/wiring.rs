//! One wiring: template.yaml, the crates under functions/, their events and what the local stack
//! runs are the same. Routes, queues, streams, schedules and tables of the local stack are read
//! from the template itself; the rest is compared here. (The routes of each router with the
//! template's: functions/query/tests/openapi.rs. What each function may do, and the names that it
//! is given: policies.rs.)

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

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
fn the_indexes_and_keys_that_the_adapters_ask_for_are_the_templates() {
    let stack = stack();
    let pools = stack.table("largesse-pools").unwrap();
    let index = |name: &str| {
        let found = pools.indexes.iter().find(|index| index["IndexName"] == name);
        let schema = found.unwrap_or_else(|| panic!("no index {name}"))["KeySchema"].clone();
        let names = schema.as_array().unwrap().iter().map(|key| key["AttributeName"].clone());
        names.map(|name| name.as_str().unwrap().to_owned()).collect::<Vec<String>>()
    };
    assert_eq!(index(keys::BY_SENDER), ["sender", "spray_id"]);
    assert_eq!(index(keys::DUE), ["due_shard", "due_ms"]);
    assert_eq!(index(keys::SWEEP), ["due_shard", "sweep_ms"]);
    assert_eq!(pools.indexes.len(), 3);
    let keys_of = |table: &str| {
        let table = stack.table(&format!("largesse-{table}")).unwrap();
        table.keys.iter().map(|(name, _)| name.clone()).collect::<Vec<String>>()
    };
    for table in ["rooms", "ledger", "grants"] {
        assert_eq!(keys_of(table), [keys::PK, keys::SK], "{table}");
    }
    for table in ["tokens", "pools", "edge"] {
        assert_eq!(keys_of(table), [keys::PK], "{table}");
    }
    let ttl = |table: &str| stack.table(table).unwrap().ttl_attribute.clone();
    assert_eq!(ttl("largesse-tokens").as_deref(), Some("ttl"));
    assert_eq!(ttl("largesse-edge").as_deref(), Some("expires_at"));
    for table in ["rooms", "ledger", "grants", "pools"] {
        assert_eq!(ttl(&format!("largesse-{table}")), None, "{table} is kept for ever");
    }
}

#[test]
fn the_outbox_and_its_mapping_have_the_same_dead_letters() {
    let stack = stack();
    let outbox = stack.function("outbox").unwrap();
    let told = outbox.streams[0].on_failure.as_deref().unwrap();
    assert_eq!(outbox.environment["QUEUE_OUTBOX_DLQ_URL"], largesse_emulator::queue_url(told));
}

#[test]
fn the_retries_of_a_payment_fit_into_the_queues_receives() {
    let stack = stack();
    let retries = &stack.function("grant-pay").unwrap().environment["GRANT_RETRIES_MAX"];
    let retries: u32 = retries.parse().unwrap();
    let redrive = stack.queue("largesse-grants.fifo").unwrap().redrive.clone().unwrap();
    assert!(redrive.receives_max > retries + 1);
}
