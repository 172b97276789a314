//! `largesse key`: API keys, directly in the table `edge` of a deployment. It makes the first key,
//! when no key can call the API yet.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use admin::keys::KeyView;
use clap::{Args, Subcommand};
use largesse_app::key::KeyError;
use largesse_app::key::create::create;
use largesse_app::key::list::list;
use largesse_app::key::revoke::revoke;
use largesse_app::key::rotate::rotate;
use largesse_app::ports::{Clock, PortError};
use largesse_app::settings::{SettingError, Variables};
use largesse_aws::production::{SecureRng, SetupError, SystemClock};
use largesse_aws::{Environment, Names, Store};
use largesse_domain::id::KeyId;
use largesse_domain::key::{
    ApiKey, KeyRecord, Networks, OVERLAP_S_DEFAULT, OVERLAP_S_MAX, Owner, Scopes, Terms,
};
use largesse_domain::time::Timestamp;
use largesse_edge::auth::SignatureSecrets;
use largesse_edge::time;
use serde_json::{Value, json};

use crate::dlq::command::Where;
use crate::dlq::{DlqError, config};
use crate::plain;

/// Why a command about keys failed.
#[derive(Debug, thiserror::Error)]
pub enum KeyCommandError {
    /// The environment names no credentials or no region, or the secrets are malformed.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The operating system gave no randomness.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The table could not be read or written.
    #[error(transparent)]
    Store(#[from] DlqError),
    /// A key cannot be made or rotated.
    #[error(transparent)]
    Key(KeyError),
    /// The file of the secrets cannot be read.
    #[error("cannot read {}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The master secret is not known.
    #[error(
        "{name} must be {}: give --secrets-file or set it in the environment, as docs/auth.md says",
        SignatureSecrets::EXPECTED, name = SECRETS
    )]
    NoSecrets,
}

impl From<KeyError> for KeyCommandError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Port(error) => Self::Store(error.into()),
            other => Self::Key(other),
        }
    }
}

impl From<PortError> for KeyCommandError {
    fn from(error: PortError) -> Self {
        Self::Store(error.into())
    }
}

/// The variable with the master secrets.
pub(crate) const SECRETS: &str = "SIGNATURE_SECRETS";

