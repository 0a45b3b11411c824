//! `api measurements`: created as a provider can open and verify it, listed, cancelled, and results
//! that are shown once they are verified.

use crate::support::{Ended, World, after, halo, read};
use fake_kingdom::seam::entropy::Seed;
use halo_consent::{
    PackedMessage, PrivateKeyset, PublicKeyset, SIGNED_MESSAGE, SignatureAlgorithm, SignedMessage,
    SigningKey, nonce_hash, open_signed, seal_signed, type_url,
};
use kingdom_proto::v2alpha as pb;
use kingdom_proto::v2alpha::measurements_client::MeasurementsClient;
use kingdom_proto::v2alpha::requisitions_client::RequisitionsClient;
use prost::Message as _;

const TIMES: [&str; 2] =
    ["--event-start-time=2026-01-01T00:00:00Z", "--event-end-time=2026-02-01T00:00:00Z"];
const IMPRESSION: [&str; 6] = [
    "--vid-sampling-start=0",
    "--vid-sampling-width=1",
    "--impression",
    "--impression-privacy-epsilon=0.5",
    "--impression-privacy-delta=1e-9",
    "--max-frequency-per-user=3",
];

fn measurements(world: &World, before: &[&str], more: &[&str]) -> Ended {
    let key = world.api_key();
    let mut all = before.to_vec();
    all.extend(["measurements", "--api-key", &key]);
    all.extend(more);
    world.api("mc1", &all)
}

/// `measurements create` with these options after the consumer and its key.
fn create(world: &World, before: &[&str], more: &[&str]) -> Ended {
    let consumer = format!("--measurement-consumer={}", world.resource("mc1"));
    let key = format!("--private-key-der-file={}", world.file("mc1", "cs_private.der"));
    let mut all = vec!["create", &consumer, &key];
    all.extend(more);
    measurements(world, before, &all)
}

/// One provider with these event groups and filters, in this order.
fn provider(world: &World, who: &str, groups: usize, filters: usize) -> Vec<String> {
    let name = world.resource(who);
    let mut all = vec![format!("--event-data-provider={name}")];
    for n in 0..groups.max(filters) {
        if n < groups {
            all.push(format!(
                "--event-group={name}/eventGroups/AAAAAAAAAA{}",
                (b'A' + n as u8) as char
            ));
            all.extend(TIMES.map(str::to_owned));
        }
        if n < filters {
            all.push(format!("--event-filter=age == {n}"));
        }
    }
    all
}

fn impression(world: &World) -> String {
    created(world, provider(world, "edp1", 1, 1))
}

/// An impression measurement of these providers.
fn created(world: &World, mut options: Vec<String>) -> String {
    options.extend(IMPRESSION.map(str::to_owned));
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    let printed = create(world, &[], &options).good();
    let name = after(&printed, "Measurement Name: ").to_owned();
    assert_eq!(printed, format!("Measurement Name: {name}\n"));
    name
}

fn requisition(world: &World, measurement: &str) -> pb::Requisition {
    requisition_of(world, "edp1", measurement)
}

fn requisition_of(world: &World, who: &str, measurement: &str) -> pb::Requisition {
    let _inside = world.runtime.enter();
    let channel = world.kingdom.channel(&world.sandbox, who);
    let request = pb::ListRequisitionsRequest { parent: world.resource(who), ..Default::default() };
    let listed = world.runtime.block_on(async {
        let mut client = RequisitionsClient::new(channel.expect("a channel"));
        client.list_requisitions(request).await.expect("listed").into_inner()
    });
    let found = listed.requisitions.into_iter().find(|one| one.measurement == measurement);
    found.expect("the measurement's requisition")
}

/// What edp1 reads in a requisition: the spec, signed by mc1 and encrypted for edp1.
fn opened(world: &World, requisition: &pb::Requisition) -> pb::RequisitionSpec {
    opened_by(world, "edp1", requisition)
}

fn opened_by(world: &World, who: &str, requisition: &pb::Requisition) -> pb::RequisitionSpec {
    let keyset = PrivateKeyset::from_binary(&read(&world.file(who, "enc_private.tink")));
    let encrypted = requisition.encrypted_requisition_spec.clone().expect("a spec");
    let signed =
        open_signed(&keyset.expect("a key set"), &encrypted.ciphertext, &encrypted.type_url)
            .expect("it opens");
    let certificate = read(&world.file("mc1", "cs_cert.der"));
    assert_eq!(signed.verify(&certificate), Ok(()));
    pb::RequisitionSpec::decode(signed.signed_bytes()).expect("a spec")
}

