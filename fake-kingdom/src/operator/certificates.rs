//! Certificates of the internal API (contract 1.8.5).

use crate::error::{Code, InternalError, Refusal};
use crate::model::certificate::{self, Certificate, Cursor, NewCertificate, RevocationState};
use crate::model::{Outcome, Owner, Read, Timestamp, Write};
use crate::public::Answer;
use crate::public::certificates::{signed, unsigned};
use kingdom_proto::internal as pb;

/// The owner that a parent oneof names, if it is set. The oneofs are alike, but each is its own type.
macro_rules! owner {
    ($parent:expr, $($oneof:ident)::+) => {{
        use $($oneof)::+ as Parent;
        $parent.as_ref().map(|parent| match parent {
            Parent::ExternalDataProviderId(id) => Owner::DataProvider(signed(*id)),
            Parent::ExternalMeasurementConsumerId(id) => Owner::MeasurementConsumer(signed(*id)),
            Parent::ExternalDuchyId(id) => Owner::Duchy(id.as_str().into()),
            Parent::ExternalModelProviderId(id) => Owner::ModelProvider(signed(*id)),
        })
    }};
}

/// CreateCertificate: state, SKID (even empty) and dates are stored as given, the DER is trusted
/// unparsed (contract 1.8.5).
///
/// # Errors
/// No parent INVALID_ARGUMENT; unknown parent NOT_FOUND/..._NOT_FOUND; an SKID in use
/// ALREADY_EXISTS/CERT_SUBJECT_KEY_ID_ALREADY_EXISTS.
pub fn create(write: &mut Write<'_>, request: &pb::Certificate) -> Answer<pb::Certificate> {
    let owner = required(owner!(&request.parent, pb::certificate::Parent))?;
    certificate::create(write, owner, from_proto(request))
        .map(|row| to_proto(&row))
        .map_err(InternalError::untranslated)
}

/// GetCertificate.
///
/// # Errors
/// No parent INVALID_ARGUMENT, an unknown Duchy likewise (table 1.1.2); missing NOT_FOUND without
/// ErrorInfo (contract 1.8.5).
pub fn get(read: &Read<'_>, request: &pb::GetCertificateRequest) -> Answer<pb::Certificate> {
    let owner = required(owner!(&request.parent, pb::get_certificate_request::Parent))?;
    if let Owner::Duchy(_) = owner
        && certificate::require_owner(read, &owner).is_err()
    {
        return Err(InternalError::invalid_argument("unknown Duchy").untranslated());
    }
    certificate::find(read, &owner, signed(request.external_certificate_id))
        .map(to_proto)
        .ok_or_else(|| InternalError::bare(Code::NotFound, "certificate not found").untranslated())
}

/// StreamCertificates, all at once: order and oddities as the public list (contract 1.1.15 to
/// 1.1.18); a limit of 0 is none.
///
/// # Errors
/// No parent INVALID_ARGUMENT.
pub fn stream(
    read: &Read<'_>,
    request: &pb::StreamCertificatesRequest,
) -> Answer<Vec<pb::Certificate>> {
    let filter = request.filter.clone().unwrap_or_default();
    let parent = required(owner!(&filter.parent, pb::stream_certificates_request::filter::Parent))?;
    let after = filter.after.map(|after| Cursor {
        not_valid_before: timestamp(after.not_valid_before.as_ref()),
        id: signed(after.external_certificate_id),
        parent: owner!(&after.parent, pb::stream_certificates_request::ordered_key::Parent)
            .unwrap_or_else(|| parent.clone()),
    });
    let limit = usize::try_from(request.limit).ok().filter(|limit| *limit > 0);
    let skids = &filter.subject_key_identifiers;
    let rows = certificate::list(read, &parent, skids, after.as_ref(), limit.unwrap_or(usize::MAX));
    Ok(rows.into_iter().map(to_proto).collect())
}

/// RevokeCertificate (table 1.1.12), with its cascade.
///
/// # Errors
/// No parent INVALID_ARGUMENT; missing NOT_FOUND; a state that is not allowed, UNSPECIFIED
/// included, FAILED_PRECONDITION/CERTIFICATE_REVOCATION_STATE_ILLEGAL (contract 1.8.5).
pub fn revoke(
    write: &mut Write<'_>,
    request: &pb::RevokeCertificateRequest,
) -> Answer<pb::Certificate> {
    let owner = required(owner!(&request.parent, pb::revoke_certificate_request::Parent))?;
    let wanted = RevocationState::from_wire(request.revocation_state);
    answer(certificate::revoke(write, &owner, signed(request.external_certificate_id), wanted))
}

