//! The command: what it takes, and what it prints.

use clap::{ArgGroup, Args, Subcommand};

use super::{Dlq, DlqError, Explained, Queue, Redriven, config};

/// Which deployment.
#[derive(Clone, Debug, Args)]
pub struct Where {
    /// The embedded AWS of a running `largesse up`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000/_aws", global = true)]
    endpoint: String,
    /// AWS itself, with the credentials and the region of the environment.
    #[arg(long, conflicts_with = "endpoint", global = true)]
    aws: bool,
    /// The name under which template.yaml was deployed.
    #[arg(long, value_name = "NAME", default_value = "largesse", global = true)]
    stack: String,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Action {
    /// List dead letters, each with its reason.
    List {
        /// Only these; without it, all.
        #[arg(long, value_enum)]
        queue: Option<Queue>,
    },
    /// Show one dead letter whole.
    Show {
        /// Its id, as `list` prints it.
        id: String,
    },
    /// Try anew. What is paid stays paid, and what is redriven is paid once.
    #[command(group = ArgGroup::new("which").required(true).args(["id", "all"]))]
    Redrive {
        /// This letter only.
        #[arg(long, value_name = "ID")]
        id: Option<String>,
        /// All letters; of the outbox also whatever nobody has tried to pay, with a letter or
        /// without.
        #[arg(long)]
        all: bool,
        /// From which dead letters.
        #[arg(long, value_enum, default_value = "grants")]
        queue: Queue,
    },
}

/// Does it; gives what is to be printed.
///
/// # Errors
/// [`DlqError`].
pub async fn run(action: Action, place: Where) -> Result<String, DlqError> {
    let endpoint = (!place.aws).then_some(place.endpoint.as_str());
    let dlq = Dlq::open(&config(endpoint)?, &place.stack).await?;
    match action {
        Action::List { queue } => list(&dlq, queue).await,
        Action::Show { id } => Ok(show(&dlq.show(&id).await?)),
        Action::Redrive { id, queue: Queue::Grants, .. } => {
            Ok(redriven(&dlq.redrive(id.as_deref()).await?))
        }
        Action::Redrive { id, queue: Queue::Outbox, .. } => {
            let done = dlq.redrive_outbox(id.as_deref()).await?;
            let mut lines: Vec<String> =
                done.kept.iter().map(|(id, why)| format!("{id}  kept: {why}")).collect();
            lines.push(format!(
                "outbox: {} grants sent to be paid that nobody had tried, \
                 {} dead letters deleted, {} kept",
                done.sent,
                done.letters,
                done.kept.len()
            ));
            Ok(lines.join("\n"))
        }
    }
}

/// A line for each letter, and how many there were of each kind.
fn redriven(done: &[(String, Redriven)]) -> String {
    if done.is_empty() {
        return "grants: no dead letters".to_owned();
    }
    let (mut sent, mut paid, mut kept) = (0_usize, 0_usize, 0_usize);
    let mut lines = Vec::new();
    for (id, redriven) in done {
        let (count, line) = match redriven {
            Redriven::Sent => (&mut sent, format!("{id}  sent to be paid")),
            Redriven::PaidBefore => (&mut paid, format!("{id}  deleted: paid before")),
            Redriven::Kept(why) => (&mut kept, format!("{id}  kept: {why}")),
        };
        *count = count.saturating_add(1);
        lines.push(line);
    }
    lines.push(format!("grants: {sent} sent to be paid, {paid} paid before, {kept} kept"));
    lines.join("\n")
}

async fn list(dlq: &Dlq, queue: Option<Queue>) -> Result<String, DlqError> {
    let mut lines = Vec::new();
    for (name, one) in [("grants", Queue::Grants), ("outbox", Queue::Outbox)] {
        if queue.is_some_and(|queue| queue != one) {
            continue;
        }
        let (letters, others) = dlq.list(one).await?;
        match letters.len() {
            0 => lines.push(format!("{name}: no dead letters")),
            1 => lines.push(format!("{name}: 1 dead letter")),
            many => lines.push(format!("{name}: {many} dead letters")),
        }
        lines.extend(letters.iter().map(line));
        if others > 0 {
            lines.push(format!(
                "  and {others} more: being looked at, or behind others of the same member"
            ));
        }
    }
    Ok(lines.join("\n"))
}

fn line(one: &Explained) -> String {
    let grant = one.grant.as_ref().map(|grant| {
        let (amount, member) = (grant.amount, &grant.member);
        format!("  {:<18} {amount} to {member}", grant.status.as_str())
    });
    format!("  {}{}  {}", one.letter.id, grant.unwrap_or_default(), one.why)
}

fn show(one: &Explained) -> String {
    let mut lines =
        vec![format!("letter       {}", one.letter.id), format!("why          {}", one.why)];
    if let Some(grant) = &one.grant {
        lines.extend([
            format!("grant        {}", grant.id),
            format!("pool         {}", grant.pool),
            format!("member       {}", grant.member),
            format!("amount       {}", grant.amount),
            format!("counterpart  {}", grant.counterpart),
            format!("decided      {}", largesse_edge::time::format(grant.decided_at())),
            format!("status       {}", grant.status.as_str()),
            format!("attempts     {}", grant.attempts),
            format!("failure      {}", grant.failure.as_deref().unwrap_or("–")),
        ]);
    }
    lines.push("attributes".to_owned());
    lines.extend(one.letter.attributes.iter().map(|(name, value)| format!("  {name}  {value}")));
    lines.push("body".to_owned());
    lines.push(format!("  {}", one.letter.body));
    lines.join("\n")
}
