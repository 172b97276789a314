//! What finding a free token costs while tokens run out.

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue as Av, DeleteRequest, PutRequest, WriteRequest};
use largesse_app::ports::{Clock, Ids, TOKEN_SHARDS};
use largesse_app::spray::create::{self, Create, CreateError};
use largesse_aws::keys;
use largesse_domain::id::{RoomId, SprayId, TOKEN_COUNT, Token};
use largesse_domain::split::Split;
use largesse_domain::spray::Terms;
use largesse_emulator::{Recorded, Service};

use super::BenchError;
use super::lab::{Lab, MemberIds, user_id};
use super::report::{Cell, Mark, Table, figure};

/// The table of tokens in the world.
const TOKENS: &str = "largesse-tokens";
/// Items that one `BatchWriteItem` takes (Amazon DynamoDB API Reference).
const BATCH_MAX: usize = 25;
/// Sprays made at each level, by a sender of their own, who may have 1,000 live sprays.
const CREATES: u32 = 500;
/// Free tokens at each level, of 46,656: 0, 50, 90, 99 and 99.9 % taken.
const LEVELS: [(&str, u32); 5] =
    [("0 % taken", 46_656), ("50 %", 23_328), ("90 %", 4_666), ("99 %", 467), ("99.9 %", 47)];

/// The mark of how many tokens are tried until one is free.
const TRIED_BELOW: f64 = 2.0;

/// Fills the tokens level by level; at each, makes sprays.
///
/// # Errors
/// [`BenchError`].
pub async fn measure() -> Result<Table, BenchError> {
    let lab = Lab::new(MemberIds::Uuid)?;
    let room = lab.room(0).await?;
    let mut senders = lab.senders(room, 6, 1_000_000).await?;
    let last = senders.pop().unwrap_or_default();
    let mut rows = Vec::new();
    let mut free = TOKEN_COUNT;
    for ((name, wanted), sender) in LEVELS.into_iter().zip(&senders) {
        occupy(&lab, wanted..free).await?;
        end_scan(&lab).await?;
        free = wanted;
        rows.push((name.to_owned(), level(&lab, room, sender).await?));
    }
    occupy(&lab, 0..free).await?;
    end_scan(&lab).await?;
    for name in ["100 %, the first refusal", "100 %, the next"] {
        let (refused, took) = refusal(&lab, room, &last).await?;
        let told = [Cell::Text(refused), millis(took)];
        let none = std::iter::repeat_n(Cell::Empty, 4);
        rows.push((name.to_owned(), none.chain(told).collect()));
    }
    Ok(Table {
        name: "tokens",
        title: format!("Tokens: making a spray while some of {TOKEN_COUNT} tokens are taken"),
        columns: vec![
            "tokens_tried_per_create",
            "token_reads_per_create",
            "index_reads_per_create",
            "scans_per_create",
            "at_the_end",
            "mean_ms",
        ],
        rows,
        notes: vec![
            format!(
                "{CREATES} sprays at each level; each frees its token as a refund does, so the \
                 level stays"
            ),
            "a token is tried by the transaction that makes the spray; token reads: two random \
             tokens in one read; index reads: of free tokens, where both were taken"
                .to_owned(),
            "a scan reads the whole table and adds tokens without an item to the index".to_owned(),
        ],
    })
}

async fn level(lab: &Lab, room: RoomId, sender: &str) -> Result<Vec<Cell>, BenchError> {
    let (mut tried, mut reads, mut index_reads, mut scans) = (0_u64, 0_u64, 0_u64, 0_u64);
    let recorder = lab.world.recorder();
    recorder.keep_calls(true);
    let mut took = Duration::ZERO;
    for _ in 0..CREATES {
        recorder.reset();
        let started = super::started();
        let made = create::create(&*lab.store, request(lab, room, sender)?).await;
        took = took.saturating_add(started.elapsed());
        let spray = made.map_err(|error| BenchError::Broken(error.to_string()))?;
        let calls = |operation| recorder.operation(Service::DynamoDb, operation).calls;
        tried = tried.saturating_add(calls("TransactWriteItems"));
        index_reads = index_reads.saturating_add(calls("Query"));
        scans = scans.saturating_add(u64::from(calls("Scan") > 0));
        let is_read = |one: &&Recorded| {
            let is_tokens = one.call.resources.iter().any(|table| table == TOKENS);
            one.call.operation == "BatchGetItem" && is_tokens
        };
        let read = recorder.calls().iter().filter(is_read).count();
        reads = reads.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        free(lab, spray.token).await?;
    }
    recorder.keep_calls(false);
    let each = |count| figure(count) / f64::from(CREATES);
    Ok(vec![
        Cell::Figure(each(tried), Some(Mark::Below(TRIED_BELOW))),
        Cell::of(each(reads)),
        Cell::of(each(index_reads)),
        Cell::of(each(scans)),
        Cell::Text("all made".to_owned()),
        millis(took.checked_div(CREATES).unwrap_or_default()),
    ])
}

