//! A reporting server: creates measurements for a measurement consumer and reads their results, with
//! its two caches (contract 3.13) and its signing key file (5.4.3).

pub mod rules;

use super::measurement_consumer::{MeasurementConsumer, VerifiedResult, Wish};
use super::trust::Verifier;
use super::wire::{self, CallError, Dial};
use super::{BadSandbox, Base, EventKind, Fetched};
use crate::quirk::PeerQuirk;
use fake_kingdom::model::Timestamp;
use fake_kingdom::sandbox::Sandbox;
use fake_kingdom::seam::clock::Clock;
use fake_kingdom::seam::entropy::Seed;
use halo_consent::SigningKey;
use kingdom_proto::v2alpha as pb;
use rules::{Answer, Halt};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long the manifests keep an entry (3.13.4).
const CACHE_TIME: Duration = Duration::from_secs(60 * 60);

/// A reporting server's process and its files. It acts with the measurement consumer's identity.
pub struct Reporting {
    /// The measurement consumer it acts for: identity, signing certificate name, decryption keys.
    pub consumer: MeasurementConsumer,
    /// The MC signing private key file as it stands now, PKCS#8 DER (5.8.3).
    pub signing_key_file: Vec<u8>,
    /// How long a cached entry is kept after loading.
    pub cache_time: Duration,
    certificates: Cache<pb::Certificate>,
    data_providers: Cache<pb::DataProvider>,
}

impl Reporting {
    /// A reporting server for a sandbox's measurement consumer, called `reporting` in its events.
    ///
    /// # Errors
    /// The sandbox has no such measurement consumer.
    pub fn of(
        sandbox: &Sandbox,
        consumer: &str,
        clock: &Clock,
        seed: Seed,
    ) -> Result<Self, BadSandbox> {
        let path = format!("participants/{consumer}/{consumer}_cs_private.der");
        let signing_key_file = sandbox.file(&path).unwrap_or_default().to_vec();
        let mut consumer = MeasurementConsumer::of(sandbox, consumer, clock, seed)?;
        let mut identity = consumer.base.identity.clone();
        identity.name = "reporting".to_owned();
        consumer.base = Base::new(identity);
        Ok(Self {
            consumer,
            signing_key_file,
            cache_time: CACHE_TIME,
            certificates: Cache::default(),
            data_providers: Cache::default(),
        })
    }

    /// What it has in common with other participants.
    pub fn base(&mut self) -> &mut Base {
        &mut self.consumer.base
    }

    /// Creates a measurement: every provider is checked, in order (3.13.1), then the signing key is
    /// read, then the Kingdom is asked.
    ///
    /// # Errors
    /// The status that Reporting's caller sees.
    pub async fn create(
        &mut self,
        dial: &dyn Dial,
        wish: &Wish,
    ) -> Result<pb::Measurement, Answer> {
        let mut providers = Vec::new();
        for part in &wish.providers {
            let checked = self
                .walk(dial, |held, verifier| {
                    let name = &part.data_provider;
                    rules::usable_provider(name, &held.data_providers, &held.certificates, verifier)
                })
                .await;
            providers.push(checked.map_err(|answer| self.reject(&part.data_provider, answer))?);
        }
        if self.consumer.base.faithful(PeerQuirk::ReportingRereadsSigningKey) {
            // 5.4.3: the key of the file, the certificate name of the configuration.
            let key =
                SigningKey::from_pkcs8_der(&self.signing_key_file).map_err(|error| Answer {
                    code: "UNKNOWN",
                    clause: "5.4.3",
                    cause: error.to_string(),
                    certificate: String::new(),
                })?;
            self.consumer.signing.key = key.into();
        }
        let made = self.consumer.measurement(wish, &providers).map_err(|error| Answer {
            code: "UNKNOWN",
            clause: "3.5.1",
            cause: error.to_string(),
            certificate: String::new(),
        })?;
        let parent = self.consumer.base.identity.resource.clone();
        let request = pb::BatchCreateMeasurementsRequest {
            parent: parent.clone(),
            requests: vec![pb::CreateMeasurementRequest {
                parent,
                measurement: Some(made),
                request_id: wish.request_id.clone(),
            }],
        };
        let base = &mut self.consumer.base;
        let created = base.call(dial, wire::BATCH_CREATE_MEASUREMENTS, &request).await;
        let measurement = created
            .map(|response| response.measurements.into_iter().next().unwrap_or_default())
            .map_err(|error| rules::passed_on(&error))?;
        base.note(EventKind::MeasurementCreated, "3.13.1", &measurement.name, "");
        Ok(measurement)
    }

