//! Measurements and their requisitions, brought to any state through the APIs that do so in the real
//! system: the public API for the consumer and its providers, the system API for the Duchies.
//!
//! A step that begins with `Given` has to succeed; a `When` makes just one call. What a measurement
//! is called by the scenario stands in variables: `{mc1.m}`, `{mc1.m_number}`, `{mc1.m_computation}`,
//! `{edp1.m_requisition}`, `{edp1.m_requisition_etag}`, `{edp1.m_computation_requisition}`,
//! `{edp1.m_nonce}`, `{edp1.m_fingerprint}`, `{worker1.m_participant}`, `{edp1.m_fulfilling_duchy}`
//! and, of an HMSS measurement, `{edp1.m_other_worker}`.

use super::certificates::must;
use super::{Arguments, StepDefinition, step};
use crate::client::dynamic::{self, At};
use crate::error::Problem;
use crate::verdict::check;
use crate::world::{OPERATOR, StepResult, Stop, Var, World};
use fake_kingdom::cause::Cause;
use kingdom_proto::{ApiId, v2alpha};
use prost::Message as _;
use prost_reflect::DynamicMessage;

/// Every Duchy of the sandbox, the one that aggregates first.
const DUCHIES: [&str; 3] = ["aggregator", "worker1", "worker2"];
/// The nonce of a measurement's first provider; the next one has the number after it.
const FIRST_NONCE: u64 = 7;

pub(super) fn steps() -> Vec<StepDefinition> {
    let mut steps = actions();
    steps.extend(checks());
    steps
}

