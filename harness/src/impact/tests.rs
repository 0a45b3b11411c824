//! The rule on facts made by hand; `tests/impact.rs` holds the reader.

use super::facts::*;
use super::plan::ActionKind::{self, *};
use super::*;
use kingdom_proto::internal::certificate::RevocationState;
use kingdom_proto::internal::computation_participant::State as ParticipantState;
use kingdom_proto::internal::measurement::State;
use kingdom_proto::internal::measurement_failure::Reason;
use kingdom_proto::internal::requisition::State as RequisitionState;

const MC: &str = "measurementConsumers/AAAAAAAAAZQ";
const DP: &str = "dataProviders/AAAAAAAAAZQ";
const DUCHY: &str = "duchies/worker1";

fn certificate(owner: &str) -> String {
    format!("{owner}/certificates/AAAAAAAAAZQ")
}

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp::from_seconds(seconds))
}

/// Facts about the certificate of an owner, suspected since second 100, and nothing read yet.
fn of_certificate(owner: &str) -> Facts {
    Facts {
        subject: Subject::certificate(&certificate(owner)).unwrap(),
        since: at(100),
        read: None,
        certificate: Some(CertificateFacts {
            state: RevocationState::Unspecified,
            skid: "01".to_owned(),
            not_before: None,
            not_after: None,
        }),
        key: None,
        public_key: None,
        own_keys: BTreeSet::new(),
        vouched_keys: BTreeSet::new(),
        measurements: Vec::new(),
        event_groups: EventGroups { scope: EventGroupScope::NotConcerned, seen: Vec::new() },
        audit: Some(AuditFacts { end_is_proven: true, ..AuditFacts::default() }),
        gaps: Vec::new(),
    }
}

/// Facts about the key `stolen` of an owner, which is in force.
fn of_key(owner: &str) -> Facts {
    Facts {
        subject: Subject::public_key(&format!("{owner}/publicKey")).unwrap(),
        certificate: None,
        key: Some("stolen".to_owned()),
        public_key: Some(PublicKeyFacts {
            name: format!("{owner}/publicKey"),
            certificate: certificate(owner),
            is_signed: Some(true),
            key: "stolen".to_owned(),
        }),
        ..of_certificate(owner)
    }
}

/// A measurement of one provider, created in second 50 under other certificates and keys.
fn measurement(id: &str, state: State) -> MeasurementFacts {
    let bound = format!("{DP}/certificates/other");
    MeasurementFacts {
        name: format!("{MC}/measurements/{id}"),
        consumer: MC.to_owned(),
        certificate: format!("{MC}/certificates/other"),
        is_signed: None,
        state,
        failure: None,
        create_time: at(50),
        update_time: at(60),
        etag: format!("etag of {id}"),
        reference_id: String::new(),
        question: "reach".to_owned(),
        result_key: Some("other".to_owned()),
        protocol: Protocol::Direct,
        bound: vec![(DP.to_owned(), bound.clone())],
        requisitions: vec![RequisitionFacts {
            name: format!("{DP}/requisitions/{id}"),
            data_provider: DP.to_owned(),
            certificate: bound,
            key: "other".to_owned(),
            state: RequisitionState::Unfulfilled,
            update_time: at(50),
            result_certificate: None,
            duchy_certificates: Vec::new(),
        }],
        participants: Vec::new(),
        result_certificates: Vec::new(),
    }
}

/// The same, with a result under a certificate since some second.
fn with_result(id: &str, by: &str, seconds: i64) -> MeasurementFacts {
    let mut row = measurement(id, State::Succeeded);
    row.requisitions[0].state = RequisitionState::Fulfilled;
    row.requisitions[0].result_certificate = Some(by.to_owned());
    row.requisitions[0].update_time = at(seconds);
    row.result_certificates = vec![by.to_owned()];
    row
}

fn ways(assessment: &Assessment) -> Vec<(Kind, &str, How, When, bool)> {
    let affected = assessment.affected.iter();
    affected
        .map(|one| {
            let id = one.name.rsplit('/').next().unwrap();
            (one.kind, id, one.how, one.when, one.open)
        })
        .collect()
}

fn plan_of(facts: &Facts) -> Vec<(ActionKind, String)> {
    let plan = assess(facts).plan;
    for (n, action) in plan.iter().enumerate() {
        assert_eq!(action.n, n + 1);
    }
    let id = |name: &str| name.rsplit('/').next().unwrap().to_owned();
    plan.iter().map(|action| (action.action, id(&action.subject))).collect()
}

/// What the plan does with measurements.
fn work_of(facts: &Facts) -> Vec<ActionKind> {
    let plan = plan_of(facts).into_iter().map(|(action, _)| action);
    plan.filter(|action| matches!(action, ReCreate | Cancel | Delete)).collect()
}

