//! Tests of the public interface, and what they share.

mod authorities;
mod bundles;
mod hostility;
mod inspection;
mod pem_text;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use time::OffsetDateTime;
use time::macros::datetime;

use crate::{Authority, AuthoritySpec, Validity};

const NOW: OffsetDateTime = datetime!(2026-11-21 12:00:00 UTC);

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn authority_spec(name: &str) -> AuthoritySpec {
    AuthoritySpec {
        organization: "Test".to_owned(),
        common_name: format!("{name} CA"),
        dns_name: format!("ca.{name}.example"),
        validity: Validity::days(NOW, 3650),
    }
}

fn authority(name: &str, seed: u64) -> Authority {
    Authority::create(&authority_spec(name), &mut rng(seed)).unwrap()
}
