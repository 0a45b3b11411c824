//! Sends probes on schedule and collects what became of them.

use super::channel::{Channel, LineFacts, Stream, Wardrobe, deadline, open};
use super::schedule::{Density, RATE_PER_SECOND_MAX};
use super::{Answer, LATE_MAX, Lane, Probe};
use crate::client::{Outcome, Request, TransportError};
use crate::environment::Dial;
use crate::procedure::gate::Sighting;
use fake_kingdom::cause::Cause;
use prost::Message as _;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// One caller and what it calls.
#[derive(Clone)]
pub struct CallerSettings {
    /// Its name.
    pub actor: String,
    /// The principal that the server has to see in it.
    pub principal: String,
    /// What it presents.
    pub wardrobe: Wardrobe,
    /// Metadata of each call, such as its API key.
    pub metadata: Vec<(String, String)>,
    /// The unary call of its lanes: method and encoded request.
    pub call: (String, Vec<u8>),
    /// The call that straddles the switch; another method, so that a fault rule can hold it alone.
    pub straddling: (String, Vec<u8>),
}

/// A run of probes that goes on.
pub struct Prober {
    shared: Arc<Shared>,
    schedule: JoinHandle<()>,
    done: mpsc::UnboundedReceiver<Probe>,
    straddling: Mutex<u64>,
}

/// What a stopped run leaves.
pub struct Stopped {
    /// All probes: by schedule, then the straddling calls.
    pub probes: Vec<Probe>,
    /// The longest that the schedule was late.
    pub lag_us_max: u64,
}

struct Shared {
    density: Density,
    dial: Arc<dyn Dial>,
    callers: Vec<CallerState>,
    origin: Instant,
    /// Tells runs of one scenario apart in request ids.
    label: String,
    stopping: AtomicBool,
    lag_us_max: AtomicU64,
    /// How many probes the schedule has begun.
    begun: AtomicU64,
    /// How each caller was answered last on a connection of its own.
    seen: Mutex<BTreeMap<String, Sighting>>,
    done: mpsc::UnboundedSender<Probe>,
}

struct CallerState {
    settings: CallerSettings,
    channel: Channel,
    stream: Stream,
}

/// `ServerReflectionRequest{list_services: "*"}`: field 7, one character.
const LIST_SERVICES: &[u8] = &[0x3a, 1, b'*'];
const REFLECTION: &str = "grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

impl Prober {
    /// Begins to probe. Called inside the scenario's runtime.
    ///
    /// # Panics
    /// Never; the rate is held within its bounds.
    pub fn start(
        label: impl Into<String>,
        density: Density,
        dial: Arc<dyn Dial>,
        callers: Vec<CallerSettings>,
    ) -> Self {
        let rate_per_second = density.rate_per_second.clamp(1, RATE_PER_SECOND_MAX);
        let (done_sender, done) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            density: Density { rate_per_second, ..density },
            dial,
            callers: callers
                .into_iter()
                .map(|settings| CallerState {
                    settings,
                    channel: Channel::default(),
                    stream: Stream::default(),
                })
                .collect(),
            origin: Instant::now(),
            label: label.into(),
            stopping: AtomicBool::new(false),
            lag_us_max: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            seen: Mutex::default(),
            done: done_sender,
        });
        let schedule = tokio::spawn(shared.clone().send_on_schedule());
        Self { shared, schedule, done, straddling: Mutex::new(0) }
    }

    /// How densely it probes.
    pub fn density(&self) -> Density {
        self.shared.density
    }

    /// How long it has run.
    pub fn elapsed_us(&self) -> u64 {
        micros(self.shared.origin.elapsed())
    }

    /// What a caller presents, if it is one of the run's.
    pub fn wardrobe(&self, actor: &str) -> Option<Wardrobe> {
        let caller = self.shared.callers.iter().find(|caller| caller.settings.actor == actor)?;
        Some(caller.settings.wardrobe.clone())
    }

    /// Callers with the principals that the server has to see in them.
    pub fn callers(&self) -> Vec<(String, String)> {
        let of = |caller: &CallerState| {
            (caller.settings.actor.clone(), caller.settings.principal.clone())
        };
        self.shared.callers.iter().map(of).collect()
    }

    /// The methods of its single calls, each once.
    pub fn methods(&self) -> std::collections::BTreeSet<String> {
        self.shared.callers.iter().map(|caller| caller.settings.call.0.clone()).collect()
    }

    /// The methods of its straddling calls, each once.
    pub fn straddling_methods(&self) -> std::collections::BTreeSet<String> {
        self.shared.callers.iter().map(|caller| caller.settings.straddling.0.clone()).collect()
    }

    /// How each caller was answered last on a connection of its own, by its name; who was not
    /// answered since it began to probe, since what it presents or trusts was changed, since it last
    /// failed, or since [`Self::forget_sightings`], is missing.
    pub fn sightings(&self) -> BTreeMap<String, Sighting> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets who was seen so far.
    pub fn forget_sightings(&self) {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Forgets how this caller was answered: with what it has now it was not.
    pub fn forget_sighting(&self, actor: &str) {
        self.shared.forget(actor);
    }

    /// A caller starts again: its kept connections are closed, the next calls open new ones.
    pub async fn restart(&self, actor: &str) {
        for caller in self.shared.callers.iter().filter(|c| c.settings.actor == actor) {
            caller.channel.close().await;
            caller.stream.close().await;
        }
    }

    /// Begins one call for each caller that may take `hold` longer than any other; the scenario has
    /// put a delay on it.
    pub fn straddle(&self, hold: Duration) {
        let mut count = self.straddling.lock().unwrap_or_else(PoisonError::into_inner);
        for index in 0..self.shared.callers.len() {
            let shared = self.shared.clone();
            let number = *count;
            *count += 1;
            let begun = self.shared.elapsed_us();
            tokio::spawn(async move {
                let probe = shared.straddling_call(index, number, (begun, hold)).await;
                let _ = shared.done.send(probe);
            });
        }
    }

    /// Ends the schedule at once, as a fault of the harness would; what is in flight goes on.
    pub fn break_off(&self) {
        self.schedule.abort();
    }

    /// Stops, and waits for what is still in flight: no longer than a probe may take.
    pub async fn stop(mut self) -> Stopped {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let _ = (&mut self.schedule).await;
        let scheduled = self.shared.begun.load(Ordering::SeqCst);
        let straddling = *self.straddling.lock().unwrap_or_else(PoisonError::into_inner);
        let mut probes = Vec::new();
        while (probes.len() as u64) < scheduled + straddling {
            match self.done.recv().await {
                Some(probe) => probes.push(probe),
                None => break,
            }
        }
        probes.sort_by_key(|probe| (probe.lane == Lane::StraddlingCall, probe.n));
        Stopped { probes, lag_us_max: self.shared.lag_us_max.load(Ordering::SeqCst) }
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.schedule.abort();
    }
}

