//! Which probe goes out when: pure.

use super::Lane;

/// How densely a run probes (interfaces.md section 4, "rate").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Density {
    /// Probes a second, over all lanes and callers.
    pub rate_per_second: u32,
    /// Of a thousand probes, how many open a connection of their own.
    pub new_connection_permille: u32,
    /// Of a thousand probes, how many ask on the stream that is kept open.
    pub server_stream_permille: u32,
}

impl Default for Density {
    fn default() -> Self {
        Self { rate_per_second: 200, new_connection_permille: 50, server_stream_permille: 50 }
    }
}

/// The fastest that a run may probe.
pub const RATE_PER_SECOND_MAX: u32 = 2_000;

impl Density {
    /// When probe `n`, counted from 0, is due, in microseconds from the start.
    pub fn due_us(&self, n: u64) -> u64 {
        n * 1_000_000 / u64::from(self.rate_per_second.max(1))
    }

    /// Which lane and which of `callers` probe `n` belongs to. Lanes are spread evenly, and each
    /// caller gets the same share of each lane.
    pub fn slot(&self, n: u64, callers: usize) -> (Lane, usize) {
        let callers = callers.max(1) as u64;
        // Whole rounds over the callers, so that none is tied to one lane.
        let round = n / callers;
        // Another order each time: or a caller would meet the same replica with each connection,
        // since the address in front of them takes turns as well.
        let turns = (round + 1) * u64::from(self.new_connection_permille) / 1000;
        let caller = (n + turns) % callers;
        let steps = |permille: u32| {
            let permille = u64::from(permille);
            (round + 1) * permille / 1000 > round * permille / 1000
        };
        let lane = if steps(self.new_connection_permille) {
            Lane::NewConnection
        } else if steps(self.new_connection_permille + self.server_stream_permille) {
            Lane::ServerStream
        } else {
            Lane::ReusedChannel
        };
        (lane, usize::try_from(caller).unwrap_or_default())
    }

    /// How many probes a run of this length must have sent.
    pub fn expected(&self, run_us: u64) -> u64 {
        run_us * u64::from(self.rate_per_second.max(1)) / 1_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_second_holds_the_rate_and_each_caller_gets_its_share_of_each_lane() {
        let density = Density::default();
        let mut counts: BTreeMap<(Lane, usize), u32> = BTreeMap::new();
        for n in 0..400 {
            *counts.entry(density.slot(n, 2)).or_default() += 1;
        }
        for caller in 0..2 {
            assert_eq!(counts[&(Lane::NewConnection, caller)], 10);
            assert_eq!(counts[&(Lane::ServerStream, caller)], 10);
            assert_eq!(counts[&(Lane::ReusedChannel, caller)], 180);
        }
        let connects = |n: &u64| density.slot(*n, 2).0 == Lane::NewConnection;
        let met: std::collections::BTreeSet<_> = (0..400)
            .filter(connects)
            .enumerate()
            .map(|(connection, n)| (density.slot(n, 2).1, connection % 2))
            .collect();
        assert_eq!(met.len(), 4, "each caller meets each of two replicas");
        assert_eq!(density.due_us(200), 1_000_000);
        assert_eq!(density.expected(1_500_000), 300);
    }
}
