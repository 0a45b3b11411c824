//! One scenario's world: its Kingdom, its actors, its variables and its log.

mod assessing;
mod cutting;
mod fleet;
mod hooks;
mod orders;
mod probing;
mod reading;
mod rotating;
mod surroundings;
pub(crate) mod trust_files;
mod trying;

pub use assessing::ciphertext;
pub use hooks::Hooks;
pub use rotating::{GATE_PATIENCE, NotDone, Scope};
pub(crate) use trying::{DeadToPeer, LAST_LOOK_PATIENCE, not_ended};
pub use trying::{PastCall, Tried};

use crate::client::dynamic::Method;
use crate::client::{
    Connection, Credential, Link, Outcome, Request, Security, Status, TransportError,
};
use crate::environment::secrets::Delivery;
use crate::environment::{Environment, EnvironmentKind, Listener, Setup, Target};
use crate::error::Problem;
use crate::observation::{CallFact, Check, Fact, Observation, ObservationLog, ServerEvent};
use crate::participant::cast::Cast;
use crate::report::evidence::Secrets;
use crate::verdict::reading::{KINGDOMS, THE_CLOCK};
use crate::verdict::{check, cutover};
use fake_kingdom::cause::Cause;
use fake_kingdom::event::AlertSettings;
use fake_kingdom::files::Role;
use fake_kingdom::quirk::Quirk;
use fake_kingdom::sandbox::ParticipantKind;
use fake_kingdom::seam::clock::Clock;
use fake_kingdom::seam::entropy::Seed;
use fake_kingdom::tls::ClientAuth;
use halo_consent::PrivateKeyset;
use halo_pki::{Authority, Leaf, pem_certificates, pem_private_key};
use kingdom_proto::ApiId;
use prost_reflect::DynamicMessage;
use rand_chacha::ChaCha20Rng;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;
use time::OffsetDateTime;

/// How long a call may take: longer than the Kingdom's own 25 s of grace (contract 5.5.2).
const CALL_PATIENCE: Duration = Duration::from_secs(30);

/// How long the server may take to record what it did.
pub const EVENT_PATIENCE: Duration = Duration::from_secs(5);

/// The actor that is no participant: the Kingdom's operator.
pub const OPERATOR: &str = "operator";

/// Why a step stopped the scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A check did not hold; it is in the log.
    Failed,
    /// Anything else.
    Problem(Problem),
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// A certificate in hex by its serial and SKID, an ECDSA signature in hex by that word, any other
/// text as it is.
fn without_der(text: &str) -> String {
    if let Some(list) = text.strip_prefix('[').and_then(|list| list.strip_suffix(']')) {
        let elements: Vec<_> = list.split(", ").map(without_der).collect();
        return format!("[{}]", elements.join(", "));
    }
    let bytes = hex::decode(text).unwrap_or_default();
    // SEQUENCE of two INTEGERs, the first in its place.
    if let [0x30, length, 0x02, first, rest @ ..] = bytes.as_slice()
        && usize::from(*length) == bytes.len() - 2
        && rest.get(usize::from(*first)) == Some(&0x02)
    {
        return "an ECDSA signature".to_owned();
    }
    match halo_pki::inspect(&bytes).ok() {
        Some(facts) => {
            let skid = facts.skid.map(hex::encode).unwrap_or_else(|| "none".to_owned());
            format!("the certificate with serial {} and SKID {skid}", facts.serial)
        }
        None => text.to_owned(),
    }
}

/// How a step ends.
pub type StepResult = Result<(), Stop>;

/// A variable of a scenario.
#[derive(Clone, PartialEq, Eq)]
pub enum Var {
    /// Text.
    Text(String),
    /// Bytes; shown in hex, escaped inside text proto.
    Bytes(Vec<u8>),
}

/// How an actor shows itself to the Kingdom.
#[derive(Clone, Debug)]
pub struct Guise {
    // Changed by `World::shows` alone, which keeps what an old leaf is looked for in.
    credential: Option<Credential>,
    /// How it secures the connection.
    pub security: Security,
    /// Metadata beside `x-request-id`.
    pub metadata: Vec<(String, String)>,
    /// The roots it trusts, DER; `None` = the Kingdom's own of the sandbox.
    pub roots: Option<Vec<Vec<u8>>>,
}

impl Guise {
    /// What it presents.
    pub fn credential(&self) -> Option<&Credential> {
        self.credential.as_ref()
    }
}

