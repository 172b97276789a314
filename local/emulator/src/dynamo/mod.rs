//! `DynamoDB`: the engine `dynoxide`, on the world's clock, with what a long run needs besides.
//!
//! The engine's own `Database` takes a clock only in memory and hides its connection, so this
//! module holds the engine's storage itself and calls the same public actions on it.
//!
//! A call takes 20 to 200 microseconds and runs on the caller's thread: a change of threads would
//! cost as much as the call. On disk, `synchronous = NORMAL` makes a commit a plain write in
//! write-ahead mode, without a wait for the device. A kill of the process at any moment loses
//! nothing; a power failure may lose the last commits but never corrupts the file.

mod ops;
mod tokens;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dynoxide::actions::scan::ScanRequest;
use dynoxide::actions::{create_table, scan, update_time_to_live};
use dynoxide::storage::{Storage, StreamRecord};
use dynoxide::{DynoxideError, Item};
use futures::FutureExt;

use crate::clock::{Clocked, WorldClock};
use crate::stack::TableSpec;

pub(crate) use ops::Success;
use tokens::Tokens;

/// The page cache of a database on disk. A page that it lacks is read from the system's cache.
const CACHE_KIB: u32 = 8_000;

/// Rows per page when a whole table is read.
const SCAN_PAGE: usize = 1_000;

/// Without this index the engine reads all stream records of all tables at each write, to number
/// the next one. Reads of a stream from a position use it too.
const STREAM_INDEX: &str = "CREATE INDEX IF NOT EXISTS _world_stream_order \
     ON _stream_records (table_name, CAST(sequence_number AS INTEGER))";

/// Reads a stream from a position. The engine has the same query, but parses it at each read.
const READ_STREAM: &str = "SELECT event_name, keys_json, new_image, old_image, sequence_number, \
     created_at, user_identity FROM _stream_records \
     WHERE table_name = ?1 AND CAST(sequence_number AS INTEGER) > ?2 \
     ORDER BY CAST(sequence_number AS INTEGER) LIMIT ?3";

/// The number of statements that stay parsed. Every table and index has several; the default of 16
/// is too few, and the others would be parsed at each call.
const STATEMENTS_MAX: usize = 256;

/// The table of queues and stream positions.
const ROWS_TABLE: &str =
    "CREATE TABLE IF NOT EXISTS _world_rows (k TEXT PRIMARY KEY, v TEXT NOT NULL) WITHOUT ROWID";

/// All tables. Clones share them.
#[derive(Clone)]
pub struct Database {
    storage: Arc<Mutex<Storage>>,
    /// The lock is held from the look-up of a token to the end of its transaction: two calls
    /// under one token must not both run.
    tokens: Arc<Clocked<Tokens>>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

impl Database {
    pub(crate) fn memory(clock: &WorldClock) -> Result<Self, DynoxideError> {
        Self::prepare(Storage::memory()?, clock)
    }

    pub(crate) fn on_disk(file: &Path, clock: &WorldClock) -> Result<Self, DynoxideError> {
        let storage = Storage::new(&file.to_string_lossy())?;
        let settings = format!("PRAGMA synchronous = NORMAL; PRAGMA cache_size = -{CACHE_KIB}");
        storage.conn().execute_batch(&settings)?;
        Self::prepare(storage, clock)
    }

    /// The names of the tables in a file. It stays as it is: it may belong to another program.
    pub(crate) fn tables_of(file: &Path) -> Result<Vec<String>, DynoxideError> {
        let storage = Storage::memory()?;
        let conn = storage.conn();
        conn.execute("ATTACH DATABASE ?1 AS kept", (file.to_string_lossy(),))?;
        let sql = "SELECT name FROM kept.sqlite_master WHERE type = 'table'";
        let mut statement = conn.prepare(sql)?;
        let names = statement.query_map((), |row| row.get(0))?;
        names.map(|name| name.map_err(DynoxideError::from)).collect()
    }

    fn prepare(storage: Storage, clock: &WorldClock) -> Result<Self, DynoxideError> {
        let storage = storage.with_clock(Arc::new(clock.clone()));
        storage.conn().set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        storage.conn().execute_batch(STREAM_INDEX)?;
        storage.conn().execute_batch(ROWS_TABLE)?;
        let storage = Arc::new(Mutex::new(storage));
        let tokens = Arc::new(Clocked::new(Tokens::default(), clock));
        Ok(Self { storage, tokens })
    }

    /// Creates the missing tables. An existing table stays as it is.
    pub(crate) fn create(&self, tables: &[TableSpec]) -> Result<(), DynoxideError> {
        let storage = self.lock();
        for table in tables {
            if storage.table_exists(&table.name)? {
                continue;
            }
            let request = serde_json::from_value(table.create_request())
                .map_err(|error| DynoxideError::ValidationException(error.to_string()))?;
            at_once(create_table::execute(&*storage, request))?;
            if let Some(attribute) = &table.ttl_attribute {
                let request = update_time_to_live::UpdateTimeToLiveRequest {
                    table_name: table.name.clone(),
                    time_to_live_specification: update_time_to_live::TimeToLiveSpecification {
                        attribute_name: attribute.clone(),
                        enabled: true,
                    },
                };
                at_once(update_time_to_live::execute(&*storage, request))?;
            }
        }
        Ok(())
    }

