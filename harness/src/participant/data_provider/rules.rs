//! What a data provider makes of a requisition: the ordered checks of contract table 3.10, as a
//! pure function over what was fetched so far.
//!
//! [`judge`] walks the rows from the top and stops at the first one that it cannot decide without a
//! fetch, that refuses, or that ends the process. The caller fetches, and asks again.

use crate::participant::event_filter;
use crate::participant::trust::{TrustBundle, Untrusted, Verifier};
use crate::participant::wire::CallError;
use crate::participant::{Fetched, from_wire, public_key_of, unpack};
use crate::quirk::{PeerQuirk, PeerQuirks};
use halo_consent::{OpenError, PrivateKeyset, nonce_hash, open_signed};
use kingdom_proto::name::{DataProviderCertificateName, EventGroupName};
use kingdom_proto::v2alpha as pb;
use pb::measurement_spec::MeasurementType;
use pb::protocol_config::NoiseMechanism;
use pb::protocol_config::protocol::Protocol;
use pb::requisition::duchy_entry::value::Protocol as DuchyKey;
use pb::requisition::refusal::Justification;
use std::collections::BTreeSet;

/// Everything a judgement may look at.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The requisition as listed.
    pub requisition: &'a pb::Requisition,
    /// The provider's trust bundle.
    pub bundle: &'a TrustBundle,
    /// Its decryption keys; the first is the one that the real program loads (row 7).
    pub keys: &'a [PrivateKeyset],
    /// When.
    pub now_unix_seconds: i64,
    /// The oddities in force.
    pub quirks: PeerQuirks,
    /// What it fulfils.
    pub policy: &'a Policy,
    /// Certificates fetched so far, by name.
    pub certificates: &'a Fetched<pb::Certificate>,
    /// EventGroups fetched so far, by name.
    pub event_groups: &'a Fetched<pb::EventGroup>,
}

/// What a provider fulfils (rows 11 to 13 and 16).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Protocols it supports.
    pub protocols: BTreeSet<ProtocolKind>,
    /// Reference ids of its EventGroups begin so (row 12).
    pub reference_id_prefix: String,
    /// How many more measurements its privacy budget allows; `None` = any number.
    pub budget: Option<u32>,
    /// Direct methodologies it has.
    pub methodologies: BTreeSet<Methodology>,
}

impl Default for Policy {
    /// As the reference simulator: everything, without a limit.
    fn default() -> Self {
        Self {
            protocols: ProtocolKind::ALL.into_iter().collect(),
            reference_id_prefix: "sim-eg".to_owned(),
            budget: None,
            methodologies: Methodology::ALL.into_iter().collect(),
        }
    }
}

/// The protocols, in the order in which a provider tries them (row 13).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "named as in the contract")]
pub enum ProtocolKind {
    Direct,
    LiquidLegionsV2,
    ReachOnlyLiquidLegionsV2,
    HonestMajorityShareShuffle,
    TrusTee,
}

impl ProtocolKind {
    /// All, in the order of row 13.
    pub const ALL: [Self; 5] = [
        Self::Direct,
        Self::LiquidLegionsV2,
        Self::ReachOnlyLiquidLegionsV2,
        Self::HonestMajorityShareShuffle,
        Self::TrusTee,
    ];

    /// Which one this is.
    pub fn of(protocol: &Protocol) -> Self {
        match protocol {
            Protocol::Direct(_) => Self::Direct,
            Protocol::LiquidLegionsV2(_) => Self::LiquidLegionsV2,
            Protocol::ReachOnlyLiquidLegionsV2(_) => Self::ReachOnlyLiquidLegionsV2,
            Protocol::HonestMajorityShareShuffle(_) => Self::HonestMajorityShareShuffle,
            Protocol::TrusTee(_) => Self::TrusTee,
        }
    }
}

/// The Direct methodologies that the reference provider uses, by measurement type (1.5.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "named as in the contract")]
pub enum Methodology {
    DeterministicCountDistinct,
    DeterministicDistribution,
    DeterministicCount,
    DeterministicSum,
}

impl Methodology {
    /// All.
    pub const ALL: [Self; 4] = [
        Self::DeterministicCountDistinct,
        Self::DeterministicDistribution,
        Self::DeterministicCount,
        Self::DeterministicSum,
    ];

