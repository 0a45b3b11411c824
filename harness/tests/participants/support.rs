//! A stage: a Kingdom in memory and the sandbox's participants.

use fake_kingdom::fault::{Action, FaultRule, StatusName, Target};
use fake_kingdom::seam::entropy::Seed;
use futures::future::LocalBoxFuture;
use halo_consent::{KeyTemplate, PrivateKeyset, SigningKey};
use halo_harness::environment::{Dialled, Environment, EnvironmentKind, Setup};
use halo_harness::participant::data_provider::DataProvider;
use halo_harness::participant::duchy::Duchy;
use halo_harness::participant::measurement_consumer::{Measure, MeasurementConsumer, Wish};
use halo_harness::participant::wire::{self, Destination, Dial, Within};
use halo_harness::participant::{Base, EventKind, ParticipantEvent};
use halo_harness::quirk::{Fidelity, PeerQuirk};
use halo_pki::{Authority, AuthoritySpec, Leaf, LeafSpec, Validity};
use kingdom_proto::{system, v2alpha as pb};
use std::io;
use std::time::Duration;
use time::OffsetDateTime;

pub(crate) const SEED: Seed = Seed::new(7);

pub(crate) struct Stage {
    pub(crate) environment: Box<dyn Environment>,
}

impl Dial for Stage {
    fn dial<'a>(&'a self, to: &'a Destination) -> LocalBoxFuture<'a, io::Result<Dialled>> {
        Box::pin(async move { Within(&*self.environment).dial(to).await })
    }
}

/// Plays a test on a Kingdom with the default settings.
pub(crate) fn play(test: impl AsyncFnOnce(&Stage)) {
    play_with(|_| {}, test);
}

pub(crate) fn play_with(adjust: impl FnOnce(&mut Setup), test: impl AsyncFnOnce(&Stage)) {
    let kind = EnvironmentKind::Simulated;
    kind.runtime().unwrap().block_on(async {
        let mut setup = Setup::new(SEED, kind.clock());
        adjust(&mut setup);
        let environment = kind.start(setup).await.unwrap();
        test(&Stage { environment }).await;
    });
}

impl Stage {
    pub(crate) fn data_provider(&self, name: &str) -> DataProvider {
        let environment = &self.environment;
        DataProvider::of(environment.sandbox(), name, environment.clock(), SEED).unwrap()
    }

    pub(crate) fn consumer(&self) -> MeasurementConsumer {
        let environment = &self.environment;
        MeasurementConsumer::of(environment.sandbox(), "mc1", environment.clock(), SEED).unwrap()
    }

    pub(crate) fn resource(&self, name: &str) -> String {
        self.environment.sandbox().participant(name).unwrap().resource.clone()
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        self.environment.now().to_date_time().unwrap().replace_nanosecond(0).unwrap()
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.environment.advance(by).unwrap();
    }

    pub(crate) fn authority(&self, name: &str) -> Authority {
        let sandbox = self.environment.sandbox();
        let file = |suffix: &str| {
            sandbox.file(&format!("participants/{name}/{name}_root.{suffix}")).unwrap()
        };
        Authority::load(file("pem"), std::str::from_utf8(file("key")).unwrap()).unwrap()
    }

    /// An authority that nobody knows.
    pub(crate) fn new_root(&self, name: &str) -> Authority {
        let spec = AuthoritySpec {
            organization: "Halo conformance TEST ONLY".to_owned(),
            common_name: format!("{name} root TEST ONLY"),
            dns_name: format!("ca.{name}.test"),
            validity: Validity {
                not_before: self.now() - time::Duration::days(1),
                not_after: self.now() + time::Duration::days(3000),
            },
        };
        Authority::create(&spec, &mut SEED.child(&format!("test/root/{name}"))).unwrap()
    }

    /// A fresh leaf of a participant's own authority.
    pub(crate) fn leaf(&self, authority: &str, purpose: &str) -> Leaf {
        self.leaf_of(&self.authority(authority), purpose, |_| {})
    }

    pub(crate) fn leaf_of(
        &self,
        authority: &Authority,
        purpose: &str,
        adjust: impl FnOnce(&mut LeafSpec),
    ) -> Leaf {
        let validity = Validity {
            not_before: self.now() - time::Duration::days(1),
            not_after: self.now() + time::Duration::days(300),
        };
        let mut spec = LeafSpec::new(purpose, validity);
        adjust(&mut spec);
        authority.issue(&spec, &mut SEED.child(&format!("test/leaf/{purpose}"))).unwrap()
    }

