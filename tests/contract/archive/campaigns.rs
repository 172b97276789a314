//! Finished campaigns: they go with all their rows.

use largesse_app::ports::Campaigns;
use largesse_domain::campaign::Duplicates;
use largesse_domain::id::CampaignId;
use largesse_emulator::Service;

use super::*;
use crate::campaign::queued;
use crate::campaign_rows::{begin_seal, draft, members, put, seal, seal_in};

/// A sealed campaign of two parts, with rows that name a member again.
pub(crate) async fn sealed(sandbox: &Sandbox) -> CampaignId {
    let id = draft(sandbox, Duplicates::First).await;
    put(sandbox, id, 1, &members(0, 250)).await;
    put(sandbox, id, 2, &members(200, 150)).await;
    seal(sandbox, id).await;
    id
}

#[tokio::test(start_paused = true)]
async fn a_campaign_that_was_left_alone_goes_with_its_parts_chunks_and_audit() {
    let sandbox = Sandbox::new(81);
    let id = sealed(&sandbox).await;
    tokio::time::advance(LATER).await;
    let before = of(&stored(&sandbox), PoolId::Campaign(id));
    for part in ["META", "AUDIT#", "PART#", "COUNT#", "SEAL#", "CHUNK#", "DUP#", "REPORT"] {
        assert!(before.iter().any(|key| key.contains(part)), "{part}: {before:#?}");
    }
    let pass = ran(&sandbox, 82).await;
    assert_eq!((pass.counts.things, pass.counts.held), (1, 0), "{pass:#?}");
    assert_eq!(of(&stored(&sandbox), PoolId::Campaign(id)), BTreeSet::new());
    assert_eq!(archived(&sandbox.store, PoolId::Campaign(id)).await, before);
    assert!(sandbox.store.campaign(id).await.unwrap().is_none());
    proved(&sandbox).await;
}

#[tokio::test(start_paused = true)]
async fn a_campaign_that_waits_to_run_or_is_sealed_stays() {
    let sandbox = Sandbox::new(83);
    let waiting = queued(&sandbox).await;
    let sealing = draft(&sandbox, Duplicates::First).await;
    put(&sandbox, sealing, 1, &members(0, 3)).await;
    begin_seal(&sandbox, sealing).await;
    tokio::time::advance(LATER).await;
    let before = stored(&sandbox);
    let pass = ran(&sandbox, 84).await;
    assert_eq!((pass.counts.things, pass.counts.held), (0, 2), "{pass:#?}");
    assert_eq!(stored(&sandbox), before);
    let oldest = waiting.0.timestamp_ms().min(sealing.0.timestamp_ms());
    assert!(pass.horizon().ms_unsigned() < oldest);
}

#[tokio::test(start_paused = true)]
async fn a_campaign_with_a_recent_action_stays() {
    let sandbox = Sandbox::new(85);
    let id = draft(&sandbox, Duplicates::First).await;
    tokio::time::advance(LATER).await;
    put(&sandbox, id, 1, &members(0, 3)).await;
    let pass = ran(&sandbox, 86).await;
    assert_eq!(pass.held.unwrap().why, "it ended later than the age");
    assert!(sandbox.store.campaign(id).await.unwrap().is_some());
}

/// A draft of three parts whose three seals were refused, since each part names a member twice.
pub(super) async fn refused(sandbox: &Sandbox) -> CampaignId {
    let id = draft(sandbox, Duplicates::Refuse).await;
    for part in 1..=3 {
        put(sandbox, id, part, &format!("member_id,amount\na{part},5\nb,5\nb,5\n")).await;
        seal_in(sandbox, id, 1).await;
    }
    assert_eq!(crate::campaign_rows::campaign(sandbox, id).await.life.seal_attempt, 3);
    id
}

/// Of seals that were given up, each set of items is read once, and what says where they are is
/// read once for the campaign and not for each set.
#[tokio::test(start_paused = true)]
async fn a_campaign_with_seals_that_were_given_up_is_packed_by_one_read_of_each_set() {
    let sandbox = Sandbox::new(87);
    let id = refused(&sandbox).await;
    sandbox.world.recorder().reset();
    damaged::packed(&sandbox.store, PoolId::Campaign(id)).await;
    let calls = |name: &str| sandbox.world.recorder().operation(Service::DynamoDb, name).calls;
    // The campaign.
    assert_eq!(calls("GetItem"), 1);
    // The list of parts; the partitions of the campaign, of three parts and of three seals.
    assert_eq!(calls("Query"), 1 + 1 + 3 + 3);
    // The campaign as it is stored, and the chunks of three rounds of three seals.
    assert_eq!(calls("BatchGetItem"), 1 + 3 * 3);
}
