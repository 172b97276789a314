//! The HTTP client under the SDK: it passes requests to the services without a socket.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use crate::bus::{Bus, BusError};
use crate::dynamo::Database;
use crate::faults::{Call, Fault, FaultHook, Outcome, Service};
use crate::recorder::{ItemAccess, Recorder, accesses};
use crate::reply::{Reply, call_of, fault_reply, unprocessed};
use crate::signals::{Signals, Topic};
use crate::sqs::Sqs;

/// Serves the requests of SDK clients.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) services: Arc<Services>,
}

/// All services that a request can reach.
pub(crate) struct Services {
    pub(crate) database: Database,
    pub(crate) sqs: Sqs,
    pub(crate) bus: Bus,
    pub(crate) recorder: Recorder,
    /// The attribute of each table's partition key.
    pub(crate) partition_keys: BTreeMap<String, String>,
    pub(crate) signals: Signals,
    pub(crate) hook: RwLock<Option<Arc<dyn FaultHook>>>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpClient for Connector {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let services = Arc::clone(&self.services);
        HttpConnectorFuture::new(async move { services.serve(&request).await })
    }
}

impl Services {
    pub(crate) async fn serve(
        &self,
        request: &HttpRequest,
    ) -> Result<HttpResponse, ConnectorError> {
        let body = request.body().bytes().unwrap_or_default();
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let call = call_of(target, body)
            .ok_or_else(|| ConnectorError::user(format!("unknown target: {target}").into()))?;
        // A real request takes time, in which other tasks run.
        tokio::task::yield_now().await;
        let hook =
            self.hook.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(Arc::clone);
        let Some(hook) = hook else {
            let reply = self.perform(&call, body);
            tokio::task::yield_now().await;
            return reply.into_response();
        };
        self.serve_faulty(&*hook, &call, body).await
    }

    async fn serve_faulty(
        &self,
        hook: &dyn FaultHook,
        call: &Call,
        body: &[u8],
    ) -> Result<HttpResponse, ConnectorError> {
        let before = hook.before(call).await;
        let refusal = match before {
            Some(Fault::ResetBeforeCommit) => {
                self.recorder.record(call, self.items(call, body), None, Vec::new());
                return Err(reset("connection reset before the request arrived"));
            }
            Some(Fault::Unprocessed) => unprocessed(call, body),
            Some(Fault::DelayRequest(delay)) => {
                wait(delay).await;
                None
            }
            Some(fault) => fault_reply(call, fault),
            None => None,
        };
        if let Some(reply) = refusal {
            self.recorder.record(call, self.items(call, body), Some(reply.status), Vec::new());
            return reply.into_response();
        }
        let mut reply = self.perform(call, body);
        tokio::task::yield_now().await;
        reply.body = hook.rewrite(call, reply.body);
        let after = hook.after(call, Outcome { status: reply.status }).await;
        for fault in [before, after].into_iter().flatten() {
            match fault {
                Fault::ReplyLost => {
                    return Err(reset("connection reset before the reply arrived"));
                }
                Fault::DelayReply(delay) => wait(delay).await,
                Fault::DelayRequest(delay) if Some(fault) == after => wait(delay).await,
                _ => {}
            }
        }
        reply.into_response()
    }

    /// A step of Lambda around a handler. Faults apply to it as to any call.
    pub(crate) async fn lambda_step(&self, operation: &str, source: &str) -> LambdaStep {
        let hook =
            self.hook.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(Arc::clone);
        let (operation, resources) = (operation.to_owned(), vec![source.to_owned()]);
        let call =
            Call { service: Service::Lambda, operation, resources, actions: vec![], index: None };
        let fault = match hook {
            Some(hook) => hook.before(&call).await,
            None => None,
        };
        let step = match fault {
            Some(Fault::DelayRequest(delay) | Fault::DelayReply(delay)) => {
                wait(delay).await;
                LambdaStep::Goes
            }
            Some(Fault::InvokedTwice) => LambdaStep::GoesTwice,
            Some(Fault::VisibleEarly) => LambdaStep::GoesVisibly,
            Some(_) => LambdaStep::Lost,
            None => LambdaStep::Goes,
        };
        let status = (step != LambdaStep::Lost).then_some(200);
        self.recorder.record(&call, Vec::new(), status, Vec::new());
        step
    }

    /// The effect itself. It never waits, so it is atomic for all tasks of a thread.
    fn perform(&self, call: &Call, body: &[u8]) -> Reply {
        let operation = call.operation.as_str();
        let mut reply = match call.service {
            Service::DynamoDb => {
                let result = self.database.call(operation, body, self.recorder.is_measuring());
                let reply = Reply::from_dynamo(result);
                if reply.status < 400 && is_write(operation) {
                    for table in &call.resources {
                        self.signals.raise(&Topic::Table(table.clone()));
                    }
                }
                reply
            }
            Service::Sqs => Reply::from_sqs(self.sqs.call(operation, body)),
            Service::EventBridge => Reply::from_bus(self.bus.call(operation, body)),
            // Only mappings call Lambda: `call_of` never gives this service.
            Service::Lambda => Reply::from_bus(Err(BusError::unknown(operation))),
        };
        let units = std::mem::take(&mut reply.units);
        self.recorder.record(call, self.items(call, body), Some(reply.status), units);
        reply
    }

    /// The items that a call names, while calls are kept.
    fn items(&self, call: &Call, body: &[u8]) -> Vec<ItemAccess> {
        let is_wanted = self.recorder.is_keeping() && call.service == Service::DynamoDb;
        if is_wanted { accesses(call, body, &self.partition_keys) } else { Vec::new() }
    }
}

/// The result of a step of Lambda.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LambdaStep {
    /// It takes place.
    Goes,
    /// It takes place twice at once.
    GoesTwice,
    /// It takes place while its messages are visible to other receivers.
    GoesVisibly,
    /// It does not take place, or its result is lost.
    Lost,
}

fn is_write(operation: &str) -> bool {
    matches!(
        operation,
        "PutItem" | "UpdateItem" | "DeleteItem" | "BatchWriteItem" | "TransactWriteItems"
    )
}

fn reset(text: &str) -> ConnectorError {
    let error = std::io::Error::new(std::io::ErrorKind::ConnectionReset, text.to_owned());
    ConnectorError::io(Box::new(error))
}

async fn wait(delay: Duration) {
    tokio::time::sleep(delay).await;
}

impl Reply {
    fn into_response(self) -> Result<HttpResponse, ConnectorError> {
        let status =
            self.status.try_into().map_err(|error| ConnectorError::user(Box::new(error)))?;
        let mut response = HttpResponse::new(status, SdkBody::from(self.body));
        let headers = response.headers_mut();
        headers.insert("content-type", "application/x-amz-json-1.0");
        if let Some(error) = self.query_error {
            headers.insert("x-amzn-query-error", error);
        }
        Ok(response)
    }
}