fn actions() -> Vec<StepDefinition> {
    vec![
        step!(
            Action,
            r"(\w+) has an? (direct|LLv2|RO-LLv2|HMSS|TrusTEE) (reach|reach and frequency|impression|duration|population) measurement called (\w+) with (\w+)(?: and (\w+))?",
            "Given mc1 has an LLv2 reach measurement called m with edp1 and edp2",
            |world, given| { have(world, given, &[]).await }
        ),
        step!(
            Action,
            r"(\w+) has an? (direct|LLv2|RO-LLv2|HMSS|TrusTEE) (reach|reach and frequency|impression|duration|population) measurement called (\w+) with (\w+)(?: and (\w+))?, where",
            "Given mc1 has a direct reach measurement called m with edp1, where\n\
             | measurement.measurement_reference_id | \"one\" |",
            |world, given| {
                let changes = given.table(2)?;
                have(world, given, changes).await
            }
        ),
        step!(
            Action,
            r"(\w+) creates an? (reach|reach and frequency|impression|duration|population) measurement with (\w+)(?: and (\w+))?",
            "When mc1 creates a reach measurement with edp1 and edp2",
            |world, given| { create(world, given, &[]).await }
        ),
        step!(
            Action,
            r"(\w+) creates an? (reach|reach and frequency|impression|duration|population) measurement with (\w+)(?: and (\w+))?, where",
            "When mc1 creates a reach measurement with edp1, where\n\
             | measurement.measurement_reference_id | \"one\" |",
            |world, given| {
                let changes = given.table(2)?;
                create(world, given, changes).await
            }
        ),
        step!(
            Action,
            r"(\w+) creates a batch of (\d+) reach measurements? with (\w+)",
            "When mc1 creates a batch of 2 reach measurements with edp1",
            |world, given| {
                let text = batch_text(given)?;
                Ok(world.call(given.text(0), BATCH_CREATE, &text, None).await?)
            }
        ),
        step!(
            Action,
            r"(\w+) creates a batch of (\d+) reach measurements? with (\w+), where",
            "When mc1 creates a batch of 2 reach measurements with edp1, where\n\
             | requests[0].measurement.measurement_reference_id | \"one\" |",
            |world, given| {
                let text = batch_text(given)?;
                let changes = given.table(2)?;
                Ok(world.call_changed(given.text(0), BATCH_CREATE, &text, changes).await?)
            }
        ),
        step!(
            Action,
            r"(\w+) supports (HMSS|TrusTEE|HMSS and TrusTEE)",
            "Given edp1 supports HMSS and TrusTEE",
            |world, given| { support(world, given.text(0), given.text(1)).await }
        ),
        step!(
            Action,
            r"(\w+) has set its parameters for (\w+)\.(\w+)(?: with its certificate (\w+))?",
            "Given worker1 has set its parameters for mc1.m",
            |world, given| {
                let of = Measurement::of(given, 1);
                let certificate = or(given.text(3), "certificate");
                let text = params_text(world, given.text(0), &of, certificate)?;
                must(world, given.text(0), SET_PARAMS, &text).await?;
                learn(world, &of).await
            }
        ),
        step!(
            Action,
            r"(\w+) sets its parameters for (\w+)\.(\w+)(?: with its certificate (\w+))?",
            "When worker1 sets its parameters for mc1.m with its certificate second",
            |world, given| {
                let of = Measurement::of(given, 1);
                let certificate = or(given.text(3), "certificate");
                let text = params_text(world, given.text(0), &of, certificate)?;
                Ok(world.call(given.text(0), SET_PARAMS, &text, None).await?)
            }
        ),
        step!(
            Action,
            r"(\w+)\.(\w+) has reached ([A-Z_]+)",
            "Given mc1.m has reached PENDING_COMPUTATION",
            |world, given| {
                let of = Measurement::of(given, 0);
                reach(world, &of, given.text(2)).await
            }
        ),
        step!(
            Action,
            r"(\w+) has fulfilled its requisition of (\w+)\.(\w+)",
            "Given edp1 has fulfilled its requisition of mc1.m",
            |world, given| {
                let of = Measurement::of(given, 1);
                let (who, method, text) = fulfil_text(world, given.text(0), &of)?;
                must(world, &who, method, &text).await?;
                learn(world, &of).await
            }
        ),
        step!(
            Action,
            r"(\w+) fulfils its requisition of (\w+)\.(\w+)",
            "When edp1 fulfils its requisition of mc1.m",
            |world, given| {
                let of = Measurement::of(given, 1);
                let (who, method, text) = fulfil_text(world, given.text(0), &of)?;
                Ok(world.call(&who, method, &text, None).await?)
            }
        ),
        step!(
            Action,
            r"(\w+) refuses its requisition of (\w+)\.(\w+) with ([A-Z_]+)",
            "When edp1 refuses its requisition of mc1.m with DECLINED",
            |world, given| {
                let of = Measurement::of(given, 1);
                let text = refuse_text(given.text(0), &of, given.text(3));
                Ok(world.call(given.text(0), REFUSE, &text, None).await?)
            }
        ),
        step!(
            Action,
            r"(\w+) has refused its requisition of (\w+)\.(\w+) with ([A-Z_]+)",
            "Given edp1 has refused its requisition of mc1.m with DECLINED",
            |world, given| {
                let of = Measurement::of(given, 1);
                let text = refuse_text(given.text(0), &of, given.text(3));
                must(world, given.text(0), REFUSE, &text).await?;
                learn(world, &of).await
            }
        ),
        step!(
            Action,
            r"(\w+) delivers the result of (\w+)\.(\w+)(?: with its certificate (\w+))?",
            "When aggregator delivers the result of mc1.m",
            |world, given| {
                let of = Measurement::of(given, 1);
                let text = result_text(given.text(0), &of, or(given.text(3), "certificate"));
                Ok(world.call(given.text(0), SET_RESULT, &text, None).await?)
            }
        ),
        step!(
            Action,
            r"(\w+) fails in (\w+)\.(\w+)",
            "When worker1 fails in mc1.m",
            |world, given| {
                let of = Measurement::of(given, 1);
                Ok(world.call(given.text(0), FAIL, &fail_text(given.text(0), &of), None).await?)
            }
        ),
        step!(
            Action,
            r"(\w+)'s certificate (\w+) is revoked",
            "Given edp1's certificate second is revoked",
            |world, given| {
                let text = format!(
                    "name: \"{{{}.{}}}\" revocation_state: REVOKED",
                    given.text(0),
                    given.text(1)
                );
                must(world, given.text(0), "Certificates.RevokeCertificate", &text).await
            }
        ),
    ]
}