/// A call with everything that is known of it.
pub struct Call {
    /// Who.
    pub actor: String,
    /// What.
    pub method: Method,
    /// `x-request-id`, by which the server's event is joined.
    pub request_id: String,
    /// The client's end of the connection, by which the handshake is joined.
    pub local: Option<String>,
    /// The newest event before it.
    pub after_event: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// The roots of a world's randomness.
#[derive(Clone, Copy, Debug)]
pub struct Seeds {
    /// Of the scenario's own keys, ids and order.
    pub scenario: Seed,
    /// Of the sandbox, which all scenarios of a run share.
    pub sandbox: Seed,
}

/// One scenario's world.
pub struct World {
    kind: EnvironmentKind,
    setup: Setup,
    deviation: Option<Quirk>,
    environment: Option<Box<dyn Environment>>,
    vars: BTreeMap<String, Var>,
    guises: BTreeMap<String, Guise>,
    open: BTreeMap<String, Connection>,
    calls: u64,
    last: Option<Call>,
    past: Vec<PastCall>,
    links: BTreeMap<String, Link>,
    clocks: BTreeMap<String, surroundings::SkewedClock>,
    leaves: BTreeMap<String, Leaf>,
    keys: BTreeMap<String, Vec<u8>>,
    roots: BTreeMap<String, Vec<Authority>>,
    presented: BTreeMap<String, Vec<Credential>>,
    rng: ChaCha20Rng,
    probing: Option<probing::Probing>,
    probe_runs: u64,
    looked_at: bool,
    probed_after: u64,
    probed_until: u64,
    first_credentials: BTreeMap<String, Option<Credential>>,
    rotating: Option<rotating::Rotating>,
    cutting: Option<cutting::Cutting>,
    fleet: fleet::Fleet,
    /// Whether the scenario claims to change something, so that what servers have read is noted.
    pub claims_change: bool,
    dead_keys: Vec<assessing::DeadKey>,
    dead_tls: Vec<trying::DeadTls>,
    dead_to_peers: Vec<trying::DeadToPeer>,
    /// The newest event before the last look at those: what came after raised no alert of the scenario's.
    alerts_until: Option<u64>,
    /// By how much the clock was moved forward since that was recorded last.
    jumped: Duration,
    /// What came of each order of a root's switches.
    pub tried_orders: Vec<crate::procedure::orders::Tried>,
    hooks: Hooks,
    /// The reference participants.
    pub cast: Cast,
    /// What was observed.
    pub log: ObservationLog,
}

impl World {
    /// A world in which nothing runs yet. Called inside the scenario's runtime.
    pub fn new(kind: EnvironmentKind, seeds: Seeds, deviation: Option<Quirk>) -> Self {
        let Seeds { scenario: seed, sandbox } = seeds;
        let setup = Setup { sandbox, ..Setup::new(seed, kind.clock()) };
        let cast = Cast::new(seed, setup.clock.clone());
        Self {
            kind,
            setup,
            deviation,
            environment: None,
            vars: BTreeMap::new(),
            guises: BTreeMap::new(),
            open: BTreeMap::new(),
            calls: 0,
            last: None,
            past: Vec::new(),
            links: BTreeMap::new(),
            clocks: BTreeMap::new(),
            leaves: BTreeMap::new(),
            keys: BTreeMap::new(),
            roots: BTreeMap::new(),
            presented: BTreeMap::new(),
            rng: seed.child("harness/world"),
            probing: None,
            probe_runs: 0,
            looked_at: false,
            probed_after: 0,
            probed_until: 0,
            first_credentials: BTreeMap::new(),
            rotating: None,
            cutting: None,
            fleet: fleet::Fleet::default(),
            claims_change: false,
            dead_keys: Vec::new(),
            dead_tls: Vec::new(),
            dead_to_peers: Vec::new(),
            alerts_until: None,
            jumped: Duration::ZERO,
            tried_orders: Vec::new(),
            hooks: Hooks::default(),
            cast,
            log: ObservationLog::default(),
        }
    }

    /// Lets the user's own commands do phases; before the Kingdom starts.
    pub fn set_hooks(&mut self, hooks: Hooks) {
        self.setup.for_commands =
            !hooks.commands.is_empty() && self.kind == EnvironmentKind::Loopback;
        self.hooks = hooks;
    }

    /// The scenario's clock.
    pub fn clock(&self) -> &Clock {
        &self.setup.clock
    }

    /// The scenario's seed.
    pub fn seed(&self) -> Seed {
        self.setup.seed
    }

    /// When the Kingdom's monitor raises an alert.
    pub fn alert_settings(&self) -> AlertSettings {
        self.setup.alert
    }

    /// The present, for certificates.
    pub fn now(&self) -> OffsetDateTime {
        let now = self.clock().now().to_date_time().unwrap_or(OffsetDateTime::UNIX_EPOCH);
        now.replace_nanosecond(0).unwrap_or(now)
    }

    /// The scenario's own randomness.
    pub fn rng(&mut self) -> &mut ChaCha20Rng {
        &mut self.rng
    }

    /// Appends a fact at the present moment.
    pub fn record(&mut self, fact: Fact) {
        self.log.record(self.setup.clock.now(), fact);
    }

    /// Notes that the scenario changed its surroundings.
    pub fn changed(&mut self, what: impl Into<String>) {
        let jumped = std::mem::take(&mut self.jumped);
        self.record(Fact::Changed { what: what.into(), jumped, worn: None });
    }

    /// Notes that a probing caller goes on with other files.
    pub fn redressed(&mut self, actor: &str) {
        let jumped = std::mem::take(&mut self.jumped);
        let what = format!("{actor}'s calls go on with other TLS files");
        self.record(Fact::Changed { what, jumped, worn: Some(actor.to_owned()) });
    }

    /// Notes that an actor, or [`crate::verdict::credentials::KINGDOM`], was given another TLS leaf.
    pub fn replaced_leaf_of(&mut self, actor: &str, leaf: Option<&[u8]>) {
        let facts = leaf.and_then(|leaf| halo_pki::inspect(leaf).ok());
        let skid = facts.and_then(|facts| facts.skid).map(hex::encode).unwrap_or_default();
        self.record(Fact::Replaced { actor: actor.to_owned(), skid });
    }

    /// Puts one of the Kingdom's files in place.
    ///
    /// # Errors
    /// None runs.
    pub fn put_file(&mut self, role: Role, content: Vec<u8>) -> Result<(), Problem> {
        let is_new = self.running()?.file(role).as_ref() != Some(&content);
        self.running()?.set_file(role, content);
        if is_new {
            self.record(Fact::Placed { what: format!("{KINGDOMS}{}", role.flag()) });
        }
        Ok(())
    }

    /// Puts one of a Duchy's files in place.
    ///
    /// # Errors
    /// No such Duchy serves.
    pub fn put_duchy_file(
        &mut self,
        duchy: &str,
        role: Role,
        content: Vec<u8>,
    ) -> Result<(), Problem> {
        let is_new = self.running()?.duchy_file(duchy, role).as_ref() != Some(&content);
        self.running()?.set_duchy_file(duchy, role, content)?;
        if is_new {
            self.record(Fact::Placed { what: format!("{duchy}'s {}", role.flag()) });
        }
        Ok(())
    }

