//! An auth scheme that signs nothing: the emulator checks no signature, and computing one costs
//! every in-process call a sixth of its time.
//!
//! It is part of this crate, which is no dependency of a deployed function, so deployed code has no
//! way to skip signatures.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::{
    AuthScheme, AuthSchemeEndpointConfig, AuthSchemeId, SharedAuthScheme, Sign,
};
use aws_smithy_runtime_api::client::identity::{
    Identity, IdentityCacheLocation, IdentityFuture, ResolveIdentity, SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::{GetIdentityResolver, RuntimeComponents};
use aws_smithy_types::config_bag::ConfigBag;

/// The scheme id of all operations of the three services. A scheme with this id replaces the SDK's.
const SIGV4: AuthSchemeId = AuthSchemeId::new("sigv4");

/// The scheme.
pub(crate) fn unsigned() -> SharedAuthScheme {
    SharedAuthScheme::new(Unsigned(SharedIdentityResolver::new(Anonymous)))
}

#[derive(Debug)]
struct Unsigned(SharedIdentityResolver);

impl AuthScheme for Unsigned {
    fn scheme_id(&self) -> AuthSchemeId {
        SIGV4
    }

    fn identity_resolver(&self, _: &dyn GetIdentityResolver) -> Option<SharedIdentityResolver> {
        Some(self.0.clone())
    }

    fn signer(&self) -> &dyn Sign {
        self
    }
}

impl Sign for Unsigned {
    fn sign_http_request(
        &self,
        _: &mut HttpRequest,
        _: &Identity,
        _: AuthSchemeEndpointConfig<'_>,
        _: &RuntimeComponents,
        _: &ConfigBag,
    ) -> Result<(), BoxError> {
        Ok(())
    }
}

/// The identity of an unsigned request. It needs no cache.
#[derive(Debug)]
struct Anonymous;

impl ResolveIdentity for Anonymous {
    fn resolve_identity<'a>(
        &'a self,
        _: &'a RuntimeComponents,
        _: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        IdentityFuture::ready(Ok(Identity::new((), None)))
    }

    fn cache_location(&self) -> IdentityCacheLocation {
        IdentityCacheLocation::IdentityResolver
    }
}
