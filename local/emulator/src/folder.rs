//! The folder of a world on disk. What it holds is checked before anything in it is changed.

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::local::LocalFileSystem;

use crate::dynamo::Database;
use crate::world::WorldError;

/// The file that one process holds locked while it uses a folder.
const LOCK_FILE: &str = "lock";
/// The file of tables, queues and stream positions.
const DATA_FILE: &str = "world.db";

/// The folder of the objects of the archive.
const OBJECTS_FOLDER: &str = "archive";

/// The first table that the engine creates, in every version.
const ENGINE_TABLE: &str = "_config";

/// A folder that this process has locked.
pub(crate) struct Folder {
    /// The file of the data. A world opens it, or creates it in a new folder.
    pub(crate) data: PathBuf,
    /// The objects of the archive.
    pub(crate) objects: Arc<LocalFileSystem>,
    /// The operating system releases it when the process ends.
    pub(crate) lock: File,
}

/// Locks a folder and checks what it holds. A folder that is not there is created for its owner only.
pub(crate) fn open(folder: &Path) -> Result<Folder, WorldError> {
    let unwritable = |source| WorldError::Unwritable { folder: folder.to_owned(), source };
    if folder.exists() && !folder.is_dir() {
        return Err(WorldError::NotAFolder { path: folder.to_owned() });
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unwritable)?;
    let lock = File::create(folder.join(LOCK_FILE)).map_err(unwritable)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(WorldError::Locked { folder: folder.to_owned() });
        }
        Err(TryLockError::Error(source)) => return Err(unwritable(source)),
    }
    let data = folder.join(DATA_FILE);
    if is_empty(&data)? {
        // A first start that was killed leaves no data, but then it leaves no other file either.
        if holds_others(folder).map_err(unwritable)? {
            return Err(WorldError::Lost { file: data });
        }
    }
    let objects = folder.join(OBJECTS_FOLDER);
    DirBuilder::new().recursive(true).mode(0o700).create(&objects).map_err(unwritable)?;
    let objects = LocalFileSystem::new_with_prefix(objects);
    let objects = Arc::new(objects.map_err(|error| unwritable(io::Error::other(error)))?);
    Ok(Folder { data, objects, lock })
}

/// Whether the file is missing or has no tables.
fn is_empty(data: &Path) -> Result<bool, WorldError> {
    if !data.metadata().is_ok_and(|file| file.len() > 0) {
        return Ok(true);
    }
    let tables = Database::tables_of(data);
    let tables = tables.map_err(|source| WorldError::Damaged { file: data.to_owned(), source })?;
    if !tables.is_empty() && !tables.iter().any(|table| table == ENGINE_TABLE) {
        return Err(WorldError::Foreign { file: data.to_owned() });
    }
    Ok(tables.is_empty())
}

/// Whether the folder holds a file besides the lock and the database with SQLite's files beside it
/// (`world.db-wal`). Folders do not count (`lost+found` on a new disk), nor do hidden files.
fn holds_others(folder: &Path) -> io::Result<bool> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let begins_with = |text: &str| name.as_encoded_bytes().starts_with(text.as_bytes());
        let is_ours = name == LOCK_FILE || begins_with(DATA_FILE);
        if !is_ours && !begins_with(".") && !entry.file_type()?.is_dir() {
            return Ok(true);
        }
    }
    Ok(false)
}