fn checks() -> Vec<StepDefinition> {
    vec![
        step!(
            Check,
            r"(\w+) sees its measurement (\w+) in state ([A-Z_]+)",
            "Then mc1 sees its measurement m in state AWAITING_REQUISITION_FULFILLMENT",
            |world, given| {
                let observed = public_measurement(world, given.text(0), given.text(1)).await?;
                let state = text_at(&observed, "state")?;
                world.check(check::equal("state", given.text(2), &state).or(Cause::UnexpectedState))
            }
        ),
        step!(
            Check,
            r"(\w+) sees its measurement (\w+) failed with ([A-Z_]+)",
            "Then mc1 sees its measurement m failed with CERTIFICATE_REVOKED",
            |world, given| {
                let observed = public_measurement(world, given.text(0), given.text(1)).await?;
                let state = text_at(&observed, "state")?;
                let reason = text_at(&observed, "failure.reason")?;
                let expected = format!("FAILED, {}", given.text(2));
                let observed = format!("{state}, {reason}");
                world.check(
                    check::equal("state and failure.reason", &expected, &observed)
                        .or(Cause::UnexpectedState),
                )
            }
        ),
        step!(
            Check,
            r"(\w+) sees its requisition of (\w+)\.(\w+) in state ([A-Z_]+)",
            "Then edp1 sees its requisition of mc1.m in state WITHDRAWN",
            |world, given| {
                let (actor, of) = (given.text(0), Measurement::of(given, 1));
                let text = format!("name: \"{{{actor}.{}_requisition}}\"", of.name);
                must(world, actor, "Requisitions.GetRequisition", &text).await?;
                let state = text_at(&world.response()?, "state")?;
                world.check(check::equal("state", given.text(3), &state).or(Cause::UnexpectedState))
            }
        ),
        step!(
            Check,
            r"the operator sees (\w+)\.(\w+) in state ([A-Z_]+)",
            "Then the operator sees mc1.m in state PENDING_REQUISITION_PARAMS",
            |world, given| {
                let of = Measurement::of(given, 0);
                let state = text_at(&internal_measurement(world, &of).await?, "state")?;
                world.check(
                    check::equal("internal state", given.text(2), &state)
                        .or(Cause::UnexpectedState),
                )
            }
        ),
        step!(
            Check,
            r"the operator sees (\w+)'s requisition of (\w+)\.(\w+) in state ([A-Z_]+)",
            "Then the operator sees edp1's requisition of mc1.m in state PENDING_PARAMS",
            |world, given| {
                let of = Measurement::of(given, 1);
                let measurement = internal_measurement(world, &of).await?;
                let provider = number(world, given.text(0))?;
                let owners = many(&measurement, "requisitions[*].external_data_provider_id")?;
                let at = owners.iter().position(|owner| *owner == provider);
                let state = match at {
                    Some(at) => text_at(&measurement, &format!("requisitions[{at}].state"))?,
                    None => "no such requisition".to_owned(),
                };
                world.check(check::equal("internal state", given.text(3), &state))
            }
        ),
        step!(
            Check,
            r"the operator sees (\w+)'s part in (\w+)\.(\w+) in state ([A-Z_]+)",
            "Then the operator sees worker1's part in mc1.m in state READY",
            |world, given| {
                let of = Measurement::of(given, 1);
                let measurement = internal_measurement(world, &of).await?;
                let duchies = many(&measurement, "computation_participants[*].external_duchy_id")?;
                let at = duchies.iter().position(|duchy| duchy == given.text(0));
                let state = match at {
                    Some(at) => {
                        text_at(&measurement, &format!("computation_participants[{at}].state"))?
                    }
                    None => "no such participant".to_owned(),
                };
                world.check(check::equal("internal state", given.text(3), &state))
            }
        ),
    ]
}

const SET_PARAMS: &str = "system ComputationParticipants.SetParticipantRequisitionParams";
const CONFIRM: &str = "system ComputationParticipants.ConfirmComputationParticipant";
const FAIL: &str = "system ComputationParticipants.FailComputationParticipant";
const SET_RESULT: &str = "system Computations.SetComputationResult";
const REFUSE: &str = "Requisitions.RefuseRequisition";
const BATCH_CREATE: &str = "Measurements.BatchCreateMeasurements";
const CREATE: &str = "Measurements.CreateMeasurement";

