//! Who calls: from the peer certificate's authority key identifier to a principal (contract 2.3,
//! 2.4, 2.9, 2.10). Pure lookups over the files' contents.

use kingdom_proto::name;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// An authenticated party. Holds its full resource name as the map's file spells it, since ownership
/// compares strings (contract 1.1.4).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Principal {
    /// `dataProviders/{}`
    DataProvider(Arc<str>),
    /// `measurementConsumers/{}`
    MeasurementConsumer(Arc<str>),
    /// `modelProviders/{}`
    ModelProvider(Arc<str>),
    /// `duchies/{}`
    Duchy(Arc<str>),
    /// `accounts/{}`
    Account(Arc<str>),
}

impl Principal {
    /// From a resource name of one of the accepted collections (contract 2.9).
    pub fn parse(text: &str) -> Option<Self> {
        let shared = || Arc::<str>::from(text);
        if name::DataProviderName::parse(text).is_some() {
            Some(Self::DataProvider(shared()))
        } else if name::MeasurementConsumerName::parse(text).is_some() {
            Some(Self::MeasurementConsumer(shared()))
        } else if name::ModelProviderName::parse(text).is_some() {
            Some(Self::ModelProvider(shared()))
        } else if name::DuchyName::parse(text).is_some() {
            Some(Self::Duchy(shared()))
        } else if name::AccountName::parse(text).is_some() {
            Some(Self::Account(shared()))
        } else {
            None
        }
    }

    /// The full resource name.
    pub fn name(&self) -> &str {
        self.shared_name()
    }

    /// The full resource name, shared.
    pub fn shared_name(&self) -> &Arc<str> {
        match self {
            Self::DataProvider(name)
            | Self::MeasurementConsumer(name)
            | Self::ModelProvider(name)
            | Self::Duchy(name)
            | Self::Account(name) => name,
        }
    }

    /// The id segment of the name, as the file spells it.
    pub fn id(&self) -> &str {
        self.name().rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `AuthorityKeyToPrincipalMap` and `DuchyCertConfig` together: AKID bytes to principals.
#[derive(Clone, Debug, Default)]
pub struct PrincipalLookup {
    principals: BTreeMap<Vec<u8>, Principal>,
    duchies: BTreeMap<Vec<u8>, Arc<str>>,
}

impl PrincipalLookup {
    /// A lookup from the entries of both files, in file order.
    ///
    /// A repeated AKID: the last entry of the map wins (2.9); an unknown collection or malformed
    /// name is as if the entry were absent (2.9). Of two Duchies with one root SKID the first listed
    /// wins; of two entries of one Duchy the last (2.10).
    pub fn new<'a>(
        map: impl IntoIterator<Item = (&'a [u8], &'a str)>,
        duchies: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Self {
        let mut lookup = Self::default();
        for (akid, name) in map {
            match Principal::parse(name) {
                Some(principal) => {
                    lookup.principals.insert(akid.to_vec(), principal);
                }
                None => {
                    lookup.principals.remove(akid);
                }
            }
        }
        let mut order: Vec<&str> = Vec::new();
        let mut roots: BTreeMap<&str, &[u8]> = BTreeMap::new();
        for (duchy, skid) in duchies {
            if roots.insert(duchy, skid).is_none() {
                order.push(duchy);
            }
        }
        for duchy in order {
            if let Some(&skid) = roots.get(duchy) {
                lookup.duchies.entry(skid.to_vec()).or_insert_with(|| duchy.into());
            }
        }
        lookup
    }

    /// The principal of the public API (contract 2.4): exact match in the map, then the Duchies.
    pub fn principal(&self, akid: &[u8]) -> Option<Principal> {
        self.principals
            .get(akid)
            .cloned()
            .or_else(|| self.duchy(akid).map(|id| Principal::Duchy(format!("duchies/{id}").into())))
    }

    /// The Duchy of the system API, by `DuchyCertConfig` alone (contract 2.5).
    pub fn duchy(&self, akid: &[u8]) -> Option<&Arc<str>> {
        self.duchies.get(akid)
    }

    /// The map's entries, for the state snapshot.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], String)> {
        let mapped = self.principals.iter().map(|(akid, p)| (akid.as_slice(), p.name().to_owned()));
        let duchies =
            self.duchies.iter().map(|(skid, id)| (skid.as_slice(), format!("duchies/{id}")));
        mapped.chain(duchies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup() -> PrincipalLookup {
        PrincipalLookup::new(
            [
                (b"1".as_slice(), "dataProviders/AAAAAAAAAZQ"),
                (b"2", "dataProviders/AAAAAAAAAZQ"),
                (b"3", "modelProviders/AAAAAAAAAZQ"),
                (b"3", "measurementConsumers/AAAAAAAAAZQ"),
                (b"4", "widgets/AAAAAAAAAZQ"),
            ],
            [("worker1", b"4".as_slice()), ("worker2", b"5"), ("worker1", b"6"), ("worker3", b"5")],
        )
    }

    #[test]
    fn many_identifiers_map_to_one_principal_and_the_last_entry_wins() {
        let name = |akid: &[u8]| lookup().principal(akid).map(|p| p.to_string());
        assert_eq!(name(b"1").as_deref(), Some("dataProviders/AAAAAAAAAZQ"));
        assert_eq!(name(b"2").as_deref(), Some("dataProviders/AAAAAAAAAZQ"));
        assert_eq!(name(b"3").as_deref(), Some("measurementConsumers/AAAAAAAAAZQ"));
    }

    #[test]
    fn an_unknown_collection_is_as_if_the_entry_were_absent() {
        assert_eq!(lookup().principal(b"4"), None);
    }

    #[test]
    fn one_root_per_duchy_last_wins_and_one_duchy_per_root_first_wins() {
        assert_eq!(lookup().duchy(b"4"), None);
        assert_eq!(lookup().duchy(b"6").map(|id| &**id), Some("worker1"));
        assert_eq!(lookup().duchy(b"5").map(|id| &**id), Some("worker2"));
        assert_eq!(
            lookup().principal(b"5").map(|p| p.to_string()).as_deref(),
            Some("duchies/worker2")
        );
    }
}