#[test]
fn a_provider_opens_and_verifies_what_create_made() {
    let world = World::start();
    let mut options = provider(&world, "edp1", 2, 1);
    options.extend(IMPRESSION.map(str::to_owned));
    options.push("--measurement-ref-id=ours".to_owned());
    options.extend(
        ["--report=measurementConsumers/a/reports/b", "--cumulative", "--create-direct"]
            .map(str::to_owned),
    );
    options.push("--direct-vid-sampling-width=0.5".to_owned());
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    let printed = create(&world, &[], &options).good();
    let requisition = requisition(&world, after(&printed, "Measurement Name: "));
    let spec = opened(&world, &requisition);
    let signed = requisition.measurement_spec.clone().expect("a spec");
    let certificate = read(&world.file("mc1", "cs_cert.der"));
    let value = &signed.message.as_ref().expect("packed").value;
    let oid = &signed.signature_algorithm_oid;
    assert_eq!(oid, SignatureAlgorithm::EcdsaWithSha256.oid());
    assert_eq!(halo_consent::verify(&certificate, oid, value, &signed.signature), Ok(()));
    let measurement = pb::MeasurementSpec::decode(value.as_slice()).expect("a spec");
    assert_eq!(measurement.nonce_hashes, [nonce_hash(spec.nonce).to_vec()]);
    assert_eq!(measurement.measurement_public_key, spec.measurement_public_key);
    let Some(pb::requisition_spec::RequisitionType::Events(events)) = spec.requisition_type else {
        panic!("no event requisition: {spec:?}")
    };
    let filters: Vec<_> = events
        .event_groups
        .iter()
        .filter_map(|group| Some(group.value.as_ref()?.filter.as_ref()?.expression.clone()))
        .collect();
    assert_eq!(filters, ["age == 0", "age == 0"]);
    assert_eq!(
        measurement.measurement_type,
        Some(pb::measurement_spec::MeasurementType::Impression(pb::measurement_spec::Impression {
            privacy_params: Some(pb::DifferentialPrivacyParams { epsilon: 0.5, delta: 1e-9 }),
            maximum_frequency_per_user: 3,
        }))
    );
}

#[test]
fn every_type_of_measurement_is_created_or_refused_with_the_option_that_is_missing() {
    let world = World::start();
    let sampling = ["--vid-sampling-start=0", "--vid-sampling-width=0.5"];
    let reach = ["--reach", "--reach-privacy-epsilon=1", "--reach-privacy-delta=1e-9"];
    let frequency = [
        "--reach-and-frequency",
        "--rf-reach-privacy-epsilon=1",
        "--rf-reach-privacy-delta=1e-9",
        "--rf-frequency-privacy-epsilon=1",
        "--rf-frequency-privacy-delta=1e-9",
    ];
    let duration = [
        "--duration",
        "--duration-privacy-epsilon=1",
        "--duration-privacy-delta=1e-9",
        "--max-duration=5m20s",
    ];
    let event = provider(&world, "edp1", 1, 1);
    let event: Vec<_> = event.iter().map(String::as_str).chain(sampling).collect();
    for options in [&reach[..], &frequency[..], &duration[..]] {
        create(&world, &[], &[&event[..], options].concat()).good();
        for missing in 1..options.len() {
            let mut fewer = options.to_vec();
            let option = fewer.remove(missing).split('=').next().expect("a name");
            create(&world, &[], &[&event[..], &fewer[..]].concat()).bad(2, &[option, "Usage"]);
        }
    }
    let population = [
        &format!("--population-data-provider={}", world.resource("edp1")),
        "--population",
        "--population-start-time=2026-01-01T00:00:00Z",
        "--population-end-time=2026-02-01T00:00:00Z",
    ];
    create(&world, &[], &population).bad(1, &["INVALID_ARGUMENT", "model_line"]);
    let line =
        "--model-line=modelProviders/AAAAAAAAAAE/modelSuites/AAAAAAAAAAE/modelLines/AAAAAAAAAAE";
    let filter = "--population-filter=age > 18";
    let printed = create(&world, &[], &[&population[..], &[line, filter]].concat()).good();
    let spec = opened(&world, &requisition(&world, after(&printed, "Measurement Name: ")));
    let Some(pb::requisition_spec::RequisitionType::Population(asked)) = spec.requisition_type
    else {
        panic!("no population requisition")
    };
    assert_eq!(asked.filter.map(|filter| filter.expression).as_deref(), Some("age > 18"));
    let from = asked.interval.and_then(|interval| interval.start_time);
    assert_eq!(from.map(|time| time.to_string()).as_deref(), Some("2026-01-01T00:00:00Z"));
    create(&world, &[], &population[..3]).bad(2, &["--population-end-time"]);
    create(&world, &[], &event).bad(2, &["give one of --reach"]);
    create(&world, &[], &[&event[..], &reach[..], &duration[..]].concat()).bad(2, &["exclude"]);
    create(&world, &[], &[&sampling[..], &reach[..]].concat()).bad(2, &["--event-data-provider"]);
    create(&world, &[], &[&event[2..], &reach[..]].concat()).bad(2, &["stands before"]);
    let no_filter = provider(&world, "edp1", 1, 0);
    let no_filter: Vec<_> = no_filter.iter().map(String::as_str).chain(sampling).collect();
    create(&world, &[], &[&no_filter[..], &reach[..]].concat()).bad(2, &["--event-filter"]);
}

