//! v2: what each feature did, by days of a time zone.

use axum::extract::State;
use http::StatusCode;
use largesse_app::stats::{self, Figures, Range};
use largesse_domain::stats::{Cell, Feature, Latencies};
use largesse_edge::openapi::CallerHeader;
use largesse_edge::query::Query;
use largesse_edge::{Answer, ApiError, App, Call, time, zone};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Deps;

/// What a feature did on a day. Each figure stands on the day on which it was decided: a payment on
/// that of its entry.
#[derive(Debug, Serialize, ToSchema)]
pub struct FeatureStats {
    /// The number of deposits, of sprays, drops or campaigns made, or of investments.
    #[schema(example = 1_200)]
    made: u64,
    /// Their sum; of campaigns, what was sealed.
    #[schema(example = 12_000_000)]
    made_amount: u64,
    /// The number of shares or slots that members drew.
    #[schema(example = 9_000)]
    drawn: u64,
    /// The number of payments to members, or of products to issuers.
    #[schema(example = 8_990)]
    paid: u64,
    /// Their sum.
    #[schema(example = 11_000_000)]
    paid_amount: u64,
    /// The number of draws, or of rows of campaigns, whose payment failed for good.
    #[schema(example = 3)]
    failed: u64,
    /// The number of refunds, or of payments of campaigns that were taken back.
    #[schema(example = 40)]
    returned: u64,
    /// Their sum.
    #[schema(example = 900_000)]
    returned_amount: u64,
    /// The share of `paid` in `paid` and `failed`, in hundredths of a percent, rounded down; absent
    /// where both are 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 9_996)]
    success_bp: Option<u64>,
    /// How long it took from draws to their payments, or how long the last runs of campaigns took;
    /// absent where none is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<LatencyStats>,
}

/// How long it took from draws to their payments; of campaigns, how long their last runs took. Times
/// are counted in buckets of powers of two, and the longest time of a bucket is told: at least what
/// was measured, and less than twice as long.
#[derive(Debug, Serialize, ToSchema)]
pub struct LatencyStats {
    /// The number of payments, or of campaigns, of which it is known.
    #[schema(example = 8_990)]
    count: u64,
    /// Half of them took at most so many milliseconds.
    #[schema(example = 511)]
    p50_ms: u64,
    /// 99 percent of them took at most so many milliseconds.
    #[schema(example = 2_047)]
    p99_ms: u64,
}

impl LatencyStats {
    fn of(latencies: &Latencies) -> Option<Self> {
        let (p50_ms, p99_ms) = latencies.percentile_ms(50).zip(latencies.percentile_ms(99))?;
        Some(Self { count: latencies.count(), p50_ms, p99_ms })
    }
}

impl From<Cell> for FeatureStats {
    fn from(cell: Cell) -> Self {
        Self {
            made: cell.made,
            made_amount: cell.made_amount,
            drawn: cell.drawn,
            paid: cell.paid,
            paid_amount: cell.paid_amount,
            failed: cell.failed,
            returned: cell.returned,
            returned_amount: cell.returned_amount,
            success_bp: cell.success_rate(),
            latency: LatencyStats::of(&cell.latencies),
        }
    }
}

/// A day of the time zone.
#[derive(Debug, Serialize, ToSchema)]
pub struct DayStats {
    /// The date in the time zone.
    #[schema(example = "2026-01-31")]
    date: String,
    /// The first moment of the day.
    #[schema(example = "2026-01-30T15:00:00.000Z", format = DateTime)]
    from: String,
    /// The first moment of the next day.
    #[schema(example = "2026-01-31T15:00:00.000Z", format = DateTime)]
    to: String,
    /// Deposits.
    wallet: FeatureStats,
    /// Sprays.
    spray: FeatureStats,
    /// Drops.
    drop: FeatureStats,
    /// Products.
    product: FeatureStats,
    /// Campaigns.
    campaign: FeatureStats,
}

impl DayStats {
    fn new(day: &zone::Day, figures: &Figures) -> Self {
        let of = |feature: Feature| {
            let mut all = Feature::ALL.iter().zip(&figures.features);
            let found = all.find(|(one, _)| **one == feature);
            FeatureStats::from(found.map(|(_, cell)| *cell).unwrap_or_default())
        };
        Self {
            date: day.date.clone(),
            from: time::format(day.from),
            to: time::format(day.to),
            wallet: of(Feature::Wallet),
            spray: of(Feature::Spray),
            drop: of(Feature::Drop),
            product: of(Feature::Product),
            campaign: of(Feature::Campaign),
        }
    }
}

/// The figures of some days.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatsView {
    /// The time zone.
    #[schema(example = "Asia/Seoul")]
    zone: String,
    /// The moment until which figures are complete, as the latest daily proof has counted them;
    /// absent before the first one. What was decided later is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-01-31T19:00:00.000Z", format = DateTime)]
    complete_until: Option<String>,
    /// The days, in their order.
    days: Vec<DayStats>,
}

/// Read daily figures
///
/// Counts and amounts of each feature, as the daily proof of the ledger has counted them. What was
/// decided after `complete_until` is missing. A figure may still change for seven days, when a draw
/// is paid late.
#[utoipa::path(
    get, path = "/api/v2/stats", tag = "operate", operation_id = "getStats",
    params(
        CallerHeader,
        ("from" = String, Query,
            description = "The first day.", example = "2026-01-01"),
        ("to" = String, Query,
            description = "The last day. At most 366 days.", example = "2026-01-31"),
        ("zone" = Option<String>, Query,
            description = "A time zone by its IANA name; `UTC` without it.",
            example = "Asia/Seoul"),
    ),
    responses((status = 200, description = "The figures.", body = StatsView))
)]
pub async fn stats<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    call.caller()?;
    let query = Query::of(&call, &["from", "to", "zone"])?;
    let detail = "a date, as 2026-01-31";
    let from = query.read("from", detail, zone::date)?.ok_or_else(|| query.missing("from"))?;
    let to = query.read("to", detail, zone::date)?.ok_or_else(|| query.missing("to"))?;
    let name = query.text("zone").unwrap_or("UTC").to_owned();
    let found = query.read("zone", "the name of a time zone, as Asia/Seoul", zone::zone)?;
    let found = found.or_else(|| zone::zone("UTC")).ok_or_else(|| query.missing("zone"))?;
    let days = zone::days(&found, from, to);
    let days = days.ok_or_else(|| {
        query.refused(
            "to",
            "out_of_range",
            "a day from `from` on, at most 366 days, from 1970 to 2286",
        )
    })?;
    let ranges: Vec<Range> = days.iter().map(|day| Range { from: day.from, to: day.to }).collect();
    let (complete, figures) = stats::read(&*app.deps, &ranges).await?;
    let view = StatsView {
        zone: name,
        complete_until: complete.map(time::format),
        days: days.iter().zip(&figures).map(|(day, f)| DayStats::new(day, f)).collect(),
    };
    Answer::json(StatusCode::OK, &view)
}
