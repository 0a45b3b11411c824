//! Probes within a scenario: started and stopped by its steps, joined with what the server recorded.

use super::World;
use crate::client::{Credential, TlsOptions};
use crate::error::Problem;
use crate::observation::{Fact, ServerEvent};
use crate::probe::{Answer, CallerSettings, Control, Density, Lane, Probe, Prober, Run, Wardrobe};
use crate::verdict::availability::CONTROL_TICKS_MIN;
use crate::verdict::monitor;
use fake_kingdom::cause::Cause;
use fake_kingdom::event::AlertSettings;
use fake_kingdom::fault::{Action, FaultRule, StatusName, Target};
use fake_kingdom::model::Timestamp;
use fake_kingdom::sandbox::ParticipantKind;
use kingdom_proto::v2alpha as pb;
use prost::Message as _;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long the outage of the negative control lasts: more than the ten ticks and 300 ms that the
/// verdict asks for, at any rate of 25 a second or more.
const CONTROL: Duration = Duration::from_millis(420);
/// How long after the run proper it begins.
const BEFORE_CONTROL: Duration = Duration::from_millis(100);
/// How long the probes go on after it, so that the gap has an end.
const AFTER_CONTROL: Duration = Duration::from_millis(120);
/// How long the server's own record of a probe is waited for after the last answer.
const JOIN_PATIENCE: Duration = Duration::from_secs(2);
/// Pause between two looks at the server's record.
const JOIN_PAUSE: Duration = Duration::from_millis(10);

/// How long a held call may take to the server; one that takes longer is judged as it is.
const HOLD_PATIENCE: Duration = Duration::from_millis(250);
/// Pause between two looks at whether it is there.
const HOLD_PAUSE: Duration = Duration::from_millis(1);

/// A run of probes that goes on, and where the server's log stood when it began.
pub(super) struct Probing {
    pub(super) prober: Prober,
    after_event: u64,
    started: Timestamp,
    /// What each caller presented when its wardrobe was filled last.
    worn: BTreeMap<String, (Option<Credential>, Vec<Vec<u8>>)>,
    /// The rules by which calls are held at the moment.
    holds: Vec<u64>,
}

impl World {
    /// Begins to probe the Kingdom's public address as these actors.
    ///
    /// # Errors
    /// Probes go on already, or an actor cannot call what a probe calls.
    pub async fn start_probes(&mut self, actors: &[&str], density: Density) -> Result<(), Problem> {
        if self.probing.is_some() {
            return Err(Problem::author("probes go on already", "let them stop first"));
        }
        self.kingdom().await?;
        let mut callers = Vec::new();
        let mut worn = BTreeMap::new();
        for actor in actors {
            let tls = self.tls_of(actor).await?;
            let own = (tls.credential.clone(), tls.roots.clone());
            if worn.insert((*actor).to_owned(), own).is_some() {
                let what = format!("{actor} would probe twice");
                return Err(Problem::author(what, "name each caller once"));
            }
            callers.push(self.probing_caller(actor, Wardrobe::new(tls)).await?);
        }
        self.probe_runs += 1;
        let label = format!("probe-{}", self.probe_runs);
        let environment = self.running()?;
        let after_event = environment.last_event();
        let started = environment.now();
        let prober = Prober::start(label, density, environment.dialler(), callers);
        self.probing = Some(Probing { prober, after_event, started, worn, holds: Vec::new() });
        self.record(Fact::ProbesStarted);
        Ok(())
    }

