//! The server's TLS (contract 2.1, 2.3, 2.11, 2.15): TLS 1.3 only, no resumption, the fake's clock,
//! and a path check that ties each certificate to its issuer's key identifier.

mod provider;

pub use provider::provider;

use crate::cause::Cause;
use crate::event::PeerFacts;
use crate::memo::Memo;
use crate::seam::clock::Clock;
use halo_pki::{CertificateFacts, InspectError, TrustEntry};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, TrustAnchor, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ServerConfig};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, InconsistentKeys, InvalidMessage,
    OtherError, PeerIncompatible, SignatureScheme,
};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Whether a client certificate is asked for (interfaces.md section 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// Not asked for: server TLS.
    Off,
    /// Asked for; its absence is accepted.
    Optional,
    /// Asked for; its absence fails the handshake. The default.
    #[default]
    Required,
}

impl ClientAuth {
    /// Its name in flags and in the state snapshot.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Optional => "optional",
            Self::Required => "required",
        }
    }
}

/// A client-auth mode that is none of the three.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is none of `off`, `optional` and `required`")]
pub struct UnknownClientAuth(String);

impl FromStr for ClientAuth {
    type Err = UnknownClientAuth;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::Off),
            "optional" => Ok(Self::Optional),
            "required" => Ok(Self::Required),
            other => Err(UnknownClientAuth(other.to_owned())),
        }
    }
}

/// A server configuration cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Certificate and key do not belong together (contract 5.7.3), or one of them is unusable.
    #[error("certificate and key cannot be used together: {0}")]
    Identity(rustls::Error),
    /// An entry of the trust bundle cannot be a trust anchor.
    #[error("entry {entry} of the trust bundle cannot be a trust anchor: {why}")]
    Anchor {
        /// Number of the entry, from 1.
        entry: usize,
        /// Why.
        why: String,
    },
}

/// Makes the configuration of one listener. Connections made with it keep it for good.
///
/// # Errors
/// Certificate and key do not match, or a trust entry is unusable.
pub fn server_config(
    certificate_der: &[u8],
    key_der: &[u8],
    trust: &[TrustEntry],
    client_auth: ClientAuth,
    clock: &Clock,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = provider(clock);
    let builder = ServerConfig::builder_with_details(provider.clone(), Arc::new(clock.clone()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Identity)?;
    let builder = match client_auth {
        ClientAuth::Off => builder.with_no_client_auth(),
        mode => builder.with_client_cert_verifier(Arc::new(PathVerifier::new(
            trust,
            mode == ClientAuth::Required,
            provider.signature_verification_algorithms,
        )?)),
    };
    let chain = vec![CertificateDer::from(certificate_der.to_vec())];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key_der.to_vec()));
    let mut config = builder.with_single_cert(chain, key).map_err(TlsError::Identity)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    // Resumption would carry an old certificate past a rotation (rust-notes.md section 1).
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}

/// Whether a private key, PKCS#8, is certainly not a certificate's: `false` also for what TLS cannot
/// read, which [`server_config`] tells.
pub(crate) fn is_other_key(certificate_der: &[u8], key_der: &[u8]) -> bool {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key_der.to_vec()));
    let Ok(key) = provider::signing_key(key) else { return false };
    let chain = vec![CertificateDer::from(certificate_der.to_vec())];
    let pair = rustls::sign::CertifiedKey::new(chain, key);
    pair.keys_match() == Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch))
}

/// Checks a client's path as the real server does (contract 2.15): webpki's checks, plus that an
/// AKID, where present, is there once and names the certificate that issued this one.
struct PathVerifier {
    roots: Vec<Root>,
    mandatory: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

struct Root {
    skid: Vec<u8>,
    anchor: TrustAnchor<'static>,
}

/// One step of a verified path.
struct Issuer {
    skid: Vec<u8>,
    akid: Option<Vec<u8>>,
}

/// Why a client's certificate was refused, and which one it was. Every refusal of ours travels as
/// this, so that the server's event can name the certificate; the client gets the alert
/// `certificate_unknown`, as from the JDK.
#[derive(Debug)]
struct PathError {
    cause: Cause,
    peer: Option<PeerFacts>,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cause.meaning())
    }
}

