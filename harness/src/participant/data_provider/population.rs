//! What a population fulfiller makes of a requisition: rows 1 to 10 and 17 of contract table 3.10,
//! with the checks of 3.10.6 between them. Pure.

use super::rules::{Facts, Halt, Order, Refusal, Step, bound_certificate, consent};
use crate::participant::event_filter;
use kingdom_proto::v2alpha as pb;
use pb::protocol_config::protocol::Protocol;
use pb::requisition::refusal::Justification;
use pb::requisition_spec::RequisitionType;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// What the fulfiller knows of models and populations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Models {
    /// Model lines, with the population of their release; `None` = no release is found.
    pub lines: BTreeMap<String, Option<String>>,
    /// Populations by name; `None` = without a spec.
    pub populations: BTreeMap<String, Option<PopulationSpec>>,
}

/// A population spec: ranges of virtual ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PopulationSpec {
    /// Ranges, both ends included.
    pub vid_ranges: Vec<RangeInclusive<i64>>,
}

impl PopulationSpec {
    /// Whether there are ranges, each begins at 1 or later and does not end before it begins, and no
    /// two overlap.
    pub fn is_valid(&self) -> bool {
        let mut ranges = self.vid_ranges.clone();
        ranges.sort_by_key(|range| *range.start());
        !ranges.is_empty()
            && ranges.iter().all(|range| *range.start() >= 1 && !range.is_empty())
            && ranges.windows(2).all(|pair| pair[0].end() < pair[1].start())
    }

    /// How many virtual ids there are.
    pub fn size(&self) -> i64 {
        self.vid_ranges.iter().map(|range| range.end() - range.start() + 1).sum()
    }
}

/// Judges a requisition as a population fulfiller.
pub fn judge(facts: &Facts<'_>, models: &Models) -> Step {
    match order(facts, models) {
        Ok(order) => Step::Decided(super::rules::Decision::Fulfil(Box::new(order))),
        Err(halt) => halt.decide(&facts.quirks),
    }
}

/// The population that a model line's release names.
pub fn population_of<'a>(models: &'a Models, model_line: &str) -> Option<&'a PopulationSpec> {
    let name = models.lines.get(model_line)?.as_ref()?;
    models.populations.get(name)?.as_ref()
}

fn order(facts: &Facts<'_>, models: &Models) -> Result<Order, Halt> {
    let passed = consent(facts)?;
    let (measurement_spec, requisition_spec) = (passed.measurement_spec, passed.requisition_spec);
    let refuse = |justification, message: String| {
        Err(Halt::Refuse(Refusal { clause: "3.10.6", justification, message }))
    };
    let line = &measurement_spec.model_line;
    let population = match models.lines.get(line) {
        None => return refuse(Justification::SpecInvalid, format!("`{line}` is not found")),
        Some(None) => {
            return refuse(Justification::SpecInvalid, format!("`{line}` has no release"));
        }
        Some(Some(population)) => population,
    };
    let own = facts.requisition.name.split("/requisitions/").next().unwrap_or_default();
    if !population.starts_with(&format!("{own}/")) {
        let why = format!("`{population}` is another provider's");
        return refuse(Justification::SpecInvalid, why);
    }
    match models.populations.get(population) {
        None => {
            return refuse(Justification::Unfulfillable, format!("`{population}` is missing"));
        }
        Some(None) => {
            return refuse(Justification::Unfulfillable, format!("`{population}` has no spec"));
        }
        Some(Some(spec)) if !spec.is_valid() => {
            let why = format!("the spec of `{population}` is invalid");
            return refuse(Justification::Unfulfillable, why);
        }
        Some(Some(_)) => {}
    }
    let filter = match &requisition_spec.requisition_type {
        Some(RequisitionType::Population(population)) => population.filter.clone(),
        _ => None,
    };
    let expression = filter.unwrap_or_default().expression;
    if let Err(why) = event_filter::check(&expression) {
        return refuse(Justification::SpecInvalid, format!("the filter `{expression}`: {why}"));
    }
    bound_certificate(facts)?;
    let protocol = Protocol::Direct(pb::protocol_config::Direct::default());
    Ok(Order { measurement_spec, requisition_spec, protocol })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_needs_ranges_that_do_not_overlap() {
        let spec =
            |vid_ranges: &[RangeInclusive<i64>]| PopulationSpec { vid_ranges: vid_ranges.to_vec() };
        assert!(spec(&[11..=20, 1..=10]).is_valid());
        assert_eq!(spec(&[11..=20, 1..=10]).size(), 20);
        for bad in [&[][..], &[0..=4], &[RangeInclusive::new(5, 4)], &[1..=10, 10..=20]] {
            assert!(!spec(bad).is_valid(), "{bad:?}");
        }
    }
}
