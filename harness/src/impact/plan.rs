//! What to do about what is affected, in order: who does what to which resource, and why.

use super::facts::{Facts, MeasurementFacts, OwnerKind, Subject};
use super::{Affected, How, Kind, When, is_in_force};
use kingdom_proto::internal as pb;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Action {
    /// Its place, from 1.
    pub n: usize,
    /// What.
    pub action: ActionKind,
    /// Who: a resource name, or `operator`.
    pub who: String,
    /// To which resource.
    pub subject: String,
    /// Why, with the contract's clause.
    pub why: &'static str,
    /// The etag of what is to be deleted, as it was read; `None` if it changes before that.
    pub etag: Option<String>,
}

/// Kinds of actions, in the order in which they are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// Register a certificate with a fresh key.
    CreateCertificate,
    /// Sign the public key in force with the new certificate (UpdatePublicKey).
    ReSignPublicKey,
    /// Put a fresh encryption key in force (UpdatePublicKey).
    ReplacePublicKey,
    /// Revoke the certificate.
    RevokeCertificate,
    /// Encrypt an event group's metadata to the key in force (UpdateEventGroup).
    ReEncrypt,
    /// Create a measurement anew: specs are immutable (8.2.3).
    ReCreate,
    /// Cancel a measurement.
    Cancel,
    /// Delete a measurement through the operator, with its etag (1.8.2).
    Delete,
}

impl ActionKind {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::CreateCertificate => "create_certificate",
            Self::ReSignPublicKey => "re_sign_public_key",
            Self::ReplacePublicKey => "replace_public_key",
            Self::RevokeCertificate => "revoke_certificate",
            Self::ReEncrypt => "re_encrypt",
            Self::ReCreate => "re_create",
            Self::Cancel => "cancel",
            Self::Delete => "delete",
        }
    }
}

/// Who deletes.
pub const OPERATOR: &str = "operator";

/// What is to be done. What needs nothing is history.
pub fn plan(facts: &Facts, affected: &[Affected]) -> Vec<Action> {
    let mut todo = Todo { facts, replaced: replaced(facts), actions: BTreeMap::new() };
    match &facts.subject {
        Subject::Certificate(name) => todo.certificate(name, affected),
        Subject::PublicKey(name) => todo.key(name, affected),
    }
    let actions = todo.actions.into_values();
    actions.enumerate().map(|(n, action)| Action { n: n + 1, ..action }).collect()
}

struct Todo<'a> {
    facts: &'a Facts,
    replaced: BTreeSet<String>,
    actions: BTreeMap<(ActionKind, String), Action>,
}