    pub(crate) fn keyset(&self, purpose: &str) -> PrivateKeyset {
        let template = KeyTemplate::EciesP256HkdfHmacSha256Aes128Gcm;
        PrivateKeyset::generate(template, &mut SEED.child(&format!("test/keyset/{purpose}")))
            .unwrap()
    }

    /// A Direct reach measurement of edp1.
    pub(crate) async fn create(&self, consumer: &mut MeasurementConsumer, wish: &Wish) -> String {
        consumer.create(self, wish).await.unwrap().name
    }

    pub(crate) fn reach(&self) -> Wish {
        Wish::new(Measure::Reach, &[&self.resource("edp1")])
    }

    pub(crate) fn reach_of_both(&self) -> Wish {
        Wish::new(Measure::Reach, &[&self.resource("edp1"), &self.resource("edp2")])
    }
}

impl Stage {
    /// Answers one call of a method with a status, as a fault of the Kingdom.
    pub(crate) fn fault(&self, method: &str, status: StatusName) {
        self.fault_after(method, status, 0);
    }

    /// The same, after some calls have passed.
    pub(crate) fn fault_after(&self, method: &str, status: StatusName, skip: u64) {
        self.environment.add_fault(FaultRule {
            target: Target { method: Some(method.to_owned()), ..Target::default() },
            action: Action::Status(status),
            count: Some(1),
            skip,
        });
    }

    /// An EventGroup of a provider for mc1.
    pub(crate) async fn event_group(&self, provider: &mut DataProvider, id: &str) -> String {
        let consumer = self.resource("mc1");
        provider.create_event_group(self, &consumer, id, None).await.unwrap().name
    }

    /// What a provider would see if it listed its requisitions now.
    pub(crate) async fn listed(&self, provider: &mut DataProvider) -> Vec<pb::Requisition> {
        let request = pb::ListRequisitionsRequest {
            parent: provider.base.identity.resource.clone(),
            page_size: 500,
            filter: Some(pb::list_requisitions_request::Filter {
                states: vec![pb::requisition::State::Unfulfilled.into()],
                ..Default::default()
            }),
            ..pb::ListRequisitionsRequest::default()
        };
        let base = &mut provider.base;
        base.call(self, wire::LIST_REQUISITIONS, &request).await.unwrap().requisitions
    }

    /// The three Duchies.
    pub(crate) fn duchies(&self) -> Vec<Duchy> {
        let environment = &self.environment;
        ["aggregator", "worker1", "worker2"]
            .into_iter()
            .map(|name| Duchy::of(environment.sandbox(), name, environment.clock(), SEED).unwrap())
            .collect()
    }

    /// The computation of a measurement.
    pub(crate) async fn computation(
        &self,
        duchy: &mut Duchy,
        consumer: &mut MeasurementConsumer,
        measurement: &str,
    ) -> system::Computation {
        let measurement = consumer.get(self, measurement).await.unwrap();
        let spec = measurement.measurement_spec.unwrap().message.unwrap().value;
        duchy.find_computation(self, &spec).await.unwrap()
    }
}

/// HMSS, TrusTEE or neither, for mc1 and both providers.
pub(crate) fn protocols(hmss: bool, trustee: bool) -> impl FnOnce(&mut Setup) {
    move |setup| {
        setup.protocols.hmss_enabled = hmss;
        setup.protocols.trustee_enabled = trustee;
    }
}

pub(crate) fn signing_key(leaf: &Leaf) -> SigningKey {
    SigningKey::from_pkcs8_der(leaf.key().pkcs8_der()).unwrap()
}

pub(crate) fn faithful(base: &mut Base, quirk: PeerQuirk) {
    base.identity.quirks = base.identity.quirks.with(quirk, Fidelity::Faithful);
}

pub(crate) fn documented(base: &mut Base, quirk: PeerQuirk) {
    base.identity.quirks = base.identity.quirks.with(quirk, Fidelity::AsDocumented);
}

/// The last thing that a participant did.
pub(crate) fn last(base: &Base) -> &ParticipantEvent {
    base.events.last().expect("it did something")
}

/// Kind, clause and justification of the last thing that a participant did.
pub(crate) fn said(base: &Base) -> (EventKind, &'static str, &'static str) {
    let event = last(base);
    (event.kind, event.clause, event.justification)
}

pub(crate) fn failure(measurement: &pb::Measurement) -> pb::measurement::failure::Reason {
    measurement.failure.as_ref().map(pb::measurement::Failure::reason).unwrap_or_default()
}