#[test]
fn two_filters_for_a_provider_fail_unless_the_quirk_is_off() {
    let world = World::start();
    let mut options = provider(&world, "edp1", 2, 2);
    options.extend(IMPRESSION.map(str::to_owned));
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    create(&world, &[], &options).bad(1, &["cli-one-event-filter-per-provider"]);
    let on = ["--quirk", "cli-one-event-filter-per-provider=faithful"];
    create(&world, &on, &options).bad(1, &["cli-one-event-filter-per-provider"]);
    let off = ["--quirk", "cli-one-event-filter-per-provider=as-documented"];
    let printed = create(&world, &off, &options).good();
    let spec = opened(&world, &requisition(&world, after(&printed, "Measurement Name: ")));
    let Some(pb::requisition_spec::RequisitionType::Events(events)) = spec.requisition_type else {
        panic!("no event requisition")
    };
    let filters: Vec<_> = events
        .event_groups
        .iter()
        .filter_map(|group| Some(group.value.as_ref()?.filter.as_ref()?.expression.clone()))
        .collect();
    assert_eq!(filters, ["age == 0", "age == 1"]);
    let mut odd = provider(&world, "edp1", 3, 2);
    odd.extend(IMPRESSION.map(str::to_owned));
    let odd: Vec<_> = odd.iter().map(String::as_str).collect();
    create(&world, &off, &odd).bad(2, &["3 event groups and 2 filters"]);
}

#[test]
fn a_signing_key_that_is_not_the_certificates_is_sent_with_a_warning() {
    let world = World::start();
    let (_, other) = world.issue("mc1", "other");
    let mut options = provider(&world, "edp1", 1, 1);
    options.extend(IMPRESSION.map(str::to_owned));
    let consumer = format!("--measurement-consumer={}", world.resource("mc1"));
    let key = format!("--private-key-der-file={other}");
    let mut all = vec!["create", &consumer, &key];
    all.extend(options.iter().map(String::as_str));
    let ended = measurements(&world, &[], &all);
    assert!(ended.err.contains("every provider will refuse"), "{}", ended.err);
    ended.good();
}

