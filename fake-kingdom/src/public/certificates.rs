//! Certificates of the public API (contract 1.1).

use super::{
    Answer, Caller, CertificateName, ParentName, bad_shape, decode_token, encode_token, page_size,
    require_owner, require_principal, whitelist,
};
use crate::authn::Principal;
use crate::cause::Cause;
use crate::error::{Code, InternalError, Reason, Refusal};
use crate::model::certificate::{self, Certificate, Cursor, NewCertificate, RevocationState};
use crate::model::{Owner, Read, Timestamp, Write};
use crate::quirk::Quirk;
use kingdom_proto::v2alpha as pb;

/// GetCertificate: the read matrix 1.1.3 is decided before existence (contract 1.1.2).
pub fn get(
    read: &Read<'_>,
    caller: Caller<'_>,
    request: &pb::GetCertificateRequest,
) -> Answer<pb::Certificate> {
    let name = CertificateName::parse(&request.name).ok_or_else(|| bad_shape("name"))?;
    let principal = require_principal(caller)?;
    if !may_read(principal, &name.parent) {
        return Err(Refusal::permission_denied());
    }
    let preferred = name.certificate == "preferred"
        && !read.faithful(Quirk::PreferredCertificateAliasUnsupported);
    let owner = name.parent.decode(read)?;
    let id = if preferred { None } else { Some(super::decode_id(read, &name.certificate)?) };
    if let Owner::Duchy(_) = owner
        && certificate::require_owner(read, &owner).is_err()
    {
        return Err(
            InternalError::invalid_argument("unknown Duchy").public(whitelist::GET_CERTIFICATE)
        );
    }
    let found = match id {
        None => preferred_of(read, &owner),
        Some(id) => certificate::find(read, &owner, id)
            .ok_or(Reason::CertificateNotFound { owner: Some(owner.clone()), certificate: id }),
    };
    match found {
        Ok(row) => Ok(to_proto(row)),
        Err(_) if read.faithful(Quirk::GetCertificateNotFoundIsUnknown) => {
            Err(InternalError::bare(Code::NotFound, "certificate not found")
                .public(whitelist::GET_CERTIFICATE))
        }
        Err(reason) => Err(InternalError::not_found(reason).public(&[Code::NotFound])),
    }
}

/// ListCertificates (contract 1.1.15 to 1.1.18; order of checks 1.0.6).
pub fn list(
    read: &Read<'_>,
    caller: Caller<'_>,
    request: &pb::ListCertificatesRequest,
) -> Answer<pb::ListCertificatesResponse> {
    let size = page_size(request.page_size, 50, 1000)?;
    let parent = ParentName::parse(&request.parent).ok_or_else(|| bad_shape("parent"))?;
    require_owner(caller, &parent.text())?;
    let owner = parent.decode(read)?;
    let parent_key = parent_key(&owner);
    let filter = request.filter.as_ref();
    let skids = filter.map(|filter| filter.subject_key_identifiers.clone()).unwrap_or_default();

    let cursor = if request.page_token.is_empty() {
        None
    } else {
        let token: pb::ListCertificatesPageToken = decode_token(read, &request.page_token)?;
        if token.parent_key.as_ref() != Some(&parent_key) || token.subject_key_identifiers != skids
        {
            return Err(Refusal::invalid_argument("page_token does not match the request"));
        }
        // A matching token without a last certificate, or whose last certificate names no parent,
        // is an uncaught exception (1.0.13).
        let last = token
            .last_certificate
            .filter(|last| {
                let parent = last.parent_key.as_ref();
                parent.is_some_and(|parent| parent.external_parent_id.is_some())
            })
            .ok_or_else(|| super::token::malformed(read))?;
        Some(Cursor {
            not_valid_before: last
                .not_valid_before
                .as_ref()
                .map(Timestamp::from_proto)
                .unwrap_or_default(),
            id: signed(last.external_certificate_id),
            parent: owner.clone(),
        })
    };

    let rows = certificate::list(read, &owner, &skids, cursor.as_ref(), size + 1);
    let next_page_token = match rows.get(size - 1) {
        Some(last) if rows.len() > size => encode_token(&pb::ListCertificatesPageToken {
            parent_key: Some(parent_key.clone()),
            subject_key_identifiers: skids,
            last_certificate: Some(pb::list_certificates_page_token::PreviousPageEnd {
                not_valid_before: Some(last.not_valid_before.to_proto()),
                external_certificate_id: unsigned(last.id),
                parent_key: Some(parent_key),
            }),
        }),
        _ => String::new(),
    };
    Ok(pb::ListCertificatesResponse {
        certificates: rows.into_iter().take(size).map(to_proto).collect(),
        next_page_token,
    })
}

