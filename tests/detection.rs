//! The scenarios see a Kingdom that behaves otherwise: with one quirk doing the opposite of what each
//! scenario asks for, a scenario of that quirk's clauses turns red; without, all are green.

use fake_kingdom::quirk::Quirk;
use fake_kingdom::seam::entropy::Seed;
use halo_harness::environment::EnvironmentKind;
use halo_harness::run::{Plan, run};
use halo_harness::scenario::{Scenario, embedded};
use halo_harness::verdict::Verdict;

/// The quirks that scenarios hold so far.
const HELD: &[Quirk] = &[
    Quirk::MalformedIdIsUnknown,
    Quirk::MalformedPageTokenIsUnknown,
    Quirk::AuthRejectionEchoesHeaders,
    Quirk::GetCertificateNotFoundIsUnknown,
    Quirk::PreferredCertificateAliasUnsupported,
    Quirk::ListCertificatesIgnoresParent,
    Quirk::ListCertificatesTokenBypassesSkidFilter,
    Quirk::NoClientCertificateIsUnknown,
    Quirk::ClientChainHasNoIdentity,
];

/// The scenarios whose tags name one of the quirk's clauses.
fn of_clauses(quirk: Quirk) -> Vec<Scenario> {
    let clauses: Vec<_> = quirk.clause().split(", ").collect();
    let named = |scenario: &Scenario| {
        scenario
            .clauses()
            .iter()
            .any(|tag| clauses.contains(&tag.split('/').next().unwrap_or_default()))
    };
    embedded().expect("the embedded scenarios parse").into_iter().filter(named).collect()
}

fn verdicts(quirk: Quirk, deviation: Option<Quirk>) -> Vec<(String, Verdict)> {
    let plan =
        Plan { environment: EnvironmentKind::Simulated, seed: Seed::new(5), jobs: 2, deviation };
    let results = run(&plan, of_clauses(quirk), |_| {}, |_| {});
    results.into_iter().map(|result| (result.scenario.id, result.judgement.verdict)).collect()
}

#[test]
fn a_quirk_that_does_the_opposite_turns_a_scenario_of_its_clauses_red() {
    for &quirk in HELD {
        let faithful = verdicts(quirk, None);
        assert!(!faithful.is_empty(), "{quirk}: no scenario names its clauses");
        assert!(
            faithful.iter().all(|(_, verdict)| *verdict == Verdict::Pass),
            "{quirk}: {faithful:?}"
        );
        let switched = verdicts(quirk, Some(quirk));
        let red = switched.iter().filter(|(_, verdict)| *verdict == Verdict::Fail).count();
        assert!(red > 0, "{quirk}: nothing noticed: {switched:?}");
    }
}
