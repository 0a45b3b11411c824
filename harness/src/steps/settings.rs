//! How the Kingdom is started: these stand before anything that needs it.

use super::{StepDefinition, step};
use crate::environment::secrets::{self, Delivery};
use crate::error::Problem;
use crate::quirk::PeerQuirk;
use fake_kingdom::event::AlertSettings;
use fake_kingdom::quirk::{Fidelity, Quirk, Quirks};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

pub(super) fn steps() -> Vec<StepDefinition> {
    vec![
        step!(
            Action,
            r"the quirk ([a-z0-9-]+) is (faithful|as-documented)",
            "Given the quirk list-certificates-ignores-parent is as-documented",
            |world, given| {
                let fidelity: Fidelity = given.text(1).parse().map_err(author)?;
                // The participants' quirks may be switched at any time: they are not the Kingdom's.
                if let Ok(quirk) = given.text(0).parse::<PeerQuirk>() {
                    world.changed(format!("{quirk} is {fidelity}"));
                    world.cast.set_quirk(quirk, fidelity);
                    return Ok(());
                }
                let quirk: Quirk = given.text(0).parse().map_err(author)?;
                let setup = world.setup()?;
                setup.quirks = setup.quirks.with(quirk, fidelity);
                Ok(())
            }
        ),
        step!(
            Action,
            r"every quirk is (faithful|as-documented)",
            "Given every quirk is as-documented",
            |world, given| {
                world.setup()?.quirks = Quirks::all(given.text(0).parse().map_err(author)?);
                Ok(())
            }
        ),
        step!(
            Action,
            r"a Kingdom with (\d+) replicas?",
            "Given a Kingdom with 3 replicas",
            |world, given| {
                world.setup()?.replicas = given.number(0)?;
                Ok(())
            }
        ),
        step!(
            Action,
            r"client certificates are (off|optional|required)",
            "Given client certificates are optional",
            |world, given| {
                world.setup()?.client_auth = given.text(0).parse().map_err(author)?;
                Ok(())
            }
        ),
        step!(
            Action,
            r"replicas read changed files (at start|while they run)",
            "Given replicas read changed files while they run",
            |world, given| {
                world.setup()?.reload_hot = given.text(0) == "while they run";
                Ok(())
            }
        ),
        step!(
            Action,
            r"a stopping replica waits (\d+) (seconds?|ms)",
            "Given a stopping replica waits 1 second",
            |world, given| {
                let count = given.number(0)?;
                world.setup()?.grace = match given.text(1) {
                    "ms" => Duration::from_millis(count),
                    _ => Duration::from_secs(count),
                };
                Ok(())
            }
        ),
        step!(
            Action,
            r"an alert is raised by (\d+) failures within (\d+) seconds?",
            "Given an alert is raised by 5 failures within 10 seconds",
            |world, given| {
                let window = Duration::from_secs(given.number(1)?);
                world.setup()?.alert = AlertSettings { threshold: given.number(0)?, window };
                Ok(())
            }
        ),
        step!(
            Action,
            r"a changed Secret reaches mounted volumes after (\d+) ms",
            "Given a changed Secret reaches mounted volumes after 800 ms",
            |world, given| {
                let delay = Duration::from_millis(given.number(0)?);
                world.setup()?.delivery = Delivery::InPlace(delay);
                Ok(())
            }
        ),
        step!(
            Action,
            r"each content of the Secret has a name of its own",
            "Given each content of the Secret has a name of its own",
            |world, _given| {
                world.setup()?.delivery = Delivery::HashedName;
                Ok(())
            }
        ),
        step!(
            Action,
            r"the Kingdom's Secret is made by the kustomization",
            "Given the Kingdom's Secret is made by the kustomization\n\
             \"\"\"\n\
             secretGenerator: [{ name: certs, files: [kingdom_tls.pem, kingdom_tls.key] }]\n\
             \"\"\"",
            |world, given| {
                let text = given.doc()?.as_bytes().to_vec();
                let setup = world.setup()?;
                setup.kustomization =
                    Some(BTreeMap::from([("kustomization.yaml".to_owned(), text)]));
                setup.delivery = Delivery::HashedName;
                Ok(())
            }
        ),
        step!(
            Action,
            r#"the Kingdom's Secret is made by the Kustomization folder "([^"]+)""#,
            "Given the Kingdom's Secret is made by the Kustomization folder \"k8s/secrets\"",
            |world, given| {
                let files = secrets::folder(Path::new(given.text(0))).map_err(author)?;
                let setup = world.setup()?;
                setup.kustomization = Some(files);
                setup.delivery = Delivery::HashedName;
                Ok(())
            }
        ),
        step!(Action, r"a running Kingdom", "Given a running Kingdom", |world, _given| {
            world.kingdom().await?;
            Ok(())
        }),
    ]
}

fn author(error: impl std::fmt::Display) -> Problem {
    Problem::author(error.to_string(), "correct the step")
}
