use super::StepDefinition;

pub(super) fn steps() -> Vec<StepDefinition> {
    vec![]
}