    fn is_offered(self, direct: &pb::protocol_config::Direct) -> bool {
        match self {
            Self::DeterministicCountDistinct => direct.deterministic_count_distinct.is_some(),
            Self::DeterministicDistribution => direct.deterministic_distribution.is_some(),
            Self::DeterministicCount => direct.deterministic_count.is_some(),
            Self::DeterministicSum => direct.deterministic_sum.is_some(),
        }
    }
}

/// How far a judgement got.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// It needs this first.
    Fetch(Need),
    /// It is made.
    Decided(Decision),
}

/// What has to be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// A certificate, by name.
    Certificate(String),
    /// An EventGroup, by name.
    EventGroup(String),
}

/// What a provider does about a requisition.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// It fulfils it.
    Fulfil(Box<Order>),
    /// It refuses it.
    Refuse(Refusal),
    /// Its process ends (quirk `provider-dies-instead-of-refusing` at work).
    End(Ending),
    /// It leaves it as it is for now, and goes on with the next one.
    Skip(Ending),
}

/// A requisition that passed.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// What the measurement consumer wants.
    pub measurement_spec: pb::MeasurementSpec,
    /// What of it is this provider's, the nonce included.
    pub requisition_spec: pb::RequisitionSpec,
    /// How.
    pub protocol: Protocol,
}

/// A refusal with the row that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Row, such as `3.10/5`.
    pub clause: &'static str,
    /// Justification.
    pub justification: Justification,
    /// Message for the measurement consumer.
    pub message: String,
}

/// The end of the process, or what stands in its place, with the row that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Row, such as `3.10/1`.
    pub clause: &'static str,
    /// What happened.
    pub cause: String,
}

/// Why the walk through the rows stopped.
#[derive(Clone, Debug, PartialEq)]
pub enum Halt {
    /// Something has to be fetched.
    Need(Need),
    /// The rows refuse.
    Refuse(Refusal),
    /// The real process ends; `instead` is what a careful one does (quirk
    /// `provider-dies-instead-of-refusing`).
    End {
        /// Row and cause.
        ending: Ending,
        /// The refusal in its place; `None` = it skips the requisition.
        instead: Option<Justification>,
    },
}

impl Halt {
    fn refuse(clause: &'static str, justification: Justification, why: impl ToString) -> Self {
        Self::Refuse(Refusal { clause, justification, message: why.to_string() })
    }

    fn end(
        clause: &'static str,
        instead: impl Into<Option<Justification>>,
        why: impl ToString,
    ) -> Self {
        Self::End { ending: Ending { clause, cause: why.to_string() }, instead: instead.into() }
    }

    /// A bad certificate or signature: CSI, or the end of the process where the real verifier
    /// throws something else (rows 2, 5, 10, 14).
    fn untrusted(clause: &'static str, what: impl Into<Untrusted>, quirks: &PeerQuirks) -> Self {
        let what = what.into();
        if what.is_exception(quirks) {
            Self::end(clause, Justification::ConsentSignalInvalid, what)
        } else {
            Self::refuse(clause, Justification::ConsentSignalInvalid, what)
        }
    }

    /// What the process does, given its oddities.
    pub fn decide(self, quirks: &PeerQuirks) -> Step {
        Step::Decided(match self {
            Self::Need(need) => return Step::Fetch(need),
            Self::Refuse(refusal) => Decision::Refuse(refusal),
            Self::End { ending, .. }
                if quirks.faithful(PeerQuirk::ProviderDiesInsteadOfRefusing) =>
            {
                Decision::End(ending)
            }
            Self::End { ending: Ending { clause, cause }, instead: Some(justification) } => {
                Decision::Refuse(Refusal { clause, justification, message: cause })
            }
            Self::End { ending, instead: None } => Decision::Skip(ending),
        })
    }
}

/// The specs of a requisition that passed rows 1 to 10.
#[derive(Clone, Debug, PartialEq)]
pub struct Consent {
    /// The MeasurementSpec.
    pub measurement_spec: pb::MeasurementSpec,
    /// The RequisitionSpec.
    pub requisition_spec: pb::RequisitionSpec,
}

