//! API certificates: create rules, revocation state machine, lists (contract 1.1, 1.6).

use super::{Outcome, Owner, OwnerKind, Read, Timestamp, Write};
use crate::cause::Cause;
use crate::error::{Code, InternalError, Reason};
use crate::quirk::Quirk;
use crate::store::{Row, Tables};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// A certificate as stored. Nothing ever deletes one (contract 1.1.8).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Its parent.
    pub owner: Owner,
    /// External id.
    pub id: i64,
    /// The DER, verbatim (contract 1.1.5).
    #[serde(with = "crate::store::bytes")]
    pub x509_der: Box<[u8]>,
    /// Raw content of the SubjectKeyIdentifier octet string, any length (contract 1.1.6).
    #[serde(with = "crate::store::bytes")]
    pub subject_key_identifier: Box<[u8]>,
    /// Validity, both bounds inclusive (contract 1.6.1).
    pub not_valid_before: Timestamp,
    /// Validity, both bounds inclusive (contract 1.6.1).
    pub not_valid_after: Timestamp,
    /// Where it stands in the state machine of 1.1.12.
    pub revocation_state: RevocationState,
}

/// The states of table 1.1.12.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RevocationState {
    /// Good.
    #[default]
    Unspecified,
    /// On hold: may be released.
    Hold,
    /// Revoked for good.
    Revoked,
}

impl RevocationState {
    /// The name of the public enum value.
    pub fn public_name(self) -> &'static str {
        match self {
            Self::Unspecified => "REVOCATION_STATE_UNSPECIFIED",
            Self::Hold => "HOLD",
            Self::Revoked => "REVOKED",
        }
    }

    /// From a wire number; an unknown one becomes unspecified, as in the real server (1.1.13).
    pub fn from_wire(number: i32) -> Self {
        match number {
            1 => Self::Hold,
            2 => Self::Revoked,
            _ => Self::Unspecified,
        }
    }

    /// The wire number, the same in the public and the internal API.
    pub fn to_wire(self) -> i32 {
        match self {
            Self::Unspecified => 0,
            Self::Hold => 1,
            Self::Revoked => 2,
        }
    }
}

impl Certificate {
    /// The canonical resource name.
    pub fn name(&self) -> String {
        self.owner.certificate_name(self.id)
    }

    /// The validity predicate used everywhere in the Kingdom (contract 1.6.1): `None` if the
    /// certificate is valid, else the cause.
    pub fn invalid_because(&self, now: Timestamp) -> Option<Cause> {
        match self.revocation_state {
            RevocationState::Revoked => Some(Cause::CertificateRevoked),
            RevocationState::Hold => Some(Cause::CertificateOnHold),
            RevocationState::Unspecified if now < self.not_valid_before => {
                Some(Cause::CertificateNotYetValid)
            }
            RevocationState::Unspecified if now > self.not_valid_after => {
                Some(Cause::CertificateExpired)
            }
            RevocationState::Unspecified => None,
        }
    }

    fn order(&self) -> OrderKey {
        OrderKey {
            not_valid_before: Reverse(self.not_valid_before),
            id: self.id,
            owner: self.owner.clone(),
        }
    }
}

/// What CreateCertificate stores, taken from the DER by the public layer (contract 1.1.6) or given
/// as it is by an operator (contract 1.8.5).
#[derive(Clone, Debug)]
pub struct NewCertificate {
    /// The DER.
    pub x509_der: Vec<u8>,
    /// Subject key identifier.
    pub subject_key_identifier: Vec<u8>,
    /// Validity.
    pub not_valid_before: Timestamp,
    /// Validity.
    pub not_valid_after: Timestamp,
    /// Always unspecified from the public API.
    pub revocation_state: RevocationState,
}

/// The certificate `id` of `owner`.
pub fn find<'a>(read: &Read<'a>, owner: &Owner, id: i64) -> Option<&'a Certificate> {
    read.tables.certificates.get(&(owner.clone(), id))
}

