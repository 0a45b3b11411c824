//! The orders in which a participant's root can change: bundle, map and leaf are separate switches, and
//! the old root is taken away as separately (contract 5.9.1, 2.8, 2.9). Pure.
//!
//! The rule: a new connection works if the server's bundle has the root of the leaf that is presented,
//! and its map knows that root. So an order works if the leaf changes after both additions and before
//! both removals.

use fake_kingdom::cause::Cause;
use std::fmt;

/// One switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Switch {
    /// The bundle includes the new root.
    BundleGains,
    /// The map knows the new root.
    MapGains,
    /// A leaf of the new root is presented.
    Leaf,
    /// The bundle no longer includes the old root.
    BundleLoses,
    /// The map no longer knows the old root.
    MapLoses,
}

impl Switch {
    /// All.
    pub const ALL: [Self; 5] =
        [Self::BundleGains, Self::MapGains, Self::Leaf, Self::BundleLoses, Self::MapLoses];
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BundleGains => "bundle+",
            Self::MapGains => "map+",
            Self::Leaf => "leaf",
            Self::BundleLoses => "bundle-",
            Self::MapLoses => "map-",
        })
    }
}

/// An order of all five.
pub type Order = [Switch; 5];

/// Every order in which a file loses its old entry only after it has gained the new one: 30. (The
/// others are the same with a file that is replaced.)
pub fn orders() -> Vec<Order> {
    let mut all = Vec::new();
    extend(&mut Vec::new(), &mut all);
    all
}

fn extend(begun: &mut Vec<Switch>, all: &mut Vec<Order>) {
    if let Ok(order) = Order::try_from(begun.as_slice()) {
        all.push(order);
        return;
    }
    for next in Switch::ALL {
        let first = match next {
            Switch::BundleLoses => Some(Switch::BundleGains),
            Switch::MapLoses => Some(Switch::MapGains),
            _ => None,
        };
        if !begun.contains(&next) && first.is_none_or(|first| begun.contains(&first)) {
            begun.push(next);
            extend(begun, all);
            begun.pop();
        }
    }
}

/// Why a new connection fails after these switches, by the rule; `None` if it works.
pub fn predicted(done: &[Switch]) -> Option<Cause> {
    let has = |gains, loses| {
        if done.contains(&Switch::Leaf) { done.contains(&gains) } else { !done.contains(&loses) }
    };
    // TLS comes before identity.
    if !has(Switch::BundleGains, Switch::BundleLoses) {
        Some(Cause::UnknownIssuer)
    } else if !has(Switch::MapGains, Switch::MapLoses) {
        Some(Cause::PrincipalUnknown)
    } else {
        None
    }
}

/// An order, and what was seen after each of its switches: the cause code of a refusal, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Which.
    pub order: Order,
    /// What was seen, switch by switch.
    pub seen: Vec<Option<String>>,
}

impl Tried {
    /// `bundle+ map+ leaf! ...`: where it failed, and why.
    pub fn shown(&self) -> String {
        let one = |(switch, seen): (&Switch, &Option<String>)| match seen {
            None => switch.to_string(),
            Some(cause) => format!("{switch} ({cause})"),
        };
        self.order.iter().zip(&self.seen).map(one).collect::<Vec<_>>().join(" ")
    }

    /// Whether nobody was cut off.
    pub fn works(&self) -> bool {
        self.seen.iter().all(Option::is_none)
    }
}

/// What the rule says of an order.
pub fn by_the_rule(order: Order) -> Tried {
    let after = |n: usize| predicted(&order[..=n]).map(|cause| cause.code().to_owned());
    Tried { order, seen: (0..order.len()).map(after).collect() }
}

#[cfg(test)]
mod tests {
    use super::Switch::*;
    use super::*;

    #[test]
    fn there_are_thirty_orders_and_four_of_them_work() {
        let all = orders();
        assert_eq!(all.len(), 30);
        let working: Vec<_> =
            all.into_iter().map(by_the_rule).filter(Tried::works).map(|one| one.order).collect();
        for order in &working {
            assert_eq!(order[2], Leaf, "{order:?}");
        }
        assert_eq!(working.len(), 4);
    }

    #[test]
    fn what_is_missing_for_the_present_leaf_decides() {
        assert_eq!(predicted(&[]), None);
        assert_eq!(predicted(&[Leaf]), Some(Cause::UnknownIssuer));
        assert_eq!(predicted(&[BundleGains, Leaf]), Some(Cause::PrincipalUnknown));
        assert_eq!(predicted(&[MapGains, Leaf]), Some(Cause::UnknownIssuer));
        assert_eq!(predicted(&[BundleGains, BundleLoses]), Some(Cause::UnknownIssuer));
        assert_eq!(predicted(&[MapGains, MapLoses]), Some(Cause::PrincipalUnknown));
        assert_eq!(predicted(&[BundleGains, MapGains, Leaf, MapLoses, BundleLoses]), None);
    }
}
