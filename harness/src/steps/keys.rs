//! Encryption public keys.

use super::{StepDefinition, certificates, step};
use crate::error::Problem;
use crate::world::{StepResult, Var, World};
use halo_consent::{KeyTemplate, PrivateKeyset, SignatureAlgorithm, SigningKey};

pub(super) fn steps() -> Vec<StepDefinition> {
    vec![
        step!(
            Action,
            r"(\w+) has a new encryption key called (\w+)",
            "Given edp1 has a new encryption key called fresh",
            |world, given| {
                world.kingdom().await?;
                let actor = given.text(0);
                let signer = signing_key(world, actor)?;
                make(world, actor, given.text(1), &signer)
            }
        ),
        step!(
            Action,
            r"(\w+) has a new encryption key called (\w+), signed with (\w+)",
            "Given edp1 has a new encryption key called fresh, signed with second",
            |world, given| {
                let actor = given.text(0);
                let signer = world.leaf(actor, given.text(2))?.key().pkcs8_der().to_vec();
                make(world, actor, given.text(1), &signer)
            }
        ),
        step!(
            Action,
            r"(\w+) has a new encryption key called (\w+), signed by (\w+)",
            "Given edp1 has a new encryption key called planted, signed by edp2",
            |world, given| {
                world.kingdom().await?;
                let signer = signing_key(world, given.text(2))?;
                make(world, given.text(0), given.text(1), &signer)
            }
        ),
        step!(
            Action,
            r"(\w+) publishes its encryption key (\w+) with its certificate (\w+)",
            "When edp1 publishes its encryption key fresh with its certificate second",
            |world, given| {
                let (actor, key) = (given.text(0), given.text(1));
                let certificate = given.text(2);
                let text = update_text(actor, key, &format!("{actor}.{certificate}"));
                Ok(world.call(actor, "PublicKeys.UpdatePublicKey", &text, None).await?)
            }
        ),
        step!(
            Action,
            r"(\w+) has published its encryption key (\w+) with its certificate (\w+)",
            "Given edp1 has published its encryption key fresh with its certificate second",
            |world, given| {
                let (actor, key) = (given.text(0), given.text(1));
                let certificate = given.text(2);
                let text = update_text(actor, key, &format!("{actor}.{certificate}"));
                certificates::must(world, actor, "PublicKeys.UpdatePublicKey", &text).await
            }
        ),
    ]
}

/// The consent signalling key that a participant began with.
fn signing_key(world: &World, actor: &str) -> Result<Vec<u8>, Problem> {
    let path = format!("participants/{actor}/{actor}_cs_private.der");
    let signer = world.running()?.sandbox().file(&path).map(<[u8]>::to_vec);
    let what = || Problem::author(format!("{actor} has no signing key"), "name a participant");
    signer.ok_or_else(what)
}

fn update_text(actor: &str, key: &str, certificate: &str) -> String {
    format!(
        "public_key {{ name: \"{{{actor}.public_key}}\" certificate: \"{{{certificate}}}\" \
         public_key {{ message {{ [type.googleapis.com/\
         wfa.measurement.api.v2alpha.EncryptionPublicKey] {{ format: TINK_KEYSET data: \
         \"{{{actor}.{key}_keyset}}\" }} }} signature: \"{{{actor}.{key}_signature}}\" \
         signature_algorithm_oid: \"{{{actor}.{key}_oid}}\" }} }}"
    )
}

/// Sets `ACTOR.NAME_keyset`, `_message`, `_signature` and `_oid`.
fn make(world: &mut World, actor: &str, name: &str, signer: &[u8]) -> StepResult {
    let unmade = |error: &dyn std::fmt::Display| {
        Problem::harness(format!("an encryption key cannot be made: {error}"))
    };
    let template = KeyTemplate::EciesP256HkdfHmacSha256Aes128Gcm;
    let keyset = PrivateKeyset::generate(template, world.rng()).map_err(|e| unmade(&e))?;
    let message = keyset.public().to_encryption_public_key();
    let algorithm = SignatureAlgorithm::EcdsaWithSha256;
    let signature = SigningKey::from_pkcs8_der(signer)
        .map_err(|e| unmade(&e))?
        .sign(algorithm, &message)
        .map_err(|e| unmade(&e))?;
    let public = keyset.public().to_binary();
    world.keep_key(&format!("{actor}.{name}_encryption"), Some(&keyset.to_binary()));
    world.set(format!("{actor}.{name}_keyset"), Var::Bytes(public));
    world.set(format!("{actor}.{name}_message"), Var::Bytes(message));
    world.set(format!("{actor}.{name}_signature"), Var::Bytes(signature));
    world.set(format!("{actor}.{name}_oid"), Var::Text(algorithm.oid().to_owned()));
    Ok(())
}
