//! What each running server has read of what is in place.

use super::World;
use crate::environment::Environment;
use crate::observation::{Fact, Observation, Reading, ServerEvent};
use crate::verdict::reading::is_the_kingdoms;
use fake_kingdom::event::Process;
use fake_kingdom::files::{Contents, Files, MemoryFiles, Role};
use fake_kingdom::model::Timestamp;
use fake_kingdom::quirk::Quirks;
use std::sync::Arc;

/// What a server says that it has in force.
struct InForce {
    leaf_skid: Option<String>,
    trust: Vec<String>,
    principals: Vec<(String, String)>,
    client_auth: Option<&'static str>,
}

impl InForce {
    /// What a server that starts now would have in force.
    fn of(contents: &Contents, client_auth: Option<&'static str>) -> Self {
        let leaf = halo_pki::inspect(&contents.certificate_der).ok();
        let principals = contents.lookup.entries();
        Self {
            leaf_skid: leaf.and_then(|leaf| leaf.skid).map(hex::encode),
            trust: contents.trust.iter().map(|entry| hex::encode(&entry.skid)).collect(),
            principals: principals.map(|(akid, of)| (hex::encode(akid), of)).collect(),
            client_auth,
        }
    }

    /// What a server with this in force has read of what is in place; `None` there: nothing could start with
    /// it.
    fn reading(&self, process: Process, in_place: Option<&Self>, read: &Read) -> Reading {
        let unread = match in_place {
            Some(in_place) => self.unread(in_place),
            None if read.refused => Vec::new(),
            None => vec!["its files, with which it would not start".to_owned()],
        };
        let refused = in_place.is_none() && read.refused;
        Reading { process, since: read.since, unread, refused }
    }

    /// In what this differs from what is in place, in words.
    fn unread(&self, in_place: &Self) -> Vec<String> {
        [
            (self.leaf_skid != in_place.leaf_skid, "its TLS leaf"),
            (self.trust != in_place.trust, "its trust bundle"),
            (self.principals != in_place.principals, "its principal map"),
            (self.client_auth != in_place.client_auth, "whether to ask for client certificates"),
        ]
        .into_iter()
        .filter(|(differs, _)| *differs)
        .map(|(_, what)| what.to_owned())
        .collect()
    }
}

impl World {
    /// Notes what every running server has read, if a Kingdom runs.
    pub fn note_readings(&mut self) {
        let readings = match self.running() {
            Ok(environment) => readings(environment, &self.setup.quirks, self.log.all()),
            Err(_) => return,
        };
        for reading in readings {
            self.record(Fact::Reading(reading));
        }
    }
}

fn readings(environment: &dyn Environment, quirks: &Quirks, log: &[Observation]) -> Vec<Reading> {
    // The log keeps the newest events only; what is gone was read long ago.
    let events = environment.events(0).unwrap_or_default();
    let mut all = Vec::new();
    let file = |role| environment.file(role);
    let in_place = contents(file, |files| Contents::read(files, quirks));
    let client_auth = Some(environment.client_auth().name());
    let in_place = in_place.map(|contents| InForce::of(&contents, client_auth));
    let placed = last_placed(log, is_the_kingdoms);
    for replica in environment.replica_statuses() {
        if replica.state != "running" {
            continue;
        }
        let in_force = InForce {
            leaf_skid: replica.server.and_then(|server| server.skid),
            trust: replica.trust,
            principals: replica.principals,
            client_auth: replica.client_auth,
        };
        let read = reads(&events, placed, |event| event.replica == Some(replica.id));
        all.push(in_force.reading(Process::Replica(replica.id), in_place.as_ref(), &read));
    }
    for duchy in environment.duchy_statuses() {
        if duchy.state != "running" {
            continue;
        }
        let file = |role| environment.duchy_file(&duchy.id, role);
        let in_place = contents(file, Contents::read_of_duchy);
        let in_place = in_place.map(|contents| InForce::of(&contents, None));
        let in_force = InForce {
            leaf_skid: duchy.server.and_then(|server| server.skid),
            trust: duchy.trust,
            principals: duchy.principals,
            client_auth: None,
        };
        let own = format!("{}'s ", duchy.id);
        let placed = last_placed(log, |what| what.starts_with(&own));
        let read = reads(&events, placed, |event| event.duchy.as_ref() == Some(&duchy.id));
        let process = Process::Duchy(duchy.id.as_str().into());
        all.push(in_force.reading(process, in_place.as_ref(), &read));
    }
    all
}

/// When something of a server was put in place last.
fn last_placed(log: &[Observation], is_own: impl Fn(&str) -> bool) -> Option<Timestamp> {
    log.iter().rev().find_map(|observation| match &observation.fact {
        Fact::Placed { what } if is_own(what) => Some(observation.time),
        _ => None,
    })
}

/// What a server would make of the files; `None` if it would not start with them.
fn contents<E>(
    file: impl Fn(Role) -> Option<Vec<u8>>,
    read: impl FnOnce(&Files) -> Result<Arc<Contents>, E>,
) -> Option<Arc<Contents>> {
    let files = MemoryFiles::default();
    for role in Role::ALL {
        if let Some(content) = file(role) {
            files.set(role, content);
        }
    }
    read(&Files::Memory(files)).ok()
}

/// A server's looks at its files.
#[derive(Default)]
struct Read {
    /// When it first took what was put in place last.
    since: Option<Timestamp>,
    /// Whether it could not use them the last time.
    refused: bool,
}

/// What a server made of its files: a refused one goes on as before, and looks again and again.
fn reads(
    events: &[ServerEvent],
    placed: Option<Timestamp>,
    is_own: impl Fn(&ServerEvent) -> bool,
) -> Read {
    let mut read = Read::default();
    for event in events.iter().filter(|event| is_own(event)) {
        match (event.kind.as_str(), event.outcome.as_str()) {
            ("replica", "started") | ("reload", "ok") => {
                let at = Timestamp::parse_rfc3339(&event.time);
                let of_it = at.filter(|at| placed.is_some_and(|placed| *at >= placed));
                read = Read { since: read.since.or(of_it), refused: false };
            }
            ("replica", "start_refused") | ("reload", _) => read.refused = true,
            _ => {}
        }
    }
    read
}
