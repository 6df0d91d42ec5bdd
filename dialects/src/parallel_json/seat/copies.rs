//! Steps that branches of several conditionals lead to and that go on at different steps: every way
//! has a copy of its own, so that a node has one way on.
//!
//! Only of documents without mistakes. Copies stand behind all steps of the file, under the same ids.

use std::collections::HashMap;

use super::{Reaches, Seats, Shared, walk};
use crate::diagnostic::Report;
use crate::limits::STEPS_MAX;
use crate::parallel_json::document::Document;

/// Copies what is shared, until nothing is any more; reports it if that would be too much.
pub(super) fn made(document: &mut Document<'_>, report: &mut Report) -> Seats {
    let mut copies = HashMap::new();
    loop {
        let found = walk(document);
        let shared: Vec<_> = found.shared().collect();
        if shared.is_empty() {
            return found.seats;
        }
        let mut reaches = Reaches::default();
        for one in &shared {
            let ways = [one.stands, one.way];
            if found.report_twice(one.step, ways, &mut reaches, report) {
                return found.seats;
            }
        }
        let seats = found.seats;
        let mut copying = Copying {
            document,
            seats,
            copies: &mut copies,
            made: HashMap::new(),
        };
        for shared in shared {
            copying.lead(&shared);
        }
        if document.steps.len() > STEPS_MAX {
            let what = format!(
                "more than {STEPS_MAX} steps after copying shared tails; runs could not be followed any more; give conditionals a next_step"
            );
            report.error("expansion-too-large", &document.spot, what);
            return walk(document).seats;
        }
    }
}

struct Copying<'d, 'a> {
    document: &'d mut Document<'a>,
    seats: Seats,
    /// By step: its copies.
    copies: &'d mut HashMap<usize, Vec<usize>>,
    /// Copies made now, by step, with the way that they are for.
    made: HashMap<usize, Vec<(usize, usize)>>,
}

impl Copying<'_, '_> {
    /// Gives the chain that leads to a shared step a copy of it, and of what follows on the same way.
    fn lead(&mut self, shared: &Shared) {
        let (Some(mut by), mut field) = shared.led else {
            return;
        };
        let mut step = shared.step;
        while self.document.steps.len() <= STEPS_MAX {
            let known = self.known(step, shared.way);
            let to = known.unwrap_or_else(|| self.copy(step, shared.way));
            self.redirect(by, field, to);
            let next = self.document.steps[to].next.as_ref();
            let Some(next) = next.and_then(|next| next.target) else {
                return;
            };
            let way = &self.seats.ways[shared.way];
            if known.is_some() || way.ends_at(self.document, next) {
                return;
            }
            (by, field, step) = (to, "next_step", next);
        }
    }

    /// The step, or the copy of it, that stands on a way that goes on alike.
    fn known(&self, step: usize, way: usize) -> Option<usize> {
        let original = self.document.original(step);
        let made = self.made.get(&original).into_iter().flatten();
        let mut made = made.filter(|(_, of)| self.seats.go_on_alike(*of, way));
        if let Some((copy, _)) = made.next() {
            return Some(*copy);
        }
        let copies = self.copies.get(&original).into_iter().flatten().copied();
        let mut seated = std::iter::once(original).chain(copies).filter(|at| {
            let seat = self.seats.of.get(*at).and_then(Option::as_ref);
            seat.is_some_and(|seat| self.seats.go_on_alike(seat.way, way))
        });
        seated.next()
    }

    /// Copies a step with all that is inside it.
    fn copy(&mut self, step: usize, way: usize) -> usize {
        let mut all = vec![step];
        if !self.document.steps[step].lists().is_empty() {
            all.extend((0..self.seats.of.len()).filter(|at| self.is_inside(*at, step)));
        }
        let first = self.document.steps.len();
        let to: HashMap<usize, usize> = all.iter().copied().zip(first..).collect();
        for at in &all {
            let original = self.document.original(*at);
            let copies = self.copies.entry(original).or_default();
            copies.push(to[at]);
            let number = u32::try_from(copies.len() + 1).unwrap_or(u32::MAX);
            let mut copy = self.document.steps[*at].clone();
            copy.copy = Some((original, number));
            for link in copy.links() {
                if let Some(inside) = link.target.and_then(|target| to.get(&target)) {
                    link.target = Some(*inside);
                }
            }
            self.document.steps.push(copy);
        }
        let original = self.document.original(step);
        let made = self.made.entry(original).or_default();
        made.push((first, way));
        first
    }

    fn is_inside(&self, step: usize, block: usize) -> bool {
        let scope = |step: usize| self.seats.of[step].as_ref().map(|seat| seat.scope);
        let mut around = scope(step).and_then(|scope| self.seats.scopes[scope].block);
        while let Some(at) = around {
            if at == block {
                return true;
            }
            around = scope(at).and_then(|scope| self.seats.scopes[scope].block);
        }
        false
    }

    fn redirect(&mut self, by: usize, field: &str, to: usize) {
        let step = &mut self.document.steps[by];
        let link = match field {
            "next_step" => step.next.as_mut(),
            "on_failure" => step.on_failure.as_mut(),
            field => step.branch_mut(field == "if_true_step"),
        };
        if let Some(link) = link {
            link.target = Some(to);
        }
    }
}
