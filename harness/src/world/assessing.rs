//! Impact assessments within a scenario: over the scenario's own connections, as the command does
//! over addresses.

use super::{OPERATOR, World};
use crate::client::Connection;
use crate::environment::{Listener, Target};
use crate::error::Problem;
use crate::impact::facts::Subject;
use crate::impact::read::{self, Access, Channel, Question};
use crate::impact::{Assessment, How, Kind, assess};
use crate::observation::{Attempt, Fact, Trial};
use crate::verdict::deadness;
use fake_kingdom::model::Timestamp;
use halo_consent::PrivateKeyset;
use kingdom_proto::v2alpha;
use std::collections::BTreeSet;

/// A key that was shown dead, and what was under it when somebody last looked.
#[derive(Clone)]
pub(super) struct DeadKey {
    trial: Trial,
    known: BTreeSet<(String, String)>,
    /// The newest event then.
    seen: u64,
}

impl World {
    /// Assesses what a certificate or public key has touched, as its owner and the operator see it,
    /// and puts the assessment into the log. `key` is the SHA-256 of a public key set; without it
    /// the one in force is meant. `own_keys` are the owner's, by the same digest; what an earlier
    /// assessment in the log said that the certificate vouched for counts on.
    ///
    /// # Errors
    /// Something that is needed cannot be read.
    pub async fn assess_impact(
        &mut self,
        owner: &str,
        subject: Subject,
        key: Option<String>,
        own_keys: BTreeSet<String>,
        since: Option<Timestamp>,
    ) -> Result<Assessment, Problem> {
        let earlier = self.log.all().iter().filter_map(|observation| match &observation.fact {
            Fact::Impact(one) if one.subject.name == subject.name() => Some(&one.subject),
            _ => None,
        });
        let vouched_keys = earlier.flat_map(|one| one.vouched_keys.iter().cloned()).collect();
        let question =
            Question { since, key, own_keys, vouched_keys, ..self.question_of(subject)? };
        let assessment = self.assessed(owner, &question).await?;
        self.record(Fact::Impact(Box::new(assessment.clone())));
        Ok(assessment)
    }

    /// Begins to watch a key that a trial showed to be dead: what is under it now is known.
    ///
    /// # Errors
    /// Something that is needed cannot be read.
    pub async fn watch_dead_key(&mut self, trial: &Trial) -> Result<(), Problem> {
        let known = self.under_key(trial).await?;
        let seen = self.running()?.last_event();
        self.dead_keys.retain(|one| one.trial.credential != trial.credential);
        self.dead_keys.push(DeadKey { trial: trial.clone(), known, seen });
        Ok(())
    }

    /// Whether the key of a trial is the one that its owner has in force at the Kingdom.
    ///
    /// # Errors
    /// Something that is needed cannot be read.
    pub async fn is_in_force(&mut self, trial: &Trial) -> Result<bool, Problem> {
        let under = self.under_key(trial).await?;
        Ok(under.iter().any(|(how, _)| how == How::InForce.name()))
    }

    /// Notes that a dead key was put in force again, or that something was encrypted to it since: nobody
    /// refuses either (contract 1.2.3, 1.4.3), so that no call shows it.
    ///
    /// # Errors
    /// Something that is needed cannot be read.
    pub async fn look_at_dead_keys(&mut self) -> Result<(), Problem> {
        for n in 0..self.dead_keys.len() {
            let DeadKey { trial, known, seen } = self.dead_keys[n].clone();
            let changed = deadness::changed_after(&self.running()?.events(seen)?, seen);
            if changed.is_empty() {
                continue;
            }
            let now = self.under_key(&trial).await?;
            let again = deadness::under_again(&known, &now, &changed);
            let newest = self.running()?.last_event();
            self.dead_keys[n] = DeadKey { trial: trial.clone(), known: now, seen: newest };
            if !again.is_empty() {
                let time = self.clock().now().to_string();
                let old = Attempt { time, refused_for: None, events: vec![newest] };
                let what = format!("{}, under which are again {}", trial.what, again.join(", "));
                self.tried(Trial { what, old, new: None, earlier: Vec::new(), ..trial });
            }
        }
        Ok(())
    }

    /// What is in force of a key, or encrypted to it: how, and the resource.
    async fn under_key(&mut self, trial: &Trial) -> Result<BTreeSet<(String, String)>, Problem> {
        let (owner, key) = (trial.owner.as_str(), trial.credential.as_str());
        let name = self.fill(&format!("{{{owner}.public_key}}"))?;
        let subject =
            Subject::public_key(&name).map_err(|error| Problem::harness(error.to_string()))?;
        let question = Question { key: Some(key.to_owned()), ..self.question_of(subject)? };
        let affected = self.assessed(owner, &question).await?.affected.into_iter();
        let mut under: BTreeSet<_> =
            affected.map(|one| (one.how.name().to_owned(), one.name)).collect();
        // What a group names is a label; the key itself is at hand if the scenario gave it a name.
        let is_consumer = self.fill(&format!("{{{owner}}}"))?.starts_with("measurementConsumers/");
        if let Some(called) = trial.what.strip_prefix("encryption key ")
            && is_consumer
            && self.key(owner, &format!("{called}_encryption")).is_ok()
        {
            let opened = self.event_groups_opened_by(owner, called).await?;
            under.extend(opened.into_iter().map(|name| ("opened_by_it".to_owned(), name)));
        }
        Ok(under)
    }

