//! What a stolen certificate or key has touched.

use super::{StepDefinition, step};
use crate::error::Problem;
use crate::impact::facts::Subject;
use crate::verdict::check;
use fake_kingdom::cause::Cause;

pub(super) fn steps() -> Vec<StepDefinition> {
    vec![step!(
        Check,
        r"what (\w+)'s certificate (\w+) has touched is",
        "Then what edp1's certificate certificate has touched is",
        |world, given| {
            let (owner, name) = (given.text(0), given.text(1));
            world.kingdom().await?;
            let certificate = world.fill(&format!("{{{owner}.{name}}}"))?;
            let subject = Subject::certificate(&certificate)
                .map_err(|error| Problem::author(error.to_string(), "name a certificate"))?;
            // Each row: kind, how, resource.
            let mut expected = Vec::new();
            for row in given.table(3)? {
                let resource = world.fill(&row[2])?;
                expected.push(format!("{} {} {resource}", row[0], row[1]));
            }
            let assessment = world.assess_impact(owner, subject, None).await?;
            let observed: Vec<_> = assessment
                .affected
                .iter()
                .map(|one| format!("{} {} {}", one.kind.name(), one.how.name(), one.name))
                .collect();
            let what = format!("what {owner}'s certificate {name} has touched");
            let check = check::same_members(what, &expected, &observed);
            world.check(check.or(Cause::UnexpectedState))
        }
    )]
}
