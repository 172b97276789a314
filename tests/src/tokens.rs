//! A space of tokens that is full, or nearly so.

use largesse_domain::id::{TOKEN_COUNT, Token};
use largesse_domain::time::Timestamp;
use serde_json::{Value, json};

use crate::Sandbox;

impl Sandbox {
    /// Live sprays carry all tokens but these, until that time: as much of their items as a scan
    /// reads, written into the table, since making as many sprays takes too long.
    pub async fn take_all_tokens_but(&self, left: &[Token], closes: Timestamp) {
        let put = |token: &Token| {
            let (pk, closes) = (format!("TOKEN#{token}"), closes.ms().to_string());
            let refunded = json!({ "BOOL": false });
            let item =
                json!({ "pk": { "S": pk }, "closes_ms": { "N": closes }, "refunded": refunded });
            json!({ "PutRequest": { "Item": item } })
        };
        let tokens = (0..TOKEN_COUNT).map(Token::from_index).filter(|token| !left.contains(token));
        for some in tokens.collect::<Vec<Token>>().chunks(25) {
            let puts: Vec<Value> = some.iter().map(put).collect();
            let body = json!({ "RequestItems": { "largesse-tokens": puts } }).to_string();
            let target = "DynamoDB_20120810.BatchWriteItem";
            let answer = self.world.answer(target, body.into_bytes()).await.expect("an answer");
            assert_eq!(answer.status().as_u16(), 200);
        }
    }
}
