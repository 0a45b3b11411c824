//! The participants of one scenario: made when they first act, of the sandbox's files.

use super::data_provider::DataProvider;
use super::duchy::Duchy;
use super::edp_aggregator::EdpAggregator;
use super::measurement_consumer::{MeasurementConsumer, Wish};
use super::model_provider::ModelProvider;
use super::panel_match::PanelMatch;
use super::reporting::Reporting;
use super::wire::Dial;
use super::{Base, Identity, ParticipantEvent, SigningPair, documented};
use crate::client::Credential;
use crate::error::Problem;
use crate::impact::Assessment;
use crate::impact::read::Channel;
use crate::impact::repair::{Books, Crew, NotRepaired, Repaired, repair};
use crate::quirk::{Fidelity, PeerQuirk, PeerQuirks};
use fake_kingdom::sandbox::{ParticipantKind, Sandbox};
use fake_kingdom::seam::clock::Clock;
use fake_kingdom::seam::entropy::Seed;
use halo_consent::{PrivateKeyset, SigningKey};
use kingdom_proto::system;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The actor that is no participant of the sandbox: the reporting server of mc1.
pub const REPORTING: &str = "reporting";
/// The measurement consumer that the reporting server acts for.
const REPORTINGS_CONSUMER: &str = "mc1";

/// One of the cast.
#[allow(clippy::large_enum_variant, reason = "a handful exist at a time")]
pub enum Player {
    /// A data provider.
    DataProvider(DataProvider),
    /// A data provider whose requisitions an EDP aggregator handles.
    EdpAggregator(EdpAggregator),
    /// A measurement consumer.
    MeasurementConsumer(MeasurementConsumer),
    /// A Duchy.
    Duchy(Duchy),
    /// A model provider.
    ModelProvider(ModelProvider),
    /// The reporting server.
    Reporting(Reporting),
}

impl Player {
    /// What all have in common.
    pub fn base(&mut self) -> &mut Base {
        match self {
            Self::DataProvider(player) => &mut player.base,
            Self::EdpAggregator(player) => &mut player.provider.base,
            Self::MeasurementConsumer(player) => &mut player.base,
            Self::Duchy(player) => &mut player.base,
            Self::ModelProvider(player) => &mut player.base,
            Self::Reporting(player) => player.base(),
        }
    }

    /// The certificate that it signs with, if it has one.
    pub fn signing(&self) -> Option<&SigningPair> {
        match self {
            Self::DataProvider(player) => Some(&player.signing),
            Self::EdpAggregator(player) => Some(&player.provider.signing),
            Self::MeasurementConsumer(player) => Some(&player.signing),
            Self::Duchy(player) => Some(&player.signing),
            Self::ModelProvider(player) => player.signing.as_ref(),
            Self::Reporting(player) => Some(&player.consumer.signing),
        }
    }

    /// Signs with this certificate from now on.
    pub fn sign_with(&mut self, pair: SigningPair) {
        match self {
            Self::DataProvider(player) => player.signing = pair,
            Self::EdpAggregator(player) => player.provider.signing = pair,
            Self::MeasurementConsumer(player) => player.signing = pair,
            Self::Duchy(player) => player.signing = pair,
            Self::ModelProvider(player) => player.signing = Some(pair),
            Self::Reporting(player) => player.consumer.signing = pair,
        }
    }

    /// Its keys and certificate, if it acts as a data provider.
    ///
    /// # Errors
    /// It is none.
    pub fn provider(&mut self) -> Result<&mut DataProvider, Problem> {
        match self {
            Self::DataProvider(player) => Ok(player),
            Self::EdpAggregator(player) => Ok(&mut player.provider),
            other => Err(other.is_not("data provider")),
        }
    }

    /// Its keys and certificate, if it acts as a measurement consumer.
    ///
    /// # Errors
    /// It is none.
    pub fn consumer(&mut self) -> Result<&mut MeasurementConsumer, Problem> {
        match self {
            Self::MeasurementConsumer(player) => Ok(player),
            Self::Reporting(player) => Ok(&mut player.consumer),
            other => Err(other.is_not("measurement consumer")),
        }
    }

    /// The Duchy.
    ///
    /// # Errors
    /// It is none.
    pub fn duchy(&mut self) -> Result<&mut Duchy, Problem> {
        match self {
            Self::Duchy(player) => Ok(player),
            other => Err(other.is_not("Duchy")),
        }
    }

    fn is_not(&mut self, what: &str) -> Problem {
        let name = self.base().identity.name.clone();
        Problem::author(format!("{name} is no {what}"), format!("name a {what} of the sandbox"))
    }

