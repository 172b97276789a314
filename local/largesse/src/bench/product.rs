//! Products: what an investment costs, and how fast products are sold out, beside designs that come
//! to mind first.
//!
//! # Guarantees
//! * The system takes no more than the target, and no capacity for nothing:
//!   `a_product_is_filled_without_anything_wrong`.

use std::sync::Arc;
use std::time::Duration;

use largesse_app::page::PAGE_LIMIT_MAX;
use largesse_app::ports::{Clock, Ids, PortErrorKind, Products, Settlements};
use largesse_app::product::create::{self, Create};
use largesse_app::product::invest::{Invest, InvestError, invest};
use largesse_aws::Store;
use largesse_domain::id::{InvestmentId, ProductId, Ulid};
use largesse_domain::money::Amount;
use largesse_domain::product::{Limits, Product, Refusal, Terms, Title};
use largesse_domain::time::Window;

use super::contest::{self, Arrival, CALLERS, PROCESSES_MAX, Spent, Stored, Sum, Taken};
use super::lab::{Ask, Lab, MemberIds, OPEN_S, Process, SPREAD, user_id};
use super::meter::{self, Count};
use super::naive::{Design, Naive};
use super::report::{Cell, Mark, Table};
use super::{BenchError, broken};

/// The mark of dollars for a million (performance.md). It is on the whole request, as the marks of a claim
/// and of an entry are.
const DOLLARS: f64 = 6.0;
/// Investments that are measured.
const SAMPLES: u32 = 20;
/// How many times the samples the target is: no shard of the product runs out of capacity.
const FAR: u64 = 64;
/// The largest amount of an investment.
const AMOUNT_MAX: u32 = 1_000;
/// What each investor has: more than they invest.
const WALLET: u64 = 1_000_000_000;
/// Actions of the transaction of an investment from one shard, two write units each.
const ACTIONS: f64 = 4.0;

/// How large the products are.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// What a product raises.
    pub target: u32,
    /// Members who invest.
    pub people: u32,
}

impl Size {
    /// What is measured: two thirds of the members fill a product, in the mean.
    pub const USUAL: Self = Self { target: 500_000, people: 1_500 };
}

async fn make(lab: &Lab, target: u64) -> Result<Product, BenchError> {
    let now = lab.store.now();
    let window = Window { opens: now, closes: now.plus_ms(OPEN_S.saturating_mul(1_000)) };
    let title = Title::new("bench").map_err(broken)?;
    let creator = user_id(&lab.sender)?;
    let limits = Limits { target, ..Limits::default() };
    let terms = Terms::new(title, window, creator.clone(), limits).map_err(broken)?;
    let request = Create { id: ProductId(lab.store.ulid()), creator, terms };
    create::create(&*lab.store, request).await.map_err(broken)
}

/// What an investment costs.
///
/// # Errors
/// [`BenchError`].
pub async fn costs() -> Result<Table, BenchError> {
    let mut rows = Vec::new();
    for ids in MemberIds::ALL {
        let lab = Lab::new(ids)?;
        lab.world.recorder().measure_units(true);
        lab.world.recorder().keep_calls(true);
        let amount = u64::from(AMOUNT_MAX);
        let product =
            make(&lab, amount.saturating_mul(u64::from(SAMPLES).saturating_mul(FAR))).await?;
        let known = lab.process()?;
        let store = lab.another_store()?;
        let (mut cold, mut warm, mut bare) = (Vec::new(), Vec::new(), Vec::new());
        for n in 0..SAMPLES {
            let user = lab.member(n);
            lab.deposit_to(&user, WALLET).await?;
            cold.push(investment(&lab, &lab.process()?, &product, n, amount, 201).await?);
            lab.deposit_to(&user, WALLET).await?;
            warm.push(investment(&lab, &known, &product, n, amount, 201).await?);
            lab.deposit_to(&user, WALLET).await?;
            bare.push(without_request(&lab, &store, &product, n, amount).await?);
        }
        let above = WALLET.saturating_mul(10).min(largesse_domain::money::AMOUNT_MAX);
        let refused = investment(&lab, &known, &product, 0, above, 409).await?;
        // The first of each process reads the product.
        warm.remove(0);
        bare.remove(0);
        let is_marked = ids == MemberIds::Uuid;
        for (what, count, is_marked) in [
            ("investment, first of a process", meter::mean(&cold), is_marked),
            ("investment", meter::mean(&warm), is_marked),
            ("its transaction and reads alone", meter::mean(&bare), false),
            ("refused: above what remains", refused, false),
        ] {
            let mark = is_marked.then_some(Mark::AtMost(DOLLARS));
            rows.push(row(format!("{what}; {}", ids.name()), count, mark));
        }
    }
    Ok(Table {
        name: "product_costs",
        title: "Products: what an investment costs".to_owned(),
        columns: vec![
            "calls",
            "calls_in_a_row",
            "read_units",
            "write_units",
            "product_write_units",
            "dollars_per_million",
        ],
        rows,
        notes: vec![
            "means; a whole request, as a claim in `counts`: with the record of the Idempotency-Key, \
             HTTP API and Lambda; the row `alone` is without these three"
                .to_owned(),
            "of a product that is far from sold out; near its end an investment takes from several shards, \
             two write units for each, and reads them all"
                .to_owned(),
        ],
    })
}

