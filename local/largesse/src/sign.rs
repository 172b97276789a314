//! `largesse sign`: the headers that sign one request (docs/signing.md).
//!
//! The secret comes from the environment or a file, never from the command line, where other users
//! of the machine see it. It is not printed.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use largesse_app::ports::{Clock, Ids, Rng};
use largesse_app::settings::Variables;
use largesse_aws::production::RandomIds;
use largesse_edge::auth::signature::{
    NONCE_HEADER, Parts, SIGNATURE_HEADER, TIMESTAMP_HEADER, decoded_path, sign, signed_text,
};
use largesse_edge::extract::{ROOM_HEADER, USER_HEADER};

use crate::holder::{self, HolderError};

/// Why a request cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// There is no secret.
    #[error(transparent)]
    Secret(#[from] HolderError),
    /// The file of the body cannot be read.
    #[error("cannot read {}", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    /// The target is no path of a request.
    #[error("the target is a path and an optional query, in ASCII: /api/v2/wallets/ann?limit=5")]
    Target,
}

/// What is to be signed.
#[derive(Debug, Args)]
pub struct SignArgs {
    /// The method: GET, POST, PUT or DELETE.
    #[arg(value_name = "METHOD", value_parser = method)]
    method: String,
    /// The path and the query, percent-encoded as they are sent, without the host and without the
    /// base path of a custom domain.
    #[arg(value_name = "PATH[?QUERY]")]
    target: String,
    /// The file with the secret that the key came with; without it, the variable LARGESSE_SECRET.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The file whose bytes are the body.
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// X-USER-ID: the member that the caller acts for.
    #[arg(long, value_name = "USER", value_parser = header)]
    user: Option<String>,
    /// X-ROOM-ID: the chat room.
    #[arg(long, value_name = "ROOM", value_parser = header)]
    room: Option<String>,
    /// Print a curl command for the API at this URL. It takes the key from the variable
    /// LARGESSE_KEY.
    #[arg(long, value_name = "URL")]
    curl: Option<String>,
    /// X-Timestamp, in seconds of Unix time; without it, now.
    #[arg(long, value_name = "S")]
    timestamp: Option<u64>,
    /// X-Nonce, 16 to 64 of [A-Za-z0-9_-]; without it, a new one.
    #[arg(long, value_name = "TEXT", value_parser = header)]
    nonce: Option<String>,
}

fn method(text: &str) -> Result<String, String> {
    let known = ["GET", "POST", "PUT", "DELETE"];
    let name = text.to_ascii_uppercase();
    if known.contains(&name.as_str()) { Ok(name) } else { Err(known.join(", ")) }
}

fn header(text: &str) -> Result<String, String> {
    let is_visible = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_visible { Ok(text.to_owned()) } else { Err("visible ASCII characters".to_owned()) }
}