/// Whether the parent of a certificate exists (contract 1.1.2 CreateCertificate).
///
/// # Errors
/// NOT_FOUND/..._NOT_FOUND for the parent's kind.
pub fn require_owner(read: &Read<'_>, owner: &Owner) -> Outcome<()> {
    let exists = match owner {
        Owner::DataProvider(id) => read.tables.data_providers.contains(id),
        Owner::MeasurementConsumer(id) => read.tables.measurement_consumers.contains(id),
        Owner::ModelProvider(id) => read.tables.model_providers.contains(id),
        Owner::Duchy(id) => read.settings.duchies.get(id).is_some(),
    };
    if exists {
        Ok(())
    } else {
        Err(InternalError::not_found(Reason::OwnerNotFound(owner.clone())))
    }
}

/// CreateCertificate: only the SKID's uniqueness across the whole Kingdom and the parent's
/// existence are checked (contract 1.1.7, 1.1.8).
///
/// # Errors
/// NOT_FOUND for the parent; ALREADY_EXISTS/CERT_SUBJECT_KEY_ID_ALREADY_EXISTS.
pub fn create(write: &mut Write<'_>, owner: Owner, new: NewCertificate) -> Outcome<Certificate> {
    require_owner(&write.read(), &owner)?;
    insert(write, owner, new)
}

/// [`create`] for a parent that is being created in the same transaction.
///
/// # Errors
/// ALREADY_EXISTS/CERT_SUBJECT_KEY_ID_ALREADY_EXISTS.
pub fn insert(write: &mut Write<'_>, owner: Owner, new: NewCertificate) -> Outcome<Certificate> {
    if write.tables.certificates.index().by_skid.contains_key(new.subject_key_identifier.as_slice())
    {
        let taken = InternalError::new(Code::AlreadyExists, Reason::CertSubjectKeyIdAlreadyExists);
        return Err(taken.because(Cause::KeyIdentifierTaken));
    }
    let id = write.fresh_id(|tables, id| tables.certificates.contains(&(owner.clone(), id)));
    let row = Certificate {
        owner,
        id,
        x509_der: new.x509_der.into(),
        subject_key_identifier: new.subject_key_identifier.into(),
        not_valid_before: new.not_valid_before,
        not_valid_after: new.not_valid_after,
        revocation_state: new.revocation_state,
    };
    write.tables.certificates.put(row.clone());
    write.note("create", row.name(), None, Some(row.revocation_state.public_name()));
    Ok(row)
}

/// RevokeCertificate (table 1.1.12) with its cascade (1.6.3), which every successful call re-runs,
/// repeats included (1.1.14).
///
/// # Errors
/// NOT_FOUND/DUCHY_NOT_FOUND or CERTIFICATE_NOT_FOUND, then
/// FAILED_PRECONDITION/CERTIFICATE_REVOCATION_STATE_ILLEGAL.
pub fn revoke(
    write: &mut Write<'_>,
    owner: &Owner,
    id: i64,
    wanted: RevocationState,
) -> Outcome<Certificate> {
    let mut row = for_state_change(&write.read(), owner, id)?;
    let before = row.revocation_state;
    let allowed = match (before, wanted) {
        (_, RevocationState::Unspecified) => false,
        (RevocationState::Revoked, RevocationState::Hold) => false,
        (_, RevocationState::Hold | RevocationState::Revoked) => true,
    };
    if !allowed {
        return Err(state_illegal(&row));
    }
    row.revocation_state = wanted;
    write.tables.certificates.put(row.clone());
    write.note("revoke", row.name(), Some(before.public_name()), Some(wanted.public_name()));
    super::cascade::certificate_revoked(write, &row)?;
    Ok(row)
}

/// ReleaseCertificateHold (table 1.1.12). It restores nothing that failed (1.1.14).
///
/// # Errors
/// As [`revoke`].
pub fn release_hold(write: &mut Write<'_>, owner: &Owner, id: i64) -> Outcome<Certificate> {
    let mut row = for_state_change(&write.read(), owner, id)?;
    let before = row.revocation_state;
    if before != RevocationState::Hold {
        return Err(state_illegal(&row));
    }
    row.revocation_state = RevocationState::Unspecified;
    write.tables.certificates.put(row.clone());
    write.note(
        "release",
        row.name(),
        Some(before.public_name()),
        Some(row.revocation_state.public_name()),
    );
    Ok(row)
}