    /// Says what replicas ask for from their next start on.
    ///
    /// # Errors
    /// None runs.
    pub fn ask_for_client_certificates(&mut self, mode: ClientAuth) -> Result<(), Problem> {
        self.running()?.set_client_auth(mode);
        self.record(Fact::Placed { what: cutover::MODE.to_owned() });
        self.changed(format!("client certificates: {}", mode.name()));
        Ok(())
    }

    /// Notes that the Kingdom was given its first TLS leaf again.
    ///
    /// # Errors
    /// None runs, or its leaf cannot be read.
    pub fn kingdom_has_its_first_leaf_back(&mut self) -> Result<(), Problem> {
        let pem = self.running()?.sandbox().file("kingdom/kingdom_tls.pem").unwrap_or_default();
        let chain = halo_pki::pem_certificates(pem)
            .map_err(|error| Problem::harness(format!("the Kingdom's first leaf: {error}")))?;
        let kingdom = crate::verdict::credentials::KINGDOM;
        self.replaced_leaf_of(kingdom, chain.first().map(Vec::as_slice));
        Ok(())
    }

    /// Puts a comparison into the log; one that does not hold ends the scenario.
    ///
    /// # Errors
    /// [`Stop::Failed`] if it does not hold.
    pub fn check(&mut self, mut check: Check) -> StepResult {
        let holds = check.holds;
        // Signature bytes differ from run to run and say nothing: they stay out of the log.
        let (expected, observed) = (without_der(&check.expected), without_der(&check.observed));
        let note = if !holds && expected == observed { " (in other bytes)" } else { "" };
        check.expected = expected;
        check.observed = format!("{observed}{note}");
        self.record(Fact::Check(check));
        if holds { Ok(()) } else { Err(Stop::Failed) }
    }

    /// Moves the scenario's clock forward at once.
    ///
    /// # Errors
    /// It would go past its end.
    pub async fn advance(&mut self, by: Duration) -> Result<(), Problem> {
        self.kingdom().await?.advance(by)?;
        self.jumped += by;
        self.changed(format!("{THE_CLOCK} {} s", by.as_secs()));
        Ok(())
    }

    /// The Kingdom's settings, as long as it has not started.
    ///
    /// # Errors
    /// It runs already: the step stands too late.
    pub fn setup(&mut self) -> Result<&mut Setup, Problem> {
        if self.environment.is_some() {
            return Err(Problem::author(
                "the Kingdom is already running, its settings cannot change",
                "move this step before the first one that needs a Kingdom",
            ));
        }
        Ok(&mut self.setup)
    }

    /// The running Kingdom, started now if need be.
    ///
    /// # Errors
    /// It does not start.
    pub async fn kingdom(&mut self) -> Result<&dyn Environment, Problem> {
        if self.environment.is_none() {
            let mut setup = self.setup.clone();
            if setup.delivery == Delivery::HashedName && setup.reload_hot {
                return Err(Problem::author(
                    "a Secret with a name of its own for each content never changes under a replica \
                     that runs, so there is nothing to read while it runs",
                    "restart the replicas, or update the Secret in place with `a changed Secret reaches \
                     mounted volumes after 400 ms`",
                ));
            }
            setup.on_disk = self.kind == EnvironmentKind::Loopback;
            if let Some(quirk) = self.deviation {
                setup.quirks = setup.quirks.inverted(quirk);
            }
            let environment = self.kind.start(setup).await?;
            self.learn(&*environment)?;
            self.environment = Some(environment);
        }
        self.running()
    }

    /// The Kingdom, which an earlier step must have started.
    ///
    /// # Errors
    /// None did.
    pub fn running(&self) -> Result<&dyn Environment, Problem> {
        self.environment
            .as_deref()
            .ok_or_else(|| Problem::author("nothing has happened yet", "call something first"))
    }

    /// Whether a Kingdom was started, and what its audit trail ended with.
    pub fn audit_head(&self) -> Option<fake_kingdom::audit::Head> {
        self.environment.as_deref().map(Environment::audit_head)
    }

    /// What no report of the scenario may hold: the API keys of its participants.
    pub fn secrets(&self) -> Secrets {
        let participants = self.environment.iter().flat_map(|e| e.sandbox().participants());
        Secrets::new(participants.filter_map(|participant| participant.api_key.clone()))
    }

