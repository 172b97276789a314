//! TLS: rustls on ring, with the roots of the machine.
//!
//! The AWS SDK of this workspace uses the same library, cryptography and roots, so nothing is linked
//! twice, and a deployment that trusts a private authority says so once, in the machine's own store
//! (or `SSL_CERT_FILE`). The roots of Mozilla in a crate would age with the binary.

use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};

use crate::error::SetupError;

/// Whether only the machine that a URL names can read what is sent there: `https`, or `http` to this
/// machine.
#[must_use]
pub fn is_private(url: &reqwest::Url) -> bool {
    let is_local = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    url.scheme() == "https" || (url.scheme() == "http" && is_local)
}

/// The root certificates of this machine.
///
/// # Errors
/// [`SetupError::NoRoots`] when there is none. One that cannot be read is left out.
pub fn platform_roots() -> Result<RootCertStore, SetupError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(SetupError::NoRoots) } else { Ok(roots) }
}

/// A client's configuration that trusts those roots. `reqwest` needs one in each of its clients,
/// those that speak plain HTTP to this machine included: without it, it panics.
///
/// # Errors
/// [`SetupError::Tls`].
pub fn config(roots: RootCertStore) -> Result<ClientConfig, SetupError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(SetupError::Tls)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// A client for plain HTTP to this machine: it trusts no root.
///
/// # Panics
/// When the process cannot make a client at all, as [`reqwest::Client::new`] does.
#[must_use]
pub fn local_client() -> reqwest::Client {
    let config = config(RootCertStore::empty()).ok();
    let build = |config| reqwest::Client::builder().tls_backend_preconfigured(config).build().ok();
    config.and_then(build).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_made_with_the_roots_of_the_machine() {
        let config = config(platform_roots().unwrap()).unwrap();
        assert!(reqwest::Client::builder().tls_backend_preconfigured(config).build().is_ok());
    }
}
