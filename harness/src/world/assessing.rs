//! Impact assessments within a scenario: over the scenario's own connections, as the command does
//! over addresses.

use super::{OPERATOR, World};
use crate::client::Connection;
use crate::environment::{Listener, Target};
use crate::error::Problem;
use crate::impact::facts::Subject;
use crate::impact::read::{self, Access, Channel, Question};
use crate::impact::{Assessment, assess};
use crate::observation::Fact;
use fake_kingdom::model::Timestamp;
use kingdom_proto::v2alpha;
use std::collections::BTreeSet;

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
        let resource = self.fill(&format!("{{{owner}}}"))?;
        let mut public = self.channel(owner, Listener::Public, Some(resource)).await?;
        let mut operator = self.channel(OPERATOR, Listener::Operator, None).await?;
        let earlier = self.log.all().iter().filter_map(|observation| match &observation.fact {
            Fact::Impact(one) if one.subject.name == subject.name() => Some(&one.subject),
            _ => None,
        });
        let vouched_keys = earlier.flat_map(|one| one.vouched_keys.iter().cloned()).collect();
        let question = Question {
            subject,
            since,
            key,
            own_keys,
            vouched_keys,
            entity_types: Vec::new(),
            audit: Some(read::Trail::Text(self.running()?.audit_lines()?.join("\n"))),
            audit_head: Some(self.running()?.audit_head()),
        };
        let unread = |error: read::ReadError| {
            Problem::environment(format!("no assessment: {error}"), "let both identities be valid")
        };
        let facts = read::facts(&question, &mut public, &mut operator).await.map_err(unread)?;
        let assessment = assess(&facts);
        self.record(Fact::Impact(Box::new(assessment.clone())));
        Ok(assessment)
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