impl CallerState {
    /// What a call on this lane would be made with now.
    fn facts(&self, lane: Lane) -> LineFacts {
        let kept = match lane {
            Lane::ReusedChannel => self.channel.facts(),
            _ => None,
        };
        kept.unwrap_or_else(|| self.settings.wardrobe.facts())
    }
}

impl Shared {
    async fn send_on_schedule(self: Arc<Self>) {
        let mut n = 0;
        loop {
            let due = self.origin + Duration::from_micros(self.density.due_us(n));
            tokio::time::sleep_until(due).await;
            if self.stopping.load(Ordering::SeqCst) {
                return;
            }
            self.begun.fetch_add(1, Ordering::SeqCst);
            let shared = self.clone();
            tokio::spawn(async move {
                let probe = shared.probe(n, due).await;
                let _ = shared.done.send(probe);
            });
            n += 1;
        }
    }

    async fn probe(&self, n: u64, due: Instant) -> Probe {
        let lag = micros(due.elapsed());
        self.lag_us_max.fetch_max(lag, Ordering::SeqCst);
        let (lane, index) = self.density.slot(n, self.callers.len());
        let caller = &self.callers[index];
        let intended_us = self.density.due_us(n);
        let request_id = format!("{}-{n}", self.label);
        let mut probe = Probe::due(n, lane, &caller.settings.actor, request_id, intended_us);
        probe.ended_us += lag;
        if lag > micros(LATE_MAX) {
            return probe;
        }
        probe.sent_us = Some(probe.ended_us);
        probe.answer = Answer::Broken(Cause::Timeout);
        let deadline = deadline(due);
        let wardrobe = &caller.settings.wardrobe;
        let dial = self.dial.as_ref();
        // Of one that is still on its way at its deadline nothing else is known.
        note(&mut probe, Some(caller.facts(lane)));
        if lane == Lane::ServerStream {
            let request = self.request(caller, (REFLECTION, &[]), &probe.request_id);
            let asked = caller.stream.ask(dial, wardrobe, &request, LIST_SERVICES);
            if let Ok(asked) = tokio::time::timeout_at(deadline, asked).await {
                probe.answer = asked.answer;
                probe.reopened = asked.reopened;
                // The server knows the stream, not its single requests.
                probe.request_id = asked.request_id.unwrap_or(probe.request_id);
                note(&mut probe, asked.facts);
            }
        } else {
            let (method, message) = &caller.settings.call;
            let request = self.request(caller, (method, message), &probe.request_id);
            let call = async {
                if lane == Lane::ReusedChannel {
                    return caller.channel.call(dial, wardrobe, &request).await;
                }
                match open(dial, wardrobe).await {
                    Ok(line) => {
                        let outcome = line.caller().call(&request).await;
                        (outcome, Some(line.facts.clone()), false)
                    }
                    Err(no) => (Outcome::Broken(no.error), Some(no.facts), false),
                }
            };
            if let Ok((outcome, facts, reopened)) = tokio::time::timeout_at(deadline, call).await {
                probe.answer = answer(message, &outcome);
                probe.reopened = reopened;
                note(&mut probe, facts.clone());
                if lane == Lane::NewConnection && probe.answer == Answer::Expected {
                    self.see(&probe.caller, facts.as_ref());
                }
            }
            if lane == Lane::NewConnection && probe.answer != Answer::Expected {
                self.forget(&probe.caller);
            }
        }
        probe.ended_us = self.elapsed_us();
        probe
    }

