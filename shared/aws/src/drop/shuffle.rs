//! Drawing the lots of a drop: the buckets that waited for them, and the mark on the drop.

use largesse_app::pool::sweep::sweep_after_ms;
use largesse_app::ports::{PortResult, Shuffles};
use largesse_domain::drop::{Drawn, Drop};
use largesse_domain::pool::Bucket;
use largesse_domain::time::Timestamp;

use super::codec::{DRAWN_MS, LOTS};
use crate::errors::unless_refused;
use crate::item::{ms, n, s};
use crate::keys::{self, DUE_MS};
use crate::pool::codec::{AWAITING, DRAWS, OPEN, STATUS, TAKEN, draws_of};
use crate::store::Store;

impl Store {
    /// Opens a bucket with the entries of its lots. As with a draw, the first entries put it into the index
    /// of what is to be swept.
    async fn place_in(&self, bucket: &Bucket, now: Timestamp) -> PortResult<()> {
        let request = self
            .dynamo
            .update_item()
            .table_name(&self.names.pools)
            .set_key(Some(keys::bucket(bucket.id)))
            // Waiting: no other run has written it. So a run that was thought dead and goes on after members
            // have drawn, or after the drop was closed, wipes no draw and opens nothing again.
            .condition_expression("#status = :awaiting")
            .expression_attribute_names("#status", STATUS)
            .expression_attribute_values(":awaiting", s(AWAITING))
            .expression_attribute_values(":open", s(OPEN));
        let request = if bucket.taken == 0 {
            request.update_expression("SET #status = :open")
        } else {
            let sweep = now.plus_ms(sweep_after_ms(bucket.id.pool));
            request
                .update_expression(
                    "SET #status = :open, #taken = :taken, #draws = :draws, #sweep = :sweep",
                )
                .expression_attribute_names("#taken", TAKEN)
                .expression_attribute_names("#draws", DRAWS)
                .expression_attribute_names("#sweep", keys::SWEEP_MS)
                .expression_attribute_values(":taken", n(bucket.taken))
                .expression_attribute_values(":draws", draws_of(bucket))
                .expression_attribute_values(":sweep", ms(sweep))
        };
        unless_refused("place lots in bucket", request.send().await)
    }
}

impl Shuffles for Store {
    async fn place_lots(&self, buckets: &[Bucket], now: Timestamp) -> PortResult<()> {
        self.write_buckets(buckets, |bucket| self.place_in(bucket, now)).await
    }

    async fn mark_drawn(&self, drop: &Drop, drawn: Drawn) -> PortResult<()> {
        let sent = self
            .dynamo
            .update_item()
            .table_name(&self.names.drops)
            .set_key(Some(keys::drop(drop.id)))
            .update_expression("SET #drawn = :now, #lots = :lots, #due = :closes")
            // There: a drop that was deleted by hand does not come back. Not drawn: a run that is late
            // changes nothing, and brings no drop back into the index that was closed meanwhile.
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(#drawn)")
            .expression_attribute_names("#drawn", DRAWN_MS)
            .expression_attribute_names("#lots", LOTS)
            .expression_attribute_names("#due", DUE_MS)
            .expression_attribute_values(":now", ms(drawn.at))
            .expression_attribute_values(":lots", n(drawn.lots))
            .expression_attribute_values(":closes", ms(drop.window.closes))
            .send()
            .await;
        unless_refused("mark drop as drawn", sent)
    }
}