#[test]
fn a_name_of_another_shape_is_no_subject() {
    for name in [
        "",
        "mc1",
        MC,
        "measurementConsumers/x/certificates/AAAAAAAAAZQ",
        "duchies//certificates/AAAAAAAAAZQ",
        "accounts/AAAAAAAAAZQ/certificates/AAAAAAAAAZQ",
        "dataProviders/AAAAAAAAAZQ/certificates/",
        "dataProviders/AAAAAAAAAZQ/x/certificates/AAAAAAAAAZQ",
    ] {
        assert!(Subject::certificate(name).is_err(), "{name}");
        assert!(Subject::public_key(name).is_err(), "{name}");
    }
    for owner in ["duchies/worker1", "modelProviders/AAAAAAAAAZQ"] {
        assert!(Subject::certificate(&certificate(owner)).is_ok(), "{owner}");
        assert!(Subject::public_key(&format!("{owner}/publicKey")).is_err(), "{owner} has no key");
    }
}

#[test]
fn a_span_of_time_is_before_or_after_only_if_all_of_it_is() {
    let cases = [
        (at(50), at(99), When::Before),
        (at(100), at(100), When::After),
        (at(50), at(100), When::Unknown),
        (None, at(99), When::Before),
        (at(100), None, When::After),
        (at(99), None, When::Unknown),
        (None, None, When::Unknown),
    ];
    for (earliest, latest, expected) in cases {
        assert_eq!(when(at(100), earliest, latest), expected, "{earliest:?} {latest:?}");
        assert_eq!(when(None, earliest, latest), When::Unknown);
    }
}

#[test]
fn a_consumers_certificate_reaches_specs_requisitions_and_their_results() {
    let mut facts = of_certificate(MC);
    let mut hit = with_result("hit", "x", 150);
    hit.certificate = certificate(MC);
    facts.measurements = vec![hit, with_result("other", "x", 150)];
    use Kind::{Measurement, Requisition, Result};
    // Created before the suspected time: what it brought is history.
    assert_eq!(
        ways(&assess(&facts)),
        [
            (Measurement, "hit", How::SignedBy, When::Before, false),
            (Requisition, "hit", How::SignedBy, When::Before, false),
            (Result, "hit", How::BoundTo, When::After, false),
        ]
    );
    facts.since = at(50);
    assert_eq!(work_of(&facts), [ReCreate, Delete]);
    assert!(assess(&facts).affected.iter().all(|one| one.open));
}

#[test]
fn a_result_signed_before_the_suspected_time_is_history_and_undated_it_is_open() {
    let mut facts = of_certificate(DP);
    facts.measurements = vec![with_result("early", &certificate(DP), 99)];
    use Kind::{Measurement, Result};
    let assessment = assess(&facts);
    let early = ways(&assessment).into_iter().map(|(.., when, open)| (when, open));
    assert_eq!(early.collect::<Vec<_>>(), [(When::Before, false); 2]);
    for since in [None, at(99)] {
        facts.since = since;
        let assessment = assess(&facts);
        let when = if since.is_some() { When::After } else { When::Unknown };
        assert_eq!(
            ways(&assessment),
            [
                (Measurement, "early", How::ResultSignedBy, when, true),
                (Result, "early", How::ResultSignedBy, when, true),
            ]
        );
        assert_eq!(work_of(&facts), [ReCreate, Delete]);
        assert_eq!(assessment.plan.last().unwrap().etag.as_deref(), Some("etag of early"));
    }
}

/// 1.6.3: what the revocation fails needs no cancellation; what it leaves running does.
#[test]
fn only_what_the_cascade_leaves_running_is_cancelled() {
    let mut open = measurement("open", State::PendingRequisitionFulfillment);
    open.requisitions[0].certificate = certificate(DP);
    let mut delivered = open.clone();
    delivered.requisitions[0].state = RequisitionState::Fulfilled;
    let duchy = |state| {
        let mut row = measurement("mpc", State::PendingComputation);
        row.protocol = Protocol::Duchies;
        let certificate = certificate(DUCHY);
        row.participants = vec![ParticipantFacts { certificate, state, update_time: at(150) }];
        row
    };
    let mut of_consumer = measurement("any", State::PendingComputation);
    of_consumer.certificate = certificate(MC);
    let cases = [
        (DP, open, false),
        (DP, delivered, true),
        (DUCHY, duchy(ParticipantState::RequisitionParamsSet), false),
        (DUCHY, duchy(ParticipantState::Ready), true),
        (MC, of_consumer, false),
    ];
    for (owner, row, survives) in cases {
        let mut facts = of_certificate(owner);
        facts.measurements = vec![row];
        let expected: &[_] = if survives { &[ReCreate, Cancel] } else { &[ReCreate] };
        assert_eq!(work_of(&facts), expected, "{owner} {survives}");
        // Once it is revoked the cascade is over: whatever runs, runs on.
        facts.certificate.as_mut().unwrap().state = RevocationState::Revoked;
        assert_eq!(work_of(&facts), [ReCreate, Cancel], "{owner}");
    }
}

