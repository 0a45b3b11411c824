//! Open-loop probes: calls that go out on a fixed schedule, whatever became of the ones before, while
//! a procedure changes certificates under them (method.md section 2).
//!
//! What was observed is in [`Run`]; what it means is judged in
//! [`availability`](crate::verdict::availability).

mod channel;
mod engine;
pub mod schedule;

pub use channel::Wardrobe;
pub use engine::{CallerSettings, Prober};
pub use schedule::Density;

use crate::client::Answering;
use crate::observation::ServerEvent;
use fake_kingdom::cause::Cause;
use fake_kingdom::model::Timestamp;
use serde::Serialize;
use std::time::Duration;

/// A probe without the expected answer this long after its intended time has failed.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// A probe that is not handed to the transport within this of its intended time is dropped.
pub const LATE_MAX: Duration = Duration::from_millis(250);

/// One kind of probe connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// A connection of its own for each call.
    NewConnection,
    /// One channel, opened again when the server closes it.
    ReusedChannel,
    /// One request a tick on a stream that is kept open.
    ServerStream,
    /// One call, begun before and ended after the switch.
    StraddlingCall,
}

impl Lane {
    /// Every lane.
    pub const ALL: [Self; 4] =
        [Self::NewConnection, Self::ReusedChannel, Self::ServerStream, Self::StraddlingCall];

    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::NewConnection => "new_connection",
            Self::ReusedChannel => "reused_channel",
            Self::ServerStream => "server_stream",
            Self::StraddlingCall => "straddling_call",
        }
    }
}

/// Which of a caller's credentials a probe used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialAge {
    /// The one of the run's start.
    Old,
    /// Any later one.
    New,
}

/// How a probe ended, as its caller saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The expected answer.
    Expected,
    /// Another status, by gRPC name.
    Status(&'static str),
    /// None: why, as the client's side knows it.
    Broken(Cause),
}

/// What the client's leaf was; lower-case hex, empty where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientLeaf {
    /// Subject key identifier.
    pub skid: String,
    /// Authority key identifier.
    pub akid: String,
}

/// One probe with the evidence of both ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Number in the schedule, from 0; straddling calls stand outside it.
    pub n: u64,
    /// Its lane.
    pub lane: Lane,
    /// Who called.
    pub caller: String,
    /// By which the server's event is joined.
    pub request_id: String,
    /// When it was due, from the run's start.
    pub intended_us: u64,
    /// When it was handed to the transport; `None` if it was dropped.
    pub sent_us: Option<u64>,
    /// When the answer was there.
    pub ended_us: u64,
    /// Which of the caller's credentials its connection used.
    pub credential: CredentialAge,
    /// The client's leaf on its connection.
    pub client: ClientLeaf,
    /// Who answered the handshake of its connection.
    pub answering: Option<Answering>,
    /// This end of its connection, as the server names it.
    pub local: Option<String>,
    /// This end of the connections it was on before, if it went out again.
    pub earlier_locals: Vec<String>,
    /// A GOAWAY or the stream's end made it go out again on another connection.
    pub reopened: bool,
    /// How it ended.
    pub answer: Answer,
    /// What the server recorded of the call, or of its refused handshake.
    pub server: Option<Box<ServerEvent>>,
}

impl Probe {
    /// From when it was due to its end: what was late at the harness or in a queue is in it.
    pub fn latency_us(&self) -> u64 {
        self.ended_us.saturating_sub(self.intended_us)
    }

    /// The subject key identifier of the leaf that the server was shown, lower-case hex, empty for none;
    /// `None` without a record of it. A server that asks for no certificate is shown none, whatever its
    /// caller holds.
    pub fn shown_skid(&self) -> Option<&str> {
        let event = self.server.as_deref()?;
        Some(event.peer.as_ref().and_then(|peer| peer.skid.as_deref()).unwrap_or_default())
    }

    /// Whether the server was shown the leaf that its caller holds.
    pub fn was_shown(&self) -> bool {
        self.shown_skid() == Some(self.client.skid.as_str())
    }
}

impl Probe {
    /// One that is due and was not sent yet.
    pub fn due(n: u64, lane: Lane, caller: &str, request_id: String, intended_us: u64) -> Self {
        Self {
            n,
            lane,
            caller: caller.to_owned(),
            request_id,
            intended_us,
            sent_us: None,
            ended_us: intended_us,
            credential: CredentialAge::Old,
            client: ClientLeaf::default(),
            answering: None,
            local: None,
            earlier_locals: Vec::new(),
            reopened: false,
            answer: Answer::Broken(Cause::ProbeNotSent),
            server: None,
        }
    }
}

/// A stretch of the run in which the harness itself injected an outage, to see whether it would be
/// seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// From when, from the run's start.
    pub from_us: u64,
    /// Until when.
    pub until_us: u64,
    /// How often the injected fault fired.
    pub fired: u64,
}

/// All that a run of probes observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// How densely it probed.
    pub density: Density,
    /// Its callers, and the principal that the server has to see in each.
    pub callers: Vec<(String, String)>,
    /// The environment's clock at the start.
    pub started: Timestamp,
    /// How long it ran, up to the negative control.
    pub length_us: u64,
    /// The longest that the harness was late itself.
    pub lag_us_max: u64,
    /// The negative control.
    pub control: Option<Control>,
    /// All probes by schedule, then the straddling calls.
    pub probes: Vec<Probe>,
}
