//! How an actor shows itself, and what the Kingdom knows of authorities.

use super::{StepDefinition, step};
use crate::client::{Credential, Security};
use crate::error::Problem;
use crate::verdict::credentials::KINGDOM;
use crate::world::trust_files::{without_any, without_entries};
use crate::world::{OPERATOR, Var, World};
use fake_kingdom::files::Role;
use fake_kingdom::tls::ClientAuth;
use halo_pki::hostile::{self, Variant};
use halo_pki::{Authority, AuthoritySpec, LeafSpec, Validity};

pub(super) fn steps() -> Vec<StepDefinition> {
    vec![
        step!(
            Action,
            r"(\w+) presents no certificate",
            "Given edp1 presents no certificate",
            |world, given| {
                world.shows(given.text(0), None).await?;
                Ok(())
            }
        ),
        step!(
            Action,
            r"(\w+) presents a fresh leaf of its root",
            "Given edp1 presents a fresh leaf of its root",
            |world, given| {
                let root = world.authority(given.text(0)).await?;
                present_leaf(world, given.text(0), &root).await
            }
        ),
        step!(
            Action,
            r"(\w+) presents its first leaf again",
            "When edp1 presents its first leaf again",
            |world, given| {
                let actor = given.text(0);
                let own = world.sandbox_credential(actor).await?;
                world.puts_on(actor, own).await?;
                Ok(())
            }
        ),
        step!(
            Action,
            r#"(\w+) presents a "([a-z0-9-]+)" certificate"#,
            "Given edp1 presents a \"akid-of-other\" certificate",
            |world, given| {
                let actor = given.text(0);
                let forgery = forge(world, actor, given.text(1)).await?;
                let key = forgery.key.pkcs8_der().ok_or_else(|| {
                    let what = format!("nobody has the key of a `{}` certificate", given.text(1));
                    Problem::author(what, "it can be registered but not presented")
                })?;
                let mut chain = vec![forgery.certificate.clone()];
                chain.extend(forgery.chain.iter().cloned());
                let credential = Credential { chain, key: key.to_vec() };
                world.shows(actor, Some(credential)).await?;
                Ok(())
            }
        ),
        step!(
            Action,
            r"(\w+) presents the credential of (\w+)",
            "Given edp1 presents the credential of edp2",
            |world, given| {
                let other = world.actor(given.text(1)).await?.credential().cloned();
                world.shows(given.text(0), other).await?;
                Ok(())
            }
        ),
        step!(
            Action,
            r"(\w+) offers TLS 1\.2 only",
            "Given edp1 offers TLS 1.2 only",
            |world, given| {
                world.actor(given.text(0)).await?.security = Security::Tls12Only;
                Ok(())
            }
        ),
        step!(Action, r"(\w+) speaks plaintext", "Given edp1 speaks plaintext", |world, given| {
            world.actor(given.text(0)).await?.security = Security::Plaintext;
            Ok(())
        }),
        step!(
            Action,
            r#"(\w+) sends the API key "([^"]*)""#,
            "Given edp1 sends the API key \"{mc1.api_key}\"",
            |world, given| { send(world, given.text(0), "x-api-key", given.text(1)).await }
        ),
        step!(
            Action,
            r#"(\w+) sends the metadata ([a-z0-9_-]+) "([^"]*)""#,
            "Given mc1 sends the metadata id_token \"a.b.c\"",
            |world, given| { send(world, given.text(0), given.text(1), given.text(2)).await }
        ),
        step!(Action, r"(\w+) gets a new root", "Given edp1 gets a new root", |world, given| {
            new_root(world, given.text(0)).await
        }),
        step!(
            Action,
            r"the Kingdom gets a new root",
            "Given the Kingdom gets a new root",
            |world, _given| { new_root(world, OPERATOR).await }
        ),
        step!(
            Action,
            r"(\w+) presents a leaf of its new root",
            "Given edp1 presents a leaf of its new root",
            |world, given| {
                let root = world.new_root(given.text(0))?.clone();
                present_leaf(world, given.text(0), &root).await
            }
        ),
        step!(
            Action,
            r"the trust bundle includes (\w+)'s new root",
            "When the trust bundle includes edp1's new root",
            |world, given| {
                let pem = world.new_root(given.text(0))?.certificate_pem();
                append(world, Role::CertCollection, pem.as_bytes()).await
            }
        ),
        step!(
            Action,
            r"the trust bundle gets (\w+)'s new root without a newline between the two",
            "When the trust bundle gets edp1's new root without a newline between the two",
            |world, given| {
                let pem = world.new_root(given.text(0))?.certificate_pem();
                let mut bundle = world.running()?.file(Role::CertCollection).unwrap_or_default();
                bundle.truncate(bundle.trim_ascii_end().len());
                bundle.extend_from_slice(pem.as_bytes());
                set(world, Role::CertCollection, bundle).await
            }
        ),
        step!(
            Action,
            r"the Kingdom's (certificate|key) file is half written",
            "When the Kingdom's certificate file is half written",
            |world, given| {
                let role = if given.text(0) == "key" { Role::TlsKey } else { Role::TlsCert };
                let mut content = world.running()?.file(role).unwrap_or_default();
                content.truncate(content.len() / 2);
                set(world, role, content).await
            }
        ),
        step!(
            Action,
            r"the Kingdom's key file is the first one again",
            "When the Kingdom's key file is the first one again",
            |world, _given| {
                let first = world.kingdom().await?.sandbox().file("kingdom/kingdom_tls.key");
                let first = first.unwrap_or_default().to_vec();
                set(world, Role::TlsKey, first).await
            }
        ),
        step!(
            Action,
            r"the trust bundle no longer includes (\w+)'s root",
            "When the trust bundle no longer includes edp1's root",
            |world, given| {
                let gone = world.old_roots(given.text(0)).await?;
                let bundle = world.running()?.file(Role::CertCollection).unwrap_or_default();
                let left = without_any(&bundle, given.text(0), &gone)?;
                set(world, Role::CertCollection, left).await
            }
        ),
        step!(
            Action,
            r#"the trust bundle includes a "([a-z0-9-]+)" root"#,
            "When the trust bundle includes a \"root-without-skid\" root",
            |world, given| {
                let forgery = forge(world, "edp1", given.text(0)).await?;
                let pem = halo_pki::certificate_pem(&forgery.certificate);
                append(world, Role::CertCollection, pem.as_bytes()).await
            }
        ),
        step!(
            Action,
            r"the (principal map|Duchy information|Duchy id list|rate limits) (?:is|are)",
            "When the principal map is\n\
             \"\"\"\n\
             entries { authority_key_identifier: \"{edp1.akid}\" principal_resource_name: \"{edp1}\" }\n\
             \"\"\"",
            |world, given| {
                world.kingdom().await?;
                let text = world.fill_text_proto(given.doc()?)?;
                set(world, role(given.text(0)), text.into_bytes()).await
            }
        ),
        step!(
            Action,
            r"the (principal map|Duchy information|Duchy id list) gains",
            "When the principal map gains\n\
             \"\"\"\n\
             entries { authority_key_identifier: \"{edp1.akid}\" principal_resource_name: \"{edp1}\" }\n\
             \"\"\"",
            |world, given| {
                world.kingdom().await?;
                let text = world.fill_text_proto(given.doc()?)?;
                append(world, role(given.text(0)), text.as_bytes()).await
            }
        ),
        step!(
            Action,
            r"the Kingdom gets a new certificate( of its new root)?",
            "When the Kingdom gets a new certificate",
            |world, given| {
                let root = if given.text(0).is_empty() {
                    world.authority(OPERATOR).await?
                } else {
                    world.new_root(OPERATOR)?.clone()
                };
                let leaf = issue(world, KINGDOM, &root)?;
                let key = leaf.key().pkcs8_pem();
                // One that no client takes is not meant to be seen.
                world.replaced_leaf_of(KINGDOM, Some(leaf.certificate_der()));
                install(world, leaf, key).await
            }
        ),
        step!(
            Action,
            r"the Kingdom gets a new certificate that (names another server|has expired|is not valid yet|is not of its key)",
            "When the Kingdom gets a new certificate that has expired",
            |world, given| {
                let root = world.authority(OPERATOR).await?;
                let day = time::Duration::days(1);
                let now = world.now();
                let mut spec = LeafSpec::new("kingdom TEST ONLY", Validity::days(now - day, 365));
                match given.text(0) {
                    "names another server" => spec.dns_names = vec!["another.test".to_owned()],
                    "has expired" => spec.validity = Validity::days(now - day * 10, 9),
                    "is not valid yet" => spec.validity = Validity::days(now + day, 365),
                    _ => {}
                }
                let leaf = root.issue(&spec, world.rng()).map_err(pki)?;
                let key = if given.text(0) == "is not of its key" {
                    root.issue(&spec, world.rng()).map_err(pki)?.key().pkcs8_pem()
                } else {
                    leaf.key().pkcs8_pem()
                };
                install(world, leaf, key).await
            }
        ),
        step!(
            Action,
            r"the principal map knows (\w+)'s new root",
            "When the principal map knows edp1's new root",
            |world, given| {
                let entry = entry_of_new_root(world, given.text(0))?;
                append(world, Role::PrincipalMap, entry.as_bytes()).await
            }
        ),
        step!(
            Action,
            r"the principal map no longer knows (\w+)'s old root",
            "When the principal map no longer knows edp1's old root",
            |world, given| {
                let gone = world.old_roots(given.text(0)).await?;
                let map = world.running()?.file(Role::PrincipalMap).unwrap_or_default();
                let map = String::from_utf8_lossy(&map).into_owned();
                let left = without_entries(&map, given.text(0), &gone)?;
                set(world, Role::PrincipalMap, left.into_bytes()).await
            }
        ),
        step!(
            Action,
            r"replicas ask for (no|optional|required) client certificates? from their next start on",
            "When replicas ask for required client certificates from their next start on",
            |world, given| {
                let mode = match given.text(0) {
                    "no" => ClientAuth::Off,
                    "optional" => ClientAuth::Optional,
                    _ => ClientAuth::Required,
                };
                world.kingdom().await?;
                Ok(world.ask_for_client_certificates(mode)?)
            }
        ),
        step!(
            Action,
            r"the trust bundle is the first one again",
            "When the trust bundle is the first one again",
            |world, _given| {
                let path = "kingdom/all_root_certs.pem";
                let content = world.kingdom().await?.sandbox().file(path);
                let content = content.unwrap_or_default().to_vec();
                set(world, Role::CertCollection, content).await
            }
        ),
        step!(
            Action,
            r"the Kingdom gets its first certificate back",
            "When the Kingdom gets its first certificate back",
            |world, _given| {
                for (role, path) in [
                    (Role::TlsCert, "kingdom/kingdom_tls.pem"),
                    (Role::TlsKey, "kingdom/kingdom_tls.key"),
                ] {
                    let content = world.kingdom().await?.sandbox().file(path);
                    let content = content.unwrap_or_default().to_vec();
                    set(world, role, content).await?;
                }
                world.kingdom_has_its_first_leaf_back()?;
                Ok(())
            }
        ),
    ]
}

