//! What surrounds one caller alone: its network and its clock.

use super::World;
use crate::client::Link;
use crate::error::Problem;
use std::time::Duration;

impl World {
    /// The network of an actor, through which its connections go from now on.
    ///
    /// # Errors
    /// There is no such actor, or it has connections already that do not go through it.
    pub async fn link(&mut self, actor: &str) -> Result<Link, Problem> {
        self.actor(actor).await?;
        if let Some(link) = self.links.get(actor) {
            return Ok(link.clone());
        }
        if self.open.contains_key(actor) || self.is_probing_as(actor) {
            return Err(Problem::author(
                format!("{actor} has connections already, which no rule of its network can reach"),
                format!("put `messages of {actor} take 0 ms each way` in front of them"),
            ));
        }
        let link = Link::default();
        self.links.insert(actor.to_owned(), link.clone());
        Ok(link)
    }

    /// Sets an actor's own clock, by which it judges certificates, ahead of the scenario's or behind.
    ///
    /// # Errors
    /// There is no such actor, or it has acted by the right clock already.
    pub async fn skew(&mut self, actor: &str, by: Duration, ahead: bool) -> Result<(), Problem> {
        self.actor(actor).await?;
        if self.is_probing_as(actor) || self.cast.acted(actor).is_ok() {
            return Err(Problem::author(
                format!("{actor} has acted by the right clock already"),
                "set its clock before it acts",
            ));
        }
        let clock = if ahead { self.clock().ahead_by(by) } else { self.clock().behind_by(by) };
        self.cast.set_clock(actor, clock.clone());
        self.clocks.insert(actor.to_owned(), clock);
        let side = if ahead { "ahead" } else { "behind" };
        self.changed(format!("the clock of {actor} is {} s {side}", by.as_secs()));
        Ok(())
    }
}
