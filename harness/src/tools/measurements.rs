//! `api measurements create` and `get` (contract 4.1.4, 4.1.5, 3.15.1).

use super::api::{CreateMeasurementArgs, Tool, api_key};
use super::event_options::EventProvider;
use super::files::{self, wrong};
use super::session::{Answer, Session};
use super::text::{java_double, json_form};
use super::{ToolError, warn};
use crate::quirk::{PeerQuirk, PeerQuirks};
use fake_kingdom::model::Timestamp;
use fake_kingdom::seam::{clock::Clock, entropy};
use halo_consent::{
    PackedMessage, PrivateKeyset, PublicKeyset, SIGNED_MESSAGE, SignedMessage, SigningKey,
    VerifyError, nonce_hash, type_url,
};
use kingdom_proto::google_type::Interval;
use kingdom_proto::v2alpha as pb;
use pb::measurement_spec::MeasurementType;
use prost::Message as _;
use prost_reflect::DynamicMessage;
use rand_core::RngCore;
use std::path::Path;

const COMMAND: &[&str] = &["api", "measurements", "create"];

/// What `--population` and its options ask for.
struct PopulationInput<'a> {
    data_provider: &'a str,
    start: Timestamp,
    end: Timestamp,
    filter: Option<&'a str>,
}

/// What is measured, checked as far as options go.
enum Wanted<'a> {
    Event {
        providers: &'a [EventProvider],
        sampling: pb::measurement_spec::VidSamplingInterval,
        measurement_type: MeasurementType,
    },
    Population(PopulationInput<'a>),
}

/// Creates a measurement: GetMeasurementConsumer, one GetDataProvider for each entry,
/// CreateMeasurement (contract 4.1.4 e). Nothing that it reads is verified (3.15.2).
pub(super) fn create(
    tool: &mut Tool<'_>,
    key: &str,
    arguments: &CreateMeasurementArgs,
) -> Result<(), ToolError> {
    let usage = |what: String| ToolError::usage(COMMAND, what);
    let wanted = wanted(arguments).map_err(usage)?;
    let one_filter = tool.quirks.faithful(PeerQuirk::CliOneEventFilterPerProvider);
    if let (Wanted::Event { providers, .. }, false) = (&wanted, one_filter)
        && let Some(odd) = providers
            .iter()
            .find(|one| one.filters.len() != 1 && one.filters.len() != one.groups.len())
    {
        return Err(usage(format!(
            "{} has {} event groups and {} filters; give one filter for all of them or one for each",
            odd.name,
            odd.groups.len(),
            odd.filters.len()
        )));
    }

    let mut session = tool.connect()?;
    let metadata = api_key(Some(key));
    let request =
        pb::GetMeasurementConsumerRequest { name: arguments.measurement_consumer.clone() };
    let consumer: Answer<pb::MeasurementConsumer> =
        session.call("MeasurementConsumers.GetMeasurementConsumer", &request, &metadata)?;
    let consumer = consumer.message;
    let signer = Signer::new(&arguments.private_key_der_file, &consumer)?;
    let mut rng = entropy::system();

    let mut entries = Vec::new();
    match &wanted {
        Wanted::Event { providers, .. } => {
            for provider in *providers {
                if one_filter && provider.filters.len() > 1 {
                    return Err(ToolError::failed(format!(
                        "{} has {} filters and may have one (quirk cli-one-event-filter-per-provider)",
                        provider.name,
                        provider.filters.len()
                    )));
                }
                let spec = pb::requisition_spec::RequisitionType::Events(events(provider));
                entries.push(entry(
                    &mut session,
                    &metadata,
                    &provider.name,
                    spec,
                    &signer,
                    &mut rng,
                )?);
            }
        }
        Wanted::Population(input) => {
            let spec = pb::requisition_spec::Population {
                interval: Some(interval(input.start, input.end)),
                filter: input
                    .filter
                    .map(|text| pb::requisition_spec::EventFilter { expression: text.to_owned() }),
            };
            let spec = pb::requisition_spec::RequisitionType::Population(spec);
            let name = input.data_provider;
            entries.push(entry(&mut session, &metadata, name, spec, &signer, &mut rng)?);
        }
    }

    let nonce_hashes = entries
        .iter()
        .filter_map(|entry| entry.value.as_ref().map(|value| value.nonce_hash.clone()))
        .collect();
    let (sampling, measurement_type) = match wanted {
        Wanted::Event { sampling, measurement_type, .. } => (Some(sampling), measurement_type),
        Wanted::Population(_) => {
            (None, MeasurementType::Population(pb::measurement_spec::Population {}))
        }
    };
    #[allow(deprecated, reason = "the real tool still fills the old field")]
    let spec = pb::MeasurementSpec {
        measurement_public_key: Some(signer.public_key.clone()),
        serialized_measurement_public_key: signer.public_key.value.clone(),
        nonce_hashes,
        vid_sampling_interval: sampling,
        measurement_type: Some(measurement_type),
        model_line: arguments.model_line.clone(),
        ..Default::default()
    };
    let signed = signer.sign("wfa.measurement.api.v2alpha.MeasurementSpec", &spec)?;
    let request = pb::CreateMeasurementRequest {
        parent: consumer.name.clone(),
        request_id: arguments.request_id.clone(),
        measurement: Some(pb::Measurement {
            measurement_consumer_certificate: consumer.certificate.clone(),
            measurement_spec: Some(to_proto(signed)),
            data_providers: entries,
            measurement_reference_id: arguments.measurement_ref_id.clone(),
            ..Default::default()
        }),
    };
    let created: Answer<pb::Measurement> =
        session.call("Measurements.CreateMeasurement", &request, &metadata)?;
    if tool.json() {
        return tool.print_json(&json_form(&created.shown));
    }
    writeln!(tool.out, "Measurement Name: {}", created.message.name)?;
    Ok(())
}

