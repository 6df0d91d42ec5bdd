//! Phases: which neighbouring steps run side by side.

use std::collections::HashMap;
use std::fmt;

use crate::diagnostic::{Report, listed};
use crate::step_groups::step::Step;

/// Steps that may run at the same time. Phases run one after another.
#[derive(Debug)]
pub(crate) struct Phase {
    pub(crate) label: Label,
    /// Indices of its steps, in document order; never empty.
    pub(crate) steps: Vec<usize>,
}

/// Why the steps of a phase belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    /// They name the same group.
    Group(u32),
    /// They are neighbours that say `parallel: true`.
    Run,
    /// It is a step by itself.
    Single,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(id) => write!(f, "group-{id}"),
            Self::Run => f.write_str("run"),
            Self::Single => f.write_str("single"),
        }
    }
}

/// Puts all steps into phases, in document order, and reports groups that are out of order.
pub(crate) fn form(steps: &[Step<'_>], report: &mut Report) -> Vec<Phase> {
    let mut phases: Vec<Phase> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let label = label(step);
        if step.group > 0 && step.parallel == Some(false) {
            let what = format!(
                "parallel is false but group {} is set; the group counts; remove one",
                step.group
            );
            report.warning("group-overrides-parallel", &step.spot, what);
        }
        match phases.last_mut() {
            Some(last) if last.label == label && label != Label::Single => last.steps.push(index),
            _ => phases.push(Phase {
                label,
                steps: vec![index],
            }),
        }
    }
    check_order(steps, &phases, report);
    phases
}

fn label(step: &Step<'_>) -> Label {
    match (step.group, step.parallel) {
        (0, Some(true)) => Label::Run,
        (0, _) => Label::Single,
        (id, _) => Label::Group(id),
    }
}

fn check_order(steps: &[Step<'_>], phases: &[Phase], report: &mut Report) {
    // The phase after the first one of each group: where the group ended.
    let mut ended_before: HashMap<u32, usize> = HashMap::new();
    let mut highest = 0;
    for (number, phase) in phases.iter().enumerate() {
        let Label::Group(id) = phase.label else {
            continue;
        };
        let step = &steps[phase.steps[0]];
        if let Some(after) = ended_before.get(&id) {
            let next = &steps[phases[*after].steps[0]];
            let line = next.spot.mark.map_or(0, |mark| mark.line);
            let what = format!(
                "group {id} ended before {} ({line}); joining it would reorder steps; move the step up or use a new number",
                next.spot.subject
            );
            report.error("group-reappears", &step.spot, what);
            continue;
        }
        ended_before.insert(id, number + 1);
        if id < highest {
            let what = format!(
                "group {id} follows group {highest}; phases run in document order and ids must rise; renumber"
            );
            report.error("group-order-descending", &step.spot, what);
        }
        highest = highest.max(id);
    }
}

/// The names of steps in one line.
pub(crate) fn names(steps: &[Step<'_>], of: &[usize]) -> String {
    listed(of.iter().filter_map(|index| steps[*index].name))
}