/// 1.6.5, 8.1.6.
#[test]
fn the_key_is_signed_anew_before_the_certificate_is_revoked() {
    let mut facts = of_certificate(DP);
    facts.public_key = of_key(DP).public_key;
    let kinds =
        |facts: &Facts| plan_of(facts).into_iter().map(|(kind, _)| kind).collect::<Vec<_>>();
    assert_eq!(kinds(&facts), [CreateCertificate, ReSignPublicKey, RevokeCertificate]);
    let why = |facts: &Facts| assess(facts).plan[1].why;
    assert!(why(&facts).starts_with("before the old certificate is revoked"));
    // On hold nobody can create a measurement of this provider either (1.6.1).
    facts.certificate.as_mut().unwrap().state = RevocationState::Hold;
    assert_eq!(kinds(&facts), [CreateCertificate, ReSignPublicKey, RevokeCertificate]);
    assert!(why(&facts).starts_with("at once"));
    // Revoked first, as runbooks say: now nobody can create a measurement of this provider.
    facts.certificate.as_mut().unwrap().state = RevocationState::Revoked;
    assert_eq!(kinds(&facts), [CreateCertificate, ReSignPublicKey]);
    assert!(why(&facts).starts_with("at once"));
    facts.public_key.as_mut().unwrap().certificate = format!("{DP}/certificates/new");
    assert_eq!(kinds(&facts), []);
}

/// 1.6.5 is about data providers: a consumer creates measurements under its new certificate whoever
/// vouches for its key.
#[test]
fn no_measurement_of_a_consumer_fails_because_its_key_is_under_the_old_certificate() {
    let mut facts = of_certificate(MC);
    facts.public_key = of_key(MC).public_key;
    for state in [RevocationState::Unspecified, RevocationState::Hold, RevocationState::Revoked] {
        facts.certificate.as_mut().unwrap().state = state;
        let plan = assess(&facts).plan;
        assert_eq!(plan[1].action, ReSignPublicKey, "{state:?}");
        let why = plan[1].why;
        assert!(!why.contains("CreateMeasurement") && !why.contains("1.6.5"), "{state:?}: {why}");
    }
}

#[test]
fn what_the_revocation_failed_is_open_until_it_is_replaced_by_name() {
    let mut failed = measurement("failed", State::Failed);
    failed.certificate = certificate(MC);
    failed.failure = Some(Reason::CertificateRevoked);
    failed.reference_id = "monthly".to_owned();
    let replacement = |id: &str, reference_id: &str, state| {
        let mut row = measurement(id, state);
        row.reference_id = reference_id.to_owned();
        row.create_time = at(200 + i64::try_from(id.len()).unwrap());
        row
    };
    let (name, pending) = (failed.name.clone(), State::PendingRequisitionFulfillment);
    let second = replacement("b", &name, State::Failed);
    let third = replacement("ccc", &second.name, pending);
    let cases = [
        (vec![], true),
        // A common reference id says nothing: it need not be unique (1.5.6).
        (vec![replacement("a", "monthly", pending)], true),
        (vec![replacement("a", &name, State::Cancelled)], true),
        (vec![replacement("a", &name, pending)], false),
        (vec![replacement("a", &name, State::Succeeded)], false),
        (vec![second, third], false),
    ];
    for (n, (others, is_open)) in cases.into_iter().enumerate() {
        let mut facts = of_certificate(MC);
        facts.measurements = others;
        facts.measurements.push(failed.clone());
        let expected: &[_] = if is_open { &[ReCreate] } else { &[] };
        assert_eq!(work_of(&facts), expected, "case {n}");
    }
    failed.failure = Some(Reason::RequisitionRefused);
    let mut facts = of_certificate(MC);
    facts.measurements = vec![failed];
    assert_eq!(work_of(&facts), [], "refused for a reason of its own");
}

