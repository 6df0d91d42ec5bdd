//! What the pointers of a playbook make together: rings, shared steps, steps that nothing reaches.

use std::collections::{HashMap, HashSet};

use crate::cacao::playbook::{Kind, Playbook, Step};
use crate::cacao::read::Reader;
use crate::diagnostic::quoted;

/// Sets `target` of pointers that lead back to their own while step to none (rule L3), told as
/// warnings; strict mode reports the ring itself.
pub(crate) fn cut_iterations(
    playbook: &mut Playbook,
    reader: &mut Reader<'_>,
) -> HashSet<(usize, usize)> {
    let mut cut = HashSet::new();
    if !reader.is_lenient() {
        return cut;
    }
    for while_step in 0..playbook.steps.len() {
        let Kind::While {
            on_true: Some(body),
            ..
        } = &playbook.steps[while_step].kind
        else {
            continue;
        };
        let Some(first) = body.target.filter(|first| *first != while_step) else {
            continue;
        };
        for step in reach(playbook, first, Some(while_step)) {
            if playbook.steps[step]
                .successors()
                .any(|next| next == while_step)
            {
                cut.insert((step, while_step));
                let (name, spot) = (&playbook.steps[while_step].name, &playbook.steps[step].spot);
                let what = format!(
                    "leads back to {}, taken as the end of the iteration",
                    quoted(name)
                );
                reader.warning("repaired-l3", spot, what);
            }
        }
    }
    cut
}

/// A step and all that is reachable from it without going through `border`.
pub(crate) fn reach(playbook: &Playbook, from: usize, border: Option<usize>) -> Vec<usize> {
    let mut seen = vec![false; playbook.steps.len()];
    let mut found = Vec::new();
    let mut open = vec![from];
    while let Some(step) = open.pop() {
        if std::mem::replace(&mut seen[step], true) || Some(step) == border {
            continue;
        }
        found.push(step);
        open.extend(playbook.steps[step].successors());
    }
    found
}

/// Reports every ring once; whether there is any.
pub(crate) fn report_rings(
    playbook: &Playbook,
    cut: &HashSet<(usize, usize)>,
    reader: &mut Reader<'_>,
) -> bool {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; playbook.steps.len()];
    let mut rings = 0;
    for root in 0..playbook.steps.len() {
        if marks[root] != Mark::New {
            continue;
        }
        // The way from the root, each step with the successors that are left to look at.
        let mut path: Vec<(usize, Vec<usize>)> = Vec::new();
        let followed = |step: usize| {
            let mut next: Vec<usize> = playbook.steps[step]
                .successors()
                .filter(|next| !cut.contains(&(step, *next)))
                .collect();
            next.reverse();
            next
        };
        marks[root] = Mark::Open;
        path.push((root, followed(root)));
        while let Some((step, left)) = path.last_mut() {
            let Some(next) = left.pop() else {
                marks[*step] = Mark::Done;
                path.pop();
                continue;
            };
            match marks[next] {
                Mark::Done => {}
                Mark::New => {
                    marks[next] = Mark::Open;
                    path.push((next, followed(next)));
                }
                Mark::Open => {
                    rings += 1;
                    let start = path.iter().position(|(step, _)| *step == next).unwrap_or(0);
                    let steps = path[start..].iter().map(|(step, _)| *step).chain([next]);
                    report_ring(playbook, &steps.collect::<Vec<_>>(), reader);
                }
            }
        }
    }
    rings > 0
}

fn report_ring(playbook: &Playbook, ring: &[usize], reader: &mut Reader<'_>) {
    let name = |step: &usize| quoted(&playbook.steps[*step].name);
    let shown: Vec<String> = if ring.len() > 9 {
        let more = ring.len() - 8;
        let first = ring[..7].iter().map(name);
        first
            .chain([format!("… {more} more …"), name(&ring[0])])
            .collect()
    } else {
        ring.iter().map(name).collect()
    };
    let what = format!(
        "ring {}; it would never end; use while-condition",
        shown.join(" → ")
    );
    reader.error("cycle", &playbook.steps[ring[0]].spot, what);
}

/// Reports steps that nothing leads to.
pub(crate) fn report_unreachable(playbook: &Playbook, reader: &mut Reader<'_>) {
    let roots = [&playbook.start, &playbook.exception];
    if playbook
        .start
        .as_ref()
        .is_none_or(|start| start.target.is_none())
    {
        return;
    }
    let mut reached = vec![false; playbook.steps.len()];
    let mut open: Vec<usize> = roots
        .into_iter()
        .flatten()
        .filter_map(|root| root.target)
        .collect();
    while let Some(step) = open.pop() {
        if !std::mem::replace(&mut reached[step], true) {
            open.extend(playbook.steps[step].successors());
        }
    }
    for (step, _) in playbook
        .steps
        .iter()
        .zip(reached)
        .filter(|(_, reached)| !reached)
    {
        let what = "nothing points to it; it never runs; link or remove it";
        reader.warning("unreachable-step", &step.spot, what);
    }
}

/// The implied joins of parallels without pointer (rule L2), each told; none in strict mode.
pub(crate) fn implied_joins(
    playbook: &Playbook,
    cut: &HashSet<(usize, usize)>,
    reader: &mut Reader<'_>,
) -> HashMap<usize, usize> {
    let mut joins = HashMap::new();
    if !reader.is_lenient() {
        return joins;
    }
    for (number, step) in playbook.steps.iter().enumerate() {
        if !matches!(step.kind, Kind::Parallel { .. }) || step.success.is_some() {
            continue;
        }
        if let Some(join) = implied_join(playbook, number, cut) {
            let what = format!(
                "reached by the branches of {}, taken as an implied join; the file does not say so; give the parallel an on_completion",
                quoted(&step.name)
            );
            reader.warning("repaired-l2", &playbook.steps[join].spot, what);
            joins.insert(number, join);
        }
    }
    joins
}

