//! `halo-harness impact` against a Kingdom that it knows by addresses and identities only, compared
//! with what the seed of the incident knows; and the repair that follows.
//!
//! The program under test is a child process: this very executable under the name `halo-harness`,
//! since cargo builds no other package's programs for these tests.

use fake_kingdom::sandbox::Ports;
use fake_kingdom::seam::entropy::Seed;
use fake_kingdom::seam::transport::{Network as _, Tcp};
use fake_kingdom::{Kingdom, Sandbox};
use halo_consent::{KeyTemplate, PrivateKeyset, SigningKey};
use halo_harness::environment::Dialled;
use halo_harness::impact::facts::Subject;
use halo_harness::impact::plan::ActionKind;
use halo_harness::impact::read::{self, Access, Channel, Question};
use halo_harness::impact::repair::{Books, Crew, Repaired, digest, repair};
use halo_harness::impact::{Assessment, assess};
use halo_harness::participant::data_provider::DataProvider;
use halo_harness::participant::duchy::Duchy;
use halo_harness::participant::measurement_consumer::{Defect, Measure, MeasurementConsumer, Wish};
use halo_harness::participant::model_provider::ModelProvider;
use halo_harness::participant::wire::{self, Destination, Dial};
use halo_harness::participant::{
    SigningPair, create_certificate, public_key_of, update_public_key,
};
use halo_pki::{Authority, LeafSpec, Validity};
use kingdom_proto::{system, v2alpha as pb};
use libtest_mimic::{Arguments, Failed, Trial};
use rand_core::RngCore as _;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let name = std::env::args_os().next().unwrap_or_default();
    if Path::new(&name).file_name().is_some_and(|name| name == "halo-harness") {
        let mut out = std::io::stdout().lock();
        let exit = halo_harness::cli::main(std::env::args(), &mut out).expect("it can be written");
        out.flush().expect("it can be written");
        return ExitCode::from(exit as u8);
    }
    let trial = |name: &str, run: fn()| {
        Trial::test(name, move || {
            run();
            Ok::<(), Failed>(())
        })
    };
    let trials = vec![
        trial("of_1000_measurements_the_list_equals_the_seeds_own_truth", equals_the_truth),
        trial("a_repaired_incident_leaves_nothing_open_but_history", repaired),
        trial("a_model_provider_repairs_what_touched_nothing_at_the_kingdom", of_model_provider),
        trial("a_trail_that_ends_too_early_is_never_complete", stale),
        trial("what_cannot_be_read_is_an_error_and_never_an_empty_list", unreadable),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

const SEED: Seed = Seed::new(61);

/// Before, after, or not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Before,
    After,
}

/// One line of a list: kind, name, how, when.
type Line = (String, String, String, String);

fn line(kind: &str, name: &str, how: &str, when: Option<Moment>) -> Line {
    let when = match when {
        Some(Moment::Before) => "before",
        Some(Moment::After) => "after",
        None => "unknown",
    };
    (kind.to_owned(), name.to_owned(), how.to_owned(), when.to_owned())
}

/// What the seed knows of a part of a measurement.
#[derive(Clone, Debug)]
struct PartTruth {
    requisition: String,
    provider: String,
    bound: String,
    key: &'static str,
    result: Option<(String, Moment)>,
}

/// What the seed knows of a measurement.
#[derive(Clone, Debug)]
struct Truth {
    name: String,
    created: Moment,
    signer: String,
    key: &'static str,
    parts: Vec<PartTruth>,
    /// Certificate of each Duchy that gave parameters, and when.
    duchies: Vec<(String, Moment)>,
    result: Option<(String, Moment)>,
    computation: String,
}

struct GroupTruth {
    name: String,
    key: Option<&'static str>,
    changed: Moment,
}

struct Address {
    public: String,
    system: String,
}

impl Dial for Address {
    fn dial<'a>(
        &'a self,
        to: &'a Destination,
    ) -> Pin<Box<dyn Future<Output = std::io::Result<Dialled>> + 'a>> {
        Box::pin(async move {
            let address = match to {
                Destination::PublicApi => &self.public,
                Destination::SystemApi => &self.system,
                Destination::Duchy(_) => return Err(std::io::Error::other("not served here")),
            };
            let (stream, local) = Tcp.connect(address).await?;
            Ok(Dialled { stream, local })
        })
    }
}

/// A Kingdom with an incident, and everybody's books.
struct Incident {
    runtime: Runtime,
    kingdom: Kingdom,
    folder: TempDir,
    sandbox: Sandbox,
    address: Address,
    consumer: MeasurementConsumer,
    edp1: DataProvider,
    edp2: DataProvider,
    aggregator: Duchy,
    worker1: Duchy,
    worker2: Duchy,
    model_provider: ModelProvider,
    now: Moment,
    since: String,
    truth: Vec<Truth>,
    groups: Vec<GroupTruth>,
    books: Books,
}

impl Incident {
    /// Starts a Kingdom over TCP with its sandbox in a folder.
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let sandbox = Sandbox::for_now(SEED).expect("a sandbox");
        sandbox.write_material(folder.path()).expect("written");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let kingdom = runtime
            .block_on(
                Kingdom::builder(Sandbox::disk_files(folder.path()))
                    .provision(sandbox.provision().expect("resources"))
                    .seed(SEED)
                    .start(),
            )
            .expect("it starts");
        let port = kingdom.public_address().rsplit(':').next().and_then(|p| p.parse().ok());
        let ports = Ports { public: port.expect("a port"), ..Ports::default() };
        sandbox.write(folder.path(), &ports, &ports).expect("written");
        let clock = kingdom.control().clock().clone();
        let provider = |name| DataProvider::of(&sandbox, name, &clock, SEED).expect("a provider");
        let duchy = |name| Duchy::of(&sandbox, name, &clock, SEED).expect("a Duchy");
        Self {
            address: Address {
                public: kingdom.public_address().to_owned(),
                system: kingdom.system_address().to_owned(),
            },
            consumer: MeasurementConsumer::of(&sandbox, "mc1", &clock, SEED).expect("a consumer"),
            edp1: provider("edp1"),
            edp2: provider("edp2"),
            aggregator: duchy("aggregator"),
            worker1: duchy("worker1"),
            worker2: duchy("worker2"),
            model_provider: ModelProvider::of(&sandbox, "modelprovider1", &clock, SEED)
                .expect("a model provider"),
            now: Moment::Before,
            since: String::new(),
            truth: Vec::new(),
            groups: Vec::new(),
            books: Books::default(),
            runtime,
            kingdom,
            folder,
            sandbox,
        }
    }

    /// A started Kingdom with an incident of `count` measurements.
    fn seeded(count: usize) -> Self {
        let mut incident = Self::start();
        seed(&mut incident, count);
        incident
    }

    fn resource(&self, name: &str) -> String {
        self.sandbox.participant(name).expect("a participant").resource.clone()
    }

    /// A fresh consent signalling pair of a participant's own authority, not registered yet.
    fn leaf(&self, name: &str, purpose: &str) -> (Vec<u8>, Arc<SigningKey>) {
        leaf(&self.sandbox, &self.kingdom, name, purpose)
    }

    fn trail(&self) -> PathBuf {
        let lines = self.kingdom.control().core().audit_lines(1, usize::MAX).expect("a trail");
        let path = self.folder.path().join("audit.jsonl");
        std::fs::write(&path, lines.join("\n")).expect("written");
        path
    }

    fn advance(&self) {
        self.kingdom.control().clock().advance(Duration::from_secs(3600)).expect("it goes on");
    }

    /// The program with addresses, identities and `more`, and nothing of this process's environment.
    fn impact(&self, identity: &str, more: &[&str]) -> Ended {
        let folder = self.folder.path();
        let own = folder.join("participants").join(identity).display().to_string();
        let operator = folder.join("kingdom").display().to_string();
        let mut arguments = vec![
            "--target",
            self.kingdom.public_address(),
            "--operator-target",
            self.kingdom.operator_address(),
            "--identity",
            own.as_str(),
            "--operator-identity",
            operator.as_str(),
        ];
        arguments.extend(more);
        halo(&arguments)
    }

    /// The same, in JSON.
    fn assessed(&self, identity: &str, more: &[&str]) -> Value {
        let mut all = vec!["--format", "json"];
        all.extend(more);
        let ended = self.impact(identity, &all);
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        serde_json::from_str(&ended.out).expect("JSON")
    }
}

