//! What the kernel knows about a request before a handler sees it.

/// The wire format of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The format of the first clients.
    V1,
    /// The current format; also that of every path outside `/api`.
    V2,
}

impl Version {
    /// The version of a path.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        if path == "/api/v1" || path.starts_with("/api/v1/") { Self::V1 } else { Self::V2 }
    }
}

/// What the kernel attaches to every request.
#[derive(Clone, Debug)]
pub struct Meta {
    /// The request id, answered as `X-Request-Id`.
    pub request_id: String,
    /// The wire format.
    pub version: Version,
}