/// 1.6.7, 1.5.2: a late result makes it SUCCEEDED, and its failure stays.
#[test]
fn what_a_late_result_made_succeed_is_still_to_be_created_anew_and_deleted() {
    for owner in [DP, DUCHY] {
        let mut row = measurement("late", State::Succeeded);
        row.requisitions[0].certificate = certificate(DP);
        row.participants = vec![ParticipantFacts {
            certificate: certificate(DUCHY),
            state: ParticipantState::RequisitionParamsSet,
            update_time: at(55),
        }];
        row.failure = Some(Reason::CertificateRevoked);
        let mut facts = of_certificate(owner);
        facts.certificate.as_mut().unwrap().state = RevocationState::Revoked;
        facts.measurements = vec![row.clone()];
        assert_eq!(work_of(&facts), [ReCreate, Delete], "{owner}");
        let assessment = assess(&facts);
        assert!(assessment.affected.iter().all(|one| one.open), "{owner}");
        assert_eq!(assessment.plan[1].etag.as_deref(), Some("etag of late"));
        // It replaces nothing either.
        let mut first = measurement("first", State::Failed);
        first.failure = row.failure;
        first.requisitions[0].certificate = certificate(DP);
        first.participants = row.participants.clone();
        facts.measurements[0].reference_id = first.name.clone();
        facts.measurements.push(first);
        assert_eq!(work_of(&facts), [ReCreate, ReCreate, Delete], "{owner}");
        // Without the failure it is a success that the revocation did not touch.
        facts.measurements = vec![MeasurementFacts { failure: None, ..row }];
        assert_eq!(work_of(&facts), [], "{owner}");
    }
}

/// A failed measurement under the compromised certificate of a consumer, and one that carries its name.
fn with_replacement(change: impl FnOnce(&mut MeasurementFacts)) -> Facts {
    let mut failed = measurement("failed", State::Failed);
    failed.certificate = certificate(MC);
    failed.failure = Some(Reason::CertificateRevoked);
    let mut new = measurement("new", State::Succeeded);
    new.reference_id = failed.name.clone();
    new.create_time = at(200);
    change(&mut new);
    let mut facts = of_certificate(MC);
    facts.certificate.as_mut().unwrap().state = RevocationState::Revoked;
    facts.measurements = vec![new, failed];
    facts
}

#[test]
fn what_asks_something_else_or_somebody_else_replaces_nothing() {
    let fresh = format!("{DP}/certificates/fresh");
    let same = with_replacement(|new| {
        new.result_key = Some("fresh".to_owned());
        new.bound = vec![(DP.to_owned(), fresh.clone())];
    });
    assert_eq!(work_of(&same), [], "certificates and keys are others by need");
    let is_told = |facts: &Facts| {
        assess(facts).not_known.iter().any(|gap| gap.what.contains("asks for the same events"))
    };
    assert!(is_told(&same), "which events are asked for the Kingdom does not show");
    let other = ("dataProviders/AAAAAAAAAZU".to_owned(), fresh.clone());
    for change in [
        (|new| new.question = "population".to_owned()) as fn(&mut MeasurementFacts),
        |new| new.bound[0].0 = "dataProviders/AAAAAAAAAZU".to_owned(),
        |new| new.bound.clear(),
    ] {
        let facts = with_replacement(change);
        assert_eq!((work_of(&facts), is_told(&facts)), (vec![ReCreate], false));
    }
    let more = with_replacement(|new| new.bound.push(other.clone()));
    assert_eq!(work_of(&more), [ReCreate], "of more providers than before");
}

/// What replaces carries the first name of the chain: the operator may delete any link of it.
#[test]
fn a_chain_of_replacements_holds_when_a_link_of_it_is_deleted() {
    let facts = with_replacement(|new| new.certificate = certificate(MC));
    let plan = assess(&facts).plan;
    let first = format!("{MC}/measurements/failed");
    let of = |plan: &[plan::Action], kind| {
        let found = plan.iter().find(|one| one.action == kind).expect("it is planned");
        (found.subject.clone(), found.reference_id.clone())
    };
    let link = format!("{MC}/measurements/new");
    assert_eq!(of(&plan, ReCreate), (link.clone(), Some(first.clone())));
    assert_eq!(of(&plan, Delete), (link.clone(), None));
    let text = text::to_text(&assess(&facts));
    assert!(text.contains(&format!("{link} (reference id {first})")), "{text}");

    let mut third = measurement("third", State::Succeeded);
    third.create_time = at(300);
    for (reference_id, expected) in [
        (&first, vec![]),
        // By the name of the link, of which nothing tells what it replaced.
        (&link, vec![ReCreate]),
    ] {
        third.reference_id = reference_id.clone();
        let mut done = facts.clone();
        done.measurements.push(third.clone());
        assert_eq!(work_of(&done), [Delete], "the link is there: {reference_id}");
        done.measurements.remove(0);
        assert_eq!(work_of(&done), expected, "the link is deleted: {reference_id}");
    }
}

#[test]
fn reference_ids_that_run_in_a_circle_end() {
    let mut facts = with_replacement(|new| new.certificate = certificate(MC));
    facts.measurements[1].reference_id = facts.measurements[0].name.clone();
    assert_eq!(work_of(&facts), [ReCreate, ReCreate, Delete]);
}