    async fn straddling_call(
        &self,
        index: usize,
        number: u64,
        (begun, hold): (u64, Duration),
    ) -> Probe {
        let caller = &self.callers[index];
        let request_id = format!("{}-straddling-{number}", self.label);
        let (method, message) = &caller.settings.straddling;
        let mut request = self.request(caller, (method, message), &request_id);
        request.patience = super::PATIENCE + hold;
        let (outcome, facts, reopened) =
            caller.channel.call(self.dial.as_ref(), &caller.settings.wardrobe, &request).await;
        let lane = Lane::StraddlingCall;
        let mut probe = Probe {
            sent_us: Some(begun),
            ended_us: self.elapsed_us(),
            reopened,
            answer: answer(message, &outcome),
            ..Probe::due(number, lane, &caller.settings.actor, request_id, begun)
        };
        note(&mut probe, facts);
        probe
    }

    fn request(&self, caller: &CallerState, call: (&str, &[u8]), request_id: &str) -> Request {
        let (method, message) = call;
        let mut metadata = caller.settings.metadata.clone();
        metadata.push(("x-request-id".to_owned(), request_id.to_owned()));
        let messages = if message.is_empty() { Vec::new() } else { vec![message.to_vec()] };
        Request { method: method.to_owned(), metadata, messages, patience: super::PATIENCE }
    }

    fn see(&self, caller: &str, facts: Option<&LineFacts>) {
        let Some(facts) = facts else { return };
        let sighting = Sighting {
            trust: facts.trust.to_vec(),
            client: facts.client.skid.clone(),
            server: facts.answering.as_ref().map(|who| who.skid.clone()).unwrap_or_default(),
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(caller.to_owned(), sighting);
    }

    fn forget(&self, caller: &str) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(caller);
    }

    fn elapsed_us(&self) -> u64 {
        micros(self.origin.elapsed())
    }
}

fn note(probe: &mut Probe, facts: Option<LineFacts>) {
    if let Some(facts) = facts {
        probe.credential = facts.credential;
        probe.client = facts.client;
        probe.answering = facts.answering;
        probe.local = facts.local;
        probe.earlier_locals = facts.earlier;
    }
}

/// What an outcome is to a request: a resource of another name is no answer to a request for one.
fn answer(request: &[u8], outcome: &Outcome) -> Answer {
    match outcome {
        Outcome::Answered { status, messages } if status.code == "OK" => {
            if is_answer_of(request, messages) {
                Answer::Expected
            } else {
                Answer::Broken(Cause::UnexpectedState)
            }
        }
        Outcome::Answered { status, .. } => Answer::Status(status.code),
        Outcome::Broken(TransportError::Timeout) => Answer::Broken(Cause::Timeout),
        Outcome::Broken(error) => Answer::Broken(error.cause()),
    }
}

/// Requests of probes are Gets, which begin with the name of what they want, as the answer does with
/// its own; or a List of everything, which names nothing.
fn is_answer_of(request: &[u8], messages: &[Vec<u8>]) -> bool {
    #[derive(prost::Message)]
    struct Named {
        #[prost(string, tag = "1")]
        name: String,
    }
    let [message] = messages else { return false };
    match Named::decode(request) {
        Ok(wanted) if wanted.name.is_empty() => true,
        Ok(wanted) => Named::decode(message.as_slice()).is_ok_and(|got| got.name == wanted.name),
        Err(_) => false,
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kingdom_proto::v2alpha as pb;

    fn certificate(name: &str) -> Vec<u8> {
        pb::Certificate { name: name.to_owned(), x509_der: vec![1, 2], ..Default::default() }
            .encode_to_vec()
    }

    #[test]
    fn another_resource_is_no_answer_to_a_request_for_one() {
        let request = pb::GetCertificateRequest { name: "a/certificates/b".to_owned() };
        let is_answer = |messages: &[Vec<u8>]| is_answer_of(&request.encode_to_vec(), messages);
        assert!(is_answer(&[certificate("a/certificates/b")]));
        assert!(!is_answer(&[certificate("a/certificates/c")]));
        assert!(!is_answer(&[Vec::new()]));
        assert!(!is_answer(&[]));
    }

    #[test]
    fn a_list_is_an_answer_to_a_request_for_everything() {
        let answer = pb::ListModelProvidersResponse {
            model_providers: vec![pb::ModelProvider::default()],
            ..Default::default()
        };
        assert!(is_answer_of(&[], &[answer.encode_to_vec()]));
        assert!(!is_answer_of(&[], &[]));
    }

    /// interfaces.md section 4: not handed to the transport within 250 ms of its intended time.
    #[test]
    fn a_probe_is_dropped_that_is_more_than_250_ms_late() {
        assert_eq!(LATE_MAX, Duration::from_millis(250));
    }
}
