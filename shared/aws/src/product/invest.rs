//! The one transaction of an investment.
//!
//! An investor's position in a product has no item of its own: it stands on their latest investment
//! there. The wallet is read first and that investment after it. The transaction holds only if nothing
//! was posted to the wallet since, and an investment posts to it, so the position has not changed
//! either (docs/adr/0015).

use aws_sdk_dynamodb::types::{TransactWriteItem, Update};
use futures::future::try_join;
use largesse_app::ports::{
    Clock, InvestOrder, NotInvested, Once, Pause, PortError, PortErrorKind, PortResult, Rng,
    Wallets,
};
use largesse_domain::id::{InvestmentId, TransferId, UserId};
use largesse_domain::ledger::Wallet;
use largesse_domain::product::{
    Investment, Position, Product, Refusal, Request, Shard, Sums, Take, decide,
};

use super::codec::{OPEN, STATUS, investment_item, read_investment};
use super::put;
use crate::errors::{TransactError, condition_failed, contended, corrupt, port_error};
use crate::item::{ms, n, s};
use crate::keys::{self, PK, SK};
use crate::store::Store;
use crate::wallet::request_token;

/// How often an investment is tried anew after another one came before it: on the same shard, or on
/// the same wallet by another process.
const TRIES_MAX: u32 = 32;
/// First and longest wait before another try, of which a random part is taken, in milliseconds.
const WAIT_MS_FIRST: u32 = 8;
const WAIT_MS_MAX: u32 = 256;
/// Investments of one member that are read at a time to find one of them.
const PAGE: i32 = 100;

/// Where each action stands in the transaction; the shards follow.
const TRANSFER_AT: usize = 1;

/// What a try came to.
enum Tried {
    /// Invested, by this try or before.
    Done(Box<Once<Investment>>),
    /// Refused, and not invested before.
    Refused(NotInvested),
    /// Something changed since it was read, or the shards were not read by this try.
    Again,
}

impl Store {
    pub(super) async fn invest_order(
        &self,
        product: &Product,
        order: &InvestOrder,
    ) -> PortResult<Result<Once<Investment>, NotInvested>> {
        let _lock = self.wallet_locks.lock(&order.investor).await;
        let mut waits = std::iter::successors(Some(WAIT_MS_FIRST), |wait| wait.checked_mul(2));
        // The first try works with shards that may be a second old. What they refuse is decided again
        // with new ones at once.
        let mut is_fresh = false;
        for tried in 0..TRIES_MAX {
            if tried > 1 {
                let wait = waits.next().unwrap_or(WAIT_MS_MAX).min(WAIT_MS_MAX);
                self.pause_ms(self.below(wait).into()).await;
            }
            match self.try_invest(product, order, is_fresh).await {
                Ok(Tried::Done(done)) => return Ok(Ok(*done)),
                Ok(Tried::Refused(refused)) => return Ok(Err(refused)),
                Ok(Tried::Again) => {}
                Err(error) if error.kind == PortErrorKind::Contended => {}
                Err(error) => return Err(error),
            }
            is_fresh = true;
        }
        Err(contended("invest"))
    }

    async fn try_invest(
        &self,
        product: &Product,
        order: &InvestOrder,
        is_fresh: bool,
    ) -> PortResult<Tried> {
        let preferred = product.preferred(order.id);
        let request = Request { amount: order.amount, now: self.now(), preferred };
        if let Some(refusal) = known_refusal(product, request) {
            return self.refused(product, order, NotInvested::Product(refusal)).await;
        }
        let seen = async {
            if is_fresh { self.see(product).await } else { self.recently_seen(product).await }
        };
        let (seen, wallet) = try_join(seen, self.wallet(&order.investor)).await?;
        let position = self.position(product, &order.investor).await?;
        // Reads take time, in which the product may have opened or closed.
        let request = Request { now: self.now(), ..request };
        let takes = match decide(&product.terms, &seen.shards, position, request) {
            Ok(takes) => takes,
            // Once nothing remains, nothing remains for ever.
            Err(refusal) if is_fresh || refusal == Refusal::SoldOut => {
                return self.refused(product, order, NotInvested::Product(refusal)).await;
            }
            Err(_) => return Ok(Tried::Again),
        };
        let investment = investment(product, order, &seen.shards, position, request);
        let transfer = match wallet.post(investment.order()) {
            Ok(transfer) => transfer,
            Err(refused) if is_fresh => {
                return self.refused(product, order, NotInvested::Wallet(refused)).await;
            }
            // What the product refuses comes before what the wallet refuses.
            Err(_) => return Ok(Tried::Again),
        };
        let mut items = self.posting(&wallet, &transfer)?.to_vec();
        // Nothing lies under this number. The wallet's condition says so too, unless one of the tables
        // was restored without the other.
        let record = investment_item(product, &investment);
        items.push(put(&self.names.products, record, Some("attribute_not_exists(pk)"))?);
        for (at, take) in takes.iter().enumerate() {
            let is_new = at == 0 && position.count == 0;
            items.push(self.taking_capacity(product, *take, is_new, request)?);
        }
        let token = token(&investment, &wallet, &takes);
        match self.transact("invest", token, items).await {
            Ok(()) => {
                self.lower(product, seen.read, &takes, position.count == 0);
                Ok(Tried::Done(Box::new(Once::Now(investment))))
            }
            Err(TransactError::Port(error)) => Err(error),
            Err(TransactError::Refused(reasons)) if condition_failed(&reasons, TRANSFER_AT) => {
                let earlier = self.investment(product, &order.investor, order.id).await?;
                Ok(Tried::Done(Box::new(Once::Before(earlier))))
            }
            Err(TransactError::Refused(_)) => Ok(Tried::Again),
        }
    }

