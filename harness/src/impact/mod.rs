//! What a stolen certificate or encryption key has touched, and what to do about it: `halo-harness
//! impact`.
//!
//! One way only: [`read`] fetches [`facts`] from a Kingdom by address and identity; [`assess`] turns
//! facts into an [`Assessment`] without any I/O; [`plan`] says what is left to do; [`text`] shows it
//! to a person. [`repair`] lets reference participants carry the plan out.
//!
//! An empty list is a statement only where somebody could look. What nobody could look at, and what
//! the Kingdom does not record, stands in [`Assessment::not_known`].

pub mod facts;
pub mod plan;
pub mod read;
pub mod repair;
#[cfg(test)]
mod tests;
pub mod text;

use facts::{
    AuditFacts, EventGroupScope, Facts, HistoryEntry, MeasurementFacts, OwnerKind, Protocol,
    RequisitionFacts, Subject,
};
use fake_kingdom::model::Timestamp;
use kingdom_proto::internal as pb;
use plan::Action;
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};

/// State of a key that nothing names.
const UNKNOWN: &str = "UNKNOWN";

/// Version of the JSON form.
pub const SCHEMA: &str = "halo-harness/impact/1";

/// What is affected, what is not known, and what to do next.
#[derive(Clone, Debug, Serialize)]
pub struct Assessment {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// What is compromised.
    pub subject: SubjectState,
    /// The suspected time.
    #[serde(serialize_with = "as_optional_text")]
    pub since: Option<Timestamp>,
    /// When reading began, by the reader's clock.
    #[serde(serialize_with = "as_optional_text")]
    pub read_started: Option<Timestamp>,
    /// When it ended. What changed later is not here.
    #[serde(serialize_with = "as_optional_text")]
    pub read_finished: Option<Timestamp>,
    /// Whether everything that can be looked at was: no entry of `not_known` is
    /// [`GapKind::NotLookedAt`].
    pub complete: bool,
    /// How many of each kind were looked at, and where.
    pub looked_at: Vec<LookedAt>,
    /// Kinds that cannot be affected, and why: their absence from the list says that.
    pub not_concerned: Vec<NotConcerned>,
    /// What is affected, one entry for each way in which it is, by kind, name and way.
    pub affected: Vec<Affected>,
    /// Numbers of it, by kind and way.
    pub totals: Vec<Total>,
    /// What is not known, and why.
    pub not_known: Vec<Gap>,
    /// The audit trail that was given; `None` without one.
    pub trail: Option<Trail>,
    /// What the audit trail says about the certificate and the public key, oldest first.
    pub history: Vec<HistoryEntry>,
    /// What to do, in this order.
    pub plan: Vec<Action>,
}

/// The state of what is compromised.
#[derive(Clone, Debug, Serialize)]
pub struct SubjectState {
    /// `certificate` or `public_key`.
    pub kind: &'static str,
    /// Resource name.
    pub name: String,
    /// Its owner.
    pub owner: String,
    /// A certificate's revocation state; a key's `IN_FORCE`, `REPLACED`, or `UNKNOWN` if nothing that was
    /// read names it.
    pub state: &'static str,
    /// A certificate's subject key identifier.
    pub skid: Option<String>,
    /// A certificate's validity.
    #[serde(serialize_with = "as_optional_text")]
    pub not_before: Option<Timestamp>,
    /// A certificate's validity.
    #[serde(serialize_with = "as_optional_text")]
    pub not_after: Option<Timestamp>,
    /// The compromised key: SHA-256 of its public key set.
    pub key_sha256: Option<String>,
    /// SHA-256 of each public key set that a certificate is known to have vouched for, now or in an
    /// earlier assessment. The Kingdom forgets a key that is replaced (1.2.4), so the next assessment
    /// has to be given them.
    pub vouched_keys: Vec<String>,
}

/// How far an audit trail goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trail {
    /// What it ends with, `COUNT:HASH`.
    pub head: String,
    /// When its last entry was made: it says nothing of later times.
    #[serde(serialize_with = "as_optional_text")]
    pub end: Option<Timestamp>,
    /// Whether what was read shows that the Kingdom went on after that.
    pub is_stale: bool,
}

/// Where the reader looked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LookedAt {
    /// Kind of resource.
    pub kind: Kind,
    /// How many it saw.
    pub count: usize,
    /// Through which call.
    pub source: String,
}

/// A kind that cannot be affected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NotConcerned {
    /// Kind of resource.
    pub kind: Kind,
    /// Why not, with the contract's clause.
    pub why: &'static str,
}

/// Kinds of resources that can be affected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A public key.
    PublicKey,
    /// A measurement.
    Measurement,
    /// A requisition.
    Requisition,
    /// A result. It has no name of its own in the API: a direct one is named by its requisition, a
    /// Duchies' one by its measurement.
    Result,
    /// An event group.
    EventGroup,
}

/// How something is affected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It names the certificate as its signer (3.7.1 to 3.7.3).
    SignedBy,
    /// It is tied to the certificate (1.5.12, 1.7.13), or answers what that certificate signed.
    BoundTo,
    /// It is encrypted to the key, or to a key that the certificate vouches for (3.7.3 to 3.7.6).
    EncryptedTo,
    /// Its result names the certificate as its signer (3.9).
    ResultSignedBy,
    /// It is the compromised key, and in force: others go on encrypting to it.
    InForce,
}

