//! A Duchy: gives its signed key, takes part in LLv2, RO-LLv2, HMSS and TrusTEE computations,
//! verifies its peers and the providers' seeds (contract 3.12), delivers results (3.9.2).
//!
//! The computation itself is not made: sketches, shares and results are opaque.

pub mod rules;

use super::trust::Verifier;
use super::wire::{self, CallError, Destination, Dial};
use super::{
    BadSandbox, Base, EventKind, Fetched, Identity, SigningPair, create_certificate, seal,
    signing_pair,
};
use fake_kingdom::sandbox::{ParticipantKind, Sandbox};
use fake_kingdom::seam::clock::Clock;
use fake_kingdom::seam::entropy::Seed;
use halo_consent::{KeyTemplate, PrivateKeyset};
use kingdom_proto::{system, v2alpha as pb};
use prost::Message as _;
use rand_core::RngCore as _;
use rules::{Confirmation, ReceivedSeed, RootOfDuchy, Shuffle, Thrown};
use std::collections::{BTreeMap, BTreeSet};
use system::computation::mpc_protocol_config::Protocol as Wanted;
use system::computation_participant::requisition_params::{
    HonestMajorityShareShuffle, LiquidLegionsV2, Protocol, TrusTee,
};
use system::computation_participant::{Failure, RequisitionParams};

/// The API version that Duchies write into results.
const API_VERSION: &str = "v2alpha";

/// The sandbox's Duchy that aggregates.
const AGGREGATOR: &str = "aggregator";

/// How often a mill tries a stage unless something else is set. The contract names no number: a
/// deployment configures it (3.12.5).
const MAXIMUM_ATTEMPTS: u32 = 10;

/// A stage of a computation in which a mill verifies something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Confirmation,
    Shuffle,
}

/// A Duchy's processes and their files.
pub struct Duchy {
    /// What it has in common with other participants.
    pub base: Base,
    /// Its id, such as `worker1`.
    pub id: String,
    /// The certificate it is configured with now (3.9.2, 5.8.1) and its key.
    pub signing: SigningPair,
    /// Whether it aggregates: then it has no key of its own in HMSS (3.7.8).
    pub aggregates: bool,
    /// Whose root is whose (2.10).
    pub roots: RootOfDuchy,
    /// Its key for HMSS seeds (3.6.1).
    pub keyset: PrivateKeyset,
    /// Ids of the requisitions whose data its fulfilment server stored.
    pub held: BTreeSet<String>,
    /// How often its mills try a stage before they fail the computation anyway (3.12.5).
    pub maximum_attempts: u32,
    attempts: BTreeMap<(String, Stage), u32>,
}

impl Duchy {
    /// A sandbox's Duchy.
    ///
    /// # Errors
    /// The sandbox has no such Duchy.
    pub fn of(
        sandbox: &Sandbox,
        name: &str,
        clock: &Clock,
        seed: Seed,
    ) -> Result<Self, BadSandbox> {
        let mut base = Base::new(Identity::of(sandbox, name, clock, seed)?);
        let bad = |what: &dyn std::fmt::Display| BadSandbox {
            name: name.to_owned(),
            what: what.to_string(),
        };
        let template = KeyTemplate::DhkemX25519HkdfSha256HkdfSha256Aes256Gcm;
        let keyset =
            PrivateKeyset::generate(template, &mut base.rng).map_err(|error| bad(&error))?;
        let mut roots = RootOfDuchy::new();
        for other in sandbox.participants() {
            if other.kind == ParticipantKind::Duchy {
                let path = format!("participants/{0}/{0}_root.pem", other.name);
                let pem = sandbox.file(&path).unwrap_or_default();
                let root = halo_pki::pem_certificates(pem).map_err(|error| bad(&error))?;
                let facts = root.first().map(|der| halo_pki::inspect(der));
                let skid = facts.and_then(Result::ok).and_then(|facts| facts.skid);
                roots.insert(other.name.clone(), skid.ok_or_else(|| bad(&path))?);
            }
        }
        let signing = signing_pair(sandbox, name)?;
        Ok(Self {
            base,
            id: name.to_owned(),
            signing,
            aggregates: name == AGGREGATOR,
            roots,
            keyset,
            held: BTreeSet::new(),
            maximum_attempts: MAXIMUM_ATTEMPTS,
            attempts: BTreeMap::new(),
        })
    }

