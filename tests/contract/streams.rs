//! Stream records of the pools table: which entries are new.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use largesse_app::invocation;
use largesse_app::ports::{Clock, GrantMessage, Refunds};
use largesse_app::trace::TraceId;
use largesse_aws::pool::stream::{NewEntries, new_entries};
use largesse_domain::grant::Grant;
use largesse_domain::pool::Entry;
use largesse_domain::spray::Spray;
use largesse_tests::{Sandbox, user};
use serde_dynamo::AttributeValue;

use crate::scene::{Table, buckets, draw, drawn, key, n, request, s, sprayed};

type Image = HashMap<String, AttributeValue>;

/// The old and the new image of each record that reaches the outbox from here on.
fn records(sandbox: &Sandbox) -> Arc<Mutex<Vec<(Image, Image)>>> {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let trigger = sandbox.world.stack().function("outbox").unwrap().streams[0].clone();
    let keep = kept.clone();
    let handle = move |event: aws_lambda_events::event::dynamodb::Event| {
        let images = event.records.into_iter().map(|record| {
            (record.change.old_image.into_inner(), record.change.new_image.into_inner())
        });
        keep.lock().unwrap().extend(images);
        async { Ok(Default::default()) }
    };
    sandbox.world.on_stream(trigger, handle).unwrap();
    kept
}

/// What each record that came since says.
async fn read(sandbox: &Sandbox, kept: &Mutex<Vec<(Image, Image)>>) -> Vec<NewEntries> {
    sandbox.world.settle().await;
    let images: Vec<(Image, Image)> = kept.lock().unwrap().drain(..).collect();
    images.into_iter().map(|(old, new)| new_entries(old, new).unwrap()).collect()
}

/// The shuffle writes all entries of a bucket at once.
#[tokio::test(start_paused = true)]
async fn sixteen_entries_at_once_are_one_record_with_sixteen_grants_and_lots_are_none() {
    let sandbox = Sandbox::new(4);
    let kept = records(&sandbox);
    let drop = sandbox.open_shuffled_drop(16, 16).await;
    for n in 0..16 {
        crate::drops_lots::register(&sandbox.store, &drop, &format!("m{n}")).await;
    }
    assert_eq!(read(&sandbox, &kept).await, []);
    crate::drops_lots::draw_lots(&sandbox, &drop).await;
    let [record] = &read(&sandbox, &kept).await[..] else { panic!("one record") };
    let members: std::collections::BTreeSet<_> =
        record.messages.iter().map(|sent| &sent.grant.member).collect();
    assert_eq!((members.len(), record.messages.len()), (16, 16));
    let sum: u64 = record.messages.iter().map(|sent| sent.grant.amount.get()).sum();
    assert_eq!((sum, record.impossible.len()), (160, 0));
}

fn only(grant: Grant) -> NewEntries {
    NewEntries { messages: vec![GrantMessage::first(grant)], impossible: Vec::new() }
}

fn bucket_key(spray: &Spray) -> crate::scene::Item {
    key(format!("{}#0", spray.pool()))
}

