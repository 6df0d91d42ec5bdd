//! Waits: for a time, for an event, for the first of several.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use windlass_store::sync::Arc;
use windlass_workflow_model::{Delay, EventMatch, Function, NodeId, TimeOfDay, Trigger};

use super::{Flow, decode, encode};

fn millis(duration: Duration) -> Delay {
    Delay::FixedMs(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

fn reply_of<T, R>(reply: impl Fn(&mut T, R) + Send + Sync + 'static) -> Function
where
    T: Serialize + DeserializeOwned + 'static,
    R: DeserializeOwned,
{
    Function::Reply(Arc::new(move |data, event| {
        let mut data: T = decode(data)?;
        reply(&mut data, decode(&event.payload)?);
        encode(&data)
    }))
}

impl<T: Serialize + DeserializeOwned + 'static> Flow<T> {
    /// Waits for `duration`, across restarts too.
    #[must_use]
    pub fn sleep(self, name: &str, duration: Duration) -> Self {
        self.add(|draft| draft.sleep(name, millis(duration)))
    }

    /// Waits until the clocks of a zone next show a time, such as 09:00 in Europe/Berlin.
    #[must_use]
    pub fn sleep_until(self, name: &str, time: TimeOfDay) -> Self {
        self.add(|draft| draft.sleep(name, Delay::Until(time)))
    }

    /// Waits for as long as the data says.
    #[must_use]
    pub fn sleep_for(
        self,
        name: &str,
        duration: impl Fn(&T) -> Duration + Send + Sync + 'static,
    ) -> Self {
        let delay = Function::Delay(Arc::new(move |data| Ok(duration(&decode(data)?))));
        let delay = self.function(name, "delay", delay);
        self.add(|draft| draft.sleep(name, Delay::Computed(delay)))
    }

    /// Waits for the event `event` of its run; `reply` puts what came with it into the data. An
    /// event that is a fault takes the fault path, which [`on_fault`](Self::on_fault) gives.
    #[must_use]
    pub fn wait_event<R: DeserializeOwned>(
        self,
        name: &str,
        event: &str,
        reply: impl Fn(&mut T, R) + Send + Sync + 'static,
    ) -> Self {
        let reply = self.function(name, "reply", reply_of(reply));
        self.add(|draft| draft.await_event(name, event, Some(reply)))
    }

    /// The wait before fails with code `wait-timeout` if its event does not come in that time.
    #[must_use]
    pub fn wait_timeout(self, timeout: Duration) -> Self {
        self.of_last(|draft, wait| draft.await_timeout(wait, millis(timeout)))
    }

    /// The wait before takes only an event that comes while it waits.
    #[must_use]
    pub fn transient(self) -> Self {
        self.of_last(|draft, wait| {
            draft.change_matching(wait, |matching| matching.transient = true);
        })
    }

    /// The wait before takes only an event that was sent with the correlation that `key` finds in the
    /// data.
    #[must_use]
    pub fn correlated(self, key: impl Fn(&T) -> String + Send + Sync + 'static) -> Self {
        let key = Function::Key(Arc::new(move |data| Ok(key(&decode(data)?))));
        let of = self
            .last
            .map_or_else(String::new, |last| format!("n{last}"));
        let key = self.function(&of, "key", key);
        self.of_last(|draft, wait| {
            draft.change_matching(wait, |matching| matching.correlation = Some(key));
        })
    }

    /// Deferred choice: the first of several events or times decides which way is taken; the others
    /// are withdrawn.
    #[must_use]
    pub fn select(self, name: &str, arms: impl FnOnce(Select<T>) -> Select<T>) -> Self {
        let node = self.parts.borrow_mut().draft.select(name);
        let flow = self.branch(|flow| flow);
        let made = arms(Select {
            node,
            name: name.to_owned(),
            count: 0,
            flow,
            open: Vec::new(),
            ends: Vec::new(),
        });
        let mut flow = self.then(node, made.open);
        flow.ends.extend(made.ends);
        flow
    }
}

/// The arms of a deferred choice in the making.
pub struct Select<T> {
    node: NodeId,
    name: String,
    count: usize,
    flow: Flow<T>,
    open: Vec<NodeId>,
    ends: Vec<NodeId>,
}

impl<T> fmt::Debug for Select<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select")
            .field("select", &self.name)
            .finish_non_exhaustive()
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Select<T> {
    /// One more way: taken if `event` comes first; `reply` puts what came with it into the data.
    #[must_use]
    pub fn on_event<R: DeserializeOwned>(
        self,
        arm: &str,
        event: &str,
        reply: impl Fn(&mut T, R) + Send + Sync + 'static,
        body: impl FnOnce(Flow<T>) -> Flow<T>,
    ) -> Self {
        let role = format!("reply-{}", self.count);
        let reply = self.flow.function(&self.name, &role, reply_of(reply));
        let on = Trigger::Event {
            event: event.to_owned(),
            reply: Some(reply),
            matching: EventMatch::default(),
        };
        self.arm(arm, on, body)
    }

    /// One more way: taken if nothing else comes in that time.
    #[must_use]
    pub fn after(self, arm: &str, delay: Duration, body: impl FnOnce(Flow<T>) -> Flow<T>) -> Self {
        self.arm(arm, Trigger::Timer(millis(delay)), body)
    }

    /// One more way: taken if nothing else comes before the clocks of a zone next show a time.
    #[must_use]
    pub fn at(self, arm: &str, time: TimeOfDay, body: impl FnOnce(Flow<T>) -> Flow<T>) -> Self {
        self.arm(arm, Trigger::Timer(Delay::Until(time)), body)
    }

    fn arm(mut self, arm: &str, on: Trigger, body: impl FnOnce(Flow<T>) -> Flow<T>) -> Self {
        let body = self.flow.branch(body);
        self.flow
            .parts
            .borrow_mut()
            .draft
            .select_arm(self.node, arm, on, body.first);
        if body.first.is_none() && !self.open.contains(&self.node) {
            self.open.push(self.node);
        }
        self.open.extend(body.open);
        self.ends.extend(body.ends);
        self.count += 1;
        self
    }
}