fn leaf(
    sandbox: &Sandbox,
    kingdom: &Kingdom,
    name: &str,
    purpose: &str,
) -> (Vec<u8>, Arc<SigningKey>) {
    let file = |suffix: &str| {
        sandbox.file(&format!("participants/{name}/{name}_root.{suffix}")).expect("a file")
    };
    let key = std::str::from_utf8(file("key")).expect("text");
    let authority = Authority::load(file("pem"), key).expect("an authority");
    let now = kingdom.control().clock().now().to_date_time().expect("a date");
    let now = now.replace_nanosecond(0).expect("a date");
    let validity = Validity {
        not_before: now - time::Duration::days(1),
        not_after: now + time::Duration::days(300),
    };
    let made = authority
        .issue(&LeafSpec::new(purpose, validity), &mut SEED.child(&format!("{name}/{purpose}")))
        .expect("a leaf");
    let key = SigningKey::from_pkcs8_der(made.key().pkcs8_der()).expect("a key");
    (made.certificate_der().to_vec(), Arc::new(key))
}

fn keyset(purpose: &str) -> PrivateKeyset {
    let template = KeyTemplate::EciesP256HkdfHmacSha256Aes128Gcm;
    PrivateKeyset::generate(template, &mut SEED.child(&format!("keyset/{purpose}"))).expect("keys")
}

struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