#[test]
fn a_providers_stolen_key_opens_every_spec_whatever_became_of_it() {
    for (state, expected) in [
        (State::PendingComputation, vec![ReCreate, Cancel, Delete]),
        (State::Succeeded, vec![Delete]),
        (State::Cancelled, vec![Delete]),
    ] {
        let mut row = measurement("m", state);
        row.requisitions[0].key = "stolen".to_owned();
        let mut facts = of_key(DP);
        facts.measurements = vec![row, measurement("other", state)];
        assert_eq!(work_of(&facts), expected, "{state:?}");
        let plan = assess(&facts).plan;
        // A cancellation changes the etag, so it is read again.
        let etag = plan.last().unwrap().etag.is_some();
        assert_eq!(etag, state != State::PendingComputation);
        assert_eq!(plan[0].action, ReplacePublicKey);
    }
}

#[test]
fn a_consumers_stolen_key_opens_what_has_come() {
    let mut empty = measurement("empty", State::Cancelled);
    empty.result_key = Some("stolen".to_owned());
    let mut pending = measurement("pending", State::PendingRequisitionFulfillment);
    pending.result_key = Some("stolen".to_owned());
    let mut full = with_result("full", "x", 99);
    full.result_key = Some("stolen".to_owned());
    for (row, expected) in
        [(empty, vec![]), (pending, vec![ReCreate, Cancel]), (full, vec![Delete])]
    {
        let mut facts = of_key(MC);
        facts.measurements = vec![row];
        assert_eq!(work_of(&facts), expected);
    }
}

#[test]
fn event_groups_under_the_stolen_key_are_encrypted_anew_by_their_provider() {
    let mut facts = of_key(MC);
    let group = |id: &str, key: &str| EventGroupFacts {
        name: format!("{DP}/eventGroups/{id}"),
        consumer: MC.to_owned(),
        key: Some(key.to_owned()),
        has_metadata: true,
        state: "ACTIVE",
    };
    let mut empty = group("empty", "stolen");
    empty.has_metadata = false;
    let mut foreign = group("foreign", "stolen");
    foreign.consumer = "measurementConsumers/AAAAAAAAAZU".to_owned();
    facts.event_groups = EventGroups {
        scope: EventGroupScope::Of(MC.to_owned()),
        seen: vec![group("hit", "stolen"), empty, foreign, group("old", "an older one")],
    };
    let assessment = assess(&facts);
    assert_eq!(
        ways(&assessment),
        [
            (Kind::PublicKey, "publicKey", How::InForce, When::Unknown, true),
            (Kind::EventGroup, "hit", How::EncryptedTo, When::Unknown, true),
        ]
    );
    let last = assessment.plan.last().unwrap();
    assert_eq!((last.action, last.who.as_str()), (ReEncrypt, DP));
    assert!(assessment.not_known.iter().any(|gap| gap.what.contains("1 under an older one")));
}

/// A stolen certificate could have signed any key: what is encrypted to the one that it vouches for is
/// in doubt until another certificate does.
#[test]
fn event_groups_under_a_key_that_the_certificate_vouches_for_are_open_until_it_is_signed_anew() {
    let mut facts = of_certificate(MC);
    facts.public_key = of_key(MC).public_key;
    facts.event_groups.seen = vec![EventGroupFacts {
        name: format!("{DP}/eventGroups/hit"),
        consumer: MC.to_owned(),
        key: Some("stolen".to_owned()),
        has_metadata: true,
        state: "ACTIVE",
    }];
    let hit = (Kind::EventGroup, "hit", How::EncryptedTo, When::Unknown, true);
    assert!(ways(&assess(&facts)).contains(&hit));
    facts.public_key.as_mut().unwrap().certificate = format!("{MC}/certificates/new");
    assert_eq!(ways(&assess(&facts)), []);
}