    /// Fills the variables and guises of every participant.
    fn learn(&mut self, environment: &dyn Environment) -> Result<(), Problem> {
        let sandbox = environment.sandbox();
        let broken =
            |what: &dyn std::fmt::Display| Problem::harness(format!("a broken sandbox: {what}"));
        let file = |path: String| {
            sandbox.file(&path).map(<[u8]>::to_vec).ok_or_else(|| broken(&format!("no {path}")))
        };
        let mut guises = vec![(OPERATOR.to_owned(), "kingdom/kingdom_tls".to_owned())];
        for participant in sandbox.participants() {
            let name = &participant.name;
            let stem = format!("participants/{name}/{name}");
            guises.push((name.clone(), format!("{stem}_tls")));
            self.vars.insert(name.clone(), Var::Text(participant.resource.clone()));
            let number = |resource: &str| {
                let id = resource.rsplit('/').next().and_then(ApiId::decode);
                id.map(|id| Var::Text(id.value().to_string()))
            };
            if let Some(number) = number(&participant.resource) {
                self.vars.insert(format!("{name}.number"), number);
            }
            for (field, value) in [
                ("certificate", &participant.certificate),
                ("public_key", &participant.public_key),
                ("api_key", &participant.api_key),
            ] {
                if let Some(value) = value {
                    self.vars.insert(format!("{name}.{field}"), Var::Text(value.clone()));
                }
            }
            if let Some(certificate) = &participant.certificate {
                let id = certificate.rsplit('/').next().unwrap_or_default();
                self.vars.insert(format!("{name}.certificate_id"), Var::Text(id.to_owned()));
                if let Some(number) = number(certificate) {
                    self.vars.insert(format!("{name}.certificate_number"), number);
                }
                let der = file(format!("{stem}_cs_cert.der"))?;
                self.learn_certificate(&format!("{name}.certificate"), der);
            }
            if matches!(
                participant.kind,
                ParticipantKind::DataProvider | ParticipantKind::MeasurementConsumer
            ) {
                let keyset = file(format!("{stem}_enc_public.tink"))?;
                // By the name that keys made later have too.
                self.vars.insert(format!("{name}.first_keyset"), Var::Bytes(keyset.clone()));
                self.vars.insert(format!("{name}.keyset"), Var::Bytes(keyset));
                let private = file(format!("{stem}_enc_private.tink"))?;
                self.keys.insert(format!("{name}.first_encryption"), private);
            }
            let root = pem_certificates(&file(format!("{stem}_root.pem"))?)
                .map_err(|error| broken(&error))?;
            let skid = halo_pki::inspect(&root[0]).map_err(|error| broken(&error))?.skid;
            let skid = skid.unwrap_or_default();
            // As the rate limiter's overrides name it (contract 1.0.9).
            let colon_hex = skid.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>();
            self.vars.insert(format!("{name}.root_akid"), Var::Text(colon_hex.join(":")));
            self.vars.insert(format!("{name}.root_skid"), Var::Bytes(skid));
        }
        for (name, stem) in guises {
            let chain =
                pem_certificates(&file(format!("{stem}.pem"))?).map_err(|error| broken(&error))?;
            if name == OPERATOR {
                self.learn_certificate("kingdom.certificate", chain[0].clone());
            }
            let key =
                String::from_utf8(file(format!("{stem}.key"))?).map_err(|error| broken(&error))?;
            let key = pem_private_key(&key).map_err(|error| broken(&error))?;
            let credential = Some(Credential { chain, key });
            self.first_credentials.insert(name.clone(), credential.clone());
            let guise =
                Guise { credential, security: Security::Tls13, metadata: Vec::new(), roots: None };
            self.guises.insert(name, guise);
        }
        Ok(())
    }

    /// Sets `NAME_der` and `NAME_skid` from a certificate. Bytes that are none have no SKID.
    pub fn learn_certificate(&mut self, name: &str, der: Vec<u8>) {
        if let Ok(facts) = halo_pki::inspect(&der) {
            let seconds = facts.not_before.unix_timestamp().to_string();
            self.vars.insert(format!("{name}_not_before"), Var::Text(seconds));
            if let Some(skid) = facts.skid {
                self.vars.insert(format!("{name}_skid"), Var::Bytes(skid));
            }
        }
        self.vars.insert(format!("{name}_der"), Var::Bytes(der));
    }

    /// The authority of a participant, or of the operator.
    ///
    /// # Errors
    /// There is no such participant.
    pub async fn authority(&mut self, actor: &str) -> Result<Authority, Problem> {
        self.actor(actor).await?;
        let stem = if actor == OPERATOR {
            "kingdom/kingdom_root".to_owned()
        } else {
            format!("participants/{actor}/{actor}_root")
        };
        let sandbox = self.running()?.sandbox();
        let read = |suffix: &str| sandbox.file(&format!("{stem}.{suffix}")).unwrap_or_default();
        Authority::load(read("pem"), &String::from_utf8_lossy(read("key")))
            .map_err(|error| Problem::harness(format!("{actor}'s authority: {error}")))
    }

    /// An actor's guise, to change.
    ///
    /// # Errors
    /// There is no such actor.
    pub async fn actor(&mut self, actor: &str) -> Result<&mut Guise, Problem> {
        self.kingdom().await?;
        let known = self.guises.keys().cloned().collect::<Vec<_>>().join(", ");
        self.guises.get_mut(actor).ok_or_else(|| {
            Problem::author(
                format!("there is no actor `{actor}`"),
                format!("the actors are {known}"),
            )
        })
    }

    /// Makes an actor present a leaf.
    ///
    /// # Errors
    /// There is no such actor.
    pub async fn present(&mut self, actor: &str, leaf: &Leaf) -> Result<(), Problem> {
        let chain = vec![leaf.certificate_der().to_vec()];
        let key = leaf.key().pkcs8_der().to_vec();
        self.puts_on(actor, Some(Credential { chain, key })).await?;
        Ok(())
    }

    /// Makes an actor present this, or nothing, and keeps that it did: what it presented once and
    /// presents no more was replaced. Whatever lets an actor present something does it here, and what
    /// takes that back too; only a trial of a credential, which puts everything back, does not. The reference
    /// participant of this name goes on with it.
    ///
    /// # Errors
    /// There is no such actor.
    pub async fn puts_on(
        &mut self,
        actor: &str,
        credential: Option<Credential>,
    ) -> Result<&mut Guise, Problem> {
        self.shows(actor, credential.clone()).await?;
        if let Some(leaf) = credential {
            self.cast.give_leaf(actor, leaf);
        }
        self.actor(actor).await
    }

