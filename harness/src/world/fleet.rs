//! A fleet that renews its leaves by schedule: each is valid for 90 days and replaced 30 days before it
//! ends, one member after the other (contract 2.8, 5.4.2).
//!
//! The clock jumps an hour for every probe, and stands still around each switch, so that the probes
//! look at it at their full rate. So a year takes less than a minute of the schedule's own time.

use super::World;
use crate::client::Credential;
use crate::environment::{EnvironmentKind, ReplicaAction};
use crate::error::Problem;
use crate::verdict::credentials::KINGDOM;
use fake_kingdom::files::Role;
use halo_pki::{Authority, Leaf, LeafSpec, Validity};
use std::time::Duration;

const VALID_DAYS: i64 = 90;
/// A leaf is replaced 30 days before its end.
const RENEWED_AFTER_HOURS: u64 = 60 * 24;
const HOUR: Duration = Duration::from_secs(3600);
/// How long the clock stands still on each side of a switch.
const AROUND: Duration = Duration::from_millis(50);

/// Where the schedule stands.
#[derive(Default)]
pub(super) struct Fleet {
    hour: u64,
    /// Members that have stopped renewing.
    out: Vec<String>,
}

impl World {
    /// Follows the schedule for so many days more, with the Kingdom and everybody who probes as members.
    ///
    /// # Errors
    /// No probes go on, the environment has no virtual time, or a leaf cannot be made or read.
    pub async fn follow_schedule(&mut self, days: u64) -> Result<(), Problem> {
        if self.kind != EnvironmentKind::Simulated {
            return Err(Problem::not_applicable("a schedule of days needs virtual time"));
        }
        let (mut members, tick) = self.fleet_members()?;
        members.insert(0, KINGDOM.to_owned());
        let end = self.fleet.hour + days * 24;
        let apart = RENEWED_AFTER_HOURS / members.len().max(1) as u64;
        while self.fleet.hour < end {
            let hour = self.fleet.hour;
            for (n, member) in members.iter().enumerate() {
                let own = hour.checked_sub(n as u64 * apart);
                let due = own.is_some_and(|since| since.is_multiple_of(RENEWED_AFTER_HOURS));
                if due && !self.fleet.out.contains(member) {
                    tokio::time::sleep(AROUND).await;
                    self.renew(member).await?;
                    tokio::time::sleep(AROUND).await;
                }
            }
            self.running()?.advance(HOUR)?;
            self.jumped += HOUR;
            tokio::time::sleep(tick).await;
            self.fleet.hour += 1;
        }
        self.changed(format!("{days} days of the schedule went by"));
        Ok(())
    }

    /// A member renews no more.
    ///
    /// # Errors
    /// It is none.
    pub fn drop_out(&mut self, member: &str) -> Result<(), Problem> {
        let (members, _) = self.fleet_members()?;
        if member != KINGDOM && !members.iter().any(|known| known == member) {
            let next = format!("the members are {KINGDOM}, {}", members.join(", "));
            return Err(Problem::author(format!("{member} is no member of the fleet"), next));
        }
        self.fleet.out.push(member.to_owned());
        self.changed(format!("{member} renews no more"));
        Ok(())
    }

    async fn renew(&mut self, member: &str) -> Result<(), Problem> {
        if member == KINGDOM {
            let root = self.authority(super::OPERATOR).await?;
            let leaf = self.leaf_of_schedule(member, &root)?;
            let (certificate, key) = (leaf.certificate_pem(), leaf.key().pkcs8_pem());
            self.replaced_leaf_of(KINGDOM, Some(leaf.certificate_der()));
            self.put_file(Role::TlsCert, certificate.into_bytes())?;
            self.put_file(Role::TlsKey, key.into_bytes())?;
            for id in 0..self.replicas() {
                let read = self.running()?.act_on_replica(id, ReplicaAction::Reload).await?;
                read.map_err(|why| {
                    Problem::harness(format!("replica {id} does not read its new leaf: {why}"))
                })?;
            }
        } else {
            let root = self.authority(member).await?;
            let leaf = self.leaf_of_schedule(member, &root)?;
            let chain = vec![leaf.certificate_der().to_vec()];
            let key = leaf.key().pkcs8_der().to_vec();
            self.puts_on(member, Some(Credential { chain, key })).await?;
            self.dress_probes().await?;
            self.restart_caller(member).await?;
        }
        self.changed(format!("{member} renewed its leaf"));
        Ok(())
    }

    fn leaf_of_schedule(&mut self, member: &str, root: &Authority) -> Result<Leaf, Problem> {
        let now = self.now();
        let validity = Validity {
            not_before: now - time::Duration::hours(1),
            not_after: now + time::Duration::days(VALID_DAYS),
        };
        let spec = LeafSpec::new(format!("{member} TEST ONLY"), validity);
        root.issue(&spec, self.rng())
            .map_err(|error| Problem::harness(format!("no new leaf: {error}")))
    }
}