/// Before or after the suspected time, by the Kingdom's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Certainly before.
    Before,
    /// Certainly at or after.
    After,
    /// No suspected time was given, or the Kingdom does not say when this was.
    Unknown,
}

/// One way in which one resource is affected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Affected {
    /// Kind of resource.
    pub kind: Kind,
    /// Resource name; of a result see [`Kind::Result`].
    pub name: String,
    /// How.
    pub how: How,
    /// Its state; of a result SHOWN or STORED (1.5.7).
    pub state: &'static str,
    /// The earliest moment at which this can have happened.
    #[serde(serialize_with = "as_optional_text")]
    pub earliest: Option<Timestamp>,
    /// The latest.
    #[serde(serialize_with = "as_optional_text")]
    pub latest: Option<Timestamp>,
    /// Before or after the suspected time.
    pub when: When,
    /// Of a public key and a measurement `signed_by` the certificate: whether its key made the
    /// signature. The Kingdom verifies none (1.2.3, 1.5.14), so anybody with the owner's access can
    /// name it; peers refuse what does not verify (3.10 row 5).
    pub signature_verifies: Option<bool>,
    /// The measurement that it belongs to, if it belongs to one.
    pub measurement: Option<String>,
    /// Whether the plan has something to do for it; else it is history.
    pub open: bool,
}

/// Numbers of one kind and way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Total {
    /// Kind of resource.
    pub kind: Kind,
    /// How.
    pub how: How,
    /// How many before the suspected time.
    pub before: usize,
    /// How many at or after it.
    pub after: usize,
    /// How many of which that is not known.
    pub unknown: usize,
    /// How many of all these are open.
    pub open: usize,
}

/// Something that the assessment does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Whether somebody could know it.
    pub kind: GapKind,
    /// What.
    pub what: String,
    /// Why not, with the contract's clause.
    pub why: String,
    /// Who can tell, or what to give.
    pub next: String,
}

/// Whether something unknown could be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GapKind {
    /// Another identity or option would show it.
    NotLookedAt,
    /// The Kingdom does not hold it.
    NotRecorded,
}

impl Gap {
    /// What another identity or option would show.
    pub fn not_looked_at(
        what: impl Into<String>,
        why: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self { kind: GapKind::NotLookedAt, what: what.into(), why: why.into(), next: next.into() }
    }

    /// Whether it is settled by trying the key itself on every event group.
    pub fn is_of_keyless_metadata(&self) -> bool {
        self.what.starts_with(WITHOUT_KEY)
    }

    /// What the Kingdom does not hold.
    pub fn not_recorded(
        what: impl Into<String>,
        why: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self { kind: GapKind::NotRecorded, what: what.into(), why: why.into(), next: next.into() }
    }
}

impl Kind {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::PublicKey => "public_key",
            Self::Measurement => "measurement",
            Self::Requisition => "requisition",
            Self::Result => "result",
            Self::EventGroup => "event_group",
        }
    }
}

impl How {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::SignedBy => "signed_by",
            Self::BoundTo => "bound_to",
            Self::EncryptedTo => "encrypted_to",
            Self::ResultSignedBy => "result_signed_by",
            Self::InForce => "in_force",
        }
    }
}

impl When {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
            Self::Unknown => "unknown",
        }
    }
}

impl Assessment {
    /// Whether anything that was read names the compromised key: an empty list about a key that is not
    /// known is no all-clear. A certificate that is not known is an error before.
    pub fn is_known(&self) -> bool {
        self.subject.state != UNKNOWN
    }

    /// What is affected and still open.
    pub fn open(&self) -> impl Iterator<Item = &Affected> {
        self.affected.iter().filter(|one| one.open)
    }
}

/// A moment as RFC 3339.
pub(crate) fn as_text<S: Serializer>(moment: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(moment)
}

fn as_optional_text<S: Serializer>(moment: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    match moment {
        Some(moment) => to.collect_str(moment),
        None => to.serialize_none(),
    }
}

/// The rule: what is affected, what is not known, what to do.
pub fn assess(facts: &Facts) -> Assessment {
    let mut found = Found { facts, affected: BTreeMap::new() };
    found.public_key();
    for measurement in &facts.measurements {
        found.measurement(measurement);
    }
    found.event_groups();
    let mut affected: Vec<_> = found.affected.into_values().collect();
    let plan = plan::plan(facts, &affected);
    let open: BTreeSet<&str> = plan.iter().map(|action| action.subject.as_str()).collect();
    // A key that nothing but the certificate vouches for is in doubt until it is signed anew, and with
    // it what is encrypted to it.
    let is_in_doubt = plan.iter().any(|action| action.action == plan::ActionKind::ReSignPublicKey);
    for one in &mut affected {
        let measurement = one.measurement.as_deref();
        one.open = open.contains(one.name.as_str())
            || (one.how == How::EncryptedTo && is_in_doubt)
            || measurement.is_some_and(|measurement| open.contains(measurement));
    }
    let not_known = gaps(facts, &affected);
    Assessment {
        schema: SCHEMA,
        subject: subject(facts, &affected),
        since: facts.since,
        read_started: facts.read.map(|(started, _)| started),
        read_finished: facts.read.map(|(_, finished)| finished),
        complete: not_known.iter().all(|gap| gap.kind == GapKind::NotRecorded),
        looked_at: looked_at(facts),
        not_concerned: not_concerned(&facts.subject),
        totals: totals(&affected),
        affected,
        not_known,
        trail: facts.audit.as_ref().map(|audit| Trail {
            head: audit.head.clone(),
            end: audit.end,
            is_stale: later_than(facts, audit).next().is_some()
                || missing_in(facts, audit).next().is_some(),
        }),
        history: facts.audit.as_ref().map(|audit| audit.history.clone()).unwrap_or_default(),
        plan,
    }
}