    /// As [`Self::puts_on`], but the reference participant of this name goes on with what it has: what is
    /// shown is a forgery, or another's.
    ///
    /// # Errors
    /// There is no such actor.
    pub async fn shows(
        &mut self,
        actor: &str,
        credential: Option<Credential>,
    ) -> Result<(), Problem> {
        self.actor(actor).await?.credential.clone_from(&credential);
        self.presented.entry(actor.to_owned()).or_default().extend(credential);
        Ok(())
    }

    /// The leaves of its own that an actor has presented and does not present now, that which it began
    /// with first: each was replaced. Another's, which it presented in that one's stead, is none.
    ///
    /// # Errors
    /// There is no such actor.
    pub async fn replaced_leaves(&mut self, actor: &str) -> Result<Vec<Credential>, Problem> {
        let first = self.sandbox_credential(actor).await?;
        let now = self.actor(actor).await?.credential.clone();
        let since = self.presented.get(actor).cloned().unwrap_or_default();
        let mut replaced: Vec<Credential> = Vec::new();
        for leaf in first.into_iter().chain(since) {
            if Some(&leaf) != now.as_ref()
                && !replaced.contains(&leaf)
                && !self.is_of_another(actor, &leaf).await?
            {
                replaced.push(leaf);
            }
        }
        Ok(replaced)
    }

    /// Whether another actor has this leaf too, and no root of this actor issued it.
    async fn is_of_another(&mut self, actor: &str, leaf: &Credential) -> Result<bool, Problem> {
        let first = self.first_credentials.iter().filter(|(of, _)| *of != actor);
        let since = self.presented.iter().filter(|(of, _)| *of != actor);
        let mut others =
            first.filter_map(|(_, first)| first.as_ref()).chain(since.flat_map(|(_, since)| since));
        if !others.any(|one| one == leaf) {
            return Ok(false);
        }
        let facts = leaf.chain.first().and_then(|der| halo_pki::inspect(der).ok());
        let issuer = facts.as_ref().and_then(|facts| facts.akid());
        let roots = self.all_roots(actor).await?;
        Ok(!roots.iter().any(|root| Some(root.subject_key_identifier()) == issuer))
    }

    /// What an actor presented at the scenario's start.
    ///
    /// # Errors
    /// There is no such actor.
    pub async fn sandbox_credential(&mut self, actor: &str) -> Result<Option<Credential>, Problem> {
        self.actor(actor).await?;
        Ok(self.first_credentials.get(actor).cloned().flatten())
    }

    /// A fault that the scenario injected and that never fired: whatever it was for was not shown.
    pub fn fault_that_never_fired(&self) -> Option<Problem> {
        if let Some(what) = self.surroundings_that_hit_nobody() {
            let what = format!("{what}, which hit nothing, so it proves nothing");
            let next = "let the actor call, or leave it out";
            return Some(Problem::author(what, next).because(Cause::FaultNotFired));
        }
        let faults = self.running().ok()?.faults();
        let rule = faults.iter().find(|rule| rule.fired == 0)?;
        let method = rule.rule.target.method.as_deref().unwrap_or("any method");
        Some(
            Problem::author(
                format!("fault rule {} on {method} never fired, so it proves nothing", rule.id),
                "correct its method or principal, or let the scenario go on until it fires",
            )
            .because(Cause::FaultNotFired),
        )
    }

    /// Sets a variable.
    pub fn set(&mut self, name: impl Into<String>, value: Var) {
        self.vars.insert(name.into(), value);
    }

    /// How many replicas the Kingdom has.
    pub fn replicas(&self) -> u32 {
        self.setup.replicas
    }

    /// A variable.
    ///
    /// # Errors
    /// There is none of this name; the names that exist are listed.
    pub fn get(&self, name: &str) -> Result<&Var, Problem> {
        self.vars.get(name).ok_or_else(|| {
            let known = self.vars.keys().cloned().collect::<Vec<_>>().join(", ");
            Problem::author(
                format!("there is no variable {{{name}}}"),
                format!("the variables are {known}"),
            )
        })
    }

    /// What the scenario calls a resource, such as `mc1.m`.
    pub fn called(&self, resource: &str) -> Option<&str> {
        let named = |var: &Var| matches!(var, Var::Text(text) if text == resource);
        self.vars.iter().find(|(_, var)| named(var)).map(|(name, _)| name.as_str())
    }

    /// What the scenario calls each resource that it knows, by its name.
    pub fn names(&self) -> BTreeMap<String, String> {
        let mut names = BTreeMap::new();
        for (called, var) in &self.vars {
            if let Var::Text(text) = var
                && text.contains('/')
            {
                names.entry(text.clone()).or_insert_with(|| called.clone());
            }
        }
        names
    }

    /// Replaces each `{variable}`; bytes become hex.
    ///
    /// # Errors
    /// An unknown variable.
    pub fn fill(&self, text: &str) -> Result<String, Problem> {
        self.fill_with(text, |var| match var {
            Var::Text(text) => text.clone(),
            Var::Bytes(bytes) => hex::encode(bytes),
        })
    }

    /// Replaces each `{variable}` inside the quoted strings of a text proto, escaped as it needs.
    ///
    /// # Errors
    /// An unknown variable.
    pub fn fill_text_proto(&self, text: &str) -> Result<String, Problem> {
        self.fill_with(text, |var| {
            let bytes = match var {
                Var::Text(text) => text.as_bytes(),
                Var::Bytes(bytes) => bytes,
            };
            bytes.iter().fold(String::new(), |mut escaped, &byte| {
                match byte {
                    b'"' | b'\'' | b'\\' => {
                        let _ = write!(escaped, "\\{}", char::from(byte));
                    }
                    0x20..=0x7e => escaped.push(char::from(byte)),
                    _ => {
                        let _ = write!(escaped, "\\{byte:03o}");
                    }
                }
                escaped
            })
        })
    }

