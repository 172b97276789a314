//! What finding a free token costs while tokens run out.

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue as Av, DeleteRequest, PutRequest, WriteRequest};
use largesse_app::ports::{Clock, HINT_PARTS, Ids};
use largesse_app::spray::create::{self, Create, CreateError};
use largesse_app::spray::token;
use largesse_aws::keys;
use largesse_domain::id::{RoomId, SprayId, TOKEN_COUNT, Token};
use largesse_domain::split::Split;
use largesse_domain::spray::Terms;
use largesse_emulator::{Recorded, Recorder, Service};

use super::BenchError;
use super::lab::{GIVER, Lab, user_id};
use super::report::{Cell, Mark, Table, figure};

/// The table of tokens in the world.
const TOKENS: &str = "largesse-tokens";
/// Items that one `BatchWriteItem` takes (`DynamoDB` API reference).
const BATCH_MAX: usize = 25;
/// Sprays made at each level.
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
    let lab = Lab::new()?;
    let room = lab.room(0).await?;
    lab.deposit(GIVER, 1_000_000).await?;
    let mut rows = Vec::new();
    let mut free = TOKEN_COUNT;
    for (name, wanted) in LEVELS {
        occupy(&lab, wanted..free).await?;
        forget_hints(&lab).await?;
        free = wanted;
        rows.push((name.to_owned(), level(&lab, room).await?));
    }
    occupy(&lab, 0..free).await?;
    forget_hints(&lab).await?;
    for name in ["100 %, the first to hear", "100 %, the next"] {
        let (refused, took) = refusal(&lab, room).await?;
        let none = [Cell::Empty, Cell::Empty, Cell::Empty, Cell::Empty];
        let told = [Cell::Text(refused), millis(took)];
        rows.push((name.to_owned(), none.into_iter().chain(told).collect()));
    }
    Ok(Table {
        name: "tokens",
        title: format!("Tokens: making a spray while some of {TOKEN_COUNT} tokens are taken"),
        columns: vec![
            "tokens_tried_per_create",
            "transactions_per_create",
            "look_ups_per_create",
            "surveys_per_create",
            "at_the_end",
            "mean_ms",
        ],
        rows,
        notes: vec![
            format!(
                "{CREATES} sprays at each level; each gives its token back as a refund does, so \
                 the level stays; hints start empty"
            ),
            "tokens tried: one at random unless the last one was taken, then from the hint"
                .to_owned(),
            "look-ups: reads of single tokens and of the hint; a survey reads the whole table"
                .to_owned(),
        ],
    })
}

async fn level(lab: &Lab, room: RoomId) -> Result<Vec<Cell>, BenchError> {
    let (mut tried, mut transactions, mut look_ups, mut surveys) = (0_u64, 0_u64, 0_u64, 0_u64);
    let recorder = lab.world.recorder();
    recorder.keep_calls(true);
    let mut took = Duration::ZERO;
    for _ in 0..CREATES {
        recorder.reset();
        let started = super::started();
        let made = create::create(&*lab.store, wish(lab, room)?).await;
        took = took.saturating_add(started.elapsed());
        let spray = made.map_err(|error| BenchError::Broken(error.to_string()))?;
        let calls = |operation| recorder.operation(Service::DynamoDb, operation).calls;
        let transacted = calls("TransactWriteItems");
        transactions = transactions.saturating_add(transacted);
        // The rest of what names the table: single tokens, and parts of the hint.
        let rest = recorder.table(TOKENS).calls.saturating_sub(transacted);
        look_ups = look_ups.saturating_add(rest.saturating_sub(calls("Scan")));
        let surveyed = u64::from(calls("Scan") > 0);
        surveys = surveys.saturating_add(surveyed);
        // Each is read once, but for the one that a survey just saw free.
        tried = tried.saturating_add(looked_at(recorder)).saturating_add(surveyed);
        give_back(lab, spray.token).await?;
    }
    recorder.keep_calls(false);
    let each = |count| figure(count) / f64::from(CREATES);
    Ok(vec![
        Cell::Figure(each(tried), Some(Mark::Below(TRIED_BELOW))),
        Cell::of(each(transactions)),
        Cell::of(each(look_ups)),
        Cell::of(each(surveys)),
        Cell::Text("all made".to_owned()),
        millis(took.checked_div(CREATES).unwrap_or_default()),
    ])
}

