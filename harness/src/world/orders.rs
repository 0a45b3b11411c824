//! A participant's root taken through every order of its switches, each from the same beginning.

use super::trust_files::{entry, joined, without_entry, without_root};
use super::{OPERATOR, World};
use crate::client::{Credential, Outcome};
use crate::environment::{Listener, ReplicaAction, Target};
use crate::error::Problem;
use crate::observation::{CredentialFact, Fact};
use crate::procedure::orders::{Switch, Tried, orders};
use crate::verdict::refusal::Try;
use fake_kingdom::files::Role;
use halo_pki::{LeafSpec, Validity};

impl World {
    /// Takes an actor's root through all orders; after each switch the actor calls on a connection of
    /// its own. Files and credential are in the end as they were.
    ///
    /// # Errors
    /// There is no such actor, it has no new root, or a replica does not read the files.
    pub async fn try_all_orders(&mut self, actor: &str) -> Result<Vec<Tried>, Problem> {
        if actor == OPERATOR {
            let what = "the operator has no entry in the map";
            return Err(Problem::author(what, "name a participant"));
        }
        let old_root = self.authority(actor).await?;
        let new_root = self.new_root(actor)?.clone();
        let principal = self.fill(&format!("{{{actor}}}"))?;
        let old = self.actor(actor).await?.credential.clone();
        let validity = Validity::days(self.now() - time::Duration::days(1), 365);
        let spec = LeafSpec::new(format!("{actor} TEST ONLY"), validity);
        let leaf = new_root
            .issue(&spec, self.rng())
            .map_err(|error| Problem::harness(format!("no new leaf: {error}")))?;
        let new = Some(Credential {
            chain: vec![leaf.certificate_der().to_vec()],
            key: leaf.key().pkcs8_der().to_vec(),
        });
        let file = |world: &Self, role| {
            world.running().map(|environment| environment.file(role).unwrap_or_default())
        };
        let before = [
            (Role::CertCollection, file(self, Role::CertCollection)?),
            (Role::PrincipalMap, file(self, Role::PrincipalMap)?),
        ];
        let mut all = Vec::new();
        let mut presented = [String::new(), String::new()];
        for order in orders() {
            let mut seen = Vec::new();
            for switch in order {
                let (bundle, map) =
                    (file(self, Role::CertCollection)?, file(self, Role::PrincipalMap)?);
                match switch {
                    Switch::BundleGains => {
                        let pem = new_root.certificate_pem();
                        self.put_file(Role::CertCollection, joined(bundle, pem.as_bytes()))?;
                    }
                    Switch::BundleLoses => {
                        let left = without_root(&bundle, old_root.certificate_der())?;
                        self.put_file(Role::CertCollection, left)?;
                    }
                    Switch::MapGains => {
                        let more = entry(new_root.subject_key_identifier(), &principal);
                        self.put_file(Role::PrincipalMap, joined(map, more.as_bytes()))?;
                    }
                    Switch::MapLoses => {
                        let map = String::from_utf8_lossy(&map);
                        let left = without_entry(&map, old_root.subject_key_identifier())
                            .ok_or_else(|| Problem::harness("the map has lost its old entry"))?;
                        self.put_file(Role::PrincipalMap, left.into_bytes())?;
                    }
                    Switch::Leaf => {
                        self.puts_on(actor, new.clone()).await?;
                    }
                }
                if switch != Switch::Leaf {
                    self.read_files().await?;
                }
                let tried = self.try_call(actor).await?;
                if tried.accepted {
                    let at = usize::from(seen_leaf(&order[..=seen.len()]));
                    presented[at] = tried.peer_skid.clone().unwrap_or_default();
                }
                seen.push(if tried.accepted {
                    None
                } else {
                    Some(tried.cause.unwrap_or_else(|| "no cause known".to_owned()))
                });
            }
            all.push(Tried { order, seen });
            for (role, content) in &before {
                self.put_file(*role, content.clone())?;
            }
            self.puts_on(actor, old.clone()).await?;
            self.read_files().await?;
        }
        let [before, after] = presented;
        let kind = "tls_client";
        self.record(Fact::Credential(CredentialFact {
            actor: actor.to_owned(),
            kind,
            before,
            after,
        }));
        Ok(all)
    }

    /// Every replica reads its files again for the connections to come.
    async fn read_files(&mut self) -> Result<(), Problem> {
        for id in 0..self.replicas() {
            let outcome = self.running()?.act_on_replica(id, ReplicaAction::Reload).await?;
            outcome
                .map_err(|why| Problem::harness(format!("replica {id} does not reload: {why}")))?;
        }
        Ok(())
    }

    /// One call on a connection of its own, and what the server recorded of it. Whoever asks looks at
    /// what came of it.
    ///
    /// # Errors
    /// There is no such actor, or the server's record cannot be read.
    pub async fn try_call(&mut self, actor: &str) -> Result<Try, Problem> {
        let text = format!("name: \"{{{actor}.certificate}}\"");
        let target = Some(Target::Front(Listener::Public));
        self.call(actor, "Certificates.GetCertificate", &text, target).await?;
        self.look();
        let (event, accepted) = match &self.last()?.outcome {
            Outcome::Answered { status, .. } => (self.call_event().await?, status.code == "OK"),
            Outcome::Broken(_) => (self.handshake_event().await?, false),
        };
        let event = event.unwrap_or_default();
        let peer_skid = event.peer.and_then(|peer| peer.skid);
        Ok(Try { accepted, cause: event.cause, event: Some(event.seq), peer_skid })
    }
}

fn seen_leaf(done: &[Switch]) -> bool {
    done.contains(&Switch::Leaf)
}