    /// Registers another certificate, and signs with it from now on (5.8.1).
    ///
    /// # Errors
    /// The Kingdom's status.
    pub async fn rotate_certificate(
        &mut self,
        dial: &dyn Dial,
        certificate_der: &[u8],
        key: halo_consent::SigningKey,
    ) -> Result<(), CallError> {
        let created = create_certificate(&mut self.base, dial, certificate_der).await?;
        self.signing = SigningPair {
            certificate: created.name,
            certificate_der: certificate_der.to_vec(),
            key: key.into(),
        };
        Ok(())
    }

    /// The computation with this MeasurementSpec, as soon as the Kingdom's stream shows it.
    ///
    /// # Errors
    /// The Kingdom's status; DEADLINE_EXCEEDED if the stream never shows it.
    pub async fn find_computation(
        &mut self,
        dial: &dyn Dial,
        measurement_spec: &[u8],
    ) -> Result<system::Computation, CallError> {
        type Response = system::StreamActiveComputationsResponse;
        let wanted = |response: &Response| {
            response
                .computation
                .as_ref()
                .is_some_and(|one| one.measurement_spec == measurement_spec)
        };
        let request = system::StreamActiveComputationsRequest::default();
        let found = self
            .base
            .first_of_stream(
                dial,
                &Destination::SystemApi,
                "wfa.measurement.system.v1alpha.Computations/StreamActiveComputations",
                &request,
                &wanted,
            )
            .await?;
        Ok(found.computation.unwrap_or_default())
    }

    /// Reads a computation.
    ///
    /// # Errors
    /// The Kingdom's status.
    pub async fn computation(
        &mut self,
        dial: &dyn Dial,
        name: &str,
    ) -> Result<system::Computation, CallError> {
        let request = system::GetComputationRequest { name: name.to_owned() };
        self.base.call(dial, wire::GET_COMPUTATION, &request).await
    }

    /// Gives its parameters: a signed ElGamal key, a signed HPKE key, or nothing (3.7.7, 3.7.8,
    /// 3.7.10), under its configured certificate.
    ///
    /// # Errors
    /// The Kingdom's status: FAILED_PRECONDITION also for a certificate that is not valid (1.8.9).
    pub async fn set_params(
        &mut self,
        dial: &dyn Dial,
        computation: &system::Computation,
    ) -> Result<system::ComputationParticipant, CallError> {
        let protocol = self.params(computation)?;
        self.send_params(dial, computation, protocol).await
    }

    /// The parameters that a computation wants of this Duchy.
    ///
    /// # Errors
    /// The key cannot be signed.
    pub fn params(&mut self, computation: &system::Computation) -> Result<Protocol, CallError> {
        let config = computation.mpc_protocol_config.and_then(|config| config.protocol);
        let algorithm = self.signing.key.default_algorithm();
        let sign = |bytes: &[u8]| self.signing.key.sign(algorithm, bytes).map_err(CallError::own);
        let oid = algorithm.oid().to_owned();
        Ok(match config {
            Some(Wanted::HonestMajorityShareShuffle(_)) if self.aggregates => {
                Protocol::HonestMajorityShareShuffle(HonestMajorityShareShuffle::default())
            }
            Some(Wanted::HonestMajorityShareShuffle(_)) => {
                let key = self.keyset.public().to_encryption_public_key();
                Protocol::HonestMajorityShareShuffle(HonestMajorityShareShuffle {
                    tink_public_key_signature: sign(&key)?,
                    tink_public_key: key,
                    tink_public_key_signature_algorithm_oid: oid,
                })
            }
            Some(Wanted::TrusTee(_)) => Protocol::TrusTee(TrusTee {}),
            Some(Wanted::LiquidLegionsV2(config) | Wanted::ReachOnlyLiquidLegionsV2(config)) => {
                let mut element = vec![2; 33];
                self.base.rng.fill_bytes(&mut element[1..]);
                let key = pb::ElGamalPublicKey {
                    elliptic_curve_id: config.elliptic_curve_id,
                    generator: vec![2; 33],
                    element,
                }
                .encode_to_vec();
                let signed = LiquidLegionsV2 {
                    el_gamal_public_key_signature: sign(&key)?,
                    el_gamal_public_key: key,
                    el_gamal_public_key_signature_algorithm_oid: oid,
                };
                let config = computation.mpc_protocol_config.unwrap_or_default();
                match config.protocol {
                    Some(Wanted::ReachOnlyLiquidLegionsV2(_)) => {
                        Protocol::ReachOnlyLiquidLegionsV2(signed)
                    }
                    _ => Protocol::LiquidLegionsV2(signed),
                }
            }
            None => return Err(CallError::own("the computation names no protocol")),
        })
    }