    /// What a probing actor presents and calls.
    async fn probing_caller(
        &mut self,
        actor: &str,
        wardrobe: Wardrobe,
    ) -> Result<CallerSettings, Problem> {
        let metadata = self.actor(actor).await?.metadata.clone();
        let participant = self.running()?.sandbox().participant(actor).cloned();
        let unable = || {
            Problem::author(
                format!("{actor} has nothing to probe with"),
                "probe as a data provider, a measurement consumer or a Duchy of the sandbox",
            )
        };
        let participant = participant.ok_or_else(unable)?;
        let own = participant.resource.clone();
        let call = match (participant.certificate.clone(), participant.kind) {
            (Some(name), _) => (
                "wfa.measurement.api.v2alpha.Certificates/GetCertificate".to_owned(),
                pb::GetCertificateRequest { name }.encode_to_vec(),
            ),
            // A model provider of the sandbox has no API certificate.
            (None, ParticipantKind::ModelProvider) => (
                "wfa.measurement.api.v2alpha.ModelProviders/GetModelProvider".to_owned(),
                pb::GetModelProviderRequest { name: own.clone() }.encode_to_vec(),
            ),
            (None, _) => return Err(unable()),
        };
        let straddling = match participant.kind {
            ParticipantKind::DataProvider => (
                "wfa.measurement.api.v2alpha.DataProviders/GetDataProvider".to_owned(),
                pb::GetDataProviderRequest { name: own.clone() }.encode_to_vec(),
            ),
            ParticipantKind::MeasurementConsumer => (
                "wfa.measurement.api.v2alpha.MeasurementConsumers/GetMeasurementConsumer"
                    .to_owned(),
                pb::GetMeasurementConsumerRequest { name: own.clone() }.encode_to_vec(),
            ),
            ParticipantKind::ModelProvider | ParticipantKind::Duchy => (
                "wfa.measurement.api.v2alpha.ModelProviders/ListModelProviders".to_owned(),
                pb::ListModelProvidersRequest::default().encode_to_vec(),
            ),
        };
        Ok(CallerSettings {
            actor: actor.to_owned(),
            principal: own,
            wardrobe,
            metadata,
            call,
            straddling,
        })
    }

    /// Lets the probing callers present what the scenario has dressed their actors in since.
    ///
    /// # Errors
    /// An actor has gone.
    pub async fn dress_probes(&mut self) -> Result<(), Problem> {
        let actors: Vec<String> = match &self.probing {
            Some(probing) => probing.worn.keys().cloned().collect(),
            None => return Ok(()),
        };
        for actor in actors {
            let tls = self.tls_of(&actor).await?;
            let now = (tls.credential.clone(), tls.roots.clone());
            if let Some(probing) = &mut self.probing
                && let Some(worn) = probing.worn.get(&actor)
                && *worn != now
            {
                let is_other_leaf = worn.0 != now.0;
                if let Some(wardrobe) = probing.prober.wardrobe(&actor) {
                    wardrobe.change(tls);
                }
                probing.prober.forget_sighting(&actor);
                probing.worn.insert(actor.clone(), now.clone());
                if is_other_leaf {
                    let leaf = now.0.as_ref().and_then(|credential| credential.chain.first());
                    self.replaced_leaf_of(&actor, leaf.map(Vec::as_slice));
                }
                self.redressed(&actor);
            }
        }
        Ok(())
    }

    /// A probing caller starts again: its kept connections are closed.
    ///
    /// # Errors
    /// No probes go on.
    pub async fn restart_caller(&mut self, actor: &str) -> Result<(), Problem> {
        self.probing()?.prober.restart(actor).await;
        Ok(())
    }

    /// Begins one call for each caller that the Kingdom holds for `hold`.
    ///
    /// # Errors
    /// No probes go on.
    pub async fn straddle(&mut self, hold: Duration) -> Result<(), Problem> {
        let probing = self.probing()?;
        let environment = self.running()?;
        // A rule of an earlier hold would come first.
        for id in &probing.holds {
            if environment.remove_fault(*id).is_some_and(|rule| rule.fired == 0) {
                let what = "the calls of an earlier hold never reached the Kingdom";
                let problem = Problem::author(what, "hold calls while the Kingdom answers");
                return Err(problem.because(Cause::FaultNotFired));
            }
        }
        let millis = u64::try_from(hold.as_millis()).unwrap_or(u64::MAX);
        let rule = |method| FaultRule {
            target: Target { method: Some(method), ..Target::default() },
            action: Action::DelayMs(millis),
            count: None,
            skip: 0,
        };
        let methods = probing.prober.straddling_methods().into_iter();
        let holds: Vec<u64> = methods.map(|method| environment.add_fault(rule(method))).collect();
        probing.prober.straddle(hold);
        // What comes next must find them under way.
        let all = probing.prober.callers().len() as u64;
        let under_way = || {
            let rules = environment.faults().into_iter().filter(|rule| holds.contains(&rule.id));
            rules.map(|rule| rule.fired).sum::<u64>()
        };
        let arrived = async {
            while under_way() < all {
                tokio::time::sleep(HOLD_PAUSE).await;
            }
        };
        let _late = tokio::time::timeout(HOLD_PATIENCE, arrived).await;
        if let Some(probing) = &mut self.probing {
            probing.holds = holds;
        }
        Ok(())
    }