fn halo(arguments: &[&str]) -> Ended {
    let programs = tempfile::tempdir().expect("a folder");
    let program = programs.path().join("halo-harness");
    symlink(std::env::current_exe().expect("this program"), &program).expect("a link");
    let output = Command::new(&program)
        .arg("impact")
        .args(arguments)
        .env_clear()
        .current_dir(programs.path())
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("text"),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The incident: everybody has two certificates and two keys. Of each pair the first is the one that
/// will turn out to be compromised; both are used, before and after the suspected time.
#[allow(clippy::too_many_lines, reason = "one story, told in order")]
fn seed(incident: &mut Incident, count: usize) {
    let first = [
        incident.consumer.signing.clone(),
        incident.edp1.signing.clone(),
        incident.aggregator.signing.clone(),
    ];
    let leaves =
        ["mc1", "edp1", "aggregator"].map(|name| incident.leaf(name, "a second certificate"));
    let (consumer_keys, provider_keys) = (keyset("mc1"), keyset("edp1"));
    let first_keys = (incident.consumer.keys[0].clone(), incident.edp1.keys[0].clone());
    let mut rng = SEED.child("incident");
    let Incident { runtime, address, consumer, edp1, aggregator, .. } = incident;
    let second = runtime.block_on(async {
        let mut pairs = Vec::new();
        let bases = [&mut consumer.base, &mut edp1.base, &mut aggregator.base];
        for (base, (der, key)) in bases.into_iter().zip(leaves) {
            let created = create_certificate(base, &*address, &der).await.expect("registered");
            pairs.push(SigningPair { certificate: created.name, certificate_der: der, key });
        }
        pairs
    });
    let pair = |of: usize, which: bool| if which { &first[of] } else { &second[of] }.clone();
    for quarter in 0..4 {
        if quarter == 2 {
            incident.advance();
            incident.since = incident.kingdom.control().clock().now().to_string();
            incident.advance();
            incident.now = Moment::After;
        }
        // The compromised ones are in force in the first and the last quarter.
        let is_first = quarter == 0 || quarter == 3;
        incident.consumer.signing = pair(0, quarter % 2 == 0);
        let key = if quarter == 1 { &consumer_keys } else { &first_keys.0 };
        incident.consumer.keys = vec![key.clone()];
        let keys = if is_first { &first_keys.1 } else { &provider_keys };
        let signer = pair(1, is_first);
        let Incident { runtime, address, edp1, .. } = &mut *incident;
        runtime
            .block_on(update_public_key(&mut edp1.base, &*address, &signer, keys))
            .expect("put in force");
        let names = create(incident, count / 4, &mut rng);
        let facts = Quarter {
            signer: incident.consumer.signing.certificate.clone(),
            key: if quarter == 1 { "mc1 second" } else { "mc1 first" },
            edp1: (signer.certificate, if is_first { "edp1 first" } else { "edp1 second" }),
        };
        note(incident, &names, &facts);
        let from = incident.truth.len() - names.len();
        for at in from..incident.truth.len() {
            outcome(incident, at, &first, &second, &mut rng);
        }
        event_groups(incident, quarter, count / 40, &consumer_keys);
    }
    // Late results and parameters for what was created before the suspected time.
    for at in 0..count / 2 {
        if rng.next_u32().is_multiple_of(4) {
            outcome(incident, at, &first, &second, &mut rng);
        }
    }
    incident.consumer.signing = pair(0, true);
    incident.consumer.keys = vec![first_keys.0, consumer_keys];
    incident.edp1.keys = vec![first_keys.1, provider_keys];
}

struct Quarter {
    signer: String,
    key: &'static str,
    edp1: (String, &'static str),
}

/// Creates measurements of one provider, or of both, in batches over one connection.
fn create(incident: &mut Incident, count: usize, rng: &mut impl rand_core::RngCore) -> Vec<String> {
    let (edp1, edp2) = (incident.resource("edp1"), incident.resource("edp2"));
    let both = [edp1.as_str(), edp2.as_str()];
    let wishes: Vec<_> = (0..count)
        .map(|_| match rng.next_u32() % 8 {
            0..=3 => Wish::new(Measure::Reach, &both[..1]),
            4 => Wish::new(Measure::Impression, &both[1..]),
            5 | 6 => Wish::new(Measure::Impression, &both),
            // Computed by the Duchies.
            _ => Wish::new(Measure::Reach, &both),
        })
        .enumerate()
        // Some name the certificate without its key.
        .map(|(n, wish)| if n % 20 == 7 { wish.with(Defect::SpoiltSignature) } else { wish })
        .collect();
    let Incident { runtime, address, consumer, books, .. } = incident;
    runtime.block_on(async {
        let mut providers = BTreeMap::new();
        for name in both {
            let request = pb::GetDataProviderRequest { name: name.to_owned() };
            let read = consumer.base.call(&*address, wire::GET_DATA_PROVIDER, &request).await;
            providers.insert(name.to_owned(), read.expect("a provider"));
        }
        let mut names = Vec::new();
        let parent = consumer.base.identity.resource.clone();
        for batch in wishes.chunks(50) {
            let requests = batch.iter().map(|wish| {
                let of: Vec<_> = wish
                    .providers
                    .iter()
                    .map(|part| providers[&part.data_provider].clone())
                    .collect();
                pb::CreateMeasurementRequest {
                    parent: parent.clone(),
                    measurement: Some(consumer.measurement(wish, &of).expect("a measurement")),
                    request_id: String::new(),
                }
            });
            let requests = requests.collect();
            let request = pb::BatchCreateMeasurementsRequest { parent: parent.clone(), requests };
            let created =
                consumer.base.call(&*address, wire::BATCH_CREATE_MEASUREMENTS, &request).await;
            for (made, wish) in created.expect("created").measurements.into_iter().zip(batch) {
                books.wishes.insert(made.name.clone(), wish.clone());
                names.push(made.name);
            }
        }
        names
    })
}

/// Writes down what was created: the names of the parts are the Kingdom's, the rest is the seed's.
fn note(incident: &mut Incident, names: &[String], facts: &Quarter) {
    let edp1 = incident.resource("edp1");
    let edp2 = incident.edp2.signing.certificate.clone();
    let mut rows = BTreeMap::new();
    incident.kingdom.control().core().read(|read| {
        for row in read.tables.measurements.iter() {
            let key = (row.measurement_consumer, row.id);
            let parts: Vec<_> = fake_kingdom::model::requisition::of_measurement(read.tables, key)
                .map(|row| row.name())
                .collect();
            rows.insert(row.name(), (parts, row.computation));
        }
    });
    for name in names {
        let (parts, computation) = rows.remove(name).expect("it is there");
        let parts = parts.into_iter().map(|requisition| {
            let provider =
                requisition.split("/requisitions/").next().expect("a provider").to_owned();
            let (bound, key) =
                if provider == edp1 { facts.edp1.clone() } else { (edp2.clone(), "edp2") };
            PartTruth { requisition, provider, bound, key, result: None }
        });
        let id = computation.and_then(kingdom_proto::ApiId::new);
        incident.truth.push(Truth {
            name: name.clone(),
            created: incident.now,
            signer: facts.signer.clone(),
            key: facts.key,
            parts: parts.collect(),
            duchies: Vec::new(),
            result: None,
            computation: id.map(|id| format!("computations/{id}")).unwrap_or_default(),
        });
    }
}

/// One thing that happens to a measurement: a result, parameters, a refusal, a cancellation, nothing.
fn outcome(
    incident: &mut Incident,
    at: usize,
    first: &[SigningPair; 3],
    second: &[SigningPair],
    rng: &mut impl rand_core::RngCore,
) {
    let chance = rng.next_u32() % 8;
    let now = incident.now;
    let Incident { runtime, address, consumer, edp1, edp2, truth, .. } = incident;
    let row = &mut truth[at];
    if !row.computation.is_empty() {
        return computed(incident, at, chance, first, second);
    }
    if chance == 0 {
        // Refused where it is over already: then nothing changes.
        let _ = runtime.block_on(consumer.cancel(&*address, &row.name));
        return;
    }
    let parts = if chance < 5 { 1 } else { row.parts.len() };
    for part in row.parts.iter_mut().take(parts).filter(|part| part.result.is_none()) {
        let is_edp1 = part.provider == edp1.base.identity.resource;
        let provider = if is_edp1 { &mut *edp1 } else { &mut *edp2 };
        let named = match (is_edp1, chance % 4) {
            (_, 0) => String::new(),
            (true, 1 | 2) => first[1].certificate.clone(),
            (true, _) => second[1].certificate.clone(),
            (false, _) => provider.signing.certificate.clone(),
        };
        if chance == 7 {
            continue;
        }
        let request = pb::FulfillDirectRequisitionRequest {
            name: part.requisition.clone(),
            encrypted_result: Some(pb::EncryptedMessage {
                // The Kingdom never opens it (1.5.7).
                ciphertext: vec![7; 64],
                type_url: halo_consent::type_url(halo_consent::SIGNED_MESSAGE),
            }),
            nonce: 7,
            certificate: named.clone(),
            ..pb::FulfillDirectRequisitionRequest::default()
        };
        let fulfilled =
            runtime.block_on(provider.base.call(&*address, wire::FULFILL_DIRECT, &request));
        if fulfilled.is_ok() {
            let certificate = if named.is_empty() { part.bound.clone() } else { named };
            part.result = Some((certificate, now));
        }
    }
}

/// What Duchies do: parameters from some or all, and perhaps a result, which the Kingdom takes in any
/// state (1.5.2).
fn computed(
    incident: &mut Incident,
    at: usize,
    chance: u32,
    first: &[SigningPair; 3],
    second: &[SigningPair],
) {
    use system::computation_participant::requisition_params::{LiquidLegionsV2, Protocol};
    let now = incident.now;
    let Incident { runtime, address, aggregator, worker1, worker2, truth, .. } = incident;
    let row = &mut truth[at];
    let aggregators = if chance.is_multiple_of(2) { first[2].clone() } else { second[2].clone() };
    let others = [worker1.signing.certificate.clone(), worker2.signing.certificate.clone()];
    let [of_worker1, of_worker2] = others;
    let duchies = [
        (&mut *aggregator, aggregators.certificate.clone()),
        (worker1, of_worker1),
        (worker2, of_worker2),
    ];
    let how_many = [0, 1, 3, 3, 3, 3, 3, 3][chance as usize];
    for (duchy, certificate) in duchies.into_iter().take(how_many) {
        let request = system::SetParticipantRequisitionParamsRequest {
            name: format!("{}/participants/{}", row.computation, duchy.id),
            requisition_params: Some(system::computation_participant::RequisitionParams {
                duchy_certificate: certificate.clone(),
                protocol: Some(Protocol::LiquidLegionsV2(LiquidLegionsV2 {
                    el_gamal_public_key: vec![1],
                    el_gamal_public_key_signature: vec![2],
                    ..LiquidLegionsV2::default()
                })),
                ..Default::default()
            }),
            etag: String::new(),
        };
        // Refused where it has given them before.
        if runtime.block_on(duchy.base.call(&*address, wire::SET_PARAMS, &request)).is_ok() {
            row.duchies.push((certificate, now));
        }
    }
    if chance < 4 {
        return;
    }
    let request = system::SetComputationResultRequest {
        name: row.computation.clone(),
        aggregator_certificate: aggregators.certificate.clone(),
        result_public_key: vec![1],
        encrypted_result: vec![7; 64],
        public_api_version: "v2alpha".to_owned(),
    };
    let call = aggregator.base.call(&*address, wire::SET_COMPUTATION_RESULT, &request);
    if runtime.block_on(call).is_ok() {
        row.result = Some((aggregators.certificate, now));
    }
}

/// Event groups, more than one page of them: under the compromised key, under another, without metadata, of another type.
fn event_groups(incident: &mut Incident, quarter: usize, more: usize, other: &PrivateKeyset) {
    let mc1 = incident.resource("mc1");
    let changed = incident.now;
    let first = incident.sandbox.file("participants/mc1/mc1_enc_private.tink").expect("keys");
    let first = PrivateKeyset::from_binary(first).expect("keys");
    let Incident { runtime, address, edp1, edp2, groups, books, .. } = incident;
    let mut add = |provider: &mut DataProvider,
                   key: Option<(&PrivateKeyset, &'static str)>,
                   entity_type: &str| {
        let reference = format!("{quarter}/{entity_type}/{}", key.map_or("none", |(_, name)| name));
        let metadata = pb::event_group::Metadata {
            event_group_metadata_descriptor: reference.clone(),
            metadata: None,
        };
        let encrypted = key.map(|(keyset, _)| {
            use prost::{Message as _, Name as _};
            let rng = &mut SEED.child(&reference);
            let keyset = keyset.public();
            let ciphertext =
                keyset.encrypt(&metadata.encode_to_vec(), &[], rng).expect("encrypted");
            let type_url = halo_consent::type_url(&pb::event_group::Metadata::full_name());
            pb::EncryptedMessage { ciphertext, type_url }
        });
        let request = pb::CreateEventGroupRequest {
            parent: provider.base.identity.resource.clone(),
            event_group: Some(pb::EventGroup {
                measurement_consumer: mc1.clone(),
                event_group_reference_id: reference,
                measurement_consumer_public_key: key.map(|(keyset, _)| public_key_of(keyset)),
                encrypted_metadata: encrypted,
                entity_key: Some(pb::event_group::EntityKey {
                    entity_type: entity_type.to_owned(),
                    entity_id: String::new(),
                }),
                ..pb::EventGroup::default()
            }),
            request_id: String::new(),
        };
        let call = provider.base.call(&*address, wire::CREATE_EVENT_GROUP, &request);
        let name = runtime.block_on(call).expect("created").name;
        books.metadata.insert(name.clone(), metadata);
        groups.push(GroupTruth { name, key: key.map(|(_, name)| name), changed });
    };
    add(edp1, Some((&first, "mc1 first")), "campaign");
    for _ in 0..=more {
        add(edp2, Some((&first, "mc1 first")), "campaign");
    }
    add(edp1, Some((other, "mc1 second")), "campaign");
    add(edp1, None, "campaign");
    add(edp2, Some((&first, "mc1 first")), "creative");
}

/// What the seed says is affected, for one of the things that were compromised.
fn truth(incident: &Incident, subject: &str) -> BTreeSet<Line> {
    let certificate = |name: &str| {
        incident.sandbox.participant(name).and_then(|one| one.certificate.clone()).expect("one")
    };
    let mut lines = BTreeSet::new();
    let mut add = |kind: &str, name: &str, how: &str, when| {
        lines.insert(line(kind, name, how, when));
    };
    let key_of = |name: &str| format!("{}/publicKey", incident.resource(name));
    // mc1's key has been in force from the beginning; edp1's was put back in the last quarter.
    match subject {
        "mc1 certificate" => {
            add("public_key", &key_of("mc1"), "signed_by", Some(Moment::Before));
        }
        "mc1 key" => add("public_key", &key_of("mc1"), "in_force", Some(Moment::Before)),
        "edp1 certificate" => {
            add("public_key", &key_of("edp1"), "signed_by", Some(Moment::After));
        }
        "edp1 key" => add("public_key", &key_of("edp1"), "in_force", Some(Moment::After)),
        _ => {}
    }
    if subject.starts_with("mc1") {
        for group in incident.groups.iter().filter(|group| group.key == Some("mc1 first")) {
            add("event_group", &group.name, "encrypted_to", Some(group.changed));
        }
    }
    for row in &incident.truth {
        let created = Some(row.created);
        let results: Vec<(&str, &str, Moment)> = row
            .parts
            .iter()
            .filter_map(|part| part.result.as_ref().map(|one| (&part.requisition, one)))
            .chain(row.result.as_ref().map(|one| (&row.name, one)))
            .map(|(name, (certificate, when))| (name.as_str(), certificate.as_str(), *when))
            .collect();
        // What is encrypted to the first keys, for which nobody but the first certificates vouches,
        // whatever signed the spec, and wherever the requisition is bound.
        match subject {
            "mc1 certificate" | "mc1 key" if row.key == "mc1 first" => {
                add("measurement", &row.name, "encrypted_to", created);
                for (name, _, when) in &results {
                    add("result", name, "encrypted_to", Some(*when));
                }
            }
            "edp1 certificate" | "edp1 key" => {
                for part in row.parts.iter().filter(|part| part.key == "edp1 first") {
                    add("requisition", &part.requisition, "encrypted_to", created);
                    add("measurement", &row.name, "encrypted_to", created);
                }
            }
            _ => {}
        }
        match subject {
            "mc1 certificate" if row.signer == certificate("mc1") => {
                add("measurement", &row.name, "signed_by", created);
                for part in &row.parts {
                    add("requisition", &part.requisition, "signed_by", created);
                }
                for (name, _, when) in results {
                    add("result", name, "bound_to", Some(when));
                }
            }
            "edp1 certificate" | "aggregator certificate" => {
                let stolen = certificate(subject.split(' ').next().expect("a name"));
                for part in row.parts.iter().filter(|part| part.bound == stolen) {
                    add("requisition", &part.requisition, "bound_to", created);
                    add("measurement", &row.name, "bound_to", created);
                }
                for (_, given) in row.duchies.iter().filter(|(by, _)| *by == stolen) {
                    // Some time between creation and now: unknown if the suspected time lies between.
                    let when = (*given == row.created).then_some(row.created);
                    add("measurement", &row.name, "bound_to", when);
                    for part in &row.parts {
                        add("requisition", &part.requisition, "bound_to", when);
                    }
                }
                for (name, _, when) in results.iter().filter(|(_, by, _)| *by == stolen) {
                    add("result", name, "result_signed_by", Some(*when));
                    add("measurement", &row.name, "result_signed_by", Some(*when));
                }
            }
            _ => {}
        }
    }
    lines
}

fn listed(assessment: &Value) -> BTreeSet<Line> {
    let text = |one: &Value, field: &str| one[field].as_str().expect("text").to_owned();
    let affected = assessment["affected"].as_array().expect("a list");
    affected
        .iter()
        .map(|one| (text(one, "kind"), text(one, "name"), text(one, "how"), text(one, "when")))
        .collect()
}

/// What is on one side only.
fn differences(listed: &BTreeSet<Line>, truth: &BTreeSet<Line>) -> Vec<String> {
    let extra = listed.difference(truth).map(|line| format!("listed and not true: {line:?}"));
    let missing = truth.difference(listed).map(|line| format!("true and not listed: {line:?}"));
    extra.chain(missing).collect()
}

const SUBJECTS: [&str; 5] =
    ["mc1 certificate", "edp1 certificate", "aggregator certificate", "mc1 key", "edp1 key"];

/// The option that names a subject.
fn option(incident: &Incident, subject: &str) -> [String; 2] {
    let (name, what) = subject.split_once(' ').expect("two words");
    let participant = incident.sandbox.participant(name).expect("a participant");
    if what == "key" {
        ["--public-key".to_owned(), participant.public_key.clone().expect("a key")]
    } else {
        ["--certificate".to_owned(), participant.certificate.clone().expect("a certificate")]
    }
}

fn equals_the_truth() {
    let incident = Incident::seeded(1000);
    let trail = incident.trail().display().to_string();
    let head = incident.kingdom.control().core().audit_head().to_string();
    let since = incident.since.clone();
    for subject in SUBJECTS {
        let [option, name] = option(&incident, subject);
        let truth = truth(&incident, subject);
        let undated = truth.iter().any(|(.., when)| when == "unknown");
        assert_eq!(undated, subject == "aggregator certificate", "{subject}");
        for when in ["before", "after"] {
            let some = truth.iter().filter(|(kind, _, _, at)| kind == "measurement" && at == when);
            assert!(some.count() > 20, "{subject}: too few {when}");
        }
        let dated = [option.as_str(), name.as_str(), "--since", since.as_str()];
        let with_trail = [&dated[..], &["--audit", &trail, "--audit-head", &head]].concat();
        let assessment = incident.assessed("mc1", &with_trail);
        assert_eq!(differences(&listed(&assessment), &truth), Vec::<String>::new(), "{subject}");
        assert_eq!(assessment["complete"], true, "{subject}: {:#}", assessment["not_known"]);
        // With addresses and identities alone it is the same list, but for event groups of types that
        // nobody named, which it says.
        let bare = incident.assessed("mc1", &dated);
        let (told, true_names) = (names(&listed(&bare)), names(&truth));
        assert!(told.is_subset(&true_names), "{subject}: {:?}", told.difference(&true_names));
        let untold: Vec<_> = true_names.difference(&told).collect();
        assert!(untold.iter().all(|(kind, ..)| kind == "event_group"), "{subject}: {untold:?}");
        assert!(untold.is_empty() || untold.len() == 4, "{subject}: {untold:?}");
        assert!(untold.is_empty() || bare["not_known"].to_string().contains("--entity-type"));
        let measurements = assessment["looked_at"].as_array().expect("a list");
        let counted = measurements.iter().find(|one| one["kind"] == "measurement");
        assert_eq!(counted.expect("counted")["count"], 1000, "{subject}");
        let groups = truth.iter().filter(|(kind, ..)| kind == "event_group").count();
        assert!(groups == 0 || groups > 100, "{groups} event groups are one page only");
        verified(&incident, subject, &assessment);
        // What is said to be not concerned is not affected by the seed's account either.
        for one in assessment["not_concerned"].as_array().expect("a list") {
            assert!(
                truth.iter().all(|(kind, ..)| one["kind"] != kind.as_str()),
                "{subject}: {one}"
            );
        }
        // Negative twin: the truth without one measurement is another list.
        let mut less = truth.clone();
        let left_out = truth.iter().find(|(kind, ..)| kind == "measurement").expect("one").clone();
        less.remove(&left_out);
        let said = differences(&listed(&assessment), &less);
        assert_eq!(said, [format!("listed and not true: {left_out:?}")], "{subject}");
    }
    on_call(&incident, &trail, &head);
    undated_and_unread(&incident);
    whose_key(&incident);
    one_is_hidden(&incident, &trail, &head);
}

/// What is listed, without its times.
fn names(lines: &BTreeSet<Line>) -> BTreeSet<(String, String, String)> {
    lines.iter().map(|(kind, name, how, _)| (kind.clone(), name.clone(), how.clone())).collect()
}

/// Whether the key made the signature stands beside what the certificate signed, and nowhere else.
fn verified(incident: &Incident, subject: &str, assessment: &Value) {
    let mut spoilt = 0;
    for one in assessment["affected"].as_array().expect("a list") {
        let (kind, name, verifies) = (&one["kind"], text(&one["name"]), &one["signature_verifies"]);
        let is_own = one["how"] == "signed_by" && kind != "requisition";
        let is_spoilt = kind == "measurement" && incident.books.wishes[&name].defect.is_some();
        let expected = is_own.then_some(!is_spoilt);
        assert_eq!(verifies.as_bool(), expected, "{subject}: {one}");
        spoilt += usize::from(expected == Some(false));
    }
    assert_eq!(spoilt > 10, subject == "mc1 certificate", "{subject}: {spoilt}");
}

/// The text tells, in this order, what is affected, before and after, what is not known, what next.
fn on_call(incident: &Incident, trail: &str, head: &str) {
    let [option, name] = option(incident, "mc1 certificate");
    let since = incident.since.as_str();
    let more = [&option, &name, "--since", since, "--audit", trail, "--audit-head", head];
    let ended = incident.impact("mc1", &more);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let mut rest = ended.out.as_str();
    for wanted in [
        "Impact of the certificate measurementConsumers/",
        "looked at  1000 measurements: operator API",
        "1. What is affected",
        "measurement  signed_by",
        "are not signed with its key",
        "2. Before and after",
        "at or after the suspected time",
        "before the suspected time",
        "3. What is not known",
        "4. What to do next, in this order",
        "register a new certificate of",
        "sign with the new certificate",
        ": revoke ",
        "create anew",
        "operator: delete",
    ] {
        let at = rest
            .find(wanted)
            .unwrap_or_else(|| panic!("`{wanted}` is not where it should be in\n{}", ended.out));
        rest = &rest[at..];
    }
}

/// Without a suspected time and a trail nothing is before or after, and the answer says what it could
/// not look at: what only the trail or another identity shows.
fn undated_and_unread(incident: &Incident) {
    let [option, name] = option(incident, "mc1 key");
    let undated = incident.assessed("mc1", &[&option, &name]);
    assert!(listed(&undated).iter().all(|(.., when)| when == "unknown"));
    let of_other_types: Vec<_> = truth(incident, "mc1 key")
        .into_iter()
        .filter(|(kind, name, ..)| {
            kind == "event_group" && !listed(&undated).iter().any(|(_, seen, ..)| seen == name)
        })
        .collect();
    assert_eq!(of_other_types.len(), 4, "the creatives are seen with their type or the trail only");
    assert_eq!(undated["complete"], false);
    let gaps = undated["not_known"].to_string();
    assert!(gaps.contains("--entity-type") && gaps.contains("--audit FILE"), "{gaps}");
    let with_type = incident.assessed("mc1", &[&option, &name, "--entity-type", "creative"]);
    assert_eq!(names(&listed(&with_type)), names(&truth(incident, "mc1 key")));
    // Whoever may not read event groups says so, and does not show an empty list as the answer.
    for (identity, whose) in
        [("worker1", "may not read them"), ("edp1", "with other data providers")]
    {
        let assessment = incident.assessed(identity, &[&option, &name]);
        assert_eq!(assessment["complete"], false);
        let gaps = assessment["not_known"].to_string();
        assert!(gaps.contains(whose), "{identity}: {gaps}");
        let groups = listed(&assessment).into_iter().filter(|(kind, ..)| kind == "event_group");
        assert_eq!(groups.count(), if identity == "edp1" { 4 } else { 0 });
    }
    // An old key by its digest: what the first assessment prints of it.
    let digest = undated["subject"]["key_sha256"].as_str().expect("a digest").to_owned();
    let same = incident.assessed("mc1", &[&option, &name, "--key-sha256", &digest]);
    assert_eq!(listed(&same), listed(&undated));
    // One that nobody ever published: an answer, and no all-clear.
    let zeros = "0".repeat(64);
    let none =
        incident.impact("mc1", &["--format", "json", &option, &name, "--key-sha256", &zeros]);
    assert_eq!(none.code, Some(3), "{}", none.err);
    let none: Value = serde_json::from_str(&none.out).expect("JSON");
    assert_eq!((listed(&none).len(), &none["subject"]["state"]), (0, &Value::from("UNKNOWN")));
}

/// The owner says which keys are its own: another one in force is a thief's, and an earlier one that the
/// certificate vouched for is remembered by whoever assesses, not by the Kingdom.
fn whose_key(incident: &Incident) {
    let [option, name] = option(incident, "mc1 certificate");
    let [key_option, key_name] = self::option(incident, "mc1 key");
    let of_key = incident.assessed("mc1", &[&key_option, &key_name]);
    let first = text(&of_key["subject"]["key_sha256"]);
    let second = digest(&keyset("mc1"));
    let assessed = |more: &[&str]| {
        let all = [&[option.as_str(), name.as_str(), "--entity-type", "creative"], more].concat();
        let assessment = incident.assessed("mc1", &all);
        let mut about_key = BTreeSet::new();
        let mut to_encrypt = BTreeSet::new();
        for action in assessment["plan"].as_array().expect("a plan") {
            let kind = text(&action["action"]);
            if kind == "re_encrypt" {
                to_encrypt.insert(text(&action["subject"]));
            } else if kind.ends_with("public_key") {
                about_key.insert(kind);
            }
        }
        (about_key, to_encrypt, assessment["subject"]["vouched_keys"].clone())
    };
    let under = |key: &str| -> BTreeSet<String> {
        let groups = incident.groups.iter().filter(|group| group.key == Some(key));
        groups.map(|group| group.name.clone()).collect()
    };
    let one = |action: &str| BTreeSet::from([action.to_owned()]);
    let (none, in_force) = (BTreeSet::new(), Value::from(vec![first.as_str()]));
    for own in [&[][..], &["--own-key-sha256", &second, "--own-key-sha256", &first]] {
        let expected = (one("re_sign_public_key"), none.clone(), in_force.clone());
        assert_eq!(assessed(own), expected, "{own:?}");
    }
    let expected = (one("replace_public_key"), under("mc1 first"), in_force);
    assert_eq!(assessed(&["--own-key-sha256", &second]), expected);
    let both = ["--own-key-sha256", &first, "--vouched-key-sha256", &second];
    let (about_key, to_encrypt, vouched) = assessed(&both);
    assert_eq!((about_key, to_encrypt), (one("re_sign_public_key"), under("mc1 second")));
    assert_eq!(vouched.as_array().map(Vec::len), Some(2));
}

/// Negative twin: an affected measurement that the Kingdom hides is missed, and the trail betrays it.
fn one_is_hidden(incident: &Incident, trail: &str, head: &str) {
    let subject = "mc1 certificate";
    let [option, name] = option(incident, subject);
    let before = truth(incident, subject);
    let hidden = &before.iter().find(|(kind, ..)| kind == "measurement").expect("one").1.clone();
    let Incident { runtime, .. } = incident;
    let operator = incident.folder.path().join("kingdom");
    runtime.block_on(async {
        let access = Access::of_operator(&operator, incident.kingdom.operator_address(), None);
        let mut operator = Channel::open(access.expect("an identity")).await.expect("open");
        let parsed = kingdom_proto::name::MeasurementName::parse(hidden).expect("a name");
        let number =
            |id: &str| kingdom_proto::ApiId::decode(id).expect("an id").value().unsigned_abs();
        let request = kingdom_proto::internal::BatchDeleteMeasurementsRequest {
            requests: vec![kingdom_proto::internal::DeleteMeasurementRequest {
                external_measurement_consumer_id: number(&parsed.measurement_consumer),
                external_measurement_id: number(&parsed.measurement),
                etag: String::new(),
            }],
        };
        let method = "wfa.measurement.internal.kingdom.Measurements/BatchDeleteMeasurements";
        operator.call::<()>(method, &request).await.expect("deleted");
    });
    let more = [&option, &name, "--since", &incident.since, "--audit", trail, "--audit-head", head];
    let assessment = incident.assessed("mc1", &more);
    let missing = differences(&listed(&assessment), &before);
    assert!(missing.iter().all(|one| one.starts_with("true and not listed")), "{missing:?}");
    assert!(missing.iter().any(|one| one.contains(hidden.as_str())), "{missing:?}");
    assert_eq!(assessment["complete"], false);
    assert!(assessment["not_known"].to_string().contains(hidden.as_str()));
    // The trail of now knows that it was deleted.
    let assessment = incident
        .assessed("mc1", &[&option, &name, "--audit", &incident.trail().display().to_string()]);
    let said = assessment["not_known"].to_string();
    assert!(said.contains("1 deleted measurements") && said.contains(hidden.as_str()), "{said}");
}

/// Reference participants carry the plan out; a second assessment, again by the program, has nothing
/// left to do; what was deleted is gone, and nothing else is.
fn repaired() {
    for subject in SUBJECTS {
        let mut incident = Incident::seeded(160);
        let [option, name] = option(&incident, subject);
        let since = incident.since.clone();
        let first = incident
            .assessed("mc1", &[&option, &name, "--since", &since, "--entity-type", "creative"]);
        let digest = first["subject"]["key_sha256"].as_str().map(str::to_owned);
        let plan = first["plan"].as_array().expect("a plan").clone();
        let wanted: BTreeSet<_> = plan.iter().map(|action| text(&action["action"])).collect();
        let least: &[&str] = match subject {
            "mc1 certificate" => &[
                "create_certificate",
                "re_sign_public_key",
                "revoke_certificate",
                "re_create",
                "delete",
            ],
            // A measurement that the provider has delivered to is not in the cascade (1.6.3).
            "edp1 certificate" => &[
                "create_certificate",
                "re_sign_public_key",
                "revoke_certificate",
                "re_create",
                "cancel",
                "delete",
            ],
            "aggregator certificate" => {
                &["create_certificate", "revoke_certificate", "re_create", "delete"]
            }
            "mc1 key" => &["replace_public_key", "re_encrypt", "re_create", "cancel", "delete"],
            _ => &["replace_public_key", "re_create", "cancel", "delete"],
        };
        for action in least {
            assert!(wanted.contains(*action), "{subject}: no {action} in {wanted:?}");
        }
        let open = open(&first);
        assert!(!open.is_empty(), "{subject}");

        // Negative twin: with the last action left undone, the second assessment has it, and only it.
        let before = measurements(&incident);
        let mut assessment = in_process(&incident, subject, &since, None);
        assert_eq!(assessment.plan.len(), plan.len(), "{subject}: the program has the same plan");
        let last = assessment.plan.pop().expect("an action");
        let done = carry_out(&mut incident, subject, &assessment);
        let mut again = vec![
            option.as_str(),
            name.as_str(),
            "--since",
            since.as_str(),
            "--entity-type",
            "creative",
        ];
        if let Some(digest) = &digest {
            again.extend(["--key-sha256", digest.as_str()]);
        }
        let half = incident.assessed("mc1", &again);
        let left: Vec<_> = half["plan"]
            .as_array()
            .expect("a plan")
            .iter()
            .map(|one| text(&one["subject"]))
            .collect();
        assert_eq!(left, std::slice::from_ref(&last.subject), "{subject}: {:#}", half["plan"]);

        let rest = in_process(&incident, subject, &since, digest.clone());
        let more = carry_out(&mut incident, subject, &rest);
        // A key that nothing names any more cannot be told from one that never was.
        let all = [&["--format", "json"], again.as_slice()].concat();
        let ended = incident.impact("mc1", &all);
        let second: Value = serde_json::from_str(&ended.out).expect("JSON");
        let is_gone = digest.is_some() && listed(&second).is_empty();
        assert_eq!(is_gone, subject == "edp1 key", "{subject}");
        assert_eq!(ended.code, Some(if is_gone { 3 } else { 0 }), "{}", ended.err);
        assert_eq!(
            second["plan"].as_array().map(Vec::len),
            Some(0),
            "{subject}: {:#}",
            second["plan"]
        );
        assert_eq!(self::open(&second), BTreeSet::new(), "{subject}");
        let state = match digest {
            Some(_) if is_gone => "UNKNOWN",
            Some(_) => "REPLACED",
            None => "REVOKED",
        };
        assert_eq!(second["subject"]["state"], state, "{subject}");

        // What was created anew, or encrypted anew, is not touched by what was stolen.
        let listed: BTreeSet<_> = listed(&second).into_iter().map(|(_, name, ..)| name).collect();
        for new in done.re_created.values().chain(more.re_created.values()) {
            assert!(!listed.contains(new), "{subject}: {new}");
        }
        if subject == "mc1 key" {
            opens_with_the_new_key(&mut incident);
        }

        // Nothing but the plan's deletions is gone, nothing but its re-creations came.
        let planned: BTreeSet<_> = plan
            .iter()
            .filter(|action| action["action"] == "delete")
            .map(|action| text(&action["subject"]))
            .collect();
        let gone: BTreeSet<_> = done.deleted.iter().chain(&more.deleted).cloned().collect();
        assert_eq!(gone, planned, "{subject}");
        let came = done.re_created.values().chain(more.re_created.values()).cloned();
        let expected: BTreeSet<_> = before.difference(&gone).cloned().chain(came).collect();
        assert_eq!(measurements(&incident), expected, "{subject}");
    }
}

/// Every event group that was under the stolen key opens with the new one, and holds what it held.
fn opens_with_the_new_key(incident: &mut Incident) {
    use prost::Message as _;
    let Incident { runtime, address, consumer, groups, books, .. } = incident;
    for group in groups.iter().filter(|group| group.key == Some("mc1 first")) {
        let request = pb::GetEventGroupRequest { name: group.name.clone(), view: 0 };
        let read = runtime.block_on(consumer.base.call(&*address, wire::GET_EVENT_GROUP, &request));
        let sealed = read.expect("read").encrypted_metadata.expect("metadata");
        let [new, old, ..] = consumer.keys.as_slice() else { panic!("no keys") };
        let opened = new.decrypt(&sealed.ciphertext, &[]).expect("the new key opens it");
        let metadata = pb::event_group::Metadata::decode(opened.as_slice()).expect("metadata");
        assert_eq!(metadata, books.metadata[&group.name]);
        assert!(old.decrypt(&sealed.ciphertext, &[]).is_err(), "the old key opens it no more");
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

fn open(assessment: &Value) -> BTreeSet<String> {
    let affected = assessment["affected"].as_array().expect("a list");
    affected.iter().filter(|one| one["open"] == true).map(|one| text(&one["name"])).collect()
}

fn measurements(incident: &Incident) -> BTreeSet<String> {
    incident
        .kingdom
        .control()
        .core()
        .read(|read| read.tables.measurements.iter().map(|row| row.name()).collect())
}

async fn channels(incident: &Incident) -> (Channel, Channel) {
    let folder = incident.folder.path();
    let public = Access::of_participant(
        &folder.join("participants/mc1"),
        incident.kingdom.public_address(),
        None,
    );
    let operator =
        Access::of_operator(&folder.join("kingdom"), incident.kingdom.operator_address(), None);
    let public = Channel::open(public.expect("an identity")).await.expect("open");
    (public, Channel::open(operator.expect("an identity")).await.expect("open"))
}

/// The assessment as a value, for the participants that carry its plan out.
fn in_process(incident: &Incident, subject: &str, since: &str, key: Option<String>) -> Assessment {
    let [option, name] = option(incident, subject);
    let subject = if option == "--certificate" {
        Subject::certificate(&name)
    } else {
        Subject::public_key(&name)
    };
    in_process_of(incident, subject.expect("a name"), since, key)
}

fn in_process_of(
    incident: &Incident,
    subject: Subject,
    since: &str,
    key: Option<String>,
) -> Assessment {
    let question = Question {
        subject,
        since: fake_kingdom::model::Timestamp::parse_rfc3339(since),
        key,
        own_keys: BTreeSet::new(),
        vouched_keys: BTreeSet::new(),
        entity_types: vec!["creative".to_owned()],
        audit: None,
        audit_head: None,
    };
    incident.runtime.block_on(async {
        let (mut public, mut operator) = channels(incident).await;
        assess(&read::facts(&question, &mut public, &mut operator).await.expect("read"))
    })
}

fn carry_out(incident: &mut Incident, subject: &str, assessment: &Assessment) -> Repaired {
    let (owner, what) = subject.split_once(' ').expect("two words");
    let makes = |kind| assessment.plan.iter().any(|action| action.action == kind);
    if makes(ActionKind::CreateCertificate) {
        incident.books.certificate = Some(incident.leaf(owner, &format!("after {subject}")));
    }
    incident.books.keyset = (what == "key").then(|| keyset(&format!("after {subject}")));
    let mut operator = incident.runtime.block_on(channels(incident)).1;
    let Incident {
        runtime, address, consumer, edp1, edp2, aggregator, model_provider, books, ..
    } = incident;
    let mut crew = Crew {
        consumers: vec![consumer],
        providers: vec![edp1, edp2],
        duchies: vec![aggregator],
        model_providers: vec![model_provider],
        operator: &mut operator,
    };
    let outcome = runtime.block_on(repair(assessment, books, &mut crew, &*address));
    let done = outcome.unwrap_or_else(|error| panic!("{subject}: {error}"));
    assert_eq!(done.actions, assessment.plan.len());
    done
}

/// 1.3.4, 1.6.3: a model provider's own identity is enough to assess it; its plan has two actions and fails
/// no measurement.
fn of_model_provider() {
    let mut incident = Incident::start();
    create(&mut incident, 3, &mut SEED.child("a model provider's"));
    let before = measurements(&incident);
    let stolen = incident.leaf("modelprovider1", "stolen").0;
    let Incident { runtime, address, model_provider, .. } = &mut incident;
    let registered = runtime.block_on(model_provider.create_certificate(&*address, &stolen));
    let stolen = registered.expect("registered").name;
    let assess = |incident: &Incident, identity: &str| {
        let (trail, core) = (incident.trail(), incident.kingdom.control().core());
        let (trail, head) = (trail.display().to_string(), core.audit_head().to_string());
        let with = ["--certificate", &stolen, "--audit", &trail, "--audit-head", &head];
        incident.assessed(identity, &with)
    };
    let first = assess(&incident, "modelprovider1");
    let actions: Vec<_> =
        first["plan"].as_array().expect("a plan").iter().map(|one| text(&one["action"])).collect();
    assert_eq!(actions, ["create_certificate", "revoke_certificate"]);
    assert_eq!((listed(&first), &first["complete"]), (BTreeSet::new(), &true.into()));

    // Negative twin: what is not revoked is still to be done, though a new one is there.
    let subject = "modelprovider1 certificate";
    let subject_of = Subject::certificate(&stolen).expect("a name");
    let mut assessment = in_process_of(&incident, subject_of.clone(), "", None);
    let last = assessment.plan.pop().expect("an action");
    let done = carry_out(&mut incident, subject, &assessment);
    let half = assess(&incident, "modelprovider1");
    let left = half["plan"].as_array().expect("a plan").iter().map(|one| text(&one["subject"]));
    assert!(left.into_iter().any(|left| left == last.subject), "{:#}", half["plan"]);

    let mut rest = in_process_of(&incident, subject_of, "", None);
    rest.plan.retain(|action| action.action == ActionKind::RevokeCertificate);
    carry_out(&mut incident, subject, &rest);
    let second = assess(&incident, "modelprovider1");
    assert_eq!(
        (&second["plan"], &second["subject"]["state"]),
        (&serde_json::json!([]), &"REVOKED".into())
    );
    let signing = incident.model_provider.signing.as_ref().expect("it signs");
    assert_eq!(Some(&signing.certificate), done.certificate.as_ref());
    assert_ne!(signing.certificate, stolen);
    assert_eq!(measurements(&incident), before, "none came, none is gone");
}

/// A trail is intact and ends with the head it was taken with, and the Kingdom went on.
fn stale() {
    let mut incident = Incident::start();
    let mut rng = SEED.child("stale");
    create(&mut incident, 3, &mut rng);
    let [option, name] = option(&incident, "mc1 certificate");
    let head = |incident: &Incident| incident.kingdom.control().core().audit_head().to_string();
    let assess = |incident: &Incident, trail: &str, head: &str| {
        incident.assessed("mc1", &[&option, &name, "--audit", trail, "--audit-head", head])
    };
    let (trail, old) = (incident.trail().display().to_string(), head(&incident));
    let fresh = assess(&incident, &trail, &old);
    assert_eq!((&fresh["complete"], &fresh["trail"]["is_stale"]), (&true.into(), &false.into()));
    assert_eq!(fresh["trail"]["head"], old.as_str());

    incident.advance();
    let later = create(&mut incident, 1, &mut rng).remove(0);
    let stale = assess(&incident, &trail, &old);
    assert_eq!((&stale["complete"], &stale["trail"]["is_stale"]), (&false.into(), &true.into()));
    let said = stale["not_known"].to_string();
    let end = text(&stale["trail"]["end"]);
    assert!(said.contains(&format!("what happened after {end}: nothing is known")), "{said}");
    assert!(said.contains(&later), "{said}");
    let human = incident.impact("mc1", &[&option, &name, "--audit", &trail, "--audit-head", &old]);
    assert!(human.out.contains("nothing is known after that"), "{}", human.out);

    let (trail, now) = (incident.trail().display().to_string(), head(&incident));
    let again = assess(&incident, &trail, &now);
    assert_eq!((&again["complete"], &again["trail"]["is_stale"]), (&true.into(), &false.into()));
}

/// Exit 2 for the command line, 4 for what cannot be read; nothing on standard output, and the
/// message says whose fault it is.
fn unreadable() {
    let incident = Incident::start();
    let [option, name] = option(&incident, "mc1 certificate");
    let good = [option.as_str(), name.as_str()];
    assert_eq!(incident.impact("mc1", &good).code, Some(0));

    let refused = |ended: Ended, code, texts: &[&str]| {
        assert_eq!(ended.code, Some(code), "{}", ended.err);
        assert_eq!(ended.out, "", "nothing is printed");
        for text in texts {
            assert!(ended.err.contains(text), "`{text}` is not in: {}", ended.err);
        }
    };
    refused(incident.impact("mc1", &[]), 2, &["--certificate"]);
    let key = format!("{}/publicKey", incident.resource("mc1"));
    refused(
        incident.impact("mc1", &[&option, &name, "--public-key", &key]),
        2,
        &["cannot be used with"],
    );
    let own = ["--public-key", key.as_str(), "--own-key-sha256", &"ab".repeat(32)];
    refused(incident.impact("mc1", &own), 2, &["cannot be used with"]);
    // Of a certificate there is no key to choose: to ignore it would look like an answer about it.
    let of_key = [option.as_str(), name.as_str(), "--key-sha256", &"aa".repeat(32)];
    refused(incident.impact("mc1", &of_key), 2, &["cannot be used with", "Usage"]);
    for wrong in ["mc1", "duchies//certificates/AAAAAAAAAZQ", "duchies/worker1/certificates/x"] {
        refused(incident.impact("mc1", &["--certificate", wrong]), 2, &["OWNER/certificates/ID"]);
    }
    refused(incident.impact("mc1", &["--public-key", "duchies/worker1/publicKey"]), 2, &["is not"]);
    refused(incident.impact("mc1", &[&option, &name, "--since", "yesterday"]), 2, &["RFC 3339"]);
    refused(incident.impact("mc1", &[&option, &name, "--audit-head", "1:x"]), 2, &["--audit"]);

    let unknown = format!("{}/certificates/AAAAAAAAAZQ", incident.resource("mc1"));
    refused(incident.impact("mc1", &["--certificate", &unknown]), 4, &["this Kingdom has no"]);
    let nobody = "measurementConsumers/AAAAAAAAAZQ/publicKey";
    refused(incident.impact("mc1", &["--public-key", nobody]), 4, &["this Kingdom has no"]);
    let unknown = "duchies/nobody/certificates/AAAAAAAAAZQ";
    refused(
        incident.impact("mc1", &["--certificate", unknown]),
        4,
        &["knows no Duchy nobody", "correct the name"],
    );
    refused(incident.impact("nobody", &good), 4, &["identity.json"]);

    // A key that nobody ever published: an answer, and no all-clear.
    let never = "ab".repeat(32);
    let ended = incident.impact("mc1", &["--public-key", &key, "--key-sha256", &never]);
    assert_eq!(ended.code, Some(3), "{}", ended.err);
    assert!(
        ended.out.contains("whether") && ended.out.contains("ever had this key"),
        "{}",
        ended.out
    );

    let folder = incident.folder.path();
    let file = |name: &str, content: &str| {
        let path = folder.join(name);
        std::fs::write(&path, content).expect("written");
        path.display().to_string()
    };
    let trail = std::fs::read_to_string(incident.trail()).expect("a trail");
    let edited = file("edited.jsonl", &trail.replacen("sandbox", "somebody", 1));
    let empty = file("empty.jsonl", "");
    let audit = |path: &str| incident.impact("mc1", &[&option, &name, "--audit", path]);
    refused(audit(&edited), 4, &["line 1", "not intact"]);
    refused(audit(&empty), 4, &["no entries"]);
    let path = incident.trail().display().to_string();
    let cut = format!("9999:{}", "0".repeat(64));
    let with_head =
        incident.impact("mc1", &[&option, &name, "--audit", &path, "--audit-head", &cut]);
    refused(with_head, 4, &["truncated"]);

    // Addresses: swapped, and nobody's.
    let own = folder.join("participants/mc1").display().to_string();
    let operator = folder.join("kingdom").display().to_string();
    let at = |public: &str, other: &str| {
        halo(&[
            &option,
            &name,
            "--target",
            public,
            "--operator-target",
            other,
            "--identity",
            &own,
            "--operator-identity",
            &operator,
        ])
    };
    let (public, other) = (incident.kingdom.public_address(), incident.kingdom.operator_address());
    refused(at(public, public), 4, &["operator API", "no such method", "swapped"]);
    refused(at("127.0.0.1:1", other), 4, &["public API", "127.0.0.1:1", "is this its address"]);
    // A leaf that the Kingdom does not trust: edp1's, at the operator's door.
    let foreign = folder.join("foreign");
    std::fs::create_dir(&foreign).expect("a folder");
    let edp1 = folder.join("participants/edp1");
    for (from, to) in [
        ("edp1_tls.pem", "kingdom_tls.pem"),
        ("edp1_tls.key", "kingdom_tls.key"),
        ("kingdom_root.pem", "kingdom_root.pem"),
    ] {
        std::fs::copy(edp1.join(from), foreign.join(to)).expect("copied");
    }
    let as_operator = |folder: &Path| {
        let folder = folder.display().to_string();
        halo(&[
            &option,
            &name,
            "--target",
            public,
            "--operator-target",
            other,
            "--identity",
            &own,
            "--operator-identity",
            &folder,
        ])
    };
    refused(as_operator(&foreign), 4, &["operator API", "TLS alert"]);
    std::fs::copy(folder.join("kingdom/kingdom_tls.key"), foreign.join("kingdom_tls.key"))
        .expect("copied");
    refused(as_operator(&foreign), 4, &["kingdom_tls.key", "not the key of"]);

    // No identity's secrets in any message.
    let secret = incident.sandbox.participant("mc1").and_then(|one| one.api_key.clone());
    let secret = secret.expect("an API key");
    for ended in [at(other, public), at(public, public), incident.impact("mc1", &good)] {
        assert!(!ended.err.contains(&secret) && !ended.out.contains(&secret));
    }

    // A list that the Kingdom refuses is an error, not an empty list.
    for method in ["StreamMeasurements", "ListEventGroups", "GetMeasurementConsumer"] {
        let rule =
            format!(r#"{{"target":{{"method":"{method}"}},"action":{{"status":"INTERNAL"}}}}"#);
        let id = incident.kingdom.control().add_fault(serde_json::from_str(&rule).expect("a rule"));
        refused(incident.impact("mc1", &good), 4, &[method, "INTERNAL"]);
        incident.kingdom.control().remove_fault(id);
    }
    assert_eq!(incident.impact("mc1", &good).code, Some(0));
}