fn subject(facts: &Facts, affected: &[Affected]) -> SubjectState {
    let certificate = facts.certificate.as_ref();
    let (kind, state) = match &facts.subject {
        Subject::Certificate(_) => {
            ("certificate", certificate.map_or(UNKNOWN, |row| row.state.as_str_name()))
        }
        Subject::PublicKey(_) if is_in_force(facts) => ("public_key", "IN_FORCE"),
        Subject::PublicKey(_) if affected.is_empty() => ("public_key", UNKNOWN),
        Subject::PublicKey(_) => ("public_key", "REPLACED"),
    };
    SubjectState {
        kind,
        name: facts.subject.name().to_owned(),
        owner: facts.subject.owner().to_owned(),
        state,
        skid: certificate.map(|row| row.skid.clone()),
        not_before: certificate.and_then(|row| row.not_before),
        not_after: certificate.and_then(|row| row.not_after),
        key_sha256: facts.key.clone(),
        vouched_keys: ever_vouched(facts).into_iter().collect(),
    }
}

/// Whose a key is that the compromised certificate vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The owner's.
    Own,
    /// Not the owner's, or nobody says that it is: a thief's.
    NotOwn,
    /// It is in force, and nobody has said whose it is: the Kingdom takes whatever key is published with
    /// the owner's access (1.2.3).
    NotSaid,
}

/// The keys for which nothing vouches but the compromised certificate, and whose they are. The owner's
/// own ones count only while no other certificate has signed them.
pub(crate) fn vouched(facts: &Facts) -> BTreeMap<String, Whose> {
    let signed = signed_key(facts);
    let in_force = facts.public_key.as_ref().map(|row| &row.key);
    let whose = |key: String| {
        let is_signed = signed == Some(&key);
        let whose = match (facts.own_keys.is_empty(), is_signed) {
            (false, _) if facts.own_keys.contains(&key) => Whose::Own,
            (false, _) => Whose::NotOwn,
            (true, true) => Whose::NotSaid,
            // Its owner has signed it anew.
            (true, false) if in_force == Some(&key) => Whose::Own,
            (true, false) => Whose::NotOwn,
        };
        (whose != Whose::Own || is_signed).then_some((key, whose))
    };
    ever_vouched(facts).into_iter().filter_map(whose).collect()
}

/// The key in force, if the compromised certificate signs it.
fn signed_key(facts: &Facts) -> Option<&String> {
    let Subject::Certificate(name) = &facts.subject else { return None };
    facts.public_key.as_ref().filter(|row| row.certificate == *name).map(|row| &row.key)
}

fn ever_vouched(facts: &Facts) -> BTreeSet<String> {
    facts.vouched_keys.iter().chain(signed_key(facts)).cloned().collect()
}

/// Whether the compromised key is the owner's public key now.
pub(crate) fn is_in_force(facts: &Facts) -> bool {
    facts.key.is_some() && facts.public_key.as_ref().map(|row| &row.key) == facts.key.as_ref()
}

fn looked_at(facts: &Facts) -> Vec<LookedAt> {
    let requisitions = facts.measurements.iter().map(|row| row.requisitions.len()).sum();
    let results = facts.measurements.iter().map(|row| results(row).len()).sum();
    let stream = "operator API, StreamMeasurements in both views";
    if facts.subject.owner_kind() == OwnerKind::ModelProvider {
        return Vec::new();
    }
    let mut all = vec![
        (Kind::Measurement, facts.measurements.len(), stream.to_owned()),
        (Kind::Requisition, requisitions, stream.to_owned()),
        (Kind::Result, results, stream.to_owned()),
    ];
    if facts.public_key.is_some() {
        let method = match facts.subject.owner_kind() {
            OwnerKind::MeasurementConsumer => "GetMeasurementConsumer",
            _ => "GetDataProvider",
        };
        all.insert(0, (Kind::PublicKey, 1, format!("operator API, {method}")));
    }
    if let EventGroupScope::Of(parent) = &facts.event_groups.scope {
        let source = format!("public API, ListEventGroups of {parent}");
        all.push((Kind::EventGroup, facts.event_groups.seen.len(), source));
    }
    all.into_iter().map(|(kind, count, source)| LookedAt { kind, count, source }).collect()
}

