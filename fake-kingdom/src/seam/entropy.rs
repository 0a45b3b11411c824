//! The one place that owns randomness: a seed tree, one child generator per purpose.

use rand_chacha::ChaCha20Rng;
use rand_core::{OsRng, RngCore, SeedableRng, TryRngCore};
use sha2::{Digest, Sha256};

/// The operating system's generator, for keys and nonces that somebody may rely on.
#[allow(clippy::disallowed_methods, reason = "the one place that owns randomness")]
pub fn system() -> impl RngCore {
    OsRng.unwrap_err()
}

/// The root of all randomness of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(u64);

impl Seed {
    /// A seed that was given.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// A seed from the operating system, for runs that need not repeat.
    #[allow(clippy::disallowed_methods, reason = "the one place that owns randomness")]
    pub fn random() -> Self {
        // Below 2^53, so that every JSON reader gives the number back as it was.
        Self(OsRng.unwrap_err().next_u64() >> 11)
    }

    /// The number to print, by which a run repeats.
    pub fn value(self) -> u64 {
        self.0
    }

    /// The generator for one purpose. A draw for one purpose never shifts another's.
    pub fn child(self, purpose: &str) -> ChaCha20Rng {
        let mut hash = Sha256::new();
        hash.update(self.0.to_be_bytes());
        hash.update(purpose.as_bytes());
        ChaCha20Rng::from_seed(hash.finalize().into())
    }
}
