//! What to do about what is affected, in order: who does what to which resource, and why.

use super::facts::{Facts, MeasurementFacts, OwnerKind, Subject};
use super::{Affected, How, Kind, When, Whose, is_in_force, results, vouched};
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
    /// The reference id of what is to be created anew: the name of the first measurement of the chain, so
    /// that a link of it can be deleted; `None` for other actions.
    pub reference_id: Option<String>,
}

impl Action {
    /// Who has to do what to which resource.
    pub fn in_words(&self) -> String {
        format!("{} has to {} {}", self.who, self.action.name(), self.subject)
    }
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

macro_rules! before {
    () => {
        "before the old certificate is revoked, or every CreateMeasurement that names this owner fails (1.6.5)"
    };
}

macro_rules! at_once {
    () => {
        "at once: until then every CreateMeasurement that names this owner fails (1.6.5)"
    };
}

macro_rules! nothing_else {
    () => {
        "until then nothing but the stolen certificate vouches for it; no measurement fails for that (1.6.2), and no data provider reads the certificate's state (3.15.3)"
    };
}

macro_rules! if_own {
    () => {
        "; only if the key in force is the owner's own: else assess again with --own-key-sha256, and replace it, or its thief is trusted for ever"
    };
}

macro_rules! not_own {
    () => {
        "the key in force is not the owner's own: whoever put it there reads what is encrypted to it, and signed again it would be trusted for ever (1.2.3)"
    };
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
            reference_id: None,
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
        let vouched = vouched(self.facts);
        let is_valid = state == Some(pb::certificate::RevocationState::Unspecified);
        self.vouched_key(&vouched, is_valid);
        if !is_revoked {
            let why = match self.facts.subject.owner_kind() {
                OwnerKind::ModelProvider => {
                    "REVOKED, not HOLD; it fails no measurement (1.6.3), leaves TLS as it is (1.6.2), and no peer of an exchange reads it: give each the root of the new one too (3.13.3, 4.5)"
                }
                _ => {
                    "REVOKED, not HOLD; it fails open measurements (1.6.3), and leaves TLS as it is (1.6.2)"
                }
            };
            self.add(ActionKind::RevokeCertificate, owner, name, why);
        }
        let is_not_own = |key: &String| vouched.get(key) == Some(&Whose::NotOwn);
        self.re_encrypt(is_not_own);
        for (row, ways) in measurements(self.facts, affected) {
            let is_readable = is_encrypted_to(self.facts, row, is_not_own);
            if !is_readable && ways.iter().all(|one| one.how == How::EncryptedTo) {
                // Under the owner's own key: to sign that anew is enough.
                continue;
            }
            if is_readable && self.is_filled(row) {
                self.delete(
                    row,
                    "its ciphertexts are under a key that is not the owner's own; there is no way back (1.8.2)",
                );
            }
            let is_suspect = ways.iter().any(|one| {
                matches!(one.how, How::ResultSignedBy | How::SignedBy) && one.when != When::Before
            });
            let failed_by_revocation =
                row.failure == Some(pb::measurement_failure::Reason::CertificateRevoked);
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
            } else if failed_by_revocation && row.state == pb::measurement::State::Succeeded {
                self.re_create(
                    row,
                    "the revocation failed it, and a late result repairs nothing: whoever looks at the failure beside it rejects it (1.6.7, 1.5.2)",
                );
                self.delete(
                    row,
                    "it is shown as succeeded, and readers that do not look at its failure take the late result (1.6.7); there is no way back (1.8.2)",
                );
            } else if failed_by_revocation && row.state == pb::measurement::State::Failed {
                self.re_create(
                    row,
                    "the revocation failed it, and a release restores nothing (1.1.14)",
                );
            } else if row.state == pb::measurement::State::Succeeded && is_readable {
                self.re_create(
                    row,
                    "whoever put the key there reads it, and perhaps nobody else: specs name the key for ever (8.2.3)",
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
        let stolen = self.facts.key.clone();
        if is_in_force(self.facts) {
            self.add(
                ActionKind::ReplacePublicKey,
                owner,
                name,
                "until then others go on encrypting to the stolen key (1.2.4)",
            );
        }
        self.re_encrypt(|key| stolen.as_ref() == Some(key));
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
            if self.is_filled(row) {
                self.delete(
                    row,
                    "its ciphertexts stay readable with the stolen key; keep what is needed first, there is no way back (1.8.2)",
                );
            }
        }
    }

    /// What becomes of the key in force, if nothing but the compromised certificate vouches for it, or it
    /// is known not to be the owner's.
    fn vouched_key(&mut self, vouched: &BTreeMap<String, Whose>, is_valid: bool) {
        let Some(key) = &self.facts.public_key else { return };
        let owner = self.facts.subject.owner();
        // The Kingdom looks at no consumer's key when it creates a measurement. On hold a certificate is
        // as invalid as revoked (1.6.1).
        let of_consumer = self.facts.subject.owner_kind() == OwnerKind::MeasurementConsumer;
        let is_signed = key.certificate == self.facts.subject.name();
        let (action, why) = match vouched.get(&key.key) {
            None => return,
            Some(Whose::Own) => (
                ActionKind::ReSignPublicKey,
                match (of_consumer, is_valid) {
                    (true, _) => nothing_else!(),
                    (false, true) => before!(),
                    (false, false) => at_once!(),
                },
            ),
            Some(Whose::NotSaid) => (
                ActionKind::ReSignPublicKey,
                match (of_consumer, is_valid) {
                    (true, _) => concat!(nothing_else!(), if_own!()),
                    (false, true) => concat!(before!(), if_own!()),
                    (false, false) => concat!(at_once!(), if_own!()),
                },
            ),
            Some(Whose::NotOwn) => (
                ActionKind::ReplacePublicKey,
                match (of_consumer || !is_signed, is_valid) {
                    (true, _) => not_own!(),
                    (false, true) => concat!(before!(), "; ", not_own!()),
                    (false, false) => concat!(at_once!(), "; ", not_own!()),
                },
            ),
        };
        self.add(action, owner, &key.name, why);
    }

    /// The event groups of the owner under one of these keys.
    fn re_encrypt(&mut self, is_one: impl Fn(&String) -> bool) {
        let owner = self.facts.subject.owner();
        for group in &self.facts.event_groups.seen {
            let is_under = group.key.as_ref().is_some_and(&is_one);
            if !is_under || !group.has_metadata || group.consumer != owner {
                continue;
            }
            let provider = group.name.split("/eventGroups/").next().unwrap_or_default();
            self.add(
                ActionKind::ReEncrypt,
                provider,
                &group.name,
                "nothing but UpdateEventGroup by its provider replaces it, and nobody is told (1.4.3, 8.1.7)",
            );
        }
    }

    /// Whether a measurement holds a ciphertext for the owner's key: a provider's key opens the
    /// RequisitionSpec of every measurement, a consumer's what has come as a result.
    fn is_filled(&self, row: &MeasurementFacts) -> bool {
        self.facts.subject.owner_kind() == OwnerKind::DataProvider || !results(row).is_empty()
    }

    fn re_create(&mut self, row: &MeasurementFacts, why: &'static str) {
        if self.replaced.contains(&row.name) {
            return;
        }
        self.add(ActionKind::ReCreate, &row.consumer, &row.name, why);
        if let Some(action) = self.actions.get_mut(&(ActionKind::ReCreate, row.name.clone())) {
            action.reference_id = Some(first_of(self.facts, row).to_owned());
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

/// Whether its result, or for a provider its RequisitionSpec, is under one of these keys.
fn is_encrypted_to(
    facts: &Facts,
    row: &MeasurementFacts,
    is_one: impl Fn(&String) -> bool,
) -> bool {
    let owner = facts.subject.owner();
    match facts.subject.owner_kind() {
        OwnerKind::MeasurementConsumer => row.result_key.as_ref().is_some_and(is_one),
        OwnerKind::DataProvider => {
            row.requisitions.iter().any(|one| one.data_provider == owner && is_one(&one.key))
        }
        OwnerKind::Duchy | OwnerKind::ModelProvider => false,
    }
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

/// The measurements that somebody has created anew: a younger one of the same consumer carries the
/// *name* of the first of them as its reference id, asks the same of the same data providers, and is
/// neither failed nor cancelled, or replaced in its turn. A common reference id alone would say nothing:
/// it need not be unique (1.5.6).
pub(super) fn replaced(facts: &Facts) -> BTreeSet<String> {
    use pb::measurement::State;
    let mut chains: BTreeMap<&str, Vec<&MeasurementFacts>> = BTreeMap::new();
    for row in &facts.measurements {
        chains.entry(first_of(facts, row)).or_default().push(row);
    }
    let mut replaced: BTreeSet<String> = BTreeSet::new();
    // A late result leaves the failure beside it (1.5.2).
    let lives = |row: &MeasurementFacts| {
        !matches!(row.state, State::Failed | State::Cancelled) && row.failure.is_none()
    };
    for (first, mut chain) in chains {
        // A name is known only after its creation, so whoever carries it is younger than its bearer. Of
        // those of one moment, whichever lives stands for the others.
        chain.sort_by_key(|row| (row.name != first, row.create_time, lives(row)));
        for (n, row) in chain.iter().enumerate().rev() {
            let stands = |other: &&MeasurementFacts| {
                asks_the_same(row, other) && (lives(other) || replaced.contains(&other.name))
            };
            if chain[n + 1..].iter().any(stands) {
                replaced.insert(row.name.clone());
            }
        }
    }
    replaced
}

/// The name of the first measurement of the chain in which this one replaces another; its own, if it
/// replaces none. A link that is deleted is no loss: what came after it carries the first name too.
fn first_of<'a>(facts: &'a Facts, row: &'a MeasurementFacts) -> &'a str {
    let mut at = row;
    // No chain is longer than that: reference ids that run in a circle are nobody's replacement.
    for _ in 0..=facts.measurements.len() {
        if !at.reference_id.starts_with(&format!("{}/measurements/", row.consumer)) {
            return &at.name;
        }
        match facts.measurements.iter().find(|other| other.name == at.reference_id) {
            Some(before) => at = before,
            None => return &at.reference_id,
        }
    }
    &row.name
}

/// Whether two measurements ask the same of the same data providers, as far as the Kingdom shows it:
/// certificates, keys and nonces are others each time, and which events are asked for stands in the
/// RequisitionSpec, which only its data provider opens (3.7.3).
fn asks_the_same(one: &MeasurementFacts, other: &MeasurementFacts) -> bool {
    let providers = |row: &MeasurementFacts| -> BTreeSet<String> {
        row.bound.iter().map(|(provider, _)| provider.clone()).collect()
    };
    one.consumer == other.consumer
        && one.question == other.question
        && providers(one) == providers(other)
}