impl std::error::Error for PathError {}

fn refuse(cause: Cause, peer: Option<PeerFacts>) -> rustls::Error {
    CertificateError::Other(OtherError(Arc::new(PathError { cause, peer }))).into()
}

/// What a certificate says ([`halo_pki::inspect`]). The same few leaves come in handshake after handshake.
///
/// # Errors
/// It is no certificate.
pub fn facts(der: &[u8]) -> Result<Arc<CertificateFacts>, InspectError> {
    static READ: Memo<Vec<u8>, Arc<CertificateFacts>> = Memo::keeping(1024);
    READ.of(der, || halo_pki::inspect(der).map(Arc::new))
}

/// What events show of a client's leaf.
pub(crate) fn peer_facts(facts: &halo_pki::CertificateFacts) -> PeerFacts {
    PeerFacts {
        serial: facts.serial.clone(),
        skid: facts.skid.as_ref().map(hex::encode),
        akid: facts.akid().map(hex::encode),
    }
}

impl PathVerifier {
    fn new(
        trust: &[TrustEntry],
        mandatory: bool,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Result<Self, TlsError> {
        let roots = trust
            .iter()
            .enumerate()
            .map(|(index, entry)| {
                let der = CertificateDer::from(entry.der.as_slice());
                let anchor = webpki::anchor_from_trusted_cert(&der).map_err(|error| {
                    TlsError::Anchor { entry: index + 1, why: error.to_string() }
                })?;
                Ok(Root { skid: entry.skid.clone(), anchor: anchor.to_owned() })
            })
            .collect::<Result<_, TlsError>>()?;
        Ok(Self { roots, mandatory, algorithms })
    }

    /// webpki's verdict, with the roots that `wanted` keeps: the issuers from the leaf's own up to
    /// the root.
    fn path(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        wanted: impl Fn(&Root) -> bool,
    ) -> Result<Vec<Issuer>, Cause> {
        let collected: Vec<_>;
        let mut roots = self.roots.iter().filter(|root| wanted(root));
        let anchors = match (roots.next(), roots.next()) {
            // The usual case costs no copy.
            (Some(only), None) => std::slice::from_ref(&only.anchor),
            _ => {
                let wanted = self.roots.iter().filter(|root| wanted(root));
                collected = wanted.map(|root| root.anchor.clone()).collect();
                collected.as_slice()
            }
        };
        let leaf = webpki::EndEntityCert::try_from(leaf).map_err(|error| path_cause(&error))?;
        let path = leaf
            .verify_for_usage(
                self.algorithms.all,
                anchors,
                intermediates,
                now,
                webpki::KeyUsage::client_auth(),
                None,
                None,
            )
            .map_err(|error| path_cause(&error))?;
        let mut issuers = Vec::new();
        for certificate in path.intermediate_certificates() {
            let facts = facts(&certificate.der())
                .ok()
                .filter(|facts| facts.duplicate_extensions.is_empty())
                .ok_or(Cause::MalformedCertificate)?;
            let skid = facts.skid.clone().unwrap_or_default();
            // A CA below one root that carries another root's key identifier would make its leaves
            // that root's.
            if self.roots.iter().any(|root| root.skid == skid) {
                return Err(Cause::AkidNotOfIssuer);
            }
            issuers.push(Issuer { skid, akid: facts.akid().map(<[u8]>::to_vec) });
        }
        let anchor = path.anchor();
        let root = self.roots.iter().find(|root| {
            root.anchor.subject == anchor.subject
                && root.anchor.subject_public_key_info == anchor.subject_public_key_info
        });
        let skid = root.map(|root| root.skid.clone()).unwrap_or_default();
        issuers.push(Issuer { skid, akid: None });
        Ok(issuers)
    }

    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let facts = facts(leaf).map_err(|_| refuse(Cause::MalformedCertificate, None))?;
        self.judge(leaf, &facts, intermediates, now)
            .map_err(|cause| refuse(cause, Some(peer_facts(&facts))))
    }

    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        facts: &halo_pki::CertificateFacts,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Cause> {
        if !facts.duplicate_extensions.is_empty() {
            return Err(Cause::MalformedCertificate);
        }
        let akid = facts.akid().map(<[u8]>::to_vec);

        // The candidate root by AKID first: the usual leaf costs one signature check.
        if let Some(akid) = &akid
            && intermediates.is_empty()
        {
            let named = |root: &Root| root.skid == *akid;
            let Err(cause) = self.path(leaf, intermediates, now, named) else { return Ok(()) };
            // Only a refusal pays for naming its cause.
            return Err(match self.path(leaf, intermediates, now, |root| !named(root)) {
                Ok(_) => Cause::AkidNotOfIssuer,
                Err(_) if self.roots.iter().any(named) => cause,
                Err(other) => other,
            });
        }

        // In a chain the rule holds at each step against the issuer in that path (2.15).
        let mut below = akid;
        for issuer in self.path(leaf, intermediates, now, |_| true)? {
            if below.is_some_and(|akid| akid != issuer.skid) {
                return Err(Cause::AkidNotOfIssuer);
            }
            below = issuer.akid;
        }
        Ok(())
    }
}