    /// Creates a measurement; its resource name, or what its own checks or the Kingdom said.
    ///
    /// # Errors
    /// It is no measurement consumer.
    pub async fn create(
        &mut self,
        dial: &dyn Dial,
        wish: &Wish,
    ) -> Result<Result<String, String>, Problem> {
        if let Self::Reporting(reporting) = self {
            let created = reporting.create(dial, wish).await;
            return Ok(created.map(|one| one.name).map_err(|answer| answer.code.to_owned()));
        }
        let created = self.consumer()?.create(dial, wish).await;
        Ok(created.map(|one| one.name).map_err(|error| error.to_string()))
    }
}

/// Everybody who has acted, and the oddities in force for all.
pub struct Cast {
    quirks: PeerQuirks,
    seed: Seed,
    clock: Clock,
    /// Clocks of those whose own is wrong.
    clocks: BTreeMap<String, Clock>,
    players: BTreeMap<String, Player>,
    /// The panel match programs of those who exchange data.
    panel_matches: BTreeMap<String, PanelMatch>,
    /// TLS leaves of those who were given another one than the sandbox's.
    leaves: BTreeMap<String, Credential>,
    /// What the reporting server answered last: `OK` or a gRPC code.
    pub answered: Option<String>,
    /// Computations by the measurement's name.
    pub computations: BTreeMap<String, system::Computation>,
    /// What participants know and the Kingdom does not tell.
    pub books: Books,
    /// What repairs created anew: the names of old and new.
    pub re_created: BTreeMap<String, String>,
}

/// What an owner has at hand for what was stolen from it.
#[derive(Default)]
pub struct Fresh {
    /// A certificate that is not registered yet, with its key.
    pub certificate: Option<(Vec<u8>, Arc<SigningKey>)>,
    /// An encryption key set that is not in force yet.
    pub keyset: Option<PrivateKeyset>,
}

impl Cast {
    /// Nobody has acted yet; every quirk is as documented.
    pub fn new(seed: Seed, clock: Clock) -> Self {
        Self {
            quirks: documented(),
            seed,
            clock,
            clocks: BTreeMap::new(),
            players: BTreeMap::new(),
            panel_matches: BTreeMap::new(),
            leaves: BTreeMap::new(),
            answered: None,
            computations: BTreeMap::new(),
            books: Books::default(),
            re_created: BTreeMap::new(),
        }
    }

    /// Lets everybody of the sandbox do what is theirs of an assessment's plan, in its order; what was
    /// done.
    ///
    /// # Errors
    /// A participant cannot be made. The inner error is the first action that was not carried out.
    pub async fn repair(
        &mut self,
        sandbox: &Sandbox,
        assessment: &Assessment,
        fresh: Fresh,
        operator: &mut Channel,
        dial: &dyn Dial,
    ) -> Result<Result<Repaired, NotRepaired>, Problem> {
        for participant in sandbox.participants() {
            self.player(sandbox, &participant.name)?;
        }
        let (mut consumers, mut providers) = (Vec::new(), Vec::new());
        let (mut duchies, mut model_providers) = (Vec::new(), Vec::new());
        for player in self.players.values_mut() {
            match player {
                Player::MeasurementConsumer(one) => consumers.push(one),
                Player::DataProvider(one) => providers.push(one),
                Player::EdpAggregator(one) => providers.push(&mut one.provider),
                Player::Duchy(one) => duchies.push(one),
                Player::ModelProvider(one) => model_providers.push(one),
                // It acts for a measurement consumer, which repairs for itself.
                Player::Reporting(_) => {}
            }
        }
        self.books.certificate = fresh.certificate;
        self.books.keyset = fresh.keyset;
        let mut crew = Crew { consumers, providers, duchies, model_providers, operator };
        let done = match repair(assessment, &self.books, &mut crew, dial).await {
            Ok(done) => done,
            Err(error) => return Ok(Err(error)),
        };
        for (old, new) in &done.re_created {
            if let Some(wish) = self.books.wishes.get(old).cloned() {
                self.books.wishes.insert(new.clone(), wish);
            }
        }
        self.re_created.extend(done.re_created.clone());
        Ok(Ok(done))
    }

    /// Switches an oddity for everybody, those who have acted already included.
    pub fn set_quirk(&mut self, quirk: PeerQuirk, fidelity: Fidelity) {
        self.quirks = self.quirks.with(quirk, fidelity);
        for player in self.players.values_mut() {
            player.base().identity.quirks = self.quirks;
        }
        for party in self.panel_matches.values_mut() {
            party.base.identity.quirks = self.quirks;
        }
    }

    /// Gives a participant that has not acted yet a clock of its own.
    pub fn set_clock(&mut self, name: &str, clock: Clock) {
        self.clocks.insert(name.to_owned(), clock);
    }