/// CreateCertificate (contract 1.1.5 to 1.1.9).
pub fn create(
    write: &mut Write<'_>,
    caller: Caller<'_>,
    request: &pb::CreateCertificateRequest,
) -> Answer<pb::Certificate> {
    let parent = ParentName::parse(&request.parent).ok_or_else(|| bad_shape("parent"))?;
    require_owner(caller, &parent.text())?;
    let der = request.certificate.as_ref().map(|certificate| certificate.x509_der.as_slice());
    let new = read_der(der.unwrap_or_default())?;
    let owner = parent.decode(&write.read())?;
    certificate::create(write, owner, new)
        .map(|row| to_proto(&row))
        .map_err(|error| error.public(whitelist::CREATE_CERTIFICATE))
}

/// RevokeCertificate (contract 1.1.12 to 1.1.14).
pub fn revoke(
    write: &mut Write<'_>,
    caller: Caller<'_>,
    request: &pb::RevokeCertificateRequest,
) -> Answer<pb::Certificate> {
    let name = CertificateName::parse(&request.name).ok_or_else(|| bad_shape("name"))?;
    require_owner(caller, &name.parent.text())?;
    if request.revocation_state == 0 {
        return Err(Refusal::invalid_argument("revocation_state is unspecified"));
    }
    let (owner, id) = name.decode(&write.read())?;
    let wanted = RevocationState::from_wire(request.revocation_state);
    certificate::revoke(write, &owner, id, wanted)
        .map(|row| to_proto(&row))
        .map_err(|error| error.public(whitelist::CHANGE_CERTIFICATE))
}

/// ReleaseCertificateHold (contract 1.1.12, 1.1.14).
pub fn release_hold(
    write: &mut Write<'_>,
    caller: Caller<'_>,
    request: &pb::ReleaseCertificateHoldRequest,
) -> Answer<pb::Certificate> {
    let name = CertificateName::parse(&request.name).ok_or_else(|| bad_shape("name"))?;
    require_owner(caller, &name.parent.text())?;
    let (owner, id) = name.decode(&write.read())?;
    certificate::release_hold(write, &owner, id)
        .map(|row| to_proto(&row))
        .map_err(|error| error.public(whitelist::CHANGE_CERTIFICATE))
}

/// What the server takes from a DER (contract 1.1.5, 1.1.6). Nothing else is checked (1.1.7).
///
/// # Errors
/// Empty or unparsable bytes, or no SubjectKeyIdentifier: INVALID_ARGUMENT; a malformed
/// SubjectKeyIdentifier: UNKNOWN.
pub fn read_der(der: &[u8]) -> Answer<NewCertificate> {
    let facts = halo_pki::inspect(der).map_err(|error| {
        Refusal::invalid_argument(format!("certificate.x509_der is not a certificate: {error}"))
            .because(Cause::MalformedCertificate)
    })?;
    if !facts.duplicate_extensions.is_empty() {
        // The JVM's factory does not parse such a certificate (contract 2.15).
        return Err(Refusal::invalid_argument("certificate.x509_der repeats an extension")
            .because(Cause::ExtensionRepeated));
    }
    if facts.skid_malformed {
        return Err(Refusal::uncaught().because(Cause::KeyIdentifierMalformed));
    }
    let subject_key_identifier = facts.skid.ok_or_else(|| {
        Refusal::invalid_argument("certificate.x509_der has no SubjectKeyIdentifier")
            .because(Cause::KeyIdentifierMissing)
    })?;
    Ok(NewCertificate {
        x509_der: der.to_vec(),
        subject_key_identifier,
        not_valid_before: facts.not_before.into(),
        not_valid_after: facts.not_after.into(),
        revocation_state: RevocationState::Unspecified,
    })
}

/// A certificate as every response shows it (contract 1.1.1).
pub fn to_proto(row: &Certificate) -> pb::Certificate {
    pb::Certificate {
        name: row.name(),
        x509_der: row.x509_der.to_vec(),
        revocation_state: row.revocation_state.to_wire(),
        subject_key_identifier: row.subject_key_identifier.to_vec(),
    }
}

/// The read matrix 1.1.3. A resource's own certificates are always readable by it.
fn may_read(principal: &Principal, parent: &ParentName) -> bool {
    if principal.name() == parent.text() {
        return true;
    }
    match (principal, parent) {
        (_, ParentName::Duchy(_) | ParentName::ModelProvider(_)) => true,
        (Principal::DataProvider(_), ParentName::MeasurementConsumer(_)) => true,
        (Principal::DataProvider(_), ParentName::DataProvider(_)) => false,
        (Principal::Account(_), _) => false,
        (_, ParentName::DataProvider(_)) => true,
        (_, ParentName::MeasurementConsumer(_)) => false,
    }
}

