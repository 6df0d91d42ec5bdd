//! Whether references name what can have a value where they stand.

use std::collections::HashMap;

use crate::diagnostic::{Report, Spot, quoted};
use crate::parallel_json::document::Document;
use crate::parallel_json::mapping::Mention;
use crate::parallel_json::reference::{Of, Reference};
use crate::parallel_json::seat::Seats;
use crate::parallel_json::step::Kind;
use crate::suggestion::did_you_mean;

/// Reports references that can never have a value.
pub(crate) fn check(document: &Document<'_>, seats: &Seats, report: &mut Report) {
    let index = (0..).zip(&document.steps).map(|(n, step)| (step.id, n));
    // What leads to a copy leads to its step.
    let index = index.filter(|(_, step)| document.original(*step) == *step);
    let mut successors = vec![Vec::new(); document.steps.len()];
    for step in 0..document.steps.len() {
        let next = seats.successors(document, step).into_iter();
        successors[document.original(step)].extend(next.map(|next| document.original(next)));
    }
    let mut binding = Binding {
        document,
        seats,
        index: index.collect(),
        successors,
        walks: HashMap::new(),
    };
    let originals = document.steps.iter().enumerate();
    for (step, read) in originals.filter(|(_, step)| step.copy.is_none()) {
        for Mention { reference, spot } in &read.mentions {
            let mut all = Vec::new();
            reference.visit(&mut all);
            for reference in all {
                binding.check(step, reference, spot, report);
            }
        }
    }
}

struct Binding<'d, 'a> {
    document: &'d Document<'a>,
    seats: &'d Seats,
    index: HashMap<&'a str, usize>,
    successors: Vec<Vec<usize>>,
    /// For a step: which steps of its scope may run after it.
    walks: HashMap<usize, Reached>,
}

impl Binding<'_, '_> {
    fn check(&mut self, reader: usize, reference: &Reference, spot: &Spot, report: &mut Report) {
        match &reference.of {
            Of::Input => {}
            Of::Loop { out, .. } => {
                if self.seats.of[reader].is_some() && *out >= self.loops(reader) {
                    let what = format!(
                        "${{{}}} outside a loop body has no value; no item is meant; use the loop's output",
                        reference.text
                    );
                    report.error("loop-reference-outside-loop", spot, what);
                }
            }
            Of::Output(id) | Of::Error(id) => {
                let Some(&source) = self.index.get(id.as_str()) else {
                    let known = if report.is_crowded() {
                        &[]
                    } else {
                        self.document.steps.as_slice()
                    };
                    let known = known.iter().map(|step| step.id);
                    let fix = did_you_mean(id, known, "correct it");
                    let what =
                        format!("no step {}; it could never have a value; {fix}", quoted(id));
                    report.error("unknown-reference", spot, what);
                    return;
                };
                // Where a step without a seat would stand, nobody knows.
                if self.seats.of[reader].is_none() {
                    return;
                }
                if self.seats.of[source].is_none() {
                    if self.seats.is_led_to[source] {
                        // What keeps it from its seat is told of it.
                        return;
                    }
                    let what = format!(
                        "{} never runs; it could never have a value; link it or remove the reference",
                        quoted(id)
                    );
                    report.error("reference-not-ready", spot, what);
                    return;
                }
                let of_error = matches!(reference.of, Of::Error(_));
                if let Some((code, what)) = self.wrong(reader, source, of_error) {
                    report.error(code, spot, what);
                }
            }
        }
    }

    /// How many loops are around a step.
    fn loops(&self, step: usize) -> usize {
        let mut scope = self.seats.of[step].as_ref().map(|seat| seat.scope);
        let mut loops = 0;
        while let Some(at) = scope {
            let block = self.seats.scopes[at].block;
            let is_loop = |block: usize| matches!(self.document.steps[block].kind, Kind::Loop(_));
            loops += usize::from(block.is_some_and(is_loop));
            scope = self.seats.outer(at);
        }
        loops
    }

    fn wrong(
        &mut self,
        reader: usize,
        source: usize,
        of_error: bool,
    ) -> Option<(&'static str, String)> {
        let name = quoted(self.document.steps[source].id);
        let (mut from, mut to) = (self.path(source), self.path(reader));
        // Both paths begin with the main chain; the last scope that they share is looked at.
        while let ([_, inner, ..], [_, other, ..]) = (from.as_slice(), to.as_slice())
            && inner.0 == other.0
        {
            from.remove(0);
            to.remove(0);
        }
        let ((_, source_here), (_, reader_here)) = (from[0], to[0]);
        let inner_loop = from[..from.len() - 1]
            .iter()
            .map(|(_, block)| *block)
            .find(|block| matches!(self.document.steps[*block].kind, Kind::Loop(_)));
        if let Some(looped) = inner_loop {
            let what = format!(
                "{name} runs once per iteration; which one is meant is open; read ${{{}.output.iterations}}",
                self.document.steps[looped].id
            );
            return Some(("loop-body-reference", what));
        }
        if source_here == reader_here {
            let what = if from.len() == 1 {
                if to.len() == 1 {
                    "reads the step's own output, which is not there yet; read another step"
                        .to_owned()
                } else {
                    format!(
                        "reads {name}, the block that it is in, which has no output yet; read a step before it"
                    )
                }
            } else {
                format!(
                    "reads sibling {name}; siblings start together; move the step after the block"
                )
            };
            return Some(("reference-not-ready", what));
        }
        if !self.leads(source_here, reader_here) {
            let what = format!(
                "reads {name}, which cannot have run before; it could never have a value; move the step behind it"
            );
            return Some(("reference-not-ready", what));
        }
        if of_error {
            let failure = self.seats.failure(self.document, source);
            let failure = failure.map(|first| self.document.original(first));
            let in_chain =
                failure.is_some_and(|first| first == reader_here || self.leads(first, reader_here));
            if !in_chain || from.len() > 1 {
                let what = format!(
                    "the error of {name} has a value only in its on_failure chain; the step is not in it; read the output"
                );
                return Some(("reference-not-ready", what));
            }
        }
        None
    }

    /// From the main chain inwards: each scope with the step of it that is, or contains, `step`.
    fn path(&self, step: usize) -> Vec<(usize, usize)> {
        let mut path = Vec::new();
        let mut at = step;
        while let Some(seat) = &self.seats.of[at] {
            path.push((seat.scope, at));
            match self.seats.scopes[seat.scope].block {
                Some(block) => at = block,
                None => break,
            }
        }
        path.reverse();
        path
    }

    /// Whether a chain leads from one step to another of the same scope.
    ///
    /// What was walked for one question is kept for the next one from the same step, and no walk
    /// goes further than it must: references mostly look back a few steps.
    fn leads(&mut self, from: usize, to: usize) -> bool {
        let count = self.document.steps.len();
        let successors = &self.successors;
        let walk = self.walks.entry(from).or_insert_with(|| Reached {
            seen: vec![0; count / 64 + 1],
            open: vec![from],
        });
        while !walk.has(to)
            && let Some(at) = walk.open.pop()
        {
            for next in &successors[at] {
                if !walk.has(*next) {
                    walk.seen[next / 64] |= 1 << (next % 64);
                    walk.open.push(*next);
                }
            }
        }
        walk.has(to)
    }
}

/// How far a walk through chains has come.
struct Reached {
    /// A bit for each step: there are up to ten thousand, and as many walks.
    seen: Vec<u64>,
    open: Vec<usize>,
}

impl Reached {
    fn has(&self, step: usize) -> bool {
        self.seen[step / 64] & (1 << (step % 64)) != 0
    }
}
