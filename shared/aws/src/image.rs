//! Images of stream records, in the SDK's types.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue as Av;
use serde_dynamo::AttributeValue as StreamValue;

use crate::item::Item;

/// The item of an image.
pub(crate) fn item_of(image: HashMap<String, StreamValue>) -> Item {
    image.into_iter().map(|(name, value)| (name, value_of(value))).collect()
}

/// The same value in the SDK's type. An attribute that a later version adds may have any type.
fn value_of(value: StreamValue) -> Av {
    match value {
        StreamValue::N(number) => Av::N(number),
        StreamValue::S(text) => Av::S(text),
        StreamValue::Bool(flag) => Av::Bool(flag),
        StreamValue::B(bytes) => Av::B(Blob::new(bytes)),
        StreamValue::Null(flag) => Av::Null(flag),
        StreamValue::M(map) => Av::M(item_of(map)),
        StreamValue::L(list) => Av::L(list.into_iter().map(value_of).collect()),
        StreamValue::Ss(texts) => Av::Ss(texts),
        StreamValue::Ns(numbers) => Av::Ns(numbers),
        StreamValue::Bs(blobs) => Av::Bs(blobs.into_iter().map(Blob::new).collect()),
    }
}