    fn fill_with(&self, text: &str, show: impl Fn(&Var) -> String) -> Result<String, Problem> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find('{') {
            filled.push_str(&rest[..start]);
            let inner = &rest[start + 1..];
            match inner.find('}').map(|end| (&inner[..end], &inner[end + 1..])) {
                // Whatever looks like a variable must be one: a misspelt one left as text would make
                // every comparison with it hold or fail for nothing.
                Some((name, after)) if looks_like_a_variable(name) => {
                    filled.push_str(&show(self.get(name)?));
                    rest = after;
                }
                _ => {
                    filled.push('{');
                    rest = inner;
                }
            }
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// Calls a method as an actor, on a new connection unless the actor keeps one open. A short
    /// method name is one of the public API, of the internal API for the operator, and of the system
    /// API after the word `system`.
    ///
    /// # Errors
    /// The scenario's request cannot be made; never what the Kingdom answers.
    pub async fn call(
        &mut self,
        actor: &str,
        method: &str,
        text: &str,
        target: Option<Target>,
    ) -> Result<(), Problem> {
        self.call_to(actor, method, text, &[], target).await
    }

    /// [`Self::call`] with what stands at each path replaced: rows of path and text proto
    /// ([`dynamic::set`](crate::client::dynamic::set)).
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn call_changed(
        &mut self,
        actor: &str,
        method: &str,
        text: &str,
        changes: &[Vec<String>],
    ) -> Result<(), Problem> {
        self.call_to(actor, method, text, changes, None).await
    }

    async fn call_to(
        &mut self,
        actor: &str,
        method: &str,
        text: &str,
        changes: &[Vec<String>],
        target: Option<Target>,
    ) -> Result<(), Problem> {
        self.actor(actor).await?;
        let (home, method) = match method.strip_prefix("system ") {
            Some(method) => (Listener::System, method),
            None if actor == OPERATOR => (Listener::Operator, method),
            None => (Listener::Public, method),
        };
        let method = Method::find(method, home)
            .map_err(|what| Problem::author(what, "correct the method's name"))?;
        let mut filled = Vec::with_capacity(changes.len());
        for change in changes {
            filled.push((change[0].clone(), self.fill_text_proto(&change[1])?));
        }
        let mut messages = Vec::new();
        for text in requests(text) {
            let text = self.fill_text_proto(&text)?;
            messages.push(method.request(&text, &filled).map_err(|what| {
                Problem::author(format!("the request: {what}"), "correct the text proto")
            })?);
        }
        self.send(actor, method, messages, target).await
    }

    /// Calls a method with these messages' bytes for a request.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn send(
        &mut self,
        actor: &str,
        method: Method,
        messages: Vec<Vec<u8>>,
        target: Option<Target>,
    ) -> Result<(), Problem> {
        self.refuse_to_forget()?;
        let sent = messages.concat();
        self.calls += 1;
        let request_id = format!("call-{}", self.calls);
        let after_event = self.running()?.last_event();
        let mut metadata = self.actor(actor).await?.metadata.clone();
        metadata.push(("x-request-id".to_owned(), request_id.clone()));
        let request =
            Request { method: method.path(), metadata, messages, patience: CALL_PATIENCE };
        let mut kept = if target.is_none() { self.open.remove(actor) } else { None };
        let (outcome, local) = match &mut kept {
            Some(connection) => (connection.call(&request).await, Some(connection.local.clone())),
            None => {
                let target = target.unwrap_or(Target::Front(method.listener));
                match self.connect(actor, target).await? {
                    (Ok(mut connection), local) => (connection.call(&request).await, local),
                    (Err(error), local) => (Outcome::Broken(error), local),
                }
            }
        };
        if let Some(connection) = kept {
            self.open.insert(actor.to_owned(), connection);
        }
        let (code, broken) = match &outcome {
            Outcome::Answered { status, .. } => (Some(status.code), None),
            Outcome::Broken(error) => (None, Some(error)),
        };
        let (transport, cause) = (broken.map(ToString::to_string), broken.map(|e| e.cause()));
        self.record(Fact::Call(CallFact {
            actor: actor.to_owned(),
            method: request.method,
            request_id: request_id.clone(),
            code,
            transport,
            cause,
        }));
        self.last =
            Some(Call { actor: actor.to_owned(), method, request_id, local, after_event, outcome });
        self.looked_at = false;
        let event = self.join().await?;
        self.remember(sent, event.as_ref());
        Ok(())
    }

    /// A call that failed, and that no `Then` has looked at, must not be forgotten by the next one: a
    /// refused step of a procedure would pass.
    fn refuse_to_forget(&self) -> Result<(), Problem> {
        let Some(call) = &self.last else { return Ok(()) };
        let code = match &call.outcome {
            Outcome::Answered { status, .. } if status.code == "OK" => return Ok(()),
            Outcome::Answered { status, .. } => status.code,
            Outcome::Broken(_) => "no status",
        };
        if self.looked_at {
            return Ok(());
        }
        Err(Problem::author(
            format!(
                "{}'s call of {} failed ({code}), and no `Then` looked at it",
                call.actor,
                call.method.path()
            ),
            "put `Then the call succeeds`, or what you expect, behind it",
        ))
    }

    /// A `Then` has looked at what happened so far.
    pub fn look(&mut self) {
        self.looked_at = true;
    }

    /// Puts the server's own record of the last call into the log.
    async fn join(&mut self) -> Result<Option<ServerEvent>, Problem> {
        let Some(call) = &self.last else { return Ok(None) };
        let event = match &call.outcome {
            _ if call.method.listener == Listener::Health => None,
            Outcome::Answered { .. } => self.call_event().await?,
            Outcome::Broken(TransportError::NobodyListens | TransportError::Credential(_)) => None,
            Outcome::Broken(_) => self.handshake_event().await?,
        };
        if let Some(event) = &event {
            self.record(Fact::Server(Box::new(event.clone())));
        }
        Ok(event)
    }

