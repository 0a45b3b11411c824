//! Which resources carry one signed message: by the contract nothing signed names the resource that it
//! is for, and nothing is used up (3.1.2), so that a replay shows in nothing else. Pure.

use std::collections::BTreeMap;

/// The names that stand over the same signed bytes, signature included, in order of the names; only
/// groups of two or more. Two signatures of one signer over one message differ, a copy does not.
pub fn copies(signed: &[(String, Vec<u8>)]) -> Vec<Vec<String>> {
    let mut by_bytes: BTreeMap<&[u8], Vec<String>> = BTreeMap::new();
    for (name, bytes) in signed.iter().filter(|(_, bytes)| !bytes.is_empty()) {
        by_bytes.entry(bytes).or_default().push(name.clone());
    }
    let mut groups: Vec<_> = by_bytes.into_values().filter(|names| names.len() > 1).collect();
    for names in &mut groups {
        names.sort();
    }
    groups.sort();
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(all: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
        all.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect()
    }

    #[test]
    fn copies_are_named_together() {
        let all = signed(&[("c", b"1"), ("b", b"2"), ("a", b"1")]);
        assert_eq!(copies(&all), [["a", "c"]]);
    }

    #[test]
    fn what_was_signed_anew_is_no_copy() {
        assert!(copies(&signed(&[("a", b"1"), ("b", b"2")])).is_empty());
    }

    #[test]
    fn what_is_not_signed_at_all_is_no_copy() {
        assert!(copies(&signed(&[("a", b""), ("b", b"")])).is_empty());
    }
}