fn not_concerned(subject: &Subject) -> Vec<NotConcerned> {
    const UNSIGNED: &str =
        "event groups are signed by nobody, and encrypted to measurement consumers' keys (3.7.6)";
    const NO_KEY: &str = "a Duchy has no public key at the Kingdom (1.3.3)";
    const SIGNS_NOTHING: &str =
        "a model provider signs nothing that the Kingdom holds (1.3.4, 3.7)";
    let kinds: &[(Kind, &'static str)] = match (subject, subject.owner_kind()) {
        (Subject::Certificate(_), OwnerKind::MeasurementConsumer) => &[],
        (Subject::Certificate(_), OwnerKind::DataProvider) => &[(Kind::EventGroup, UNSIGNED)],
        (Subject::Certificate(_), OwnerKind::Duchy) => {
            &[(Kind::PublicKey, NO_KEY), (Kind::EventGroup, UNSIGNED)]
        }
        (_, OwnerKind::ModelProvider | OwnerKind::Duchy) => &[
            (Kind::PublicKey, SIGNS_NOTHING),
            (Kind::Measurement, SIGNS_NOTHING),
            (Kind::Requisition, SIGNS_NOTHING),
            (Kind::Result, SIGNS_NOTHING),
            (Kind::EventGroup, SIGNS_NOTHING),
        ],
        (Subject::PublicKey(_), OwnerKind::MeasurementConsumer) => {
            &[(Kind::Requisition, "a requisition is encrypted to its data provider's key (3.7.3)")]
        }
        (Subject::PublicKey(_), OwnerKind::DataProvider) => &[
            (
                Kind::Result,
                "a result is encrypted to the measurement consumer's key (3.7.4, 3.7.5)",
            ),
            (Kind::EventGroup, UNSIGNED),
        ],
    };
    kinds.iter().map(|&(kind, why)| NotConcerned { kind, why }).collect()
}

fn totals(affected: &[Affected]) -> Vec<Total> {
    let mut totals: BTreeMap<(Kind, How), Total> = BTreeMap::new();
    for one in affected {
        let total = totals.entry((one.kind, one.how)).or_insert(Total {
            kind: one.kind,
            how: one.how,
            before: 0,
            after: 0,
            unknown: 0,
            open: 0,
        });
        match one.when {
            When::Before => total.before += 1,
            When::After => total.after += 1,
            When::Unknown => total.unknown += 1,
        }
        total.open += usize::from(one.open);
    }
    totals.into_values().collect()
}

/// A result that the Kingdom holds.
pub(crate) struct ResultFacts<'a> {
    /// See [`Kind::Result`].
    pub(crate) name: &'a str,
    /// Its certificate.
    pub(crate) certificate: &'a str,
    /// When it was delivered.
    pub(crate) time: Option<Timestamp>,
    /// Whether reads show it (1.5.7).
    pub(crate) state: &'static str,
}

/// The results of a measurement: direct ones by requisition, others by what the Kingdom shows.
pub(crate) fn results(row: &MeasurementFacts) -> Vec<ResultFacts<'_>> {
    let succeeded = row.state == pb::measurement::State::Succeeded;
    let state = if succeeded { "SHOWN" } else { "STORED" };
    let direct: Vec<_> = row
        .requisitions
        .iter()
        .filter_map(|requisition| {
            let certificate = requisition.result_certificate.as_deref()?;
            // FULFILLED is the last change of a requisition, so this is when it was delivered.
            let time = requisition.update_time;
            Some(ResultFacts { name: &requisition.name, certificate, time, state })
        })
        .collect();
    let of_requisition: BTreeSet<&str> = direct.iter().map(|result| result.certificate).collect();
    let shown =
        row.result_certificates.iter().filter(|name| !of_requisition.contains(name.as_str()));
    // The result is a Duchies' measurement's last change.
    let time = row.update_time.filter(|_| succeeded);
    let shown = shown.map(|name| ResultFacts { name: &row.name, certificate: name, time, state });
    shown.chain(direct).collect()
}

struct Found<'a> {
    facts: &'a Facts,
    affected: BTreeMap<(Kind, String, How), Affected>,
}

