//! This binary, started as a server beside the benchmark.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use largesse_domain::key::ApiKey;

use super::process::Watched;
use super::{BenchError, process, started};
use crate::client::Client;
use crate::holder::Holder;
use crate::limits;

/// The text before the address in the banner of `up`.
const BANNER: &str = "open   http://";

/// What the banner says.
struct Banner {
    address: String,
    /// The first key and its secret.
    first: Option<(ApiKey, String)>,
}

/// Reads the banner up to its last line that matters here; `None` when that does not come.
fn read_banner(mut lines: impl Iterator<Item = String>, is_signed: bool) -> Option<Banner> {
    let address = lines.find_map(|line| {
        let rest = line.split_once(BANNER)?.1;
        Some(rest.split_once('/')?.0.to_owned())
    })?;
    if !is_signed {
        return Some(Banner { address, first: None });
    }
    let mut said = |name: &str| {
        lines.find_map(|line| line.trim().strip_prefix(name).map(|rest| rest.trim().to_owned()))
    };
    let (key, secret) = (said("key ")?, said("secret ")?);
    Some(Banner { address, first: Some((key.parse().ok()?, secret)) })
}

/// A running server.
pub(super) struct Server {
    pub(super) watched: Watched,
    pub(super) client: Client,
    /// How long it took from its start to its first answer.
    pub(super) started_ms: f64,
}

impl Server {
    /// Starts it, in memory or with its data in a folder, and waits for its first answer.
    pub(super) async fn start(data: Option<&Path>) -> Result<Self, BenchError> {
        Self::start_as(data, false).await
    }

    /// As [`Server::start`]; `is_signed`: with `AUTH=signed` and a caller who signs with its first key.
    pub(super) async fn start_as(data: Option<&Path>, is_signed: bool) -> Result<Self, BenchError> {
        let own = std::env::current_exe();
        let own = own.map_err(|source| process("this binary has no path", source))?;
        let mut command = Command::new(own);
        command.args(["up", "--listen", "127.0.0.1:0"]).envs(limits::out_of_reach());
        if let Some(data) = data {
            command.arg("--data").arg(data);
        }
        if is_signed {
            command.args(["--auth", "signed"]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let began = started();
        let mut watched = Watched::start(&mut command)?;
        let out = watched.child().stdout.take();
        let banner = tokio::task::spawn_blocking(move || {
            let lines = out.map(|out| BufReader::new(out).lines().map_while(Result::ok));
            read_banner(lines.into_iter().flatten(), is_signed)
        });
        let banner = banner.await.ok().flatten();
        let Banner { address, first } =
            banner.ok_or_else(|| BenchError::Broken("the server did not start".to_owned()))?;
        let holder = first.map(|(key, secret)| Holder::new(key, secret)).transpose()?;
        let client = Client::holding(&format!("http://{address}"), holder);
        let (get, path) = (reqwest::Method::GET, "/api/v2/health");
        let health = client.send(get, path, "bench", None, None, None).await?;
        if health.status != 200 {
            return Err(BenchError::Broken(format!("health was answered {}", health.status)));
        }
        let started_ms = (began.elapsed().as_secs_f64() * 1e4).round() / 10.0;
        Ok(Self { watched, client, started_ms })
    }
}

#[cfg(test)]
mod tests {
    use largesse_domain::id::KeyId;

    use super::*;

    #[test]
    fn the_address_and_the_first_key_are_read_from_the_banner() {
        let id: KeyId = "01K9Z3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
        let key = ApiKey::new(id, &[0; 32]);
        let banner = format!(
            "Largesse is up.\n\n  open   http://127.0.0.1:4414/docs\n  stop   Ctrl-C\n\n  key     \
             {}\n  secret  0a1b\n",
            key.reveal()
        );
        let read = |text: &str, is_signed| {
            let found = read_banner(text.lines().map(str::to_owned), is_signed);
            found.map(|banner| (banner.address, banner.first))
        };
        let address = "127.0.0.1:4414".to_owned();
        assert_eq!(read(&banner, false), Some((address.clone(), None)));
        assert_eq!(read(&banner, true), Some((address, Some((key, "0a1b".to_owned())))));
        let open = banner.split("  key").next().unwrap();
        assert_eq!(read(open, true), None, "without a key no request could be signed");
    }
}