/// A measurement by what the scenario calls it.
struct Measurement<'a> {
    consumer: &'a str,
    name: &'a str,
}

impl<'a> Measurement<'a> {
    fn of(given: &'a Arguments, group: usize) -> Self {
        Self { consumer: given.text(group), name: given.text(group + 1) }
    }

    /// Protocol and type, as the scenario named them.
    fn protocol(&self, world: &World) -> Result<String, Problem> {
        match world.get(&format!("{}.{}_protocol", self.consumer, self.name))? {
            Var::Text(protocol) => Ok(protocol.clone()),
            Var::Bytes(_) => Err(Problem::harness("a protocol that is no text")),
        }
    }
}

fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

async fn have(world: &mut World, given: &Arguments, changes: &[Vec<String>]) -> StepResult {
    let (consumer, protocol, name) = (given.text(0), given.text(1), given.text(3));
    let providers: Vec<_> =
        [4, 5].map(|i| given.text(i)).into_iter().filter(|p| !p.is_empty()).collect();
    enable(world, protocol, &providers).await?;
    let text = create_text(given.text(2), consumer, &providers);
    world.call_changed(consumer, CREATE, &text, changes).await?;
    let check = check::status(super::calls::last_outcome(world)?, "OK", None);
    world.check(check)?;
    let created = world.response()?;
    let field = match protocol {
        "direct" => "direct",
        "LLv2" => "liquid_legions_v2",
        "RO-LLv2" => "reach_only_liquid_legions_v2",
        "HMSS" => "honest_majority_share_shuffle",
        _ => "trus_tee",
    };
    let shown = text_at(&created, &format!("protocol_config.protocols[0].{field}"))?;
    let observed = if shown == "unset" { "another" } else { protocol };
    world.check(check::equal("protocol", protocol, observed))?;
    let resource = text_at(&created, "name")?;
    world.set(format!("{consumer}.{name}_number"), Var::Text(number_of(&resource)?));
    world.set(format!("{consumer}.{name}"), Var::Text(resource));
    world.set(format!("{consumer}.{name}_protocol"), Var::Text(protocol.to_owned()));
    learn_proofs(world, name, &providers, &created)?;
    learn(world, &Measurement { consumer, name }).await
}

/// What a provider proves with that it knows its requisition: nonce and fingerprint (contract
/// 3.8.2, 3.8.4).
fn learn_proofs(
    world: &mut World,
    name: &str,
    providers: &[&str],
    created: &DynamicMessage,
) -> Result<(), Problem> {
    let created = v2alpha::Measurement::decode(created.encode_to_vec().as_slice())
        .map_err(|error| Problem::harness(format!("a measurement does not parse: {error}")))?;
    let spec = created.measurement_spec.and_then(|spec| spec.message).unwrap_or_default().value;
    for (index, provider) in providers.iter().enumerate() {
        let entry = created.data_providers.get(index).and_then(|entry| entry.value.as_ref());
        let sent = entry.and_then(|entry| entry.encrypted_requisition_spec.as_ref());
        let ciphertext = sent.map(|sent| sent.ciphertext.as_slice()).unwrap_or_default();
        let fingerprint = halo_consent::requisition_fingerprint(&spec, ciphertext);
        world.set(format!("{provider}.{name}_fingerprint"), Var::Bytes(fingerprint.to_vec()));
        world.set(format!("{provider}.{name}_nonce"), Var::Text(nonce(index).to_string()));
    }
    Ok(())
}

fn nonce(index: usize) -> u64 {
    FIRST_NONCE + index as u64
}

fn nonce_hash(index: usize) -> [u8; 32] {
    halo_consent::nonce_hash(nonce(index))
}

/// Bytes within a string of text proto.
fn octal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:03o}")).collect()
}

async fn create(world: &mut World, given: &Arguments, changes: &[Vec<String>]) -> StepResult {
    let consumer = given.text(0);
    let providers: Vec<_> =
        [2, 3].map(|i| given.text(i)).into_iter().filter(|p| !p.is_empty()).collect();
    let text = create_text(given.text(1), consumer, &providers);
    Ok(world.call_changed(consumer, CREATE, &text, changes).await?)
}