#[test]
fn measurements_are_listed_paged_and_cancelled() {
    let world = World::start();
    let (first, second) = (impression(&world), impression(&world));
    let consumer = world.resource("mc1");
    let list = |before: &[&str], more: &[&str]| {
        let mut all = vec!["list", "--measurement-consumer", &consumer];
        all.extend(more);
        measurements(&world, before, &all)
    };
    let listed = list(&[], &[]).good();
    for name in [&first, &second] {
        assert!(listed.contains(&format!("{name} AWAITING_REQUISITION_FULFILLMENT\n")), "{listed}");
    }
    let page = list(&[], &["--page-size", "1"]);
    let token = after(&page.err, "halo-harness: more follow: --page-token ").to_owned();
    assert_eq!(page.good().lines().count(), 1);
    assert_eq!(list(&[], &["--page-token", &token]).good().lines().count(), 1);
    let documented = ["--quirk", "cli-lists-first-page-only=as-documented"];
    assert_eq!(list(&documented, &["--page-token", &token]).good().lines().count(), 1);
    let faithful = ["--quirk", "cli-lists-first-page-only=faithful"];
    assert_eq!(list(&faithful, &[]).good(), listed);
    list(&faithful, &["--page-size", "1"]).bad(2, &["--page-size"]);

    assert_eq!(measurements(&world, &[], &["cancel", &first]).good(), "State: CANCELLED\n");
    measurements(&world, &[], &["cancel", &first]).bad(1, &["FAILED_PRECONDITION"]);
    world.api("mc1", &["measurements", "cancel", &first]).bad(2, &["--api-key"]);

    // Revoking the provider's certificate fails what is pending under it (1.6.3).
    let certificate = world.certificate("edp1");
    let revoke = ["certificates", "revoke", "--revocation-state", "REVOKED", &certificate];
    world.api("edp1", &revoke).good();
    let key = world.file("mc1", "enc_private.tink");
    let get = ["get", "--encryption-private-key-file", &key, &second];
    let shown = measurements(&world, &[], &get).good();
    assert!(shown.starts_with("State: FAILED - CERTIFICATE_REVOKED: "), "{shown}");
    let listed = list(&[], &[]).good();
    assert!(listed.contains(&format!("{second} FAILED - CERTIFICATE_REVOKED: ")), "{listed}");
}

/// edp1 fulfils the measurement with a result of each kind, signed and labelled as told.
fn fulfil(world: &World, measurement: &str, change: impl FnOnce(&mut SignedMessage)) {
    use pb::measurement::result;
    let everything = pb::measurement::Result {
        reach: Some(result::Reach { value: 12, ..Default::default() }),
        frequency: Some(result::Frequency {
            relative_frequency_distribution: [(2, 0.25), (1, 0.75)].into(),
            ..Default::default()
        }),
        population: Some(result::Population { value: 1000, ..Default::default() }),
        watch_duration: Some(result::WatchDuration {
            value: Some(prost_types::Duration { seconds: 5, nanos: 7 }),
            ..Default::default()
        }),
        ..impressions(42)
    };
    fulfil_as(world, "edp1", measurement, &everything, change);
}

fn impressions(value: i64) -> pb::measurement::Result {
    let impression = pb::measurement::result::Impression { value, ..Default::default() };
    pb::measurement::Result { impression: Some(impression), ..Default::default() }
}

/// A provider fulfils its requisition with this result.
fn fulfil_as(
    world: &World,
    who: &str,
    measurement: &str,
    result: &pb::measurement::Result,
    change: impl FnOnce(&mut SignedMessage),
) {
    let requisition = requisition_of(world, who, measurement);
    let spec = opened_by(world, who, &requisition);
    let key = SigningKey::from_pkcs8_der(&read(&world.file(who, "cs_private.der")));
    let message = PackedMessage {
        type_url: type_url("wfa.measurement.api.v2alpha.Measurement.Result"),
        value: result.encode_to_vec(),
    };
    let mut signed =
        SignedMessage::sign(&key.expect("a key"), SignatureAlgorithm::EcdsaWithSha256, message)
            .expect("signed");
    change(&mut signed);
    let consumer_key = PublicKeyset::from_binary(&read(&world.file("mc1", "enc_public.tink")));
    let ciphertext =
        seal_signed(&consumer_key.expect("it"), &signed, &mut Seed::new(1).child("seal"))
            .expect("sealed");
    let request = pb::FulfillDirectRequisitionRequest {
        name: requisition.name,
        encrypted_result: Some(pb::EncryptedMessage {
            ciphertext,
            type_url: type_url(SIGNED_MESSAGE),
        }),
        nonce: spec.nonce,
        certificate: world.certificate(who),
        ..Default::default()
    };
    let _inside = world.runtime.enter();
    let channel = world.kingdom.channel(&world.sandbox, who).expect("a channel");
    world.runtime.block_on(async {
        let fulfilled = RequisitionsClient::new(channel).fulfill_direct_requisition(request).await;
        fulfilled.expect("fulfilled");
    });
}

fn get(world: &World, before: &[&str], more: &[&str], name: &str) -> Ended {
    let key = world.file("mc1", "enc_private.tink");
    let mut all = vec!["get", "--encryption-private-key-file", &key];
    all.extend(more);
    all.push(name);
    measurements(world, before, &all)
}