/// Judges a requisition by rows 1 to 17.
pub fn judge(facts: &Facts<'_>) -> Step {
    match order(facts) {
        Ok(order) => Step::Decided(Decision::Fulfil(Box::new(order))),
        Err(halt) => halt.decide(&facts.quirks),
    }
}

use Justification::{ConsentSignalInvalid, Declined, InsufficientPrivacyBudget, SpecInvalid};

fn order(facts: &Facts<'_>) -> Result<Order, Halt> {
    let Consent { measurement_spec, requisition_spec } = consent(facts)?;
    let entries = event_groups(facts, &requisition_spec)?;
    let protocol = protocol(facts, &measurement_spec)?;
    if !matches!(protocol, Protocol::Direct(_)) {
        duchies(facts, &protocol)?;
    }
    methodology(facts, &measurement_spec, &protocol, &entries)?;
    if matches!(protocol, Protocol::Direct(_)) {
        bound_certificate(facts)?;
    }
    Ok(Order { measurement_spec, requisition_spec, protocol })
}

/// Row 17.
///
/// # Errors
/// [`Halt`].
pub(super) fn bound_certificate(facts: &Facts<'_>) -> Result<(), Halt> {
    let bound = &facts.requisition.data_provider_certificate;
    if DataProviderCertificateName::parse(bound).is_some() {
        return Ok(());
    }
    let why = format!("`{bound}` is not the name of a DataProvider certificate");
    Err(Halt::refuse("3.10/17", Justification::Unfulfillable, why))
}

/// Rows 1 to 10, shared with other programs (3.10, 3.11.1 as documented).
///
/// # Errors
/// [`Halt`]: where the walk stopped.
pub fn consent(facts: &Facts<'_>) -> Result<Consent, Halt> {
    let requisition = facts.requisition;
    let quirks = &facts.quirks;
    let verifier = verifier(facts);

    let certificate =
        certificate(facts.certificates, &requisition.measurement_consumer_certificate, "3.10/1")?;
    let leaf = certificate.x509_der.as_slice();
    let issuer = verifier.issuer(leaf, &certificate.name).map_err(|error| {
        let what = Untrusted::from(error);
        let row = if what.is_exception(quirks) { "3.10/2" } else { "3.10/3" };
        Halt::untrusted(row, what, quirks)
    })?;
    verifier.path(leaf, issuer).map_err(|error| Halt::untrusted("3.10/4", error, quirks))?;

    let signed = requisition.measurement_spec.clone().unwrap_or_default();
    from_wire(&signed).verify(leaf).map_err(|error| Halt::untrusted("3.10/5", error, quirks))?;

    let measurement_spec: pb::MeasurementSpec = unpack(signed.message.as_ref())
        .map_err(|why| Halt::end("3.10/6", SpecInvalid, format!("measurement_spec: {why}")))?;
    let wanted: pb::EncryptionPublicKey = unpack(requisition.data_provider_public_key.as_ref())
        .map_err(|why| {
            Halt::end("3.10/6", SpecInvalid, format!("data_provider_public_key: {why}"))
        })?;

    let loaded = if quirks.faithful(PeerQuirk::OneDecryptionKeyLoaded) { 1 } else { usize::MAX };
    let keyset = facts.keys.iter().take(loaded).find(|keyset| {
        unpack::<pb::EncryptionPublicKey>(Some(&public_key_of(keyset))).as_ref() == Ok(&wanted)
    });
    let keyset = keyset.ok_or_else(|| {
        let why = "no loaded decryption key belongs to the requisition's public key";
        Halt::end("3.10/7", ConsentSignalInvalid, why)
    })?;

    let sealed = requisition.encrypted_requisition_spec.clone().unwrap_or_default();
    let inner = open_signed(keyset, &sealed.ciphertext, &sealed.type_url).map_err(|error| {
        let why = format!("the RequisitionSpec: {error}");
        match error {
            OpenError::Decrypt(_) => Halt::refuse("3.10/8", ConsentSignalInvalid, why),
            _ => Halt::end("3.10/8", SpecInvalid, why),
        }
    })?;
    let packed = inner
        .message
        .as_ref()
        .map(|any| prost_types::Any { type_url: any.type_url.clone(), value: any.value.clone() });
    let requisition_spec: pb::RequisitionSpec = unpack(packed.as_ref())
        .map_err(|why| Halt::end("3.10/9", SpecInvalid, format!("the RequisitionSpec: {why}")))?;

    // The path again, as the original does; the leaf is the same one, so row 4 has spoken.
    verifier.path(leaf, issuer).map_err(|error| Halt::untrusted("3.10/10", error, quirks))?;
    inner.verify(leaf).map_err(|error| Halt::untrusted("3.10/10", error, quirks))?;
    if !same_measurement_key(&measurement_spec, &requisition_spec) {
        let why = "the RequisitionSpec names another measurement public key";
        return Err(Halt::refuse("3.10/10", ConsentSignalInvalid, why));
    }
    if !measurement_spec.nonce_hashes.iter().any(|hash| *hash == nonce_hash(requisition_spec.nonce))
    {
        let why = "the nonce's hash is not one of the MeasurementSpec's";
        return Err(Halt::refuse("3.10/10", ConsentSignalInvalid, why));
    }
    Ok(Consent { measurement_spec, requisition_spec })
}