/// With every token taken: what a caller is told, and how long that takes.
async fn refusal(lab: &Lab, room: RoomId, sender: &str) -> Result<(String, Duration), BenchError> {
    let started = super::started();
    match create::create(&*lab.store, request(lab, room, sender)?).await {
        Err(CreateError::NoFreeToken { .. }) => Ok(("refused, 503".to_owned(), started.elapsed())),
        other => Err(BenchError::Broken(format!("without a free token: {other:?}"))),
    }
}

fn request(lab: &Lab, room: RoomId, sender: &str) -> Result<Create, BenchError> {
    let terms = Terms::new(1, 1, Split::Equal, 600);
    let terms = terms.map_err(|error| BenchError::Broken(error.to_string()))?;
    Ok(Create { id: SprayId(lab.store.ulid()), room, sender: user_id(sender)?, terms })
}

fn millis(took: Duration) -> Cell {
    Cell::of((took.as_secs_f64() * 1e6).round() / 1e3)
}

/// Writes the items of live sprays' tokens into the table directly.
async fn occupy(lab: &Lab, tokens: std::ops::Range<u32>) -> Result<(), BenchError> {
    let closes_ms = lab.store.now().plus_ms(3_600_000).ms();
    let tokens: Vec<Token> = tokens.map(Token::from_index).collect();
    for some in tokens.chunks(BATCH_MAX) {
        let puts = some.iter().map(|token| put(lab, *token, closes_ms, None));
        write(lab, puts.collect::<Result<_, BenchError>>()?).await?;
    }
    Ok(())
}

/// Frees a token, as the refund of its spray does.
async fn free(lab: &Lab, token: Token) -> Result<(), BenchError> {
    let shard = token.index().checked_rem(TOKEN_SHARDS).unwrap_or(0);
    let closes_ms = lab.store.now().minus_ms(1).ms();
    write(lab, vec![put(lab, token, closes_ms, Some(shard))?]).await
}

/// A token's item: refunded and in the index of free tokens, or not.
fn put(
    lab: &Lab,
    token: Token,
    closes_ms: i64,
    free_shard: Option<u32>,
) -> Result<WriteRequest, BenchError> {
    let opens_ms = lab.store.now().minus_ms(2).ms();
    let put = PutRequest::builder()
        .set_item(Some(keys::token(token)))
        .item("spray", Av::S("01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned()))
        .item("room", Av::S("01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned()))
        .item("giver", Av::S("other".to_owned()))
        .item("opens_ms", Av::N(opens_ms.to_string()))
        .item("closes_ms", Av::N(closes_ms.to_string()))
        .item("recipients", Av::N("1".to_owned()))
        .item("refunded", Av::Bool(free_shard.is_some()));
    let put = match free_shard {
        Some(shard) => put.item("free_shard", Av::S(shard.to_string())),
        None => put,
    };
    Ok(WriteRequest::builder().put_request(put.build().map_err(broken)?).build())
}

/// Ends the lease of the last scan: at the level before, it found other tokens.
async fn end_scan(lab: &Lab) -> Result<(), BenchError> {
    let delete = DeleteRequest::builder().set_key(Some(keys::token_scan()));
    let delete = delete.build().map_err(broken)?;
    write(lab, vec![WriteRequest::builder().delete_request(delete).build()]).await
}

async fn write(lab: &Lab, requests: Vec<WriteRequest>) -> Result<(), BenchError> {
    let client = aws_sdk_dynamodb::Client::new(&lab.world.sdk_config());
    let sent = client.batch_write_item().request_items(TOKENS, requests).send().await;
    sent.map(drop).map_err(broken)
}

fn broken(error: impl std::error::Error) -> BenchError {
    BenchError::Broken(format!("cannot fill the tokens: {error}"))
}