    /// Reads the results of a measurement, each checked in the order of 3.13.2.
    ///
    /// # Errors
    /// The status that Reporting's caller sees: one bad result fails the whole RPC.
    pub async fn results(
        &mut self,
        dial: &dyn Dial,
        name: &str,
    ) -> Result<Vec<VerifiedResult>, Answer> {
        let unread = |error: CallError| Answer {
            code: "UNKNOWN",
            clause: "3.13.2",
            cause: error.to_string(),
            certificate: String::new(),
        };
        let measurement = self.consumer.get(dial, name).await.map_err(unread)?;
        let keys = self.consumer.keys.clone();
        let mut read = Vec::new();
        for output in &measurement.results {
            let checked = self
                .walk(dial, |held, verifier| {
                    let certificates = &held.certificates;
                    rules::readable_result(&measurement, output, &keys, certificates, verifier)
                })
                .await;
            let result = checked.map_err(|answer| self.reject(&output.certificate, answer))?;
            let certificate = output.certificate.clone();
            let kind = EventKind::ResultRead;
            self.consumer.base.note_under(&certificate, kind, "3.13.2", name, &certificate);
            read.push(VerifiedResult { result, certificate });
        }
        Ok(read)
    }

    fn reject(&mut self, subject: &str, answer: Answer) -> Answer {
        let cause = format!("{}: {}", answer.code, answer.cause);
        let kind = EventKind::Rejected;
        self.consumer.base.note_under(&answer.certificate, kind, answer.clause, subject, cause);
        answer
    }

    /// Asks a rule again and again, fetching what it needs: from the caches, or as documented (quirk
    /// `reporting-stale-caches`) from the Kingdom at each use.
    async fn walk<T>(
        &mut self,
        dial: &dyn Dial,
        rule: impl Fn(&Held, &Verifier<'_>) -> Result<T, Halt>,
    ) -> Result<T, Answer> {
        let mut held = Held::default();
        loop {
            let verifier = Verifier {
                bundle: &self.consumer.base.identity.bundle,
                now_unix_seconds: self.consumer.base.now_unix_seconds(),
                quirks: self.consumer.base.identity.quirks,
            };
            match rule(&held, &verifier) {
                Ok(passed) => return Ok(passed),
                Err(Halt::Answer(answer)) => return Err(answer),
                Err(Halt::NeedCertificate(name)) => {
                    let fetched = self.certificate(dial, &name).await;
                    held.certificates.insert(name, fetched);
                }
                Err(Halt::NeedDataProvider(name)) => {
                    let fetched = self.data_provider(dial, &name).await;
                    held.data_providers.insert(name, fetched);
                }
            }
        }
    }

    async fn certificate(
        &mut self,
        dial: &dyn Dial,
        name: &str,
    ) -> Result<pb::Certificate, CallError> {
        if let Some(cached) = self.cached(&self.certificates, name) {
            return Ok(cached);
        }
        let request = pb::GetCertificateRequest { name: name.to_owned() };
        let fetched = self.consumer.base.call(dial, wire::GET_CERTIFICATE, &request).await?;
        let now = self.consumer.base.identity.clock.now();
        self.certificates.keep(name, fetched.clone(), now);
        Ok(fetched)
    }

    async fn data_provider(
        &mut self,
        dial: &dyn Dial,
        name: &str,
    ) -> Result<pb::DataProvider, CallError> {
        if let Some(cached) = self.cached(&self.data_providers, name) {
            return Ok(cached);
        }
        let request = pb::GetDataProviderRequest { name: name.to_owned() };
        let fetched = self.consumer.base.call(dial, wire::GET_DATA_PROVIDER, &request).await?;
        let now = self.consumer.base.identity.clock.now();
        self.data_providers.keep(name, fetched.clone(), now);
        Ok(fetched)
    }

    fn cached<T: Clone>(&self, cache: &Cache<T>, name: &str) -> Option<T> {
        let base = &self.consumer.base;
        base.faithful(PeerQuirk::ReportingStaleCaches)
            .then(|| cache.fresh(name, base.identity.clock.now(), self.cache_time))
            .flatten()
    }
}

/// What was fetched for one check.
#[derive(Default)]
struct Held {
    data_providers: Fetched<pb::DataProvider>,
    certificates: Fetched<pb::Certificate>,
}

/// Values kept for a time after loading (3.13.4); errors are not kept.
struct Cache<T> {
    entries: BTreeMap<String, (Timestamp, T)>,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new() }
    }
}

impl<T: Clone> Cache<T> {
    fn fresh(&self, name: &str, now: Timestamp, kept: Duration) -> Option<T> {
        let (loaded, value) = self.entries.get(name)?;
        (now < loaded.plus(kept)).then(|| value.clone())
    }

    fn keep(&mut self, name: &str, value: T, now: Timestamp) {
        self.entries.insert(name.to_owned(), (now, value));
    }
}
