//! The order of the rows of contract 3.10, 3.13.1 and 3.13.2: of two things that are wrong at once, the
//! one whose row comes first is told.
//!
//! Each table below lists flaws in the order of its rows. Each flaw alone has to be told by its own row,
//! and each with any later one too. A flaw that hides another one (what cannot be fetched has no
//! authority key identifier) makes a pair that holds by itself.

use crate::support::{SEED, Stage, play, signing_key};
use halo_consent::{PrivateKeyset, nonce_hash};
use halo_harness::participant::data_provider::population::{self, Models, PopulationSpec};
use halo_harness::participant::data_provider::rules::{
    self, Decision, Facts, Policy, ProtocolKind, Step,
};
use halo_harness::participant::reporting::rules::{Halt, readable_result, usable_provider};
use halo_harness::participant::trust::{TrustBundle, Verifier};
use halo_harness::participant::wire::CallError;
use halo_harness::participant::{Fetched, SigningPair, documented, pack, public_key_of, seal};
use halo_harness::quirk::{Fidelity, PeerQuirk, PeerQuirks};
use halo_pki::{AkidChoice, Authority};
use kingdom_proto::v2alpha as pb;
use pb::measurement_spec::{self, MeasurementType};
use pb::protocol_config::protocol::Protocol;
use pb::requisition::duchy_entry;
use pb::requisition_spec::{self, EventFilter, EventGroupEntry, RequisitionType};
use rand_chacha::ChaCha20Rng;
use std::collections::BTreeMap;

