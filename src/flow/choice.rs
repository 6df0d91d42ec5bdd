//! Exclusive choice.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use windlass_store::sync::Arc;
use windlass_workflow_model::{Function, NodeId};

use super::{Flow, decode};

impl<T: Serialize + DeserializeOwned + 'static> Flow<T> {
    /// Exclusive choice: the first arm whose predicate holds is taken, else `otherwise`.
    #[must_use]
    pub fn choice(self, name: &str, arms: impl FnOnce(Arms<T>) -> Arms<T>) -> Self {
        let choice = self.parts.borrow_mut().draft.choice(name);
        let flow = self.branch(|flow| flow);
        let name = name.to_owned();
        let made = arms(Arms {
            choice,
            name,
            count: 0,
            flow,
            open: vec![choice],
            ends: Vec::new(),
        });
        let mut flow = self.then(choice, made.open);
        flow.ends.extend(made.ends);
        flow
    }
}

/// The arms of a choice in the making.
pub struct Arms<T> {
    choice: NodeId,
    name: String,
    count: usize,
    flow: Flow<T>,
    open: Vec<NodeId>,
    ends: Vec<NodeId>,
}

impl<T> fmt::Debug for Arms<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arms")
            .field("choice", &self.name)
            .finish_non_exhaustive()
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Arms<T> {
    /// One more arm: taken if `when` holds and no arm before it was.
    #[must_use]
    pub fn when(
        mut self,
        arm: &str,
        when: impl Fn(&T) -> bool + Send + Sync + 'static,
        body: impl FnOnce(Flow<T>) -> Flow<T>,
    ) -> Self {
        let predicate = Function::Predicate(Arc::new(move |data| Ok(when(&decode(data)?))));
        let role = format!("when-{}", self.count);
        let when = self.flow.function(&self.name, &role, predicate);
        let body = self.flow.branch(body);
        self.flow
            .parts
            .borrow_mut()
            .draft
            .arm(self.choice, arm, when, body.first);
        self.open.extend(body.open);
        self.ends.extend(body.ends);
        self.count += 1;
        self
    }

    /// Taken if no arm is. Without it, what follows the choice is.
    #[must_use]
    pub fn otherwise(mut self, body: impl FnOnce(Flow<T>) -> Flow<T>) -> Self {
        let body = self.flow.branch(body);
        if let Some(first) = body.first {
            self.flow
                .parts
                .borrow_mut()
                .draft
                .otherwise(self.choice, first);
        }
        self.open.extend(body.open);
        self.ends.extend(body.ends);
        self
    }
}