    /// Gives a participant another TLS leaf: its programs start again with it.
    pub fn give_leaf(&mut self, name: &str, leaf: Credential) {
        if let Some(player) = self.players.get_mut(name) {
            player.base().identity.tls = leaf.clone();
            player.base().reconnect();
        }
        self.leaves.insert(name.to_owned(), leaf);
    }

    /// A participant of the sandbox, or the reporting server.
    ///
    /// # Errors
    /// There is none of this name, or it has no reference program.
    pub fn player(&mut self, sandbox: &Sandbox, name: &str) -> Result<&mut Player, Problem> {
        if !self.players.contains_key(name) {
            let mut player = self.make(sandbox, name)?;
            player.base().identity.quirks = self.quirks;
            if let Some(leaf) = self.leaves.get(name) {
                player.base().identity.tls = leaf.clone();
            }
            self.players.insert(name.to_owned(), player);
        }
        self.acted(name)
    }

    /// The panel match program of a data provider or model provider: the parties of an exchange.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn panel_match(
        &mut self,
        sandbox: &Sandbox,
        name: &str,
    ) -> Result<&mut PanelMatch, Problem> {
        let kind = sandbox.participant(name).map(|participant| participant.kind);
        if !matches!(kind, Some(ParticipantKind::DataProvider | ParticipantKind::ModelProvider)) {
            let what = format!("`{name}` takes part in no exchange");
            return Err(Problem::author(what, "name a data provider or a model provider"));
        }
        if !self.panel_matches.contains_key(name) {
            let clock = self.clocks.get(name).unwrap_or(&self.clock);
            let identity = Identity::of(sandbox, name, clock, self.seed);
            let mut identity = identity.map_err(|error| Problem::harness(error.to_string()))?;
            identity.quirks = self.quirks;
            let party = PanelMatch::new(Base::new(identity), BTreeMap::new());
            self.panel_matches.insert(name.to_owned(), party);
        }
        let party = self.panel_matches.get_mut(name);
        party.ok_or_else(|| Problem::harness(format!("{name} has no panel match program")))
    }

    /// Lets an EDP aggregator handle a data provider's requisitions from now on.
    ///
    /// # Errors
    /// There is no such data provider.
    pub fn aggregate(&mut self, sandbox: &Sandbox, name: &str) -> Result<(), Problem> {
        self.player(sandbox, name)?.provider()?;
        if let Some(Player::DataProvider(provider)) = self.players.remove(name) {
            let aggregator = Player::EdpAggregator(EdpAggregator::new(provider));
            self.players.insert(name.to_owned(), aggregator);
        }
        Ok(())
    }

    /// Somebody who has acted before.
    ///
    /// # Errors
    /// Nobody of this name has.
    pub fn acted(&mut self, name: &str) -> Result<&mut Player, Problem> {
        self.players.get_mut(name).ok_or_else(|| {
            Problem::author(
                format!("{name} has done nothing yet as a reference participant"),
                "let it act first, such as by `When edp1 handles its requisitions`",
            )
        })
    }

    /// What everybody did since the last time it was asked for, by actor.
    pub fn drain(&mut self) -> Vec<ParticipantEvent> {
        let players = self.players.values_mut().map(Player::base);
        let parties = self.panel_matches.values_mut().map(|party| &mut party.base);
        players.chain(parties).flat_map(Base::unreported).collect()
    }

    fn make(&self, sandbox: &Sandbox, name: &str) -> Result<Player, Problem> {
        let (clock, seed) = (self.clocks.get(name).unwrap_or(&self.clock), self.seed);
        let broken = |error: super::BadSandbox| Problem::harness(error.to_string());
        if name == REPORTING {
            let reporting = Reporting::of(sandbox, REPORTINGS_CONSUMER, clock, seed);
            return reporting.map(Player::Reporting).map_err(broken);
        }
        let kind = sandbox.participant(name).map(|participant| participant.kind);
        let made = match kind {
            Some(ParticipantKind::DataProvider) => {
                DataProvider::of(sandbox, name, clock, seed).map(Player::DataProvider)
            }
            Some(ParticipantKind::MeasurementConsumer) => {
                MeasurementConsumer::of(sandbox, name, clock, seed).map(Player::MeasurementConsumer)
            }
            Some(ParticipantKind::Duchy) => {
                Duchy::of(sandbox, name, clock, seed).map(Player::Duchy)
            }
            Some(ParticipantKind::ModelProvider) => {
                ModelProvider::of(sandbox, name, clock, seed).map(Player::ModelProvider)
            }
            None => {
                return Err(Problem::author(
                    format!("`{name}` has no reference program"),
                    "name a participant of the sandbox or `reporting`",
                ));
            }
        };
        made.map_err(broken)
    }
}