/// ReleaseCertificateHold (table 1.1.12).
///
/// # Errors
/// As [`revoke`].
pub fn release_hold(
    write: &mut Write<'_>,
    request: &pb::ReleaseCertificateHoldRequest,
) -> Answer<pb::Certificate> {
    let owner = required(owner!(&request.parent, pb::release_certificate_hold_request::Parent))?;
    answer(certificate::release_hold(write, &owner, signed(request.external_certificate_id)))
}

/// What a certificate's message holds beside its parent and id, as given (contract 1.8.5).
pub fn from_proto(message: &pb::Certificate) -> NewCertificate {
    NewCertificate {
        x509_der: message.details.as_ref().map(|d| d.x509_der.clone()).unwrap_or_default(),
        subject_key_identifier: message.subject_key_identifier.clone(),
        not_valid_before: timestamp(message.not_valid_before.as_ref()),
        not_valid_after: timestamp(message.not_valid_after.as_ref()),
        revocation_state: RevocationState::from_wire(message.revocation_state),
    }
}

/// A certificate as the internal API shows it.
pub fn to_proto(row: &Certificate) -> pb::Certificate {
    use pb::certificate::Parent;
    pb::Certificate {
        parent: Some(match &row.owner {
            Owner::DataProvider(id) => Parent::ExternalDataProviderId(unsigned(*id)),
            Owner::MeasurementConsumer(id) => Parent::ExternalMeasurementConsumerId(unsigned(*id)),
            Owner::ModelProvider(id) => Parent::ExternalModelProviderId(unsigned(*id)),
            Owner::Duchy(id) => Parent::ExternalDuchyId(id.to_string()),
        }),
        external_certificate_id: unsigned(row.id),
        subject_key_identifier: row.subject_key_identifier.to_vec(),
        not_valid_before: Some(row.not_valid_before.to_proto()),
        not_valid_after: Some(row.not_valid_after.to_proto()),
        revocation_state: row.revocation_state.to_wire(),
        details: Some(pb::CertificateDetails { x509_der: row.x509_der.to_vec() }),
    }
}

fn answer(outcome: Outcome<Certificate>) -> Answer<pb::Certificate> {
    outcome.map(|row| to_proto(&row)).map_err(InternalError::untranslated)
}

/// The parent oneof is required (contract 1.8.5).
fn required(owner: Option<Owner>) -> Result<Owner, Refusal> {
    owner.ok_or_else(|| InternalError::invalid_argument("parent is not set").untranslated())
}