async fn new_root(world: &mut World, actor: &str) -> crate::world::StepResult {
    // Each has a name of its own: under one name an old leaf would be looked up under the newest root, and
    // refused for its signature.
    let (name, n) = match world.all_roots(actor).await?.len() {
        1 => ("new root".to_owned(), 2),
        n => (format!("new root {n}"), n + 1),
    };
    let spec = AuthoritySpec {
        organization: "Halo harness, TEST ONLY".to_owned(),
        common_name: format!("{actor} {name} TEST ONLY"),
        dns_name: format!("ca{n}.{actor}.test"),
        validity: Validity::days(world.now() - time::Duration::days(1), 3650),
    };
    let root = Authority::create(&spec, world.rng()).map_err(pki)?;
    world.keep_root(actor, root);
    Ok(())
}

/// A hostile certificate of an actor's root, with another participant's root for the second one.
pub(super) async fn forge(
    world: &mut World,
    actor: &str,
    variant: &str,
) -> Result<hostile::Forgery, Problem> {
    let variant = Variant::from_name(variant).ok_or_else(|| {
        let known: Vec<_> = Variant::ALL.iter().map(|variant| variant.name()).collect();
        Problem::author(
            format!("there is no certificate of the kind `{variant}`"),
            format!("the kinds are {}", known.join(", ")),
        )
    })?;
    let own = world.authority(actor).await?;
    let other = world.authority(if actor == "edp2" { "edp1" } else { "edp2" }).await?;
    let now = world.now();
    hostile::forge(variant, &own, &other, now, world.rng()).map_err(pki)
}