    /// Opens a connection and keeps it for the actor's calls to come.
    ///
    /// # Errors
    /// It cannot be opened: the scenario builds on it.
    pub async fn keep_open(&mut self, actor: &str, target: Target) -> Result<(), Problem> {
        match self.connect(actor, target).await?.0 {
            Ok(connection) => {
                self.open.insert(actor.to_owned(), connection);
                Ok(())
            }
            Err(error) => Err(Problem::author(
                format!("{actor} cannot open a connection: {error}"),
                "keep open only what is accepted",
            )),
        }
    }

    /// Closes what [`Self::keep_open`] opened.
    ///
    /// # Errors
    /// It has none.
    pub fn close(&mut self, actor: &str) -> Result<(), Problem> {
        self.open.remove(actor).map(|_| ()).ok_or_else(|| {
            Problem::author(
                format!("{actor} keeps no connection open"),
                "put `Given ACTOR keeps a connection open` in front",
            )
        })
    }

    async fn connect(
        &mut self,
        actor: &str,
        target: Target,
    ) -> Result<(Result<Connection, TransportError>, Option<String>), Problem> {
        let mut tls = self.tls_of(actor).await?;
        if target == Target::Front(Listener::Health) {
            tls.security = Security::Plaintext;
        }
        if let Target::Duchy(id) = &target {
            tls.roots = self.sandbox_roots(&format!("participants/{id}/{id}_root.pem"))?;
        }
        if let Target::Replica(id) = &target
            && *id >= self.setup.replicas
        {
            return Err(Problem::author(
                format!("there is no replica {id}"),
                "count replicas from 0, or ask for more with `Given a Kingdom with N replicas`",
            ));
        }
        let environment = self.running()?;
        let dialled = match environment.dial(target).await {
            Ok(dialled) => dialled,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                return Ok((Err(TransportError::NobodyListens), None));
            }
            Err(error) => return Ok((Err(TransportError::Dial(error.to_string())), None)),
        };
        let local = dialled.local.clone();
        let opened = Connection::open(dialled.stream, dialled.local, &tls).await;
        Ok((opened, Some(local)))
    }

    /// The last call.
    ///
    /// # Errors
    /// There was none.
    pub fn last(&self) -> Result<&Call, Problem> {
        self.last
            .as_ref()
            .ok_or_else(|| Problem::author("no call was made yet", "add a `When` with a call"))
    }

    /// Whether there is anything that the Kingdom could have kept a record of.
    ///
    /// # Errors
    /// Nothing was called, and no phase of a procedure was done.
    pub fn acted(&self) -> Result<(), Problem> {
        let phase = |observation: &Observation| matches!(observation.fact, Fact::Phase(_));
        if self.log.all().iter().any(phase) { Ok(()) } else { self.last().map(|_| ()) }
    }

    /// The status of the last call, if one arrived.
    ///
    /// # Errors
    /// There was no call.
    pub fn status(&self) -> Result<Result<&Status, &TransportError>, Problem> {
        Ok(match &self.last()?.outcome {
            Outcome::Answered { status, .. } => Ok(status),
            Outcome::Broken(error) => Err(error),
        })
    }

    /// The response of the last call; a check fails if there is none.
    ///
    /// # Errors
    /// The call did not succeed, or its answer is not what its type says.
    pub fn response(&mut self) -> Result<DynamicMessage, Stop> {
        let call = self.last()?;
        let message = match &call.outcome {
            Outcome::Answered { messages, status } if status.code == "OK" => messages
                .first()
                .ok_or_else(|| "no message".to_owned())
                .and_then(|bytes| call.method.response(bytes)),
            Outcome::Answered { status, .. } => Err(status.code.to_owned()),
            Outcome::Broken(error) => Err(format!("no gRPC status ({error})")),
        };
        message.or_else(|observed| {
            self.check(check::equal("response", "a message", &observed))?;
            Err(Stop::Failed)
        })
    }

    /// The message that the last call was answered with, if it was.
    ///
    /// # Errors
    /// There was no call, or its answer is not what its type says.
    pub fn last_message(&self) -> Result<Option<DynamicMessage>, Problem> {
        let call = self.last()?;
        let Outcome::Answered { messages, .. } = &call.outcome else { return Ok(None) };
        let message = messages.first().map(|bytes| call.method.response(bytes)).transpose();
        message.map_err(Problem::harness)
    }

    /// All messages of the last call's stream; a check fails if it did not end with OK, since what
    /// came before another status is no whole answer.
    ///
    /// # Errors
    /// The method answers with one message and has no stream, or as [`Self::response`].
    pub fn responses(&mut self) -> Result<Vec<DynamicMessage>, Stop> {
        let call = self.last()?;
        if !call.method.is_server_streaming() {
            let what = format!("{} answers with one message, not a stream", call.method.path());
            return Err(Problem::author(what, "look at a field of the response").into());
        }
        let messages = match &call.outcome {
            Outcome::Answered { messages, status } if status.code == "OK" => messages
                .iter()
                .map(|bytes| call.method.response(bytes))
                .collect::<Result<Vec<_>, _>>(),
            Outcome::Answered { status, .. } => Err(status.code.to_owned()),
            Outcome::Broken(error) => Err(format!("no gRPC status ({error})")),
        };
        messages.or_else(|observed| {
            self.check(check::equal("end of the stream", "OK", &observed))?;
            Err(Stop::Failed)
        })
    }