    /// The measurements that were created under a certificate, by name, whoever created them.
    ///
    /// # Errors
    /// Something that is needed cannot be read.
    pub async fn bound_to(
        &mut self,
        owner: &str,
        certificate: &str,
    ) -> Result<Vec<String>, Problem> {
        let subject = Subject::certificate(certificate);
        let subject = subject.map_err(|error| Problem::harness(error.to_string()))?;
        let question = self.question_of(subject)?;
        let affected = self.assessed(owner, &question).await?.affected.into_iter();
        // A consumer's signs what it is for, and a provider's is what its key stood under (1.5.12).
        let made = affected.filter(|one| {
            one.kind == Kind::Measurement && matches!(one.how, How::BoundTo | How::SignedBy)
        });
        Ok(made.map(|one| one.name).collect())
    }

    /// A question with the trail as it stands, and nothing else told.
    fn question_of(&self, subject: Subject) -> Result<Question, Problem> {
        Ok(Question {
            subject,
            since: None,
            key: None,
            own_keys: BTreeSet::new(),
            vouched_keys: BTreeSet::new(),
            entity_types: Vec::new(),
            audit: Some(read::Trail::Text(self.running()?.audit_lines()?.join("\n"))),
            audit_head: Some(self.running()?.audit_head()),
        })
    }

    async fn assessed(&mut self, owner: &str, question: &Question) -> Result<Assessment, Problem> {
        let resource = self.fill(&format!("{{{owner}}}"))?;
        let mut public = self.channel(owner, Listener::Public, Some(resource)).await?;
        let mut operator = self.channel(OPERATOR, Listener::Operator, None).await?;
        let unread = |error: read::ReadError| {
            Problem::environment(format!("no assessment: {error}"), "let both identities be valid")
        };
        let facts = read::facts(question, &mut public, &mut operator).await.map_err(unread)?;
        Ok(assess(&facts))
    }

    /// The event groups of a consumer, of every entity type, as it sees them.
    ///
    /// # Errors
    /// It has none to read, or cannot read them.
    pub async fn event_groups_of(
        &mut self,
        consumer: &str,
    ) -> Result<Vec<v2alpha::EventGroup>, Problem> {
        let resource = self.fill(&format!("{{{consumer}}}"))?;
        let subject = Subject::public_key(&format!("{resource}/publicKey"))
            .map_err(|error| Problem::author(error.to_string(), "name a measurement consumer"))?;
        let mut public = self.channel(consumer, Listener::Public, Some(resource)).await?;
        let trail = self.running()?.audit_lines()?.join("\n");
        read::event_groups_of(&mut public, &subject, &trail).await.map_err(|error| {
            Problem::environment(
                format!("the event groups of {consumer} cannot be read: {error}"),
                "let it present what the Kingdom accepts",
            )
        })
    }

    /// The event groups whose metadata a key of the consumer's opens, whatever key they name (1.4.3).
    ///
    /// # Errors
    /// The groups cannot be read, or the key is not at hand.
    pub async fn event_groups_opened_by(
        &mut self,
        consumer: &str,
        key: &str,
    ) -> Result<Vec<String>, Problem> {
        let mut opened = Vec::new();
        for group in self.event_groups_of(consumer).await? {
            let ciphertext = ciphertext(&group);
            if !ciphertext.is_empty() && self.opens(consumer, key, ciphertext)? {
                opened.push(group.name);
            }
        }
        Ok(opened)
    }

    /// Whether a private key of the scenario opens a ciphertext.
    ///
    /// # Errors
    /// The key is not at hand.
    pub fn opens(&self, owner: &str, key: &str, ciphertext: &[u8]) -> Result<bool, Problem> {
        let private = self.key(owner, &format!("{key}_encryption"))?;
        let private = PrivateKeyset::from_binary(private)
            .map_err(|error| Problem::harness(error.to_string()))?;
        Ok(private.decrypt(ciphertext, &[]).is_ok())
    }

    /// The operator's connection, by which a repair deletes.
    ///
    /// # Errors
    /// The Kingdom does not accept the operator.
    pub async fn operator_channel(&mut self) -> Result<Channel, Problem> {
        self.channel(OPERATOR, Listener::Operator, None).await
    }

    async fn channel(
        &mut self,
        actor: &str,
        listener: Listener,
        resource: Option<String>,
    ) -> Result<Channel, Problem> {
        let unable = |what: String| {
            Problem::environment(
                format!("{actor} cannot connect for an assessment: {what}"),
                "let it present what the Kingdom accepts",
            )
        };
        let tls = self.tls_of(actor).await?;
        let dialled = self.running()?.dial(Target::Front(listener)).await;
        let dialled = dialled.map_err(|error| unable(error.to_string()))?;
        let connection = Connection::open(dialled.stream, dialled.local, &tls).await;
        let connection = connection.map_err(|error| unable(error.to_string()))?;
        Ok(Channel::over(Access::over_connection(resource, tls), connection))
    }
}

/// The ciphertext of a group's metadata: of the field, else of the legacy one, which needs no key (1.4.2).
#[allow(deprecated, reason = "old event groups fill the legacy fields only (1.4.2)")]
pub fn ciphertext(group: &v2alpha::EventGroup) -> &[u8] {
    match &group.encrypted_metadata {
        Some(metadata) => &metadata.ciphertext,
        None => &group.serialized_encrypted_metadata,
    }
}