/// 3.8.3: Any equality, or the legacy byte fields if the RequisitionSpec has no Any.
#[allow(deprecated, reason = "the legacy form is compared (contract 3.8.3)")]
fn same_measurement_key(
    measurement: &pb::MeasurementSpec,
    requisition: &pb::RequisitionSpec,
) -> bool {
    match &requisition.measurement_public_key {
        Some(key) => Some(key) == measurement.measurement_public_key.as_ref(),
        None => {
            requisition.serialized_measurement_public_key
                == measurement.serialized_measurement_public_key
        }
    }
}

/// EventGroup ids that ask for a refusal (3.10.5).
const TEST_IDS: [(&str, Justification); 5] = [
    ("consent-signal-invalid", Justification::ConsentSignalInvalid),
    ("spec-invalid", Justification::SpecInvalid),
    ("insufficient-privacy-budget", Justification::InsufficientPrivacyBudget),
    ("unfulfillable", Justification::Unfulfillable),
    ("declined", Justification::Declined),
];

/// Rows 11 and 12: the entries of the requisition's EventGroups.
fn event_groups(
    facts: &Facts<'_>,
    spec: &pb::RequisitionSpec,
) -> Result<Vec<pb::requisition_spec::EventGroupEntry>, Halt> {
    use pb::requisition_spec::RequisitionType;
    let entries = match &spec.requisition_type {
        Some(RequisitionType::Events(events)) => events.event_groups.clone(),
        _ => Vec::new(),
    };
    for entry in &entries {
        let name = EventGroupName::parse(&entry.key).ok_or_else(|| {
            let why = format!("`{}` is not the name of an EventGroup", entry.key);
            Halt::refuse("3.10/11", SpecInvalid, why)
        })?;
        if let Some((id, justification)) = TEST_IDS.iter().find(|(id, _)| *id == name.event_group) {
            return Err(Halt::refuse("3.10.5", *justification, format!("the test id {id}")));
        }
    }
    for entry in &entries {
        let fetched = facts
            .event_groups
            .get(&entry.key)
            .ok_or_else(|| Halt::Need(Need::EventGroup(entry.key.clone())))?;
        let group = fetched.as_ref().map_err(|error| {
            let why = format!("{}: {error}", entry.key);
            match error.code {
                "NOT_FOUND" => Halt::refuse("3.10/12", SpecInvalid, why),
                "PERMISSION_DENIED" => Halt::end("3.10/12", SpecInvalid, why),
                _ => Halt::end("3.10/12", None, why),
            }
        })?;
        if !group.event_group_reference_id.starts_with(&facts.policy.reference_id_prefix) {
            let why = format!("{} is not one that this provider serves", entry.key);
            return Err(Halt::refuse("3.10/12", SpecInvalid, why));
        }
    }
    Ok(entries)
}

