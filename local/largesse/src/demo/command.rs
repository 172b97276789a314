//! The command: its arguments.

use clap::{Args, Subcommand};
use largesse_domain::drop::SLOTS_MAX;
use largesse_domain::money::AMOUNT_MAX;

use super::{DemoError, campaign, drop, product, spray};

/// What is played.
#[derive(Debug, Subcommand)]
pub enum Scene {
    /// Many members claim one spray at once.
    Spray(SprayArgs),
    /// Many people enter one drop at once: slots, a waiting list, and the others.
    Drop(DropArgs),
    /// Investors invest in one product at once, until it is sold out.
    Product(ProductArgs),
    /// A campaign is paid over a socket with faults, and compared with the books row by row.
    Campaign {
        /// How many rows it has, 1 to 1,000,000.
        #[arg(long, default_value_t = 100_000)]
        #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        rows: u32,
    },
}

/// The options of `demo spray`.
#[derive(Debug, Args)]
pub struct SprayArgs {
    /// How many members claim, 1 to 100,000.
    #[arg(long, default_value_t = 1_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    people: u32,
    /// How many shares there are, 1 to 1,000.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    shares: u32,
    /// The amount, in won: at least 1 for each share, at most 1,000,000,000,000.
    #[arg(long, default_value_t = 1_000_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=AMOUNT_MAX))]
    amount: u64,
    /// How many requests are under way at once, 1 to 1,024.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    clients: u16,
}

/// The options of `demo drop`.
#[derive(Debug, Args)]
pub struct DropArgs {
    /// How many people enter, 1 to 1,000,000.
    #[arg(long, default_value_t = 100_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    people: u32,
    /// How many slots there are, 1 to 100,000.
    #[arg(long, default_value_t = 10_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(SLOTS_MAX)))]
    slots: u32,
    /// How many requests are under way at once, 1 to 1,024.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    clients: u16,
}

/// The options of `demo product`.
#[derive(Debug, Args)]
pub struct ProductArgs {
    /// How many investors there are, 1 to 100,000.
    #[arg(long, default_value_t = 5_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    people: u32,
    /// What the product raises, in won, 1 to 1,000,000,000.
    #[arg(long, default_value_t = 100_000_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000_000))]
    target: u32,
    /// How many requests are under way at once, 1 to 1,024.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    clients: u16,
}

impl Scene {
    /// Why its arguments do not go together.
    #[must_use]
    pub fn contradiction(&self) -> Option<&'static str> {
        match self {
            Self::Spray(args) if args.amount < u64::from(args.shares) => {
                Some("--amount is less than --shares: a share is 1 won at least")
            }
            _ => None,
        }
    }
}

/// Plays it and prints its result.
///
/// # Errors
/// [`DemoError`], also when the outcome is not the expected one.
pub async fn run(scene: Scene) -> Result<(), DemoError> {
    match scene {
        Scene::Spray(SprayArgs { people, shares, amount, clients }) => {
            spray::run(people, shares, amount, clients).await
        }
        Scene::Drop(DropArgs { people, slots, clients }) => drop::run(people, slots, clients).await,
        Scene::Product(ProductArgs { people, target, clients }) => {
            product::run(people, target, clients).await
        }
        Scene::Campaign { rows } => campaign::run(rows).await,
    }
}
