//! The workflows that this engine has the code for.

use std::collections::HashMap;

use windlass_store::sync::{Arc, RwLock};
use windlass_workflow_model::{
    Branches, Definition, Delay, FunctionRole, Functions, NodeId, NodeKind, StepSpec, WorkflowKey,
};

use crate::handler::{Handler, Handlers};

/// A workflow with everything that it needs to run.
#[derive(Debug)]
pub struct Served {
    definition: Arc<Definition>,
    functions: Functions,
    /// By node; only steps have one.
    handlers: Vec<Option<Handler>>,
}

/// Handlers and functions that a workflow names and nobody gave.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "workflow {workflow:?} cannot be served here: no handler for {handlers:?}, no function \
     {functions:?}; give them before opening, or correct the names"
)]
pub struct MissingParts {
    /// The workflow's name.
    pub workflow: String,
    /// Handlers, sorted, each once.
    pub handlers: Vec<String>,
    /// Functions.
    pub functions: Vec<String>,
}

impl Served {
    /// Puts a workflow and its code together.
    ///
    /// # Errors
    /// [`MissingParts`] with all that is missing.
    pub fn new(
        definition: Arc<Definition>,
        functions: Functions,
        handlers: &Handlers,
    ) -> Result<Self, MissingParts> {
        let mut missing = MissingParts {
            workflow: definition.name().to_owned(),
            handlers: Vec::new(),
            functions: Vec::new(),
        };
        let mut by_node = Vec::with_capacity(definition.nodes().len());
        for node in definition.nodes() {
            let handler = match &node.kind {
                NodeKind::Step(step) => {
                    let handler = handlers.get(&step.handler).cloned();
                    if handler.is_none() {
                        missing.handlers.push(step.handler.clone());
                    }
                    handler
                }
                _ => None,
            };
            by_node.push(handler);
            for (name, role) in functions_of(&node.kind) {
                if !functions.has(name, role) {
                    missing.functions.push(name.to_owned());
                }
            }
            if let Some(fold) = node.on_fault.as_ref().and_then(|path| path.fold.as_ref())
                && !functions.has(fold, FunctionRole::Fold)
            {
                missing.functions.push(fold.clone());
            }
        }
        missing.handlers.sort_unstable();
        missing.handlers.dedup();
        if !missing.handlers.is_empty() || !missing.functions.is_empty() {
            return Err(missing);
        }
        Ok(Self {
            definition,
            functions,
            handlers: by_node,
        })
    }

    /// The definition.
    pub fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    pub(crate) fn functions(&self) -> &Functions {
        &self.functions
    }

    pub(crate) fn step(&self, node: NodeId) -> Option<(&StepSpec, &Handler)> {
        match (
            &self.definition.node(node).kind,
            &self.handlers[node.0 as usize],
        ) {
            (NodeKind::Step(step), Some(handler)) => Some((step, handler)),
            _ => None,
        }
    }
}

fn functions_of(kind: &NodeKind) -> Vec<(&str, FunctionRole)> {
    match kind {
        NodeKind::Step(step) => step
            .guard
            .iter()
            .map(|name| (name.as_str(), FunctionRole::Guard))
            .collect(),
        NodeKind::Choice { arms, .. } => arms
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
        } => vec![(merge, FunctionRole::Merge)],
        NodeKind::Sleep {
            delay: Delay::Computed(name),
        } => vec![(name, FunctionRole::Delay)],
        NodeKind::Await {
            reply: Some(reply), ..
        } => vec![(reply, FunctionRole::Reply)],
        NodeKind::Compute { function } => vec![(function, FunctionRole::Compute)],
        NodeKind::Split {
            branches: Branches::Static(_),
            ..
        }
        | NodeKind::Join { merge: None, .. }
        | NodeKind::Sleep {
            delay: Delay::FixedMs(_),
        }
        | NodeKind::Await { reply: None, .. }
        | NodeKind::Detach { .. } => Vec::new(),
    }
}

/// All workflows that are served, by key.
#[derive(Debug)]
pub struct Serving {
    /// Tells the store apart from every other one; part of each idempotency key.
    nonce: String,
    all: RwLock<HashMap<WorkflowKey, Arc<Served>>>,
}

impl Serving {
    /// Serves nothing yet, on the store that `nonce` names.
    pub fn new(nonce: impl Into<String>) -> Self {
        Self {
            nonce: nonce.into(),
            all: RwLock::default(),
        }
    }

    pub(crate) fn nonce(&self) -> &str {
        &self.nonce
    }

    /// Serves one more.
    pub fn insert(&self, key: WorkflowKey, served: Arc<Served>) {
        self.all.write().insert(key, served);
    }

    /// The workflow of that key.
    pub fn get(&self, key: WorkflowKey) -> Option<Arc<Served>> {
        self.all.read().get(&key).cloned()
    }

    /// The workflow of that name that was served last, in any version.
    pub(crate) fn named(&self, name: &str) -> Option<(WorkflowKey, Arc<Served>)> {
        let all = self.all.read();
        let named = all
            .iter()
            .filter(|(_, served)| served.definition.name() == name);
        named
            .max_by_key(|(key, _)| **key)
            .map(|(key, served)| (*key, Arc::clone(served)))
    }
}