fn for_state_change(read: &Read<'_>, owner: &Owner, id: i64) -> Outcome<Certificate> {
    if let Owner::Duchy(_) = owner {
        require_owner(read, owner)?;
    }
    find(read, owner, id).cloned().ok_or_else(|| {
        InternalError::not_found(Reason::CertificateNotFound {
            owner: Some(owner.clone()),
            certificate: id,
        })
    })
}

/// Shows the *current* state, never the requested one (contract 1.1.13).
fn state_illegal(row: &Certificate) -> InternalError {
    InternalError::failed_precondition(Reason::CertificateRevocationStateIllegal {
        certificate: row.id,
        state: row.revocation_state,
    })
}

/// Where a page of a list ended: the order key of its last row, with the parent the caller asked
/// for (contract 1.0.13).
#[derive(Clone, Debug)]
pub struct Cursor {
    /// notBefore of the last row.
    pub not_valid_before: Timestamp,
    /// External id of the last row.
    pub id: i64,
    /// The *requested* parent, not the row's own.
    pub parent: Owner,
}

/// One page of ListCertificates, with the quirks of 1.1.17 and 1.1.18; order 1.1.15.
///
/// Answers at most `limit` rows; the caller asks for one more than a page to know whether there is
/// a next one.
pub fn list<'a>(
    read: &Read<'a>,
    parent: &Owner,
    subject_key_identifiers: &[Vec<u8>],
    after: Option<&Cursor>,
    limit: usize,
) -> Vec<&'a Certificate> {
    let wanted: BTreeSet<&[u8]> = subject_key_identifiers.iter().map(Vec::as_slice).collect();
    let all_parents = read.faithful(Quirk::ListCertificatesIgnoresParent);
    let bypass = read.faithful(Quirk::ListCertificatesTokenBypassesSkidFilter);
    let index = read.tables.certificates.index();
    let of_parent = |row: &Certificate| {
        if all_parents { row.owner.kind() == parent.kind() } else { row.owner == *parent }
    };
    let beyond = |row: &Certificate| match after {
        None => true,
        Some(cursor) => {
            let position = (Reverse(row.not_valid_before), row.id, row.owner.external_id());
            position > (Reverse(cursor.not_valid_before), cursor.id, cursor.parent.external_id())
        }
    };

    // A filter without a cursor is answered from the SKID index; so is one with a cursor, unless
    // the quirk lets older rows pass whatever their SKID.
    if !wanted.is_empty() && (after.is_none() || !bypass) {
        let mut rows: Vec<_> = wanted
            .iter()
            .filter_map(|&skid| index.by_skid.get(skid))
            .map(Arc::as_ref)
            .filter(|row| of_parent(row) && beyond(row))
            .collect();
        rows.sort_by_key(|row| row.order());
        rows.truncate(limit);
        return rows;
    }

    // Start at the cursor's notBefore: rows with that very notBefore are compared one by one.
    let start = after.map_or(Bound::Unbounded, |cursor| {
        Bound::Included(OrderKey {
            not_valid_before: Reverse(cursor.not_valid_before),
            id: cursor.id,
            owner: Owner::DataProvider(i64::MIN),
        })
    });
    let rows =
        if all_parents { index.by_kind.get(&parent.kind()) } else { index.by_owner.get(parent) };
    rows.into_iter()
        .flat_map(|rows| rows.range((start.clone(), Bound::Unbounded)))
        .map(|(_, row)| row.as_ref())
        .filter(|row| beyond(row))
        .filter(|row| {
            wanted.is_empty()
                || wanted.contains(&*row.subject_key_identifier)
                || after.is_some_and(|cursor| row.not_valid_before < cursor.not_valid_before)
        })
        .take(limit)
        .collect()
}

/// Order of lists: notBefore descending, certificate id, parent id ascending (contract 1.1.15).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OrderKey {
    not_valid_before: Reverse<Timestamp>,
    id: i64,
    owner: Owner,
}

/// Rows in list order.
type InOrder = BTreeMap<OrderKey, Arc<Certificate>>;

/// The lookups that certificates need. They hold the rows themselves: a page of a list then costs
/// the same however many rows the table has.
#[derive(Default)]
pub struct CertificateIndex {
    /// SKID, unique across the entire Kingdom (contract 1.1.8).
    by_skid: BTreeMap<Box<[u8]>, Arc<Certificate>>,
    /// List order over all parents of one kind (quirk `list-certificates-ignores-parent`).
    by_kind: BTreeMap<OwnerKind, InOrder>,
    /// List order of one parent.
    by_owner: BTreeMap<Owner, InOrder>,
}