    /// Gives these parameters, whatever they are.
    ///
    /// # Errors
    /// As [`Self::set_params`].
    pub async fn send_params(
        &mut self,
        dial: &dyn Dial,
        computation: &system::Computation,
        protocol: Protocol,
    ) -> Result<system::ComputationParticipant, CallError> {
        let name = self.participant_name(&computation.name);
        let request = system::SetParticipantRequisitionParamsRequest {
            name: name.clone(),
            requisition_params: Some(RequisitionParams {
                duchy_certificate: self.signing.certificate.clone(),
                protocol: Some(protocol),
                ..RequisitionParams::default()
            }),
            etag: String::new(),
        };
        let set = self.base.call(dial, wire::SET_PARAMS, &request).await?;
        self.base.note(EventKind::ParamsSet, "1.8.9", name, self.signing.certificate.clone());
        Ok(set)
    }

    fn participant_name(&self, computation: &str) -> String {
        format!("{computation}/participants/{}", self.id)
    }

    /// Notes that its fulfilment server stored the data of a requisition, by any of its names.
    pub fn hold(&mut self, requisition: &str) {
        self.held.insert(requisition.rsplit('/').next().unwrap_or_default().to_owned());
    }

    /// The confirmation phase of LLv2 and RO-LLv2 (3.12.3): confirms, or fails the computation for
    /// good with every finding. After [`Self::maximum_attempts`] it fails it anyway.
    ///
    /// # Errors
    /// The Kingdom's status, which no phase translates: the mill throws it, and the computation stays
    /// as it is until the stage is tried again (3.12.5).
    pub async fn confirm(
        &mut self,
        dial: &dyn Dial,
        computation: &str,
    ) -> Result<Vec<String>, CallError> {
        let done = self.try_to_confirm(dial, computation).await;
        done.map_err(|error| self.throw(computation, error))
    }

    async fn try_to_confirm(
        &mut self,
        dial: &dyn Dial,
        computation: &str,
    ) -> Result<Vec<String>, CallError> {
        if let Some(cause) = self.begin_attempt(dial, computation, Stage::Confirmation).await? {
            return Ok(vec![cause]);
        }
        let read = self.computation(dial, computation).await?;
        let facts = Confirmation {
            duchy: &self.id,
            computation: &read,
            bundle: &self.base.identity.bundle,
            roots: &self.roots,
            held: &self.held,
            now_unix_seconds: self.base.now_unix_seconds(),
        };
        let (clause, findings) = match rules::confirm(&facts) {
            Ok(findings) => ("3.12.3", findings),
            Err(Thrown(cause)) => ("3.12.5", vec![cause]),
        };
        if findings.is_empty() {
            let name = self.participant_name(computation);
            let request = system::ConfirmComputationParticipantRequest {
                name: name.clone(),
                etag: String::new(),
            };
            self.base.call(dial, wire::CONFIRM_PARTICIPANT, &request).await?;
            self.base.note(EventKind::ParticipantConfirmed, clause, name, "");
        } else {
            self.fail(dial, computation, clause, &findings.join("; ")).await?;
        }
        self.attempts.remove(&(computation.to_owned(), Stage::Confirmation));
        Ok(findings)
    }

    /// Counts an attempt at a stage. When the maximum has been used up, the computation is failed
    /// instead (3.12.5), and the cause comes back.
    async fn begin_attempt(
        &mut self,
        dial: &dyn Dial,
        computation: &str,
        stage: Stage,
    ) -> Result<Option<String>, CallError> {
        let maximum = self.maximum_attempts;
        let made = self.attempts.entry((computation.to_owned(), stage)).or_default();
        if *made < maximum {
            *made += 1;
            return Ok(None);
        }
        let cause = format!("{stage:?} was tried {made} times, the maximum");
        self.fail(dial, computation, "3.12.5", &cause).await?;
        Ok(Some(cause))
    }

    /// Notes a status that is thrown out of the mill (3.12.5).
    fn throw(&mut self, computation: &str, error: CallError) -> CallError {
        self.base.note(EventKind::StatusThrown, "3.12.5", computation, error.to_string());
        error
    }