/// Switches a protocol on, unless the Kingdom runs already, and lets the providers support it.
async fn enable(world: &mut World, protocol: &str, providers: &[&str]) -> StepResult {
    if let Ok(setup) = world.setup() {
        match protocol {
            "HMSS" => setup.protocols.hmss_enabled = true,
            "TrusTEE" => setup.protocols.trustee_enabled = true,
            "RO-LLv2" => setup.protocols.ro_llv2_enabled = true,
            _ => {}
        }
    }
    if ["HMSS", "TrusTEE"].contains(&protocol) {
        for provider in providers {
            support(world, provider, protocol).await?;
        }
    }
    Ok(())
}

async fn support(world: &mut World, provider: &str, protocols: &str) -> StepResult {
    let text = format!(
        "name: \"{{{provider}}}\" capabilities {{ honest_majority_share_shuffle_supported: {} \
         trus_tee_supported: {} }}",
        protocols.contains("HMSS"),
        protocols.contains("TrusTEE")
    );
    must(world, provider, "DataProviders.ReplaceDataProviderCapabilities", &text).await
}

/// A batch of requests that the Kingdom accepts, each alike.
fn batch_text(given: &Arguments) -> Result<String, Problem> {
    let consumer = given.text(0);
    let child = create_text("reach", consumer, &[given.text(2)]);
    let children = format!("requests {{ {child} }} ").repeat(given.number(1)?);
    Ok(format!("parent: \"{{{consumer}}}\" {children}"))
}

/// A request that the Kingdom accepts. What it holds opaque is no real signature and no real
/// ciphertext: the participants of the consent scenarios make those.
fn create_text(kind: &str, consumer: &str, providers: &[&str]) -> String {
    const KEY: &str = "[type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionPublicKey]";
    let dp = "privacy_params { epsilon: 0.1 delta: 0.1 }";
    let kind = match kind {
        "reach" => format!("reach {{ {dp} }}"),
        "reach and frequency" => {
            format!("reach_and_frequency {{ reach_{dp} frequency_{dp} maximum_frequency: 10 }}")
        }
        "impression" => format!("impression {{ {dp} maximum_frequency_per_user: 2 }}"),
        "duration" => {
            format!("duration {{ {dp} maximum_watch_duration_per_user {{ seconds: 60 }} }}")
        }
        _ => {
            "population { } model_line: \"modelProviders/A/modelSuites/B/modelLines/C\"".to_owned()
        }
    };
    let hashes: Vec<_> =
        (0..providers.len()).map(|index| format!("\"{}\"", octal(&nonce_hash(index)))).collect();
    let entries: String = providers
        .iter()
        .zip(&hashes)
        .map(|(provider, hash)| {
            format!(
                "data_providers {{ key: \"{{{provider}}}\" value {{ data_provider_certificate: \
                 \"{{{provider}.certificate}}\" data_provider_public_key {{ {KEY} {{ format: \
                 TINK_KEYSET data: \"{{{provider}.keyset}}\" }} }} encrypted_requisition_spec {{ \
                 ciphertext: \"spec for {provider}\" type_url: \
                 \"type.googleapis.com/wfa.measurement.api.v2alpha.SignedMessage\" }} nonce_hash: \
                 {hash} }} }} "
            )
        })
        .collect();
    format!(
        "parent: \"{{{consumer}}}\" measurement {{ measurement_consumer_certificate: \
         \"{{{consumer}.certificate}}\" measurement_spec {{ message {{ \
         [type.googleapis.com/wfa.measurement.api.v2alpha.MeasurementSpec] {{ \
         measurement_public_key {{ {KEY} {{ format: TINK_KEYSET data: \"{{{consumer}.keyset}}\" }} \
         }} vid_sampling_interval {{ width: 1.0 }} nonce_hashes: [{}] {kind} }} }} signature: \
         \"signature of the spec\" signature_algorithm_oid: \"1.2.840.10045.4.3.2\" }} {entries} }}",
        hashes.join(", ")
    )
}

