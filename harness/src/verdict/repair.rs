//! Whether a repair has left nothing that stands on what was stolen. Pure.

use crate::error::Problem;
use crate::impact::plan::Action;
use crate::impact::{Assessment, Gap, GapKind};
use crate::observation::{Check, Fact, Observation};
use crate::verdict::check;
use fake_kingdom::cause::Cause;

/// That an assessment shows nothing that is still open, and has nothing left to plan. `log` is all that
/// was observed, the assessment itself included; `was_tried` says that the key itself was tried on every
/// event group.
///
/// # Errors
/// Nothing of it was ever open: an empty list then shows no repair.
pub fn nothing_left(
    log: &[Observation],
    now: &Assessment,
    was_tried: bool,
) -> Result<Check, Problem> {
    let was_open = log.iter().any(|observation| match &observation.fact {
        Fact::Impact(before) => is_of_the_same(before, now) && !before.plan.is_empty(),
        _ => false,
    });
    if !was_open {
        return Err(Problem::author(
            format!(
                "nothing that {} has touched was ever open{}, so that nothing was repaired",
                now.subject.name,
                now.since.map(|since| format!(" as stolen at {since}")).unwrap_or_default()
            ),
            "let it be used, and its repair plan be carried out, before",
        ));
    }
    let open = now.open().map(|one| format!("{} {} is open", one.kind.name(), one.name));
    let todo = now.plan.iter().map(Action::in_words);
    // What nobody has looked at may be open too.
    let is_settled = |gap: &&Gap| was_tried && gap.is_of_keyless_metadata();
    let unseen = now.not_known.iter().filter(|gap| gap.kind == GapKind::NotLookedAt);
    let unseen = unseen.filter(|gap| !is_settled(gap));
    let unseen = unseen.map(|gap| format!("not looked at: {}", gap.what));
    let left: Vec<_> = open.chain(todo).chain(unseen).collect();
    let what = format!("what is left to do about {}", now.subject.name);
    Ok(check::list(what, &[], &left).or(Cause::UnexpectedState))
}

/// Whether a later assessment is of the same certificate, or of the same key of an owner, and asks about
/// all that the earlier one asked about: one with a later suspected time takes for history what was open.
pub fn is_of_the_same(one: &Assessment, later: &Assessment) -> bool {
    let subject = |of: &Assessment| (of.subject.name.clone(), of.subject.key_sha256.clone());
    let covers = match (one.since, later.since) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(one), Some(later)) => later <= one,
    };
    subject(one) == subject(later) && covers
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::impact::plan::ActionKind;
    use crate::impact::{Affected, How, Kind, SCHEMA, SubjectState, When};
    use crate::observation::ObservationLog;
    use fake_kingdom::model::Timestamp;

    pub(crate) fn assessment(name: &str, todo: &[ActionKind]) -> Assessment {
        let action = |(n, &action): (usize, &ActionKind)| Action {
            n: n + 1,
            action,
            who: "dataProviders/x".to_owned(),
            subject: name.to_owned(),
            why: "",
            etag: None,
            reference_id: None,
        };
        Assessment {
            schema: SCHEMA,
            subject: SubjectState {
                kind: "certificate",
                name: name.to_owned(),
                owner: "dataProviders/x".to_owned(),
                state: "REVOKED",
                skid: None,
                not_before: None,
                not_after: None,
                key_sha256: None,
                vouched_keys: Vec::new(),
            },
            since: None,
            read_started: None,
            read_finished: None,
            complete: true,
            looked_at: Vec::new(),
            not_concerned: Vec::new(),
            affected: Vec::new(),
            totals: Vec::new(),
            not_known: Vec::new(),
            trail: None,
            history: Vec::new(),
            plan: todo.iter().enumerate().map(action).collect(),
        }
    }

    fn log(all: &[&Assessment]) -> ObservationLog {
        let mut log = ObservationLog::default();
        for one in all {
            log.record(Timestamp::default(), Fact::Impact(Box::new((*one).clone())));
        }
        log
    }

    #[test]
    fn what_was_open_and_is_no_more_was_repaired() {
        let before = assessment("c", &[ActionKind::RevokeCertificate]);
        let now = assessment("c", &[]);
        let check = nothing_left(log(&[&before, &now]).all(), &now, false).expect("it was open");
        assert!(check.holds, "{check:?}");
    }

    #[test]
    fn what_is_left_in_the_plan_is_red() {
        let now = assessment("c", &[ActionKind::RevokeCertificate]);
        let check = nothing_left(log(&[&now]).all(), &now, false).expect("it is open");
        assert_eq!((check.holds, check.cause), (false, Some(Cause::UnexpectedState)));
        assert!(check.observed.contains("revoke_certificate c"), "{check:?}");
    }

    #[test]
    fn what_is_open_though_nobody_has_to_do_anything_is_red() {
        let before = assessment("c", &[ActionKind::RevokeCertificate]);
        let mut now = assessment("c", &[]);
        now.affected.push(Affected {
            kind: Kind::Result,
            name: "r".to_owned(),
            how: How::ResultSignedBy,
            state: "FULFILLED",
            earliest: None,
            latest: None,
            when: When::Unknown,
            signature_verifies: None,
            measurement: None,
            open: true,
        });
        let all = log(&[&before, &now]);
        let check = nothing_left(all.all(), &now, false).expect("it was open");
        assert!(!check.holds && check.observed.contains("result r is open"), "{check:?}");
        now.affected[0].open = false;
        assert!(nothing_left(all.all(), &now, false).expect("it was open").holds);
    }

    #[test]
    fn what_nobody_has_looked_at_is_not_closed() {
        let before = assessment("c", &[ActionKind::RevokeCertificate]);
        let mut now = assessment("c", &[]);
        now.not_known.push(Gap::not_looked_at("event groups of another type", "", ""));
        let all = log(&[&before, &now]);
        let check = nothing_left(all.all(), &now, false).expect("it was open");
        assert!(!check.holds && check.observed.contains("another type"), "{check:?}");
        // What the Kingdom does not hold nobody can look at.
        now.not_known = vec![Gap::not_recorded("who has read it", "", "")];
        assert!(nothing_left(all.all(), &now, false).expect("it was open").holds);
    }

    #[test]
    fn what_was_never_open_proves_no_repair() {
        let now = assessment("c", &[]);
        assert!(nothing_left(log(&[&now]).all(), &now, false).is_err());
        let other = assessment("other", &[ActionKind::RevokeCertificate]);
        assert!(nothing_left(log(&[&other, &now]).all(), &now, false).is_err());
    }

    /// Without a time everything that is bound to the certificate counts as after it, with one only what
    /// is: to say it proves no repair.
    #[test]
    fn what_was_open_for_an_earlier_time_is_not_repaired_by_naming_a_later_one() {
        let since = |assessment: Assessment, seconds: Option<i64>| Assessment {
            since: seconds.map(Timestamp::from_seconds),
            ..assessment
        };
        for (then, later, is_proof) in [
            (None, Some(100), false),
            (Some(50), Some(100), false),
            (Some(100), Some(100), true),
            (Some(100), Some(50), true),
            (Some(100), None, true),
            (None, None, true),
        ] {
            let before = since(assessment("c", &[ActionKind::ReCreate]), then);
            let now = since(assessment("c", &[]), later);
            let check = nothing_left(log(&[&before, &now]).all(), &now, false);
            assert_eq!(check.is_ok_and(|check| check.holds), is_proof, "{then:?} {later:?}");
        }
    }
}
