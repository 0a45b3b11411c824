//! Carries a [`plan`](super::plan) out: reference participants do what is theirs, the operator
//! deletes in batches with etags (contract 1.8.2).
//!
//! What a participant cannot read back from the Kingdom it has in its own books: what each
//! measurement was to measure, the plaintext of each event group's metadata ([`Books`]).

use super::Assessment;
use super::facts::OwnerKind;
use super::plan::{Action, ActionKind};
use super::read::{Channel, GET_MEASUREMENT, ReadError, key_digest, number};
use crate::participant::data_provider::{DataProvider, MetadataError};
use crate::participant::duchy::Duchy;
use crate::participant::measurement_consumer::{MeasurementConsumer, Wish};
use crate::participant::model_provider::ModelProvider;
use crate::participant::wire::{self, CallError, Dial};
use crate::participant::{Base, CannotMake, SigningPair, create_certificate, update_public_key};
use halo_consent::{PrivateKeyset, PublicKeyset, SigningKey};
use kingdom_proto::name::MeasurementName;
use kingdom_proto::{internal, v2alpha as pb};
use prost::{Message as _, Name as _};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most that one BatchCreateMeasurements takes (1.5.1).
const CREATE_BATCH: usize = 50;
/// The most that one BatchDeleteMeasurements takes (1.8.2).
const DELETE_BATCH: usize = 1000;
const BATCH_DELETE: &str = "wfa.measurement.internal.kingdom.Measurements/BatchDeleteMeasurements";

/// What participants know and the Kingdom does not tell.
#[derive(Default)]
pub struct Books {
    /// What each measurement was to measure, by its name: the consumer's book.
    pub wishes: BTreeMap<String, Wish>,
    /// The plaintext of each event group's metadata, by its name: the providers' books.
    pub metadata: BTreeMap<String, pb::event_group::Metadata>,
    /// A fresh certificate with its key for the owner of a compromised one.
    pub certificate: Option<(Vec<u8>, Arc<SigningKey>)>,
    /// A fresh key set for the owner of a compromised one.
    pub keyset: Option<PrivateKeyset>,
}

/// Who acts.
pub struct Crew<'a> {
    /// Measurement consumers.
    pub consumers: Vec<&'a mut MeasurementConsumer>,
    /// Data providers.
    pub providers: Vec<&'a mut DataProvider>,
    /// Duchies.
    pub duchies: Vec<&'a mut Duchy>,
    /// Model providers.
    pub model_providers: Vec<&'a mut ModelProvider>,
    /// The operator's connection.
    pub operator: &'a mut Channel,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// How many actions of the plan were carried out.
    pub actions: usize,
    /// The new measurement of each that was created anew.
    pub re_created: BTreeMap<String, String>,
    /// What the operator deleted.
    pub deleted: Vec<String>,
    /// The certificate that its owner registered in the compromised one's place.
    pub certificate: Option<String>,
}

/// An action that was not carried out; the ones before it were.
#[derive(Debug, thiserror::Error)]
#[error("{} {}, by {}: {what}; mend that and assess again: what is done stays done", .action.action.name(), .action.subject, .action.who)]
pub struct NotRepaired {
    /// The action.
    pub action: Box<Action>,
    /// Why not.
    pub what: String,
}

/// Carries out every action, in order.
///
/// # Errors
/// The first action that fails.
pub async fn repair(
    assessment: &Assessment,
    books: &Books,
    crew: &mut Crew<'_>,
    dial: &dyn Dial,
) -> Result<Repaired, NotRepaired> {
    let mut done = Repaired::default();
    let mut rest = assessment.plan.as_slice();
    while let Some(first) = rest.first() {
        // What goes into one batch: neighbours of one kind and one hand.
        let size = match first.action {
            ActionKind::ReCreate => CREATE_BATCH,
            ActionKind::Delete => DELETE_BATCH,
            _ => 1,
        };
        let alike = |one: &&Action| one.action == first.action && one.who == first.who;
        let count = rest.iter().take(size).take_while(alike).count().max(1);
        let (batch, remaining) = rest.split_at(count);
        let mut work = Work { books, crew, dial, done: &mut done };
        work.carry_out(first, batch)
            .await
            .map_err(|what| NotRepaired { action: Box::new(first.clone()), what })?;
        done.actions += count;
        rest = remaining;
    }
    Ok(done)
}