    /// Takes a part of the capacity of a shard. Its condition:
    /// * `status = OPEN`: the product is not settled, so what was raised is not counted yet;
    /// * `opens_ms <= now`, `closes_ms > now`: within the window by the shard's own times, whatever
    ///   this process remembers of the product;
    /// * `remaining >= amount`: no other investment took it since it was read.
    fn taking_capacity(
        &self,
        product: &Product,
        take: Take,
        is_new: bool,
        request: Request,
    ) -> PortResult<TransactWriteItem> {
        let update = Update::builder()
            .table_name(&self.names.products)
            .set_key(Some(keys::product_shard(product.id, take.shard)))
            .update_expression("SET remaining = remaining - :amount, investors = investors + :new")
            .condition_expression(
                "#status = :open AND opens_ms <= :now AND closes_ms > :now \
                 AND remaining >= :amount",
            )
            .expression_attribute_names("#status", STATUS)
            .expression_attribute_values(":open", s(OPEN))
            .expression_attribute_values(":now", ms(request.now))
            .expression_attribute_values(":amount", n(take.amount))
            .expression_attribute_values(":new", n(u8::from(is_new)))
            .build()
            .map_err(|_| corrupt("shard update"))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// Takes what was invested from the shards that this process remembers, if they are of the read
    /// that it was decided by. Another read, made meanwhile, may have it already.
    fn lower(&self, product: &Product, read: u64, takes: &[Take], is_new: bool) {
        self.product_shards.change(&product.id, |seen| {
            let shards = if seen.read == read { &mut seen.shards[..] } else { &mut [] };
            for (at, take) in takes.iter().enumerate() {
                if let Some(shard) = shards.iter_mut().find(|shard| shard.number == take.shard) {
                    shard.remaining = shard.remaining.saturating_sub(take.amount);
                    let new = u64::from(at == 0 && is_new);
                    shard.investors = shard.investors.saturating_add(new);
                }
            }
        });
    }

    /// A refusal is the answer only if this very order did not invest before: it may be what used up
    /// the capacity, the limit or the wallet.
    async fn refused(
        &self,
        product: &Product,
        order: &InvestOrder,
        refused: NotInvested,
    ) -> PortResult<Tried> {
        match self.posted(&order.investor, TransferId(order.id.0)).await? {
            None => Ok(Tried::Refused(refused)),
            Some(_) => {
                let earlier = self.investment(product, &order.investor, order.id).await?;
                Ok(Tried::Done(Box::new(Once::Before(earlier))))
            }
        }
    }

    /// What the member has invested in the product: one read.
    async fn position(&self, product: &Product, investor: &UserId) -> PortResult<Position> {
        let (latest, _) = self.investments_back(product, investor, None, 1).await?;
        Ok(latest.first().map_or(Position::default(), |latest| latest.position))
    }

    /// The member's investment of that id. Its transfer exists, so it does.
    async fn investment(
        &self,
        product: &Product,
        investor: &UserId,
        id: InvestmentId,
    ) -> PortResult<Investment> {
        let mut start = None;
        loop {
            let (page, next) = self.investments_back(product, investor, start, PAGE).await?;
            if let Some(found) = page.into_iter().find(|investment| investment.id == id) {
                return Ok(found);
            }
            if next.is_none() {
                return Err(PortError::corrupt("invest: the ledger has the transfer alone"));
            }
            start = next;
        }
    }

    /// The member's investments in the product, the latest first.
    async fn investments_back(
        &self,
        product: &Product,
        investor: &UserId,
        start: Option<crate::item::Item>,
        limit: i32,
    ) -> PortResult<(Vec<Investment>, Option<crate::item::Item>)> {
        let part = keys::investments_pk(product.id, product.part_of(investor));
        let got = self
            .dynamo
            .query()
            .table_name(&self.names.products)
            .key_condition_expression("#pk = :part AND begins_with(#sk, :investor)")
            .expression_attribute_names("#pk", PK)
            .expression_attribute_names("#sk", SK)
            .expression_attribute_values(":part", s(part))
            .expression_attribute_values(":investor", s(keys::investments_of(investor)))
            .set_exclusive_start_key(start)
            .scan_index_forward(false)
            .limit(limit)
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("read investments of a member", error))?;
        let items = got.items.unwrap_or_default();
        let investments = items.iter().map(read_investment).collect::<PortResult<_>>()?;
        Ok((investments, got.last_evaluated_key))
    }
}

/// A refusal that needs no read: the product's window and its mark never change back.
fn known_refusal(product: &Product, request: Request) -> Option<Refusal> {
    // Without shards, nothing remains.
    let refusal = decide(&product.terms, &[], Position::default(), request).err()?;
    (refusal != Refusal::SoldOut || product.sold_out.is_some()).then_some(refusal)
}

fn investment(
    product: &Product,
    order: &InvestOrder,
    shards: &[Shard],
    position: Position,
    request: Request,
) -> Investment {
    let amount = order.amount.get();
    Investment {
        id: order.id,
        product: product.id,
        investor: order.investor.clone(),
        amount: order.amount,
        position: Position {
            count: position.count.saturating_add(1),
            total: position.total.saturating_add(amount),
        },
        remaining: Sums::of(shards).remaining.saturating_sub(amount),
        terms: product.terms.clone(),
        at: request.now,
        is_refunded: false,
    }
}

/// A request token may not come again with other contents, so it names all that differs.
fn token(investment: &Investment, wallet: &Wallet, takes: &[Take]) -> String {
    let (at, remaining) = (investment.at.ms(), investment.remaining);
    let attempt = format!("{} {at} {remaining} {takes:?}", wallet.seq);
    request_token(&["invest", &investment.id.to_string(), &attempt])
}
