//! What the tool says about refunds.

use largesse_domain::time::Timestamp;
use largesse_edge::time::format as format_time;

use super::{join, not_shown};
use crate::dlq::{Refund, RefundsView, Tried};
use crate::plain::{self, counted};

/// Why a refund is refused.
pub(in crate::dlq) const REFUND_REFUSED: &str = "the wallet cannot hold that much";

/// Whose wallet it is.
fn owner(refund: &Refund) -> String {
    refund.to.as_ref().map_or_else(|| "its investors".to_owned(), ToString::to_string)
}

/// Where a refund stands.
pub(in crate::dlq) fn of_refund(refund: &Refund, now: Timestamp) -> String {
    match (refund.returned, refund.refused) {
        (Some((_, at)), _) => format!("returned {}", format_time(at)),
        (None, Some(_)) => format!("{REFUND_REFUSED}; tried every hour"),
        (None, None) if now >= refund.over => {
            "not refused: returned at the next run of refund-batch, each minute".to_owned()
        }
        (None, None) => "not refused: returned when its window is over".to_owned(),
    }
}

pub(in crate::dlq) fn refunds_text(found: &RefundsView, limit: usize, now: Timestamp) -> String {
    const HEADER: [&str; 5] = ["source", "to", "amount", "refused", "why"];
    let RefundsView { refunds, unreadable } = found;
    let count = u64::try_from(refunds.len()).unwrap_or(u64::MAX);
    let head = format!("refunds: {}", counted(count, "refused refund", "refused refunds"));
    let row = |refund: &Refund| {
        let amount = refund.refused.map_or_else(String::new, |amount| amount.to_string());
        let since = refund.since.map_or_else(|| "–".to_owned(), format_time);
        vec![refund.source.to_string(), owner(refund), amount, since, of_refund(refund, now)]
    };
    let rows: Vec<_> = refunds.iter().take(limit).map(row).collect();
    let table = (!rows.is_empty()).then(|| plain::columns(&HEADER, &rows, HEADER.len()));
    let more = not_shown(rows.len(), count);
    let unreadable = (!unreadable.is_empty())
        .then(|| format!("  sources that cannot be read: {}", unreadable.join(", ")));
    join([Some(head), table, more, unreadable])
}

pub(in crate::dlq) fn refund_text(refund: &Refund, now: Timestamp) -> String {
    let mut pairs = vec![
        ("source", refund.source.to_string()),
        ("to", owner(refund)),
        ("over", format_time(refund.over)),
        ("why", of_refund(refund, now)),
    ];
    if let Some((amount, _)) = refund.returned {
        pairs.push(("returned", amount.to_string()));
    } else if let Some(amount) = refund.refused {
        pairs.push(("refused", amount.to_string()));
        pairs.extend(refund.since.map(|since| ("since", format_time(since))));
    }
    plain::pairs(&pairs)
}

/// What another try of a refund came to.
pub(in crate::dlq) fn refund_retry_text(refund: &Refund, tried: Tried) -> String {
    let (source, owner) = (refund.source, owner(refund));
    match tried {
        Tried::Now { amount } => format!("refund of {source}: {amount} returned to {owner}"),
        Tried::Before => format!("refund of {source}: returned before, nothing is owed"),
        Tried::NotDue => {
            let over = format_time(refund.over);
            format!("refund of {source}: kept: it is open until {over}")
        }
        Tried::WalletFull { amount } => {
            format!("refund of {source}: kept: the wallet of {owner} cannot hold {amount} more")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refund() -> Refund {
        Refund {
            source: "SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(),
            to: Some("ann".parse().unwrap()),
            over: Timestamp::from_ms(600_000),
            returned: None,
            refused: None,
            since: None,
        }
    }

    #[test]
    fn a_source_that_is_over_waits_for_the_next_run_and_not_for_its_end() {
        let (open, over) = (Timestamp::from_ms(599_999), Timestamp::from_ms(600_000));
        assert!(of_refund(&refund(), open).ends_with("returned when its window is over"));
        let next = "not refused: returned at the next run of refund-batch, each minute";
        assert_eq!(of_refund(&refund(), over), next);
    }

    #[test]
    fn a_refused_refund_is_listed_with_whose_it_is_since_when_and_how_much() {
        let since = Some(Timestamp::from_ms(600_000));
        let refused = Refund { refused: Some(20), since, ..refund() };
        let found = RefundsView { refunds: vec![refused.clone(); 2], unreadable: vec![] };
        let listed = "refunds: 2 refused refunds\n  \
            source                            to   amount  refused                   why\n  \
            SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAV  ann  20      1970-01-01T00:10:00.000Z  \
            the wallet cannot hold that much; tried every hour\n  \
            and 1 more: --limit shows them";
        assert_eq!(refunds_text(&found, 1, Timestamp::from_ms(700_000)), listed);
        let shown = refund_text(&refused, Timestamp::from_ms(700_000));
        assert!(shown.ends_with("refused  20\nsince    1970-01-01T00:10:00.000Z"), "{shown}");
        let kept = refund_retry_text(&refused, Tried::WalletFull { amount: 20 });
        assert!(kept.ends_with("kept: the wallet of ann cannot hold 20 more"), "{kept}");
        let returned = Some((20, Timestamp::from_ms(700_000)));
        let returned = Refund { returned, refused: None, since: None, ..refused };
        let shown = refund_text(&returned, Timestamp::from_ms(800_000));
        assert!(shown.ends_with("returned 1970-01-01T00:11:40.000Z\nreturned  20"), "{shown}");
    }

    #[test]
    fn what_a_product_owes_to_its_investors_is_said_to_be_theirs() {
        let refused = Refund { to: None, refused: Some(20), ..refund() };
        let shown = refund_text(&refused, Timestamp::from_ms(700_000));
        assert!(shown.contains("its investors") && shown.ends_with("refused  20"), "{shown}");
    }
}
