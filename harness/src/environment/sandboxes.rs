//! The sandboxes that scenarios start with. All scenarios of a run share one: to make its keys and
//! leaves takes longer than to play many a scenario.

use crate::error::Problem;
use fake_kingdom::model::Timestamp;
use fake_kingdom::sandbox::Sandbox;
use fake_kingdom::seam::entropy::Seed;
use std::sync::{Arc, Mutex, PoisonError};

/// A sandbox is made anew for each of these, so that what it is follows from the seed and the clock
/// alone, not from who asked first.
const SPAN_MICROS: i64 = 3_600_000_000;

/// How many are kept; the oldest goes first.
const KEPT: usize = 4;

/// The sandbox of `seed` for a Kingdom that starts `now`: its leaves are valid from a day before the
/// hour began to a year after. The same seed and hour give the same sandbox.
///
/// # Errors
/// The machine has no randomness.
pub(super) fn at(seed: Seed, now: Timestamp) -> Result<Arc<Sandbox>, Problem> {
    static MADE: Mutex<Vec<(Seed, Timestamp, Arc<Sandbox>)>> = Mutex::new(Vec::new());
    let hour = Timestamp::from_micros(now.micros() - now.micros().rem_euclid(SPAN_MICROS));
    // Held while one is made: whoever waits wants the same.
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, _, sandbox)) = made.iter().find(|made| (made.0, made.1) == (seed, hour)) {
        return Ok(sandbox.clone());
    }
    let sandbox = Sandbox::generate(seed, &[hour])
        .map_err(|error| Problem::harness(format!("no sandbox: {error}")))?;
    let sandbox = Arc::new(sandbox);
    if made.len() >= KEPT {
        made.remove(0);
    }
    made.push((seed, hour, sandbox.clone()));
    Ok(sandbox)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public_key(sandbox: &Sandbox) -> Vec<u8> {
        let certificate =
            halo_pki::pem_certificates(sandbox.file("kingdom/kingdom_root.pem").unwrap());
        halo_pki::inspect(&certificate.unwrap()[0]).unwrap().skid.unwrap()
    }

    #[test]
    fn one_seed_and_hour_give_one_sandbox_whoever_else_asked() {
        let (seed, now) = (Seed::new(8), Timestamp::from_seconds(7_200));
        let first = at(seed, now).unwrap();
        for other in 9..=9 + KEPT as u64 {
            assert_ne!(public_key(&at(Seed::new(other), now).unwrap()), public_key(&first));
        }
        let again = at(seed, now.plus(std::time::Duration::from_secs(3_599))).unwrap();
        assert_eq!(public_key(&again), public_key(&first));
    }

    #[test]
    fn leaves_are_valid_in_the_whole_hour_and_the_next_hour_has_its_own() {
        let (seed, now) = (Seed::new(8), Timestamp::from_seconds(7_200));
        let sandbox = at(seed, now).unwrap();
        let end = now.plus(std::time::Duration::from_secs(3_599));
        assert_eq!(sandbox.leaves_invalid_at(end), Vec::<String>::new());
        let next = at(seed, now.plus(std::time::Duration::from_secs(3_600))).unwrap();
        assert!(!Arc::ptr_eq(&sandbox, &next));
    }
}