impl fmt::Debug for PathVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PathVerifier").field("roots", &self.roots.len()).finish_non_exhaustive()
    }
}

impl ClientCertVerifier for PathVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.verify(end_entity, intermediates, now).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// webpki's word for it as ours.
fn path_cause(error: &webpki::Error) -> Cause {
    use webpki::Error as E;
    match error {
        E::UnknownIssuer => Cause::UnknownIssuer,
        E::CertExpired { .. } => Cause::Expired,
        E::CertNotValidYet { .. } => Cause::NotYetValid,
        E::InvalidSignatureForPublicKey => Cause::BadSignature,
        E::UnsupportedSignatureAlgorithmContext(_)
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Cause::UnsupportedAlgorithm,
        E::RequiredEkuNotFoundContext(_)
        | E::CaUsedAsEndEntity
        | E::EndEntityUsedAsCa
        | E::PathLenConstraintViolated
        | E::NameConstraintViolation => Cause::NotForClientAuthentication,
        _ => Cause::MalformedCertificate,
    }
}

/// The stable cause of a failed handshake, as the server saw it, and the certificate that was
/// refused if it got that far.
pub fn cause_of(error: &std::io::Error) -> (Cause, Option<PeerFacts>) {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>())
    else {
        return (Cause::HandshakeFailed, None);
    };
    let cause = match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => {
            return match inner.downcast_ref::<PathError>() {
                Some(refused) => (refused.cause, refused.peer.clone()),
                None => (Cause::MalformedCertificate, None),
            };
        }
        rustls::Error::NoCertificatesPresented => Cause::NoClientCertificate,
        // The signature over the handshake: the client does not hold the leaf's key.
        rustls::Error::InvalidCertificate(CertificateError::BadSignature) => Cause::BadSignature,
        rustls::Error::InvalidCertificate(_) => Cause::MalformedCertificate,
        rustls::Error::PeerIncompatible(incompatible) => match incompatible {
            PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled => Cause::TlsVersion,
            PeerIncompatible::NoSignatureSchemesInCommon
            | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon => {
                Cause::UnsupportedAlgorithm
            }
            _ => Cause::HandshakeFailed,
        },
        // The first byte is no TLS record's: somebody speaks another protocol.
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => Cause::Plaintext,
        _ => Cause::HandshakeFailed,
    };
    (cause, None)
}