/// What an owner of a public key has.
struct KeyOwner<'a> {
    base: &'a mut Base,
    signing: &'a SigningPair,
    keys: &'a mut Vec<PrivateKeyset>,
}

struct Work<'a, 'b> {
    books: &'a Books,
    crew: &'a mut Crew<'b>,
    dial: &'a dyn Dial,
    done: &'a mut Repaired,
}

impl Work<'_, '_> {
    async fn carry_out(&mut self, action: &Action, batch: &[Action]) -> Result<(), String> {
        match action.action {
            ActionKind::CreateCertificate => self.create_certificate(action).await,
            ActionKind::ReSignPublicKey => self.re_sign(action).await,
            ActionKind::ReplacePublicKey => {
                let keyset = self.books.keyset.as_ref().ok_or("no fresh key set is at hand")?;
                self.key_owner(&action.who)?.keys.insert(0, keyset.clone());
                self.publish(action, keyset).await
            }
            ActionKind::RevokeCertificate => {
                let state = pb::certificate::RevocationState::Revoked;
                let dial = self.dial;
                let revoked =
                    self.base(&action.who)?.set_revocation(dial, &action.subject, Some(state));
                revoked.await.map(|_| ()).map_err(said)
            }
            ActionKind::ReEncrypt => self.re_encrypt(action).await,
            ActionKind::ReCreate => self.re_create(action, batch).await,
            ActionKind::Cancel => {
                let dial = self.dial;
                let consumer = self.consumer(&action.who)?;
                consumer.cancel(dial, &action.subject).await.map(|_| ()).map_err(said)
            }
            ActionKind::Delete => self.delete(batch).await,
        }
    }

    fn consumer(&mut self, who: &str) -> Result<&mut MeasurementConsumer, String> {
        let mut all = self.crew.consumers.iter_mut();
        let found = all.find(|one| one.base.identity.resource == who);
        found.map(|one| &mut **one).ok_or_else(|| format!("{who} is not at hand"))
    }

    fn provider(&mut self, who: &str) -> Result<&mut DataProvider, String> {
        let mut all = self.crew.providers.iter_mut();
        let found = all.find(|one| one.base.identity.resource == who);
        found.map(|one| &mut **one).ok_or_else(|| format!("{who} is not at hand"))
    }

    fn duchy(&mut self, who: &str) -> Result<&mut Duchy, String> {
        let mut all = self.crew.duchies.iter_mut();
        let found = all.find(|one| one.base.identity.resource == who);
        found.map(|one| &mut **one).ok_or_else(|| format!("{who} is not at hand"))
    }

    fn model_provider(&mut self, who: &str) -> Result<&mut ModelProvider, String> {
        let mut all = self.crew.model_providers.iter_mut();
        let found = all.find(|one| one.base.identity.resource == who);
        found.map(|one| &mut **one).ok_or_else(|| format!("{who} is not at hand"))
    }

