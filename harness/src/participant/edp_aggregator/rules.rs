//! What the EDP aggregator's requisition fetcher refuses (contract 3.11.2 and 3.11.3), and what its
//! results fulfiller makes of a requisition (3.11.5 and 3.11.6). Pure.

use crate::participant::data_provider::rules::{Order, ProtocolKind};
use crate::participant::measurement_consumer::open_with;
use crate::participant::{to_wire, unpack};
use crate::quirk::{PeerQuirk, PeerQuirks};
use halo_consent::{OpenError, PrivateKeyset};
use kingdom_proto::name::DataProviderCertificateName;
use kingdom_proto::v2alpha as pb;
use pb::protocol_config::protocol::Protocol;
use pb::requisition::State;
use pb::requisition::refusal::Justification;
use pb::requisition_spec::RequisitionType;
use std::collections::{BTreeMap, BTreeSet};

/// A refusal of the fetcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Clause.
    pub clause: &'static str,
    /// Justification.
    pub justification: Justification,
    /// Message.
    pub message: String,
}

impl Refusal {
    fn new(clause: &'static str, justification: Justification, message: impl ToString) -> Self {
        Self { clause, justification, message: message.to_string() }
    }
}

/// What becomes of one requisition of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is registered for the results fulfiller, as part of this report.
    Registered {
        /// The report.
        report: String,
    },
    /// It is refused.
    Refused(Refusal),
}

/// One requisition that is not registered yet, and what the consent checks said of it (as documented,
/// 3.11.1; `None` when they were skipped or passed).
pub struct Candidate<'a> {
    /// The requisition.
    pub requisition: &'a pb::Requisition,
    /// A refusal of the consent checks.
    pub consent: Option<Refusal>,
}

/// Decides a batch: one fate for each candidate, in order.
pub fn fetch(batch: &[Candidate<'_>], keys: &[PrivateKeyset], quirks: &PeerQuirks) -> Vec<Fate> {
    let mut fates: Vec<Option<Fate>> = Vec::new();
    let mut reports: BTreeMap<String, Vec<(usize, String)>> = BTreeMap::new();
    for (index, candidate) in batch.iter().enumerate() {
        fates.push(None);
        match report_of(candidate.requisition) {
            Ok((report, model_line)) => {
                reports.entry(report).or_default().push((index, model_line));
            }
            Err(refusal) => fates[index] = Some(Fate::Refused(refusal)),
        }
    }
    let whole_report = quirks.faithful(PeerQuirk::AggregatorRefusesWholeReport);
    for (report, members) in reports {
        let offences: Vec<_> =
            members.iter().map(|(index, _)| offence(&batch[*index], keys)).collect();
        let first = offences.iter().flatten().next().cloned();
        // Which line is the wrong one nobody can say, so the refusal is for each requisition that
        // would be stored with the others: not for those that are refused anyway.
        let stored = || members.iter().zip(&offences).filter(|(_, offence)| offence.is_none());
        let lines: BTreeSet<&String> = stored().map(|((_, line), _)| line).collect();
        let mixed = (lines.len() > 1).then(|| {
            let why = "requisitions of the report name different model lines";
            Refusal::new("3.11.3", Justification::Unfulfillable, why)
        });
        for ((index, _), offence) in members.iter().zip(&offences) {
            let spread = if whole_report { &first } else { &None };
            let refusal = spread.as_ref().or(offence.as_ref()).or(mixed.as_ref()).cloned();
            let registered = Fate::Registered { report: report.clone() };
            fates[*index] = Some(refusal.map_or(registered, Fate::Refused));
        }
    }
    fates.into_iter().flatten().collect()
}

/// 3.11.2: the report and the model line, or the refusal of this requisition alone.
fn report_of(requisition: &pb::Requisition) -> Result<(String, String), Refusal> {
    let invalid = |why: &str| Refusal::new("3.11.2", Justification::SpecInvalid, why);
    let signed = requisition.measurement_spec.clone().unwrap_or_default();
    let spec: pb::MeasurementSpec = unpack(signed.message.as_ref()).map_err(|why| invalid(&why))?;
    let report = spec.reporting_metadata.unwrap_or_default().report;
    if report.is_empty() {
        return Err(invalid("reporting_metadata.report is empty"));
    }
    Ok((report, spec.model_line))
}

/// What is wrong with one requisition by itself: 3.11.3, and the consent checks before it where they are
/// made.
fn offence(candidate: &Candidate<'_>, keys: &[PrivateKeyset]) -> Option<Refusal> {
    match &candidate.consent {
        Some(refusal) => Some(refusal.clone()),
        None => requisition_spec(candidate.requisition, keys).err(),
    }
}

/// Decrypts and parses a RequisitionSpec, without verifying anything (3.11.1, 3.11.3).
///
/// # Errors
/// The refusal.
pub fn requisition_spec(
    requisition: &pb::Requisition,
    keys: &[PrivateKeyset],
) -> Result<pb::RequisitionSpec, Refusal> {
    let sealed = requisition.encrypted_requisition_spec.clone().unwrap_or_default();
    let opened = open_with(keys, &sealed).map_err(|error| {
        let justification = match error {
            OpenError::Decrypt(_) => Justification::ConsentSignalInvalid,
            _ => Justification::SpecInvalid,
        };
        Refusal::new("3.11.3", justification, error)
    })?;
    unpack(to_wire(opened).message.as_ref())
        .map_err(|why| Refusal::new("3.11.3", Justification::SpecInvalid, why))
}

/// The names of the EventGroups that a RequisitionSpec is about, in its order.
pub fn event_group_names(spec: &pb::RequisitionSpec) -> Vec<String> {
    match &spec.requisition_type {
        Some(RequisitionType::Events(events)) => {
            events.event_groups.iter().map(|entry| entry.key.clone()).collect()
        }
        _ => Vec::new(),
    }
}

/// 3.11.3, last sentence: the EventGroups of requisitions that are stored together are selected either
/// all by their entity keys or all by their reference ids. The refusal otherwise is for every one of
/// these requisitions, since none of them alone offends.
pub fn mixed_selectors<'a>(
    groups: impl IntoIterator<Item = &'a pb::EventGroup>,
) -> Option<Refusal> {
    // The Kingdom shows a key with the type alone where none was given.
    let has_key = |group: &pb::EventGroup| {
        group.entity_key.as_ref().is_some_and(|key| !key.entity_id.is_empty())
    };
    let by_entity_key: BTreeSet<bool> = groups.into_iter().map(has_key).collect();
    (by_entity_key.len() > 1).then(|| {
        let why = "some of the event groups are selected by entity key, others by reference id";
        Refusal::new("3.11.3", Justification::Unfulfillable, why)
    })
}