impl Todo<'_> {
    fn add(&mut self, action: ActionKind, who: &str, subject: &str, why: &'static str) {
        let one = Action {
            n: 0,
            action,
            who: who.to_owned(),
            subject: subject.to_owned(),
            why,
            etag: None,
        };
        self.actions.insert((action, subject.to_owned()), one);
    }

    fn certificate(&mut self, name: &str, affected: &[Affected]) {
        let owner = self.facts.subject.owner();
        let state = self.facts.certificate.as_ref().map(|row| row.state);
        let is_revoked = state == Some(pb::certificate::RevocationState::Revoked);
        let signs_key = self.facts.public_key.as_ref().filter(|row| row.certificate == name);
        if !is_revoked || signs_key.is_some() {
            self.add(
                ActionKind::CreateCertificate,
                owner,
                owner,
                "with a fresh key: the Kingdom takes a subject key identifier once for ever (1.1.8)",
            );
        }
        if let Some(key) = signs_key {
            let is_valid = state == Some(pb::certificate::RevocationState::Unspecified);
            let why = match self.facts.subject.owner_kind() {
                // The Kingdom looks at no consumer's key when it creates a measurement.
                OwnerKind::MeasurementConsumer => {
                    "until then nothing but the stolen certificate vouches for it; no measurement fails for that (1.6.2), and no data provider reads the certificate's state (3.15.3)"
                }
                _ if is_valid => {
                    "before the old certificate is revoked, or every CreateMeasurement that names this owner fails (1.6.5)"
                }
                // On hold it is as invalid as revoked (1.6.1).
                _ => {
                    "at once: until then every CreateMeasurement that names this owner fails (1.6.5)"
                }
            };
            self.add(ActionKind::ReSignPublicKey, owner, &key.name, why);
        }
        if !is_revoked {
            self.add(
                ActionKind::RevokeCertificate,
                owner,
                name,
                "REVOKED, not HOLD; it fails open measurements (1.6.3), and leaves TLS as it is (1.6.2)",
            );
        }
        for (row, ways) in measurements(self.facts, affected) {
            let is_suspect = ways.iter().any(|one| {
                matches!(one.how, How::ResultSignedBy | How::SignedBy) && one.when != When::Before
            });
            let failed_by_revocation = row.state == pb::measurement::State::Failed
                && row.failure == Some(pb::measurement_failure::Reason::CertificateRevoked);
            if row.is_pending() {
                self.re_create(
                    row,
                    "specs are immutable: what goes on needs a new measurement (8.2.3)",
                );
                if is_revoked || !cascade_fails(self.facts, row) {
                    self.add(
                        ActionKind::Cancel,
                        &row.consumer,
                        &row.name,
                        "the revocation does not fail it: it could still succeed (1.6.3)",
                    );
                }
            } else if failed_by_revocation {
                self.re_create(
                    row,
                    "the revocation failed it, and a release restores nothing (1.1.14)",
                );
            } else if row.state == pb::measurement::State::Succeeded && is_suspect {
                let (re_create, delete) = match self.facts.subject.owner_kind() {
                    OwnerKind::MeasurementConsumer => (
                        "if the consumer knows it as its own: whoever has the key can have signed it (3.7.2)",
                        "it may be a stranger's question, with the answers to it; keep what is needed first, there is no way back (1.8.2)",
                    ),
                    _ => (
                        "whoever has the key can have signed its result (3.9)",
                        "nothing in the Kingdom marks its result as untrusted, and readers that read no revocation state take it (8.1.5); there is no way back (1.8.2)",
                    ),
                };
                self.re_create(row, re_create);
                self.delete(row, delete);
            }
        }
    }

    fn key(&mut self, name: &str, affected: &[Affected]) {
        let owner = self.facts.subject.owner();
        if is_in_force(self.facts) {
            self.add(
                ActionKind::ReplacePublicKey,
                owner,
                name,
                "until then others go on encrypting to the stolen key (1.2.4)",
            );
        }
        for group in affected.iter().filter(|one| one.kind == Kind::EventGroup) {
            let provider = group.name.split("/eventGroups/").next().unwrap_or_default();
            self.add(
                ActionKind::ReEncrypt,
                provider,
                &group.name,
                "nothing but UpdateEventGroup by its provider replaces it, and nobody is told (1.4.3, 8.1.7)",
            );
        }
        let results: BTreeSet<_> = affected
            .iter()
            .filter(|one| one.kind == Kind::Result)
            .filter_map(|one| one.measurement.as_deref())
            .collect();
        let of_provider = self.facts.subject.owner_kind() == OwnerKind::DataProvider;
        for (row, _) in measurements(self.facts, affected) {
            if row.is_pending() {
                self.re_create(row, "specs are immutable: they name the old key for ever (8.2.3)");
                self.add(
                    ActionKind::Cancel,
                    &row.consumer,
                    &row.name,
                    "what it still brings would be readable with the stolen key (8.2.3)",
                );
            }
            // A provider's key opens the RequisitionSpec of every measurement, a consumer's key
            // what has come as a result.
            if of_provider || results.contains(row.name.as_str()) {
                self.delete(
                    row,
                    "its ciphertexts stay readable with the stolen key; keep what is needed first, there is no way back (1.8.2)",
                );
            }
        }
    }

    fn re_create(&mut self, row: &MeasurementFacts, why: &'static str) {
        if !self.replaced.contains(&row.name) {
            self.add(ActionKind::ReCreate, &row.consumer, &row.name, why);
        }
    }

    fn delete(&mut self, row: &MeasurementFacts, why: &'static str) {
        self.add(ActionKind::Delete, OPERATOR, &row.name, why);
        if let Some(action) = self.actions.get_mut(&(ActionKind::Delete, row.name.clone())) {
            // A cancellation gives it a new one.
            action.etag = (!row.is_pending()).then(|| row.etag.clone());
        }
    }
}

/// The affected measurements, each with its ways.
fn measurements<'f, 'a>(
    facts: &'f Facts,
    affected: &'a [Affected],
) -> Vec<(&'f MeasurementFacts, Vec<&'a Affected>)> {
    let mut by_name: BTreeMap<&str, Vec<&Affected>> = BTreeMap::new();
    for one in affected.iter().filter(|one| one.kind == Kind::Measurement) {
        by_name.entry(one.name.as_str()).or_default().push(one);
    }
    let rows = facts.measurements.iter();
    rows.filter_map(|row| Some((row, by_name.remove(row.name.as_str())?))).collect()
}

/// Whether revoking the certificate now fails a pending measurement (1.6.3).
fn cascade_fails(facts: &Facts, row: &MeasurementFacts) -> bool {
    let certificate = facts.subject.name();
    match facts.subject.owner_kind() {
        OwnerKind::MeasurementConsumer => row.certificate == certificate,
        OwnerKind::DataProvider => row.requisitions.iter().any(|one| {
            one.certificate == certificate
                && matches!(
                    one.state,
                    pb::requisition::State::PendingParams | pb::requisition::State::Unfulfilled
                )
        }),
        OwnerKind::Duchy => row.participants.iter().any(|one| {
            one.certificate == certificate
                && one.state == pb::computation_participant::State::RequisitionParamsSet
        }),
        OwnerKind::ModelProvider => false,
    }
}

/// The measurements that somebody has created anew: another one of the same consumer carries the
/// *name* as its reference id, and is neither failed nor cancelled, or replaced in its turn. A common
/// reference id alone would say nothing: it need not be unique (1.5.6).
fn replaced(facts: &Facts) -> BTreeSet<String> {
    use pb::measurement::State;
    let mut rows: Vec<_> = facts.measurements.iter().collect();
    // A name is known only after its creation, so whoever carries one is the younger.
    rows.sort_by_key(|row| std::cmp::Reverse(row.create_time));
    let mut replaced: BTreeSet<String> = BTreeSet::new();
    for row in rows {
        let lives = !matches!(row.state, State::Failed | State::Cancelled);
        let of_consumer = row.reference_id.starts_with(&format!("{}/measurements/", row.consumer));
        if of_consumer && (lives || replaced.contains(&row.name)) {
            replaced.insert(row.reference_id.clone());
        }
    }
    replaced
}