    /// Identity, signing pair and keys of an owner of a public key (1.2.1).
    fn key_owner(&mut self, who: &str) -> Result<KeyOwner<'_>, String> {
        match OwnerKind::of(who) {
            Some(OwnerKind::MeasurementConsumer) => self.consumer(who).map(|one| KeyOwner {
                base: &mut one.base,
                signing: &one.signing,
                keys: &mut one.keys,
            }),
            Some(OwnerKind::DataProvider) => self.provider(who).map(|one| KeyOwner {
                base: &mut one.base,
                signing: &one.signing,
                keys: &mut one.keys,
            }),
            _ => Err(format!("{who} has no public key (1.3.3, 1.3.4)")),
        }
    }

    /// Identity of an owner, whichever kind it is.
    fn base(&mut self, who: &str) -> Result<&mut Base, String> {
        match OwnerKind::of(who) {
            Some(OwnerKind::MeasurementConsumer) => self.consumer(who).map(|one| &mut one.base),
            Some(OwnerKind::DataProvider) => self.provider(who).map(|one| &mut one.base),
            Some(OwnerKind::Duchy) => self.duchy(who).map(|one| &mut one.base),
            Some(OwnerKind::ModelProvider) => self.model_provider(who).map(|one| &mut one.base),
            None => Err(format!("{who} owns no certificate (1.1.1)")),
        }
    }

    fn sign_with(&mut self, who: &str, pair: SigningPair) -> Result<(), String> {
        match OwnerKind::of(who) {
            Some(OwnerKind::MeasurementConsumer) => self.consumer(who)?.signing = pair,
            Some(OwnerKind::DataProvider) => self.provider(who)?.signing = pair,
            Some(OwnerKind::Duchy) => self.duchy(who)?.signing = pair,
            Some(OwnerKind::ModelProvider) => self.model_provider(who)?.signing = Some(pair),
            None => return Err(format!("{who} owns no certificate (1.1.1)")),
        }
        Ok(())
    }

    async fn create_certificate(&mut self, action: &Action) -> Result<(), String> {
        let dial = self.dial;
        let books = self.books;
        let (der, key) = books.certificate.as_ref().ok_or("no fresh certificate is at hand")?;
        let base = self.base(&action.who)?;
        let certificate = create_certificate(base, dial, der).await.map_err(said)?.name;
        self.done.certificate = Some(certificate.clone());
        let pair = SigningPair { certificate, certificate_der: der.clone(), key: key.clone() };
        self.sign_with(&action.who, pair)
    }

    /// The key in force signed anew, if it is the owner's own: whoever has the certificate can have put
    /// another one there (1.2.3), and that is not to be vouched for.
    async fn re_sign(&mut self, action: &Action) -> Result<(), String> {
        let in_force = self.key_in_force(&action.who).await?;
        let keys = self.key_owner(&action.who)?.keys;
        let own = keys.iter().find(|one| digest(one) == in_force).cloned();
        let keyset = own.ok_or_else(|| {
            format!("the key in force, SHA-256 {in_force}, is none of its owner's, who has to replace it: name its own ones with --own-key-sha256")
        })?;
        self.publish(action, &keyset).await
    }

    /// A fresh key stands in front of the old ones, which stay until nothing needs them (3.13.5).
    async fn publish(&mut self, action: &Action, keyset: &PrivateKeyset) -> Result<(), String> {
        let dial = self.dial;
        let owner = self.key_owner(&action.who)?;
        update_public_key(owner.base, dial, owner.signing, keyset).await.map_err(said)?;
        Ok(())
    }

    /// SHA-256 of the key set that the Kingdom shows as the owner's.
    async fn key_in_force(&mut self, who: &str) -> Result<String, String> {
        let (dial, name) = (self.dial, who.to_owned());
        let base = self.base(who)?;
        let signed = if who.starts_with("measurementConsumers/") {
            let request = pb::GetMeasurementConsumerRequest { name };
            let read = base.call(dial, wire::GET_MEASUREMENT_CONSUMER, &request).await;
            read.map_err(said)?.public_key
        } else {
            let request = pb::GetDataProviderRequest { name };
            let read = base.call(dial, wire::GET_DATA_PROVIDER, &request).await;
            read.map_err(said)?.public_key
        };
        let message = signed.and_then(|signed| signed.message).unwrap_or_default();
        Ok(key_digest(&message.value))
    }

    /// The group as it stands, but for its metadata and the key: the update replaces all of it
    /// (1.4.7).
    async fn re_encrypt(&mut self, action: &Action) -> Result<(), String> {
        let dial = self.dial;
        let books = self.books;
        let metadata = books.metadata.get(&action.subject).ok_or("its metadata is not at hand")?;
        let provider = self.provider(&action.who)?;
        let request = pb::GetEventGroupRequest { name: action.subject.clone(), view: 0 };
        let mut group =
            provider.base.call(dial, wire::GET_EVENT_GROUP, &request).await.map_err(said)?;
        let consumer = group.measurement_consumer.clone();
        let key = provider.verified_consumer_key(dial, &consumer).await;
        let key = key.map_err(|error: MetadataError| error.to_string())?;
        let ciphertext = PublicKeyset::from_encryption_public_key(&key.value)
            .map_err(|error| error.to_string())?
            .encrypt(&metadata.encode_to_vec(), &[], &mut provider.base.rng)
            .map_err(|error| error.to_string())?;
        let type_url = halo_consent::type_url(&pb::event_group::Metadata::full_name());
        group.encrypted_metadata = Some(pb::EncryptedMessage { ciphertext, type_url });
        group.measurement_consumer_public_key = Some(key);
        clear_legacy(&mut group);
        let request = pb::UpdateEventGroupRequest { event_group: Some(group) };
        provider.base.call(dial, wire::UPDATE_EVENT_GROUP, &request).await.map_err(said)?;
        Ok(())
    }

    /// New measurements under the certificates and keys in force; each carries the name of the first
    /// one of its chain as its reference id, by which a later assessment sees that it was replaced.
    async fn re_create(&mut self, action: &Action, batch: &[Action]) -> Result<(), String> {
        let dial = self.dial;
        let books = self.books;
        let consumer = self.consumer(&action.who)?;
        let mut providers: BTreeMap<String, pb::DataProvider> = BTreeMap::new();
        let mut requests = Vec::new();
        for one in batch {
            let wish = books
                .wishes
                .get(&one.subject)
                .ok_or_else(|| format!("what {} was to measure is not at hand", one.subject))?;
            let mut parts = Vec::new();
            for part in &wish.providers {
                if !providers.contains_key(&part.data_provider) {
                    let request = pb::GetDataProviderRequest { name: part.data_provider.clone() };
                    let read = consumer.base.call(dial, wire::GET_DATA_PROVIDER, &request).await;
                    providers.insert(part.data_provider.clone(), read.map_err(said)?);
                }
                parts.push(providers[&part.data_provider].clone());
            }
            let made = consumer.measurement(wish, &parts);
            let mut measurement = made.map_err(|error: CannotMake| error.to_string())?;
            let reference_id = one.reference_id.as_ref().unwrap_or(&one.subject);
            measurement.measurement_reference_id.clone_from(reference_id);
            requests.push(pb::CreateMeasurementRequest {
                parent: consumer.base.identity.resource.clone(),
                measurement: Some(measurement),
                request_id: String::new(),
            });
        }
        let parent = consumer.base.identity.resource.clone();
        let request = pb::BatchCreateMeasurementsRequest { parent, requests };
        let answer = consumer.base.call(dial, wire::BATCH_CREATE_MEASUREMENTS, &request).await;
        let created = answer.map_err(said)?.measurements;
        let names = batch.iter().zip(created);
        self.done.re_created.extend(names.map(|(old, new)| (old.subject.clone(), new.name)));
        Ok(())
    }

    /// With the etag of the plan or, where a cancellation has changed it, of a fresh read.
    async fn delete(&mut self, batch: &[Action]) -> Result<(), String> {
        let mut requests = Vec::new();
        for one in batch {
            let name = MeasurementName::parse(&one.subject).ok_or("not a measurement's name")?;
            let (consumer, id) = (number(&name.measurement_consumer), number(&name.measurement));
            let etag = match &one.etag {
                Some(etag) => etag.clone(),
                None => {
                    let request = internal::GetMeasurementRequest {
                        external_measurement_consumer_id: consumer,
                        external_measurement_id: id,
                    };
                    let read = self.crew.operator.call(GET_MEASUREMENT, &request).await;
                    let row: internal::Measurement = read.map_err(|error| error.to_string())?;
                    row.etag
                }
            };
            requests.push(deletion(consumer, id, etag)?);
        }
        let request = internal::BatchDeleteMeasurementsRequest { requests };
        let answer = self.crew.operator.call::<()>(BATCH_DELETE, &request).await;
        answer.map_err(|error: ReadError| error.to_string())?;
        self.done.deleted.extend(batch.iter().map(|one| one.subject.clone()));
        Ok(())
    }
}

