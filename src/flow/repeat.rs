//! Loops.

use serde::Serialize;
use serde::de::DeserializeOwned;
use windlass_store::sync::Arc;
use windlass_workflow_model::{Function, Problem};

use super::{Flow, decode};

impl<T: Serialize + DeserializeOwned + 'static> Flow<T> {
    /// Repeats `body` while `test` holds, which is asked before each round. After `rounds_max` rounds
    /// it fails with code `loop-limit` if it would go round once more.
    #[must_use]
    pub fn repeat_while(
        self,
        name: &str,
        rounds_max: u32,
        test: impl Fn(&T) -> bool + Send + Sync + 'static,
        body: impl FnOnce(Self) -> Self,
    ) -> Self {
        self.repeat(name, rounds_max, false, test, body)
    }

    /// Repeats `body` until `test` holds, which is asked after each round: so at least once.
    #[must_use]
    pub fn repeat_until(
        self,
        name: &str,
        rounds_max: u32,
        test: impl Fn(&T) -> bool + Send + Sync + 'static,
        body: impl FnOnce(Self) -> Self,
    ) -> Self {
        self.repeat(name, rounds_max, true, test, body)
    }

    fn repeat(
        self,
        name: &str,
        rounds_max: u32,
        until: bool,
        test: impl Fn(&T) -> bool + Send + Sync + 'static,
        body: impl FnOnce(Self) -> Self,
    ) -> Self {
        let test = Function::Predicate(Arc::new(move |data| Ok(test(&decode(data)?))));
        let test = self.function(name, "test", test);
        let body = self.branch(body);
        let node = {
            let draft = &mut self.parts.borrow_mut().draft;
            let (node, again) = draft.repeat(name, test, until, rounds_max);
            match body.first {
                Some(first) => draft.body(node, first),
                None => draft.problem(Problem::new(
                    "no-steps",
                    Some(name.to_owned()),
                    "a loop without a step does nothing, again and again; add one",
                )),
            }
            body.open.iter().for_each(|end| draft.connect(*end, again));
            node
        };
        let mut flow = self.then(node, vec![node]);
        flow.ends.extend(body.ends);
        flow
    }
}
