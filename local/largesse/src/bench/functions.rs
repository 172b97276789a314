//! Each function's binary: its size, what its start costs, and what it holds while idle.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use largesse_emulator::{FunctionSpec, REGION, Stack, World};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::process::Watched;
use super::report::{Cell, Mark, Table};
use super::{BenchError, process};
use crate::compose::{self, ComposeError};
use crate::{aws_front, serve};

/// The folders of binaries, in this order: those that are shipped, then those of a release build.
const FOLDERS: [&str; 3] = ["target/lambda", "target/shipped", "target/release"];
/// Starts of each function; the median counts.
const STARTS: usize = 5;
/// A function that has not polled after this time does not work.
const POLLS_WITHIN: Duration = Duration::from_secs(20);
/// What a zip adds to its one deflated entry `bootstrap`: the entry's head, the directory's entry
/// and the directory's end (APPNOTE.TXT 4.3).
const ZIP_BYTES: usize = 30 + 46 + 22 + 2 * "bootstrap".len();
/// A request's head is read in one go.
const HEAD_BYTES_MAX: usize = 4_096;

/// Measures every function of the template whose binary is found.
///
/// # Errors
/// [`BenchError`].
pub async fn measure(folder: Option<PathBuf>) -> Result<Table, BenchError> {
    if let Some(folder) = folder.as_deref().filter(|folder| !folder.is_dir()) {
        return Err(BenchError::Broken(format!("there is no folder {}", folder.display())));
    }
    let stack = compose::stack()?;
    let mut table = Table {
        name: "functions",
        title: "Functions: size, start and memory of each binary".to_owned(),
        columns: vec!["size_mb", "zip_mb", "start_cpu_ms", "start_ms", "idle_peak_mb", "idle_mb"],
        ..Table::default()
    };
    let emulator = Emulator::serve(&stack).await?;
    let folders = folder.map_or_else(|| FOLDERS.map(PathBuf::from).to_vec(), |one| vec![one]);
    for function in &stack.functions {
        let binary = folders.iter().find_map(|folder| binary_in(folder, &function.binary));
        match binary {
            Some(binary) => {
                let row = one(function, &binary, &emulator.endpoint).await?;
                table.rows.push((function.binary.clone(), row));
                let note = format!("from {}", binary.parent().unwrap_or(&binary).display());
                if !table.notes.contains(&note) {
                    table.notes.push(note);
                }
            }
            None => table.notes.push(format!("{}: no binary", function.binary)),
        }
    }
    table.notes.push(if table.rows.len() < stack.functions.len() {
        let packages = stack.functions.iter().map(|function| format!(" -p {}", function.binary));
        format!("to build them: cargo build --profile shipped{}", packages.collect::<String>())
    } else {
        format!("median of {STARTS} starts, from exec to the first poll of the Runtime API")
    });
    Ok(table)
}

/// Cargo names a binary by its package; cargo-lambda puts it into a folder of that name.
fn binary_in(folder: &Path, name: &str) -> Option<PathBuf> {
    let candidates = [folder.join(name), folder.join(name).join("bootstrap")];
    candidates.into_iter().find(|path| path.is_file())
}

/// An emulator over a socket: pool-sweep probes its store before it polls.
struct Emulator {
    endpoint: String,
    server: JoinHandle<()>,
}

