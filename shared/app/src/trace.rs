//! The id of a trace: what a caller's request and all that follows from it have in common.
//!
//! # Guarantees
//! * What is no id of a trace is none, however odd: `what_is_no_id_of_a_trace_is_none`.
//! * Both forms of one id are the same id: `a_trace_is_read_from_both_headers`.

use std::fmt;

use largesse_domain::id::Ulid;

/// 16 bytes, not all zero (W3C Trace Context, "trace-id").
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceId([u8; 16]);

impl TraceId {
    /// The id of those bytes; `None` for zeros, which mean that there is none.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }

    /// The bytes of an identity that was made for a request.
    #[must_use]
    pub const fn of_ulid(id: Ulid) -> Self {
        Self(id.to_bytes())
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// The id in a `traceparent` header: `00-<id>-<parent>-<flags>`. A later version may add parts
    /// (W3C Trace Context, "Versioning of traceparent").
    #[must_use]
    pub fn of_traceparent(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let mut part = || parts.next().unwrap_or_default();
        let (version, id, parent, flags) = (part(), part(), part(), part());
        let is_known = match version {
            "00" => parts.next().is_none(),
            "ff" => false,
            later => is_hex(later, 2),
        };
        let is_whole = is_known && is_hex(parent, 16) && is_hex(flags, 2);
        if is_whole { Self::of_hex(id) } else { None }
    }

    /// The id in an `X-Amzn-Trace-Id` header: `Root=1-<8 digits>-<24 digits>`, among other fields
    /// (AWS X-Ray Developer Guide, "Tracing header").
    #[must_use]
    pub fn of_xray(header: &str) -> Option<Self> {
        let root = header.split(';').find_map(|field| field.trim().strip_prefix("Root=1-"))?;
        let (time, unique) = root.split_once('-')?;
        let is_whole = is_hex(time, 8) && is_hex(unique, 24);
        if is_whole { Self::of_hex(&format!("{time}{unique}")) } else { None }
    }

    /// The id of 32 digits.
    #[must_use]
    pub fn of_hex(digits: &str) -> Option<Self> {
        if !is_hex(digits, 32) {
            return None;
        }
        let number = u128::from_str_radix(digits, 16).ok()?;
        Self::from_bytes(number.to_be_bytes())
    }
}

/// Whether a text is that many digits as the standards write them: in lower case.
fn is_hex(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// 32 digits.
impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "5759e988bd862e3fe1be46a994272793";

    #[test]
    fn a_trace_is_read_from_both_headers() {
        let parent = TraceId::of_traceparent(&format!("00-{ID}-53995c3f42cd8ad8-01")).unwrap();
        assert_eq!(parent.to_string(), ID);
        for xray in [
            "Root=1-5759e988-bd862e3fe1be46a994272793",
            "Self=1-67891234-12456789abcdef012345678;Root=1-5759e988-bd862e3fe1be46a994272793",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
        ] {
            assert_eq!(TraceId::of_xray(xray), Some(parent), "{xray}");
        }
        let later = TraceId::of_traceparent(&format!("01-{ID}-53995c3f42cd8ad8-01-what-else"));
        assert_eq!(later, Some(parent));
        assert_eq!(TraceId::from_bytes(parent.bytes()), Some(parent));
        assert_eq!(TraceId::of_ulid(Ulid::from_parts(1, 2)).to_string().len(), 32);
    }

    #[test]
    fn what_is_no_id_of_a_trace_is_none() {
        let zero = "0".repeat(32);
        for parent in [
            String::new(),
            ID.to_owned(),
            format!("00-{zero}-53995c3f42cd8ad8-01"),
            format!("00-{}-53995c3f42cd8ad8-01", ID.to_uppercase()),
            format!("00-{ID}-53995c3f42cd8ad8"),
            format!("00-{ID}-53995c3f42cd8ad8-01-more"),
            format!("00-{ID}0-53995c3f42cd8ad8-01"),
            format!("ff-{ID}-53995c3f42cd8ad8-01"),
            format!("00-{}뿌-53995c3f42cd8ad8-01", &ID[..29]),
        ] {
            assert_eq!(TraceId::of_traceparent(&parent), None, "{parent}");
        }
        for xray in ["", "Root=", "Root=1-5759e988", "Root=2-5759e988-bd862e3fe1be46a994272793"] {
            assert_eq!(TraceId::of_xray(xray), None, "{xray}");
        }
        for digits in ["", "+759e988bd862e3fe1be46a994272793", zero.as_str()] {
            assert_eq!(TraceId::of_hex(digits), None, "{digits}");
        }
    }
}