impl Found<'_> {
    #[allow(clippy::too_many_arguments, reason = "the columns of one row")]
    fn add(
        &mut self,
        kind: Kind,
        name: &str,
        how: How,
        state: &'static str,
        (earliest, latest): (Option<Timestamp>, Option<Timestamp>),
        measurement: Option<&str>,
    ) {
        let when = when(self.facts.since, earliest, latest);
        let one = Affected {
            kind,
            name: name.to_owned(),
            how,
            state,
            earliest,
            latest,
            when,
            signature_verifies: None,
            measurement: measurement.map(str::to_owned),
            open: false,
        };
        // The same way twice: the later one counts, as it is the worse one.
        let entry =
            self.affected.entry((kind, name.to_owned(), how)).or_insert_with(|| one.clone());
        if worse(when) > worse(entry.when) {
            *entry = one;
        }
    }

    fn verified(&mut self, kind: Kind, name: &str, is_signed: Option<bool>) {
        if let Some(one) = self.affected.get_mut(&(kind, name.to_owned(), How::SignedBy)) {
            one.signature_verifies = is_signed;
        }
    }

    fn public_key(&mut self) {
        let Some(key) = &self.facts.public_key else { return };
        let time = self.facts.audit.as_ref().and_then(|audit| audit.last_change.get(&key.name));
        let time = (time.copied(), time.copied());
        match &self.facts.subject {
            Subject::Certificate(name) if key.certificate == *name => {
                self.add(Kind::PublicKey, &key.name, How::SignedBy, "IN_FORCE", time, None);
                self.verified(Kind::PublicKey, &key.name, key.is_signed);
            }
            Subject::PublicKey(_) if is_in_force(self.facts) => {
                self.add(Kind::PublicKey, &key.name, How::InForce, "IN_FORCE", time, None);
            }
            _ => {}
        }
    }

    fn measurement(&mut self, row: &MeasurementFacts) {
        match (&self.facts.subject, self.facts.subject.owner_kind()) {
            (Subject::Certificate(name), OwnerKind::MeasurementConsumer) => {
                self.of_consumer_certificate(row, name);
            }
            (Subject::Certificate(name), OwnerKind::DataProvider) => {
                self.of_provider_certificate(row, name);
            }
            (Subject::Certificate(name), OwnerKind::Duchy) => {
                self.of_duchy_certificate(row, name);
            }
            // It signs nothing that the Kingdom holds (3.7).
            (Subject::Certificate(_), OwnerKind::ModelProvider) => {}
            (Subject::PublicKey(_), kind) => self.of_key(row, kind),
        }
    }

    /// The spec names it; the RequisitionSpecs are signed with the same (3.7.2, 3.7.3); results
    /// answer to it. Whoever signed the spec, it may ask for results under a key that nothing but the
    /// certificate vouches for (3.7.4, 3.7.5).
    fn of_consumer_certificate(&mut self, row: &MeasurementFacts, certificate: &str) {
        let vouched = vouched(self.facts);
        if row.result_key.as_ref().is_some_and(|key| vouched.contains_key(key)) {
            self.of_result_key(row);
        }
        if row.certificate != certificate {
            return;
        }
        let created = (row.create_time, row.create_time);
        self.of_measurement(row, How::SignedBy, created);
        self.verified(Kind::Measurement, &row.name, row.is_signed);
        for requisition in &row.requisitions {
            self.of_requisition(row, requisition, How::SignedBy, created);
        }
        for result in results(row) {
            let time = (result.time.or(row.create_time), result.time);
            self.add(Kind::Result, result.name, How::BoundTo, result.state, time, Some(&row.name));
        }
    }

    /// Requisitions are bound to it (1.5.12); results name it (3.9.1); RequisitionSpecs may be
    /// encrypted to a key that nothing but the certificate vouches for (3.7.3).
    fn of_provider_certificate(&mut self, row: &MeasurementFacts, certificate: &str) {
        let created = (row.create_time, row.create_time);
        let vouched = vouched(self.facts);
        self.of_requisition_keys(row, |key| vouched.contains_key(key));
        for requisition in &row.requisitions {
            if requisition.certificate == certificate {
                self.of_requisition(row, requisition, How::BoundTo, created);
                self.of_measurement(row, How::BoundTo, created);
            }
        }
        if row.bound.iter().any(|(_, bound)| bound == certificate) {
            self.of_measurement(row, How::BoundTo, created);
        }
        self.of_results(row, certificate);
    }

    /// Its parameters are signed with it (3.7.7, 3.7.8, 1.8.9); an aggregator's result names it
    /// (3.9.2).
    fn of_duchy_certificate(&mut self, row: &MeasurementFacts, certificate: &str) {
        for participant in row.participants.iter().filter(|one| one.certificate == certificate) {
            // Parameters come some time between creation and the participant's last change.
            let time = (row.create_time, participant.update_time);
            self.of_measurement(row, How::BoundTo, time);
            for requisition in &row.requisitions {
                if requisition.duchy_certificates.iter().any(|name| name == certificate) {
                    self.of_requisition(row, requisition, How::BoundTo, time);
                }
            }
        }
        self.of_results(row, certificate);
    }

    fn of_results(&mut self, row: &MeasurementFacts, certificate: &str) {
        for result in results(row).into_iter().filter(|one| one.certificate == certificate) {
            let time = (result.time.or(row.create_time), result.time);
            let how = How::ResultSignedBy;
            self.add(Kind::Result, result.name, how, result.state, time, Some(&row.name));
            self.of_measurement(row, how, time);
        }
    }

    /// A provider's key opens RequisitionSpecs (3.7.3), a consumer's key opens results (3.7.4,
    /// 3.7.5).
    fn of_key(&mut self, row: &MeasurementFacts, owner: OwnerKind) {
        let Some(key) = self.facts.key.clone() else { return };
        if owner == OwnerKind::DataProvider {
            self.of_requisition_keys(row, |one| *one == key);
        } else if row.result_key.as_ref() == Some(&key) {
            self.of_result_key(row);
        }
    }

    /// RequisitionSpecs for the owner under one of these keys.
    fn of_requisition_keys(&mut self, row: &MeasurementFacts, is_one: impl Fn(&String) -> bool) {
        let (how, created) = (How::EncryptedTo, (row.create_time, row.create_time));
        let provider = self.facts.subject.owner();
        for requisition in &row.requisitions {
            if requisition.data_provider == provider && is_one(&requisition.key) {
                self.of_requisition(row, requisition, how, created);
                self.of_measurement(row, how, created);
            }
        }
    }

    /// A measurement that asks for results under the key, and those that have come.
    fn of_result_key(&mut self, row: &MeasurementFacts) {
        let how = How::EncryptedTo;
        self.of_measurement(row, how, (row.create_time, row.create_time));
        for result in results(row) {
            let time = (result.time.or(row.create_time), result.time);
            self.add(Kind::Result, result.name, how, result.state, time, Some(&row.name));
        }
    }

    fn of_measurement(
        &mut self,
        row: &MeasurementFacts,
        how: How,
        time: (Option<Timestamp>, Option<Timestamp>),
    ) {
        let (name, state) = (row.name.as_str(), row.state.as_str_name());
        self.add(Kind::Measurement, name, how, state, time, Some(name));
    }

    fn of_requisition(
        &mut self,
        row: &MeasurementFacts,
        requisition: &RequisitionFacts,
        how: How,
        time: (Option<Timestamp>, Option<Timestamp>),
    ) {
        let (name, state) = (requisition.name.as_str(), requisition.state.as_str_name());
        self.add(Kind::Requisition, name, how, state, time, Some(&row.name));
    }

    /// Metadata is encrypted to a consumer's key (3.7.6): the compromised one, or one that nothing
    /// but the compromised certificate vouches for.
    fn event_groups(&mut self) {
        let keys: BTreeSet<String> = match &self.facts.subject {
            Subject::PublicKey(_) => self.facts.key.iter().cloned().collect(),
            Subject::Certificate(_) => vouched(self.facts).into_keys().collect(),
        };
        for row in &self.facts.event_groups.seen {
            if row.has_metadata
                && row.consumer == self.facts.subject.owner()
                && row.key.as_ref().is_some_and(|key| keys.contains(key))
            {
                let audit = self.facts.audit.as_ref();
                let time = audit.and_then(|audit| audit.last_change.get(&row.name)).copied();
                let how = How::EncryptedTo;
                self.add(Kind::EventGroup, &row.name, how, row.state, (time, time), None);
            }
        }
    }
}

