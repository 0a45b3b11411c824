//! From server TLS to mTLS: the procedure, who would be cut off, and whether it took place.

use super::{StepDefinition, step};
use crate::error::Problem;
use crate::observation::Fact;
use crate::verdict::cutover::{self, Ending};
use crate::world::{StepResult, Tried, World};

pub(super) fn steps() -> Vec<StepDefinition> {
    vec![
        step!(
            Action,
            r"a procedure cuts the Kingdom over to mTLS, with the peers? (\w+)(?:, (\w+))?(?: and (\w+))?",
            "Given a procedure cuts the Kingdom over to mTLS, with the peers edp1 and mc1",
            |world, given| {
                let peers = [0, 1, 2].map(|i| given.text(i).to_owned());
                let peers = peers.into_iter().filter(|peer| !peer.is_empty()).collect();
                Ok(world.start_cutover(peers).await?)
            }
        ),
        step!(
            Either,
            r"the callers without a certificate are (none|\w+(?:, \w+)*)",
            "Then the callers without a certificate are mc1",
            |world, given| { callers_without(world, given.text(0)) }
        ),
        step!(
            Check,
            r"(\w+) is refused without a certificate by every replica, and accepted with its leaf",
            "Then mc1 is refused without a certificate by every replica, and accepted with its leaf",
            |world, given| {
                let actor = given.text(0);
                let leaf = world.actor(actor).await?.credential().cloned();
                let leaf = leaf.ok_or_else(|| {
                    let what = format!("{actor} has no leaf, so its refusal proves nothing");
                    Problem::author(what, "let it present one before certificates are required")
                })?;
                let with_leaf = world.try_by_key(actor, Some(&leaf)).await?;
                let bare = world.try_by_key(actor, None).await?;
                note_bare(world, &bare);
                for ((replica, bare), with_leaf) in (0..).zip(&bare).zip(&with_leaf) {
                    let (bare, with_leaf) = (ending(bare), ending(with_leaf));
                    for check in cutover::required(actor, replica, &bare, &with_leaf) {
                        world.check(check)?;
                    }
                }
                Ok(())
            }
        ),
        step!(
            Check,
            r"(\w+) is served without a certificate by every replica",
            "Then mc1 is served without a certificate by every replica",
            |world, given| {
                let bare = world.try_by_key(given.text(0), None).await?;
                note_bare(world, &bare);
                for (replica, bare) in (0..).zip(&bare) {
                    world.check(cutover::served_without(given.text(0), replica, &ending(bare)))?;
                }
                Ok(())
            }
        ),
    ]
}

fn note_bare(world: &mut World, bare: &[Tried]) {
    let refused = bare.iter().all(|tried| cutover::is_required(&ending(tried)));
    world.record(Fact::TriedBare { refused });
}

fn ending(tried: &Tried) -> Ending {
    Ending::of(tried.refused_for.clone(), tried.event.as_ref())
}

fn callers_without(world: &mut World, expected: &str) -> StepResult {
    let events = world.events_while_probing()?;
    let participants = world.running()?.sandbox().participants().to_vec();
    let name = |principal: &str| {
        let one = participants.iter().find(|participant| participant.resource == principal);
        one.map_or_else(|| principal.to_owned(), |participant| participant.name.clone())
    };
    world.check(cutover::without_certificate(&events, expected, name))
}