async fn investment(
    lab: &Lab,
    process: &Process,
    product: &Product,
    n: u32,
    amount: u64,
    expected: u16,
) -> Result<Count, BenchError> {
    let (user, key) = (lab.member(n), lab.store.ulid().to_string());
    let path = format!("/api/v2/products/{}/investments", product.id);
    let body = format!(r#"{{"amount":{amount}}}"#);
    let ask = Ask { method: "POST", path, user: &user, room: None, body: &body };
    let process = process.clone().with_key(key);
    let (answer, count) = meter::count(&lab.world, process.send(&ask)).await;
    let (status, body) = answer?;
    if status != expected {
        return Err(BenchError::Broken(format!("an investment was answered {status}: {body}")));
    }
    // Of the table of products, in place of buckets.
    let bucket = lab.world.recorder().table("largesse-products").write;
    Ok(Count { http: 1.0, invocations: 1.0, bucket, ..count })
}

/// The same without the request around it.
async fn without_request(
    lab: &Lab,
    store: &Store,
    product: &Product,
    n: u32,
    amount: u64,
) -> Result<Count, BenchError> {
    let (id, investor) = (InvestmentId(lab.store.ulid()), user_id(&lab.member(n))?);
    let amount = Amount::new(amount).map_err(broken)?;
    let request = Invest { id, product: product.id, investor, amount };
    let (answer, count) = meter::count(&lab.world, invest(store, request)).await;
    answer.map_err(broken)?;
    let bucket = lab.world.recorder().table("largesse-products").write;
    Ok(Count { bucket, ..count })
}

fn row(name: String, count: Count, mark: Option<Mark>) -> (String, Vec<Cell>) {
    let rounded = |value: f64| (value * 1e3).round() / 1e3;
    let cells = vec![
        Cell::of(rounded(count.calls)),
        Cell::of(rounded(count.rounds)),
        Cell::of(rounded(count.read)),
        Cell::of(rounded(count.write)),
        Cell::of(rounded(count.bucket)),
        Cell::Figure(rounded(count.dollars()), mark),
    ];
    (name, cells)
}

/// From 1 to the largest, the same at every run.
fn amount_of(member: u32) -> u64 {
    let number = member.wrapping_mul(7_919).checked_rem(AMOUNT_MAX).unwrap_or(0);
    u64::from(number.saturating_add(1))
}

/// How many a second; each row for about `each`.
///
/// # Errors
/// [`BenchError`].
pub async fn rates(each: Duration, size: Size) -> Result<Table, BenchError> {
    let lab = Lab::new(MemberIds::Uuid)?;
    lab.world.recorder().measure_units(true);
    for n in 0..size.people {
        lab.deposit_to(&lab.member(n), WALLET).await?;
    }
    let mut rows = Vec::new();
    for callers in CALLERS {
        let mut sum = Sum::new()?;
        while sum.took <= each {
            fill(&lab, size, callers, &mut sum).await?;
        }
        rows.push((format!("Largesse, {callers} callers"), sum.product_cells(true)));
        for design in Design::ALL {
            let mut sum = Sum::new()?;
            while sum.took <= each {
                let naive = Naive::new(&lab, design, size.target.into(), false)?;
                let arrivals = contest::arrivals(size.people, amount_of);
                naive.fill(&lab, &arrivals, callers, &mut sum).await?;
            }
            rows.push((format!("{}, {callers} callers", design.name()), sum.product_cells(false)));
        }
    }
    let Size { target, people } = size;
    let mut notes = contest::notes();
    notes.push(
        "an investment of the system also debits a wallet and writes a transfer: the other designs do \
         not"
        .to_owned(),
    );
    Ok(Table {
        name: "product_rates",
        title: format!("Products: {people} members invest up to a target of {target}, some twice"),
        columns: vec![
            "investments_per_s",
            "p50_ms",
            "p99_ms",
            "write_units_per_investment",
            "over_funded",
            "lost_capacity",
            "unanswered",
        ],
        rows,
        notes,
    })
}

async fn fill(lab: &Lab, size: Size, callers: usize, sum: &mut Sum) -> Result<(), BenchError> {
    let product = make(lab, size.target.into()).await?;
    let stores = (0..callers.min(PROCESSES_MAX)).map(|_| lab.another_store());
    let stores: Vec<Arc<Store>> = stores.collect::<Result<_, _>>()?;
    lab.world.recorder().reset();
    let at_ms = lab.store.now().ms_unsigned();
    let take = |at: usize, arrival: Arrival| {
        let store = stores.get(at.checked_rem(stores.len()).unwrap_or(0)).cloned();
        let store = store.unwrap_or_else(|| lab.store.clone());
        let (product, investor) = (product.id, user_id(&lab.member(arrival.member)));
        // The requests of a member who asks twice have one id, as a repeat has.
        let random = u128::from(arrival.member).wrapping_add(1).wrapping_mul(SPREAD);
        let id = InvestmentId(Ulid::from_parts(at_ms, random));
        async move {
            let (investor, amount) = (investor?, Amount::new(arrival.amount).map_err(broken)?);
            let request = Invest { id, product, investor, amount };
            match invest(&*store, request).await {
                Ok(_) => Ok(Taken::Got { number: 0 }),
                Err(InvestError::Refused {
                    refusal: Refusal::AboveRemaining { .. } | Refusal::SoldOut,
                    ..
                }) => Ok(Taken::Full),
                Err(InvestError::Port(error)) if error.kind == PortErrorKind::Contended => {
                    Ok(Taken::Unanswered)
                }
                Err(error) => Err(broken(error)),
            }
        }
    };
    let arrivals = contest::arrivals(size.people, amount_of);
    let told = sum.fill(&arrivals, callers, take).await?;
    let units = Spent::read(lab.world.recorder()).with_failed(1.0, 2.0 * ACTIONS);
    let shards = lab.store.shards(&product).await?;
    let remaining = shards.iter().fold(0_u64, |sum, shard| sum.saturating_add(shard.remaining));
    let given = invested(&lab.store, &product).await?;
    let taken = u64::from(size.target).saturating_sub(remaining);
    sum.check(units, &told, Stored { taken, given }, size.target.into());
    Ok(())
}

/// The sum of the investments that are stored.
async fn invested(store: &Store, product: &Product) -> Result<u64, BenchError> {
    let mut sum = 0_u64;
    for part in 0..product.shards {
        let mut after = None;
        loop {
            let page = store.investments_in(product, part, after, PAGE_LIMIT_MAX).await?;
            sum = page.rows.iter().fold(sum, |sum, one| sum.saturating_add(one.amount.get()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_product_is_filled_without_anything_wrong() {
        let size = Size { target: 10_000, people: 40 };
        let costs = costs().await.unwrap();
        let rates = rates(Duration::ZERO, size).await.unwrap();
        assert_eq!(costs.rows.len(), 8);
        let figures = |row: usize| match costs.rows[row].1[..] {
            [_, _, Cell::Figure(read, _), Cell::Figure(write, _), _, Cell::Figure(dollars, _)] => {
                (read, write, dollars)
            }
            _ => panic!("{:?}", costs.rows[row]),
        };
        let (whole, alone) = (figures(1), figures(2));
        // Of the reads, those of the figures come once a second.
        assert_eq!((alone.0 >= 2.0, alone.1), (true, 9.0), "what docs/products.md states");
        assert_eq!(whole.1 - alone.1, 2.0, "the record of the Idempotency-Key");
        // The mark is on the whole request, as that of a claim is.
        let has_mark = |row: usize| matches!(costs.rows[row].1[5], Cell::Figure(_, Some(_)));
        assert_eq!([0, 1, 2, 3].map(has_mark), [true, true, false, false]);
        assert!(whole.2 > alone.2 + 1.2, "the HTTP API and the invocation: {whole:?} {alone:?}");
        let ours = rates.rows.iter().filter(|(name, _)| name.starts_with("Largesse"));
        let ours: Vec<&[Cell]> = ours.map(|(_, cells)| &cells[4..]).collect();
        assert_eq!(ours.len(), CALLERS.len());
        for wrong in ours {
            assert!(wrong.iter().all(|one| *one == Cell::Figure(0.0, Some(Mark::AtMost(0.0)))));
        }
        assert_eq!(rates.rows.len(), 4 * CALLERS.len());
    }
}