/// Shows a measurement's state and, when it succeeded, each result once it is verified. The first
/// failure ends the command; what is printed stays (contract 3.15.1).
pub(super) fn get(
    tool: &mut Tool<'_>,
    key: &str,
    private_key_file: &Path,
    owner_roots: &[String],
    name: &str,
) -> Result<(), ToolError> {
    let owner_roots = read_owner_roots(owner_roots)?;
    let mut session = tool.connect()?;
    let metadata = api_key(Some(key));
    let request = pb::GetMeasurementRequest { name: name.to_owned() };
    let answer: Answer<pb::Measurement> =
        session.call("Measurements.GetMeasurement", &request, &metadata)?;
    let measurement = answer.message;
    if !tool.json() {
        writeln!(tool.out, "State: {}", state(&measurement))?;
    }
    let mut results = Vec::new();
    if measurement.state() == pb::measurement::State::Succeeded {
        let keyset = PrivateKeyset::from_binary(&files::read(private_key_file)?)
            .map_err(|error| wrong(private_key_file, error))?;
        for output in &measurement.results {
            let verified = verified_result(
                &mut session,
                &metadata,
                output,
                &keyset,
                &owner_roots,
                &tool.quirks,
            )?;
            if tool.json() {
                results.push(shown_result(&verified));
            } else {
                let result = pb::measurement::Result::decode(verified.as_slice())
                    .map_err(|error| ToolError::failed(format!("not a result: {error}")))?;
                write!(tool.out, "{}", result_lines(&result))?;
            }
        }
    }
    if tool.json() {
        let measurement = json_form(&answer.shown);
        return tool.print_json(&serde_json::json!({
            "measurement": measurement,
            "results": results,
        }));
    }
    Ok(())
}

/// `<STATE>` or `FAILED - <reason>: <message>` (contract 4.1.5).
pub(super) fn state(measurement: &pb::Measurement) -> String {
    let state = measurement.state();
    if state == pb::measurement::State::Failed {
        let failure = measurement.failure.clone().unwrap_or_default();
        return format!("FAILED - {}: {}", failure.reason().as_str_name(), failure.message);
    }
    state.as_str_name().to_owned()
}

/// The lines of one result (contract 4.1.5).
fn result_lines(result: &pb::measurement::Result) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    if let Some(reach) = &result.reach {
        let _ = writeln!(text, "Reach - {}", reach.value);
    }
    if let Some(frequency) = &result.frequency {
        text.push_str("Frequency - \n");
        for (frequency, share) in &frequency.relative_frequency_distribution {
            let _ = writeln!(text, "\t{frequency}  {}", java_double(*share));
        }
    }
    if let Some(impression) = &result.impression {
        let _ = writeln!(text, "Impression - {}", impression.value);
    }
    if let Some(duration) = &result.watch_duration {
        let value = duration.value.unwrap_or_default();
        let _ = writeln!(text, "WatchDuration - {} seconds {} nanos", value.seconds, value.nanos);
    }
    if let Some(population) = &result.population {
        let _ = writeln!(text, "Population - {}", population.value);
    }
    text
}

fn shown_result(bytes: &[u8]) -> serde_json::Value {
    crate::client::dynamic::decode_named("wfa.measurement.api.v2alpha.Measurement.Result", bytes)
        .map_or(serde_json::Value::Null, |shown: DynamicMessage| json_form(&shown))
}