fn worse(when: When) -> u8 {
    match when {
        When::Before => 0,
        When::Unknown => 1,
        When::After => 2,
    }
}

fn when(since: Option<Timestamp>, earliest: Option<Timestamp>, latest: Option<Timestamp>) -> When {
    match (since, earliest, latest) {
        (Some(since), _, Some(latest)) if latest < since => When::Before,
        (Some(since), Some(earliest), _) if earliest >= since => When::After,
        _ => When::Unknown,
    }
}

/// What the facts leave open, on top of what the reader could not look at.
fn gaps(facts: &Facts, affected: &[Affected]) -> Vec<Gap> {
    let mut gaps = facts.gaps.clone();
    let owner = facts.subject.owner();
    let by_certificate = matches!(facts.subject, Subject::Certificate(_));
    if matches!(facts.subject, Subject::PublicKey(_)) && !is_in_force(facts) && affected.is_empty()
    {
        gaps.push(Gap::not_recorded(
            format!("whether {owner} ever had this key"),
            "it is not in force and nothing that was read is encrypted to it; the Kingdom keeps no earlier \
             keys (1.2.4)",
            "compare the digest with that of the key file, `sha256sum NAME_enc_public.tink`: with another \
             one nothing is found either",
        ));
    }
    if let (Some(since), Some((_, finished))) = (facts.since, facts.read)
        && since > finished
    {
        gaps.push(Gap::not_recorded(
            "what happened after the suspected time",
            format!("{since} is later than this reading"),
            "give an earlier --since",
        ));
    }
    if facts.subject.owner_kind() == OwnerKind::ModelProvider {
        // No measurement can be concerned, so that none can be missing either.
        gaps.extend(facts.audit.as_ref().and_then(unproven_end));
        gaps.push(Gap::not_recorded(
            "what the certificate signed in exchanges",
            "exchanges are between peers, which keep the certificate for ever and read no revocation \
             state (3.13.3, 4.5); nothing of it is at the Kingdom",
            "tell each data provider that exchanges with the owner; what ends the certificate there is a \
             new root in the place of the owner's old one (3.4.3)",
        ));
        return gaps;
    }
    match &facts.audit {
        None => {
            gaps.push(Gap::not_looked_at(
                "measurements that were deleted",
                "a deletion leaves no trace in the Kingdom (1.8.2), and old measurements are deleted by a job (1.8.6)",
                "give the audit trail: --audit FILE",
            ));
            let undated = [Kind::PublicKey, Kind::EventGroup];
            if affected.iter().any(|one| undated.contains(&one.kind)) {
                gaps.push(Gap::not_looked_at(
                    "when the public key was signed and the event groups were encrypted",
                    "reads show no time of either (1.3.5, 1.4.9)",
                    "give the audit trail: --audit FILE",
                ));
            }
        }
        Some(audit) => gaps.extend(audit_gaps(facts, audit)),
    }
    if facts.public_key.is_some() {
        let why = if facts.audit.is_some() {
            "the Kingdom keeps the key in force only (1.2.4), and the trail names the certificates of earlier ones, not the keys"
        } else {
            "the Kingdom keeps the key in force only (1.2.4)"
        };
        if by_certificate {
            gaps.push(Gap::not_recorded(
                format!("which earlier public keys of {owner} the certificate signed, and who still uses them"),
                why,
                "ask the owner; give each that is not its own as --vouched-key-sha256",
            ));
            for (key, _) in vouched(facts).iter().filter(|(_, whose)| **whose == Whose::NotSaid) {
                gaps.push(Gap::not_recorded(
                    format!("whether the key in force, {key}, is {owner}'s own, or a thief put it there"),
                    "the Kingdom takes any key that is published with the owner's access, and verifies no signature (1.2.3)",
                    "ask the owner for the SHA-256 of its keys, and assess again: --own-key-sha256",
                ));
            }
        }
    }
    if by_certificate {
        gaps.push(Gap::not_recorded(
            "whether the certificate that is named really made the signatures of RequisitionSpecs and results",
            "they are inside ciphertexts that only their readers open (3.7.3 to 3.7.5); the Kingdom verifies no signature (1.5.14, 1.5.7)",
            "data providers and measurement consumers verify what they open (3.10, 3.15.1)",
        ));
    } else {
        gaps.push(Gap::not_recorded(
            "copies outside the Kingdom: at Duchies, data providers, reporting servers, in backups",
            "each keeps its own (1.7.14, 3.13)",
            "ask each for what it holds under this key",
        ));
    }
    gaps.extend(other_events(facts, affected));
    gaps.extend(other_keys(facts));
    gaps.extend(without_key(facts));
    gaps.extend(unverified_keys(facts));
    let seeds = facts.measurements.iter().filter(|row| row.protocol == Protocol::ShareShuffle);
    let seeds = seeds
        .flat_map(|row| &row.requisitions)
        .filter(|row| row.data_provider == owner && row.state == pb::requisition::State::Fulfilled);
    let seeds = seeds.count();
    if by_certificate && seeds > 0 {
        gaps.push(Gap::not_recorded(
            format!("which certificate signed the random seeds of {seeds} fulfilled share shuffle requisitions"),
            "the seed goes to a Duchy, not to the Kingdom (3.7.9)",
            "ask the Duchies for the data_provider_certificate of each fulfilment",
        ));
    }
    gaps
}