/// From what the secret of a new key follows.
#[derive(Clone, Debug, Args)]
pub struct Master {
    /// A file with the master secret of signatures; without it, SIGNATURE_SECRETS of the environment.
    #[arg(long, value_name = "FILE")]
    secrets_file: Option<PathBuf>,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Action {
    /// Make a key; it is shown once, with the secret that signs requests.
    Create {
        /// The service that it is for: 1 to 64 characters of [A-Za-z0-9_-].
        #[arg(long)]
        owner: Owner,
        /// What it may do, separated by commas: spray, drop, invest, wallet, campaign:write,
        /// campaign:approve, campaign:force, operate, read.
        #[arg(long)]
        scopes: Scopes,
        /// From this moment on it is refused, as 2027-01-31T09:00:00Z; without it, it does not expire.
        #[arg(long, value_name = "TIME", value_parser = moment)]
        expires_at: Option<Timestamp>,
        /// The IP addresses and ranges that it may be used from, separated by commas; without it, all.
        #[arg(long)]
        ips: Option<Networks>,
        /// The master secret.
        #[command(flatten)]
        master: Master,
    },
    /// Make the successor of a key; both can be used until the overlap is over.
    Rotate {
        /// The id of the key.
        id: KeyId,
        /// For how many seconds the old key lives beside the new one.
        #[arg(long, value_name = "N", default_value_t = OVERLAP_S_DEFAULT)]
        #[arg(value_parser = clap::value_parser!(u32).range(0..=i64::from(OVERLAP_S_MAX)))]
        overlap_s: u32,
        /// The master secret.
        #[command(flatten)]
        master: Master,
    },
    /// Revoke a key: every process refuses it within a minute.
    Revoke {
        /// The id of the key.
        id: KeyId,
    },
    /// List the keys of an owner: all that live, and the last of the others.
    List {
        /// The owner.
        #[arg(long)]
        owner: Owner,
    },
}

fn moment(text: &str) -> Result<Timestamp, String> {
    time::parse(text).ok_or_else(|| "it is a time as in RFC 3339, up to 2286".to_owned())
}

/// Does it, and gives what is to be printed.
///
/// # Errors
/// [`KeyCommandError`].
pub async fn run(action: Action, place: &Where) -> Result<String, KeyCommandError> {
    let config = config(place.endpoint())?;
    let names = Names { edge: format!("{}-edge", place.stack), ..Names::default() };
    let rng = Arc::new(SecureRng::from_system()?);
    let store = Store::new(&config, names, Environment::of(Arc::new(SystemClock), rng));
    let said = act(&store, action).await.map_err(|error| match (error, place.endpoint()) {
        (KeyCommandError::Store(error), Some(endpoint)) => error.at(endpoint).into(),
        (other, _) => other,
    })?;
    Ok(if place.json { said.json().to_string() } else { said.text() })
}

async fn act(store: &Store, action: Action) -> Result<Said, KeyCommandError> {
    let now = store.now();
    match action {
        Action::Create { owner, scopes, expires_at, ips, master } => {
            let secrets = master.read()?;
            let terms = Terms { owner, scopes, networks: ips.unwrap_or_default() };
            let (key, record) = create(store, terms, expires_at).await?;
            Ok(Said::made(&secrets, &key, &record, now))
        }
        Action::Rotate { id, overlap_s, master } => {
            let secrets = master.read()?;
            let (key, record) = rotate(store, id, overlap_s).await?;
            Ok(Said::made(&secrets, &key, &record, now))
        }
        Action::Revoke { id } => {
            revoke(store, id).await?;
            Ok(Said::Revoked(id))
        }
        Action::List { owner } => {
            let keys = list(store, &owner).await?;
            Ok(Said::Listed(keys.iter().map(|key| KeyView::new(key, now)).collect()))
        }
    }
}

impl Master {
    fn read(&self) -> Result<SignatureSecrets, KeyCommandError> {
        let secrets = match &self.secrets_file {
            Some(file) => Some(of_file(file)?),
            None => of_environment(&Variables::of_process())?,
        };
        secrets.ok_or(KeyCommandError::NoSecrets)
    }
}

fn of_file(file: &Path) -> Result<SignatureSecrets, KeyCommandError> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|source| KeyCommandError::File { file: file.to_owned(), source })?;
    SignatureSecrets::read(text.trim()).ok_or(KeyCommandError::NoSecrets)
}

/// The master secrets of the environment; `None` where it has none.
pub(crate) fn of_environment(
    variables: &Variables<'_>,
) -> Result<Option<SignatureSecrets>, SettingError> {
    variables.optional(SECRETS, SignatureSecrets::EXPECTED, SignatureSecrets::read)
}

/// What a command says.
enum Said {
    Made { key: String, secret: String, view: Box<KeyView> },
    Revoked(KeyId),
    Listed(Vec<KeyView>),
}

impl Said {
    fn made(secrets: &SignatureSecrets, key: &ApiKey, record: &KeyRecord, now: Timestamp) -> Self {
        let secret = secrets.secret_of(record.id);
        let view = Box::new(KeyView::new(record, now));
        Self::Made { key: key.reveal().to_owned(), secret, view }
    }

