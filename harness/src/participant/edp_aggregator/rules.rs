//! What the EDP aggregator's requisition fetcher refuses: contract 3.11.2 and 3.11.3. Pure.

use crate::participant::measurement_consumer::open_with;
use crate::participant::{to_wire, unpack};
use crate::quirk::{PeerQuirk, PeerQuirks};
use halo_consent::{OpenError, PrivateKeyset};
use kingdom_proto::v2alpha as pb;
use pb::requisition::refusal::Justification;
use std::collections::BTreeMap;

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
        let line = members.first().map(|(_, line)| line.clone()).unwrap_or_default();
        let mut first: Option<Refusal> = None;
        for (index, model_line) in &members {
            let refusal = offence(&batch[*index], keys, *model_line == line);
            if first.is_none() {
                first.clone_from(&refusal);
            }
            let registered = Fate::Registered { report: report.clone() };
            fates[*index] = Some(refusal.map_or(registered, Fate::Refused));
        }
        if let (true, Some(first)) = (whole_report, first) {
            for (index, _) in &members {
                fates[*index] = Some(Fate::Refused(first.clone()));
            }
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

/// 3.11.3, and the consent checks before it where they are made.
fn offence(
    candidate: &Candidate<'_>,
    keys: &[PrivateKeyset],
    same_model_line: bool,
) -> Option<Refusal> {
    if let Some(refusal) = &candidate.consent {
        return Some(refusal.clone());
    }
    if let Err(refusal) = requisition_spec(candidate.requisition, keys) {
        return Some(refusal);
    }
    (!same_model_line).then(|| {
        let why = "requisitions of the report name different model lines";
        Refusal::new("3.11.3", Justification::Unfulfillable, why)
    })
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