/// GetCertificate, decrypt, issuer by authority key identifier, path, signature; no revocation
/// state (contract 3.15.1). The serialized result.
fn verified_result(
    session: &mut Session,
    metadata: &[(&str, &str)],
    output: &pb::measurement::ResultOutput,
    keyset: &PrivateKeyset,
    owner_roots: &[(String, Vec<u8>)],
    quirks: &PeerQuirks,
) -> Result<Vec<u8>, ToolError> {
    let name = &output.certificate;
    let failed = |what: String| ToolError::failed(format!("result of {name}: {what}"));
    let request = pb::GetCertificateRequest { name: name.clone() };
    let certificate: Answer<pb::Certificate> =
        session.call("Certificates.GetCertificate", &request, metadata)?;
    let encrypted = output.encrypted_result.clone().unwrap_or_default();
    let signed = halo_consent::open_signed(keyset, &encrypted.ciphertext, &encrypted.type_url)
        .map_err(|error| {
            failed(format!("{error}; is this the private key it is encrypted for?"))
        })?;
    let leaf = files::certificate_in(&certificate.message.x509_der).map_err(failed)?;
    let facts = halo_pki::inspect(&leaf).map_err(|error| failed(error.to_string()))?;
    let akid = facts.akid().ok_or_else(|| {
        failed(
            "its certificate has no authority key identifier, so its issuer is unknown".to_owned(),
        )
    })?;
    let owner = name.split("/certificates/").next().unwrap_or_default();
    let bound = !quirks.faithful(PeerQuirk::IssuerNotBoundToOwner);
    let issuer = session
        .trust()
        .iter()
        .find(|entry| entry.skid == akid)
        .filter(|entry| {
            !bound || owner_roots.iter().any(|(who, root)| who == owner && *root == entry.der)
        })
        .ok_or_else(|| {
            failed(if bound {
                format!("not issued by a root that --owner-root configures for {owner}")
            } else {
                "not issued by a root of --cert-collection-file".to_owned()
            })
        })?;
    let now = Clock::real().now().to_proto().seconds;
    halo_consent::check_path(&leaf, &issuer.der, now)
        .map_err(|error| failed(format!("the certificate's path is invalid: {error}")))?;
    signed.verify(&leaf).map_err(|error| {
        let exception = !matches!(error, VerifyError::BadSignature);
        if exception && quirks.faithful(PeerQuirk::UnsupportedOidIsNotABadSignature) {
            failed(format!("{error}: an exception, not a bad signature (contract 3.2.3)"))
        } else {
            failed(format!("its signature is invalid: {error}"))
        }
    })?;
    let packed = signed.message.unwrap_or_default();
    let expected = "wfa.measurement.api.v2alpha.Measurement.Result";
    halo_consent::unpack::<pb::measurement::Result>(&packed.type_url, expected, &packed.value)
        .map_err(|error| failed(error.to_string()))?;
    Ok(packed.value)
}

fn read_owner_roots(given: &[String]) -> Result<Vec<(String, Vec<u8>)>, ToolError> {
    let mut roots = Vec::new();
    for text in given {
        let (owner, file) = text.split_once('=').ok_or_else(|| {
            ToolError::usage(
                &["api", "measurements", "get"],
                format!("--owner-root `{text}` is not OWNER=FILE"),
            )
        })?;
        let path = Path::new(file);
        let ders =
            halo_pki::pem_certificates(&files::read(path)?).map_err(|error| wrong(path, error))?;
        roots.extend(ders.into_iter().map(|der| (owner.to_owned(), der)));
    }
    Ok(roots)
}

/// The consumer's signing key, and what it signs about.
struct Signer {
    key: SigningKey,
    public_key: prost_types::Any,
}

impl Signer {
    fn new(path: &Path, consumer: &pb::MeasurementConsumer) -> Result<Self, ToolError> {
        let certificate = files::certificate_in(&consumer.certificate_der).map_err(|what| {
            ToolError::failed(format!("the certificate of {}: {what}", consumer.name))
        })?;
        let key = files::read_signing_key(path, &certificate)?;
        if key.is_key_of(&certificate) == Ok(false) {
            warn(&format!(
                "{} is not the key of {}, the consumer's current certificate: every provider will refuse the requisition",
                path.display(),
                consumer.certificate
            ));
        }
        let public_key = consumer
            .public_key
            .as_ref()
            .and_then(|signed| signed.message.clone())
            .ok_or_else(|| ToolError::failed(format!("{} has no public key", consumer.name)))?;
        Ok(Self { key, public_key })
    }

