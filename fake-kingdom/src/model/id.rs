//! External ids (contract 1.1.9, 2.12).

use super::Timestamp;
use rand_chacha::ChaCha20Rng;
use rand_core::RngCore;

/// Draws ids as the real server does: positive int64, upper half random, lower half from the
/// millisecond clock (contract 1.1.9). Deterministic in its generator and the times passed in.
pub struct IdSource {
    generator: ChaCha20Rng,
}

impl IdSource {
    /// A source over a seeded generator.
    pub fn new(generator: ChaCha20Rng) -> Self {
        Self { generator }
    }

    /// The next id; the caller checks that it is unused.
    pub fn next(&mut self, now: Timestamp) -> i64 {
        let low = (now.micros() / 1_000) & 0xffff_ffff;
        let id = ((i64::from(self.generator.next_u32()) << 32) | low) & i64::MAX;
        if id == 0 { 1 } else { id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seam::entropy::Seed;

    #[test]
    fn ids_are_positive_and_repeat_with_the_seed() {
        let draw = |seed| {
            let mut ids = IdSource::new(Seed::new(seed).child("ids"));
            (0..100).map(|i| ids.next(Timestamp::from_micros(i * 1_000))).collect::<Vec<_>>()
        };
        assert!(draw(1).iter().all(|&id| id > 0));
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