/// What stands for an affected measurement asks the same as far as the Kingdom shows it.
fn other_events(facts: &Facts, affected: &[Affected]) -> Option<Gap> {
    let replaced = plan::replaced(facts);
    let names: BTreeSet<_> = affected
        .iter()
        .filter(|one| one.kind == Kind::Measurement && replaced.contains(&one.name))
        .map(|one| one.name.clone())
        .collect();
    let names: Vec<_> = names.into_iter().collect();
    (!names.is_empty()).then(|| {
        Gap::not_recorded(
            format!(
                "whether what was created anew for {} measurements asks for the same events: {}",
                names.len(),
                some(&names)
            ),
            "events are named inside RequisitionSpecs, which only their data providers open (3.7.3); data \
             providers and MeasurementSpec are the same",
            "ask the measurement consumer",
        )
    })
}

/// Where an audit trail ends, in words.
fn end_of(audit: &AuditFacts) -> String {
    audit.end.map_or_else(|| "its last entry".to_owned(), |end| end.to_string())
}

fn unproven_end(audit: &AuditFacts) -> Option<Gap> {
    (!audit.end_is_proven).then(|| {
        Gap::not_looked_at(
            format!("whether the audit trail was cut at its end, after {}", end_of(audit)),
            "a chain of hashes proves order and content, not the end",
            "give the head from /v1/state or a run record: --audit-head COUNT:HASH",
        )
    })
}

fn audit_gaps(facts: &Facts, audit: &AuditFacts) -> Vec<Gap> {
    let end = end_of(audit);
    let mut gaps: Vec<_> = unproven_end(audit).into_iter().collect();
    let later: Vec<_> = later_than(facts, audit).map(|row| row.name.clone()).collect();
    if !later.is_empty() {
        gaps.push(Gap::not_looked_at(
            format!("what happened after {end}: nothing is known from the audit trail, which ends there"),
            format!(
                "the operator API shows {} measurements that were created or changed later: {}; what \
                 was deleted, signed or encrypted since is not in the trail",
                later.len(),
                some(&later)
            ),
            "take the trail and its head anew from /v1/audit and /v1/state, and assess again",
        ));
    }
    let missing: Vec<_> = missing_in(facts, audit).map(|row| row.name.clone()).collect();
    if !missing.is_empty() {
        gaps.push(Gap::not_looked_at(
            format!(
                "what else the audit trail lacks: it ends at {end}, and has nothing of {} measurements \
                 that the operator API shows as created before that: {}",
                missing.len(),
                some(&missing)
            ),
            "a whole trail of this Kingdom has the creation of each",
            "take the trail anew from /v1/audit of this Kingdom, from its first entry, and assess again",
        ));
    }
    let of_subject = |name: &&String| {
        facts.subject.owner_kind() != OwnerKind::MeasurementConsumer
            || name.starts_with(&format!("{}/", facts.subject.owner()))
    };
    let deleted: Vec<_> = audit.deleted_measurements.keys().filter(of_subject).cloned().collect();
    if !deleted.is_empty() {
        gaps.push(Gap::not_recorded(
            format!(
                "what {} deleted measurements were bound to: {}",
                deleted.len(),
                some(&deleted)
            ),
            "the trail says that they were deleted, not which certificates or keys they named",
            "ask the measurement consumer",
        ));
    }
    let seen: BTreeSet<&str> = facts.measurements.iter().map(|row| row.name.as_str()).collect();
    let hidden: Vec<_> = audit
        .living_measurements
        .iter()
        .filter(of_subject)
        .filter(|name| !seen.contains(name.as_str()))
        .cloned()
        .collect();
    if !hidden.is_empty() {
        gaps.push(Gap::not_looked_at(
            format!(
                "{} measurements that the audit trail has and the operator API did not show: {}",
                hidden.len(),
                some(&hidden)
            ),
            "they were deleted after the trail was taken, the trail is another Kingdom's, or something hides them",
            "take the trail anew from /v1/audit and assess again",
        ));
    }
    gaps
}