/// How many single tokens were read.
fn looked_at(recorder: &Recorder) -> u64 {
    let is_read = |one: &Recorded| {
        one.call.operation == "GetItem" && one.call.resources.iter().any(|table| table == TOKENS)
    };
    recorder.calls().iter().filter(|one| is_read(one)).map(|_| 1).sum()
}

/// With every token taken: what a caller is told, and how long that takes.
async fn refusal(lab: &Lab, room: RoomId) -> Result<(String, Duration), BenchError> {
    let started = super::started();
    match create::create(&*lab.store, wish(lab, room)?).await {
        Err(CreateError::NoFreeToken { .. }) => Ok(("refused, 503".to_owned(), started.elapsed())),
        other => Err(BenchError::Broken(format!("without a free token: {other:?}"))),
    }
}

fn wish(lab: &Lab, room: RoomId) -> Result<Create, BenchError> {
    let terms = Terms::new(1, 1, Split::Equal, 600);
    let terms = terms.map_err(|error| BenchError::Broken(error.to_string()))?;
    Ok(Create { id: SprayId(lab.store.ulid()), room, sender: user_id(GIVER)?, terms })
}

fn millis(took: Duration) -> Cell {
    Cell::of((took.as_secs_f64() * 1e6).round() / 1e3)
}

/// Lets these tokens stand for somebody's live sprays, behind the adapters' back.
async fn occupy(lab: &Lab, tokens: std::ops::Range<u32>) -> Result<(), BenchError> {
    let now = lab.store.now();
    let (opens, closes) = (now.ms().to_string(), now.plus_ms(3_600_000).ms().to_string());
    let tokens: Vec<u32> = tokens.collect();
    for some in tokens.chunks(BATCH_MAX) {
        let puts = some.iter().map(|index| {
            let put = PutRequest::builder()
                .set_item(Some(keys::token(Token::from_index(*index))))
                .item("spray", Av::S("01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned()))
                .item("room", Av::S("01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned()))
                .item("giver", Av::S("other".to_owned()))
                .item("opens_ms", Av::N(opens.clone()))
                .item("closes_ms", Av::N(closes.clone()))
                .item("recipients", Av::N("1".to_owned()))
                .item("refunded", Av::Bool(false));
            let put = put.build().map_err(broken)?;
            Ok(WriteRequest::builder().put_request(put).build())
        });
        write(lab, puts.collect::<Result<_, BenchError>>()?).await?;
    }
    Ok(())
}

/// As if a refund had given the token free: it is, and the hint is told.
async fn give_back(lab: &Lab, free: Token) -> Result<(), BenchError> {
    let key = DeleteRequest::builder().set_key(Some(keys::token(free)));
    let delete = key.build().map_err(broken)?;
    write(lab, vec![WriteRequest::builder().delete_request(delete).build()]).await?;
    Ok(token::offer(&*lab.store, &[free]).await?)
}

/// Takes away the hints and the survey of the level before: its tokens were taken behind their
/// back.
async fn forget_hints(lab: &Lab) -> Result<(), BenchError> {
    let keys = (0..HINT_PARTS).map(keys::token_hint);
    let deletes = keys.chain([keys::token_survey()]).map(|key| {
        let delete = DeleteRequest::builder().set_key(Some(key)).build().map_err(broken)?;
        Ok(WriteRequest::builder().delete_request(delete).build())
    });
    write(lab, deletes.collect::<Result<_, BenchError>>()?).await
}

async fn write(lab: &Lab, requests: Vec<WriteRequest>) -> Result<(), BenchError> {
    let client = aws_sdk_dynamodb::Client::new(&lab.world.sdk_config());
    let sent = client.batch_write_item().request_items(TOKENS, requests).send().await;
    sent.map(drop).map_err(broken)
}

fn broken(error: impl std::error::Error) -> BenchError {
    BenchError::Broken(format!("cannot fill the tokens: {error}"))
}
