//! The functions that a definition names, with their roles.

use crate::definition::{
    Branches, Count, Definition, Delay, Effect, EventMatch, NodeKind, Trigger,
};
use crate::functions::FunctionRole;

impl Definition {
    /// The names of all functions that it needs, with their roles, in the order of the nodes.
    pub fn functions(&self) -> Vec<(&str, FunctionRole)> {
        self.nodes
            .iter()
            .flat_map(|node| {
                let fold = node.on_fault.as_ref().and_then(|path| path.fold.as_deref());
                let fold = fold.map(|name| (name, FunctionRole::Fold));
                let wording = node.wording.as_deref();
                let wording = wording.map(|name| (name, FunctionRole::Wording));
                functions_of(&node.kind)
                    .into_iter()
                    .chain(fold)
                    .chain(wording)
            })
            .collect()
    }
}

fn functions_of(kind: &NodeKind) -> Vec<(&str, FunctionRole)> {
    match kind {
        NodeKind::Step(step) => {
            let guard = step.guard.as_deref();
            let key = match &step.effect {
                Effect::Idempotent { key } => key.as_deref(),
                Effect::Plain | Effect::Transactional | Effect::AtMostOnce { .. } => None,
            };
            let guard = guard.map(|name| (name, FunctionRole::Guard));
            let key = key.map(|name| (name, FunctionRole::Key));
            guard.into_iter().chain(key).collect()
        }
        NodeKind::Choice { arms, .. }
        | NodeKind::Split {
            branches: Branches::Chosen { arms, .. },
            ..
        } => arms
            .iter()
            .map(|arm| (arm.when.as_str(), FunctionRole::Predicate))
            .collect(),
        NodeKind::Split {
            branches: Branches::Computed { items, .. },
            ..
        } => {
            vec![(items, FunctionRole::Items)]
        }
        NodeKind::Join {
            merge: Some(merge), ..
        }
        | NodeKind::Meet {
            merge: Some(merge), ..
        } => vec![(merge, FunctionRole::Merge)],
        NodeKind::Fork { arms, .. } => arms
            .iter()
            .filter_map(|arm| Some((arm.when.as_deref()?, FunctionRole::Predicate)))
            .collect(),
        NodeKind::Loop { test, .. } => vec![(test, FunctionRole::Predicate)],
        NodeKind::Map {
            count, item, tally, ..
        } => {
            let count = match count {
                Count::Computed(name) => Some((name.as_str(), FunctionRole::Count)),
                Count::Fixed(_) => None,
            };
            let item = item.as_deref().map(|name| (name, FunctionRole::Item));
            let tally = tally.as_deref().map(|name| (name, FunctionRole::Tally));
            count.into_iter().chain(item).chain(tally).collect()
        }
        NodeKind::Call(call) => {
            let guard = call.guard.as_deref();
            let guard = guard.map(|name| (name, FunctionRole::Guard));
            let input = call.input.as_deref();
            let input = input.map(|name| (name, FunctionRole::Compute));
            let shown = call.shown.as_deref();
            let shown = shown.map(|name| (name, FunctionRole::Compute));
            let output = call.output.as_deref();
            let output = output.map(|name| (name, FunctionRole::Reply));
            let before = guard.into_iter().chain(input).chain(shown);
            before.chain(output).collect()
        }
        NodeKind::Sleep { delay } => of_delay(delay).into_iter().collect(),
        NodeKind::Await {
            reply,
            matching,
            timeout,
            ..
        } => of_event(reply.as_deref(), matching)
            .chain(timeout.as_ref().and_then(of_delay))
            .collect(),
        NodeKind::Select { arms } => arms
            .iter()
            .flat_map(|arm| match &arm.on {
                Trigger::Event {
                    reply, matching, ..
                } => of_event(reply.as_deref(), matching).collect(),
                Trigger::Timer(delay) => of_delay(delay).into_iter().collect::<Vec<_>>(),
            })
            .collect(),
        NodeKind::Compute { function, noted } => {
            let all = [Some(function), noted.as_ref()].into_iter().flatten();
            all.map(|name| (name.as_str(), FunctionRole::Compute))
                .collect()
        }
        NodeKind::Split {
            branches: Branches::Static(_) | Branches::Copies { .. },
            ..
        }
        | NodeKind::Join { merge: None, .. }
        | NodeKind::Meet { merge: None, .. }
        | NodeKind::Scope { .. }
        | NodeKind::Input { .. }
        | NodeKind::Merge { .. }
        | NodeKind::Terminate
        | NodeKind::Again { .. }
        | NodeKind::Cancel { .. }
        | NodeKind::Milestone { .. }
        | NodeKind::Detach { .. } => Vec::new(),
    }
}

fn of_delay(delay: &Delay) -> Option<(&str, FunctionRole)> {
    match delay {
        Delay::Computed(name) => Some((name, FunctionRole::Delay)),
        Delay::FixedMs(_) | Delay::Until(_) => None,
    }
}

fn of_event<'a>(
    reply: Option<&'a str>,
    matching: &'a EventMatch,
) -> impl Iterator<Item = (&'a str, FunctionRole)> {
    let reply = reply.map(|name| (name, FunctionRole::Reply));
    let key = matching.correlation.as_deref();
    reply
        .into_iter()
        .chain(key.map(|name| (name, FunctionRole::Key)))
}
