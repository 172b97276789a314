//! Payments that the money service makes after its caller gave up, and after a look-up found nothing.

use largesse_app::campaign::ChunkOutcome;
use largesse_app::ports::ChunkWork;
use largesse_domain::campaign::{Generation, RowKey, State};
use largesse_domain::id::GrantId;
use largesse_tests::user;

use crate::campaign_scene::{AMOUNT, Act, Scene};

fn grant(scene: &Scene, member: &str) -> GrantId {
    let (campaign, member) = (scene.id, user(member));
    RowKey { campaign, member, generation: Generation::FIRST }.grant()
}

/// The caller heard nothing in time and its look-up found nothing, so the row is to be sent again
/// (docs/money.md). Then the campaign is stopped, and the first call has its effect after all.
#[tokio::test(start_paused = true)]
async fn a_rollback_takes_back_what_was_paid_after_a_look_up_found_nothing() {
    let scene = Scene::new(1, 150).await;
    scene.bank.tell("m001", &[Act::NotNow; 5_000]);
    scene.bank.tell("m002", &[Act::NotNow; 5_000]);
    let store = &*scene.sandbox.store;
    let layout = scene.campaign().await.seal.unwrap().layout;
    let at = usize::try_from(layout.chunk(&user("m001")).0).unwrap();
    let message = scene.messages(ChunkWork::Pay).await[at];
    let outcome = scene.deliver(store, &message).await;
    assert!(matches!(outcome, ChunkOutcome::Later { .. }), "{outcome:?}");
    scene.stop().await;
    let late = (grant(&scene, "m001"), ("m001".to_owned(), 1));
    scene.bank.paid.lock().unwrap().extend([late]);
    let paid = scene.bank.members_paid().len();
    scene.roll_back().await;
    scene.drain(store, ChunkWork::Reverse).await;
    assert_eq!(scene.state().await, State::RolledBack);
    assert_eq!(scene.bank.calls_of("m001").last(), Some(&"reverse"));
    assert_eq!(scene.bank.reversed.lock().unwrap().len(), paid);
    let reversed = scene.tally().await.reversed;
    assert_eq!(reversed.amount, u64::try_from(paid).unwrap() * AMOUNT);
    // Rows of a chunk that no worker ever had cannot be paid, and cost no look-up.
    let unsent: Vec<String> = (0..150)
        .map(|n| format!("m{n:03}"))
        .filter(|member| layout.chunk(&user(member)) != message.chunk)
        .collect();
    assert!(!unsent.is_empty());
    assert!(unsent.iter().all(|member| scene.bank.calls_of(member).is_empty()));
}
