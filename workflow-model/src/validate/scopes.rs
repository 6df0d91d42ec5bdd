//! That every node stands in one scope, and that branches end where they are joined.

use std::collections::{HashMap, HashSet, VecDeque};

use super::{Check, edges};
use crate::definition::NodeKind;
use crate::ids::NodeId;

impl Check<'_> {
    /// Every node belongs to one scope (the run, a split or a detached branch); branches of a split
    /// end at its join and nowhere else, and nothing is out of reach.
    pub(super) fn scopes(&mut self) {
        let definition = self.definition;
        let mut scope_of: HashMap<NodeId, Option<NodeId>> = HashMap::new();
        let mut queue = VecDeque::from([(definition.start, None)]);
        while let Some((id, scope)) = queue.pop_front() {
            let node = definition.node(id);
            if let NodeKind::Join { split, .. } = &node.kind {
                // A branch that comes to its join ends there; its split goes on behind the join.
                if scope != Some(*split) {
                    let text = format!(
                        "a branch that is not of split {:?} leads into its join; join it where it was split",
                        definition.node(*split).name
                    );
                    self.report("crossing-branches", Some(&node.name), &text);
                }
                continue;
            }
            match scope_of.insert(id, scope) {
                None => {}
                Some(before) if before == scope => continue,
                Some(before) => {
                    scope_of.insert(id, before);
                    let text = "two branches that run side by side lead into it; join them first";
                    self.report("crossing-branches", Some(&node.name), text);
                    continue;
                }
            }
            if node.next.is_none() && self.must_reach_join(id, scope) {
                let split = scope
                    .map(|split| definition.node(split).name.clone())
                    .unwrap_or_default();
                let text = format!(
                    "its branch of split {split:?} ends here; connect it to the split's join"
                );
                self.report("branch-without-join", Some(&node.name), &text);
            }
            self.stands_right(id, scope);
            match &node.kind {
                NodeKind::Split { join, .. }
                | NodeKind::Scope { join, .. }
                | NodeKind::Map { join, .. } => {
                    let fault = node.on_fault.as_ref().map(|path| path.to);
                    let firsts = edges(definition, id).into_iter().map(|(to, _)| to);
                    queue.extend(
                        firsts
                            .filter(|to| Some(*to) != fault)
                            .map(|first| (first, Some(id))),
                    );
                    scope_of.insert(*join, scope);
                    let join_node = definition.node(*join);
                    if join_node.next.is_none()
                        && scope.is_some()
                        && self.must_reach_join(*join, scope)
                    {
                        let text = "it ends inside a branch of another split; connect it to that split's join";
                        self.report("branch-without-join", Some(&join_node.name), text);
                    }
                    queue.extend(join_node.next.map(|next| (next, scope)));
                    queue.extend(node.on_fault.as_ref().map(|path| (path.to, scope)));
                }
                NodeKind::Detach { body } => {
                    queue.push_back((*body, Some(id)));
                    queue.extend(node.next.map(|next| (next, scope)));
                    queue.extend(node.on_fault.as_ref().map(|path| (path.to, scope)));
                }
                _ => queue.extend(edges(definition, id).into_iter().map(|(to, _)| (to, scope))),
            }
        }
        let reached: HashSet<_> = scope_of.keys().copied().collect();
        for id in self.ids().filter(|id| !reached.contains(id)) {
            let name = definition.node(id).name.clone();
            self.report(
                "unreachable",
                Some(&name),
                "no way leads to it from the start; connect or remove it",
            );
        }
    }

    /// Whether a branch that ends at `id` never arrives anywhere: only branches of a split must.
    fn must_reach_join(&self, id: NodeId, scope: Option<NodeId>) -> bool {
        let Some(scope) = scope else { return false };
        let node = self.definition.node(id);
        let leaves_elsewhere = matches!(&node.kind, NodeKind::Choice { arms, otherwise } if
            otherwise.is_some() && arms.iter().all(|arm| arm.to.is_some()))
            || matches!(&node.kind, NodeKind::Select { arms } if
                arms.iter().all(|arm| arm.to.is_some()));
        let opens = matches!(
            node.kind,
            NodeKind::Split { .. } | NodeKind::Scope { .. } | NodeKind::Map { .. }
        );
        let joins = matches!(
            self.definition.node(scope).kind,
            NodeKind::Split { .. } | NodeKind::Map { .. }
        );
        let goes_on = matches!(
            &node.kind,
            NodeKind::Again { .. } | NodeKind::Terminate | NodeKind::Input { .. }
        );
        joins && !leaves_elsewhere && !opens && !goes_on
    }

    /// That a node stands where its kind may stand.
    fn stands_right(&mut self, id: NodeId, scope: Option<NodeId>) {
        let definition = self.definition;
        let node = definition.node(id);
        let in_scope = scope
            .is_some_and(|scope| matches!(definition.node(scope).kind, NodeKind::Scope { .. }));
        let needs_scope = matches!(
            node.kind,
            NodeKind::Fork { .. } | NodeKind::Meet { .. } | NodeKind::Input { .. }
        );
        if needs_scope && !in_scope {
            let text = "tokens fork and meet only inside a scope, which says when all is over; put it into one";
            self.report("outside-scope", Some(&node.name), text);
        }
    }
}
