//! What a Duchy verifies: the confirmation phase of LLv2 and RO-LLv2, and the shuffle phase of HMSS
//! (contract 3.12). Pure.

use crate::participant::trust::{TrustBundle, Untrusted, Verifier};
use crate::participant::unpack;
use crate::participant::wire::CallError;
use halo_consent::{PrivateKeyset, check_path, nonce_hash, open_signed, verify};
use kingdom_proto::name::ComputationParticipantName;
use kingdom_proto::{system, v2alpha as pb};
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use system::computation_participant::requisition_params::Protocol;

/// `DuchyCertConfig`: the one root of each Duchy, by SKID (2.10).
pub type RootOfDuchy = BTreeMap<String, Vec<u8>>;

/// What the confirmation phase looks at. Nothing is fetched: certificates come along (3.12.3).
#[derive(Clone, Copy)]
pub struct Confirmation<'a> {
    /// The Duchy that confirms, by id.
    pub duchy: &'a str,
    /// The computation as the Kingdom shows it.
    pub computation: &'a system::Computation,
    /// The Duchy's trust bundle.
    pub bundle: &'a TrustBundle,
    /// Whose root is whose.
    pub roots: &'a RootOfDuchy,
    /// Ids of the requisitions whose data this Duchy holds.
    pub held: &'a BTreeSet<String>,
    /// When.
    pub now_unix_seconds: i64,
}

/// The confirmation phase did not run to its end: permanent as well (3.12.5).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the confirmation phase threw: {0}")]
pub struct Thrown(pub String);

/// The confirmation phase: every finding, in the order of 3.12.3; none means confirmed.
///
/// # Errors
/// [`Thrown`]: a spec that does not parse; a Duchy without an entry in the configuration, or whose
/// listed root is not in the bundle (3.4.2).
pub fn confirm(facts: &Confirmation<'_>) -> Result<Vec<String>, Thrown> {
    let mut findings = Vec::new();
    let computation = facts.computation;
    let spec = pb::MeasurementSpec::decode(computation.measurement_spec.as_slice())
        .map_err(|_| Thrown("the MeasurementSpec does not parse".to_owned()))?;

    let hashes = |nonce: &u64| nonce_hash(*nonce).to_vec();
    let given: BTreeSet<_> = computation.requisitions.iter().map(|r| hashes(&r.nonce)).collect();
    let listed: BTreeSet<_> = spec.nonce_hashes.into_iter().collect();
    if given != listed {
        findings.push("the nonces are not those of the MeasurementSpec".to_owned());
    }
    for requisition in &computation.requisitions {
        let fulfiller =
            ComputationParticipantName::parse(&requisition.fulfilling_computation_participant);
        let id = requisition.name.rsplit('/').next().unwrap_or_default();
        if fulfiller.is_some_and(|name| name.duchy == facts.duchy) && !facts.held.contains(id) {
            findings.push(format!("the data of {} is not here", requisition.name));
        }
    }
    for participant in &computation.computation_participants {
        let duchy = ComputationParticipantName::parse(&participant.name)
            .map(|name| name.duchy)
            .ok_or_else(|| Thrown(format!("`{}` is no participant", participant.name)))?;
        let skid = facts
            .roots
            .get(&duchy)
            .ok_or_else(|| Thrown(format!("no root is configured for {duchy}")))?;
        let root = facts
            .bundle
            .root(skid)
            .ok_or_else(|| Thrown(format!("the root of {duchy} is not in the bundle")))?;
        let params = participant.requisition_params.clone().unwrap_or_default();
        let Some(Protocol::LiquidLegionsV2(key) | Protocol::ReachOnlyLiquidLegionsV2(key)) =
            &params.protocol
        else {
            return Err(Thrown(format!("{duchy} gave no ElGamal key")));
        };
        let leaf = params.duchy_certificate_der.as_slice();
        // An unsupported OID throws in the real mill, with the same end: the computation fails.
        let verified = verify(
            leaf,
            &key.el_gamal_public_key_signature_algorithm_oid,
            &key.el_gamal_public_key,
            &key.el_gamal_public_key_signature,
        );
        if let Err(error) = verified {
            findings.push(format!("{duchy}'s ElGamal key: {error}"));
        }
        if let Err(error) = check_path(leaf, root, facts.now_unix_seconds) {
            findings.push(format!("{duchy}'s certificate: {error}"));
        }
    }
    Ok(findings)
}

/// A seed that a provider sent with its share (1.7.14, 3.7.9).
#[derive(Clone, Debug, PartialEq)]
pub struct ReceivedSeed {
    /// The sealed SignedMessage.
    pub sealed: pb::EncryptedMessage,
    /// The certificate that the provider named in the header.
    pub certificate: String,
}

/// How far the shuffle phase got with one seed. `Debug` never shows the seed.
#[derive(Clone, PartialEq)]
pub enum Shuffle {
    /// It needs this certificate.
    Fetch(String),
    /// It passed.
    Passed(pb::RandomSeed),
    /// The stage is tried again.
    Transient(String),
    /// The computation fails for good.
    Permanent(String),
}

impl fmt::Debug for Shuffle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetch(name) => f.debug_tuple("Fetch").field(name).finish(),
            Self::Passed(_) => f.write_str("Passed(redacted)"),
            Self::Transient(cause) => f.debug_tuple("Transient").field(cause).finish(),
            Self::Permanent(cause) => f.debug_tuple("Permanent").field(cause).finish(),
        }
    }
}

/// Checks one seed of the shuffle phase (3.12.4): decryption with the Duchy's stored key first, then
/// the provider's certificate, then issuer, path and signature.
pub fn shuffle(
    seed: &ReceivedSeed,
    key: &PrivateKeyset,
    certificate: Option<&Result<pb::Certificate, CallError>>,
    verifier: &Verifier<'_>,
) -> Shuffle {
    let opened = match open_signed(key, &seed.sealed.ciphertext, &seed.sealed.type_url) {
        Ok(opened) => opened,
        Err(error) => return Shuffle::Permanent(format!("the seed: {error}")),
    };
    let certificate = match certificate {
        None => return Shuffle::Fetch(seed.certificate.clone()),
        Some(Ok(certificate)) => certificate,
        Some(Err(error)) if error.is_transient() => return Shuffle::Transient(error.to_string()),
        Some(Err(error)) => return Shuffle::Permanent(error.to_string()),
    };
    let leaf = certificate.x509_der.as_slice();
    let verified = verifier
        .issuer(leaf, &certificate.name)
        .map_err(Untrusted::from)
        .and_then(|issuer| Ok(verifier.path(leaf, issuer)?))
        .and_then(|()| Ok(opened.verify(leaf)?));
    if let Err(error) = verified {
        return Shuffle::Permanent(format!("{}: {error}", seed.certificate));
    }
    let message =
        opened.message.map(|any| prost_types::Any { type_url: any.type_url, value: any.value });
    match unpack(message.as_ref()) {
        Ok(seed) => Shuffle::Passed(seed),
        Err(why) => Shuffle::Permanent(format!("the seed: {why}")),
    }
}