/// The path, decoded, and the query of a target.
fn parts_of(target: &str) -> Result<(String, &str), SignError> {
    let is_sent_whole = target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if !target.starts_with('/') || !is_sent_whole {
        return Err(SignError::Target);
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = decoded_path(path).ok_or(SignError::Target)?;
    Ok((path.into_owned(), query))
}

fn read(file: &PathBuf) -> Result<Vec<u8>, SignError> {
    std::fs::read(file).map_err(|error| SignError::Unreadable(file.clone(), error))
}

/// The headers, or the curl command, to be printed.
///
/// # Errors
/// [`SignError`].
pub fn run(
    args: &SignArgs,
    variables: &Variables<'_>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
) -> Result<String, SignError> {
    let secret = holder::secret(args.secret_file.as_deref(), variables)?;
    let (path, query) = parts_of(&args.target)?;
    let body = args.body.as_ref().map(read).transpose()?.unwrap_or_default();
    let now_s = clock.now().ms_unsigned() / 1_000;
    let timestamp = args.timestamp.unwrap_or(now_s).to_string();
    let nonce = args.nonce.clone();
    let nonce = nonce.unwrap_or_else(|| RandomIds { clock, rng }.ulid().to_string());
    let (user, room) = (args.user.as_deref(), args.room.as_deref());
    let text = signed_text(&Parts {
        method: &args.method,
        path: &path,
        query,
        timestamp: &timestamp,
        nonce: &nonce,
        user: user.unwrap_or_default(),
        room: room.unwrap_or_default(),
        body: &body,
    });
    let signature = sign(&secret, &text);
    let headers = [
        (USER_HEADER, user),
        (ROOM_HEADER, room),
        (TIMESTAMP_HEADER, Some(&*timestamp)),
        (NONCE_HEADER, Some(&*nonce)),
        (SIGNATURE_HEADER, Some(&*signature)),
    ];
    let headers = headers.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let lines: Vec<String> = headers.map(|(name, value)| format!("{name}: {value}")).collect();
    Ok(match &args.curl {
        None => lines.join("\n"),
        Some(url) => curl(args, url, &lines),
    })
}

fn curl(args: &SignArgs, url: &str, headers: &[String]) -> String {
    let url = quoted(&format!("{}{}", url.trim_end_matches('/'), args.target));
    let mut command =
        format!("curl -X {} {url} -H \"Authorization: Bearer $LARGESSE_KEY\"", args.method);
    for header in headers {
        command.push_str(&format!(" -H {}", quoted(header)));
    }
    if let Some(file) = &args.body {
        let file = quoted(&format!("@{}", file.display()));
        command.push_str(&format!(" -H 'Content-Type: application/json' --data-binary {file}"));
    }
    command
}

/// A text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "these are tests")]
mod tests {
    use clap::Parser;
    use largesse_aws::production::{SecureRng, SystemClock};

    use super::*;
    use crate::holder::SECRET;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: SignArgs,
    }

    /// What `largesse sign` prints with the secret of docs/signing.md.
    fn said(arguments: &[&str]) -> Result<String, SignError> {
        let arguments = ["sign"].iter().chain(arguments).copied();
        let args = Command::try_parse_from(arguments).ok().unwrap().args;
        let secret = "6361417eb15fb9a900720404e8d9e0d6aa32c11f1bb42574ac196c1e8f249209";
        let variables = Variables::new(|name| (name == SECRET).then(|| secret.to_owned()));
        run(&args, &variables, Arc::new(SystemClock), Arc::new(SecureRng::from_seed(1)))
    }

    const FIXED: [&str; 4] = ["--timestamp", "1700000000", "--nonce", "0123456789abcdef"];

    #[test]
    fn the_headers_are_those_of_the_vector() {
        let file = std::env::temp_dir().join(format!("largesse-sign-{}", std::process::id()));
        std::fs::write(&file, br#"{"amount":1000}"#).unwrap();
        let body = file.to_str().unwrap();
        let request = ["post", "/api/v2/wallets/ann/deposits", "--user", "ann", "--body", body];
        let headers = said(&[&request[..], &FIXED].concat()).unwrap();
        let with_curl = [&request[..], &FIXED, &["--curl", "https://pay.example/"]].concat();
        let command = said(&with_curl).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(
            headers,
            "X-USER-ID: ann\nX-Timestamp: 1700000000\nX-Nonce: 0123456789abcdef\n\
             X-Signature: v1=49769ddb9d94173527726c06fefacc59b45db2b6f784a763c349555b79f0b26b"
        );
        let begin = "curl -X POST 'https://pay.example/api/v2/wallets/ann/deposits' \
                     -H \"Authorization: Bearer $LARGESSE_KEY\" -H 'X-USER-ID: ann'";
        assert!(command.starts_with(begin), "{command}");
        assert!(command.ends_with(&format!("--data-binary '@{body}'")), "{command}");
    }

    #[test]
    fn an_escaped_path_has_the_signature_of_the_decoded_one() {
        let escaped = said(&[&["GET", "/a%2Fb/%EA%B9%80?q=%2F"][..], &FIXED].concat()).unwrap();
        let lower = said(&[&["GET", "/%61%2fb/%ea%b9%80?q=%2F"][..], &FIXED].concat()).unwrap();
        assert_eq!(escaped, lower);
        let other_query = said(&[&["GET", "/a%2Fb/%EA%B9%80?q=/"][..], &FIXED].concat()).unwrap();
        assert_ne!(escaped, other_query);
    }

    #[test]
    fn a_nonce_is_made_and_a_target_that_would_be_sent_otherwise_is_refused() {
        let made = said(&["GET", "/api/v2/sprays"]).unwrap();
        let nonce = made.lines().find_map(|line| line.strip_prefix("X-Nonce: ")).unwrap();
        assert_eq!(nonce.len(), 26, "{nonce}");
        for target in ["api", "/a b", "/a#b", "/김", "/%ff"] {
            assert!(matches!(said(&["GET", target]), Err(SignError::Target)), "{target}");
        }
    }

    #[test]
    fn a_text_is_one_word_of_a_shell() {
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