/// Row 13.
fn protocol(facts: &Facts<'_>, spec: &pb::MeasurementSpec) -> Result<Protocol, Halt> {
    let refuse = |why: String| Halt::refuse("3.10/13", SpecInvalid, why);
    let config = facts.requisition.protocol_config.clone().unwrap_or_default();
    let protocol = config
        .protocols
        .into_iter()
        .filter_map(|protocol| protocol.protocol)
        .min_by_key(ProtocolKind::of)
        .ok_or_else(|| refuse("no protocol, or none that is known".to_owned()))?;
    let kind = ProtocolKind::of(&protocol);
    let is_reach = matches!(spec.measurement_type, Some(MeasurementType::Reach(_)));
    let is_frequency = matches!(spec.measurement_type, Some(MeasurementType::ReachAndFrequency(_)));
    let fits = match kind {
        ProtocolKind::Direct => matches!(
            spec.measurement_type,
            Some(
                MeasurementType::Reach(_)
                    | MeasurementType::ReachAndFrequency(_)
                    | MeasurementType::Impression(_)
                    | MeasurementType::Duration(_)
            )
        ),
        ProtocolKind::ReachOnlyLiquidLegionsV2 => is_reach,
        _ => is_reach || is_frequency,
    };
    if !fits {
        return Err(refuse(format!("the measurement type does not fit {kind:?}")));
    }
    if !facts.policy.protocols.contains(&kind) {
        return Err(refuse(format!("this provider does not support {kind:?}")));
    }
    if let Protocol::Direct(direct) = &protocol
        && !direct.noise_mechanisms().any(|noise| noise == NoiseMechanism::ContinuousGaussian)
    {
        return Err(refuse("CONTINUOUS_GAUSSIAN noise is not offered".to_owned()));
    }
    Ok(protocol)
}

/// Rows 14 and 15.
fn duchies(facts: &Facts<'_>, protocol: &Protocol) -> Result<(), Halt> {
    let quirks = &facts.quirks;
    let verifier = verifier(facts);
    let entries = &facts.requisition.duchies;
    for entry in entries {
        let value = entry.value.clone().unwrap_or_default();
        let certificate = certificate(facts.certificates, &value.duchy_certificate, "3.10/14")?;
        let leaf = certificate.x509_der.as_slice();
        let wrong = |what: Untrusted| Halt::untrusted("3.10/14", what, quirks);
        let issuer =
            verifier.issuer(leaf, &certificate.name).map_err(|error| wrong(error.into()))?;
        // Without a key (TrusTEE, the HMSS fulfilling Duchy) there is nothing more to verify.
        if let Some(key) = duchy_key(value.protocol.as_ref()) {
            verifier.path(leaf, issuer).map_err(|error| wrong(error.into()))?;
            from_wire(key).verify(leaf).map_err(|error| wrong(error.into()))?;
        }
    }
    let keys = entries
        .iter()
        .filter_map(|entry| duchy_key(entry.value.as_ref()?.protocol.as_ref()))
        .count();
    let wrong = match protocol {
        Protocol::HonestMajorityShareShuffle(_) if entries.len() != 2 => {
            format!("two Duchy entries are due, there are {}", entries.len())
        }
        Protocol::HonestMajorityShareShuffle(_) if keys != 1 => {
            format!("one Duchy entry must show a key, {keys} do")
        }
        Protocol::TrusTee(_) if entries.len() != 1 => {
            format!("one Duchy entry is due, there are {}", entries.len())
        }
        _ => return Ok(()),
    };
    Err(Halt::refuse("3.10/15", SpecInvalid, wrong))
}

/// The signed key that a Duchy entry shows.
pub(super) fn duchy_key(protocol: Option<&DuchyKey>) -> Option<&pb::SignedMessage> {
    match protocol? {
        DuchyKey::LiquidLegionsV2(entry) | DuchyKey::ReachOnlyLiquidLegionsV2(entry) => {
            entry.el_gamal_public_key.as_ref()
        }
        DuchyKey::HonestMajorityShareShuffle(entry) => entry.public_key.as_ref(),
        DuchyKey::TrusTee(_) => None,
    }
}

