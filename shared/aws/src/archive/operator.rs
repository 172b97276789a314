//! What an operator asks of the archive. No function calls this.

use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;
use largesse_app::ports::{MemberRef, Objects, PortResult, ScanKey, Scanned, Tombstone};

use super::sets::{key_item, place_of};
use super::{read_lines, read_tombstone};
use crate::errors::{corrupt, port_error};
use crate::item::{Item, s};
use crate::keys::{ARCHIVED, PK, RUN, SK};
use crate::store::Store;
use crate::wallet::read_run;

impl Store {
    /// The lines of a member, checked by count and hash.
    ///
    /// # Errors
    /// Corrupt, when the member is not there or does not hold what the reference says.
    pub async fn lines_of(&self, member: &MemberRef) -> PortResult<Vec<String>> {
        let bytes = self.range(&member.object, member.range()).await?;
        let bytes = bytes.ok_or_else(|| corrupt("read a member of an object"))?;
        Ok(read_lines(&bytes, member)?.lines().map(ToOwned::to_owned).collect())
    }

    /// Some of the things that are archived. Strongly consistent.
    ///
    /// # Errors
    /// [`largesse_app::ports::PortError`]; corrupt when a tombstone cannot be read.
    pub async fn scan_tombstones(&self, after: Option<ScanKey>) -> PortResult<Scanned<Tombstone>> {
        let scan = self.dynamo.scan().table_name(&self.names.reconcile);
        self.scan_named(scan, (PK, ARCHIVED), after, read_tombstone).await
    }

    /// Some of the runs of transfers that are archived. Strongly consistent.
    ///
    /// # Errors
    /// [`largesse_app::ports::PortError`]; corrupt when a run cannot be read.
    pub async fn scan_runs(&self, after: Option<ScanKey>) -> PortResult<Scanned<MemberRef>> {
        let scan = self.dynamo.scan().table_name(&self.names.ledger);
        let member = |item: &Item| Ok(read_run(item)?.member);
        self.scan_named(scan, (SK, RUN), after, member).await
    }

    /// The items with an attribute that begins with a text.
    async fn scan_named<T>(
        &self,
        scan: ScanFluentBuilder,
        (name, begin): (&str, &str),
        after: Option<ScanKey>,
        read: impl Fn(&Item) -> PortResult<T>,
    ) -> PortResult<Scanned<T>> {
        let got = scan
            .filter_expression("begins_with(#name, :begin)")
            .expression_attribute_names("#name", name)
            .expression_attribute_values(":begin", s(begin))
            .consistent_read(true)
            .set_exclusive_start_key(after.map(|key| key_item(&key)))
            .send()
            .await
            .map_err(|error| port_error("scan what is archived", error))?;
        let rows = got.items.unwrap_or_default();
        let rows = rows.iter().map(read).collect::<PortResult<_>>()?;
        Ok(Scanned { rows, next: got.last_evaluated_key.as_ref().map(place_of) })
    }
}
