//! An event of the HTTP API, payload format 2.0.

use largesse_app::invocation::MalformedRequest;
use largesse_runtime::{BasePath, request_of};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use crate::edits::{edited, edits, node_edits, rounds, with_nodes};

const SAMPLES: [&str; 3] = [
    include_str!("../../events/query/happy.json"),
    include_str!("../../events/spray-create/happy.json"),
    include_str!("../../events/spray-create/hostile.json"),
];

proptest! {
    #![proptest_config(rounds())]

    /// A function that panics over an event answers 5xx. What is no request is answered 400 instead.
    #[test]
    fn every_event_becomes_a_request_and_one_that_is_none_says_so(
        sample in select(&SAMPLES[..]), nodes in node_edits(), edits in edits(),
    ) {
        let event = with_nodes(&serde_json::from_str(sample).unwrap(), &nodes);
        let text = edited(event.to_string().as_bytes(), &edits);
        let text = String::from_utf8_lossy(&text).into_owned();
        let request = request_of(&text, &BasePath::default());
        let is_malformed = request.extensions().get::<MalformedRequest>().is_some();
        let is_event = serde_json::from_str::<Value>(&text).is_ok_and(|event| event.is_object());
        prop_assert!(is_event || is_malformed, "{}", text);
        prop_assert!(request.uri().path().starts_with('/'), "{}", text);
    }
}
