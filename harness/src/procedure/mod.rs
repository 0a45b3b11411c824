//! A rotation as ordered phases, each behind a gate, with a way back from every one of them
//! (design.md section 2; method.md section 4, item 10). Pure: times and gates are arguments.
//!
//! What a gate looks at is in [`gate`]; what a phase does is the world's business.

pub mod cutover;
pub mod gate;
pub mod hook;
pub mod orders;
pub mod redaction;
pub mod seen;

pub use gate::Gate;
pub use hook::Hook;

use fake_kingdom::model::Timestamp;
use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// The phases of a rotation, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The new credential is made; nobody uses it.
    Prepare,
    /// Whoever must accept it learns of it.
    Distribute,
    /// It is presented instead of the old one.
    Switch,
    /// Connections that were made with the old one end.
    Drain,
    /// The old one is no longer accepted.
    Retire,
}

impl Phase {
    /// All phases, in their order.
    pub const ALL: [Self; 5] =
        [Self::Prepare, Self::Distribute, Self::Switch, Self::Drain, Self::Retire];

    /// Its name in records, scenarios and hooks.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Distribute => "distribute",
            Self::Switch => "switch",
            Self::Drain => "drain",
            Self::Retire => "retire",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no phase.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no phase; the phases are prepare, distribute, switch, drain, retire")]
pub struct UnknownPhase(String);

impl FromStr for Phase {
    type Err = UnknownPhase;

    fn from_str(text: &str) -> Result<Self, UnknownPhase> {
        let found = Self::ALL.into_iter().find(|phase| phase.name() == text);
        found.ok_or_else(|| UnknownPhase(text.to_owned()))
    }
}

/// Why a phase may not begin, or a procedure may not go back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An earlier phase is missing.
    #[error("{phase} is refused: {missing} is not done")]
    OutOfOrder {
        /// What was asked for.
        phase: Phase,
        /// The first phase that is missing before it.
        missing: Phase,
    },
    /// It was done already.
    #[error("{0} is refused: it is done already")]
    DoneAlready(Phase),
    /// Another one has begun and not ended.
    #[error("{phase} is refused: {running} has begun and is not done")]
    Running {
        /// What was asked for.
        phase: Phase,
        /// What goes on.
        running: Phase,
    },
    /// Its gate is shut.
    #[error("{phase} is refused: {gate}")]
    GateShut {
        /// What was asked for.
        phase: Phase,
        /// What the gate waits for.
        gate: String,
    },
    /// The procedure was aborted; only the way back is left.
    #[error("{0} is refused: the procedure was aborted; roll it back and begin anew")]
    Aborted(Phase),
    /// There is nothing to go back over until the procedure is aborted.
    #[error("the way back is refused: the procedure goes on; abort it first")]
    NotAborted,
}

/// How a phase ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It was done.
    Done,
    /// It broke off in the middle: its action failed, or the procedure was aborted.
    BrokenOff,
    /// It was undone; the record is of the way back.
    RolledBack,
}

/// One phase as the record shows it (interfaces.md section 4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PhaseRecord {
    /// Which.
    pub name: Phase,
    /// When it began.
    #[serde(serialize_with = "as_text")]
    pub start: Timestamp,
    /// When it ended.
    #[serde(serialize_with = "as_text")]
    pub end: Timestamp,
    /// What its gate said when it began.
    pub gate: String,
    /// Whether it began against its gate or out of order, because somebody insisted.
    pub forced: bool,
    /// How it ended.
    pub ending: Ending,
    /// What the user's own command did in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<HookRecord>,
}

/// What a user's own command did for a phase; secrets are blacked out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HookRecord {
    /// The command.
    pub command: String,
    /// Its exit code; `None` if a signal ended it.
    pub exit_code: Option<i32>,
    /// Whether it was ended because it took too long.
    pub timed_out: bool,
    /// What it wrote, standard output before standard error.
    pub output: String,
}

fn as_text<S: serde::Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// Where a phase stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Ahead,
    Running,
    Done,
}

/// A rotation that goes on, goes back, or is over.
#[derive(Clone, Debug)]
pub struct Procedure {
    standing: [Standing; 5],
    aborted: bool,
    begun: Option<(Timestamp, String, bool)>,
}

impl Default for Procedure {
    fn default() -> Self {
        Self::new()
    }
}

impl Procedure {
    /// A procedure none of whose phases has begun.
    pub fn new() -> Self {
        Self { standing: [Standing::Ahead; 5], aborted: false, begun: None }
    }

    /// The phases that are done, in their order.
    pub fn done(&self) -> Vec<Phase> {
        Phase::ALL.into_iter().filter(|&phase| self.stands(phase, Standing::Done)).collect()
    }