/// Reports branches of a logic step that share a step with each other or with what follows that
/// step. Those of a parallel with an implied join may.
pub(crate) fn report_shared(
    playbook: &Playbook,
    cut: &HashSet<(usize, usize)>,
    joins: &HashMap<usize, usize>,
    reader: &mut Reader<'_>,
) {
    for (number, step) in playbook.steps.iter().enumerate() {
        if step.kind.is_logic() && !joins.contains_key(&number) {
            report_shared_by(playbook, step, cut, reader);
        }
    }
}

fn report_shared_by(
    playbook: &Playbook,
    step: &Step,
    cut: &HashSet<(usize, usize)>,
    reader: &mut Reader<'_>,
) {
    // Who reached a step first: a branch from 1, or 0 for what follows.
    let mut first: Vec<Option<usize>> = vec![None; playbook.steps.len()];
    let after = step.success.iter().chain(&step.failure);
    let after = after.filter_map(|way| Some((0, way.target?)));
    let branches = (1..).zip(step.branches());
    let branches = branches.filter_map(|(number, way)| Some((number, way.target?)));
    let mut told: HashSet<(usize, usize)> = HashSet::new();
    for (number, root) in after.chain(branches) {
        let mut open = vec![root];
        while let Some(at) = open.pop() {
            match first[at] {
                Some(same) if same == number => continue,
                Some(other) => {
                    if told.insert((other, number)) {
                        report_pair(playbook, step, (other, number), at, reader);
                    }
                    continue;
                }
                None => first[at] = Some(number),
            }
            let next = playbook.steps[at].successors();
            open.extend(next.filter(|next| !cut.contains(&(at, *next))));
        }
    }
}

fn report_pair(
    playbook: &Playbook,
    step: &Step,
    (one, other): (usize, usize),
    shared: usize,
    reader: &mut Reader<'_>,
) {
    let is_end = matches!(playbook.steps[shared].kind, Kind::End);
    let shared = quoted(&playbook.steps[shared].name);
    let share = if one == 0 {
        format!("branch {other} leads to {shared}, and so does what follows")
    } else {
        format!("branches {one} and {other} share {shared}")
    };
    let taken = match &step.kind {
        _ if one == 0 => "the branch ends there",
        _ if is_end => "it ends each of them",
        Kind::Parallel { .. } => "it runs in each of them",
        _ => "at most one of them comes there",
    };
    let fix = "give each its own end and set on_completion";
    let spot = step
        .spot
        .clone()
        .called(format!("{} {}", step.kind.as_str(), quoted(&step.name)));
    let strict = format!("{share}; the return point is ambiguous; {fix}");
    let lenient = format!("{share}; {taken}; {fix}");
    reader.repair("repaired-l2", "branch-end-shared", &spot, strict, lenient);
}

/// The join of a parallel without pointer: the step that its branches lead to together
/// (section 13.2 of the dialect's page), if there is one.
fn implied_join(
    playbook: &Playbook,
    parallel: usize,
    cut: &HashSet<(usize, usize)>,
) -> Option<usize> {
    let entries: Vec<usize> = playbook.steps[parallel]
        .branches()
        .iter()
        .filter_map(|way| way.target)
        .collect();
    let count = playbook.steps.len();
    let is_exit = |step: usize| matches!(playbook.steps[step].kind, Kind::End);
    let next = |step: usize| {
        playbook.steps[step]
            .successors()
            .filter(move |next| !cut.contains(&(step, *next)))
    };
    // What all entries reach.
    let mut hits = vec![0_usize; count];
    for entry in &entries {
        let mut seen = vec![false; count];
        let mut open = vec![*entry];
        while let Some(step) = open.pop() {
            if !std::mem::replace(&mut seen[step], true) {
                hits[step] += 1;
                open.extend(next(step));
            }
        }
    }
    let common: Vec<usize> = (0..count)
        .filter(|step| hits[*step] == entries.len() && !is_exit(*step))
        .collect();
    let reached_without = |without: usize| {
        let mut seen = vec![false; count];
        let mut open = entries.clone();
        while let Some(step) = open.pop() {
            if step != without && !std::mem::replace(&mut seen[step], true) {
                open.extend(next(step));
            }
        }
        seen
    };
    let below = |of: usize| {
        let mut seen = vec![false; count];
        let mut open = vec![of];
        while let Some(step) = open.pop() {
            if !std::mem::replace(&mut seen[step], true) {
                open.extend(next(step));
            }
        }
        seen
    };
    let candidates: Vec<(usize, Vec<bool>)> = common
        .into_iter()
        .filter_map(|step| {
            let without = reached_without(step);
            let below = below(step);
            // A step whose branch ends behind it is an exit as much as an end is.
            let exits = (0..count).filter(|exit| is_exit(*exit) || ends(playbook, *exit));
            let mut exits = exits.filter(|exit| *exit != step);
            let leaks = exits.any(|exit| below[exit] && without[exit]);
            (!leaks).then_some((step, without))
        })
        .collect();
    candidates
        .iter()
        .find(|(join, without)| {
            candidates
                .iter()
                .all(|(other, _)| other == join || !without[*other])
        })
        .map(|(join, _)| *join)
}

/// Whether a branch ends behind a step because nothing follows it.
fn ends(playbook: &Playbook, step: usize) -> bool {
    let step = &playbook.steps[step];
    !step.kind.is_logic() && step.success.is_none() && !matches!(step.kind, Kind::End)
}
