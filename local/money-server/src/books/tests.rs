use super::*;

fn order(id: &str, amount: u64) -> Order {
    Order {
        id: id.to_owned(),
        member: "m".to_owned(),
        amount,
        reason: "share".to_owned(),
        source: "s".to_owned(),
        funder: None,
        memo: None,
    }
}

fn pay(books: &mut Books, id: &str, amount: u64) -> Asked {
    books.pay(&order(id, amount), 0, || Decision::Pay(amount))
}

fn refused(code: &str) -> Asked {
    Asked::Refused(code.to_owned())
}

fn refuse(books: &mut Books, code: &str) -> Asked {
    books.pay(&order("a", 5), 0, || Decision::Refuse(code.to_owned()))
}

#[test]
fn an_id_is_paid_once() {
    let mut books = Books::default();
    assert_eq!(pay(&mut books, "a", 5), Asked::Paid);
    assert_eq!(pay(&mut books, "a", 5), Asked::PaidBefore);
    assert_eq!(pay(&mut books, "b", 7), Asked::Paid);
    assert_eq!(pay(&mut books, "a", 6), Asked::OtherContent);
    let report = books.report(0);
    assert_eq!((report.paid, report.paid_sum, report.held_sum), (2, 12, 12));
    assert_eq!((report.paid_twice, report.duplicates, report.wrong_amounts), (0, 1, 0));
}

#[test]
fn a_refused_payment_is_decided_anew_when_it_is_asked_for_again() {
    let mut books = Books::default();
    assert_eq!(refuse(&mut books, "closed"), refused("closed"));
    assert_eq!(books.look_up("a", 0).unwrap().status, Status::Refused);
    assert_eq!(refuse(&mut books, "limit"), refused("limit"));
    assert_eq!(pay(&mut books, "a", 5), Asked::Paid);
    assert_eq!((books.report(0).refusals, books.report(0).refused), (2, 0));
}

#[test]
fn a_verdict_counts_once_and_is_told_before_another_attempt_begins() {
    let mut books = Books::default();
    let pend = |books: &mut Books| books.pay(&order("a", 5), 0, || Decision::Pend(None));
    assert_eq!(pend(&mut books), Asked::Pending);
    assert_eq!(pay(&mut books, "a", 5), Asked::Pending);
    assert_eq!(books.verdict("a", Some("closed".to_owned())), Some(true));
    // Twice, and another one behind it.
    assert_eq!(books.verdict("a", Some("closed".to_owned())), Some(false));
    assert_eq!(books.verdict("a", None), Some(false));
    assert_eq!(pay(&mut books, "a", 5), refused("closed"));
    assert_eq!(pend(&mut books), Asked::Pending);
    assert_eq!(books.verdict("a", None), Some(true));
    assert_eq!(books.verdict("a", Some("closed".to_owned())), Some(false));
    let report = books.report(0);
    assert_eq!((report.paid, report.paid_sum, report.refusals), (1, 5, 1));
    assert_eq!(report.verdicts_ignored, 3);
    assert_eq!(books.verdict("b", None), None);
}

#[test]
fn a_verdict_comes_when_it_is_due() {
    let mut books = Books::default();
    let due = Due { at_ms: 100, refusal: None };
    assert_eq!(books.pay(&order("a", 5), 0, || Decision::Pend(Some(due))), Asked::Pending);
    assert_eq!(books.look_up("a", 99).unwrap().status, Status::Pending);
    assert_eq!(books.look_up("a", 100).unwrap().status, Status::Paid);
    assert_eq!(books.report(100).paid_sum, 5);
}

#[test]
fn what_is_spent_cannot_be_taken_back() {
    let mut books = Books::default();
    pay(&mut books, "a", 5);
    assert_eq!(books.spend("m", 6), None);
    assert_eq!(books.spend("m", 2), Some(3));
    assert_eq!(books.reverse("a", 0), Taken::Shortfall(2));
    pay(&mut books, "b", 4);
    assert_eq!(books.reverse("a", 0), Taken::Reversed);
    assert_eq!(books.reverse("a", 0), Taken::ReversedBefore);
    assert_eq!(pay(&mut books, "a", 5), Asked::PaidBefore);
    let report = books.report(0);
    assert_eq!((report.paid_sum, report.reversed_sum, report.spent_sum), (9, 5, 2));
    assert_eq!((report.held_sum, report.paid, report.reversed), (2, 1, 1));
}

#[test]
fn what_was_never_paid_is_not_taken_back() {
    let mut books = Books::default();
    assert_eq!(books.reverse("a", 0), Taken::NeverPaid);
    refuse(&mut books, "closed");
    assert_eq!(books.reverse("a", 0), Taken::NeverPaid);
    books.pay(&order("b", 5), 0, || Decision::Pend(None));
    assert_eq!(books.reverse("b", 0), Taken::StillPending);
}

#[test]
fn a_payment_of_another_amount_stands_in_the_report() {
    let mut books = Books::default();
    books.pay(&order("a", 5), 0, || Decision::Pay(6));
    assert_eq!(books.look_up("a", 0).unwrap().amount, 6);
    let report = books.report(0);
    assert_eq!((report.wrong_amounts, report.paid_sum), (1, 6));
}