/// Issues a leaf of the recipe (contract 4.4), valid from yesterday for a year.
pub(super) fn issue(
    world: &mut World,
    actor: &str,
    root: &Authority,
) -> Result<halo_pki::Leaf, Problem> {
    let validity = Validity::days(world.now() - time::Duration::days(1), 365);
    let spec = LeafSpec::new(format!("{actor} TEST ONLY"), validity);
    root.issue(&spec, world.rng()).map_err(pki)
}

pub(super) fn pki(error: halo_pki::PkiError) -> Problem {
    Problem::harness(format!("a certificate cannot be made: {error}"))
}

pub(super) async fn present_leaf(
    world: &mut World,
    actor: &str,
    root: &Authority,
) -> crate::world::StepResult {
    let leaf = issue(world, actor, root)?;
    world.present(actor, &leaf).await?;
    world.keep_leaf(actor, "presented", leaf);
    Ok(())
}

async fn send(world: &mut World, actor: &str, name: &str, value: &str) -> crate::world::StepResult {
    world.kingdom().await?;
    let value = world.fill(value)?;
    world.set(format!("{actor}.sent"), Var::Text(value.clone()));
    world.actor(actor).await?.metadata.push((name.to_owned(), value));
    Ok(())
}

/// Puts a leaf and a key into the Kingdom's files.
async fn install(
    world: &mut World,
    leaf: halo_pki::Leaf,
    key_pem: String,
) -> crate::world::StepResult {
    let certificate = leaf.certificate_pem();
    world.kingdom().await?;
    world.keep_leaf(KINGDOM, "new", leaf);
    set(world, Role::TlsCert, certificate.into_bytes()).await?;
    set(world, Role::TlsKey, key_pem.into_bytes()).await
}

/// The entry that maps an actor's new root to its resource (contract 2.9).
pub(super) fn entry_of_new_root(world: &World, actor: &str) -> Result<String, Problem> {
    world.new_root(actor)?;
    let entry = format!(
        "entries {{ authority_key_identifier: \"{{{actor}.new_root_skid}}\" \
         principal_resource_name: \"{{{actor}}}\" }}\n"
    );
    world.fill_text_proto(&entry)
}

fn role(text: &str) -> Role {
    match text {
        "principal map" => Role::PrincipalMap,
        "Duchy information" => Role::DuchyInfo,
        "Duchy id list" => Role::DuchyIds,
        _ => Role::RateLimit,
    }
}

async fn set(world: &mut World, role: Role, content: Vec<u8>) -> crate::world::StepResult {
    world.kingdom().await?;
    world.put_file(role, content)?;
    world.changed(format!("the file of {}", role.flag()));
    Ok(())
}

async fn append(world: &mut World, role: Role, more: &[u8]) -> crate::world::StepResult {
    let mut content = world.kingdom().await?.file(role).unwrap_or_default();
    content.extend_from_slice(b"\n");
    content.extend_from_slice(more);
    set(world, role, content).await
}