fn params_text(
    world: &World,
    duchy: &str,
    of: &Measurement<'_>,
    certificate: &str,
) -> Result<String, Problem> {
    let el_gamal = format!(
        "el_gamal_public_key: \"key of {duchy}\" el_gamal_public_key_signature: \"signature of \
         {duchy}\" el_gamal_public_key_signature_algorithm_oid: \"1.2.840.10045.4.3.2\""
    );
    let params = match of.protocol(world)?.as_str() {
        "LLv2" => format!("liquid_legions_v2 {{ {el_gamal} }}"),
        "RO-LLv2" => format!("reach_only_liquid_legions_v2 {{ {el_gamal} }}"),
        "HMSS" if duchy == DUCHIES[0] => "honest_majority_share_shuffle { }".to_owned(),
        "HMSS" => format!(
            "honest_majority_share_shuffle {{ {} }}",
            el_gamal.replace("el_gamal_public_key", "tink_public_key")
        ),
        "TrusTEE" => "trus_tee { }".to_owned(),
        other => {
            return Err(Problem::author(
                format!("no Duchy takes part in a {other} measurement"),
                "name a measurement of another protocol",
            ));
        }
    };
    Ok(format!(
        "name: \"{{{duchy}.{}_participant}}\" requisition_params {{ duchy_certificate: \
         \"{{{duchy}.{certificate}}}\" {params} }}",
        of.name
    ))
}

/// Who calls what to fulfil a provider's requisition: the provider itself if the measurement is
/// direct, else a Duchy on its behalf (contract 1.7.14).
fn fulfil_text(
    world: &World,
    provider: &str,
    of: &Measurement<'_>,
) -> Result<(String, &'static str, String), Problem> {
    let name = of.name;
    Ok(match of.protocol(world)?.as_str() {
        "direct" => (
            provider.to_owned(),
            "Requisitions.FulfillDirectRequisition",
            format!(
                "name: \"{{{provider}.{name}_requisition}}\" nonce: {{{provider}.{name}_nonce}} encrypted_result {{ \
                 ciphertext: \"result of {provider}\" type_url: \
                 \"type.googleapis.com/wfa.measurement.api.v2alpha.SignedMessage\" }}"
            ),
        ),
        protocol => (
            if protocol == "TrusTEE" { DUCHIES[0] } else { DUCHIES[1] }.to_owned(),
            "system Requisitions.FulfillRequisition",
            format!(
                "name: \"{{{provider}.{name}_computation_requisition}}\" nonce: \
                 {{{provider}.{name}_nonce}}"
            ),
        ),
    })
}

fn refuse_text(provider: &str, of: &Measurement<'_>, justification: &str) -> String {
    format!(
        "name: \"{{{provider}.{}_requisition}}\" refusal {{ justification: {justification} message: \
         \"refused by {provider}\" }}",
        of.name
    )
}

fn result_text(duchy: &str, of: &Measurement<'_>, certificate: &str) -> String {
    format!(
        "name: \"{{{}.{}_computation}}\" aggregator_certificate: \"{{{duchy}.{certificate}}}\" \
         result_public_key: \"key\" encrypted_result: \"result of {duchy}\" public_api_version: \
         \"v2alpha\"",
        of.consumer, of.name
    )
}

fn fail_text(duchy: &str, of: &Measurement<'_>) -> String {
    format!(
        "name: \"{{{duchy}.{}_participant}}\" failure {{ participant_child_reference_id: \"mill\" \
         error_message: \"{duchy} cannot go on\" }}",
        of.name
    )
}