/// Exit 1 after the state line (3.15.1).
#[track_caller]
fn state_then_failure(ended: Ended, texts: &[&str]) {
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.out, "State: SUCCEEDED\n");
    for text in texts {
        assert!(ended.err.contains(text), "`{text}` is not in: {}", ended.err);
    }
}

#[test]
fn a_verified_result_is_shown_line_by_line() {
    let world = World::start();
    let name = impression(&world);
    let awaiting = get(&world, &[], &[], &name).good();
    assert_eq!(awaiting, "State: AWAITING_REQUISITION_FULFILLMENT\n");
    fulfil(&world, &name, |_| {});
    assert_eq!(
        get(&world, &[], &[], &name).good(),
        "State: SUCCEEDED\nReach - 12\nFrequency - \n\t1  0.75\n\t2  0.25\nImpression - 42\n\
         WatchDuration - 5 seconds 7 nanos\nPopulation - 1000\n"
    );
    let json = get(&world, &["--format", "json"], &[], &name).good();
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["results"][0]["impression"]["value"], "42");
    // No revocation state is read (3.15.1).
    let certificate = world.certificate("edp1");
    let revoke = ["certificates", "revoke", "--revocation-state", "REVOKED", &certificate];
    world.api("edp1", &revoke).good();
    assert!(get(&world, &[], &[], &name).good().contains("Impression - 42\n"));
}

/// 4.1.5: a line for what is present, and none for what is not.
#[test]
fn only_what_a_result_holds_is_shown() {
    use pb::measurement::result::{Population, Reach};
    let world = World::start();
    let reach = Some(Reach { value: 3, ..Default::default() });
    let population = Some(Population { value: 4, ..Default::default() });
    for (result, line) in [
        (pb::measurement::Result { reach, ..Default::default() }, "Reach - 3\n"),
        (pb::measurement::Result { population, ..Default::default() }, "Population - 4\n"),
        (impressions(5), "Impression - 5\n"),
        (pb::measurement::Result::default(), ""),
    ] {
        let name = impression(&world);
        fulfil_as(&world, "edp1", &name, &result, |_| {});
        assert_eq!(get(&world, &[], &[], &name).good(), format!("State: SUCCEEDED\n{line}"));
    }
}

/// 3.15.1: the first bad result ends the command, and the results printed before it stay.
#[test]
fn a_bad_second_result_ends_the_command_behind_the_first() {
    let world = World::start();
    // Results come by provider: whose is bad decides whether one was printed before.
    let mut shown: Vec<String> = ["edp1", "edp2"]
        .into_iter()
        .map(|bad| {
            let both = [provider(&world, "edp1", 1, 1), provider(&world, "edp2", 1, 1)].concat();
            let name = created(&world, both);
            for who in ["edp1", "edp2"] {
                fulfil_as(&world, who, &name, &impressions(42), |signed| {
                    if who == bad {
                        signed.signature = b"nonsense".to_vec();
                    }
                });
            }
            let ended = get(&world, &[], &[], &name);
            assert_eq!(ended.code, Some(1), "{ended:?}");
            let certificate = world.certificate(bad);
            for text in ["its signature is invalid", &certificate] {
                assert!(ended.err.contains(text), "`{text}` is not in: {}", ended.err);
            }
            ended.out
        })
        .collect();
    shown.sort();
    assert_eq!(shown, ["State: SUCCEEDED\n", "State: SUCCEEDED\nImpression - 42\n"]);
}

#[test]
fn a_result_that_cannot_be_opened_or_trusted_is_not_shown() {
    let world = World::start();
    let name = impression(&world);
    fulfil(&world, &name, |_| {});
    let key = world.file("edp2", "enc_private.tink");
    let other = ["get", "--encryption-private-key-file", &key, &name];
    state_then_failure(measurements(&world, &[], &other), &["decryption failed"]);
    let missing = ["get", "--encryption-private-key-file", "/does/not/exist", &name];
    state_then_failure(measurements(&world, &[], &missing), &["/does/not/exist"]);

    // Without the provider's root among the trusted ones.
    let mut all = world.api_options("mc1");
    all.retain(|given| !given.starts_with("--cert-collection-file"));
    all.push(format!(
        "--cert-collection-file={}",
        world.own("mc1").join("kingdom_root.pem").display()
    ));
    let key = world.file("mc1", "enc_private.tink");
    let api_key = world.api_key();
    for word in ["measurements", "--api-key", &api_key, "get", "--encryption-private-key-file"] {
        all.push(word.to_owned());
    }
    all.extend([key, name]);
    state_then_failure(halo(&all), &["not issued by a root"]);
}

