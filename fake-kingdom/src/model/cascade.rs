//! What a revocation takes with it (contract 1.6.3).

use super::certificate::Certificate;
use super::measurement::{self, FailureReason, MeasurementKey};
use super::{Outcome, Owner, Write, participant, requisition};

/// Fails the pending measurements that table 1.6.3 names for `certificate`, and withdraws their open
/// requisitions, in the transaction of the revocation.
///
/// # Errors
/// None that a caller can cause: an index that names a row that is not there.
pub fn certificate_revoked(write: &mut Write<'_>, certificate: &Certificate) -> Outcome<()> {
    let tables = &*write.tables;
    let (named, message): (Vec<MeasurementKey>, _) = match &certificate.owner {
        Owner::MeasurementConsumer(id) => (
            measurement::by_certificate(tables, *id, certificate.id),
            "The measurement consumer's certificate was revoked.",
        ),
        Owner::DataProvider(id) => (
            requisition::measurements_open_under(tables, *id, certificate.id).into_iter().collect(),
            "A data provider's certificate was revoked.",
        ),
        Owner::Duchy(id) => (
            participant::measurements_unconfirmed_under(tables, id, certificate.id)
                .into_iter()
                .collect(),
            "A Duchy's certificate was revoked.",
        ),
        Owner::ModelProvider(_) => return Ok(()),
    };
    for key in named {
        if measurement::find(write.tables, key)?.state.is_pending() {
            let message = message.to_owned();
            measurement::fail(write, key, FailureReason::CertificateRevoked, message)?;
            requisition::withdraw_open(write, key);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::model::fixture::{
        CERTIFICATE, DP1, DP2, DUCHIES, Kingdom, MC1, MC2, el_gamal, tink,
    };
    use crate::model::measurement::{self, FailureReason, State};
    use crate::model::participant::{self, Params};
    use crate::model::requisition::State as R;
    use crate::model::{Owner, RevocationState, certificate};

    fn failure(kingdom: &Kingdom, key: (i64, i64)) -> Option<FailureReason> {
        let row = measurement::find(&kingdom.tables, key).unwrap();
        row.failure.as_ref().map(|failure| failure.reason)
    }

    /// Table 1.6.3, MeasurementConsumer.
    #[test]
    fn a_consumers_certificate_fails_all_pending_measurements_created_with_it() {
        for state in State::ALL {
            let mut kingdom = Kingdom::new();
            let key = kingdom.computed();
            kingdom.force(key, state);
            kingdom.revoke(&Owner::MeasurementConsumer(MC1), MC1 + CERTIFICATE);
            let fails = state.is_pending();
            assert_eq!(kingdom.state(key), if fails { State::Failed } else { state });
            let reason = fails.then_some(FailureReason::CertificateRevoked);
            assert_eq!(failure(&kingdom, key), reason, "{state:?}");
        }
    }

    /// 1.6.6: "measurements under the owner's other certificates" stay, and other owners' too.
    #[test]
    fn certificates_that_a_measurement_was_not_created_with_take_nothing() {
        let mut kingdom = Kingdom::new();
        let key = kingdom.computed();
        kingdom.revoke(&Owner::MeasurementConsumer(MC1), MC1 + 2 * CERTIFICATE);
        kingdom.revoke(&Owner::MeasurementConsumer(MC2), MC2 + CERTIFICATE);
        kingdom.revoke(&Owner::DataProvider(DP1), DP1 + 2 * CERTIFICATE);
        assert_eq!(kingdom.state(key), State::PendingRequisitionParams);
    }

    /// Table 1.6.3, DataProvider: bound to the current certificate, not the named one (1.5.12).
    #[test]
    fn a_providers_certificate_fails_measurements_with_an_open_requisition_bound_to_it() {
        let mut kingdom = Kingdom::new();
        let (direct, computed) = (kingdom.direct(), kingdom.computed());
        kingdom.revoke(&Owner::DataProvider(DP1), DP1 + CERTIFICATE);
        for key in [direct, computed] {
            assert_eq!(kingdom.state(key), State::Failed);
            assert_eq!(failure(&kingdom, key), Some(FailureReason::CertificateRevoked));
        }
        // Requisitions of *all* providers are withdrawn.
        assert_eq!(kingdom.requisition_states(computed), (R::Withdrawn, R::Withdrawn));
    }

    /// 1.6.3: "FULFILLED stay", and a provider that fulfilled is not affected by its own revocation.
    #[test]
    fn a_provider_that_already_fulfilled_takes_nothing_but_the_other_one_does() {
        let mut kingdom = Kingdom::new();
        let key = kingdom.computed();
        kingdom.set_all_params(key, &el_gamal());
        kingdom.fulfill_computed(key, DP1);
        kingdom.revoke(&Owner::DataProvider(DP1), DP1 + CERTIFICATE);
        assert_eq!(kingdom.state(key), State::PendingRequisitionFulfillment);
        kingdom.revoke(&Owner::DataProvider(DP2), DP2 + CERTIFICATE);
        assert_eq!(kingdom.state(key), State::Failed);
        assert_eq!(kingdom.requisition_states(key), (R::Fulfilled, R::Withdrawn));
    }

    /// Table 1.6.3, Duchy: not before parameters are set with that certificate.
    #[test]
    fn a_duchys_certificate_fails_nothing_until_a_participant_used_it() {
        let mut kingdom = Kingdom::new();
        let key = kingdom.computed();
        kingdom.revoke(&Owner::Duchy("aggregator".into()), 500);
        assert_eq!(kingdom.state(key), State::PendingRequisitionParams);
    }

    /// 1.6.8: fails although every requisition is fulfilled.
    #[test]
    fn a_duchys_certificate_fails_llv2_until_that_duchy_confirmed() {
        let duchy = Owner::Duchy("worker1".into());
        let mut kingdom = Kingdom::new();
        let (unconfirmed, confirmed) = (kingdom.computed(), kingdom.computed());
        for key in [unconfirmed, confirmed] {
            kingdom.set_all_params(key, &el_gamal());
            kingdom.fulfill_computed(key, DP1);
            kingdom.fulfill_computed(key, DP2);
            assert_eq!(kingdom.state(key), State::PendingParticipantConfirmation);
        }
        kingdom.confirm_all(confirmed);
        kingdom.revoke(&duchy, 501);
        assert_eq!(kingdom.state(unconfirmed), State::Failed);
        assert_eq!(kingdom.state(confirmed), State::PendingComputation);
        assert_eq!(kingdom.requisition_states(unconfirmed), (R::Fulfilled, R::Fulfilled));
    }

    /// 1.6.3, "exactly in REQUISITION_PARAMS_SET": one that confirmed takes nothing, though others
    /// have not.
    #[test]
    fn a_duchy_that_confirmed_alone_takes_nothing() {
        let mut kingdom = Kingdom::new();
        let key = kingdom.computed();
        kingdom.set_all_params(key, &el_gamal());
        kingdom.fulfill_computed(key, DP1);
        kingdom.fulfill_computed(key, DP2);
        let worker = (kingdom.computation(key), "worker1".into());
        kingdom.write(|write| participant::confirm(write, &worker, "")).unwrap();
        kingdom.revoke(&Owner::Duchy("worker1".into()), 501);
        assert_eq!(kingdom.state(key), State::PendingParticipantConfirmation);
    }

    /// 1.6.3, "HMSS and TrusTEE participants go straight to READY".
    #[test]
    fn a_duchys_certificate_never_fails_hmss_or_trustee() {
        for (is_hmss, params) in [(true, tink()), (false, Params::TrusTee)] {
            let mut kingdom = Kingdom::new();
            if is_hmss {
                kingdom.enable_hmss()
            } else {
                kingdom.enable_trustee()
            }
            let key = kingdom.computed();
            kingdom.set_all_params(key, &params);
            for (id, duchy) in (500..).zip(DUCHIES) {
                kingdom.revoke(&Owner::Duchy(duchy.into()), id);
            }
            assert_eq!(kingdom.state(key), State::PendingRequisitionFulfillment);
        }
    }

    /// Table 1.6.3, ModelProvider: none.
    #[test]
    fn a_model_providers_certificate_fails_nothing() {
        let mut kingdom = Kingdom::new();
        let key = kingdom.direct();
        let owner = Owner::ModelProvider(9);
        kingdom.certificate(owner.clone(), 91);
        kingdom.revoke(&owner, 91);
        assert_eq!(kingdom.state(key), State::PendingRequisitionFulfillment);
    }

    /// 1.6.6: withdrawn requisitions get a new update_time, hence a new etag; participants stay.
    #[test]
    fn a_cascade_bumps_measurement_and_requisitions_and_leaves_participants_alone() {
        let mut kingdom = Kingdom::new();
        let key = kingdom.computed();
        let computation = kingdom.computation(key);
        kingdom.set_params(key, "worker1", &el_gamal());
        let worker = (computation, "worker1".into());
        let participant = participant::find(&kingdom.read(), &worker).unwrap().clone();
        let etag = kingdom.requisition(key, DP2).etag();
        kingdom.revoke(&Owner::Duchy("worker1".into()), 501);
        let row = measurement::find(&kingdom.tables, key).unwrap();
        assert_eq!((row.state, row.update_time), (State::Failed, kingdom.now));
        assert_ne!(kingdom.requisition(key, DP2).etag(), etag);
        assert_eq!(participant::find(&kingdom.read(), &worker).unwrap(), &participant);
    }

    /// 1.1.14: a hold cascades as a revocation does, and each successful repeat runs it again.
    #[test]
    fn a_hold_cascades_and_a_repeat_takes_what_came_since() {
        let mut kingdom = Kingdom::new();
        let first = kingdom.direct();
        let owner = Owner::DataProvider(DP1);
        let hold = |kingdom: &mut Kingdom| {
            kingdom
                .write(|w| certificate::revoke(w, &owner, DP1 + CERTIFICATE, RevocationState::Hold))
                .unwrap();
        };
        hold(&mut kingdom);
        assert_eq!(kingdom.state(first), State::Failed);
        // As if created in the instant before the hold was seen.
        kingdom.tables.certificates.update(&(owner.clone(), DP1 + CERTIFICATE), |row| {
            row.revocation_state = RevocationState::Unspecified;
        });
        let second = kingdom.direct();
        hold(&mut kingdom);
        assert_eq!(kingdom.state(second), State::Failed);
    }

    /// The trail names each measurement failed and each requisition withdrawn.
    #[test]
    fn the_trail_shows_what_a_revocation_took() {
        let mut kingdom = Kingdom::new();
        let key = kingdom.computed();
        kingdom.mutations.clear();
        kingdom.revoke(&Owner::DataProvider(DP1), DP1 + CERTIFICATE);
        let actions: Vec<_> =
            kingdom.mutations.iter().map(|mutation| mutation.action.as_ref()).collect();
        assert_eq!(actions, ["revoke", "fail", "withdraw", "withdraw"]);
        let name = measurement::find(&kingdom.tables, key).unwrap().name();
        assert_eq!(kingdom.mutations[1].subject, name);
        assert_eq!(kingdom.mutations[1].before.as_deref(), Some("PENDING_REQUISITION_PARAMS"));
        assert_eq!(kingdom.mutations[1].after.as_deref(), Some("FAILED"));
    }
}