impl Row for Certificate {
    type Key = (Owner, i64);
    type Index = CertificateIndex;
    const TABLE: &'static str = "certificates";

    fn key(&self) -> Self::Key {
        (self.owner.clone(), self.id)
    }

    fn enter(self: &Arc<Self>, index: &mut Self::Index) {
        index.by_skid.insert(self.subject_key_identifier.clone(), self.clone());
        let of_kind = index.by_kind.entry(self.owner.kind()).or_default();
        of_kind.insert(self.order(), self.clone());
        let of_owner = index.by_owner.entry(self.owner.clone()).or_default();
        of_owner.insert(self.order(), self.clone());
    }

    /// Sorts once, which is several times as fast as entering row by row; the SKIDs on a thread of
    /// their own.
    fn enter_all(rows: &[Arc<Self>], index: &mut Self::Index) {
        let CertificateIndex { by_skid, by_kind, by_owner } = index;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let key = |row: &Arc<Self>| row.subject_key_identifier.clone();
                *by_skid = rows.iter().map(|row| (key(row), row.clone())).collect();
            });
            let mut sorted: Vec<_> = rows.iter().map(|row| (row.order(), row.clone())).collect();
            sorted.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
            let mut kinds: BTreeMap<OwnerKind, Vec<_>> = BTreeMap::new();
            let mut owners: BTreeMap<Owner, Vec<_>> = BTreeMap::new();
            for entry in sorted {
                kinds.entry(entry.1.owner.kind()).or_default().push(entry.clone());
                owners.entry(entry.1.owner.clone()).or_default().push(entry);
            }
            *by_kind = kinds.into_iter().map(|(k, rows)| (k, rows.into_iter().collect())).collect();
            *by_owner =
                owners.into_iter().map(|(k, rows)| (k, rows.into_iter().collect())).collect();
        });
    }

    fn leave(&self, index: &mut Self::Index) {
        index.by_skid.remove(&self.subject_key_identifier);
        if let Some(keys) = index.by_kind.get_mut(&self.owner.kind()) {
            keys.remove(&self.order());
        }
        if let Some(keys) = index.by_owner.get_mut(&self.owner) {
            keys.remove(&self.order());
        }
    }
}

/// Whether any certificate, of any parent and in any state, has this SKID (contract 1.1.8).
pub fn skid_is_taken(tables: &Tables, skid: &[u8]) -> bool {
    tables.certificates.index().by_skid.contains_key(skid)
}

/// All certificates of one owner, in list order.
pub fn of_owner<'a>(read: &Read<'a>, owner: &Owner) -> impl Iterator<Item = &'a Certificate> {
    let tables = read.tables;
    let rows = tables.certificates.index().by_owner.get(owner);
    rows.into_iter().flatten().map(|(_, row)| row.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::AnyTable as _;

    #[test]
    fn rows_read_back_have_the_indexes_of_rows_entered_one_by_one() {
        let row = |n: u8| Certificate {
            owner: match n % 3 {
                0 => Owner::DataProvider(i64::from(n % 2) + 1),
                1 => Owner::MeasurementConsumer(1),
                _ => Owner::Duchy("worker1".into()),
            },
            id: i64::from(n.wrapping_mul(77)) + 1,
            x509_der: Box::new([n; 3]),
            subject_key_identifier: Box::new([n.wrapping_mul(31), n]),
            not_valid_before: Timestamp::from_seconds(i64::from(n % 5)),
            not_valid_after: Timestamp::from_seconds(9),
            revocation_state: RevocationState::Hold,
        };
        let (mut entered, mut read) = (Tables::default(), Tables::default());
        for row in (0..60).map(row) {
            read.certificates.load(&postcard::to_stdvec(&row).unwrap()).unwrap();
            entered.certificates.put(row);
        }
        read.certificates.loaded();
        assert!(read.certificates.iter().eq(entered.certificates.iter()));
        let (read, entered) = (read.certificates.index(), entered.certificates.index());
        assert_eq!(read.by_skid, entered.by_skid);
        assert_eq!(read.by_kind, entered.by_kind);
        assert_eq!(read.by_owner, entered.by_owner);
    }
}