/// The documented preference (contract 1.1.11): not revoked, then within validity, then later
/// notAfter, then later notBefore.
fn preferred_of<'a>(read: &Read<'a>, owner: &Owner) -> Result<&'a Certificate, Reason> {
    let strict = certificate::of_owner(read, owner);
    strict
        .max_by_key(|row| {
            let valid = row.not_valid_before <= read.now && read.now <= row.not_valid_after;
            (
                row.revocation_state == RevocationState::Unspecified,
                valid,
                row.not_valid_after,
                row.not_valid_before,
            )
        })
        .ok_or(Reason::OwnerNotFound(owner.clone()))
}

fn parent_key(owner: &Owner) -> pb::list_certificates_page_token::ParentKey {
    use pb::list_certificates_page_token::parent_key::ExternalParentId as Id;
    let id = unsigned(owner.external_id());
    pb::list_certificates_page_token::ParentKey {
        external_parent_id: Some(match owner {
            Owner::DataProvider(_) => Id::ExternalDataProviderId(id),
            Owner::MeasurementConsumer(_) => Id::ExternalMeasurementConsumerId(id),
            Owner::ModelProvider(_) => Id::ExternalModelProviderId(id),
            Owner::Duchy(duchy) => Id::ExternalDuchyId(duchy.to_string()),
        }),
    }
}

/// Ids are fixed64 on the wire of tokens and int64 everywhere else.
pub(crate) fn unsigned(id: i64) -> u64 {
    id.cast_unsigned()
}

/// The reverse of [`unsigned`].
pub(crate) fn signed(id: u64) -> i64 {
    id.cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
    use crate::public::fixture::World;

    /// 1.0.13: the last certificate's parent key is the requested parent, and has to be there.
    #[test]
    fn a_token_without_the_parent_of_its_last_certificate_is_uncaught() {
        let world = World::new();
        let provider = world.data_providers[0];
        let list = |last: Option<pb::list_certificates_page_token::PreviousPageEnd>| {
            let token = pb::ListCertificatesPageToken {
                parent_key: Some(parent_key(&Owner::DataProvider(provider))),
                last_certificate: last,
                ..pb::ListCertificatesPageToken::default()
            };
            let request = pb::ListCertificatesRequest {
                parent: world.dp(0),
                page_token: encode_token(&token),
                ..pb::ListCertificatesRequest::default()
            };
            list(&world.read(), Some(&world.as_dp(0)), &request)
        };
        let bare = pb::list_certificates_page_token::PreviousPageEnd::default();
        let whole = pb::list_certificates_page_token::PreviousPageEnd {
            parent_key: Some(parent_key(&Owner::DataProvider(provider))),
            ..bare.clone()
        };
        assert!(list(Some(whole)).is_ok());
        for last in [None, Some(bare)] {
            assert_eq!(list(last).unwrap_err().code, Code::Unknown);
        }
    }

    /// 1.1.5: the event says why, which the wire leaves to a description.
    #[test]
    fn whoever_registers_what_is_no_certificate_is_told_why_in_the_event() {
        use crate::seam::entropy::Seed;
        use halo_pki::hostile::{Variant, forge};
        use halo_pki::{Authority, AuthoritySpec, Validity};
        let now = time::OffsetDateTime::UNIX_EPOCH;
        let mut rng = Seed::new(1).child("hostile");
        let spec = AuthoritySpec {
            organization: String::new(),
            common_name: "root TEST ONLY".to_owned(),
            dns_name: "ca.test".to_owned(),
            validity: Validity::days(now, 3650),
        };
        let authority = Authority::create(&spec, &mut rng).unwrap();
        let other = Authority::create(&spec, &mut rng).unwrap();
        for (variant, code, cause) in [
            (Variant::SkidAbsent, Code::InvalidArgument, Cause::KeyIdentifierMissing),
            (Variant::SkidMalformed, Code::Unknown, Cause::KeyIdentifierMalformed),
            (Variant::SkidTwice, Code::InvalidArgument, Cause::ExtensionRepeated),
            (Variant::Truncated, Code::InvalidArgument, Cause::MalformedCertificate),
        ] {
            let forged = forge(variant, &authority, &other, now, &mut rng).unwrap();
            let refusal = read_der(&forged.certificate).unwrap_err();
            assert_eq!((refusal.code, refusal.cause), (code, Some(cause)), "{}", variant.name());
        }
    }
}
