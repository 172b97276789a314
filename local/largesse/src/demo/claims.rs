//! What a demonstration claims of its outcome, and how it prints that.

/// A name, what is, and what it must be.
pub(super) type Claim = (&'static str, u64, u64);

/// The claims that do not hold, each in words.
pub(super) fn broken(claims: &[Claim]) -> Vec<String> {
    let wrong = claims.iter().filter(|(_, is, must)| is != must);
    wrong.map(|(name, is, must)| format!("{name}: {is} and not {must}")).collect()
}

/// A line for each claim.
pub(super) fn lines(claims: &[Claim]) -> Vec<String> {
    let verdict = |(name, is, must): &Claim| {
        let wrong = format!("  WRONG: it must be {must}");
        line(name, format!("{is}{}", if is == must { "" } else { &wrong }))
    };
    claims.iter().map(verdict).collect()
}

/// A line of a closing table.
pub(super) fn line(name: &str, value: String) -> String {
    format!("  {name:<38}{value}")
}
