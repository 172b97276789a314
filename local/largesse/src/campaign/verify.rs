//! `largesse verify audit`: recomputes the chain of a campaign's audit.

use largesse_domain::campaign::{AuditEntry, verify};
use largesse_domain::id::CampaignId;
use serde_json::Value;

use super::api::Api;
use super::wire::Entry;
use super::{CampaignError, Ended, Say, load, look};

/// Checks that the audit is as it was written and ends where the campaign says.
///
/// # Errors
/// [`CampaignError::AuditBroken`] names the first entry that is not.
pub async fn audit(api: &Api, out: &dyn Say, id: CampaignId) -> Result<Ended, CampaignError> {
    let unreadable = |what: &str| CampaignError::AuditUnreadable(what.to_owned());
    // The head first: a campaign that runs has more entries a moment later, and never fewer.
    let head = load::get(api, &id.to_string()).await?.audit;
    let head = head.and_then(|head| head.read());
    let head = head.ok_or_else(|| unreadable("the campaign does not say where it ends"))?;
    let mut read: Vec<AuditEntry> = Vec::new();
    let path = format!("/campaigns/{id}/audit?");
    let (entries, _) = look::list(api, &path, "entries", usize::MAX).await?;
    for entry in look::read::<Vec<Entry>>(Value::Array(entries))? {
        let malformed = || unreadable(&format!("entry {} is malformed", entry.seq));
        read.push(entry.read().ok_or_else(malformed)?);
    }
    verify(id, &read, None).map_err(CampaignError::AuditBroken)?;
    let known = usize::try_from(head.seq).unwrap_or(usize::MAX).min(read.len());
    let until_head = read.get(..known).unwrap_or_default();
    verify(id, until_head, Some(head)).map_err(CampaignError::AuditBroken)?;
    let count = read.len();
    out.say(&format!("the audit of {id} is as it was written: {count} entries"))?;
    Ok(Ended::Done)
}
