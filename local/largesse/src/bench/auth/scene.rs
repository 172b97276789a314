//! The same requests by a caller who is believed and by one who signs, in one world.

use axum::body::Body;
use axum::http::{HeaderValue, Request};
use largesse_app::key::create::create;
use largesse_domain::id::RoomId;
use largesse_domain::key::{ApiKey, KeyRecord, Networks, Scopes, Terms};
use largesse_domain::spray::Spray;
use largesse_edge::EdgeConfig;
use largesse_edge::auth::SignatureSecrets;
use largesse_edge::auth::signature::Parts;
use largesse_edge::config::Auth;

use super::super::BenchError;
use super::super::lab::{Ask, Lab, MemberIds, Process, claim, open_edge};
use super::kinds::{Kind, Mode};
use crate::holder::Holder;

/// The master secret of signatures here.
const MASTER: &str = "the secrets of a benchmark open nothing";
/// The owner of the key.
pub(super) const OWNER: &str = "bench";
/// Claims of one spray that are measured, each by another member. They are half of the shares of one
/// bucket, so that each of them writes one unit.
const CLAIMS: u32 = 8;
const SHARES: u32 = 16;
/// The member who claims first: that claim costs more, since it enters the bucket in an index.
const FIRST: u32 = CLAIMS;
/// The members of the room.
const MEMBERS: u32 = CLAIMS + 1;
/// Sprays of one sender: a sender may have 1,000 live ones.
const SPRAYS_OF_A_SENDER: u32 = 900;
/// Senders, for more sprays than are made.
const SENDERS: u32 = 16;
/// What each of them has.
const FUNDS: u64 = 1_000_000_000;

/// Two sprays that are claimed by the same members: a claim of the second makes a process remember
/// what it needs for a claim of the first.
struct Pair {
    main: Spray,
    primer: Spray,
    claims: u32,
}

/// A room, senders, sprays, and a process that goes on for each mode.
pub(super) struct Scene {
    pub(super) lab: Lab,
    pub(super) secrets: SignatureSecrets,
    pub(super) text: ApiKey,
    pub(super) key: KeyRecord,
    holder: Holder,
    room: RoomId,
    elsewhere: RoomId,
    senders: Vec<String>,
    opener: Process,
    pair: Pair,
    /// Sprays so far, and requests with a key of their own.
    sprays: u32,
    keys: u32,
    warm: [Process; 2],
}

impl Scene {
    pub(super) async fn new() -> Result<Self, BenchError> {
        let broken = |what: &str| BenchError::Broken(format!("no {what}"));
        let lab = Lab::new(MemberIds::Uuid)?;
        lab.world.recorder().measure_units(true);
        lab.world.recorder().keep_calls(true);
        let secrets = SignatureSecrets::read(MASTER).ok_or_else(|| broken("secrets"))?;
        let owner = OWNER.parse().map_err(super::super::broken)?;
        let terms = Terms { owner, scopes: Scopes::all(), networks: Networks::default() };
        let made = create(&*lab.store, terms, None).await.map_err(super::super::broken)?;
        let (text, key) = made;
        let holder = Holder::new(text.clone(), secrets.secret_of(key.id))?;
        let room = lab.room(MEMBERS).await?;
        let elsewhere = lab.room(MEMBERS).await?;
        let senders = lab.senders(room, SENDERS, FUNDS).await?;
        let mut sprays = 0;
        let opener = lab.process()?;
        let pair = pair(&lab, &opener, room, &senders, &mut sprays).await?;
        let mut warm = Vec::new();
        for mode in Mode::ALL {
            warm.push(lab.process_serving(edge(mode, &secrets)?)?);
        }
        let warm = warm.try_into().map_err(|_| broken("processes"))?;
        let keys = 0;
        let scene = Self {
            lab,
            secrets,
            text,
            key,
            holder,
            room,
            elsewhere,
            senders,
            opener,
            pair,
            sprays,
            keys,
            warm,
        };
        // The first use of the key in an hour is written: its cost is a row of its own.
        let process = scene.cold(Mode::Signed)?;
        let ask = scene.read();
        let request = scene.request(&process, &ask, Mode::Signed)?;
        Kind::Read.check(process.answer(request).await?)?;
        Ok(scene)
    }

    fn cold(&self, mode: Mode) -> Result<Process, BenchError> {
        self.lab.process_serving(edge(mode, &self.secrets)?)
    }