    /// Fails a computation for good (1.6.9).
    ///
    /// # Errors
    /// The Kingdom's status.
    pub async fn fail(
        &mut self,
        dial: &dyn Dial,
        computation: &str,
        clause: &'static str,
        cause: &str,
    ) -> Result<(), CallError> {
        let request = system::FailComputationParticipantRequest {
            name: self.participant_name(computation),
            failure: Some(Failure {
                participant_child_reference_id: format!("{}-mill", self.id),
                error_message: cause.to_owned(),
                error_time: Some(self.base.identity.clock.now().to_proto()),
                stage_attempt: None,
            }),
            etag: String::new(),
        };
        self.base.call(dial, wire::FAIL_PARTICIPANT, &request).await?;
        self.base.note(EventKind::ComputationFailed, clause, computation, cause);
        Ok(())
    }

    /// The shuffle phase of HMSS (3.12.4): every seed is checked; the first permanent finding fails
    /// the computation for good, a transient one leaves the stage for another try, of which there are
    /// [`Self::maximum_attempts`].
    ///
    /// # Errors
    /// The Kingdom's status of FailComputationParticipant, as [`Self::confirm`].
    pub async fn shuffle(
        &mut self,
        dial: &dyn Dial,
        computation: &str,
        seeds: &[ReceivedSeed],
    ) -> Result<Shuffle, CallError> {
        let done = self.try_to_shuffle(dial, computation, seeds).await;
        done.map_err(|error| self.throw(computation, error))
    }

    async fn try_to_shuffle(
        &mut self,
        dial: &dyn Dial,
        computation: &str,
        seeds: &[ReceivedSeed],
    ) -> Result<Shuffle, CallError> {
        if let Some(cause) = self.begin_attempt(dial, computation, Stage::Shuffle).await? {
            return Ok(Shuffle::Permanent(cause));
        }
        let mut last = Shuffle::Permanent("there is no seed".to_owned());
        for seed in seeds {
            let mut fetched: Fetched<pb::Certificate> = Fetched::new();
            last = loop {
                let verifier = Verifier {
                    bundle: &self.base.identity.bundle,
                    now_unix_seconds: self.base.now_unix_seconds(),
                    quirks: self.base.identity.quirks,
                };
                let certificate = fetched.get(&seed.certificate);
                match rules::shuffle(seed, &self.keyset, certificate, &verifier) {
                    Shuffle::Fetch(name) => {
                        let request = pb::GetCertificateRequest { name: name.clone() };
                        let answer = self.base.call(dial, wire::GET_CERTIFICATE, &request).await;
                        fetched.insert(name, answer);
                    }
                    outcome => break outcome,
                }
            };
            if !matches!(last, Shuffle::Passed(_)) {
                break;
            }
        }
        match &last {
            Shuffle::Permanent(cause) => {
                let cause = cause.clone();
                self.fail(dial, computation, "3.12.4", &cause).await?;
            }
            Shuffle::Transient(cause) => {
                let cause = cause.clone();
                self.base.note(EventKind::StageRetried, "3.12.4", computation, cause);
            }
            Shuffle::Fetch(_) | Shuffle::Passed(_) => {}
        }
        if !matches!(last, Shuffle::Transient(_)) {
            self.attempts.remove(&(computation.to_owned(), Stage::Shuffle));
        }
        Ok(last)
    }

    /// Delivers a result as the aggregator: signed with the certificate configured now (3.9.2),
    /// encrypted to the measurement's public key (3.7.5).
    ///
    /// # Errors
    /// The Kingdom's status; INTERNAL if the key cannot be used.
    pub async fn deliver(
        &mut self,
        dial: &dyn Dial,
        computation: &system::Computation,
        result: &pb::measurement::Result,
    ) -> Result<(), CallError> {
        let spec = pb::MeasurementSpec::decode(computation.measurement_spec.as_slice())
            .map_err(CallError::own)?;
        let key = spec.measurement_public_key;
        let signed = self.signing.sign(result).map_err(CallError::own)?;
        let sealed = seal(key.as_ref(), signed, &mut self.base.rng).map_err(CallError::own)?;
        let request = system::SetComputationResultRequest {
            name: computation.name.clone(),
            aggregator_certificate: self.signing.certificate.clone(),
            result_public_key: key.unwrap_or_default().value,
            encrypted_result: sealed.ciphertext,
            public_api_version: API_VERSION.to_owned(),
        };
        self.base.call(dial, wire::SET_COMPUTATION_RESULT, &request).await?;
        let certificate = self.signing.certificate.clone();
        self.base.note(EventKind::ResultDelivered, "3.9.2", &computation.name, certificate);
        Ok(())
    }
}