    fn sign(&self, name: &str, message: &impl prost::Message) -> Result<SignedMessage, ToolError> {
        let message = PackedMessage { type_url: type_url(name), value: message.encode_to_vec() };
        SignedMessage::sign(&self.key, self.key.default_algorithm(), message)
            .map_err(|error| ToolError::failed(error.to_string()))
    }
}

/// One provider's part: its requisition spec signed, then encrypted for it (contract 3.7.3).
fn entry(
    session: &mut Session,
    metadata: &[(&str, &str)],
    name: &str,
    requisition_type: pb::requisition_spec::RequisitionType,
    signer: &Signer,
    rng: &mut dyn RngCore,
) -> Result<pb::measurement::DataProviderEntry, ToolError> {
    // Zero is refused at fulfilment (contract 3.8.1).
    let nonce = loop {
        match rng.next_u64() {
            0 => {}
            nonce => break nonce,
        }
    };
    #[allow(deprecated, reason = "the real tool still fills the old field")]
    let spec = pb::RequisitionSpec {
        measurement_public_key: Some(signer.public_key.clone()),
        serialized_measurement_public_key: signer.public_key.value.clone(),
        nonce,
        requisition_type: Some(requisition_type),
        ..Default::default()
    };
    let request = pb::GetDataProviderRequest { name: name.to_owned() };
    let provider: Answer<pb::DataProvider> =
        session.call("DataProviders.GetDataProvider", &request, metadata)?;
    let provider = provider.message;
    let failed = |what: String| ToolError::failed(format!("the public key of {name}: {what}"));
    let public_key = provider
        .public_key
        .and_then(|signed| signed.message)
        .ok_or_else(|| failed("there is none".to_owned()))?;
    let keyset = PublicKeyset::from_encryption_public_key(&public_key.value)
        .map_err(|error| failed(error.to_string()))?;
    let signed = signer.sign("wfa.measurement.api.v2alpha.RequisitionSpec", &spec)?;
    let ciphertext = halo_consent::seal_signed(&keyset, &signed, rng)
        .map_err(|error| failed(error.to_string()))?;
    Ok(pb::measurement::DataProviderEntry {
        key: name.to_owned(),
        value: Some(pb::measurement::data_provider_entry::Value {
            data_provider_certificate: provider.certificate,
            data_provider_public_key: Some(public_key),
            encrypted_requisition_spec: Some(pb::EncryptedMessage {
                ciphertext,
                type_url: type_url(SIGNED_MESSAGE),
            }),
            nonce_hash: nonce_hash(nonce).to_vec(),
        }),
    })
}

fn events(provider: &EventProvider) -> pb::requisition_spec::Events {
    let filter_of = |index: usize| {
        provider.filters.get(index).or(provider.filters.first()).cloned().unwrap_or_default()
    };
    let groups = provider.groups.iter().enumerate().map(|(index, group)| {
        pb::requisition_spec::EventGroupEntry {
            key: group.name.clone(),
            value: Some(pb::requisition_spec::event_group_entry::Value {
                collection_interval: Some(interval(group.start, group.end)),
                filter: Some(pb::requisition_spec::EventFilter { expression: filter_of(index) }),
            }),
        }
    });
    pb::requisition_spec::Events { event_groups: groups.collect() }
}

fn interval(start: Timestamp, end: Timestamp) -> Interval {
    Interval { start_time: Some(start.to_proto()), end_time: Some(end.to_proto()) }
}

fn to_proto(signed: SignedMessage) -> pb::SignedMessage {
    pb::SignedMessage::decode(signed.encode().as_slice()).unwrap_or_default()
}

