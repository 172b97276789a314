//! Every call asks DynamoDB which capacity it consumed, and the answer is added to what the current
//! work used ([`largesse_app::usage`]).
//!
//! DynamoDB says nothing about a call that fails: a write whose condition does not hold consumes units
//! (Amazon DynamoDB Developer Guide, "Read and write operations") that are not counted here. Each
//! attempt counts as a call, those that the SDK makes again by itself included.

use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemInput, BatchGetItemOutput};
use aws_sdk_dynamodb::operation::batch_write_item::{BatchWriteItemInput, BatchWriteItemOutput};
use aws_sdk_dynamodb::operation::delete_item::{DeleteItemInput, DeleteItemOutput};
use aws_sdk_dynamodb::operation::get_item::{GetItemInput, GetItemOutput};
use aws_sdk_dynamodb::operation::put_item::{PutItemInput, PutItemOutput};
use aws_sdk_dynamodb::operation::query::{QueryInput, QueryOutput};
use aws_sdk_dynamodb::operation::scan::{ScanInput, ScanOutput};
use aws_sdk_dynamodb::operation::transact_write_items::{
    TransactWriteItemsInput, TransactWriteItemsOutput,
};
use aws_sdk_dynamodb::operation::update_item::{UpdateItemInput, UpdateItemOutput};
use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextMut, BeforeTransmitInterceptorContextRef,
    FinalizerInterceptorContextRef, Input, Output,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use largesse_app::telemetry::{DYNAMO_CALLS, DYNAMO_READ, DYNAMO_WRITE};
use largesse_app::usage::{self, Units, Usage};

/// Counts the calls of a client of DynamoDB and the capacity units that they consume.
#[derive(Debug)]
pub(crate) struct Metering;

/// Asks for the sum of what the operation consumes. An operation that has no such field is left as
/// it is.
fn ask(input: &mut Input) {
    macro_rules! ask {
        ($($input:ty),+) => {
            $(if let Some(input) = input.downcast_mut::<$input>() {
                input.return_consumed_capacity = Some(ReturnConsumedCapacity::Total);
                return;
            })+
        };
    }
    ask!(UpdateItemInput, TransactWriteItemsInput, GetItemInput, BatchGetItemInput, QueryInput);
    ask!(PutItemInput, DeleteItemInput, ScanInput, BatchWriteItemInput);
}

/// What an operation reports: read and write units.
fn reported(output: &Output) -> (Units, Units) {
    macro_rules! units {
        ($($output:ty => $is_write:literal),+) => {
            $(if let Some(output) = output.downcast_ref::<$output>() {
                return sum(output.consumed_capacity.as_slice().iter().flat_map(each), $is_write);
            })+
        };
    }
    units!(GetItemOutput => false, BatchGetItemOutput => false, QueryOutput => false);
    units!(UpdateItemOutput => true, TransactWriteItemsOutput => true, PutItemOutput => true);
    units!(DeleteItemOutput => true, BatchWriteItemOutput => true, ScanOutput => false);
    (Units::default(), Units::default())
}

/// The reports of one operation: one, or one for each table.
trait Reports {
    fn reports(&self) -> &[ConsumedCapacity];
}

impl Reports for ConsumedCapacity {
    fn reports(&self) -> &[ConsumedCapacity] {
        std::slice::from_ref(self)
    }
}

impl Reports for Vec<ConsumedCapacity> {
    fn reports(&self) -> &[ConsumedCapacity] {
        self
    }
}

fn each(reports: &impl Reports) -> &[ConsumedCapacity] {
    reports.reports()
}

fn sum<'a>(reports: impl Iterator<Item = &'a ConsumedCapacity>, is_write: bool) -> (Units, Units) {
    reports.fold((Units::default(), Units::default()), |(read, write), report| {
        let (reads, writes) = match (report.read_capacity_units, report.write_capacity_units) {
            (None, None) if is_write => (None, report.capacity_units),
            (None, None) => (report.capacity_units, None),
            // A transaction that is repeated under its request token reads what it wrote.
            both => both,
        };
        let units = |units: Option<f64>| units.map_or(Units::default(), units_of);
        (read.plus(units(reads)), write.plus(units(writes)))
    })
}

/// The SDK gives a float. Its decimal digits are read, so that no sum is rounded.
fn units_of(units: f64) -> Units {
    let digits: String = format!("{units:.2}").chars().filter(|digit| *digit != '.').collect();
    // A negative number or none is no report.
    Units::from_hundredths(digits.parse().unwrap_or(0))
}

impl Intercept for Metering {
    fn name(&self) -> &'static str {
        "Metering"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        ask(context.input_mut());
        Ok(())
    }

    fn read_before_attempt(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        usage::add(Usage { calls: 1, ..Usage::default() });
        metrics::counter!(DYNAMO_CALLS.name).increment(1);
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(Ok(output)) = context.output_or_error() {
            let (read, write) = reported(output);
            usage::add(Usage { calls: 0, read, write });
            metrics::counter!(DYNAMO_READ.name).increment(read.hundredths());
            metrics::counter!(DYNAMO_WRITE.name).increment(write.hundredths());
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "these are tests")]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_exactly() {
        for (reported, hundredths) in [(0.0, 0), (0.5, 50), (1.0, 100), (129.5, 12_950)] {
            assert_eq!(units_of(reported).hundredths(), hundredths, "{reported}");
        }
        assert_eq!(units_of(f64::NAN).hundredths(), 0);
        assert_eq!(units_of(-1.0).hundredths(), 0);
    }

    #[test]
    fn a_transaction_that_is_repeated_under_its_token_counts_as_reads() {
        let first = ConsumedCapacity::builder().capacity_units(4.0).build();
        let again =
            ConsumedCapacity::builder().capacity_units(2.0).read_capacity_units(2.0).build();
        let output = TransactWriteItemsOutput::builder();
        let output = output.consumed_capacity(first).consumed_capacity(again).build();
        let (read, write) = reported(&Output::erase(output));
        assert_eq!((read.hundredths(), write.hundredths()), (200, 400));
    }
}