impl Emulator {
    async fn serve(stack: &Stack) -> Result<Self, BenchError> {
        let world = World::memory(stack).map_err(ComposeError::from)?;
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.map_err(|source| process("no port", source))?;
        let address = listener.local_addr().map_err(|source| process("no port", source))?;
        let served = serve::serve(listener, aws_front::router(world), std::future::pending());
        // It ends when it is aborted.
        let server = tokio::spawn(async move { drop(served.await) });
        Ok(Self { endpoint: format!("http://{address}{}", aws_front::PATH), server })
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn one(
    function: &FunctionSpec,
    binary: &Path,
    endpoint: &str,
) -> Result<Vec<Cell>, BenchError> {
    let bytes = std::fs::read(binary).map_err(|e| process("cannot read a binary", e))?;
    let zipped = deflated(&bytes)?.saturating_add(ZIP_BYTES);
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        starts.push(start(function, binary, endpoint).await?);
    }
    let median = |part: fn(&Started) -> f64| {
        let mut values: Vec<f64> = starts.iter().map(part).collect();
        values.sort_by(f64::total_cmp);
        values.get(STARTS.div_euclid(2)).copied().unwrap_or(f64::NAN)
    };
    let at_most = |value, limit| Cell::Figure(value, Some(Mark::AtMost(limit)));
    Ok(vec![
        at_most(megabytes(bytes.len()), 6.0),
        at_most(megabytes(zipped), 3.0),
        at_most(median(|one| one.cpu_ms), 8.0),
        Cell::of(median(|one| one.ms)),
        at_most(median(|one| one.peak_mib), 12.0),
        Cell::of(median(|one| one.resident_mib)),
    ])
}

fn deflated(bytes: &[u8]) -> Result<usize, BenchError> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.map(|out| out.len()).map_err(|source| process("cannot deflate", source))
}

fn megabytes(bytes: usize) -> f64 {
    u32::try_from(bytes).map_or(f64::INFINITY, f64::from) / 1e6
}

struct Started {
    cpu_ms: f64,
    ms: f64,
    peak_mib: f64,
    resident_mib: f64,
}

/// Starts a function beside a Runtime API that has no event for it.
async fn start(
    function: &FunctionSpec,
    binary: &Path,
    endpoint: &str,
) -> Result<Started, BenchError> {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.map_err(|source| process("no port", source))?;
    let address = listener.local_addr().map_err(|source| process("no port", source))?;
    let mut command = Command::new(binary);
    command.env_clear().envs(environment(function, &address.to_string(), endpoint));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let began = super::started();
    let watched = Watched::start(&mut command)?;
    let polled = timeout(POLLS_WITHIN, async {
        let (mut stream, _) = listener.accept().await?;
        let mut head = vec![0; HEAD_BYTES_MAX];
        let read = stream.read(&mut head).await?;
        head.truncate(read);
        // The stream is kept open: the function would repeat a broken poll.
        Ok::<_, std::io::Error>((stream, head))
    });
    let silent = || BenchError::Broken(format!("{} does not poll", function.binary));
    let polled = polled.await.map_err(|_| silent())?;
    let (_stream, head) = polled.map_err(|source| process("no Runtime API", source))?;
    let ms = began.elapsed().as_secs_f64() * 1e3;
    if !head.starts_with(b"GET /2018-06-01/runtime/invocation/next") {
        return Err(silent());
    }
    let (peak_mib, resident_mib) = watched.memory_mib()?;
    Ok(Started { cpu_ms: watched.cpu_ms()?, ms, peak_mib, resident_mib })
}

/// The environment of a function, from the template and from Lambda.
fn environment(
    function: &FunctionSpec,
    runtime_api: &str,
    endpoint: &str,
) -> BTreeMap<String, String> {
    let mut environment = function.environment.clone();
    for secret in environment.values_mut().filter(|value| value.starts_with("{{resolve:")) {
        "a benchmark's secrets are never used".clone_into(secret);
    }
    let lambda = [
        ("AWS_LAMBDA_RUNTIME_API", runtime_api),
        ("AWS_LAMBDA_FUNCTION_NAME", &function.binary),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/largesse/functions"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
        ("_HANDLER", "bootstrap"),
        ("AWS_REGION", REGION),
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", "bench"),
        ("AWS_SECRET_ACCESS_KEY", "bench"),
    ];
    environment.extend(lambda.map(|(name, value)| (name.to_owned(), value.to_owned())));
    environment
}
