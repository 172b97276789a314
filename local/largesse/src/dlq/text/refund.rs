//! What the tool says about refunds.

use largesse_app::spray::refund::Refunded;
use largesse_app::spray::refused::RefusedRefunds;
use largesse_domain::spray::Spray;
use largesse_domain::time::Timestamp;
use largesse_edge::time::format as format_time;

use super::{join, not_shown};
use crate::plain::{self, counted};

/// Why a refund is refused.
pub(in crate::dlq) const REFUND_REFUSED: &str = "the sender's wallet cannot hold that much";

/// Where the refund of a spray stands.
pub(in crate::dlq) fn of_refund(spray: &Spray, now: Timestamp) -> String {
    match (spray.refund, spray.refused) {
        (Some(refund), _) => format!("returned {}", format_time(refund.at)),
        (None, Some(_)) => format!("{REFUND_REFUSED}; tried every hour"),
        (None, None) if spray.window.is_over(now) => {
            "not refused: returned at the next run of refund-batch, each minute".to_owned()
        }
        (None, None) => "not refused: returned when the spray is over".to_owned(),
    }
}

pub(in crate::dlq) fn refunds_text(found: &RefusedRefunds, limit: usize, now: Timestamp) -> String {
    const HEADER: [&str; 5] = ["source", "sender", "amount", "refused", "why"];
    let RefusedRefunds { sprays, unreadable } = found;
    let count = u64::try_from(sprays.len()).unwrap_or(u64::MAX);
    let head = format!("refunds: {}", counted(count, "refused refund", "refused refunds"));
    let row = |spray: &Spray| {
        let (amount, since) = spray.refused.map_or_else(Default::default, |refused| {
            (refused.amount.to_string(), format_time(refused.since))
        });
        let why = of_refund(spray, now);
        vec![spray.pool().to_string(), spray.sender.to_string(), amount, since, why]
    };
    let rows: Vec<_> = sprays.iter().take(limit).map(row).collect();
    let table = (!rows.is_empty()).then(|| plain::columns(&HEADER, &rows, HEADER.len()));
    let more = not_shown(rows.len(), count);
    let unreadable = (!unreadable.is_empty())
        .then(|| format!("  sprays that cannot be read: {}", unreadable.join(", ")));
    join([Some(head), table, more, unreadable])
}

pub(in crate::dlq) fn refund_text(spray: &Spray, now: Timestamp) -> String {
    let mut pairs = vec![
        ("source", spray.pool().to_string()),
        ("sender", spray.sender.to_string()),
        ("over", format_time(spray.window.closes)),
        ("why", of_refund(spray, now)),
    ];
    if let Some(refund) = spray.refund {
        pairs.push(("returned", refund.amount.to_string()));
    } else if let Some(refused) = spray.refused {
        pairs.push(("refused", refused.amount.to_string()));
        pairs.push(("since", format_time(refused.since)));
    }
    plain::pairs(&pairs)
}

/// What another try of a refund came to.
pub(in crate::dlq) fn refund_retry_text(spray: &Spray, refunded: Refunded) -> String {
    let (source, sender) = (spray.pool(), &spray.sender);
    match refunded {
        Refunded::Now { amount } => format!("refund of {source}: {amount} returned to {sender}"),
        Refunded::Before => format!("refund of {source}: returned before, nothing is owed"),
        Refunded::NotDue => {
            let over = format_time(spray.window.closes);
            format!("refund of {source}: kept: the spray is open until {over}")
        }
        Refunded::WalletFull { amount } => {
            format!("refund of {source}: kept: the wallet of {sender} cannot hold {amount} more")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use largesse_domain::split::{Seed, Split};
    use largesse_domain::spray::{Refund, RefusedRefund, Terms};

    fn spray() -> Spray {
        let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
        let (room, sender) = (id.parse().unwrap(), "ann".parse().unwrap());
        let terms = Terms::new(20, 2, Split::Equal, 600).unwrap();
        let (token, now) = ("ABC".parse().unwrap(), Timestamp::from_ms(0));
        Spray::new(id.parse().unwrap(), token, room, sender, &terms, Seed([7; 32]), now)
    }

    #[test]
    fn a_spray_that_is_over_waits_for_the_next_run_and_not_for_its_end() {
        let (open, over) = (Timestamp::from_ms(599_999), Timestamp::from_ms(600_000));
        assert!(of_refund(&spray(), open).ends_with("returned when the spray is over"));
        let next = "not refused: returned at the next run of refund-batch, each minute";
        assert_eq!(of_refund(&spray(), over), next);
    }

    #[test]
    fn a_refused_refund_is_listed_with_whose_it_is_since_when_and_how_much() {
        let refused = Some(RefusedRefund { amount: 20, since: Timestamp::from_ms(600_000) });
        let refused = Spray { refused, ..spray() };
        let found = RefusedRefunds { sprays: vec![refused.clone(); 2], unreadable: vec![] };
        let listed = "refunds: 2 refused refunds\n  \
            source                            sender  amount  refused                   why\n  \
            SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAV  ann     20      1970-01-01T00:10:00.000Z  \
            the sender's wallet cannot hold that much; tried every hour\n  \
            and 1 more: --limit shows them";
        assert_eq!(refunds_text(&found, 1, Timestamp::from_ms(700_000)), listed);
        let shown = refund_text(&refused, Timestamp::from_ms(700_000));
        assert!(shown.ends_with("refused  20\nsince    1970-01-01T00:10:00.000Z"), "{shown}");
        let kept = refund_retry_text(&refused, Refunded::WalletFull { amount: 20 });
        assert!(kept.ends_with("kept: the wallet of ann cannot hold 20 more"), "{kept}");
        let returned = Refund { amount: 20, shares: 2, at: Timestamp::from_ms(700_000) };
        let returned = Spray { refund: Some(returned), refused: None, ..refused };
        let shown = refund_text(&returned, Timestamp::from_ms(800_000));
        assert!(shown.ends_with("returned 1970-01-01T00:11:40.000Z\nreturned  20"), "{shown}");
    }
}
