//! An EDP aggregator: a requisition fetcher that registers or refuses, and a results fulfiller that
//! decrypts again later (contract 3.11).

pub mod rules;

use super::data_provider::rules::{Consent, Ending, Facts, Halt, Need};
use super::data_provider::{self, DataProvider};
use super::wire::{self, CallError, Dial};
use super::{EventKind, Fetched};
use crate::quirk::PeerQuirk;
use kingdom_proto::v2alpha as pb;
use pb::protocol_config::NoiseMechanism;
use pb::requisition::State;
use rules::{Candidate, Fate, Refusal, Work};
use std::collections::{BTreeMap, BTreeSet};

/// An EDP aggregator, acting for one data provider.
pub struct EdpAggregator {
    /// Identity, keys and result signing certificate.
    pub provider: DataProvider,
    /// Noise mechanisms it supports (3.11.5).
    pub noise_mechanisms: BTreeSet<i32>,
    registered: BTreeMap<String, String>,
}

/// What the consent checks made of a requisition.
enum Checked {
    /// Nothing is wrong with it, or nothing was checked.
    Passed,
    /// It is refused.
    Refused(Refusal),
    /// Something could not be read: it is neither registered nor refused in this run.
    Undecided(Ending),
}

impl EdpAggregator {
    /// An aggregator that has registered nothing yet.
    pub fn new(provider: DataProvider) -> Self {
        let noise = [
            NoiseMechanism::ContinuousGaussian,
            NoiseMechanism::DiscreteGaussian,
            NoiseMechanism::None,
        ];
        Self {
            provider,
            noise_mechanisms: noise.into_iter().map(i32::from).collect(),
            registered: BTreeMap::new(),
        }
    }

    /// The requisitions that wait for the results fulfiller, with their reports.
    pub fn registered(&self) -> &BTreeMap<String, String> {
        &self.registered
    }

    /// One run of the requisition fetcher: registers or refuses everything that is new.
    ///
    /// # Errors
    /// The Kingdom's status of the listing; a refusal that fails is only noted (3.11.4).
    pub async fn fetch(&mut self, dial: &dyn Dial) -> Result<(), CallError> {
        let mut listed = Vec::new();
        let mut consents = Vec::new();
        for requisition in self.list(dial).await? {
            self.provider.saw(&requisition);
            let skips = self.provider.base.faithful(PeerQuirk::AggregatorSkipsConsentChecks);
            let checked =
                if skips { Checked::Passed } else { self.consent(dial, &requisition).await };
            let consent = match checked {
                Checked::Passed => None,
                Checked::Refused(refusal) => Some(refusal),
                // Outside the batch, so that its report is not refused on its account (3.11.3).
                Checked::Undecided(Ending { clause, cause }) => {
                    let kind = EventKind::RequisitionSkipped;
                    self.provider.base.note(kind, clause, &requisition.name, cause);
                    continue;
                }
            };
            listed.push(requisition);
            consents.push(consent);
        }
        let batch: Vec<_> = listed
            .iter()
            .zip(consents)
            .map(|(requisition, consent)| Candidate { requisition, consent })
            .collect();
        let quirks = self.provider.base.identity.quirks;
        let fates = rules::fetch(&batch, &self.provider.keys, &quirks);
        let mut reports: BTreeMap<String, Vec<&pb::Requisition>> = BTreeMap::new();
        for (requisition, fate) in listed.iter().zip(fates) {
            match fate {
                Fate::Registered { report } => {
                    reports.entry(report).or_default().push(requisition);
                }
                Fate::Refused(refusal) => self.refuse(dial, requisition, refusal).await,
            }
        }
        for (report, members) in reports {
            self.store(dial, report, &members).await;
        }
        Ok(())
    }

    /// Stores the requisitions of one report together, unless their EventGroups are selected in
    /// different ways (3.11.3). An EventGroup that cannot be read leaves the report for the next run.
    async fn store(&mut self, dial: &dyn Dial, report: String, members: &[&pb::Requisition]) {
        match self.event_groups(dial, members).await {
            Ok(groups) => {
                let refusal = rules::mixed_selectors(&groups);
                for requisition in members {
                    match &refusal {
                        Some(refusal) => self.refuse(dial, requisition, refusal.clone()).await,
                        None => {
                            self.registered.insert(requisition.name.clone(), report.clone());
                        }
                    }
                }
            }
            Err(error) => {
                let kind = EventKind::RequisitionSkipped;
                for requisition in members {
                    let base = &mut self.provider.base;
                    base.note(kind, "3.11.3", &requisition.name, error.to_string());
                }
            }
        }
    }

    /// Every EventGroup of these requisitions, each read once.
    async fn event_groups(
        &mut self,
        dial: &dyn Dial,
        members: &[&pb::Requisition],
    ) -> Result<Vec<pb::EventGroup>, CallError> {
        let mut names = BTreeSet::new();
        for requisition in members {
            if let Ok(spec) = rules::requisition_spec(requisition, &self.provider.keys) {
                names.extend(rules::event_group_names(&spec));
            }
        }
        let mut groups = Vec::new();
        for name in names {
            let request = pb::GetEventGroupRequest { name, ..pb::GetEventGroupRequest::default() };
            groups.push(self.provider.base.call(dial, wire::GET_EVENT_GROUP, &request).await?);
        }
        Ok(groups)
    }

