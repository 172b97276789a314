//! A function's process.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use largesse_app::ports::Clock;
use largesse_aws::production::SystemClock;
use largesse_domain::time::Timestamp;
use largesse_emulator::{ACCOUNT, FunctionSpec, REGION};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::binaries::{binary, stack};
use crate::runtime_api::{Heard, Invocation, RuntimeApi};
use crate::scene::Scene;

/// A process that answers nothing for so long hangs. Far above every deadline given here.
const HANGS_AFTER: Duration = Duration::from_secs(300);

/// What a function is trusted with: nothing else is written like this. The secret of the cursors
/// has as many characters as the template asks for.
pub(crate) const CURSOR_SECRET: &str = "a secret of as many characters as the template a";
pub(crate) const ACCESS_KEY_ID: &str = "ACCESSKEYOFTHESETESTS";
pub(crate) const SECRET_ACCESS_KEY: &str = "a-secret-access-key-of-these-tests";
pub(crate) const SESSION_TOKEN: &str = "a-session-token-of-these-tests";

/// A running function. Dropping it kills it.
pub(crate) struct Bootstrap {
    child: Child,
    api: RuntimeApi,
    log: Log,
    spec: &'static FunctionSpec,
    invoked: u32,
}

/// How an invocation was answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) invocation: Invocation,
    pub(crate) at: Timestamp,
    pub(crate) body: Value,
}

impl Bootstrap {
    /// Starts a function with the environment that the template gives it, and what Lambda adds.
    pub(crate) async fn start(scene: &Scene, function: &str) -> Self {
        Self::start_changed(scene, function, |_| {}).await
    }

    /// The same, in another environment.
    pub(crate) async fn start_changed(
        scene: &Scene,
        function: &str,
        change: impl FnOnce(&mut BTreeMap<String, String>),
    ) -> Self {
        let spec = stack().function(function).expect("a function of the template");
        let api = RuntimeApi::serve().await;
        let mut environment = environment(spec, &api, scene);
        change(&mut environment);
        let mut command = Command::new(binary(function));
        command.env_clear().envs(environment);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let log = Log::of(&mut child);
        Self { child, api, log, spec, invoked: 0 }
    }

    /// Hands in an event, with the time to answer that the template gives.
    pub(crate) async fn invoke(&mut self, event: &Value) -> Answered {
        self.invoke_within(event, self.spec.timeout).await
    }

    /// Hands in an event, with less or more time.
    pub(crate) async fn invoke_within(&mut self, event: &Value, left: Duration) -> Answered {
        let invocation = self.invocation(event, left);
        match self.hand_in(&invocation).await {
            Heard::Answer { request_id, at, body } if request_id == invocation.request_id => {
                Answered { invocation, at, body }
            }
            other => panic!("{} answered {other:?}\n{}", self.spec.binary, self.log.text()),
        }
    }

    /// Hands in an event that the function cannot take; gives the error that it tells Lambda.
    pub(crate) async fn refuse(&mut self, event: &Value) -> Value {
        let invocation = self.invocation(event, self.spec.timeout);
        match self.hand_in(&invocation).await {
            Heard::Error { request_id, body } if request_id == invocation.request_id => body,
            other => panic!("{} answered {other:?}\n{}", self.spec.binary, self.log.text()),
        }
    }

    /// Hands in an event, with less or more time, whatever comes of it.
    pub(crate) async fn try_invoke(&mut self, event: &Value, left: Duration) {
        let invocation = self.invocation(event, left);
        self.hand_in(&invocation).await;
    }

    async fn hand_in(&mut self, invocation: &Invocation) -> Heard {
        self.api.invocations.send(invocation.clone()).expect("the Runtime API is served");
        let heard = timeout(HANGS_AFTER, self.api.heard.recv()).await;
        let silent = || panic!("{} says nothing\n{}", self.spec.binary, self.log.text());
        heard.ok().flatten().unwrap_or_else(silent)
    }

    fn invocation(&mut self, event: &Value, left: Duration) -> Invocation {
        self.invoked += 1;
        let (n, name) = (self.invoked, &self.spec.binary);
        let left_ms = u64::try_from(left.as_millis()).expect("a short time");
        Invocation {
            request_id: format!("8476a536-e9f4-11e8-9739-{n:012}"),
            deadline: SystemClock.now().plus_ms(left_ms),
            function_arn: format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"),
            trace: format!("Root=1-5bef4de7-{n:024};Parent=9a9197af755a6419;Sampled=1"),
            event: event.clone(),
        }
    }

    /// Asks the process to end, as the system does.
    pub(crate) fn terminate(&self) {
        let id = self.child.id().to_string();
        let sent = Command::new("sh").args(["-c", "kill -TERM \"$0\"", &id]).status();
        assert!(sent.expect("a shell").success());
    }

    /// Waits until it ends by itself; says how, and what it wrote.
    pub(crate) async fn ended(mut self) -> (ExitStatus, String) {
        let closed = timeout(HANGS_AFTER, self.log.closed()).await;
        assert!(closed.is_ok(), "{} does not end\n{}", self.spec.binary, self.log.text());
        (self.child.wait().expect("a status"), self.log.text())
    }
}

impl Drop for Bootstrap {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn environment(spec: &FunctionSpec, api: &RuntimeApi, scene: &Scene) -> BTreeMap<String, String> {
    let mut environment = spec.environment.clone();
    // CloudFormation puts the secret in place of its reference.
    for value in environment.values_mut().filter(|value| value.starts_with("{{resolve:")) {
        CURSOR_SECRET.clone_into(value);
    }
    // tests/lambda/signed.rs drives signed requests.
    if environment.contains_key("AUTH") {
        environment.insert("AUTH".to_owned(), "open".to_owned());
    }
    let lambda = [
        ("_HANDLER", "bootstrap".to_owned()),
        ("AWS_LAMBDA_RUNTIME_API", api.address.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", spec.binary.clone()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".to_owned()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/largesse/functions".to_owned()),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "stream".to_owned()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY.to_owned()),
        ("AWS_SESSION_TOKEN", SESSION_TOKEN.to_owned()),
        ("AWS_ENDPOINT_URL", format!("http://{}", scene.aws.address)),
    ];
    environment.extend(lambda.map(|(name, value)| (name.to_owned(), value)));
    environment
}

/// What a process writes to both of its outputs.
struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    /// Closed once both outputs are.
    open: UnboundedReceiver<()>,
}

impl Log {
    fn of(child: &mut Child) -> Self {
        let lines = Arc::default();
        let (held, open) = unbounded_channel();
        follow(child.stdout.take().expect("a pipe"), &lines, held.clone());
        follow(child.stderr.take().expect("a pipe"), &lines, held);
        Self { lines, open }
    }

    fn text(&self) -> String {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }

    async fn closed(&mut self) {
        while self.open.recv().await.is_some() {}
    }
}

fn follow(
    output: impl Read + Send + 'static,
    lines: &Arc<Mutex<Vec<String>>>,
    held: UnboundedSender<()>,
) {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        let _held = held;
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    });
}
