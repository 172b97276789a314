//! Every route of the API and its methods, for whoever is asked what another function answers.
//!
//! Deployed, a method that no route takes reaches the function of `$default`, which knows its own
//! routes only. With this table it answers as the local stack does. `tests/flows/routes.rs` holds
//! the table and template.yaml together.

/// Each path's pattern and its methods, as `Allow` lists them. Who answers GET answers HEAD.
pub const ROUTES: [(&str, &str); 23] = [
    ("/api/openapi.json", "GET,HEAD"),
    ("/api/v1/receive", "POST"),
    ("/api/v1/rooms", "POST"),
    ("/api/v1/rooms/{room_id}/invite", "POST"),
    ("/api/v1/spray", "POST"),
    ("/api/v1/spray/{token}", "GET,HEAD"),
    ("/api/v1/transactions", "GET,HEAD"),
    ("/api/v1/transactions/{id}", "GET,HEAD"),
    ("/api/v1/wallet", "GET,HEAD"),
    ("/api/v1/wallet/balance", "GET,HEAD"),
    ("/api/v1/wallet/charge", "POST"),
    ("/api/v2/health", "GET,HEAD"),
    ("/api/v2/rooms", "POST"),
    ("/api/v2/rooms/{room}", "GET,HEAD"),
    ("/api/v2/rooms/{room}/members/{user}", "DELETE,PUT"),
    ("/api/v2/sprays", "GET,HEAD,POST"),
    ("/api/v2/sprays/{token}", "GET,HEAD"),
    ("/api/v2/sprays/{token}/claims", "POST"),
    ("/api/v2/wallets/{user}", "GET,HEAD"),
    ("/api/v2/wallets/{user}/deposits", "POST"),
    ("/api/v2/wallets/{user}/transactions", "GET,HEAD"),
    ("/api/v2/wallets/{user}/transactions/{id}", "GET,HEAD"),
    ("/docs", "GET,HEAD"),
];

/// The methods that a path takes; `None` when there is no such route.
#[must_use]
pub fn methods_of(path: &str) -> Option<&'static str> {
    let route = ROUTES.iter().find(|(pattern, _)| matches(pattern, path));
    route.map(|(_, methods)| *methods)
}

/// A name in braces stands for one part that is not empty.
fn matches(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut parts) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), parts.next()) {
            (None, None) => return true,
            (Some(name), Some(part)) if name.starts_with('{') && !part.is_empty() => {}
            (Some(name), Some(part)) if name == part => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("/api/v2/sprays", Some("GET,HEAD,POST"))]
    #[case("/api/v2/sprays/A7Q/claims", Some("POST"))]
    #[case("/api/v1/wallet/balance", Some("GET,HEAD"))]
    #[case("/api/v2/sprays//claims", None)]
    #[case("/api/v2/sprays/A7Q/claims/", None)]
    #[case("/api/v2", None)]
    #[case("", None)]
    fn a_path_takes_its_routes_methods(#[case] path: &str, #[case] methods: Option<&str>) {
        assert_eq!(methods_of(path), methods);
    }
}