/// Takes a measurement to an internal state, by the calls that lead there.
async fn reach(world: &mut World, of: &Measurement<'_>, state: &str) -> StepResult {
    const PATH: [&str; 5] = [
        "PENDING_REQUISITION_PARAMS",
        "PENDING_REQUISITION_FULFILLMENT",
        "PENDING_PARTICIPANT_CONFIRMATION",
        "PENDING_COMPUTATION",
        "SUCCEEDED",
    ];
    match state {
        "CANCELLED" => {
            let text = format!("name: \"{{{}.{}}}\"", of.consumer, of.name);
            must(world, of.consumer, "Measurements.CancelMeasurement", &text).await?;
        }
        "FAILED" => {
            let now = text_at(&internal_measurement(world, of).await?, "state")?;
            if now == PATH[0] {
                must(world, DUCHIES[0], FAIL, &fail_text(DUCHIES[0], of)).await?;
            } else {
                let provider = providers(world, of).await?.swap_remove(0);
                let text = refuse_text(&provider, of, "DECLINED");
                must(world, &provider, REFUSE, &text).await?;
            }
        }
        _ => {
            if !PATH.contains(&state) {
                return Err(Problem::author(
                    format!("no measurement has the internal state {state}"),
                    format!("name one of {}, FAILED, CANCELLED", PATH.join(", ")),
                )
                .into());
            }
            // Every round takes the measurement one state on, or two where a protocol skips one.
            for _ in PATH {
                let now = text_at(&internal_measurement(world, of).await?, "state")?;
                if now == state {
                    break;
                }
                advance(world, of, &now).await?;
            }
        }
    }
    learn(world, of).await?;
    let observed = text_at(&internal_measurement(world, of).await?, "state")?;
    world.check(check::equal("internal state", state, &observed))
}

/// One state on.
async fn advance(world: &mut World, of: &Measurement<'_>, state: &str) -> StepResult {
    match state {
        "PENDING_REQUISITION_PARAMS" => {
            for (duchy, is) in participants(world, of).await? {
                if is == "CREATED" {
                    let text = params_text(world, &duchy, of, "certificate")?;
                    must(world, &duchy, SET_PARAMS, &text).await?;
                }
            }
        }
        "PENDING_REQUISITION_FULFILLMENT" => {
            let measurement = internal_measurement(world, of).await?;
            let states = many(&measurement, "requisitions[*].state")?;
            for (provider, is) in providers(world, of).await?.into_iter().zip(states) {
                if is == "UNFULFILLED" {
                    let (who, method, text) = fulfil_text(world, &provider, of)?;
                    must(world, &who, method, &text).await?;
                }
            }
        }
        "PENDING_PARTICIPANT_CONFIRMATION" => {
            for (duchy, is) in participants(world, of).await? {
                if is == "REQUISITION_PARAMS_SET" {
                    let text = format!("name: \"{{{duchy}.{}_participant}}\"", of.name);
                    must(world, &duchy, CONFIRM, &text).await?;
                }
            }
        }
        "PENDING_COMPUTATION" => {
            let text = result_text(DUCHIES[0], of, "certificate");
            must(world, DUCHIES[0], SET_RESULT, &text).await?;
        }
        _ => {}
    }
    Ok(())
}

/// The Duchies that take part, each with its state.
async fn participants(
    world: &mut World,
    of: &Measurement<'_>,
) -> Result<Vec<(String, String)>, Stop> {
    let measurement = internal_measurement(world, of).await?;
    let duchies = many(&measurement, "computation_participants[*].external_duchy_id")?;
    let states = many(&measurement, "computation_participants[*].state")?;
    Ok(duchies.into_iter().zip(states).collect())
}

/// The providers of the measurement by the names of their folders, in the order of requisitions.
async fn providers(world: &mut World, of: &Measurement<'_>) -> Result<Vec<String>, Stop> {
    let measurement = internal_measurement(world, of).await?;
    let numbers = many(&measurement, "requisitions[*].external_data_provider_id")?;
    let mut names = Vec::with_capacity(numbers.len());
    for wanted in numbers {
        let mut found = None;
        for participant in world.running()?.sandbox().participants() {
            if number_of(&participant.resource).is_ok_and(|number| number == wanted) {
                found = Some(participant.name.clone());
            }
        }
        names.push(
            found.ok_or_else(|| Problem::harness(format!("no provider has the id {wanted}")))?,
        );
    }
    Ok(names)
}

