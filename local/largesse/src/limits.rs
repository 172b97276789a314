//! Limits of callers that a local stack has in place of those of template.yaml.

use largesse_app::settings::{SettingError, Variables};
use largesse_edge::limits::LIMIT_MAX;

/// The variables.
pub const NAMES: [&str; 7] = [
    "REQUESTS_MEMBER_PER_S",
    "REQUESTS_OWNER_PER_S",
    "TOKEN_MISSES_MEMBER_MAX",
    "TOKEN_MISSES_ROOM_MAX",
    "TOKEN_MISSES_OWNER_MAX",
    "CREATIONS_MEMBER_MAX",
    "CREATIONS_OWNER_MAX",
];

/// Those that the environment of this process sets.
///
/// # Errors
/// [`SettingError`], the first.
pub fn given(variables: &Variables<'_>) -> Result<Vec<(&'static str, String)>, SettingError> {
    let mut given = Vec::new();
    for name in NAMES {
        let expected = format!("a whole number from 1 to {LIMIT_MAX}");
        let value = variables.optional(name, &expected, |text| {
            text.parse::<u32>().ok().filter(|value| (1..=LIMIT_MAX).contains(value))
        })?;
        given.extend(value.map(|value| (name, value.to_string())));
    }
    Ok(given)
}

/// Limits that no caller reaches: for demonstrations and measurements, in which one user does what
/// many do elsewhere.
#[must_use]
pub fn out_of_reach() -> Vec<(&'static str, String)> {
    NAMES.iter().map(|name| (*name, LIMIT_MAX.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_sets_any_of_the_limits_and_nothing_malformed() {
        let read = |value: &'static str| {
            given(&Variables::new(move |name| (name == NAMES[2]).then(|| value.to_owned())))
        };
        assert_eq!(read("7"), Ok(vec![(NAMES[2], "7".to_owned())]));
        assert_eq!(read(""), Ok(Vec::new()));
        for value in ["0", "x", "1000000001"] {
            assert_eq!(read(value).unwrap_err().name, NAMES[2], "{value}");
        }
    }

    #[test]
    fn the_template_has_each_of_the_limits() {
        let stack = crate::compose::stack().unwrap();
        for name in NAMES {
            let has = stack.functions.iter().any(|f| f.environment.contains_key(name));
            assert!(has, "{name}");
        }
    }
}
