//! Whom servers and callers trust once a procedure is through, or was rolled back. Pure.
//!
//! What counts is what each process has in force, not what a file says: a replica that was not restarted,
//! or a Duchy that was forgotten, trusts on.

use super::check;
use crate::observation::Check;
use fake_kingdom::cause::Cause;
use std::collections::{BTreeMap, BTreeSet};

/// What one server or caller has in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InForce {
    /// Subject key identifiers of the roots that it trusts.
    pub roots: Vec<String>,
    /// Authority key identifiers that it maps, each with its principal.
    pub map: Vec<(String, String)>,
}

/// Everybody's, by name: `replica 0`, `worker1`, `edp1 as a caller`.
pub type Trust = BTreeMap<String, InForce>;

/// That everybody has in force what they had before: the way back undid what was done.
pub fn is_as_before(before: &Trust, now: &Trust) -> Check {
    let nothing = InForce::default();
    let mut differences = Vec::new();
    for who in before.keys().chain(now.keys()).collect::<BTreeSet<_>>() {
        let (then, now) =
            (before.get(who).unwrap_or(&nothing).facts(), now.get(who).unwrap_or(&nothing).facts());
        differences.extend(now.difference(&then).map(|fact| format!("{who} now {fact}")));
        differences.extend(then.difference(&now).map(|fact| format!("{who} no longer {fact}")));
    }
    let observed = match differences.as_slice() {
        // Nobody to ask is no evidence.
        [] if now.is_empty() => "unknown, for nobody runs".to_owned(),
        [] => "as before".to_owned(),
        differences => differences.join("; "),
    };
    check::equal("roots and maps in force", "as before", &observed).or(Cause::UnexpectedState)
}

/// That nobody has this root in force any more, nor maps it.
pub fn is_gone(root: &str, now: &Trust) -> Check {
    let trusts = |of: &InForce| of.roots.iter().any(|skid| skid == root);
    let maps = |of: &InForce| of.map.iter().any(|(akid, _)| akid == root);
    let mut left = Vec::new();
    for (who, of) in now {
        if trusts(of) {
            left.push(format!("{who} trusts it"));
        }
        if maps(of) {
            left.push(format!("{who} maps it"));
        }
    }
    let observed = match left.as_slice() {
        // Nobody to ask is no evidence.
        [] if now.is_empty() => "unknown, for nobody runs".to_owned(),
        [] => "nobody".to_owned(),
        left => left.join(", "),
    };
    check::equal("who has the old root in force", "nobody", &observed).or(Cause::StillAccepted)
}

impl InForce {
    fn facts(&self) -> BTreeSet<String> {
        let roots = self.roots.iter().map(|skid| format!("trusts {skid}"));
        roots.chain(self.map.iter().map(|(akid, of)| format!("maps {akid} to {of}"))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust(roots: &[&str], mapped: &[&str]) -> Trust {
        let map = mapped.iter().map(|akid| ((*akid).to_owned(), "dataProviders/1".to_owned()));
        let roots = roots.iter().map(|root| (*root).to_owned()).collect();
        [("replica 0".to_owned(), InForce { roots, map: map.collect() })].into()
    }

    #[test]
    fn the_order_of_a_bundle_is_no_difference_and_a_root_too_many_is() {
        let before = trust(&["a", "b"], &["a"]);
        assert!(is_as_before(&before, &trust(&["b", "a"], &["a"])).holds);
        assert!(!is_as_before(&before, &trust(&["a", "b", "c"], &["a"])).holds);
        assert!(!is_as_before(&before, &trust(&["a", "b"], &["a", "c"])).holds);
        assert!(!is_as_before(&before, &Trust::new()).holds);
        assert!(!is_as_before(&Trust::new(), &Trust::new()).holds, "nobody was asked");
        let check = is_as_before(&before, &trust(&["a", "c"], &["a"]));
        assert_eq!(check.observed, "replica 0 now trusts c; replica 0 no longer trusts b");
    }

    #[test]
    fn a_root_is_gone_when_nobody_trusts_or_maps_it() {
        assert!(is_gone("old", &trust(&["new"], &["new"])).holds);
        for left in [trust(&["new", "old"], &["new"]), trust(&["new"], &["new", "old"])] {
            let check = is_gone("old", &left);
            assert_eq!((check.holds, check.cause), (false, Some(Cause::StillAccepted)));
        }
        assert!(!is_gone("old", &Trust::new()).holds, "nobody was asked");
    }
}