fn keys(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Facts about the certificate of an owner under which a thief has put the key `planted` in force.
fn with_planted_key(owner: &str) -> Facts {
    let mut facts = of_certificate(owner);
    facts.public_key =
        of_key(owner).public_key.map(|row| PublicKeyFacts { key: "planted".to_owned(), ..row });
    facts.own_keys = keys(&["own"]);
    facts
}

/// To sign the key in force again would bless a thief's key; what is encrypted to it stays open when the
/// Kingdom has long forgotten it (1.2.4).
#[test]
fn a_key_that_is_not_the_owners_is_replaced_and_what_is_under_it_stays_open_until_encrypted_anew() {
    let mut facts = with_planted_key(MC);
    facts.event_groups.seen = vec![EventGroupFacts {
        name: format!("{DP}/eventGroups/g"),
        consumer: MC.to_owned(),
        key: Some("planted".to_owned()),
        has_metadata: true,
        state: "ACTIVE",
    }];
    let kinds =
        |facts: &Facts| plan_of(facts).into_iter().map(|(kind, _)| kind).collect::<Vec<_>>();
    let all = [CreateCertificate, ReplacePublicKey, RevokeCertificate, ReEncrypt];
    assert_eq!(kinds(&facts), all);
    let first = assess(&facts);
    assert_eq!(first.plan[3].who, DP);
    assert_eq!(first.subject.vouched_keys, ["planted"]);

    // Replaced and revoked, and the provider has done nothing yet.
    facts.certificate.as_mut().unwrap().state = RevocationState::Revoked;
    facts.public_key.as_mut().unwrap().certificate = format!("{MC}/certificates/new");
    facts.public_key.as_mut().unwrap().key = "fresh".to_owned();
    facts.vouched_keys = first.subject.vouched_keys.into_iter().collect();
    for own in [keys(&["own", "fresh"]), keys(&[])] {
        facts.own_keys = own;
        let open = (Kind::EventGroup, "g", How::EncryptedTo, When::Unknown, true);
        assert_eq!(ways(&assess(&facts)), [open]);
        assert_eq!(kinds(&facts), [ReEncrypt]);
    }
    facts.event_groups.seen[0].key = Some("fresh".to_owned());
    assert_eq!((ways(&assess(&facts)), kinds(&facts)), (vec![], vec![]));
}

/// Only its owner knows a key as its own: the plan says so, or takes its word.
#[test]
fn the_owners_own_key_is_signed_again_and_one_that_nobody_knows_only_if_it_is_the_owners() {
    for owner in [MC, DP] {
        let mut facts = with_planted_key(owner);
        for (own, action, condition, gaps) in [
            (keys(&["planted", "own"]), ReSignPublicKey, false, 0),
            (keys(&["own"]), ReplacePublicKey, false, 0),
            (keys(&[]), ReSignPublicKey, true, 1),
        ] {
            facts.own_keys = own;
            let assessment = assess(&facts);
            let key = &assessment.plan[1];
            assert_eq!(key.action, action, "{owner} {:?}", facts.own_keys);
            let is_told = key.why.contains("only if the key in force is the owner's own");
            assert_eq!(is_told, condition, "{owner}: {}", key.why);
            let known = assessment.not_known.iter();
            let asked =
                known.filter(|gap| gap.what.starts_with("whether the key in force, planted"));
            assert_eq!(asked.count(), gaps, "{owner} {:?}", facts.own_keys);
        }
        // Signed by another certificate by the owner's own word, or without it: its own.
        facts.vouched_keys = keys(&["planted"]);
        facts.public_key.as_mut().unwrap().certificate = format!("{owner}/certificates/new");
        facts.certificate.as_mut().unwrap().state = RevocationState::Revoked;
        assert_eq!(plan_of(&facts), []);
        // The thief's key was signed again all the same.
        facts.own_keys = keys(&["own"]);
        assert_eq!(plan_of(&facts), [(ReplacePublicKey, "publicKey".to_owned())]);
    }
}

/// Whoever signed the spec (3.7.2), the results come under the key that it names (3.7.4, 3.7.5).
#[test]
fn results_under_a_key_that_the_certificate_vouches_for_are_listed_whoever_signed_the_spec() {
    let mut facts = with_planted_key(MC);
    let mut hit = with_result("hit", "x", 150);
    hit.result_key = Some("planted".to_owned());
    facts.measurements = vec![hit, with_result("other", "x", 150)];
    let expected = |open| {
        [
            (Kind::PublicKey, "publicKey", How::SignedBy, When::Unknown, true),
            (Kind::Measurement, "hit", How::EncryptedTo, When::Before, open),
            (Kind::Result, "hit", How::EncryptedTo, When::After, open),
        ]
    };
    assert_eq!(ways(&assess(&facts)), expected(true));
    assert_eq!(work_of(&facts), [ReCreate, Delete]);
    // Under the owner's own key they need nothing but its new signature.
    facts.own_keys = keys(&["planted"]);
    assert_eq!(ways(&assess(&facts)), expected(true));
    assert_eq!(work_of(&facts), []);
    facts.public_key.as_mut().unwrap().certificate = format!("{MC}/certificates/new");
    assert_eq!(ways(&assess(&facts)), []);
}

#[test]
fn what_is_under_a_key_that_is_not_the_owners_is_created_anew_and_deleted() {
    let pending = measurement("m", State::PendingRequisitionFulfillment);
    let mut full = with_result("m", "x", 150);
    full.state = State::Failed;
    for (owner, row, expected) in [
        (MC, pending.clone(), vec![ReCreate, Cancel]),
        (MC, full, vec![Delete]),
        (MC, measurement("m", State::Cancelled), vec![]),
        // The RequisitionSpec is there from the beginning (3.7.3).
        (DP, pending, vec![ReCreate, Cancel, Delete]),
        (DP, measurement("m", State::Cancelled), vec![Delete]),
    ] {
        let mut row = row;
        row.result_key = Some("planted".to_owned());
        row.requisitions[0].key = "planted".to_owned();
        let mut facts = with_planted_key(owner);
        facts.measurements = vec![row.clone()];
        assert_eq!(work_of(&facts), expected, "{owner} {:?}", row.state);
        facts.own_keys = keys(&["planted"]);
        assert_eq!(work_of(&facts), [], "{owner} {:?}", row.state);
    }
}

#[test]
fn a_model_providers_certificate_touches_nothing_that_the_kingdom_holds() {
    let facts = of_certificate("modelProviders/AAAAAAAAAZQ");
    let assessment = assess(&facts);
    assert_eq!((assessment.affected.len(), assessment.complete), (0, true));
    let plan: Vec<_> = assessment.plan.iter().map(|one| (one.action, one.who.as_str())).collect();
    let owner = "modelProviders/AAAAAAAAAZQ";
    assert_eq!(plan, [(CreateCertificate, owner), (RevokeCertificate, owner)]);
}

/// 1.6.3: the revocation of a model provider's certificate has no cascade, that of others has.
#[test]
fn why_a_certificate_is_revoked_speaks_of_measurements_only_where_it_fails_some() {
    let why = |owner| {
        let plan = assess(&of_certificate(owner)).plan;
        plan.iter().find(|one| one.action == RevokeCertificate).expect("it is revoked").why
    };
    for owner in [MC, DP, DUCHY] {
        assert!(why(owner).contains("it fails open measurements (1.6.3)"), "{owner}");
    }
    let of_model_provider = why("modelProviders/AAAAAAAAAZQ");
    assert!(of_model_provider.contains("it fails no measurement (1.6.3)"), "{of_model_provider}");
    assert!(of_model_provider.contains("(3.13.3, 4.5)"), "its peers are told: {of_model_provider}");
}

/// No measurement can be concerned by a model provider's certificate, so that none lacks; with any other
/// owner's the same trail shows that some were not looked at.
#[test]
fn measurements_that_are_not_read_are_no_gap_of_a_model_providers_certificate() {
    let is_complete = |owner: &str, audit: Option<AuditFacts>| {
        let assessment = assess(&Facts { audit, ..of_certificate(owner) });
        let exchanges = assessment.not_known.iter().filter(|gap| gap.what.contains("exchanges"));
        assert_eq!(exchanges.count(), usize::from(owner.starts_with("modelProviders/")), "{owner}");
        assessment.complete
    };
    let measured = AuditFacts {
        end_is_proven: true,
        living_measurements: [format!("{MC}/measurements/m")].into(),
        deleted_measurements: [(format!("{MC}/measurements/gone"), Timestamp::default())].into(),
        ..AuditFacts::default()
    };
    for (owner, expected) in [("modelProviders/AAAAAAAAAZQ", true), (DP, false)] {
        assert_eq!(is_complete(owner, Some(measured.clone())), expected, "{owner}");
        assert_eq!(is_complete(owner, None), expected, "{owner} without a trail");
        // Of a trail that is given it counts whether its end was cut off.
        let cut = AuditFacts { end_is_proven: false, ..AuditFacts::default() };
        assert!(!is_complete(owner, Some(cut)), "{owner}");
    }
}

/// Every kind is looked at, cannot be concerned, or is named as not looked at: none just lacks.
#[test]
fn every_kind_is_looked_at_or_said_to_be_not_concerned() {
    let owners = [MC, DP, DUCHY, "modelProviders/AAAAAAAAAZQ"];
    let mut all: Vec<_> = owners.iter().map(|owner| of_certificate(owner)).collect();
    all.extend([of_key(MC), of_key(DP)]);
    for mut facts in all {
        if matches!(
            facts.subject.owner_kind(),
            OwnerKind::DataProvider | OwnerKind::MeasurementConsumer
        ) {
            facts.public_key = of_key(facts.subject.owner()).public_key;
        }
        if facts.subject.owner_kind() == OwnerKind::MeasurementConsumer {
            facts.event_groups.scope = EventGroupScope::Of(MC.to_owned());
        }
        let assessment = assess(&facts);
        let looked_at: BTreeSet<_> = assessment.looked_at.iter().map(|one| one.kind).collect();
        let others: BTreeSet<_> = assessment.not_concerned.iter().map(|one| one.kind).collect();
        assert_eq!(looked_at.union(&others).count(), 5, "{}", facts.subject);
        assert!(assessment.affected.iter().all(|one| !others.contains(&one.kind)));
    }
}

#[test]
fn an_assessment_without_a_trail_is_not_complete() {
    let mut facts = of_certificate(DP);
    assert!(assess(&facts).complete);
    facts.audit = None;
    let assessment = assess(&facts);
    assert!(!assessment.complete);
    let text = text::to_text(&assessment);
    assert!(text.contains("Nothing of what was looked at. Not everything was: see 3."), "{text}");
}

#[test]
fn what_the_trail_has_and_the_kingdom_does_not_show_is_named() {
    let mut facts = of_certificate(MC);
    facts.measurements = vec![measurement("seen", State::Succeeded)];
    let audit = facts.audit.as_mut().unwrap();
    let foreign = "measurementConsumers/AAAAAAAAAZU/measurements/foreign".to_owned();
    audit.living_measurements.extend([
        format!("{MC}/measurements/seen"),
        format!("{MC}/measurements/hidden"),
        foreign,
    ]);
    audit.deleted_measurements.insert(format!("{MC}/measurements/gone"), Timestamp::default());
    let assessment = assess(&facts);
    assert!(!assessment.complete);
    let gaps: Vec<_> = assessment.not_known.iter().map(|gap| gap.what.as_str()).collect();
    let hidden = format!(
        "1 measurements that the audit trail has and the operator API did not show: {MC}/measurements/hidden"
    );
    assert!(gaps.contains(&hidden.as_str()), "{gaps:?}");
    assert!(gaps.iter().any(|gap| gap.starts_with("what 1 deleted") && gap.ends_with("/gone")));
}

#[test]
fn a_trail_that_ends_before_what_the_kingdom_shows_says_nothing_of_later_times() {
    let mut facts = of_certificate(MC);
    facts.measurements = vec![measurement("seen", State::Succeeded)];
    let audit = facts.audit.as_mut().unwrap();
    audit.living_measurements.insert(format!("{MC}/measurements/seen"));
    audit.end = at(60);
    let fresh = assess(&facts);
    assert!(fresh.complete, "{:?}", fresh.not_known);
    assert!(!fresh.trail.as_ref().unwrap().is_stale);
    assert!(text::to_text(&fresh).contains("trail      ends at 1970-01-01T00:01:00Z\n"));
    // Its last change came a second after the trail's last entry.
    facts.audit.as_mut().unwrap().end = at(59);
    let stale = assess(&facts);
    assert!(!stale.complete && stale.trail.as_ref().unwrap().is_stale);
    let gap = stale.not_known.iter().find(|gap| gap.what.contains("nothing is known")).unwrap();
    assert_eq!(gap.kind, GapKind::NotLookedAt);
    assert!(gap.what.contains("after 1970-01-01T00:00:59Z"), "{}", gap.what);
    assert!(gap.why.contains("1 measurements") && gap.why.contains("/seen"), "{}", gap.why);
    assert!(text::to_text(&stale).contains("nothing is known after that"));
}

#[test]
fn a_trail_without_what_is_older_than_its_end_is_not_whole() {
    let mut facts = of_certificate(MC);
    facts.measurements = vec![measurement("seen", State::Succeeded)];
    facts.audit.as_mut().unwrap().end = at(60);
    let assessment = assess(&facts);
    assert!(!assessment.complete && assessment.trail.as_ref().unwrap().is_stale);
    let gap = assessment.not_known.iter().find(|gap| gap.what.contains("trail lacks"));
    assert!(gap.is_some_and(|gap| gap.what.contains("/seen")), "{:?}", assessment.not_known);
}

/// 3.7.9.
#[test]
fn seeds_of_share_shuffle_are_not_the_kingdoms_to_know() {
    let mut facts = of_certificate(DP);
    let mut row = measurement("hmss", State::PendingComputation);
    row.protocol = Protocol::ShareShuffle;
    row.requisitions[0].state = RequisitionState::Fulfilled;
    facts.measurements = vec![row];
    let has_gap = |facts: &Facts| {
        assess(facts).not_known.iter().any(|gap| gap.what.contains("random seeds of 1"))
    };
    assert!(has_gap(&facts));
    facts.measurements[0].requisitions[0].state = RequisitionState::Unfulfilled;
    assert!(!has_gap(&facts));
}

/// 1.2.4: the Kingdom keeps no earlier keys, so that a mistyped digest looks like one of which nothing
/// is left.
#[test]
fn a_key_that_nothing_names_and_a_time_to_come_are_no_all_clear() {
    let is_told = |facts: &Facts, part: &str| {
        assess(facts).not_known.iter().any(|gap| gap.what.contains(part))
    };
    let mut facts = of_key("dataProviders/AAAAAAAAAZQ");
    assert!(!is_told(&facts, "ever had this key"));
    assert!(assess(&facts).is_known());
    facts.key = Some("aa".repeat(32));
    assert!(is_told(&facts, "ever had this key"));
    let unknown = assess(&facts);
    assert_eq!((unknown.is_known(), unknown.subject.state), (false, "UNKNOWN"));
    let now = at(10).unwrap();
    facts.read = Some((now, now));
    facts.since = at(9);
    assert!(!is_told(&facts, "after the suspected time"));
    facts.since = at(11);
    assert!(is_told(&facts, "after the suspected time"));
}
