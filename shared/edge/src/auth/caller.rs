//! The service that calls.

use http::Extensions;
use largesse_domain::id::KeyId;
use largesse_domain::key::{Owner, Scope, Scopes};

use crate::call::Call;
use crate::code::Code;
use crate::error::ApiError;

/// A caller whose key and signature were verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Whose key it is: budgets and idempotency keys are the owner's.
    pub owner: Owner,
    /// The key.
    pub key: KeyId,
    /// What the key was made for.
    pub scopes: Scopes,
}

impl Caller {
    /// The caller of a request; `None` with `AUTH=open` and on public routes.
    pub(crate) fn of(extensions: &Extensions) -> Option<Self> {
        extensions.get::<Self>().cloned()
    }
}

impl Call {
    /// The verified caller, who must have that scope, whatever the mode is.
    ///
    /// # Errors
    /// ERR004; always with `AUTH=open`, where no caller is known.
    pub fn verified(&self, scope: Scope) -> Result<&Caller, ApiError> {
        let caller = self.service.as_ref().filter(|caller| caller.scopes.has(scope));
        let detail = "This needs an API key and a signature, and AUTH=signed.";
        caller.ok_or_else(|| ApiError::new(Code::Forbidden, detail))
    }
}
