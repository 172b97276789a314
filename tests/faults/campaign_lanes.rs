//! Lanes: what waits in one holds up no other. By the order of what happens, not by how long it takes.

use std::collections::BTreeSet;

use largesse_domain::campaign::{ChunkNumber, Layout, State};
use largesse_tests::user;

use crate::campaign_attach::{attach, settle};
use crate::campaign_scene::{Act, Scene};

const LANES: u32 = 4;
const ROWS: u64 = 1_600;

/// The members of a chunk.
fn members_of(chunk: u32) -> BTreeSet<String> {
    let layout = Layout::new(ROWS).unwrap();
    let members = (0..ROWS).map(|n| format!("m{n:03}"));
    members.filter(|member| layout.chunk(&user(member)) == ChunkNumber(chunk)).collect()
}

fn everyone() -> BTreeSet<String> {
    (0..ROWS).map(|n| format!("m{n:03}")).collect()
}

fn paid(scene: &Scene) -> BTreeSet<String> {
    scene.bank.members_paid().into_iter().collect()
}

/// The rows of the first chunk are refused. When all else is paid, behind it in its lane too, they
/// still wait for their first retry.
#[tokio::test(start_paused = true)]
async fn a_lane_with_failing_rows_slows_no_other() {
    let scene = Scene::new(1, ROWS).await;
    let failing = members_of(0);
    for member in &failing {
        scene.bank.tell(member, &[Act::Refuse; 4]);
    }
    attach(&scene.sandbox, [&scene.bank, &scene.bank], LANES);
    let begin = scene.sandbox.world.clock().now_ms();
    // Everything that can be done now; no time passes for the retries.
    scene.sandbox.world.settle().await;
    assert!(scene.sandbox.world.clock().now_ms() - begin < 3_000, "the retries were due");
    assert_eq!(paid(&scene), &everyone() - &failing);
    assert!(failing.iter().all(|member| scene.bank.calls_of(member) == ["pay"]));
    assert_eq!(scene.tally().await.pending.rows, u64::try_from(failing.len()).unwrap());
    assert_eq!(scene.state().await, State::Running);
    settle(&scene.sandbox).await;
    assert!(failing.iter().all(|member| scene.bank.calls_of(member) == ["pay"; 4]));
    assert_eq!(scene.tally().await.failed.rows, u64::try_from(failing.len()).unwrap());
    assert_eq!(scene.state().await, State::Completed);
}

/// The money service takes none of the first chunk's rows for now, so its lane waits, which keeps
/// what is behind it in the lane. The other lanes are paid to their ends.
#[tokio::test(start_paused = true)]
async fn a_lane_that_waits_for_the_money_service_holds_up_no_other() {
    let scene = Scene::new(2, ROWS).await;
    let waiting = members_of(0);
    for member in &waiting {
        scene.bank.tell(member, &[Act::NotNow; 5_000]);
    }
    attach(&scene.sandbox, [&scene.bank, &scene.bank], LANES);
    scene.sandbox.world.settle().await;
    let chunks = u32::try_from(ROWS.div_ceil(100)).unwrap();
    let others = (0..chunks).filter(|chunk| chunk % LANES != 0).flat_map(members_of);
    assert_eq!(paid(&scene), others.collect::<BTreeSet<_>>());
    for member in &waiting {
        scene.bank.tell(member, &[]);
    }
    settle(&scene.sandbox).await;
    assert_eq!(paid(&scene), everyone());
    scene.assert_all_paid().await;
}
