//! An EDP aggregator: a requisition fetcher that registers or refuses, and a results fulfiller that
//! decrypts again later (contract 3.11).

pub mod rules;

use super::data_provider::rules::{Consent, Facts, Halt, Need, Order, ProtocolKind};
use super::data_provider::{self, DataProvider};
use super::wire::{self, CallError, Dial};
use super::{EventKind, Fetched, unpack};
use crate::quirk::PeerQuirk;
use kingdom_proto::name::DataProviderCertificateName;
use kingdom_proto::v2alpha as pb;
use pb::protocol_config::NoiseMechanism;
use pb::protocol_config::protocol::Protocol;
use pb::requisition::State;
use pb::requisition::refusal::Justification;
use rules::{Candidate, Fate, Refusal};
use std::collections::{BTreeMap, BTreeSet};

/// An EDP aggregator, acting for one data provider.
pub struct EdpAggregator {
    /// Identity, keys and result signing certificate.
    pub provider: DataProvider,
    /// Noise mechanisms it supports (3.11.5).
    pub noise_mechanisms: BTreeSet<i32>,
    registered: BTreeMap<String, String>,
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
        let listed = self.list(dial).await?;
        let mut consents = Vec::new();
        for requisition in &listed {
            self.provider.saw(requisition);
            let skips = self.provider.base.faithful(PeerQuirk::AggregatorSkipsConsentChecks);
            consents.push(if skips { None } else { self.consent(dial, requisition).await });
        }
        let batch: Vec<_> = listed
            .iter()
            .zip(consents)
            .map(|(requisition, consent)| Candidate { requisition, consent })
            .collect();
        let quirks = self.provider.base.identity.quirks;
        let fates = rules::fetch(&batch, &self.provider.keys, &quirks);
        for (requisition, fate) in listed.iter().zip(fates) {
            match fate {
                Fate::Registered { report } => {
                    self.registered.insert(requisition.name.clone(), report);
                }
                Fate::Refused(refusal) => self.refuse(dial, &requisition.name, refusal).await,
            }
        }
        Ok(())
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

    /// Rows 1 to 10 of 3.10, made as documented only (quirk `aggregator-skips-consent-checks`).
    async fn consent(&mut self, dial: &dyn Dial, requisition: &pb::Requisition) -> Option<Refusal> {
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
                Ok(Consent { .. }) => return None,
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
                Err(Halt::End { ending, instead }) => {
                    let justification = instead.unwrap_or(Justification::ConsentSignalInvalid);
                    (ending.clause, justification, ending.cause)
                }
                Err(Halt::Need(Need::EventGroup(_))) => return None,
            };
            return Some(Refusal { clause, justification, message });
        }
    }

    async fn refuse(&mut self, dial: &dyn Dial, name: &str, refusal: Refusal) {
        let request = pb::RefuseRequisitionRequest {
            name: name.to_owned(),
            refusal: Some(pb::requisition::Refusal {
                justification: refusal.justification.into(),
                message: refusal.message.clone(),
            }),
            // 3.11.4: no etag.
            etag: String::new(),
        };
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
        if requisition.state() != State::Unfulfilled {
            let cause = format!("it is {}", requisition.state().as_str_name());
            self.provider.base.note(EventKind::RequisitionSkipped, "3.11.6", name, cause);
            return Ok(());
        }
        let requisition_spec = rules::requisition_spec(&requisition, &self.provider.keys)
            .map_err(|refusal| refusal.message)?;
        let signed = requisition.measurement_spec.clone().unwrap_or_default();
        let measurement_spec: pb::MeasurementSpec = unpack(signed.message.as_ref())?;
        let config = requisition.protocol_config.clone().unwrap_or_default();
        let protocol = config
            .protocols
            .into_iter()
            .filter_map(|protocol| protocol.protocol)
            .min_by_key(ProtocolKind::of)
            .ok_or("no protocol that is known")?;
        if !self.supports_noise(&protocol) {
            let refusal = Refusal {
                clause: "3.11.5",
                justification: Justification::SpecInvalid,
                message: "no noise mechanism that is supported".to_owned(),
            };
            self.refuse(dial, name, refusal).await;
            return Ok(());
        }
        let bound = &requisition.data_provider_certificate;
        if matches!(protocol, Protocol::Direct(_))
            && DataProviderCertificateName::parse(bound).is_none()
        {
            return Err(format!("`{bound}` is not the name of a DataProvider certificate"));
        }
        let order = Order { measurement_spec, requisition_spec, protocol };
        self.provider.fulfil_order(dial, &requisition, &order).await?;
        self.provider.base.note(EventKind::RequisitionFulfilled, "3.11.6", name, "");
        Ok(())
    }

    fn supports_noise(&self, protocol: &Protocol) -> bool {
        let offered = match protocol {
            Protocol::Direct(config) => config.noise_mechanisms.clone(),
            Protocol::LiquidLegionsV2(config) => vec![config.noise_mechanism],
            Protocol::ReachOnlyLiquidLegionsV2(config) => vec![config.noise_mechanism],
            Protocol::HonestMajorityShareShuffle(config) => vec![config.noise_mechanism],
            Protocol::TrusTee(config) => vec![config.noise_mechanism],
        };
        offered.iter().any(|noise| self.noise_mechanisms.contains(noise))
    }
}