/// Either an event or a population measurement, of one type, with all of its options.
fn wanted(arguments: &CreateMeasurementArgs) -> Result<Wanted<'_>, String> {
    let a = arguments;
    let event_providers = a.providers.0.as_ref().map_err(Clone::clone)?;
    let types = [
        ("--reach", a.reach),
        ("--reach-and-frequency", a.reach_and_frequency),
        ("--impression", a.impression),
        ("--duration", a.duration),
        ("--population", a.population),
    ];
    let mut chosen = types.iter().filter(|(_, given)| *given).map(|(name, _)| *name);
    let Some(which) = chosen.next() else {
        return Err(
            "give one of --reach, --reach-and-frequency, --impression, --duration, --population"
                .to_owned(),
        );
    };
    if let Some(other) = chosen.next() {
        return Err(format!("{which} and {other} exclude each other"));
    }
    let of_type = [
        ("--reach", "--reach-privacy-epsilon", a.reach_privacy_epsilon.is_some()),
        ("--reach", "--reach-privacy-delta", a.reach_privacy_delta.is_some()),
        (
            "--reach-and-frequency",
            "--rf-reach-privacy-epsilon",
            a.rf_reach_privacy_epsilon.is_some(),
        ),
        ("--reach-and-frequency", "--rf-reach-privacy-delta", a.rf_reach_privacy_delta.is_some()),
        (
            "--reach-and-frequency",
            "--rf-frequency-privacy-epsilon",
            a.rf_frequency_privacy_epsilon.is_some(),
        ),
        (
            "--reach-and-frequency",
            "--rf-frequency-privacy-delta",
            a.rf_frequency_privacy_delta.is_some(),
        ),
        ("--impression", "--impression-privacy-epsilon", a.impression_privacy_epsilon.is_some()),
        ("--impression", "--impression-privacy-delta", a.impression_privacy_delta.is_some()),
        ("--impression", "--max-frequency-per-user", a.max_frequency_per_user.is_some()),
        ("--duration", "--duration-privacy-epsilon", a.duration_privacy_epsilon.is_some()),
        ("--duration", "--duration-privacy-delta", a.duration_privacy_delta.is_some()),
        ("--duration", "--max-duration", a.max_duration.is_some()),
        ("--population", "--population-data-provider", a.population_data_provider.is_some()),
        ("--population", "--population-start-time", a.population_start_time.is_some()),
        ("--population", "--population-end-time", a.population_end_time.is_some()),
    ];
    for (of, option, given) in of_type {
        if of == which && !given {
            return Err(format!("{which} needs {option}"));
        }
        if of != which && given {
            return Err(format!("{option} goes with {of}, not with {which}"));
        }
    }
    for (of, option, given) in [
        ("--reach-and-frequency", "--max-frequency", a.max_frequency.is_some()),
        ("--population", "--population-filter", a.population_filter.is_some()),
    ] {
        if of != which && given {
            return Err(format!("{option} goes with {of}, not with {which}"));
        }
    }
    let sampling = a.vid_sampling_start.zip(a.vid_sampling_width);
    if which == "--population" {
        if !event_providers.is_empty()
            || a.vid_sampling_start.is_some()
            || a.vid_sampling_width.is_some()
        {
            return Err("--population goes without event options and without sampling".to_owned());
        }
        let all = a
            .population_data_provider
            .as_deref()
            .zip(a.population_start_time.zip(a.population_end_time));
        let (data_provider, (start, end)) =
            all.ok_or_else(|| "--population needs its provider and times".to_owned())?;
        let filter = a.population_filter.as_deref().filter(|text| !text.is_empty());
        return Ok(Wanted::Population(PopulationInput { data_provider, start, end, filter }));
    }
    if event_providers.is_empty() {
        return Err(format!("{which} needs --event-data-provider"));
    }
    let Some((start, width)) = sampling else {
        return Err(format!("{which} needs --vid-sampling-start and --vid-sampling-width"));
    };
    let privacy = |epsilon: Option<f64>, delta: Option<f64>| {
        Some(pb::DifferentialPrivacyParams {
            epsilon: epsilon.unwrap_or_default(),
            delta: delta.unwrap_or_default(),
        })
    };
    use pb::measurement_spec as spec;
    let measurement_type = match which {
        "--reach" => MeasurementType::Reach(spec::Reach {
            privacy_params: privacy(a.reach_privacy_epsilon, a.reach_privacy_delta),
        }),
        "--reach-and-frequency" => MeasurementType::ReachAndFrequency(spec::ReachAndFrequency {
            reach_privacy_params: privacy(a.rf_reach_privacy_epsilon, a.rf_reach_privacy_delta),
            frequency_privacy_params: privacy(
                a.rf_frequency_privacy_epsilon,
                a.rf_frequency_privacy_delta,
            ),
            maximum_frequency: a.max_frequency.unwrap_or(10),
        }),
        "--impression" => MeasurementType::Impression(spec::Impression {
            privacy_params: privacy(a.impression_privacy_epsilon, a.impression_privacy_delta),
            maximum_frequency_per_user: a.max_frequency_per_user.unwrap_or_default(),
        }),
        _ => MeasurementType::Duration(spec::Duration {
            privacy_params: privacy(a.duration_privacy_epsilon, a.duration_privacy_delta),
            maximum_watch_duration_per_user: a.max_duration,
            ..Default::default()
        }),
    };
    Ok(Wanted::Event {
        providers: event_providers,
        sampling: spec::VidSamplingInterval { start, width },
        measurement_type,
    })
}