/// Sets the variables of a measurement as it is now.
async fn learn(world: &mut World, of: &Measurement<'_>) -> StepResult {
    let (consumer, name) = (of.consumer, of.name);
    let measurement = internal_measurement(world, of).await?;
    let computation = api_id(&text_at(&measurement, "external_computation_id")?);
    let etag = text_at(&measurement, "etag")?;
    world.set(format!("{consumer}.{name}_etag"), Var::Text(etag));
    let computation = computation.map(|id| format!("computations/{id}"));
    let owners = providers(world, of).await?;
    for (index, owner) in owners.iter().enumerate() {
        let at = |field: &str| text_at(&measurement, &format!("requisitions[{index}].{field}"));
        let id = api_id(&at("external_requisition_id")?).unwrap_or_default();
        let resource = match world.get(owner)? {
            Var::Text(resource) => format!("{resource}/requisitions/{id}"),
            Var::Bytes(_) => return Err(Problem::harness("a resource that is no text").into()),
        };
        if let Some(computation) = &computation {
            let text = format!("{computation}/requisitions/{id}");
            world.set(format!("{owner}.{name}_computation_requisition"), Var::Text(text));
        }
        let etag = at("etag")?;
        let fulfilling = at("external_fulfilling_duchy_id")?;
        // HMSS: the worker that does not fulfil (1.7.13).
        let other = match fulfilling.as_str() {
            "worker1" => Some("worker2"),
            "worker2" => Some("worker1"),
            _ => None,
        };
        if let Some(other) = other {
            world.set(format!("{owner}.{name}_other_worker"), Var::Text(other.to_owned()));
        }
        if !fulfilling.is_empty() {
            world.set(format!("{owner}.{name}_fulfilling_duchy"), Var::Text(fulfilling));
        }
        world.set(format!("{owner}.{name}_requisition"), Var::Text(resource));
        world.set(format!("{owner}.{name}_requisition_id"), Var::Text(id));
        world.set(format!("{owner}.{name}_requisition_etag"), Var::Text(etag));
    }
    if let Some(computation) = computation {
        for (duchy, _) in participants(world, of).await? {
            let text = format!("{computation}/participants/{duchy}");
            world.set(format!("{duchy}.{name}_participant"), Var::Text(text));
        }
        world.set(format!("{consumer}.{name}_computation"), Var::Text(computation));
    }
    Ok(())
}

/// A measurement as the operator sees it, with requisitions and participants.
async fn internal_measurement(
    world: &mut World,
    of: &Measurement<'_>,
) -> Result<DynamicMessage, Stop> {
    let consumer = number(world, of.consumer)?;
    let wanted = world.fill(&format!("{{{}.{}_number}}", of.consumer, of.name))?;
    let text = format!(
        "filter {{ external_measurement_consumer_id: {consumer} }} measurement_view: COMPUTATION"
    );
    must(world, OPERATOR, "Measurements.StreamMeasurements", &text).await?;
    for measurement in world.responses()? {
        if text_at(&measurement, "external_measurement_id")? == wanted {
            return Ok(measurement);
        }
    }
    world.check(check::equal("measurement", of.name, "absent"))?;
    Err(Stop::Failed)
}

async fn public_measurement(
    world: &mut World,
    consumer: &str,
    name: &str,
) -> Result<DynamicMessage, Stop> {
    let text = format!("name: \"{{{consumer}.{name}}}\"");
    must(world, consumer, "Measurements.GetMeasurement", &text).await?;
    world.response()
}

/// The internal number of an actor's resource.
fn number(world: &World, actor: &str) -> Result<String, Problem> {
    match world.get(actor)? {
        Var::Text(resource) => number_of(resource),
        Var::Bytes(_) => Err(Problem::harness("a resource that is no text")),
    }
}

fn number_of(resource: &str) -> Result<String, Problem> {
    let id = resource.rsplit('/').next().and_then(ApiId::decode);
    id.map(|id| id.value().to_string())
        .ok_or_else(|| Problem::author(format!("`{resource}` has no number"), "name another actor"))
}

/// The public form of an internal number; `None` for 0.
fn api_id(number: &str) -> Option<String> {
    number.parse().ok().and_then(ApiId::new).map(|id| id.to_string())
}

fn text_at(message: &DynamicMessage, path: &str) -> Result<String, Problem> {
    match dynamic::at(message, path).map_err(Problem::harness)? {
        At::One(one) => Ok(one),
        At::Many(_) => Err(Problem::harness(format!("{path} is a list"))),
    }
}

fn many(message: &DynamicMessage, path: &str) -> Result<Vec<String>, Problem> {
    match dynamic::at(message, path).map_err(Problem::harness)? {
        At::Many(many) => Ok(many),
        At::One(_) => Err(Problem::harness(format!("{path} is no list"))),
    }
}
