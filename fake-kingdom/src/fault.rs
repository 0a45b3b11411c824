//! Fault rules: ordered, targeted, counted (interfaces.md section 3). Pure.

use crate::event::Process;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One rule. The first rule that matches a call and is not used up decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// Which calls.
    #[serde(default)]
    pub target: Target,
    /// What happens to them.
    pub action: Action,
    /// How many calls; without it, all.
    #[serde(default)]
    pub count: Option<u64>,
    /// How many matching calls pass first.
    #[serde(default)]
    pub skip: u64,
}

/// Which calls a rule matches; what is absent matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Full method with slash, `package.Service/Method`, `Service/Method` or `Method`.
    #[serde(default)]
    pub method: Option<String>,
    /// Resource name of the principal.
    #[serde(default)]
    pub principal: Option<String>,
    /// Number of the replica.
    #[serde(default)]
    pub replica: Option<u32>,
    /// Id of the Duchy whose server it is.
    #[serde(default)]
    pub duchy: Option<String>,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Answers with this status, by its gRPC name.
    Status(StatusName),
    /// Holds the call for so many milliseconds, then lets it pass.
    DelayMs(u64),
    /// Breaks the connection.
    Cut(CutPoint),
}

/// When a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CutPoint {
    /// Before the Kingdom has seen the call.
    Before,
    /// After the Kingdom has done it, before the answer leaves.
    After,
}

/// A gRPC status by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the names of gRPC")]
pub enum StatusName {
    Cancelled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated,
}

/// A rule with its number and how often it fired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NumberedRule {
    /// Number, from 1; never used again.
    pub id: u64,
    /// How many calls it acted on.
    pub fired: u64,
    /// How many calls it matched, those it let pass included.
    pub matched: u64,
    /// The rule.
    #[serde(flatten)]
    pub rule: FaultRule,
}

/// The rules in force, in the order in which they were added.
#[derive(Debug, Default)]
pub struct Faults {
    rules: BTreeMap<u64, NumberedRule>,
    last_id: u64,
}

impl Faults {
    /// Adds a rule behind all others; answers its number.
    pub fn add(&mut self, rule: FaultRule) -> u64 {
        self.last_id += 1;
        self.rules
            .insert(self.last_id, NumberedRule { id: self.last_id, fired: 0, matched: 0, rule });
        self.last_id
    }

    /// Removes a rule; answers it as it stood.
    pub fn remove(&mut self, id: u64) -> Option<NumberedRule> {
        self.rules.remove(&id)
    }

    /// All rules, in order.
    pub fn list(&self) -> Vec<NumberedRule> {
        self.rules.values().cloned().collect()
    }

    /// Whether there is any rule at all.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What happens to this call: the first rule that matches and is not used up.
    pub fn strike(
        &mut self,
        method: &str,
        principal: Option<&str>,
        process: &Process,
    ) -> Option<(u64, Action)> {
        for rule in self.rules.values_mut() {
            let used_up = rule.rule.count.is_some_and(|count| rule.fired >= count);
            if used_up || !rule.rule.target.matches(method, principal, process) {
                continue;
            }
            rule.matched += 1;
            if rule.matched > rule.rule.skip {
                rule.fired += 1;
                return Some((rule.id, rule.rule.action.clone()));
            }
        }
        None
    }
}

impl Target {
    fn matches(&self, method: &str, principal: Option<&str>, process: &Process) -> bool {
        let method_matches = self.method.as_ref().is_none_or(|wanted| {
            let (wanted, method) = (wanted.trim_start_matches('/'), method.trim_start_matches('/'));
            method
                .strip_suffix(wanted)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with(['.', '/']))
        });
        method_matches
            && self.principal.as_deref().is_none_or(|wanted| principal == Some(wanted))
            && self.replica.is_none_or(|wanted| process.replica() == Some(wanted))
            && self
                .duchy
                .as_deref()
                .is_none_or(|wanted| process.duchy().is_some_and(|duchy| &**duchy == wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METHOD: &str = "/wfa.measurement.api.v2alpha.Certificates/GetCertificate";

    fn rule(json: &str) -> FaultRule {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_rule_skips_then_fires_count_times_and_reports_it() {
        let mut faults = Faults::default();
        faults.add(rule(r#"{"target":{},"action":{"status":"UNAVAILABLE"},"count":2,"skip":1}"#));
        let struck: Vec<_> =
            (0..5).map(|_| faults.strike(METHOD, None, &Process::Replica(0)).is_some()).collect();
        assert_eq!(struck, [false, true, true, false, false]);
        assert_eq!(faults.list()[0].fired, 2);
    }

    #[test]
    fn a_target_names_a_method_by_any_of_its_suffixes_but_not_by_a_part_of_a_word() {
        for (wanted, hit) in [
            (METHOD, true),
            ("Certificates/GetCertificate", true),
            ("GetCertificate", true),
            ("Certificate", false),
            ("ListCertificates", false),
        ] {
            let mut faults = Faults::default();
            faults.add(rule(&format!(
                r#"{{"target":{{"method":"{wanted}"}},"action":{{"delay_ms":5}}}}"#
            )));
            assert_eq!(
                faults.strike(METHOD, None, &Process::Replica(0)).is_some(),
                hit,
                "{wanted}"
            );
        }
    }

    #[test]
    fn a_rule_for_one_principal_or_replica_leaves_others_alone() {
        let mut faults = Faults::default();
        let target = r#"{"principal":"dataProviders/AAAAAAAAAZQ","replica":1}"#;
        faults.add(rule(&format!(r#"{{"target":{target},"action":{{"cut":"after"}}}}"#)));
        assert!(
            faults
                .strike(METHOD, Some("dataProviders/AAAAAAAAAZQ"), &Process::Replica(0))
                .is_none()
        );
        assert!(faults.strike(METHOD, None, &Process::Replica(1)).is_none());
        let process = Process::Replica(1);
        assert!(faults.strike(METHOD, Some("dataProviders/AAAAAAAAAZQ"), &process).is_some());
    }

    #[test]
    fn a_rule_for_one_duchys_server_leaves_replicas_and_other_duchies_alone() {
        let mut faults = Faults::default();
        faults.add(rule(r#"{"target":{"duchy":"worker1"},"action":{"cut":"after"}}"#));
        assert!(faults.strike(METHOD, None, &Process::Replica(0)).is_none());
        assert!(faults.strike(METHOD, None, &Process::Duchy("worker2".into())).is_none());
        assert!(faults.strike(METHOD, None, &Process::Duchy("worker1".into())).is_some());
    }

    #[test]
    fn an_unknown_field_is_refused() {
        assert!(
            serde_json::from_str::<FaultRule>(r#"{"action":{"delay_ms":1},"cuont":1}"#).is_err()
        );
    }
}
