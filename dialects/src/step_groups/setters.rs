//! Which steps set which workflow variables.

use std::collections::{BTreeSet, HashMap};

use crate::diagnostic::{Report, quoted, shortened};
use crate::step_groups::phase::{Label, Phase};
use crate::step_groups::step::Step;

/// Reports steps of one phase that set the same variable although neither waits for the other.
pub(crate) fn check(
    steps: &[Step<'_>],
    phases: &[Phase],
    waits: &[BTreeSet<usize>],
    report: &mut Report,
) {
    let numbered = (1..).zip(phases);
    for (number, phase) in numbered.filter(|(_, phase)| phase.steps.len() > 1) {
        let mut setters: HashMap<&str, Vec<usize>> = HashMap::new();
        for index in &phase.steps {
            let entries = steps[*index].set_variables.into_iter();
            for entry in entries.flat_map(|entry| entry.value.entries()) {
                let known = setters.entry(&entry.key).or_default();
                let free = known.iter().find(|other| {
                    !waits[*index].contains(other) && !waits[**other].contains(index)
                });
                if let Some(other) = free {
                    let name = |index: usize| quoted(steps[index].name.unwrap_or_default());
                    let what = format!(
                        "{} and {} of {} both set {}; chance would decide; set it in one, or order them with dependsOn",
                        name(*other),
                        name(*index),
                        called(phase, number),
                        shortened(&entry.key)
                    );
                    let step = &steps[*index];
                    report.error(
                        "sibling-variable-conflict",
                        &step.spot.inside("setVariables", entry.mark),
                        what,
                    );
                }
                known.push(*index);
            }
        }
    }
}

fn called(phase: &Phase, number: usize) -> String {
    match phase.label {
        Label::Group(id) => format!("group {id}"),
        Label::Run | Label::Single => format!("phase {number}"),
    }
}

/// The place of each step in an order in which every step comes after those that it waits for.
pub(crate) fn ranks(steps: usize, phases: &[Phase], waits: &[BTreeSet<usize>]) -> Vec<usize> {
    let mut order: Vec<usize> = phases
        .iter()
        .flat_map(|phase| phase.steps.clone())
        .collect();
    let mut phase_of = vec![0; steps];
    for (number, phase) in phases.iter().enumerate() {
        for step in &phase.steps {
            phase_of[*step] = number;
        }
    }
    // Who waits for more has more behind it: all that it waits for wait for less.
    order.sort_by_key(|step| (phase_of[*step], waits[*step].len(), *step));
    let mut ranks = vec![0; steps];
    for (rank, step) in (1..).zip(order) {
        ranks[step] = rank;
    }
    ranks
}