    /// The phase that has begun and is not done.
    pub fn running(&self) -> Option<Phase> {
        Phase::ALL.into_iter().find(|&phase| self.stands(phase, Standing::Running))
    }

    /// Whether it was aborted.
    pub fn is_aborted(&self) -> bool {
        self.aborted
    }

    fn stands(&self, phase: Phase, standing: Standing) -> bool {
        self.standing[phase as usize] == standing
    }

    /// Whether a phase may begin now, its gate apart.
    ///
    /// # Errors
    /// Another order is needed first.
    pub fn may_begin(&self, phase: Phase) -> Result<(), Refusal> {
        self.may_begin_at_all(phase)?;
        let missing = Phase::ALL
            .into_iter()
            .find(|&earlier| earlier < phase && !self.stands(earlier, Standing::Done));
        missing.map_or(Ok(()), |missing| Err(Refusal::OutOfOrder { phase, missing }))
    }

    /// What even insisting does not change.
    fn may_begin_at_all(&self, phase: Phase) -> Result<(), Refusal> {
        if self.aborted {
            return Err(Refusal::Aborted(phase));
        }
        if let Some(running) = self.running() {
            return Err(Refusal::Running { phase, running });
        }
        if self.stands(phase, Standing::Done) {
            return Err(Refusal::DoneAlready(phase));
        }
        Ok(())
    }

    /// Begins a phase.
    ///
    /// # Errors
    /// It is not its turn, or its gate is shut.
    pub fn begin(&mut self, phase: Phase, gate: &Gate, at: Timestamp) -> Result<(), Refusal> {
        self.may_begin(phase)?;
        if !gate.is_open() {
            return Err(Refusal::GateShut { phase, gate: gate.to_string() });
        }
        self.set_out(phase, gate.to_string(), false, at);
        Ok(())
    }

    /// Begins a phase whatever its gate says and whatever is missing before it.
    ///
    /// # Errors
    /// It cannot begin at all: it is done, another one runs, or the procedure was aborted.
    pub fn force(&mut self, phase: Phase, gate: &Gate, at: Timestamp) -> Result<(), Refusal> {
        self.may_begin_at_all(phase)?;
        let wrong = match self.may_begin(phase) {
            Err(refusal) => Some(refusal.to_string()),
            Ok(()) if gate.is_open() => None,
            Ok(()) => Some(gate.to_string()),
        };
        let text = match &wrong {
            Some(why) => format!("forced: {why}"),
            None => gate.to_string(),
        };
        self.set_out(phase, text, wrong.is_some(), at);
        Ok(())
    }

    fn set_out(&mut self, phase: Phase, gate: String, forced: bool, at: Timestamp) {
        self.standing[phase as usize] = Standing::Running;
        self.begun = Some((at, gate, forced));
    }

    /// The phase that runs is done; `None` if none runs.
    pub fn finish(&mut self, at: Timestamp) -> Option<PhaseRecord> {
        let phase = self.running()?;
        self.standing[phase as usize] = Standing::Done;
        self.end(phase, Ending::Done, at)
    }

    /// Gives the rotation up: from now on there is only the way back. A phase that runs breaks off,
    /// and has its record.
    pub fn abort(&mut self, at: Timestamp) -> Option<PhaseRecord> {
        self.aborted = true;
        let phase = self.running()?;
        self.end(phase, Ending::BrokenOff, at)
    }

    fn end(&mut self, name: Phase, ending: Ending, end: Timestamp) -> Option<PhaseRecord> {
        let (start, gate, forced) = self.begun.take()?;
        Some(PhaseRecord { name, start, end, gate, forced, ending, hook: None })
    }

    /// The next phase to undo, the last one first: also one that broke off in the middle.
    ///
    /// # Errors
    /// It was not aborted.
    pub fn to_undo(&self) -> Result<Option<Phase>, Refusal> {
        if !self.aborted {
            return Err(Refusal::NotAborted);
        }
        let touched = |phase: &Phase| !self.stands(*phase, Standing::Ahead);
        Ok(Phase::ALL.into_iter().rev().find(touched))
    }

