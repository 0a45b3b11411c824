//! What the server recorded. A client's text proves nothing: it differs from run to run.

use super::{StepDefinition, calls, step};
use crate::client::{Outcome, TransportError};
use crate::error::Problem;
use crate::verdict::check;
use crate::world::World;
use fake_kingdom::cause::Cause;

/// Whether the last call found nobody behind its address.
fn nobody_listens(world: &World) -> Result<bool, Problem> {
    Ok(matches!(world.last()?.outcome, Outcome::Broken(TransportError::NobodyListens)))
}

pub(super) fn steps() -> Vec<StepDefinition> {
    vec![
        step!(
            Check,
            r"the connection is refused",
            "Then the connection is refused",
            |world, _given| {
                let handshake =
                    if nobody_listens(world)? { None } else { world.handshake_event().await? };
                let outcome = calls::last_outcome(world)?;
                world.check(check::refused_connection(outcome, handshake.as_ref()))
            }
        ),
        step!(Check, r"nobody listens", "Then nobody listens", |world, _given| {
            let observed = if nobody_listens(world)? { "nobody" } else { "somebody" };
            world.check(check::equal("who listens", "nobody", observed))
        }),
        step!(
            Check,
            r"the server recorded a refused handshake with cause (\w+)",
            "Then the server recorded a refused handshake with cause akid_not_of_issuer",
            |world, given| {
                let event = world.handshake_event().await?;
                let cause = Some(cause(given.text(0))?);
                world.check(check::server_event("handshake", event.as_ref(), "refused", cause))
            }
        ),
        step!(
            Check,
            r"the server recorded an accepted handshake",
            "Then the server recorded an accepted handshake",
            |world, _given| {
                let event = world.handshake_event().await?;
                world.check(check::server_event("handshake", event.as_ref(), "ok", None))
            }
        ),
        step!(
            Check,
            r"the server recorded a refused call with cause (\w+)",
            "Then the server recorded a refused call with cause principal_unknown",
            |world, given| {
                let event = world.call_event().await?;
                let cause = Some(cause(given.text(0))?);
                world.check(check::server_event("call", event.as_ref(), "refused", cause))
            }
        ),
        step!(
            Check,
            r#"the server knew the caller as "([^"]*)""#,
            "Then the server knew the caller as \"{edp1}\"",
            |world, given| {
                let expected = world.fill(given.text(0))?;
                let observed = of_call(world, |event| event.principal).await?;
                world.check(check::equal("principal", &expected, &observed))
            }
        ),
        step!(
            Check,
            r"the server did not know the caller",
            "Then the server did not know the caller",
            |world, _given| {
                let observed = of_call(world, |event| event.principal).await?;
                world.check(check::equal("principal", "nobody", &observed))
            }
        ),
        step!(
            Check,
            r"the call was answered by replica (\d+)",
            "Then the call was answered by replica 1",
            |world, given| {
                let replica = |event: crate::observation::ServerEvent| {
                    event.replica.map(|replica| replica.to_string())
                };
                let observed = of_call(world, replica).await?;
                world.check(check::equal("replica", given.text(0), &observed))
            }
        ),
        step!(
            Either,
            r"the replica that answered is saved as ([a-z0-9_.]+)",
            "Then the replica that answered is saved as first",
            |world, given| {
                let replica = |event: crate::observation::ServerEvent| {
                    event.replica.map(|replica| replica.to_string())
                };
                let observed = of_call(world, replica).await?;
                let is_number = observed.chars().all(|c| c.is_ascii_digit());
                let known = if is_number { "present" } else { "absent" };
                world.set(given.text(0), crate::world::Var::Text(observed));
                world.check(check::equal("replica", "present", known))
            }
        ),
        step!(
            Check,
            r#"the server presented the certificate with SKID "([^"]*)""#,
            "Then the server presented the certificate with SKID \"{kingdom.new_skid}\"",
            |world, given| {
                let expected = world.fill(given.text(0))?;
                let skid = |event: crate::observation::ServerEvent| event.server?.skid;
                let observed = of_call(world, skid).await?;
                world.check(check::equal("SKID of the server's certificate", &expected, &observed))
            }
        ),
    ]
}

/// One field of the last call's event; `nobody` if it is empty.
async fn of_call(
    world: &World,
    field: impl Fn(crate::observation::ServerEvent) -> Option<String>,
) -> Result<String, Problem> {
    let event = world.call_event().await?;
    Ok(match event {
        None => "no event of the call".to_owned(),
        Some(event) => field(event).unwrap_or_else(|| "nobody".to_owned()),
    })
}

/// A mistyped cause would only look like a failed check.
fn cause(code: &str) -> Result<&str, Problem> {
    if Cause::ALL.iter().any(|cause| cause.code() == code) {
        return Ok(code);
    }
    Err(Problem::author(
        format!("no cause has the code {code}"),
        "`halo-harness explain` prints all codes",
    ))
}
