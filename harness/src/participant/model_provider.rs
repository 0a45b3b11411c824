//! A model provider: it has certificates and no public key (contract 1.3.4), and reads what it may
//! read (1.1.3, 1.3.1). What it signs goes to its peers in exchanges, none of it to the Kingdom (4.5).

use super::wire::{self, CallError, Dial};
use super::{BadSandbox, Base, Identity, SigningPair, create_certificate};
use fake_kingdom::sandbox::Sandbox;
use fake_kingdom::seam::clock::Clock;
use fake_kingdom::seam::entropy::Seed;
use kingdom_proto::v2alpha as pb;

/// A model provider.
pub struct ModelProvider {
    /// What it has in common with other participants.
    pub base: Base,
    /// The certificate that it signs with towards its peers, and its key; a sandbox registers none for it.
    pub signing: Option<SigningPair>,
}

impl ModelProvider {
    /// A sandbox's model provider.
    ///
    /// # Errors
    /// The sandbox has no such model provider.
    pub fn of(
        sandbox: &Sandbox,
        name: &str,
        clock: &Clock,
        seed: Seed,
    ) -> Result<Self, BadSandbox> {
        Ok(Self { base: Base::new(Identity::of(sandbox, name, clock, seed)?), signing: None })
    }

    /// Its own resource.
    ///
    /// # Errors
    /// The Kingdom's status.
    pub async fn own(&mut self, dial: &dyn Dial) -> Result<pb::ModelProvider, CallError> {
        let request = pb::GetModelProviderRequest { name: self.base.identity.resource.clone() };
        self.base.call(dial, wire::GET_MODEL_PROVIDER, &request).await
    }

    /// Registers a certificate.
    ///
    /// # Errors
    /// The Kingdom's status.
    pub async fn create_certificate(
        &mut self,
        dial: &dyn Dial,
        certificate_der: &[u8],
    ) -> Result<pb::Certificate, CallError> {
        create_certificate(&mut self.base, dial, certificate_der).await
    }

    /// Reads anybody's certificate.
    ///
    /// # Errors
    /// The Kingdom's status: PERMISSION_DENIED for a measurement consumer's (1.1.3).
    pub async fn certificate(
        &mut self,
        dial: &dyn Dial,
        name: &str,
    ) -> Result<pb::Certificate, CallError> {
        let request = pb::GetCertificateRequest { name: name.to_owned() };
        self.base.call(dial, wire::GET_CERTIFICATE, &request).await
    }
}