#[tokio::test(start_paused = true)]
async fn each_draw_gives_its_own_grant_and_closing_gives_none() {
    let sandbox = Sandbox::new(1);
    let kept = records(&sandbox);
    let spray = sprayed(&sandbox, 3).await;
    assert_eq!(read(&sandbox, &kept).await, [], "a new bucket holds no entry");
    for member in ["a", "b"] {
        let grant = drawn(&sandbox, &spray, member).await;
        assert_eq!((grant.source, grant.funder.as_str()), (spray.pool(), "s"));
        assert_eq!(read(&sandbox, &kept).await, [only(grant)]);
    }
    let as_read = buckets(&sandbox, &spray).await;
    sandbox.store.refund_spray(&spray, &as_read, spray.window.closes).await.unwrap();
    assert_eq!(read(&sandbox, &kept).await, [NewEntries::default()]);
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_cannot_be_is_told_once_and_hides_no_other() {
    let sandbox = Sandbox::new(2);
    let kept = records(&sandbox);
    let spray = sprayed(&sandbox, 4).await;
    let table = Table::of(&sandbox, "pools");
    for member in ["a", "x", "y"] {
        drawn(&sandbox, &spray, member).await;
    }
    drop(read(&sandbox, &kept).await);
    let honest = table.get(&bucket_key(&spray)).await.unwrap();
    // One entry is made a text, and one gets a time at which the window is over.
    let y = buckets(&sandbox, &spray).await[0].draws[&user("y")];
    let too_late = Entry { at: spray.window.closes, ..y };
    let mut draws = honest["draws"].as_m().unwrap().clone();
    draws.insert("x".to_owned(), s("text"));
    draws.insert("y".to_owned(), n(too_late.pack()));
    let map = aws_sdk_dynamodb::types::AttributeValue::M(draws);
    table.set(&bucket_key(&spray), "draws", map).await;
    let impossible = vec![user("x"), user("y")];
    let found = read(&sandbox, &kept).await;
    assert_eq!(found, [NewEntries { messages: Vec::new(), impossible }]);
    let b = drawn(&sandbox, &spray, "b").await;
    assert_eq!(read(&sandbox, &kept).await, [only(b)]);
    let mut last = table.get(&bucket_key(&spray)).await.unwrap();
    let mut draws = last["draws"].as_m().unwrap().clone();
    draws.extend(honest["draws"].as_m().unwrap().clone());
    last.insert("draws".to_owned(), aws_sdk_dynamodb::types::AttributeValue::M(draws));
    table.put(last).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_has_the_trace_of_its_own_draw_and_of_no_other() {
    let sandbox = Sandbox::new(5);
    let kept = records(&sandbox);
    let spray = sprayed(&sandbox, 4).await;
    read(&sandbox, &kept).await;
    let trace = TraceId::of_hex("5759e988bd862e3fe1be46a994272793").unwrap();
    let now = sandbox.store.now();
    let members = [("a", 1), ("b", 999_999_999_999), ("c", 3)];
    for (member, nonce) in members {
        let wish = request(member, now, nonce);
        // The second draw is part of no trace.
        let drawn = if member == "b" {
            draw(&sandbox.store, &spray, &wish).await
        } else {
            invocation::traced(trace, draw(&sandbox.store, &spray, &wish)).await
        };
        drawn.unwrap();
    }
    sandbox.world.settle().await;
    let mut images: Vec<(Image, Image)> = kept.lock().unwrap().drain(..).collect();
    let traces = |old: &Image, new: &Image| -> Vec<Option<TraceId>> {
        let messages = new_entries(old.clone(), new.clone()).unwrap().messages;
        messages.iter().map(|message| message.trace).collect()
    };
    let found: Vec<_> = images.iter().map(|(old, new)| traces(old, new)).collect();
    assert_eq!(found, [[Some(trace)], [None], [Some(trace)]]);
    // A version that writes no trace leaves the one of the draw before.
    let (old, mut new) = images.remove(1);
    new.insert("trace".to_owned(), images[0].1["trace"].clone());
    assert_eq!(traces(&old, &new), [None]);
    // Whatever stands there holds up no payment.
    for odd in [AttributeValue::S("odd".to_owned()), AttributeValue::B(vec![0; 3])] {
        new.insert("trace".to_owned(), odd);
        assert_eq!(traces(&old, &new), [None]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_image_that_cannot_be_read_hides_no_entry_and_a_new_one_is_corrupt() {
    let sandbox = Sandbox::new(3);
    let kept = records(&sandbox);
    let spray = sprayed(&sandbox, 3).await;
    let grants = [drawn(&sandbox, &spray, "a").await, drawn(&sandbox, &spray, "b").await];
    sandbox.world.settle().await;
    let (old, new) = kept.lock().unwrap().pop().unwrap();
    let without = |image: &Image, name: &str| {
        let mut image = image.clone();
        image.remove(name).unwrap();
        image
    };
    assert_eq!(new_entries(old.clone(), new.clone()).unwrap(), only(grants[1].clone()));
    for old in [without(&old, "taken"), Image::new()] {
        let messages = grants.clone().map(GrantMessage::first);
        assert_eq!(new_entries(old, new.clone()).unwrap().messages, messages);
    }
    for name in ["pk", "taken", "funder", "worth", "size", "opens_ms", "status", "kind"] {
        let error = new_entries(old.clone(), without(&new, name)).unwrap_err();
        assert_eq!(error.kind, largesse_app::ports::PortErrorKind::Corrupt, "{name}");
    }
}