fn timestamp(sent: Option<&prost_types::Timestamp>) -> Timestamp {
    sent.map(Timestamp::from_proto).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::public::fixture::{World, metadata, refused};

    fn certificate(parent: Option<pb::certificate::Parent>, skid: &[u8]) -> pb::Certificate {
        pb::Certificate {
            parent,
            subject_key_identifier: skid.to_vec(),
            not_valid_before: Some(prost_types::Timestamp { seconds: 10, nanos: 0 }),
            not_valid_after: Some(prost_types::Timestamp { seconds: 20, nanos: 0 }),
            revocation_state: 1,
            details: Some(pb::CertificateDetails { x509_der: b"not a certificate".to_vec() }),
            ..Default::default()
        }
    }

    fn of_duchy(id: &str) -> Option<pb::certificate::Parent> {
        Some(pb::certificate::Parent::ExternalDuchyId(id.to_owned()))
    }

    #[test]
    fn create_stores_what_is_given_and_parses_nothing_1_8_5() {
        let mut world = World::new();
        let sent = certificate(of_duchy("worker1"), b"");
        let stored = world.write(|w| create(w, &sent)).unwrap();
        assert_ne!(stored.external_certificate_id, 0);
        assert_eq!(pb::Certificate { external_certificate_id: 0, ..stored.clone() }, sent);
        let request = pb::GetCertificateRequest {
            parent: Some(pb::get_certificate_request::Parent::ExternalDuchyId(
                "worker1".to_owned(),
            )),
            external_certificate_id: stored.external_certificate_id,
        };
        assert_eq!(get(&world.read(), &request), Ok(stored));
    }

    #[test]
    fn create_refuses_no_parent_then_an_unknown_parent_then_an_skid_in_use_1_8_5() {
        let mut world = World::new();
        let answer = world.write(|w| create(w, &certificate(None, b"dp0")));
        assert_eq!(refused(answer), (Code::InvalidArgument, None));
        let answer = world.write(|w| create(w, &certificate(of_duchy("nobody"), b"dp0")));
        assert_eq!(refused(answer.clone()), (Code::NotFound, Some("DUCHY_NOT_FOUND")));
        // the internal domain's keys (1.0.2)
        assert_eq!(metadata(answer, "external_duchy_id").as_deref(), Some("nobody"));
        let answer = world.write(|w| create(w, &certificate(of_duchy("worker1"), b"dp0")));
        assert_eq!(
            refused(answer),
            (Code::AlreadyExists, Some("CERT_SUBJECT_KEY_ID_ALREADY_EXISTS"))
        );
    }

    #[test]
    fn a_missing_certificate_is_not_found_without_error_info_1_8_5() {
        let world = World::new();
        let parent = pb::get_certificate_request::Parent::ExternalModelProviderId(1);
        let request =
            pb::GetCertificateRequest { parent: Some(parent), external_certificate_id: 1 };
        assert_eq!(refused(get(&world.read(), &request)), (Code::NotFound, None));
        let without = pb::GetCertificateRequest { parent: None, ..request };
        assert_eq!(refused(get(&world.read(), &without)), (Code::InvalidArgument, None));
    }

    #[test]
    fn revoke_with_unspecified_is_an_illegal_state_1_8_5() {
        let mut world = World::new();
        let stored = world.write(|w| create(w, &certificate(of_duchy("worker1"), b"s"))).unwrap();
        let id = stored.external_certificate_id;
        let request = |state| pb::RevokeCertificateRequest {
            parent: Some(pb::revoke_certificate_request::Parent::ExternalDuchyId(
                "worker1".to_owned(),
            )),
            external_certificate_id: id,
            revocation_state: state,
        };
        let answer = world.write(|w| revoke(w, &request(0)));
        assert_eq!(
            refused(answer),
            (Code::FailedPrecondition, Some("CERTIFICATE_REVOCATION_STATE_ILLEGAL"))
        );
        let release = pb::ReleaseCertificateHoldRequest {
            parent: Some(pb::release_certificate_hold_request::Parent::ExternalDuchyId(
                "worker1".to_owned(),
            )),
            external_certificate_id: id,
        };
        // it was created on hold, as given
        assert_eq!(world.write(|w| release_hold(w, &release)).unwrap().revocation_state, 0);
        assert_eq!(world.write(|w| revoke(w, &request(2))).unwrap().revocation_state, 2);
    }

    #[test]
    fn the_stream_needs_a_parent_and_follows_limit_and_cursor_1_1_15() {
        use pb::stream_certificates_request::filter::Parent;
        use pb::stream_certificates_request::{Filter, OrderedKey};
        let mut world = World::new();
        for skid in [b"a", b"b"] {
            world.write(|w| create(w, &certificate(of_duchy("worker1"), skid))).unwrap();
        }
        let request = |limit, after| pb::StreamCertificatesRequest {
            filter: Some(Filter {
                parent: Some(Parent::ExternalDuchyId("worker1".to_owned())),
                after,
                ..Default::default()
            }),
            limit,
        };
        let all = stream(&world.read(), &request(0, None)).unwrap();
        // one notBefore, so the id decides, ascending
        assert_eq!(all.len(), 2);
        assert!(all[0].external_certificate_id < all[1].external_certificate_id);
        assert_eq!(stream(&world.read(), &request(1, None)).unwrap(), all[..1]);
        let after = OrderedKey {
            not_valid_before: all[0].not_valid_before,
            external_certificate_id: all[0].external_certificate_id,
            parent: None,
        };
        assert_eq!(stream(&world.read(), &request(0, Some(after))).unwrap(), all[1..]);
        let without = pb::StreamCertificatesRequest::default();
        assert_eq!(refused(stream(&world.read(), &without)), (Code::InvalidArgument, None));
    }
}