    /// The server's event of the last call.
    ///
    /// # Errors
    /// There was no call, or events cannot be read.
    pub async fn call_event(&self) -> Result<Option<ServerEvent>, Problem> {
        let call = self.last()?;
        let wanted = |event: &ServerEvent| {
            event.kind == "call" && event.request_id.as_deref() == Some(&call.request_id)
        };
        self.running()?.event(call.after_event, &wanted, EVENT_PATIENCE).await
    }

    /// The server's event of the handshake of the last call's connection.
    ///
    /// # Errors
    /// As [`Self::call_event`].
    pub async fn handshake_event(&self) -> Result<Option<ServerEvent>, Problem> {
        let call = self.last()?;
        let Some(local) = &call.local else { return Ok(None) };
        let wanted = |event: &ServerEvent| {
            event.kind == "handshake" && event.peer_address.as_ref() == Some(local)
        };
        // The newest with this address: a port may be used again.
        let environment = self.running()?;
        let after = call.after_event;
        let found = environment.event(after, &wanted, EVENT_PATIENCE).await?;
        match found {
            Some(event) => Ok(Some(event)),
            // A connection kept open was accepted before the call.
            None => environment.event(0, &wanted, Duration::ZERO).await,
        }
    }

    /// Keeps the private key of the certificate `ACTOR.NAME`, PKCS#8 DER, if anybody has it.
    pub fn keep_key(&mut self, name: &str, pkcs8_der: Option<&[u8]>) {
        if let Some(der) = pkcs8_der {
            self.keys.insert(name.to_owned(), der.to_vec());
        }
    }

    /// The private key of a certificate, hostile ones included, PKCS#8 DER.
    ///
    /// # Errors
    /// There is no certificate of this name whose key is known.
    pub fn key(&self, actor: &str, name: &str) -> Result<&[u8], Problem> {
        self.keys.get(&format!("{actor}.{name}")).map(Vec::as_slice).ok_or_else(|| {
            Problem::author(
                format!("{actor} has no certificate called {name} whose key is known"),
                "make it with `Given ACTOR has a new certificate called NAME`",
            )
        })
    }

    /// Every private encryption key of an actor that the scenario knows, those it has dropped included.
    ///
    /// # Errors
    /// One of them is none.
    pub fn encryption_keys(&self, actor: &str) -> Result<Vec<PrivateKeyset>, Problem> {
        let own = format!("{actor}.");
        let named = self.keys.iter().filter(|(name, _)| name.starts_with(&own));
        named
            .filter(|(name, _)| name.ends_with("_encryption"))
            .map(|(name, key)| {
                PrivateKeyset::from_binary(key)
                    .map_err(|error| Problem::harness(format!("the key {name}: {error}")))
            })
            .collect()
    }

    /// Keeps a leaf as `ACTOR.NAME`, and sets its variables.
    pub fn keep_leaf(&mut self, actor: &str, name: &str, leaf: Leaf) {
        let name = format!("{actor}.{name}");
        self.keep_key(&name, Some(leaf.key().pkcs8_der()));
        self.learn_certificate(&name, leaf.certificate_der().to_vec());
        self.leaves.insert(name, leaf);
    }

    /// A leaf that [`Self::keep_leaf`] kept.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn leaf(&self, actor: &str, name: &str) -> Result<&Leaf, Problem> {
        self.leaves.get(&format!("{actor}.{name}")).ok_or_else(|| {
            Problem::author(
                format!("{actor} has no certificate called {name} whose key is known"),
                "make it with `Given ACTOR has a new certificate called NAME`",
            )
        })
    }

    /// Keeps an actor's new authority, and sets `ACTOR.new_root_skid`.
    pub fn keep_root(&mut self, actor: &str, root: Authority) {
        let skid = root.subject_key_identifier().to_vec();
        self.set(format!("{actor}.new_root_skid"), Var::Bytes(skid));
        self.roots.entry(actor.to_owned()).or_default().push(root);
    }

    /// An actor's newest authority, of those that it got since the scenario began.
    ///
    /// # Errors
    /// It got none.
    pub fn new_root(&self, actor: &str) -> Result<&Authority, Problem> {
        self.roots.get(actor).and_then(|roots| roots.last()).ok_or_else(|| {
            let next = "make one with `Given ACTOR gets a new root`";
            Problem::author(format!("{actor} has no new root"), next)
        })
    }

    /// Every authority of an actor, oldest first: the one that it began with, and those it got since.
    ///
    /// # Errors
    /// There is no such participant.
    pub async fn all_roots(&mut self, actor: &str) -> Result<Vec<Authority>, Problem> {
        let mut all = vec![self.authority(actor).await?];
        all.extend(self.roots.get(actor).into_iter().flatten().cloned());
        Ok(all)
    }

    /// The authorities of an actor that its newest one takes the place of, oldest first; the one that it
    /// began with as long as it has no other.
    ///
    /// # Errors
    /// There is no such participant.
    pub async fn old_roots(&mut self, actor: &str) -> Result<Vec<Authority>, Problem> {
        let mut all = self.all_roots(actor).await?;
        if all.len() > 1 {
            all.pop();
        }
        Ok(all)
    }
}

/// `edp1.certificate`, but not the inside of a text proto block.
/// The messages of a doc string: one, or for a client stream several between lines of `---`; a
/// stream of none is the single word `nothing`.
fn requests(text: &str) -> Vec<String> {
    if text.trim() == "nothing" {
        return Vec::new();
    }
    let mut messages = vec![String::new()];
    for line in text.lines() {
        if line.trim() == "---" {
            messages.push(String::new());
        } else if let Some(message) = messages.last_mut() {
            message.push_str(line);
            message.push('\n');
        }
    }
    messages
}

fn looks_like_a_variable(text: &str) -> bool {
    let name = text.trim();
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "._-".contains(c))
}