/// A flaw, the row that tells it, and what it comes to.
type Row = (&'static str, &'static str, &'static str);

const CSI: &str = "CONSENT_SIGNAL_INVALID";
const SPEC_INVALID: &str = "SPEC_INVALID";
const BUDGET: &str = "INSUFFICIENT_PRIVACY_BUDGET";
const UNFULFILLABLE: &str = "UNFULFILLABLE";
/// Left for the next poll: what ends the process has no justification of its own (3.10.1).
const SKIPPED: &str = "";

const UP_TO_10: &[Row] = &[
    ("the certificate cannot be fetched", "3.10/1", SKIPPED),
    ("no akid", "3.10/2", CSI),
    ("foreign root", "3.10/3", CSI),
    ("expired", "3.10/4", CSI),
    ("spoilt signature", "3.10/5", CSI),
    ("packed as another type", "3.10/6", SPEC_INVALID),
    ("a key of nobody", "3.10/7", CSI),
    ("spoilt ciphertext", "3.10/8", CSI),
    ("another inner message", "3.10/9", SPEC_INVALID),
    ("spoilt inner signature", "3.10/10", CSI),
    ("another nonce", "3.10/10", CSI),
];
const DIRECT: &[Row] = &[
    ("unreadable event group", "3.10/11", SPEC_INVALID),
    ("event group cannot be fetched", "3.10/12", SKIPPED),
    ("unsupported protocol", "3.10/13", SPEC_INVALID),
    ("budget used up", "3.10/16", BUDGET),
    ("bad filter", "3.10/16", SPEC_INVALID),
    ("no methodology", "3.10/16", "DECLINED"),
    ("bound certificate", "3.10/17", UNFULFILLABLE),
];
const SHARE_SHUFFLE: &[Row] = &[
    ("event group cannot be fetched", "3.10/12", SKIPPED),
    ("unsupported protocol", "3.10/13", SPEC_INVALID),
    ("spoilt Duchy key", "3.10/14", CSI),
    ("three entries", "3.10/15", SPEC_INVALID),
    ("budget used up", "3.10/16", BUDGET),
    ("bad filter", "3.10/16", SPEC_INVALID),
];
/// The contract does not say whether noise or budget comes first.
const SHARE_SHUFFLE_NOISE: &[Row] = &[
    ("spoilt Duchy key", "3.10/14", CSI),
    ("three entries", "3.10/15", SPEC_INVALID),
    ("other noise", "3.10/16", SPEC_INVALID),
];
const TEST_ID: &[Row] = &[
    ("test id", "3.10.5", "DECLINED"),
    ("event group cannot be fetched", "3.10/12", SKIPPED),
    ("unsupported protocol", "3.10/13", SPEC_INVALID),
];
const POPULATION: &[Row] = &[
    ("unknown model line", "3.10.6", SPEC_INVALID),
    ("bound certificate", "3.10/17", UNFULFILLABLE),
];
const POPULATION_FILTER: &[Row] =
    &[("bad filter", "3.10.6", SPEC_INVALID), ("bound certificate", "3.10/17", UNFULFILLABLE)];
const POPULATION_SPEC: &[Row] = &[
    ("invalid population spec", "3.10.6", UNFULFILLABLE),
    ("bound certificate", "3.10/17", UNFULFILLABLE),
];

const CREATE: &[Row] = &[
    ("the provider cannot be fetched", "3.13.1/a", "UNKNOWN"),
    ("the certificate cannot be fetched", "3.13.1/b", "INTERNAL"),
    ("revoked", "3.13.1/c", "FAILED_PRECONDITION"),
    ("no akid", "3.13.1/d", "UNKNOWN"),
    ("foreign root", "3.13.1/e", "FAILED_PRECONDITION"),
    ("unsupported oid", "3.13.1/e", "UNKNOWN"),
];
/// The path comes before the signature, too; a root that is foreign hides the path.
const CREATE_PATH: &[Row] = &[
    ("revoked", "3.13.1/c", "FAILED_PRECONDITION"),
    ("expired", "3.13.1/e", "FAILED_PRECONDITION"),
    ("unsupported oid", "3.13.1/e", "UNKNOWN"),
];
const RESULT: &[Row] = &[
    ("lost key", "3.13.2/a", "FAILED_PRECONDITION"),
    ("the certificate cannot be fetched", "3.13.2/b", "INTERNAL"),
    ("spoilt ciphertext", "3.13.2/c", "UNKNOWN"),
    ("revoked", "3.13.2/d", "FAILED_PRECONDITION"),
    ("no akid", "3.13.2/e", "UNKNOWN"),
];
const RESULT_SIGNATURE: &[Row] = &[
    ("spoilt ciphertext", "3.13.2/c", "UNKNOWN"),
    ("revoked", "3.13.2/d", "FAILED_PRECONDITION"),
    ("unsupported oid", "3.13.2/e", "UNKNOWN"),
];

/// Each flaw alone, and each with every later one: the earlier row is told.
fn each_row_comes_before_the_later_ones(rows: &[Row], told: impl Fn(&[&str]) -> Told) {
    for (index, (flaw, clause, outcome)) in rows.iter().enumerate() {
        let expected = (*clause, (*outcome).to_owned());
        assert_eq!(told(&[flaw]), expected, "{flaw}");
        for (later, ..) in &rows[index + 1..] {
            assert_eq!(told(&[flaw, later]), expected, "{flaw}, and {later}");
        }
    }
}

/// The row, and what it comes to.
type Told = (&'static str, String);

/// 3.10: rows 1 to 13, 16 and 17, which a Direct requisition goes through.
#[test]
fn a_direct_requisition_is_judged_row_by_row() {
    play(async |stage: &Stage| {
        let bed = Bed::new(stage);
        let rows = [UP_TO_10, DIRECT].concat();
        each_row_comes_before_the_later_ones(&rows, |flaws| bed.told(Kind::Direct, flaws));
    });
}

/// 3.10: rows 14 and 15 stand between 13 and 16, and 15 comes only after all Duchy entries of 14.
#[test]
fn a_share_shuffle_requisition_is_judged_row_by_row() {
    play(async |stage: &Stage| {
        let bed = Bed::new(stage);
        let told = |flaws: &[&str]| bed.told(Kind::ShareShuffle, flaws);
        each_row_comes_before_the_later_ones(&[UP_TO_10, SHARE_SHUFFLE].concat(), told);
        each_row_comes_before_the_later_ones(SHARE_SHUFFLE_NOISE, told);
    });
}

/// 3.10.5: rows 1 to 10 come before a test id, and the rest after it.
#[test]
fn the_first_ten_rows_come_before_a_test_id() {
    play(async |stage: &Stage| {
        let bed = Bed::new(stage);
        let rows = [UP_TO_10, TEST_ID].concat();
        each_row_comes_before_the_later_ones(&rows, |flaws| bed.told(Kind::Direct, flaws));
    });
}

/// 3.10.6: a population fulfiller goes through rows 1 to 10, then its own checks, then row 17.
#[test]
fn a_population_fulfiller_ends_with_the_bound_certificate() {
    play(async |stage: &Stage| {
        let bed = Bed::new(stage);
        let told = |flaws: &[&str]| bed.told(Kind::Population, flaws);
        each_row_comes_before_the_later_ones(&[UP_TO_10, POPULATION].concat(), told);
        each_row_comes_before_the_later_ones(POPULATION_FILTER, told);
        each_row_comes_before_the_later_ones(POPULATION_SPEC, told);
        let unflawed = bed.decision(Kind::Population, &[], documented());
        assert!(matches!(unflawed, Decision::Fulfil(_)), "{unflawed:?}");
    });
}

/// The fixture itself: without a flaw everything is good, so that a flaw alone is what is told.
#[test]
fn without_a_flaw_every_kind_is_fulfilled() {
    play(async |stage: &Stage| {
        let bed = Bed::new(stage);
        for kind in [Kind::Direct, Kind::ShareShuffle, Kind::Population] {
            let decision = bed.decision(kind, &[], documented());
            assert!(matches!(decision, Decision::Fulfil(_)), "{kind:?}: {decision:?}");
        }
        assert_eq!(bed.created(&[]), ("", String::new()));
        assert_eq!(bed.read(&[]), ("", String::new()));
    });
}

/// 3.13.1: rows a to e of the create path.
#[test]
fn the_create_path_is_judged_row_by_row() {
    play(async |stage: &Stage| {
        let bed = Bed::new(stage);
        each_row_comes_before_the_later_ones(CREATE, |flaws| bed.created(flaws));
        each_row_comes_before_the_later_ones(CREATE_PATH, |flaws| bed.created(flaws));
    });
}

/// 3.13.2: rows a to e of the result path.
#[test]
fn the_result_path_is_judged_row_by_row() {
    play(async |stage: &Stage| {
        let bed = Bed::new(stage);
        each_row_comes_before_the_later_ones(RESULT, |flaws| bed.read(flaws));
        each_row_comes_before_the_later_ones(RESULT_SIGNATURE, |flaws| bed.read(flaws));
    });
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Direct,
    ShareShuffle,
    Population,
}

const MODEL_LINE: &str =
    "modelProviders/AAAAAAAAAZQ/modelSuites/AAAAAAAAAZQ/modelLines/AAAAAAAAAZQ";
const NONCE: u64 = 7;

/// Who takes part, with their authorities and keys.
struct Bed<'a> {
    stage: &'a Stage,
    /// What a provider, or Reporting, trusts.
    bundle: TrustBundle,
    consumer: Authority,
    provider: Authority,
    stranger: Authority,
    provider_key: PrivateKeyset,
    consumer_key: PrivateKeyset,
    nobodys_key: PrivateKeyset,
}

impl<'a> Bed<'a> {
    fn new(stage: &'a Stage) -> Self {
        Self {
            stage,
            bundle: stage.data_provider("edp1").base.identity.bundle,
            consumer: stage.authority("mc1"),
            provider: stage.authority("edp1"),
            stranger: stage.new_root("stranger"),
            provider_key: stage.keyset("provider"),
            consumer_key: stage.keyset("consumer"),
            nobodys_key: stage.keyset("nobody"),
        }
    }

    /// What is told of a requisition with these flaws; a faithful provider stops at the same row.
    fn told(&self, kind: Kind, flaws: &[&str]) -> Told {
        let told = match self.decision(kind, flaws, documented()) {
            Decision::Refuse(refusal) => {
                (refusal.clause, refusal.justification.as_str_name().to_owned())
            }
            Decision::Skip(ending) => (ending.clause, SKIPPED.to_owned()),
            other => panic!("{kind:?}, {flaws:?}: {other:?}"),
        };
        let quirk = PeerQuirk::ProviderDiesInsteadOfRefusing;
        let faithful =
            match self.decision(kind, flaws, documented().with(quirk, Fidelity::Faithful)) {
                Decision::Refuse(refusal) => refusal.clause,
                Decision::End(ending) => ending.clause,
                other => panic!("{kind:?}, {flaws:?}, faithful: {other:?}"),
            };
        assert_eq!(told.0, faithful, "{kind:?}, {flaws:?}, faithful");
        told
    }

    fn decision(&self, kind: Kind, flaws: &[&str], quirks: PeerQuirks) -> Decision {
        let has = |flaw: &str| flaws.contains(&flaw);
        let (edp1, mut rng) = (self.stage.resource("edp1"), rng());
        let mut certificates: Fetched<pb::Certificate> = BTreeMap::new();

        let signer =
            self.signer(&format!("{}/certificates/AAAAAAAAAZQ", self.stage.resource("mc1")), flaws);
        let fetched = if has("the certificate cannot be fetched") {
            Err(status("UNAVAILABLE"))
        } else {
            Ok(certificate_of(&signer))
        };
        certificates.insert(signer.certificate.clone(), fetched);

        let mut measurement_spec = signer.sign(&measurement_spec(kind, has("another nonce"), self));
        spoil_if(has("spoilt signature"), &mut measurement_spec);
        if has("packed as another type") {
            let message = measurement_spec.message.as_mut().unwrap();
            message.type_url = "type.googleapis.com/x.Y".to_owned();
        }
        let spec = requisition_spec(kind, &edp1, flaws, self);
        let mut inner = if has("another inner message") {
            signer.sign(&pb::RandomSeed { data: vec![1; 48] })
        } else {
            signer.sign(&spec)
        };
        spoil_if(has("spoilt inner signature"), &mut inner);
        let key = public_key_of(&self.provider_key);
        let mut sealed = seal(Some(&key), inner, &mut rng).unwrap();
        if has("spoilt ciphertext") {
            *sealed.ciphertext.last_mut().unwrap() ^= 1;
        }
        let shown = if has("a key of nobody") { public_key_of(&self.nobodys_key) } else { key };

        let mut duchies = Vec::new();
        if kind == Kind::ShareShuffle {
            duchies = self.duchies(flaws, &mut certificates);
        }
        let bound = if has("bound certificate") { "duchies/worker1" } else { &edp1 };
        let requisition = pb::Requisition {
            name: format!("{edp1}/requisitions/AAAAAAAAAZQ"),
            measurement_consumer_certificate: signer.certificate.clone(),
            measurement_spec: Some(measurement_spec),
            data_provider_certificate: format!("{bound}/certificates/AAAAAAAAAZQ"),
            data_provider_public_key: Some(shown),
            encrypted_requisition_spec: Some(sealed),
            protocol_config: Some(protocol_config(kind, flaws)),
            duchies,
            ..pb::Requisition::default()
        };

        let group = if has("event group cannot be fetched") {
            Err(status("UNAVAILABLE"))
        } else {
            let event_group_reference_id = "sim-eg-1".to_owned();
            Ok(pb::EventGroup { event_group_reference_id, ..Default::default() })
        };
        let event_groups = BTreeMap::from([(event_group(&edp1, "AAAAAAAAAZQ"), group)]);
        let mut policy = Policy { budget: has("budget used up").then_some(0), ..Policy::default() };
        if has("unsupported protocol") {
            policy.protocols.remove(&ProtocolKind::Direct);
            policy.protocols.remove(&ProtocolKind::HonestMajorityShareShuffle);
        }
        let facts = Facts {
            requisition: &requisition,
            bundle: &self.bundle,
            keys: std::slice::from_ref(&self.provider_key),
            now_unix_seconds: self.now(),
            quirks,
            policy: &policy,
            certificates: &certificates,
            event_groups: &event_groups,
        };
        let step = match kind {
            Kind::Population => population::judge(&facts, &models(&edp1, flaws)),
            _ => rules::judge(&facts),
        };
        match step {
            Step::Decided(decision) => decision,
            Step::Fetch(need) => panic!("{kind:?}, {flaws:?}: {need:?} is not there"),
        }
    }

    /// The fulfilling worker shows no key; the other one's comes last.
    fn duchies(
        &self,
        flaws: &[&str],
        certificates: &mut Fetched<pb::Certificate>,
    ) -> Vec<pb::requisition::DuchyEntry> {
        let mut entries = Vec::new();
        for duchy in ["worker1", "worker2"] {
            let leaf = self.stage.leaf(duchy, duchy);
            let signer = SigningPair {
                certificate: format!("duchies/{duchy}/certificates/AAAAAAAAAZQ"),
                certificate_der: leaf.certificate_der().to_vec(),
                key: signing_key(&leaf).into(),
            };
            certificates.insert(signer.certificate.clone(), Ok(certificate_of(&signer)));
            let mut key = signer.sign_packed(public_key_of(&self.nobodys_key)).unwrap();
            spoil_if(flaws.contains(&"spoilt Duchy key"), &mut key);
            let shown = duchy_entry::HonestMajorityShareShuffle {
                public_key: (duchy == "worker2").then_some(key),
            };
            entries.push(pb::requisition::DuchyEntry {
                key: duchy.to_owned(),
                value: Some(duchy_entry::Value {
                    duchy_certificate: signer.certificate,
                    protocol: Some(duchy_entry::value::Protocol::HonestMajorityShareShuffle(shown)),
                }),
            });
        }
        if flaws.contains(&"three entries") {
            entries.insert(0, entries[0].clone());
        }
        entries
    }

    /// A certificate and its key, with what is wrong with the certificate.
    fn signer(&self, certificate: &str, flaws: &[&str]) -> Signer {
        let has = |flaw: &str| flaws.contains(&flaw);
        let own =
            if certificate.starts_with("dataProviders/") { &self.provider } else { &self.consumer };
        let authority = if has("foreign root") { &self.stranger } else { own };
        let leaf = self.stage.leaf_of(authority, "signer", |spec| {
            if has("no akid") {
                spec.akid = AkidChoice::Absent;
            }
            if has("expired") {
                spec.validity.not_after = self.stage.now() - time::Duration::hours(1);
            }
        });
        Signer(SigningPair {
            certificate: certificate.to_owned(),
            certificate_der: leaf.certificate_der().to_vec(),
            key: signing_key(&leaf).into(),
        })
    }

    /// The create path of Reporting.
    fn created(&self, flaws: &[&str]) -> Told {
        let has = |flaw: &str| flaws.contains(&flaw);
        let edp1 = self.stage.resource("edp1");
        let signer = self.signer(&format!("{edp1}/certificates/AAAAAAAAAZQ"), flaws);
        let mut key = signer.sign_packed(public_key_of(&self.provider_key)).unwrap();
        oid_if(has("unsupported oid"), &mut key);
        let provider = if has("the provider cannot be fetched") {
            Err(status("UNAVAILABLE"))
        } else {
            Ok(pb::DataProvider {
                name: edp1.clone(),
                certificate: signer.certificate.clone(),
                public_key: Some(key),
                ..Default::default()
            })
        };
        let providers = BTreeMap::from([(edp1.clone(), provider)]);
        answer(usable_provider(&edp1, &providers, &reported(&signer, flaws), &self.verifier()))
    }

    /// The result path of Reporting.
    fn read(&self, flaws: &[&str]) -> Told {
        let has = |flaw: &str| flaws.contains(&flaw);
        let edp1 = self.stage.resource("edp1");
        let signer = self.signer(&format!("{edp1}/certificates/AAAAAAAAAZQ"), flaws);
        let consumer =
            self.signer("measurementConsumers/AAAAAAAAAZQ/certificates/AAAAAAAAAZQ", &[]);
        let spec = measurement_spec(Kind::Direct, false, self);
        let measurement = pb::Measurement {
            measurement_spec: Some(consumer.sign(&spec)),
            ..pb::Measurement::default()
        };
        let mut result = signer.sign(&pb::measurement::Result::default());
        oid_if(has("unsupported oid"), &mut result);
        let mut sealed =
            seal(Some(&public_key_of(&self.consumer_key)), result, &mut rng()).unwrap();
        if has("spoilt ciphertext") {
            *sealed.ciphertext.last_mut().unwrap() ^= 1;
        }
        let output = pb::measurement::ResultOutput {
            certificate: signer.certificate.clone(),
            encrypted_result: Some(sealed),
        };
        let key = if has("lost key") { &self.nobodys_key } else { &self.consumer_key };
        let keys = std::slice::from_ref(key);
        let certificates = reported(&signer, flaws);
        answer(readable_result(&measurement, &output, keys, &certificates, &self.verifier()))
    }

    /// With the oddities that tell bad results and bad keys apart from what is only not trusted.
    fn verifier(&self) -> Verifier<'_> {
        let quirks = documented()
            .with(PeerQuirk::UntrustedResultIsUnknown, Fidelity::Faithful)
            .with(PeerQuirk::UnsupportedOidIsNotABadSignature, Fidelity::Faithful);
        Verifier { bundle: &self.bundle, now_unix_seconds: self.now(), quirks }
    }

    fn now(&self) -> i64 {
        self.stage.now().unix_timestamp()
    }
}

