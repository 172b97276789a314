//! What the kernel knows about a request before any handler sees it.

/// Which wire format a request speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The format of the clients that were there first.
    V1,
    /// The present one; also of everything outside `/api`.
    V2,
}

impl Version {
    /// The version of a path.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        if path == "/api/v1" || path.starts_with("/api/v1/") { Self::V1 } else { Self::V2 }
    }
}

/// The identity of one request, set by the platform that hands it in (Lambda).
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// What the kernel notes on every request.
#[derive(Clone, Debug)]
pub struct Meta {
    /// Its identity, answered as `X-Request-Id`.
    pub request_id: String,
    /// Its wire format.
    pub version: Version,
}