    fn text(&self) -> String {
        match self {
            Self::Made { key, secret, view } => {
                let view = json!(view);
                let text = |name: &str| view[name].as_str().unwrap_or("never").to_owned();
                let pairs = plain::pairs(&[
                    ("key", key.clone()),
                    ("secret", secret.clone()),
                    ("id", text("key_id")),
                    ("owner", text("owner")),
                    ("expires", text("expires_at")),
                ]);
                format!("{pairs}\n\nNeither the key nor the secret is shown again.")
            }
            Self::Revoked(id) => format!("{id} is revoked; every process refuses it in a minute."),
            Self::Listed(keys) => {
                let row = |view: &KeyView| {
                    let view = json!(view);
                    let cell = |name: &str| view[name].as_str().unwrap_or("-").to_owned();
                    let scopes = view["scopes"].as_array().into_iter().flatten();
                    let scopes: Vec<&str> = scopes.filter_map(Value::as_str).collect();
                    let fixed = ["key_id", "state", "created_at", "expires_at", "last_used_at"];
                    let cells = fixed.iter().map(|name| cell(name));
                    cells.chain([scopes.join(",")]).collect::<Vec<_>>()
                };
                let rows: Vec<Vec<String>> = keys.iter().map(row).collect();
                let header = ["id", "state", "created", "expires", "last used", "scopes"];
                plain::columns(&header, &rows, header.len())
            }
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Made { key, secret, view } => {
                let mut body = json!(view);
                body["key"] = json!(key);
                body["secret"] = json!(secret);
                body
            }
            Self::Revoked(id) => json!({ "key_id": id.to_string(), "state": "revoked" }),
            Self::Listed(keys) => json!({ "keys": keys }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose;
    use largesse_emulator::{World, WorldClock};

    const MASTER: &str = "0123456789abcdef0123456789abcdef";

    #[tokio::test]
    async fn a_key_is_made_listed_rotated_and_revoked() {
        let clock = WorldClock::at(1_767_225_600_000);
        let world = World::memory_at(&compose::stack().unwrap(), clock).unwrap();
        let store = compose::store(&world, SecureRng::from_seed(1));
        let folder = std::env::temp_dir().join(format!("largesse-key-{}", std::process::id()));
        std::fs::write(&folder, format!("{MASTER}\n")).unwrap();
        let master = || Master { secrets_file: Some(folder.clone()) };
        let (owner, scopes): (Owner, Scopes) =
            ("chat".parse().unwrap(), "read,spray".parse().unwrap());
        let wish = Action::Create {
            owner: owner.clone(),
            scopes,
            expires_at: None,
            ips: Some("10.0.0.0/8".parse().unwrap()),
            master: master(),
        };
        let made = act(&store, wish).await.unwrap();
        let (id, key) = (made.json()["key_id"].clone(), made.json()["key"].clone());
        let id: KeyId = id.as_str().unwrap().parse().unwrap();
        let secrets = SignatureSecrets::read(MASTER).unwrap();
        assert_eq!(made.json()["secret"], secrets.secret_of(id));
        assert!(made.text().contains(key.as_str().unwrap()) && made.text().contains("never"));
        let rotate = Action::Rotate { id, overlap_s: 60, master: master() };
        let next = act(&store, rotate).await.unwrap();
        assert_ne!(next.json()["key"], key);
        assert_eq!(next.json()["ips"], json!(["10.0.0.0/8"]));
        act(&store, Action::Revoke { id }).await.unwrap();
        let listed = act(&store, Action::List { owner }).await.unwrap();
        let states: Vec<Value> = listed.json()["keys"].as_array().unwrap().clone();
        let states: Vec<&Value> = states.iter().map(|key| &key["state"]).collect();
        assert_eq!(states, ["revoked", "live"]);
        assert!(listed.text().contains("spray,read"), "{}", listed.text());
        assert!(!listed.text().contains(key.as_str().unwrap()));
        let again = Action::Rotate { id, overlap_s: 60, master: master() };
        assert!(act(&store, again).await.is_err(), "a dead key gets no successor");
        std::fs::remove_file(&folder).unwrap();
        let lost = Action::Rotate { id, overlap_s: 60, master: master() };
        assert!(matches!(act(&store, lost).await, Err(KeyCommandError::File { .. })));
    }
}
