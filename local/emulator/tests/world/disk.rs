//! Data that survives the process.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::*;
use aws_lambda_events::event::streams::DynamoDbEventResponse;
use largesse_emulator::{World, WorldClock, WorldError};
use object_store::ObjectStoreExt;

/// A folder of one test, deleted when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("largesse-emulator-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn open(folder: &Folder, at_ms: i64) -> World {
    World::on_disk_at(&stack(), &folder.0, WorldClock::at(at_ms)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn tables_and_queues_survive_the_process() {
    let folder = Folder::new("outlive");
    {
        let world = open(&folder, START_MS);
        put(&dynamo(&world), "pools", "p", vec![("left", n(3))]).await;
        let client = sqs(&world);
        send(&client, "a", "a1").await;
        send(&client, "a", "a2").await;
        send(&client, "b", "gone").await;
        let given = receive(&client, 1).await;
        assert_eq!(bodies(&given), ["body of a1"]);
        let gone = receive(&client, 10).await;
        let receipt = gone[0].receipt_handle().unwrap();
        let url = largesse_emulator::queue_url(QUEUE);
        client.delete_message().queue_url(url).receipt_handle(receipt).send().await.unwrap();
    }
    let world = open(&folder, START_MS + 10_000);
    assert_eq!(world.database().scan("pools").unwrap().len(), 1);
    let client = sqs(&world);
    let view = world.queue(QUEUE).unwrap();
    assert_eq!((view.visible, view.in_flight), (2, 0), "the receiver of a1 ended with its process");
    send(&client, "b", "gone").await;
    assert_eq!(world.queue(QUEUE).unwrap().messages.len(), 2, "still deduplicated");
    assert_eq!(bodies(&receive(&client, 10).await), ["body of a1", "body of a2"]);
    assert_eq!(world.queue(QUEUE).unwrap().messages[0].receive_count, 2);
}

#[tokio::test(start_paused = true)]
async fn a_stream_continues_from_its_position_after_a_restart() {
    let folder = Folder::new("stream");
    let log: Arc<Mutex<Vec<usize>>> = Arc::default();
    let attach = |world: &World| {
        let seen = Arc::clone(&log);
        let handler = move |event: aws_lambda_events::event::dynamodb::Event| {
            seen.lock().unwrap().push(event.records.len());
            async { Ok(DynamoDbEventResponse::default()) }
        };
        world.on_stream(stream_trigger(), handler).unwrap();
    };
    {
        let world = open(&folder, START_MS);
        attach(&world);
        put(&dynamo(&world), "grants", "g1", vec![]).await;
        world.settle().await;
        put(&dynamo(&world), "grants", "g2", vec![]).await;
        put(&dynamo(&world), "grants", "g3", vec![]).await;
    }
    let world = open(&folder, START_MS);
    attach(&world);
    world.settle().await;
    assert_eq!(*log.lock().unwrap(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn records_do_not_age_while_the_process_is_stopped() {
    let folder = Folder::new("old");
    put(&dynamo(&open(&folder, START_MS)), "grants", "g1", vec![]).await;
    let world = open(&folder, START_MS + 48 * 3_600 * 1_000);
    let seen: Arc<Mutex<usize>> = Arc::default();
    let count = Arc::clone(&seen);
    let handler = move |event: aws_lambda_events::event::dynamodb::Event| {
        *count.lock().unwrap() += event.records.len();
        async { Ok(DynamoDbEventResponse::default()) }
    };
    let record_age_max = Some(Duration::from_secs(3_600));
    let trigger = largesse_emulator::StreamTrigger { record_age_max, ..stream_trigger() };
    world.on_stream(trigger, handler).unwrap();
    world.settle().await;
    assert_eq!(*seen.lock().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_folder_belongs_to_one_world_at_a_time() {
    let folder = Folder::new("locked");
    let world = open(&folder, START_MS);
    let second = World::on_disk(&stack(), &folder.0);
    assert!(matches!(second, Err(WorldError::Locked { .. })));
    drop(world);
    assert!(World::on_disk(&stack(), &folder.0).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_cannot_be_written_is_refused() {
    let folder = Folder::new("unwritable");
    std::fs::create_dir_all(&folder.0).unwrap();
    let file = folder.0.join("a-file");
    std::fs::write(&file, "a file").unwrap();
    let refused = World::on_disk(&stack(), &file.join("below"));
    assert!(matches!(refused, Err(WorldError::Unwritable { .. })));
    let refused = World::on_disk(&stack(), &file).unwrap_err().to_string();
    assert_eq!(refused, format!("{} is a file, not a folder", file.display()));
}

#[tokio::test(start_paused = true)]
async fn only_a_folder_that_the_world_creates_is_closed_to_other_users() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("mode");
    let mode = || std::fs::metadata(&folder.0).unwrap().permissions().mode() & 0o777;
    drop(open(&folder, START_MS));
    assert_eq!(mode(), 0o700);
    std::fs::set_permissions(&folder.0, PermissionsExt::from_mode(0o755)).unwrap();
    drop(open(&folder, START_MS));
    assert_eq!(mode(), 0o755);
}

/// What a folder holds when a first start was killed, or before it, is no reason to refuse it.
#[tokio::test(start_paused = true)]
async fn a_folder_that_was_not_used_is_opened() {
    let empty_database = {
        let folder = Folder::new("made");
        drop(open(&folder, START_MS));
        // SQLite's first page alone: the header, and a root without tables.
        let page = std::fs::read(folder.0.join("world.db")).unwrap();
        let mut page = page[..4_096].to_vec();
        page[28..32].copy_from_slice(&1_u32.to_be_bytes());
        page[100..108].copy_from_slice(&[0x0d, 0, 0, 0, 0, 0x10, 0, 0]);
        page
    };
    let contents: [&[(&str, &[u8])]; 4] = [
        &[],
        &[("lock", b"")],
        &[("lock", b""), ("world.db", b""), ("world.db-journal", b"")],
        &[("lock", b""), ("world.db", &empty_database), ("world.db-wal", b"")],
    ];
    for files in contents {
        let folder = Folder::new("unused");
        std::fs::create_dir_all(folder.0.join("lost+found")).unwrap();
        std::fs::write(folder.0.join(".hidden"), "").unwrap();
        for (name, content) in files {
            std::fs::write(folder.0.join(name), content).unwrap();
        }
        put(&dynamo(&open(&folder, START_MS)), "pools", "p", vec![]).await;
        assert_eq!(open(&folder, START_MS).database().scan("pools").unwrap().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_used_folder_without_its_data_is_refused_and_stays_as_it_is() {
    let folder = Folder::new("lost");
    put(&dynamo(&open(&folder, START_MS)), "pools", "p", vec![]).await;
    // What the owner of the world keeps beside it.
    std::fs::write(folder.0.join("cursor.secret"), "a secret").unwrap();
    let file = folder.0.join("world.db");
    let kept = std::fs::read(&file).unwrap();
    let refused = || World::on_disk(&stack(), &folder.0).unwrap_err();
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(refused(), WorldError::Lost { .. }));
    assert!(!file.exists());
    std::fs::write(&file, "").unwrap();
    assert!(matches!(refused(), WorldError::Lost { .. }));
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 0);
    std::fs::write(&file, kept).unwrap();
    assert_eq!(open(&folder, START_MS).database().scan("pools").unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_database_of_another_program_is_refused_and_stays_as_it_is() {
    let folder = Folder::new("foreign");
    std::fs::create_dir_all(&folder.0).unwrap();
    let file = folder.0.join("world.db");
    let foreign = include_bytes!("foreign.db");
    std::fs::write(&file, foreign).unwrap();
    let refused = World::on_disk(&stack(), &folder.0).unwrap_err();
    assert!(matches!(refused, WorldError::Foreign { .. }), "{refused}");
    assert_eq!(std::fs::read(&file).unwrap(), foreign);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_file_is_named() {
    use std::error::Error;
    let folder = Folder::new("damaged");
    drop(open(&folder, START_MS));
    let file = folder.0.join("world.db");
    let whole = std::fs::read(&file).unwrap();
    let garbage = "no database ".repeat(1_000);
    for content in [garbage.as_bytes(), &whole[..6_000]] {
        std::fs::write(&file, content).unwrap();
        let refused = World::on_disk(&stack(), &folder.0).unwrap_err();
        assert!(refused.to_string().starts_with(&format!("cannot use {}; ", file.display())));
        let why = refused.source().unwrap().to_string();
        assert!(!why.contains("encrypted"), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn acknowledged_writes_survive_a_kill() {
    let folder = Folder::new("killed");
    let copy = Folder::new("killed-copy");
    let world = open(&folder, START_MS);
    put(&dynamo(&world), "pools", "p", vec![("left", n(3))]).await;
    send(&sqs(&world), "a", "a1").await;
    let object = object_store::path::Path::from("runs/1");
    world.objects().put(&object, "a run".into()).await.unwrap();
    // A kill leaves the files as they are now, with nothing closed.
    copy_folder(&folder.0, &copy.0);
    let after = open(&copy, START_MS);
    assert_eq!(after.database().scan("pools").unwrap().len(), 1);
    assert_eq!(bodies(&receive(&sqs(&after), 1).await), ["body of a1"]);
    let read = after.objects().get(&object).await.unwrap().bytes().await.unwrap();
    assert_eq!(read, "a run");
    drop(world);
}