    /// Every item of a table, as one consistent snapshot, for tests and checks. It is no call: it
    /// consumes no units and the recorder does not count it.
    ///
    /// # Errors
    /// When the table does not exist or the storage fails.
    pub fn scan(&self, table: &str) -> Result<Vec<Item>, DynoxideError> {
        let storage = self.lock();
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let request = ScanRequest {
                table_name: table.to_owned(),
                limit: Some(SCAN_PAGE),
                exclusive_start_key: start.take(),
                ..ScanRequest::default()
            };
            let page = at_once(scan::execute(&*storage, request))?;
            items.extend(page.items.unwrap_or_default());
            match page.last_evaluated_key {
                Some(key) => start = Some(key),
                None => return Ok(items),
            }
        }
    }

    /// Deletes the expired items of every table with a TTL attribute and gives their number. The
    /// emulator never calls it: AWS may lag by days, so no rule may depend on it.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn sweep_ttl(&self) -> Result<usize, DynoxideError> {
        at_once(dynoxide::ttl::sweep_expired_items(&*self.lock()))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Storage> {
        self.storage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The raw stream records of `table` after `position`, oldest first.
    pub(crate) fn stream_after(
        &self,
        table: &str,
        position: i64,
        limit: usize,
    ) -> Result<Vec<StreamRecord>, DynoxideError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let storage = self.lock();
        let mut statement = storage.conn().prepare_cached(READ_STREAM)?;
        let records = statement.query_map((table, position, limit), |row| {
            Ok(StreamRecord {
                event_name: row.get(0)?,
                keys_json: row.get(1)?,
                new_image: row.get(2)?,
                old_image: row.get(3)?,
                sequence_number: row.get(4)?,
                created_at: row.get(5)?,
                user_identity: row.get(6)?,
            })
        })?;
        records.map(|record| record.map_err(DynoxideError::from)).collect()
    }

    /// Deletes stream records before `position`. The one at `position` stays, because the engine
    /// numbers the next record after the highest one in the table.
    pub(crate) fn trim_stream(&self, table: &str, position: i64) -> Result<(), DynoxideError> {
        let sql = "DELETE FROM _stream_records \
                   WHERE table_name = ?1 AND CAST(sequence_number AS INTEGER) < ?2";
        self.lock().conn().prepare_cached(sql)?.execute((table, position))?;
        Ok(())
    }

    /// Writes (`Some`) and removes (`None`) rows, all or nothing.
    pub(crate) fn save_rows(&self, rows: &[(String, Option<String>)]) -> Result<(), DynoxideError> {
        if rows.is_empty() {
            return Ok(());
        }
        let storage = self.lock();
        storage.begin_transaction()?;
        let write = || -> Result<(), DynoxideError> {
            let conn = storage.conn();
            let mut put =
                conn.prepare_cached("INSERT OR REPLACE INTO _world_rows VALUES (?1, ?2)")?;
            let mut remove = conn.prepare_cached("DELETE FROM _world_rows WHERE k = ?1")?;
            for (key, value) in rows {
                match value {
                    Some(value) => put.execute((key, value))?,
                    None => remove.execute((key,))?,
                };
            }
            Ok(())
        };
        match write() {
            Ok(()) => storage.commit(),
            Err(error) => {
                storage.rollback()?;
                Err(error)
            }
        }
    }

    /// All rows whose key begins with `prefix`, in key order.
    pub(crate) fn load_rows(&self, prefix: &str) -> Result<Vec<(String, String)>, DynoxideError> {
        let storage = self.lock();
        let sql = "SELECT k, v FROM _world_rows WHERE substr(k, 1, length(?1)) = ?1 ORDER BY k";
        let mut statement = storage.conn().prepare(sql)?;
        let rows = statement.query_map((prefix,), |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.map(|row| row.map_err(DynoxideError::from)).collect()
    }
}

/// Runs an action of the engine. They are async, but on this storage they never wait.
fn at_once<T>(action: impl Future<Output = Result<T, DynoxideError>>) -> Result<T, DynoxideError> {
    action.now_or_never().unwrap_or_else(|| {
        Err(DynoxideError::InternalServerError("the engine waited for something".to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::Stack;

    fn database() -> Database {
        let database = Database::memory(&WorldClock::at(1_700_000_000_000)).unwrap();
        let table = TableSpec {
            name: "grants".to_owned(),
            keys: vec![("pk".to_owned(), "HASH".to_owned())],
            attributes: vec![("pk".to_owned(), "S".to_owned())],
            stream_view: Some("NEW_IMAGE".to_owned()),
            ..TableSpec::default()
        };
        database.create(&Stack { tables: vec![table], ..Stack::default() }.tables).unwrap();
        database
    }

    #[tokio::test(start_paused = true)]
    async fn numbering_a_stream_record_does_not_read_the_stream() {
        let database = database();
        let storage = database.lock();
        let sql = "EXPLAIN QUERY PLAN SELECT \
                   COALESCE(MAX(CAST(sequence_number AS INTEGER)), 0) + 1 \
                   FROM _stream_records WHERE table_name = 'grants'";
        let plan: String = storage.conn().query_row(sql, (), |row| row.get(3)).unwrap();
        assert!(plan.contains("_world_stream_order"), "{plan}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_trimmed_stream_still_numbers_upwards() {
        let database = database();
        let put = |pk: &str| {
            let body = format!(r#"{{"TableName":"grants","Item":{{"pk":{{"S":"{pk}"}}}}}}"#);
            database.call("PutItem", body.as_bytes(), false).unwrap();
        };
        let positions = || -> Vec<i64> {
            let records = database.stream_after("grants", 0, 10).unwrap();
            records.iter().map(|record| record.sequence_number.parse().unwrap()).collect()
        };
        (0..4).for_each(|number| put(&number.to_string()));
        let before = positions();
        database.trim_stream("grants", before[3]).unwrap();
        assert_eq!(positions(), before[3..]);
        put("4");
        assert!(positions()[1] > before[3]);
    }
}
