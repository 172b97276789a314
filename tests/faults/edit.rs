//! What is done behind the adapters: items and messages as no function writes them.

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_domain::money::BALANCE_MAX;
use serde_json::{Value, json};

use crate::rig::Rig;

impl Rig {
    /// A call of SQS, by its JSON.
    pub(crate) async fn sqs(&self, operation: &str, body: Value) -> Value {
        let target = format!("AmazonSQS.{operation}");
        let answer = self.sandbox.world.answer(&target, body.to_string().into_bytes()).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 200, "{:?}", String::from_utf8_lossy(answer.body()));
        serde_json::from_slice(answer.body()).unwrap_or(Value::Null)
    }

    pub(crate) async fn queue_url(&self, queue: &str) -> String {
        let found = self.sqs("GetQueueUrl", json!({ "QueueName": queue })).await;
        found["QueueUrl"].as_str().unwrap().to_owned()
    }

    /// Changes an item behind the adapters.
    pub(crate) async fn edit(
        &self,
        table: &str,
        key: &[(&str, String)],
        update: &str,
        values: &[(&str, Av)],
    ) {
        let client = aws_sdk_dynamodb::Client::new(&self.sandbox.world.sdk_config());
        let mut request = client.update_item().table_name(table).update_expression(update);
        for (name, value) in key {
            request = request.key(*name, Av::S(value.clone()));
        }
        for (name, value) in values {
            request = request.expression_attribute_values(*name, value.clone());
        }
        request.send().await.unwrap();
    }

    /// Writes an item behind the adapters.
    pub(crate) async fn put(&self, table: &str, attributes: &[(&str, Av)]) {
        let client = aws_sdk_dynamodb::Client::new(&self.sandbox.world.sdk_config());
        let mut request = client.put_item().table_name(table);
        for (name, value) in attributes {
            request = request.item(*name, value.clone());
        }
        request.send().await.unwrap();
    }

    /// Deletes an item behind the adapters.
    pub(crate) async fn delete(&self, table: &str, key: &[(&str, String)]) {
        let client = aws_sdk_dynamodb::Client::new(&self.sandbox.world.sdk_config());
        let mut request = client.delete_item().table_name(table);
        for (name, value) in key {
            request = request.key(*name, Av::S(value.clone()));
        }
        request.send().await.unwrap();
    }

    /// Makes a wallet that has had a transfer full; returns what it held. The audit fails unless it
    /// is put back by `Sandbox::overwrite_balance`.
    pub(crate) async fn fill(&self, name: &str) -> u64 {
        let held = self.balance(name);
        self.sandbox.overwrite_balance(name, BALANCE_MAX).await;
        held
    }
}
