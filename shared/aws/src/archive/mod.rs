//! The archive: objects of compressed items, in S3 or in a folder.
//!
//! An object is a plain `.gz` of JSON Lines, in the format of DynamoDB's own export to S3 and
//! import from S3. It is a concatenation of gzip members (RFC 1952, section 2.2): one range request
//! reads a run of transfers or a thing, and any tool reads the whole. `member.rs` is the codec.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use largesse_app::ports::{Objects, PortError, PortErrorKind, PortResult};
pub use object_store::ObjectStore;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use crate::store::Store;

mod http;
mod lines;
mod member;
mod operator;
mod pass;
mod s3;
mod sets;
mod things;
mod tombstone;

pub(crate) use lines::{item_of_line, line_of};
pub(crate) use member::{MEMBER_LEN_MAX, MemberWriter, PackedMember, read_lines, read_member};
pub(crate) use s3::s3;
pub(crate) use tombstone::read_tombstone;

/// The store of objects is away, or answers with an error. A read may be tried again, and a write
/// is repeated under the same name.
fn away(operation: &'static str, error: object_store::Error) -> PortError {
    PortError { operation, kind: PortErrorKind::Unknown, cause: Some(Arc::new(error)) }
}

/// No archive is configured for this process.
#[derive(Debug, thiserror::Error)]
#[error("no archive is configured")]
struct NotConfigured;

impl Store {
    /// The same adapters with an archive. Only those functions that read or write it have one.
    #[must_use]
    pub fn with_archive(mut self, objects: Option<Arc<dyn ObjectStore>>) -> Self {
        self.objects = objects;
        self
    }

    fn objects(&self, operation: &'static str) -> PortResult<&dyn ObjectStore> {
        let cause = Some(Arc::new(NotConfigured) as _);
        // What is archived is there, but not now: a caller is told to come back, not "not found".
        let error = PortError { operation, kind: PortErrorKind::Unknown, cause };
        self.objects.as_deref().ok_or(error)
    }
}

/// The bytes of an object or of a part of one; `None` when the object is missing.
fn found(operation: &'static str, read: object_store::Result<Bytes>) -> PortResult<Option<Bytes>> {
    match read {
        Ok(bytes) => Ok(Some(bytes)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(away(operation, error)),
    }
}

impl Objects for Store {
    async fn put(&self, name: &str, bytes: Bytes) -> PortResult<()> {
        let objects = self.objects("put object")?;
        let put = objects.put(&Path::from(name), PutPayload::from(bytes)).await;
        put.map(drop).map_err(|error| away("put object", error))
    }

    async fn get(&self, name: &str) -> PortResult<Option<Bytes>> {
        let objects = self.objects("read object")?;
        let read = async { objects.get(&Path::from(name)).await?.bytes().await };
        found("read object", read.await)
    }

    async fn range(&self, name: &str, range: Range<u64>) -> PortResult<Option<Bytes>> {
        let objects = self.objects("read part of object")?;
        let wanted = range.end.saturating_sub(range.start);
        let read = objects.get_range(&Path::from(name), range).await;
        let bytes = found("read part of object", read)?;
        // An object that ends within the range is damaged, and so is what begins in it.
        Ok(bytes.filter(|bytes| u64::try_from(bytes.len()) == Ok(wanted)))
    }
}
