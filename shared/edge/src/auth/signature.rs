//! The signature of a request: HMAC-SHA256 over one canonical text.
//!
//! Server and `largesse sign` share this module. docs/auth.md describes the text for writers of other
//! clients.
//!
//! # Guarantees
//! * Two requests that differ in a signed part have different texts:
//!   `no_two_requests_have_the_same_text`.
//! * A changed part, a changed secret and a changed signature do not verify:
//!   `a_request_that_differs_in_one_byte_does_not_verify`.

use std::borrow::Cow;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

/// The header with the signatures, as `v1=<hex>[,v1=<hex>...]`.
pub const SIGNATURE_HEADER: &str = "X-Signature";
/// The header with the time of signing, in seconds of Unix time.
pub const TIMESTAMP_HEADER: &str = "X-Timestamp";
/// The header with a value that the caller uses once: 16 to 64 of `[A-Za-z0-9_-]`.
pub const NONCE_HEADER: &str = "X-Nonce";
/// The most signatures in one header: a caller that changes its secret sends two.
pub const SIGNATURES_MAX: usize = 4;

/// The version of the text, and the prefix of each signature.
const VERSION: &str = "v1";
/// An HMAC-SHA256.
const MAC_LEN: usize = 32;
/// What separates the secrets of signatures from other uses of a master secret.
const DERIVATION: &str = "largesse signature v1:";

/// The signed parts of a request.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The path without base path and stage, percent-decoded once: an HTTP API hands over no other.
    pub path: &'a str,
    /// The query string as it was sent, without `?`; empty for none.
    pub query: &'a str,
    /// `X-Timestamp`.
    pub timestamp: &'a str,
    /// `X-Nonce`.
    pub nonce: &'a str,
    /// `X-USER-ID`; empty for none.
    pub user: &'a str,
    /// `X-ROOM-ID`; empty for none.
    pub room: &'a str,
    /// The bytes of the body, decoded where an event has them in Base64.
    pub body: &'a [u8],
}

/// The text that is signed: nine lines without a line feed at the end. Only the path may hold a line
/// feed itself; since it is the only such part, the text still belongs to one request.
#[must_use]
pub fn signed_text(parts: &Parts<'_>) -> String {
    let body = hex::encode(Sha256::digest(parts.body));
    let lines = [
        VERSION,
        parts.method,
        parts.path,
        parts.query,
        parts.timestamp,
        parts.nonce,
        parts.user,
        parts.room,
        &body,
    ];
    lines.join("\n")
}

/// The secret that signs the requests of one key: 64 hexadecimal digits. It is stored nowhere.
#[must_use]
pub fn derive_secret(master: &str, key_id: &str) -> String {
    let text = format!("{DERIVATION}{key_id}");
    mac(master, &text).map(|mac| hex::encode(mac.finalize().into_bytes())).unwrap_or_default()
}

/// One signature, as it stands in [`SIGNATURE_HEADER`].
#[must_use]
pub fn sign(secret: &str, text: &str) -> String {
    let digits = mac(secret, text).map(|mac| hex::encode(mac.finalize().into_bytes()));
    format!("{VERSION}={}", digits.unwrap_or_default())
}

fn mac(secret: &str, text: &str) -> Option<Hmac<Sha256>> {
    // HMAC accepts keys of any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(text.as_bytes());
    Some(mac)
}

/// The signatures of a request. Their `Debug` is redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct Signatures(Vec<[u8; MAC_LEN]>);

impl Signatures {
    /// Reads the value of [`SIGNATURE_HEADER`]; `None` unless it is 1 to [`SIGNATURES_MAX`]
    /// signatures, separated by commas, with optional blanks after them.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let mut macs = Vec::new();
        for signature in value.split(',') {
            let digits = signature.trim().strip_prefix(VERSION)?.strip_prefix('=')?;
            let mut mac = [0; MAC_LEN];
            hex::decode_to_slice(digits, &mut mac).ok()?;
            macs.push(mac);
            if macs.len() > SIGNATURES_MAX {
                return None;
            }
        }
        Some(Self(macs))
    }

    /// Whether one of them is the signature of `text` under `secret`. Each comparison takes constant
    /// time.
    #[must_use]
    pub fn verify(&self, secret: &str, text: &str) -> bool {
        let Some(mac) = mac(secret, text) else { return false };
        self.0.iter().any(|given| mac.clone().verify_slice(given).is_ok())
    }
}

impl fmt::Debug for Signatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signatures(..)")
    }
}

/// Decodes a path once; `None` when the result is not UTF-8: then no HTTP API could hand it over. A
/// `%` without two digits stays as it is.
#[must_use]
pub fn decoded_path(path: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(path).decode_utf8().ok()
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;

/// The example for Rust, run as a test of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../../../../docs/signing.md")]
struct Example;
