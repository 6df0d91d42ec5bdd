//! What steps say they wait for.

use std::collections::{BTreeSet, HashMap};

use crate::diagnostic::{Report, Spot, quoted, shortened};
use crate::limits::WAITS_MAX;
use crate::step_groups::phase::{self, Phase};
use crate::step_groups::step::Step;
use crate::suggestion::did_you_mean;

/// Reports names that are no steps, rings, and steps that would wait for later phases. Gives, for
/// each step, the steps of its own phase that it waits for, directly or not.
pub(crate) fn check(
    steps: &[Step<'_>],
    phases: &[Phase],
    numbers: &HashMap<&str, usize>,
    report: &mut Report,
) -> Vec<BTreeSet<usize>> {
    let mut phase_of = vec![0; steps.len()];
    for (number, phase) in phases.iter().enumerate() {
        for step in &phase.steps {
            phase_of[*step] = number + 1;
        }
    }
    let mut edges: Vec<Vec<(usize, &Spot)>> = vec![Vec::new(); steps.len()];
    for (index, step) in steps.iter().enumerate() {
        for (name, spot) in &step.depends_on {
            match numbers.get(name) {
                Some(on) => edges[index].push((*on, spot)),
                None => report.error("unknown-dependency", spot, unknown(name, steps, report)),
            }
        }
    }
    let in_ring = rings(steps, &edges, report);
    for (index, on, spot) in edges
        .iter()
        .enumerate()
        .flat_map(|(index, on)| on.iter().map(move |(on, spot)| (index, *on, *spot)))
    {
        if phase_of[on] > phase_of[index] && !(in_ring[index] && in_ring[on]) {
            let spot = spot
                .clone()
                .called(format!("{} (phase {})", spot.subject, phase_of[index]));
            let name = steps[on].name.unwrap_or_default();
            let what = format!(
                "waits for {} (phase {}); it would wait for ever; move {} up or drop the dependency",
                quoted(name),
                phase_of[on],
                shortened(name)
            );
            report.error("dependency-on-later-phase", &spot, what);
        }
    }
    let Some(waits) = waits(phases, &phase_of, &edges) else {
        let what = format!(
            "steps of one phase wait for each other more than {WAITS_MAX} times, directly or not; nobody could see through it; put them into phases"
        );
        report.error("too-many-dependencies", &Spot::default(), what);
        return vec![BTreeSet::new(); steps.len()];
    };
    waits
}

/// What the steps of each phase wait for in it, directly or not. In a ring nobody is settled first.
fn waits(
    phases: &[Phase],
    phase_of: &[usize],
    edges: &[Vec<(usize, &Spot)>],
) -> Option<Vec<BTreeSet<usize>>> {
    let mut waits = vec![BTreeSet::new(); edges.len()];
    let mut count = 0;
    for phase in phases.iter().filter(|phase| phase.steps.len() > 1) {
        let inside = |step: usize| {
            let on = edges[step].iter().map(|(on, _)| *on);
            on.filter(move |on| *on != step && phase_of[*on] == phase_of[step])
        };
        for step in &phase.steps {
            let mut open: Vec<usize> = inside(*step).collect();
            while let Some(on) = open.pop() {
                if on != *step && waits[*step].insert(on) {
                    count += 1;
                    open.extend(inside(on));
                }
                if count > WAITS_MAX || open.len() > WAITS_MAX {
                    return None;
                }
            }
        }
    }
    Some(waits)
}

fn unknown(name: &str, steps: &[Step<'_>], report: &Report) -> String {
    let considered = if report.is_crowded() { &[] } else { steps };
    let names = considered.iter().filter_map(|step| step.name);
    let fix = did_you_mean(name, names, "correct or remove it");
    format!(
        "dependsOn {} names no step; it would wait for nothing; {fix}",
        quoted(name)
    )
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    New,
    Open,
    Done,
}

/// Reports each ring once and says which steps are in one. Walks in depth without recursion: a
/// chain may be as long as the file.
fn rings(steps: &[Step<'_>], edges: &[Vec<(usize, &Spot)>], report: &mut Report) -> Vec<bool> {
    let mut visits = vec![Visit::New; steps.len()];
    let mut in_ring = vec![false; steps.len()];
    for start in 0..steps.len() {
        if visits[start] != Visit::New {
            continue;
        }
        let mut path = vec![(start, 0)];
        visits[start] = Visit::Open;
        while let Some((at, next)) = path.last_mut() {
            let Some((on, spot)) = edges[*at].get(*next) else {
                visits[*at] = Visit::Done;
                path.pop();
                continue;
            };
            *next += 1;
            match visits[*on] {
                Visit::New => {
                    visits[*on] = Visit::Open;
                    path.push((*on, 0));
                }
                Visit::Open if !(in_ring[*on] && in_ring[*at]) => {
                    let ring = path.iter().map(|(step, _)| *step);
                    let ring: Vec<_> = ring.skip_while(|step| step != on).collect();
                    report.error(
                        "dependency-cycle",
                        &(*spot).clone().called(""),
                        ring_text(steps, &ring),
                    );
                    for step in ring {
                        in_ring[step] = true;
                    }
                }
                Visit::Open | Visit::Done => {}
            }
        }
    }
    in_ring
}

fn ring_text(steps: &[Step<'_>], ring: &[usize]) -> String {
    let names = phase::names(steps, ring);
    match ring.len() {
        1 => format!("{names} waits for itself; it could not start; drop the dependency"),
        _ => {
            format!("{names} wait for each other in a ring; none could start; drop one dependency")
        }
    }
}