struct Signer(SigningPair);

impl Signer {
    fn sign<M: prost::Name>(&self, message: &M) -> pb::SignedMessage {
        self.0.sign_packed(pack(message)).unwrap()
    }
}

impl std::ops::Deref for Signer {
    type Target = SigningPair;

    fn deref(&self) -> &SigningPair {
        &self.0
    }
}

fn measurement_spec(kind: Kind, other_nonce: bool, bed: &Bed<'_>) -> pb::MeasurementSpec {
    pb::MeasurementSpec {
        measurement_public_key: Some(public_key_of(&bed.consumer_key)),
        nonce_hashes: vec![nonce_hash(NONCE + u64::from(other_nonce)).to_vec()],
        measurement_type: Some(match kind {
            Kind::Population => MeasurementType::Population(measurement_spec::Population {}),
            _ => MeasurementType::Reach(measurement_spec::Reach::default()),
        }),
        model_line: MODEL_LINE.to_owned(),
        ..Default::default()
    }
}

fn requisition_spec(
    kind: Kind,
    provider: &str,
    flaws: &[&str],
    bed: &Bed<'_>,
) -> pb::RequisitionSpec {
    let has = |flaw: &str| flaws.contains(&flaw);
    let expression = if has("bad filter") { "foo bar" } else { "person.age > 3" };
    let filter = Some(EventFilter { expression: expression.to_owned() });
    // What cannot be fetched comes first, so that all names are seen to be read before.
    let mut names = vec![event_group(provider, "AAAAAAAAAZQ")];
    if has("unreadable event group") {
        names.push("eventGroups/x".to_owned());
    }
    if has("test id") {
        names.push(event_group(provider, "declined"));
    }
    let entries = names.into_iter().map(|key| EventGroupEntry {
        key,
        value: Some(requisition_spec::event_group_entry::Value {
            filter: filter.clone(),
            ..Default::default()
        }),
    });
    let asked = match kind {
        Kind::Population => RequisitionType::Population(requisition_spec::Population {
            filter,
            ..Default::default()
        }),
        _ => RequisitionType::Events(requisition_spec::Events { event_groups: entries.collect() }),
    };
    pb::RequisitionSpec {
        measurement_public_key: Some(public_key_of(&bed.consumer_key)),
        nonce: NONCE,
        requisition_type: Some(asked),
        ..Default::default()
    }
}