    async fn list(&mut self, dial: &dyn Dial) -> Result<Vec<pb::Requisition>, CallError> {
        let mut request = pb::ListRequisitionsRequest {
            parent: self.provider.base.identity.resource.clone(),
            filter: Some(pb::list_requisitions_request::Filter {
                states: vec![State::Unfulfilled.into()],
                ..Default::default()
            }),
            ..pb::ListRequisitionsRequest::default()
        };
        let mut listed = Vec::new();
        loop {
            let page = self.provider.base.call(dial, wire::LIST_REQUISITIONS, &request).await?;
            listed.extend(page.requisitions);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        listed.retain(|requisition| !self.registered.contains_key(&requisition.name));
        Ok(listed)
    }

    /// Rows 1 to 10 of 3.10, made as documented only (quirk `aggregator-skips-consent-checks`). A
    /// refusal is final, so a certificate that cannot be fetched (row 1) decides nothing: as with the
    /// simulator, the requisition is left for the next run.
    async fn consent(&mut self, dial: &dyn Dial, requisition: &pb::Requisition) -> Checked {
        let mut certificates: Fetched<pb::Certificate> = Fetched::new();
        loop {
            let provider = &self.provider;
            let facts = Facts {
                requisition,
                bundle: &provider.base.identity.bundle,
                keys: &provider.keys,
                now_unix_seconds: provider.base.now_unix_seconds(),
                quirks: provider.base.identity.quirks,
                policy: &provider.policy,
                certificates: &certificates,
                event_groups: &Fetched::new(),
            };
            let (clause, justification, message) = match data_provider::rules::consent(&facts) {
                Ok(Consent { .. }) => return Checked::Passed,
                Err(Halt::Need(Need::Certificate(name))) => {
                    let request = pb::GetCertificateRequest { name: name.clone() };
                    let fetched =
                        self.provider.base.call(dial, wire::GET_CERTIFICATE, &request).await;
                    certificates.insert(name, fetched);
                    continue;
                }
                Err(Halt::Refuse(refusal)) => {
                    (refusal.clause, refusal.justification, refusal.message)
                }
                Err(Halt::End { ending, instead: Some(justification) }) => {
                    (ending.clause, justification, ending.cause)
                }
                Err(Halt::End { ending, instead: None }) => return Checked::Undecided(ending),
                Err(Halt::Need(Need::EventGroup(_))) => return Checked::Passed,
            };
            return Checked::Refused(Refusal { clause, justification, message });
        }
    }

    async fn refuse(&mut self, dial: &dyn Dial, requisition: &pb::Requisition, refusal: Refusal) {
        let name = &requisition.name;
        let request = rules::refusal_request(requisition, &refusal);
        let base = &mut self.provider.base;
        match base.call(dial, wire::REFUSE_REQUISITION, &request).await {
            Ok(_) => base.note_refusal(
                EventKind::RequisitionRefused,
                refusal.clause,
                refusal.justification.as_str_name(),
                name,
                refusal.message,
            ),
            Err(error) => {
                base.note(EventKind::RequisitionSkipped, "3.11.4", name, error.to_string());
            }
        }
    }

    /// One run of the results fulfiller over everything registered. What fails stays registered and
    /// is delivered again (3.11.5).
    pub async fn fulfil(&mut self, dial: &dyn Dial) {
        for name in self.registered.keys().cloned().collect::<Vec<_>>() {
            match self.fulfil_one(dial, &name).await {
                Ok(()) => {
                    self.registered.remove(&name);
                }
                Err(cause) => {
                    self.provider.base.note(EventKind::WorkRedelivered, "3.11.5", name, cause);
                }
            }
        }
    }

    async fn fulfil_one(&mut self, dial: &dyn Dial, name: &str) -> Result<(), String> {
        let request = pb::GetRequisitionRequest { name: name.to_owned() };
        let requisition = self
            .provider
            .base
            .call(dial, wire::GET_REQUISITION, &request)
            .await
            .map_err(|error| error.to_string())?;
        match rules::work(&requisition, &self.provider.keys, &self.noise_mechanisms) {
            Work::Skip(cause) => {
                self.provider.base.note(EventKind::RequisitionSkipped, "3.11.6", name, cause);
            }
            Work::Redeliver(cause) => return Err(cause),
            Work::Refuse(refusal) => self.refuse(dial, &requisition, refusal).await,
            Work::Fulfil(order) => {
                // The etag just read (3.11.6); the requisition as it was listed is of no use.
                self.provider.fulfil_order(dial, &requisition, &order).await?;
                self.provider.base.note(EventKind::RequisitionFulfilled, "3.11.6", name, "");
            }
        }
        Ok(())
    }
}