    /// The schedule ends, as if the harness had died; the run goes on without it.
    ///
    /// # Errors
    /// No probes go on.
    pub fn break_off_probes(&mut self) -> Result<(), Problem> {
        self.probing()?.prober.break_off();
        Ok(())
    }

    /// Everybody who probes, and the distance of two probes.
    ///
    /// # Errors
    /// No probes go on.
    pub(super) fn fleet_members(&self) -> Result<(Vec<String>, Duration), Problem> {
        let prober = &self.probing()?.prober;
        let members = prober.callers().into_iter().map(|(actor, _)| actor).collect();
        Ok((members, Duration::from_micros(prober.density().due_us(1))))
    }

    fn probing(&self) -> Result<&Probing, Problem> {
        self.probing.as_ref().ok_or_else(|| {
            Problem::author("no probes go on", "begin with `Given probes call the Kingdom as edp1`")
        })
    }

    /// Whether probes go on.
    pub fn is_probing(&self) -> bool {
        self.probing.is_some()
    }

    /// Ends the run of probes with its negative control, and records what it observed.
    ///
    /// # Errors
    /// No probes go on, or the server's events cannot be read.
    pub async fn stop_probes(&mut self) -> Result<(), Problem> {
        self.probing()?;
        let Some(Probing { prober, after_event, started, .. }) = self.probing.take() else {
            return Ok(());
        };
        let environment = self.running()?;
        let length_us = prober.elapsed_us();
        // A probe of the run proper must not be on its way still when the outage begins.
        tokio::time::sleep(BEFORE_CONTROL).await;
        let from_us = prober.elapsed_us();
        let outages: Vec<_> = prober
            .methods()
            .into_iter()
            .map(|method| {
                environment.add_fault(FaultRule {
                    target: Target { method: Some(method), ..Target::default() },
                    action: Action::Status(StatusName::Unavailable),
                    count: None,
                    skip: 0,
                })
            })
            .collect();
        // It has to be as long as the judge wants it at the run's own rate.
        let ticks_us = prober.density().due_us(CONTROL_TICKS_MIN + 2);
        tokio::time::sleep(CONTROL.max(Duration::from_micros(ticks_us))).await;
        // A caller that the outage did not hit shows in the gap that is looked for.
        let fired = outages
            .into_iter()
            .map(|outage| environment.remove_fault(outage).map_or(0, |rule| rule.fired))
            .sum();
        let until_us = prober.elapsed_us();
        tokio::time::sleep(AFTER_CONTROL).await;
        let (density, callers) = (prober.density(), prober.callers());
        let mut stopped = prober.stop().await;
        self.join_probes(&mut stopped.probes, after_event).await?;
        let run = Run {
            density,
            callers,
            started,
            length_us,
            lag_us_max: stopped.lag_us_max,
            control: Some(Control { from_us, until_us, fired }),
            probes: stopped.probes,
        };
        self.record(Fact::Probes(Box::new(run)));
        if self.claims_change {
            self.note_readings();
        }
        self.probed_after = after_event;
        self.probed_until = self.running()?.last_event();
        Ok(())
    }

    /// What the server recorded since the last run of probes began.
    ///
    /// # Errors
    /// Some of it is no longer kept.
    pub fn events_of_probes(&self) -> Result<Vec<ServerEvent>, Problem> {
        self.running()?.events(self.probed_after)
    }

    /// What the server recorded so far since the run of probes that goes on, or the last one, began.
    ///
    /// # Errors
    /// Some of it is no longer kept.
    pub fn events_while_probing(&self) -> Result<Vec<ServerEvent>, Problem> {
        let Some(probing) = &self.probing else {
            // What a scenario calls afterwards is no part of the run.
            let mut events = self.events_of_probes()?;
            events.retain(|event| event.seq <= self.probed_until);
            return Ok(events);
        };
        self.running()?.events(probing.after_event)
    }

