//! Rings: ways that lead back to where they began.

use crate::diagnostic::{Report, shortened};
use crate::parallel_json::document::Document;
use crate::parallel_json::seat::Seats;
use crate::parallel_json::step::Kind;

/// Steps of a ring that a message names.
const NAMED_MAX: usize = 20;

/// A way from one step to another: the other, and what the way is called if it is no chain.
pub(crate) type Way = (usize, Option<&'static str>);

/// The ways that are followed out of a step; `direct` says whether a block lists it.
pub(crate) fn ways(document: &Document<'_>, step: usize, direct: bool) -> Vec<Way> {
    let step = &document.steps[step];
    let mut ways: Vec<Way> = Vec::new();
    if let Kind::Conditional {
        then, otherwise, ..
    } = &step.kind
    {
        ways.extend(
            then.iter()
                .filter_map(|link| Some((link.target?, Some("then")))),
        );
        ways.extend(
            otherwise
                .iter()
                .filter_map(|link| Some((link.target?, Some("else")))),
        );
    }
    for link in step.lists().into_iter().flatten() {
        ways.extend(link.target.map(|target| (target, Some("contains"))));
    }
    if !direct {
        ways.extend(
            step.next
                .iter()
                .filter_map(|link| Some((link.target?, None))),
        );
        let failure = step.on_failure.iter();
        ways.extend(failure.filter_map(|link| Some((link.target?, Some("on failure")))));
    }
    ways
}

/// Reports each way that closes a ring; says of each step whether it is in one, or between two.
pub(crate) fn report(
    document: &Document<'_>,
    seats: &Seats,
    direct: &[bool],
    report: &mut Report,
) -> Vec<bool> {
    let ways = |step: usize| seats.ways(document, step, direct[step]);
    let mut ends = Vec::new();
    let mut done = vec![false; document.steps.len()];
    let mut depth: Vec<Option<usize>> = vec![None; document.steps.len()];
    for first in 0..document.steps.len() {
        if done[first] {
            continue;
        }
        let mut path: Vec<(usize, Vec<Way>, Option<&str>)> = Vec::new();
        depth[first] = Some(0);
        path.push((first, ways(first), None));
        while let Some((at, open, _)) = path.last_mut() {
            let at = *at;
            let Some((to, called)) = open.pop() else {
                done[at] = true;
                depth[at] = None;
                path.pop();
                continue;
            };
            if let Some(begin) = depth[to] {
                ends.extend([at, to]);
                let ring = &path[begin..];
                // One more than are named: it says how the last of them is left.
                let way = ring.iter().take(NAMED_MAX + 1);
                let way: Vec<_> = way.map(|(step, _, by)| (*step, *by)).collect();
                let what = told(document, &way, ring.len(), to, called);
                // It belongs to the step that leads back.
                let spot = document.steps[at].spot.clone().called("");
                report.error("cycle", &spot, what);
            } else if !done[to] {
                depth[to] = Some(path.len());
                path.push((to, ways(to), called));
            }
        }
    }
    if ends.is_empty() {
        return vec![false; document.steps.len()];
    }
    let count = document.steps.len();
    let (mut onward, mut back) = (vec![Vec::new(); count], vec![Vec::new(); count]);
    for (step, leads) in onward.iter_mut().enumerate() {
        for (to, _) in ways(step) {
            leads.push(to);
            back[to].push(step);
        }
    }
    let (onward, back) = (reached(&onward, &ends), reached(&back, &ends));
    onward
        .iter()
        .zip(back)
        .map(|(to, from)| *to && from)
        .collect()
}

/// Which steps these lead to, and these themselves.
fn reached(ways: &[Vec<usize>], from: &[usize]) -> Vec<bool> {
    let mut seen = vec![false; ways.len()];
    let mut open = from.to_vec();
    while let Some(at) = open.pop() {
        if !std::mem::replace(&mut seen[at], true) {
            open.extend(&ways[at]);
        }
    }
    seen
}

fn told(
    document: &Document<'_>,
    ring: &[(usize, Option<&str>)],
    length: usize,
    back: usize,
    called: Option<&str>,
) -> String {
    let named = ring
        .iter()
        .take(NAMED_MAX)
        .enumerate()
        .map(|(n, (step, _))| {
            // What the next step is called says which way leads to it.
            let way = ring.get(n + 1).map_or(called, |(_, by)| *by);
            let way = way.map_or_else(String::new, |way| format!(" ({way})"));
            format!("{}{way}", shortened(document.steps[*step].id))
        });
    let mut steps: Vec<_> = named.collect();
    if length > NAMED_MAX {
        steps.push(format!("{} more", length - NAMED_MAX));
    }
    steps.push(shortened(document.steps[back].id));
    format!(
        "ring {}; it would never end; use a loop step",
        steps.join(" → ")
    )
}