/// The measurements that were created or changed after the trail's last entry.
fn later_than<'a>(
    facts: &'a Facts,
    audit: &'a AuditFacts,
) -> impl Iterator<Item = &'a MeasurementFacts> {
    let is_later = |row: &&MeasurementFacts| {
        audit.end.is_some() && row.create_time.max(row.update_time) > audit.end
    };
    facts.measurements.iter().filter(is_later)
}

/// The measurements that are older than the trail's last entry, and of whose creation it has none.
fn missing_in<'a>(
    facts: &'a Facts,
    audit: &'a AuditFacts,
) -> impl Iterator<Item = &'a MeasurementFacts> {
    let is_missing = |row: &&MeasurementFacts| {
        row.create_time.is_some()
            && row.create_time <= audit.end
            && !audit.living_measurements.contains(&row.name)
            && !audit.deleted_measurements.contains_key(&row.name)
    };
    facts.measurements.iter().filter(is_missing)
}

/// How the gap begins that [`Gap::is_of_keyless_metadata`].
const WITHOUT_KEY: &str = "under which key the metadata";

/// Event groups of a consumer whose metadata names no key: a legacy ciphertext needs none (1.4.2).
fn without_key(facts: &Facts) -> Option<Gap> {
    let own = facts.event_groups.seen.iter().filter(|row| {
        row.has_metadata && row.key.is_none() && row.consumer == facts.subject.owner()
    });
    let names: Vec<_> = own.map(|row| row.name.clone()).collect();
    if names.is_empty() {
        return None;
    }
    let what = format!("{WITHOUT_KEY} of {} event groups is: {}", names.len(), some(&names));
    let why = "a ciphertext of the legacy field needs no key beside it (1.4.2)";
    let next = "let the owner try its private keys on them, and each provider encrypt them anew with the \
                key named";
    Some(match &facts.subject {
        Subject::PublicKey(_) => Gap::not_looked_at(what, why, next),
        // A certificate encrypts nothing; whether it vouched for the key nobody can know.
        Subject::Certificate(_) => Gap::not_recorded(what, why, next),
    })
}

/// That a group names a key says nothing about its ciphertext.
fn unverified_keys(facts: &Facts) -> Option<Gap> {
    let of_owner = |row: &&facts::EventGroupFacts| {
        row.has_metadata && row.key.is_some() && row.consumer == facts.subject.owner()
    };
    let count = facts.event_groups.seen.iter().filter(of_owner).count();
    (count > 0).then(|| {
        Gap::not_recorded(
            format!(
                "whether the metadata of {count} event groups is under the key that each names"
            ),
            "the Kingdom compares the two nowhere (1.4.3), and holds no private key",
            "let the owner open each with the key that it names, and with the stolen one",
        )
    })
}

/// Event groups whose key is neither known to be good nor known to be bad.
fn other_keys(facts: &Facts) -> Option<Gap> {
    let known = match &facts.subject {
        Subject::PublicKey(_) => facts.key.clone(),
        Subject::Certificate(_) => facts.public_key.as_ref().map(|row| row.key.clone()),
    }?;
    let mut keys = BTreeMap::new();
    for row in &facts.event_groups.seen {
        let Some(key) = &row.key else { continue };
        let in_force = facts.public_key.as_ref().is_some_and(|row| row.key == *key);
        let is_told = in_force || facts.own_keys.contains(key) || facts.vouched_keys.contains(key);
        if row.consumer == facts.subject.owner() && *key != known && !is_told {
            *keys.entry(key.clone()).or_insert(0_usize) += 1;
        }
    }
    if keys.is_empty() {
        return None;
    }
    let listed: Vec<_> = keys.iter().map(|(key, count)| format!("{count} under {key}")).collect();
    Some(Gap::not_recorded(
        format!("whether event groups under other keys are concerned: {}", some(&listed)),
        "an event group keeps the key it was encrypted to (1.4.3), and the Kingdom keeps no earlier public keys (1.2.4)",
        "ask the owner which of its keys these were; assess a stolen one with --public-key and --key-sha256",
    ))
}

/// The first few of a list.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}