    /// A phase was undone, from `start` to `end`. With the last one the procedure is as new.
    pub fn undone(&mut self, phase: Phase, start: Timestamp, end: Timestamp) -> PhaseRecord {
        self.standing[phase as usize] = Standing::Ahead;
        if self.standing.iter().all(|&standing| standing == Standing::Ahead) {
            self.aborted = false;
        }
        PhaseRecord {
            name: phase,
            start,
            end,
            gate: "the way back has no gate".to_owned(),
            forced: false,
            ending: Ending::RolledBack,
            hook: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn open() -> Gate {
        Gate::of("all is well", Vec::new())
    }

    fn shut() -> Gate {
        Gate::of("all is well", vec!["mc1 lags".to_owned()])
    }

    fn advanced_to(last: Phase) -> Procedure {
        let mut procedure = Procedure::new();
        for phase in Phase::ALL.into_iter().filter(|&phase| phase <= last) {
            procedure.begin(phase, &open(), at(1)).unwrap();
            procedure.finish(at(2)).unwrap();
        }
        procedure
    }

    #[test]
    fn the_phases_follow_each_other_and_each_leaves_one_record() {
        let mut procedure = Procedure::new();
        for phase in Phase::ALL {
            procedure.begin(phase, &open(), at(1)).unwrap();
            let record = procedure.finish(at(2)).unwrap();
            assert_eq!((record.name, record.ending), (phase, Ending::Done));
            assert_eq!((record.start, record.end, record.forced), (at(1), at(2), false));
            assert_eq!(record.gate, "open: all is well");
        }
        assert_eq!(procedure.done(), Phase::ALL);
    }

    #[test]
    fn every_phase_out_of_order_is_refused_and_the_first_missing_one_is_named() {
        for last in Phase::ALL.into_iter().take(4) {
            let mut procedure = advanced_to(last);
            let missing = Phase::ALL[last as usize + 1];
            for phase in Phase::ALL.into_iter().filter(|&phase| phase > missing) {
                let refusal = procedure.begin(phase, &open(), at(3)).unwrap_err();
                assert_eq!(refusal, Refusal::OutOfOrder { phase, missing });
                assert_eq!(
                    refusal.to_string(),
                    format!("{phase} is refused: {missing} is not done")
                );
            }
        }
    }

    #[test]
    fn a_phase_behind_a_shut_gate_is_refused_and_stays_ahead() {
        let mut procedure = advanced_to(Phase::Distribute);
        let refusal = procedure.begin(Phase::Switch, &shut(), at(3)).unwrap_err();
        assert_eq!(refusal.to_string(), "switch is refused: shut: mc1 lags");
        assert_eq!(procedure.done(), [Phase::Prepare, Phase::Distribute]);
        procedure.begin(Phase::Switch, &open(), at(4)).unwrap();
    }

    #[test]
    fn only_insisting_passes_a_shut_gate_or_a_wrong_order_and_the_record_says_so() {
        let mut procedure = advanced_to(Phase::Prepare);
        procedure.force(Phase::Switch, &open(), at(3)).unwrap();
        let record = procedure.finish(at(4)).unwrap();
        assert!(record.forced);
        assert_eq!(record.gate, "forced: switch is refused: distribute is not done");
        let mut procedure = advanced_to(Phase::Distribute);
        procedure.force(Phase::Switch, &shut(), at(3)).unwrap();
        assert!(procedure.finish(at(4)).unwrap().forced);
        let mut procedure = advanced_to(Phase::Distribute);
        procedure.force(Phase::Switch, &open(), at(3)).unwrap();
        assert!(!procedure.finish(at(4)).unwrap().forced, "nothing had to be forced");
    }

    #[test]
    fn a_phase_is_done_once_and_one_at_a_time() {
        let mut procedure = advanced_to(Phase::Prepare);
        let again = procedure.force(Phase::Prepare, &open(), at(3)).unwrap_err();
        assert_eq!(again, Refusal::DoneAlready(Phase::Prepare));
        procedure.begin(Phase::Distribute, &open(), at(3)).unwrap();
        let both = procedure.force(Phase::Switch, &open(), at(3)).unwrap_err();
        let running = Phase::Distribute;
        assert_eq!(both, Refusal::Running { phase: Phase::Switch, running });
    }

    #[test]
    fn from_every_phase_there_is_a_way_back_to_the_beginning() {
        for last in Phase::ALL {
            let mut procedure = advanced_to(last);
            assert_eq!(procedure.to_undo(), Err(Refusal::NotAborted));
            assert_eq!(procedure.abort(at(3)), None);
            for phase in Phase::ALL.into_iter().rev().filter(|&phase| phase <= last) {
                assert_eq!(procedure.begin(phase, &open(), at(4)), Err(Refusal::Aborted(phase)));
                assert_eq!(procedure.to_undo(), Ok(Some(phase)));
                assert_eq!(procedure.undone(phase, at(4), at(5)).ending, Ending::RolledBack);
            }
            assert_eq!(procedure.done(), []);
            procedure.begin(Phase::Prepare, &open(), at(6)).unwrap();
        }
    }

    #[test]
    fn a_phase_that_breaks_off_has_its_record_and_is_undone_too() {
        let mut procedure = advanced_to(Phase::Distribute);
        procedure.begin(Phase::Switch, &open(), at(3)).unwrap();
        let record = procedure.abort(at(4)).unwrap();
        assert_eq!((record.name, record.ending), (Phase::Switch, Ending::BrokenOff));
        assert_eq!(procedure.to_undo(), Ok(Some(Phase::Switch)));
    }
}
