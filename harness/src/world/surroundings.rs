//! What surrounds one caller alone: its network and its clock.

use super::World;
use crate::client::Link;
use crate::error::Problem;
use fake_kingdom::model::Timestamp;
use fake_kingdom::seam::clock::{Clock, Source};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// An actor's own clock, set wrong.
pub(super) struct SkewedClock {
    pub(super) clock: Clock,
    /// Whether anything was judged by it.
    asked: Arc<AtomicBool>,
}

/// A clock that notes whether it is asked.
struct Watched {
    clock: Clock,
    asked: Arc<AtomicBool>,
}

impl Source for Watched {
    fn now(&self) -> Timestamp {
        self.asked.store(true, Ordering::SeqCst);
        self.clock.now()
    }

    fn is_virtual(&self) -> bool {
        self.clock.is_virtual()
    }
}

impl World {
    /// A rule of somebody's network, or a wrong clock, that nothing has met; in words.
    pub(super) fn surroundings_that_hit_nobody(&self) -> Option<String> {
        let rule = |(actor, link): (&String, &Link)| {
            link.unhit().map(|rule| format!("{actor}'s network has {rule}"))
        };
        let is_unasked = |clock: &SkewedClock| !clock.asked.load(Ordering::SeqCst);
        self.links.iter().find_map(rule).or_else(|| {
            let (actor, _) = self.clocks.iter().find(|(_, clock)| is_unasked(clock))?;
            Some(format!("{actor}'s clock is wrong"))
        })
    }

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
        let asked = Arc::new(AtomicBool::new(false));
        let clock = Clock::from_source(Arc::new(Watched { clock, asked: asked.clone() }));
        self.cast.set_clock(actor, clock.clone());
        self.clocks.insert(actor.to_owned(), SkewedClock { clock, asked });
        let side = if ahead { "ahead" } else { "behind" };
        self.changed(format!("the clock of {actor} is {} s {side}", by.as_secs()));
        Ok(())
    }
}
