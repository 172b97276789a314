//! S3 as the store of objects. Only the functions that read or write the archive call this, so that
//! no other links it.

use std::sync::Arc;
use std::time::Duration;

use largesse_app::settings::{Fault, SettingError, Variables};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{ObjectStore, RetryConfig};

use super::http::SdkHttp;
use crate::names::url;

/// The variable that names the bucket.
const BUCKET: &str = "ARCHIVE_BUCKET";
/// How often a call is tried again, and for how long: two tries fit into a request.
const RETRIES_MAX: usize = 1;
const RETRY_TIMEOUT_MS: u64 = 4_000;

/// The name of a bucket, as S3 accepts it for requests over TLS (Amazon S3 User Guide, "General
/// purpose bucket naming rules": a dot does not match the certificate).
fn bucket(text: &str) -> Option<String> {
    let is_known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let ends = !text.starts_with('-') && !text.ends_with('-');
    let fits = (3..=63).contains(&text.len()) && ends && text.bytes().all(is_known);
    fits.then(|| text.to_owned())
}

/// The bucket that `ARCHIVE_BUCKET` names, with the credentials that Lambda sets; `None` where the
/// variable is not set. `AWS_ENDPOINT_URL` leads to a local emulator.
///
/// # Errors
/// [`SettingError`].
pub(crate) fn s3(variables: &Variables<'_>) -> Result<Option<Arc<dyn ObjectStore>>, SettingError> {
    let expected = "the name of an S3 bucket without dots";
    let Some(bucket) = variables.optional(BUCKET, expected, bucket)? else { return Ok(None) };
    let text = |text: &str| Some(text.to_owned());
    let credential = "a credential of AWS, as Lambda sets it";
    let builder = AmazonS3Builder::new()
        .with_http_connector(SdkHttp)
        .with_bucket_name(bucket)
        .with_region(variables.required("AWS_REGION", "a region of AWS", text)?)
        .with_access_key_id(variables.required("AWS_ACCESS_KEY_ID", credential, text)?)
        .with_secret_access_key(variables.required("AWS_SECRET_ACCESS_KEY", credential, text)?)
        .with_retry(RetryConfig {
            max_retries: RETRIES_MAX,
            retry_timeout: Duration::from_millis(RETRY_TIMEOUT_MS),
            ..RetryConfig::default()
        });
    let builder = match variables.optional("AWS_SESSION_TOKEN", credential, text)? {
        Some(token) => builder.with_token(token),
        None => builder,
    };
    let builder = match variables.optional("AWS_ENDPOINT_URL", "the URL of an emulator", url)? {
        // An emulator has one host for all buckets.
        Some(endpoint) => builder.with_endpoint(endpoint),
        None => builder.with_virtual_hosted_style_request(true),
    };
    let malformed =
        |_| SettingError { name: BUCKET, fault: Fault::Malformed, expected: expected.to_owned() };
    let built: AmazonS3 = builder.build().map_err(malformed)?;
    Ok(Some(Arc::new(built)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(bucket: &str, credentials: bool) -> Result<Option<String>, &'static str> {
        let variables = Variables::new(|name| match name {
            BUCKET => Some(bucket.to_owned()),
            "AWS_REGION" => Some("ap-northeast-2".to_owned()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" if credentials => Some("x".to_owned()),
            _ => None,
        });
        let built = s3(&variables).map_err(|error| error.name)?;
        Ok(built.map(|store| store.to_string()))
    }

    #[test]
    fn a_bucket_is_named_as_s3_names_it_and_without_a_name_there_is_no_archive() {
        let named = built("largesse-archive-1", true).unwrap().unwrap();
        assert!(named.contains("largesse-archive-1"), "{named}");
        assert_eq!(built("", true), Ok(None));
        for malformed in ["ab", "-abc", "abc-", "a.b.c", "Abc", "a/b/c", &"a".repeat(64)] {
            assert_eq!(built(malformed, true), Err(BUCKET), "{malformed}");
        }
        assert_eq!(built("largesse", false), Err("AWS_ACCESS_KEY_ID"));
    }
}