fn protocol_config(kind: Kind, flaws: &[&str]) -> pb::ProtocolConfig {
    use pb::protocol_config::{Direct, HonestMajorityShareShuffle, NoiseMechanism};
    let has = |flaw: &str| flaws.contains(&flaw);
    let protocol = if kind == Kind::ShareShuffle {
        let mut config = HonestMajorityShareShuffle::default();
        config.set_noise_mechanism(if has("other noise") {
            NoiseMechanism::Geometric
        } else {
            NoiseMechanism::DiscreteGaussian
        });
        Protocol::HonestMajorityShareShuffle(config)
    } else {
        Protocol::Direct(Direct {
            noise_mechanisms: vec![NoiseMechanism::ContinuousGaussian.into()],
            deterministic_count_distinct: (!has("no methodology")).then(Default::default),
            ..Direct::default()
        })
    };
    let protocol = pb::protocol_config::Protocol { protocol: Some(protocol) };
    pb::ProtocolConfig { protocols: vec![protocol], ..Default::default() }
}

fn models(provider: &str, flaws: &[&str]) -> Models {
    let mut models = Models::default();
    let population = format!("{provider}/populations/a");
    if !flaws.contains(&"unknown model line") {
        models.lines.insert(MODEL_LINE.to_owned(), Some(population.clone()));
    }
    let overlapping = flaws.contains(&"invalid population spec");
    let vid_ranges = if overlapping { vec![1..=10, 5..=20] } else { vec![1..=10] };
    models.populations.insert(population, Some(PopulationSpec { vid_ranges }));
    models
}

