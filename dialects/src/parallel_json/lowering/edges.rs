//! The edges between nodes.

use windlass_workflow_model::{NodeId, name_beside};

use super::{Lowering, Nodes};
use crate::parallel_json::block::{self, hand_over, has_failed};
use crate::parallel_json::seat::{End, branch_name};
use crate::parallel_json::step::Kind;

impl Lowering<'_, '_> {
    /// Leads a step to what it contains, to what follows it, and to where its failures go.
    pub(super) fn connect(&mut self, step: usize) {
        let Some(nodes) = self.nodes.get(&step).cloned() else {
            return;
        };
        if let Some(next) = self.end(self.seats.after(self.document, step), step) {
            self.draft.connect(nodes.exit, next);
        }
        self.connect_branches(step, &nodes);
        self.connect_lists(step, &nodes);
        self.connect_failures(step, &nodes);
    }

    /// The node where a chain goes on, seen from a step in it.
    fn end(&self, end: End, step: usize) -> Option<NodeId> {
        match end {
            End::Run => None,
            End::Step(next) => self.entry(next),
            End::Join(block) => {
                let nodes = self.nodes.get(&block)?;
                let branch = self.seats.scopes[self.seats.of[step].as_ref()?.scope].branch;
                let limited = nodes.limits.get(&branch).map(|(_, end)| *end);
                limited.or(nodes.ended).or(nodes.join)
            }
        }
    }

    fn connect_branches(&mut self, step: usize, nodes: &Nodes) {
        let document = self.document;
        let Kind::Conditional {
            then, otherwise, ..
        } = &document.steps[step].kind
        else {
            return;
        };
        let start = |link: &Option<_>| {
            let start = self.seats.branch_start(document, step, link.as_ref()?)?;
            self.entry(start)
        };
        let (then, otherwise) = (start(then), start(otherwise));
        let id = document.steps[step].id;
        self.draft
            .arm(nodes.exit, "then", format!("{id}/then"), then);
        if let Some(otherwise) = otherwise {
            self.draft.otherwise(nodes.exit, otherwise);
        }
    }

    fn connect_lists(&mut self, block: usize, nodes: &Nodes) {
        let document = self.document;
        let is_loop = nodes.failed.is_some();
        for (index, list) in document.steps[block].lists().into_iter().enumerate() {
            let first = list.first().and_then(|link| link.target);
            let Some(first) = first.and_then(|first| self.entry(first)) else {
                continue;
            };
            if is_loop {
                self.draft.body(nodes.entry, first);
                continue;
            }
            let name = branch_name(document, block, index);
            match nodes.limits.get(&index) {
                Some((scope, _)) => {
                    self.draft.body(*scope, first);
                    self.draft.branch(nodes.entry, name, *scope);
                }
                None => self.draft.branch(nodes.entry, name, first),
            }
        }
    }

    fn connect_failures(&mut self, step: usize, nodes: &Nodes) {
        let document = self.document;
        let id = document.steps[step].id;
        let own = self
            .seats
            .after_failure(document, step)
            .and_then(|to| self.end(to, step));
        let is_block = nodes.join.is_some();
        if let (Some(first), true) = (own, is_block) {
            let failed = self.function(format!("{id}/failed"), has_failed(id.to_owned()));
            let note = self.function(format!("{id}/handled"), block::note_handled(id.to_owned()));
            let handled = self
                .draft
                .compute(name_beside(&document.node_name(step), "handled"), note);
            self.draft.arm(nodes.exit, "failed", failed, Some(handled));
            self.draft.connect(handled, first);
            return;
        }
        let (to, fold) = match own {
            Some(first) => {
                let fold = self.function(format!("{id}/hand-over"), hand_over(id.to_owned()));
                (first, fold)
            }
            None => match self.inherited(step) {
                Some(inherited) => inherited,
                None => return,
            },
        };
        for node in &nodes.failing {
            self.draft.on_fault(*node, to, Some(fold.clone()));
        }
    }

    /// Where the failures of a step go that has no `on_failure` of its own: to that of a
    /// conditional around it, else to the end of its iteration. Elsewhere its branch fails.
    fn inherited(&mut self, step: usize) -> Option<(NodeId, String)> {
        let document = self.document;
        let seat = self.seats.of[step].as_ref()?;
        if let Some(conditional) = self.seats.ways[seat.way].handler {
            let to = self.seats.after_failure(document, conditional)?;
            let id = document.steps[conditional].id;
            let fold = self.function(format!("{id}/hand-over"), hand_over(id.to_owned()));
            return Some((self.end(to, conditional)?, fold));
        }
        let block = self.seats.scopes[seat.scope].block?;
        let failed = self.nodes.get(&block)?.failed?;
        Some((failed, format!("{}/keep", document.steps[block].id)))
    }
}
