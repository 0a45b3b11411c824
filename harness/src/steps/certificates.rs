//! API certificates: made, registered, revoked.

use super::{StepDefinition, authentication, step};
use crate::error::Problem;
use crate::verdict::check;
use crate::world::{StepResult, Var, World};
use fake_kingdom::cause::Cause;
use halo_pki::{LeafSpec, Validity};

pub(super) fn steps() -> Vec<StepDefinition> {
    vec![
        step!(
            Action,
            r"(\w+) has a new certificate called (\w+)",
            "Given edp1 has a new certificate called second",
            |world, given| {
                let root = world.authority(given.text(0)).await?;
                let leaf = authentication::issue(world, given.text(0), &root)?;
                world.keep_leaf(given.text(0), given.text(1), leaf);
                Ok(())
            }
        ),
        step!(
            Action,
            r"(\w+) has a new certificate called (\w+), valid from day (-?\d+) to day (-?\d+)",
            "Given edp1 has a new certificate called old, valid from day -20 to day -10",
            |world, given| {
                let root = world.authority(given.text(0)).await?;
                let day = |n: i64| world.now() + time::Duration::days(n);
                let validity = Validity {
                    not_before: day(given.number(2)?),
                    not_after: day(given.number(3)?),
                };
                let spec = LeafSpec::new(format!("{} TEST ONLY", given.text(0)), validity);
                let leaf = root.issue(&spec, world.rng()).map_err(authentication::pki)?;
                world.keep_leaf(given.text(0), given.text(1), leaf);
                Ok(())
            }
        ),
        step!(
            Action,
            r"(\w+) has a certificate called (\w+) for the key of (\w+)'s (\w+)",
            "Given edp2 has a certificate called again for the key of edp1's second",
            |world, given| {
                let root = world.authority(given.text(0)).await?;
                let key = world.leaf(given.text(2), given.text(3))?.key().clone();
                let validity = Validity::days(world.now(), 30);
                let spec = LeafSpec::new(format!("{} TEST ONLY", given.text(0)), validity);
                let leaf =
                    root.issue_for_key(&spec, &key, world.rng()).map_err(authentication::pki)?;
                world.keep_leaf(given.text(0), given.text(1), leaf);
                Ok(())
            }
        ),
        step!(
            Action,
            r#"(\w+) has a "([a-z0-9-]+)" certificate called (\w+)"#,
            "Given edp1 has a \"skid-absent\" certificate called bare",
            |world, given| {
                let forgery = authentication::forge(world, given.text(0), given.text(1)).await?;
                let name = format!("{}.{}", given.text(0), given.text(2));
                world.keep_key(&name, forgery.key.pkcs8_der());
                world.learn_certificate(&name, forgery.certificate);
                Ok(())
            }
        ),
        step!(
            Action,
            r"(\w+) registers its certificate (\w+)",
            "Given edp1 registers its certificate second",
            |world, given| {
                let (actor, name) = (given.text(0), given.text(1));
                let text = format!(
                    "parent: \"{{{actor}}}\" certificate {{ x509_der: \"{{{actor}.{name}_der}}\" }}"
                );
                must(world, actor, "Certificates.CreateCertificate", &text).await?;
                let response = world.response()?;
                let created = response.get_field_by_name("name");
                let created = created.as_deref().and_then(prost_reflect::Value::as_str);
                let created = created.unwrap_or_default().to_owned();
                world.set(format!("{actor}.{name}"), Var::Text(created));
                Ok(())
            }
        ),
        step!(
            Action,
            r"(\w+)'s certificate (?:called (\w+) )?is in state (REVOCATION_STATE_UNSPECIFIED|HOLD|REVOKED)",
            "Given edp1's certificate is in state HOLD",
            |world, given| {
                let actor = given.text(0);
                let name = if given.text(1).is_empty() { "certificate" } else { given.text(1) };
                let state = given.text(2);
                if state == "REVOCATION_STATE_UNSPECIFIED" {
                    // A new certificate is unspecified already (contract 1.1.6); nothing brings one
                    // back to it but the release of a hold, so the step must find it so.
                    let text = format!("name: \"{{{actor}.{name}}}\"");
                    must(world, actor, "Certificates.GetCertificate", &text).await?;
                    return is_unspecified(&world.response()?).map_err(Into::into);
                }
                let text = format!("name: \"{{{actor}.{name}}}\" revocation_state: {state}");
                must(world, actor, "Certificates.RevokeCertificate", &text).await
            }
        ),
        step!(
            Action,
            r"(\w+) reads the certificate (\S+)",
            "When edp1 reads the certificate mc1.certificate",
            |world, given| {
                let text = format!("name: \"{{{}}}\"", given.text(1));
                Ok(world.call(given.text(0), "Certificates.GetCertificate", &text, None).await?)
            }
        ),
        step!(
            Action,
            r"(\w+) changes the certificate (\S+) by (HOLD|REVOKED|release)",
            "When edp1 changes the certificate edp1.certificate by HOLD",
            |world, given| {
                let name = format!("name: \"{{{}}}\"", given.text(1));
                let (method, text) = match given.text(2) {
                    "release" => ("Certificates.ReleaseCertificateHold", name),
                    state => (
                        "Certificates.RevokeCertificate",
                        format!("{name} revocation_state: {state}"),
                    ),
                };
                Ok(world.call(given.text(0), method, &text, None).await?)
            }
        ),
        step!(
            Check,
            r"(\w+) sees its certificate (?:called (\w+) )?in state (REVOCATION_STATE_UNSPECIFIED|HOLD|REVOKED)",
            "Then edp1 sees its certificate in state HOLD",
            |world, given| {
                let actor = given.text(0);
                let name = if given.text(1).is_empty() { "certificate" } else { given.text(1) };
                let text = format!("name: \"{{{actor}.{name}}}\"");
                must(world, actor, "Certificates.GetCertificate", &text).await?;
                let response = world.response()?;
                let state = crate::client::dynamic::at(&response, "revocation_state")
                    .map_err(Problem::harness)?;
                let crate::client::dynamic::At::One(state) = state else {
                    return Err(Problem::harness("revocation_state is a list").into());
                };
                let check = check::equal("revocation_state", given.text(2), &state);
                world.check(check.or(Cause::UnexpectedState))
            }
        ),
    ]
}

/// A call that the scenario builds on: it has to succeed.
pub(super) async fn must(world: &mut World, actor: &str, method: &str, text: &str) -> StepResult {
    world.call(actor, method, text, None).await?;
    let check = check::status(super::calls::last_outcome(world)?, "OK", None);
    world.check(check)
}

/// A `Given` that names a state which no call brings about must find it.
fn is_unspecified(certificate: &prost_reflect::DynamicMessage) -> Result<(), Problem> {
    let state = certificate.get_field_by_name("revocation_state");
    match state.as_deref().and_then(prost_reflect::Value::as_enum_number) {
        Some(0) => Ok(()),
        _ => Err(Problem::author(
            "the certificate is not in state REVOCATION_STATE_UNSPECIFIED",
            "release the hold first, or use a new certificate",
        )),
    }
}