/// What Reporting fetched: the signer's certificate, unless it cannot.
fn reported(signer: &SigningPair, flaws: &[&str]) -> Fetched<pb::Certificate> {
    let mut certificate = certificate_of(signer);
    if flaws.contains(&"revoked") {
        certificate.set_revocation_state(pb::certificate::RevocationState::Revoked);
    }
    let fetched = if flaws.contains(&"the certificate cannot be fetched") {
        Err(status("UNKNOWN"))
    } else {
        Ok(certificate)
    };
    BTreeMap::from([(signer.certificate.clone(), fetched)])
}

fn answer<T: std::fmt::Debug>(made: Result<T, Halt>) -> Told {
    match made {
        Ok(_) => ("", String::new()),
        Err(Halt::Answer(answer)) => (answer.clause, answer.code.to_owned()),
        Err(need) => panic!("{need:?} is not there"),
    }
}

fn certificate_of(signer: &SigningPair) -> pb::Certificate {
    pb::Certificate {
        name: signer.certificate.clone(),
        x509_der: signer.certificate_der.clone(),
        ..pb::Certificate::default()
    }
}

fn event_group(provider: &str, id: &str) -> String {
    format!("{provider}/eventGroups/{id}")
}

fn status(code: &'static str) -> CallError {
    CallError { code, description: String::new(), info: None }
}

fn spoil_if(is_flawed: bool, message: &mut pb::SignedMessage) {
    if is_flawed {
        *message.signature.last_mut().unwrap() ^= 1;
    }
}

fn oid_if(is_flawed: bool, message: &mut pb::SignedMessage) {
    if is_flawed {
        message.signature_algorithm_oid = "1.3.101.112".to_owned();
    }
}

fn rng() -> ChaCha20Rng {
    SEED.child("test/order")
}
