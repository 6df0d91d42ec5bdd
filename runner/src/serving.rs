//! The workflows that this engine has the code for.

use std::collections::HashMap;

use windlass_store::sync::{Arc, RwLock};
use windlass_store::{Admit, BranchRow, CalledRun, Store};
use windlass_workflow_model::{
    Call, Definition, Effect, Functions, NodeId, NodeKind, StepSpec, WorkflowKey,
};

use crate::context::shown;
use crate::handler::{Handler, Handlers};

/// A workflow with everything that it needs to run.
#[derive(Debug)]
pub struct Served {
    definition: Arc<Definition>,
    functions: Functions,
    /// By node; only steps have one.
    handlers: Vec<Option<Handler>>,
    /// Whether some of its steps can be undone.
    pub(crate) undoes: bool,
    /// By name: those that undo steps, or find out about them.
    others: HashMap<String, Handler>,
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
        let mut others = HashMap::new();
        let mut by_node = Vec::with_capacity(definition.nodes().len());
        for node in definition.nodes() {
            let handler = match &node.kind {
                NodeKind::Step(step) => {
                    let handler = handlers.get(&step.handler).cloned();
                    if handler.is_none() {
                        missing.handlers.push(step.handler.clone());
                    }
                    for name in step.handlers().skip(1) {
                        match handlers.get(name) {
                            Some(other) => {
                                others.insert(name.to_owned(), other.clone());
                            }
                            None => missing.handlers.push(name.to_owned()),
                        }
                    }
                    handler
                }
                _ => None,
            };
            by_node.push(handler);
        }
        for (name, role) in definition.functions() {
            if !functions.has(name, role) {
                missing.functions.push(name.to_owned());
            }
        }
        missing.handlers.sort_unstable();
        missing.handlers.dedup();
        if !missing.handlers.is_empty() || !missing.functions.is_empty() {
            return Err(missing);
        }
        Ok(Self {
            undoes: definition.undoes(),
            definition,
            functions,
            handlers: by_node,
            others,
        })
    }

    /// The definition.
    pub fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    pub(crate) fn functions(&self) -> &Functions {
        &self.functions
    }

    /// What finds out whether a step that must not happen twice has happened.
    pub(crate) fn reconcile(&self, node: NodeId) -> Option<&Handler> {
        let (step, _) = self.step(node)?;
        match &step.effect {
            Effect::AtMostOnce { reconcile } => self.others.get(reconcile.as_ref()?),
            Effect::Plain | Effect::Transactional | Effect::Idempotent { .. } => None,
        }
    }

    /// What undoes a step.
    pub(crate) fn undo(&self, node: NodeId) -> Option<&Handler> {
        let (step, _) = self.step(node)?;
        self.others.get(step.undo.as_ref()?)
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

/// All workflows that are served, by key.
#[derive(Debug)]
pub struct Serving {
    store: Store,
    /// Tells the store apart from every other one; part of each idempotency key.
    nonce: String,
    all: RwLock<HashMap<WorkflowKey, Arc<Served>>>,
}

impl Serving {
    /// Serves nothing yet.
    pub fn new(store: Store) -> Self {
        Self {
            nonce: store.nonce().to_owned(),
            store,
            all: RwLock::default(),
        }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
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

    /// Whether the workflow that is called is served here.
    pub(crate) fn knows(&self, call: &Call) -> bool {
        self.find(call).is_some()
    }

    fn find(&self, call: &Call) -> Option<(WorkflowKey, Arc<Served>)> {
        let Some(version) = &call.version else {
            return self.named(&call.workflow);
        };
        let all = self.all.read();
        let found = all.iter().find(|(_, served)| {
            let definition = served.definition();
            definition.name() == call.workflow && definition.version() == version
        });
        found.map(|(key, served)| (*key, Arc::clone(served)))
    }

    /// The run that a call starts, as urgent as the one that calls; `None` if it is not served here.
    pub(crate) fn call(&self, call: &Call, caller: &BranchRow) -> Option<CalledRun> {
        let (key, served) = self.find(call)?;
        Some(CalledRun {
            admit: Admit {
                priority: caller.priority(),
                ..Admit::new(key, served.definition(), call.input.clone())
            },
            shown: call.shown.clone().map(shown),
            depth_max: call.depth_max,
        })
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