    /// Whether probes go on as this actor.
    pub(super) fn is_probing_as(&self, actor: &str) -> bool {
        self.probing.as_ref().is_some_and(|probing| probing.worn.contains_key(actor))
    }

    /// Puts the alerts that the Kingdom's monitor raised into the log, each with what made it.
    pub fn note_alerts(&mut self) {
        let AlertSettings { threshold, window } = self.setup.alert;
        let Ok(environment) = self.running() else { return };
        if !environment.has_alerts() {
            return;
        }
        // The log keeps the newest events only; what is gone can be no evidence any more.
        let Ok(events) = environment.events(0) else { return };
        let runs: Vec<_> = self
            .log
            .all()
            .iter()
            .filter_map(|observation| match &observation.fact {
                Fact::Probes(run) => Some(&**run),
                _ => None,
            })
            .collect();
        // The harness's own last look at dead credentials is nobody's failure.
        let until = self.alerts_until.unwrap_or(u64::MAX);
        let mut alerts = monitor::alerts(&runs, &events, threshold, window);
        alerts.retain(|alert| alert.seq <= until);
        for alert in alerts {
            self.record(Fact::Alert(Box::new(alert)));
        }
    }

    /// Puts the server's own record beside each probe: of the call by its request id, of a refused
    /// handshake by the client's address.
    async fn join_probes(&self, probes: &mut [Probe], after: u64) -> Result<(), Problem> {
        let environment = self.running()?;
        let join = async {
            loop {
                let events = environment.events(after)?;
                if joined(probes, &events) {
                    return Ok(());
                }
                tokio::time::sleep(JOIN_PAUSE).await;
            }
        };
        // What is still missing then was never recorded.
        tokio::time::timeout(JOIN_PATIENCE, join).await.unwrap_or(Ok(()))
    }
}

/// Whether every probe that reached the server has the server's record now.
fn joined(probes: &mut [Probe], events: &[ServerEvent]) -> bool {
    let mut by_request: BTreeMap<&str, &ServerEvent> = BTreeMap::new();
    let mut by_address: BTreeMap<&str, &ServerEvent> = BTreeMap::new();
    for event in events {
        match event.kind.as_str() {
            "call" => {
                if let Some(id) = &event.request_id {
                    by_request.insert(id, event);
                }
            }
            "handshake" if event.outcome == "refused" => {
                if let Some(address) = &event.peer_address {
                    by_address.insert(address, event);
                }
            }
            _ => {}
        }
    }
    let mut all = true;
    for probe in probes.iter_mut().filter(|probe| probe.sent_us.is_some()) {
        let call = by_request.get(probe.request_id.as_str());
        let handshake = || by_address.get(probe.local.as_deref()?).copied();
        probe.server = match (&probe.answer, call) {
            // A broken probe may have reached the server, or been refused at its door.
            (Answer::Broken(_), call) => handshake().or(call.copied()),
            (Answer::Expected | Answer::Status(_), call) => call.copied(),
        }
        .map(|event| Box::new(event.clone()));
        let reached = !matches!(probe.answer, Answer::Broken(_));
        all &= probe.server.is_some() || !reached || probe.lane == Lane::ServerStream;
    }
    all
}

impl World {
    /// What an actor presents and trusts.
    ///
    /// # Errors
    /// There is no such actor.
    pub(super) async fn tls_of(&mut self, actor: &str) -> Result<TlsOptions, Problem> {
        let guise = self.actor(actor).await?.clone();
        let roots = match guise.roots {
            Some(roots) => roots,
            None => self.sandbox_roots("kingdom/kingdom_root.pem")?,
        };
        Ok(TlsOptions {
            credential: guise.credential,
            security: guise.security,
            roots,
            server_name: "localhost".to_owned(),
            clock: self.clocks.get(actor).map_or(&self.setup.clock, |own| &own.clock).clone(),
            link: self.links.get(actor).cloned(),
        })
    }

    pub(super) fn sandbox_roots(&self, path: &str) -> Result<Vec<Vec<u8>>, Problem> {
        let pem = self.running()?.sandbox().file(path).unwrap_or_default();
        halo_pki::pem_certificates(pem)
            .map_err(|error| Problem::harness(format!("{path}: {error}")))
    }
}