/// Row 16: noise, budget, filter, methodology.
fn methodology(
    facts: &Facts<'_>,
    spec: &pb::MeasurementSpec,
    protocol: &Protocol,
    entries: &[pb::requisition_spec::EventGroupEntry],
) -> Result<(), Halt> {
    let noise = match protocol {
        Protocol::LiquidLegionsV2(config) => Some(config.noise_mechanism()),
        Protocol::ReachOnlyLiquidLegionsV2(config) => Some(config.noise_mechanism()),
        Protocol::HonestMajorityShareShuffle(config) => Some(config.noise_mechanism()),
        // The simulator charges TrusTEE as DISCRETE_GAUSSIAN and never reads the mechanism that it
        // names, which as deployed is CONTINUOUS_GAUSSIAN: comparing it would refuse every one.
        Protocol::TrusTee(_) => Some(NoiseMechanism::DiscreteGaussian),
        // Row 13 has looked at it.
        Protocol::Direct(_) => None,
    };
    if let Some(noise) = noise.filter(|noise| *noise != NoiseMechanism::DiscreteGaussian) {
        let why = format!("the noise mechanism is {}, not DISCRETE_GAUSSIAN", noise.as_str_name());
        return Err(Halt::refuse("3.10/16", SpecInvalid, why));
    }
    if facts.policy.budget == Some(0) {
        let why = "the privacy budget is used up";
        return Err(Halt::refuse("3.10/16", InsufficientPrivacyBudget, why));
    }
    for entry in entries {
        let filter = entry.value.as_ref().and_then(|value| value.filter.as_ref());
        let expression = filter.map_or("", |filter| filter.expression.as_str());
        if let Err(why) = event_filter::check(expression) {
            let why = format!("the event filter `{expression}`: {why}");
            return Err(match protocol {
                Protocol::TrusTee(_) => Halt::end("3.10/16", SpecInvalid, why),
                _ => Halt::refuse("3.10/16", SpecInvalid, why),
            });
        }
    }
    if let Protocol::Direct(direct) = protocol {
        let needed = methodologies(spec);
        if let Some(missing) = needed.iter().find(|methodology| {
            !methodology.is_offered(direct) || !facts.policy.methodologies.contains(methodology)
        }) {
            let why = format!("the methodology {missing:?} is needed and not available");
            return Err(Halt::refuse("3.10/16", Declined, why));
        }
    }
    Ok(())
}

/// The Direct methodologies that a measurement needs.
pub fn methodologies(spec: &pb::MeasurementSpec) -> Vec<Methodology> {
    use Methodology::{
        DeterministicCount, DeterministicCountDistinct, DeterministicDistribution, DeterministicSum,
    };
    match spec.measurement_type {
        Some(MeasurementType::Reach(_)) => vec![DeterministicCountDistinct],
        Some(MeasurementType::ReachAndFrequency(_)) => {
            vec![DeterministicCountDistinct, DeterministicDistribution]
        }
        Some(MeasurementType::Impression(_)) => vec![DeterministicCount],
        Some(MeasurementType::Duration(_)) => vec![DeterministicSum],
        _ => Vec::new(),
    }
}

fn certificate<'a>(
    fetched: &'a Fetched<pb::Certificate>,
    name: &str,
    clause: &'static str,
) -> Result<&'a pb::Certificate, Halt> {
    fetched
        .get(name)
        .ok_or_else(|| Halt::Need(Need::Certificate(name.to_owned())))?
        .as_ref()
        .map_err(|error: &CallError| Halt::end(clause, None, format!("{name}: {error}")))
}

fn verifier<'a>(facts: &Facts<'a>) -> Verifier<'a> {
    Verifier {
        bundle: facts.bundle,
        now_unix_seconds: facts.now_unix_seconds,
        quirks: facts.quirks,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 3.8.3 by 3.5.6: bytes and type URL have to be equal, another prefix is another key.
    #[test]
    fn a_measurement_key_is_compared_with_its_type_url() {
        let key = |host: &str, value: &[u8]| {
            let type_url = format!("{host}/wfa.measurement.api.v2alpha.EncryptionPublicKey");
            Some(prost_types::Any { type_url, value: value.to_vec() })
        };
        let measurement_spec = pb::MeasurementSpec {
            measurement_public_key: key("type.googleapis.com", b"key"),
            ..Default::default()
        };
        for (host, value, same) in [
            ("type.googleapis.com", b"key", true),
            ("type.googleapis.com", b"kex", false),
            ("type.example.com", b"key", false),
        ] {
            let requisition_spec = pb::RequisitionSpec {
                measurement_public_key: key(host, value),
                ..Default::default()
            };
            let found = same_measurement_key(&measurement_spec, &requisition_spec);
            assert_eq!(found, same, "{host}");
        }
    }
}
