//! The HTTP client of the AWS SDK under `object_store`: one TLS stack, one pool of connections'
//! code, and none of it in a function that links no S3.

use std::time::Duration;

use async_trait::async_trait;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{HttpConnector as _, HttpConnectorSettings};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};

/// How long a connection may take: S3 is in the same region.
const CONNECT_MS: u64 = 1_000;
/// How long the first byte of an answer may take. Two tries fit into the 10 s of a function that
/// answers HTTP.
const READ_MS: u64 = 3_000;

/// Makes clients of the SDK's HTTP stack.
#[derive(Debug)]
pub(super) struct SdkHttp;

impl HttpConnector for SdkHttp {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let settings = HttpConnectorSettings::builder()
            .connect_timeout(Duration::from_millis(CONNECT_MS))
            .read_timeout(Duration::from_millis(READ_MS))
            .build();
        let connector = Connector::builder()
            .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
            .connector_settings(settings)
            .sleep_impl(TokioSleep::new())
            .build();
        Ok(HttpClient::new(Service(connector)))
    }
}

#[derive(Debug)]
struct Service(Connector);

/// What kind of failure it was: `object_store` tries some of them again.
fn failed(error: ConnectorError) -> HttpError {
    let kind = if error.is_timeout() {
        HttpErrorKind::Timeout
    } else if error.is_io() {
        HttpErrorKind::Interrupted
    } else {
        HttpErrorKind::Unknown
    };
    HttpError::new(kind, error)
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let request = request.map(SdkBody::from_body_1_x);
        let request =
            request.try_into().map_err(|error: aws_smithy_runtime_api::http::HttpError| {
                HttpError::new(HttpErrorKind::Unknown, error)
            })?;
        let response = self.0.call(request).await.map_err(failed)?;
        let response = response
            .try_into_http1x()
            .map_err(|error| HttpError::new(HttpErrorKind::Decode, error))?;
        Ok(response.map(|body| {
            let lost = |error| HttpError::new_boxed(HttpErrorKind::Interrupted, error);
            HttpResponseBody::new(body.map_err(lost))
        }))
    }
}