/// A deletion of what was read, and of nothing that has changed since: without an etag the Kingdom would
/// delete whatever is there (1.8.2).
fn deletion(
    consumer: u64,
    id: u64,
    etag: String,
) -> Result<internal::DeleteMeasurementRequest, String> {
    if etag.is_empty() {
        return Err("the etag of what is to be deleted was not read".to_owned());
    }
    Ok(internal::DeleteMeasurementRequest {
        external_measurement_consumer_id: consumer,
        external_measurement_id: id,
        etag,
    })
}

/// What an assessment calls a key.
pub fn digest(keyset: &PrivateKeyset) -> String {
    key_digest(&keyset.public().to_encryption_public_key())
}

fn said(error: CallError) -> String {
    error.to_string()
}

/// The deprecated fields repeat the old ciphertext and key (1.4.9).
#[allow(deprecated, reason = "they must not survive")]
fn clear_legacy(group: &mut pb::EventGroup) {
    group.signed_measurement_consumer_public_key = None;
    group.serialized_encrypted_metadata.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1.8.2: an empty etag is none, and the Kingdom takes it.
    #[test]
    fn what_is_deleted_is_what_was_read() {
        let request = deletion(1, 2, "read".to_owned()).expect("it has an etag");
        assert_eq!((request.external_measurement_id, request.etag.as_str()), (2, "read"));
        assert!(deletion(1, 2, String::new()).is_err());
    }
}