    fn read(&self) -> Ask<'_> {
        let user = self.senders.first().map_or("", String::as_str);
        let path = format!("/api/v2/wallets/{user}");
        Ask { method: "GET", path, user, room: None, body: "" }
    }

    /// A process and a request that it has not answered. A warm one knows what the request needs.
    pub(super) async fn prepare(
        &mut self,
        kind: Kind,
        mode: Mode,
        is_cold: bool,
    ) -> Result<(Process, Request<Body>), BenchError> {
        if is_cold {
            let process = self.cold(mode)?;
            let request = self.next(kind, mode, &process).await?;
            return Ok((process, request));
        }
        let [open, signed] = &self.warm;
        let process = if mode == Mode::Open { open } else { signed }.clone();
        let primer = match kind {
            Kind::Claim => self.primer(mode, &process).await?,
            Kind::Read | Kind::Miss | Kind::Create => self.next(kind, mode, &process).await?,
        };
        let primed = process.answer(primer).await?;
        kind.check(primed)?;
        let request = self.next(kind, mode, &process).await?;
        Ok((process, request))
    }

    /// A claim of the primer by the member who claims next, in a process that knows the main spray.
    async fn primer(&mut self, mode: Mode, process: &Process) -> Result<Request<Body>, BenchError> {
        self.renew().await?;
        // It is refused, since it is the sender's own spray.
        let own = claim(&self.pair.main, self.pair.main.sender.as_str());
        process.answer(self.request(process, &own, mode)?).await?;
        let member = self.lab.member(self.pair.claims);
        self.request(process, &claim(&self.pair.primer, &member), mode)
    }

    async fn renew(&mut self) -> Result<(), BenchError> {
        if self.pair.claims == CLAIMS {
            let Self { lab, opener, room, senders, sprays, .. } = self;
            self.pair = pair(lab, opener, *room, senders, sprays).await?;
        }
        Ok(())
    }

    async fn next(
        &mut self,
        kind: Kind,
        mode: Mode,
        process: &Process,
    ) -> Result<Request<Body>, BenchError> {
        match kind {
            Kind::Read => self.request(process, &self.read(), mode),
            Kind::Claim => {
                self.renew().await?;
                let member = self.lab.member(self.pair.claims);
                self.pair.claims = self.pair.claims.saturating_add(1);
                self.request(process, &claim(&self.pair.main, &member), mode)
            }
            Kind::Miss => {
                // The token is another room's.
                let member = self.lab.member(0);
                let wrong = Ask { room: Some(self.elsewhere), ..claim(&self.pair.main, &member) };
                self.request(process, &wrong, mode)
            }
            Kind::Create => {
                self.keys = self.keys.saturating_add(1);
                let process = process.clone().with_key(format!("spray-{}", self.keys));
                let sender = sender(&self.senders, &mut self.sprays)?;
                let body = r#"{"amount":1,"recipients":1,"split":"equal","expires_in_s":600}"#;
                let path = "/api/v2/sprays".to_owned();
                let ask = Ask { method: "POST", path, user: sender, room: Some(self.room), body };
                self.request(&process, &ask, mode)
            }
        }
    }

    fn request(
        &self,
        process: &Process,
        ask: &Ask<'_>,
        mode: Mode,
    ) -> Result<Request<Body>, BenchError> {
        let mut request = process.request(ask)?;
        if mode == Mode::Open {
            return Ok(request);
        }
        let room = ask.room.map(|room| room.to_string()).unwrap_or_default();
        let headers = self.holder.headers(&Parts {
            method: ask.method,
            path: &ask.path,
            query: "",
            timestamp: "",
            nonce: "",
            user: ask.user,
            room: &room,
            body: ask.body.as_bytes(),
        });
        for (name, value) in headers {
            let value = HeaderValue::from_str(&value).map_err(super::super::broken)?;
            request.headers_mut().insert(name, value);
        }
        Ok(request)
    }
}

/// As a deployment serves: limits cannot be turned off. None is reached here.
fn edge(mode: Mode, secrets: &SignatureSecrets) -> Result<EdgeConfig, BenchError> {
    let auth = match mode {
        Mode::Open => Auth::Open,
        Mode::Signed => Auth::Signed(secrets.clone()),
    };
    Ok(EdgeConfig { auth, ..open_edge()? })
}

async fn pair(
    lab: &Lab,
    opener: &Process,
    room: RoomId,
    senders: &[String],
    sprays: &mut u32,
) -> Result<Pair, BenchError> {
    let main = lab.spray_by(room, sender(senders, sprays)?, SHARES).await?;
    let primer = lab.spray_by(room, sender(senders, sprays)?, SHARES).await?;
    for spray in [&main, &primer] {
        Kind::Claim.check(opener.send(&claim(spray, &lab.member(FIRST))).await?)?;
    }
    Ok(Pair { main, primer, claims: 0 })
}

/// Who makes the next spray.
fn sender<'a>(senders: &'a [String], sprays: &mut u32) -> Result<&'a str, BenchError> {
    let number = sprays.div_euclid(SPRAYS_OF_A_SENDER);
    *sprays = sprays.saturating_add(1);
    let found = usize::try_from(number).ok().and_then(|number| senders.get(number));
    found.map(String::as_str).ok_or_else(|| BenchError::Broken("too many sprays".to_owned()))
}