/// How the fetcher or the fulfiller refuses: without the etag (3.11.4, 3.11.5), although the
/// requisition that it read has one.
pub fn refusal_request(
    requisition: &pb::Requisition,
    refusal: &Refusal,
) -> pb::RefuseRequisitionRequest {
    pb::RefuseRequisitionRequest {
        name: requisition.name.clone(),
        refusal: Some(pb::requisition::Refusal {
            justification: refusal.justification.into(),
            message: refusal.message.clone(),
        }),
        etag: String::new(),
    }
}

/// What the results fulfiller makes of a registered requisition, read again (3.11.6).
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// It is fulfilled.
    Fulfil(Box<Order>),
    /// It is refused (3.11.5, the protocol's terms).
    Refuse(Refusal),
    /// It is not UNFULFILLED any more: nothing is left to do.
    Skip(String),
    /// The fulfiller throws: the work message is delivered again (3.11.5).
    Redeliver(String),
}

/// The results fulfiller's rules (3.11.5, 3.11.6). `noise_mechanisms`: those that it supports.
pub fn work(
    requisition: &pb::Requisition,
    keys: &[PrivateKeyset],
    noise_mechanisms: &BTreeSet<i32>,
) -> Work {
    if requisition.state() != State::Unfulfilled {
        return Work::Skip(format!("it is {}", requisition.state().as_str_name()));
    }
    let requisition_spec = match requisition_spec(requisition, keys) {
        Ok(spec) => spec,
        Err(refusal) => return Work::Redeliver(refusal.message),
    };
    let signed = requisition.measurement_spec.clone().unwrap_or_default();
    let measurement_spec: pb::MeasurementSpec = match unpack(signed.message.as_ref()) {
        Ok(spec) => spec,
        Err(why) => return Work::Redeliver(why),
    };
    let config = requisition.protocol_config.clone().unwrap_or_default();
    let protocols = config.protocols.into_iter().filter_map(|protocol| protocol.protocol);
    let Some(protocol) = protocols.min_by_key(ProtocolKind::of) else {
        return Work::Redeliver("no protocol that is known".to_owned());
    };
    if !offered_noise(&protocol).iter().any(|noise| noise_mechanisms.contains(noise)) {
        let why = "no noise mechanism that is supported";
        return Work::Refuse(Refusal::new("3.11.5", Justification::SpecInvalid, why));
    }
    let bound = &requisition.data_provider_certificate;
    if matches!(protocol, Protocol::Direct(_))
        && DataProviderCertificateName::parse(bound).is_none()
    {
        let why = format!("`{bound}` is not the name of a DataProvider certificate");
        return Work::Redeliver(why);
    }
    Work::Fulfil(Box::new(Order { measurement_spec, requisition_spec, protocol }))
}

fn offered_noise(protocol: &Protocol) -> Vec<i32> {
    match protocol {
        Protocol::Direct(config) => config.noise_mechanisms.clone(),
        Protocol::LiquidLegionsV2(config) => vec![config.noise_mechanism],
        Protocol::ReachOnlyLiquidLegionsV2(config) => vec![config.noise_mechanism],
        Protocol::HonestMajorityShareShuffle(config) => vec![config.noise_mechanism],
        Protocol::TrusTee(config) => vec![config.noise_mechanism],
    }
}