#[test]
fn a_bad_signature_and_an_unsupported_algorithm_end_the_command_each_in_its_words() {
    let world = World::start();
    let name = impression(&world);
    fulfil(&world, &name, |signed| signed.signature = b"nonsense".to_vec());
    state_then_failure(get(&world, &[], &[], &name), &["its signature is invalid"]);

    let name = impression(&world);
    fulfil(&world, &name, |signed| signed.signature_algorithm_oid = "1.2.3".to_owned());
    state_then_failure(get(&world, &[], &[], &name), &["1.2.3", "an exception"]);
    let on = ["--quirk", "unsupported-oid-is-not-a-bad-signature=faithful"];
    state_then_failure(get(&world, &on, &[], &name), &["1.2.3", "an exception"]);
    let off = ["--quirk", "unsupported-oid-is-not-a-bad-signature=as-documented"];
    state_then_failure(get(&world, &off, &[], &name), &["its signature is invalid"]);
}

#[test]
fn an_owner_is_bound_to_its_root_only_when_the_quirk_is_off() {
    let world = World::start();
    let name = impression(&world);
    fulfil(&world, &name, |_| {});
    let owner = world.resource("edp1");
    let right = format!("{owner}={}", world.file("edp1", "root.pem"));
    let wrong = format!("{owner}={}", world.file("edp2", "root.pem"));
    let off = ["--quirk", "issuer-not-bound-to-owner=as-documented"];
    let on = ["--quirk", "issuer-not-bound-to-owner=faithful"];
    assert!(get(&world, &on, &["--owner-root", &wrong], &name).good().contains("Impression"));
    assert!(get(&world, &[], &["--owner-root", &wrong], &name).good().contains("Impression"));
    assert!(get(&world, &off, &["--owner-root", &right], &name).good().contains("Impression"));
    state_then_failure(
        get(&world, &off, &["--owner-root", &wrong], &name),
        &["--owner-root", &owner],
    );
    state_then_failure(get(&world, &off, &[], &name), &["--owner-root"]);
    get(&world, &off, &["--owner-root", "nonsense"], &name).bad(2, &["OWNER=FILE"]);
}

#[test]
fn the_kingdom_gets_the_request_id_and_the_reference() {
    let world = World::start();
    let mut options = provider(&world, "edp1", 1, 1);
    options.extend(IMPRESSION.map(str::to_owned));
    options.extend(["--request-id=r1", "--measurement-ref-id=ours"].map(str::to_owned));
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    let first = create(&world, &[], &options).good();
    // The same request again is the same measurement.
    assert_eq!(create(&world, &[], &options).good(), first);
    let name = after(&first, "Measurement Name: ").to_owned();
    let _inside = world.runtime.enter();
    let channel = world.kingdom.channel(&world.sandbox, "mc1").expect("a channel");
    let read = world.runtime.block_on(async {
        let request = pb::GetMeasurementRequest { name };
        MeasurementsClient::new(channel).get_measurement(request).await.expect("it").into_inner()
    });
    assert_eq!(read.measurement_reference_id, "ours");
}

/// What does not go together is told with the usage of the command itself, as picocli does (4.0.3).
#[test]
fn a_missing_filter_is_told_with_the_usage_of_the_command() {
    let world = World::start();
    let event = [
        &format!("--event-data-provider={}", world.resource("edp1")),
        "--event-group=g",
        "--event-start-time=2026-01-01T00:00:00Z",
        "--event-end-time=2026-02-01T00:00:00Z",
        "--vid-sampling-start=0",
        "--vid-sampling-width=0.5",
        "--reach",
        "--reach-privacy-epsilon=1",
        "--reach-privacy-delta=1e-9",
    ];
    let ended = create(&world, &[], &event);
    assert!(!ended.err.contains("halo-harness <COMMAND>"), "the root's usage: {}", ended.err);
    ended.bad(2, &["--event-filter", "measurements create: ", "create [OPTIONS]"]);
}
