//! The pure functions of a workflow, found by name.
//!
//! Predicates, branch functions, merges and the like: quick, without effects, the same answer for
//! the same data. One that panics is a fault of its node, never of the engine.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::definition::Node;
use crate::fault::{ErrorEntry, Fault, codes};
use crate::payload::Payload;

/// What a branch brought to its join.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Its place in branch order, from 0.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// How it came to its end.
    pub outcome: BranchOutcome,
}

/// How a branch came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BranchOutcome {
    /// Well, with its last data.
    Succeeded(Payload),
    /// With all its errors.
    Failed(Fault),
    /// Withdrawn, for this reason.
    Cancelled(String),
}

/// What branches brought to their join, in branch order.
pub type Arrivals<'a> = &'a mut dyn Iterator<Item = Arrival>;

/// A branch that a function asks for.
#[derive(Clone, Debug)]
pub struct BranchSeed {
    /// Shown in lists and errors. Need not be unique.
    pub name: String,
    /// The data it starts with.
    pub data: Payload,
}

/// An event as it was sent.
#[derive(Clone, Debug)]
pub struct Event {
    /// What came with it.
    pub payload: Payload,
    /// Whether the sender reports a fault instead of a reply.
    pub is_fault: bool,
}

/// What a guard says of its step or call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Do it.
    Run,
    /// Pass it by, for this reason.
    Skip(String),
}

/// One function, by its role.
#[derive(Clone)]
pub enum Function {
    /// Judges an arm of a choice.
    Predicate(Arc<dyn Fn(&Payload) -> Result<bool, Fault> + Send + Sync>),
    /// Says whether a step runs or a call is made.
    Guard(Arc<dyn Fn(&Payload) -> Result<Verdict, Fault> + Send + Sync>),
    /// Finds the branches of a split.
    Items(Arc<dyn Fn(&Payload) -> Result<Vec<BranchSeed>, Fault> + Send + Sync>),
    /// Makes the data after a join from the data before the split and the arrivals, in branch order.
    /// They are read as they are asked for: those of a large map are never all in memory.
    Merge(Arc<dyn Fn(&Payload, Arrivals<'_>) -> Result<Payload, Fault> + Send + Sync>),
    /// Puts a fault into the data.
    Fold(Arc<dyn Fn(&Payload, &Fault) -> Result<Payload, Fault> + Send + Sync>),
    /// Puts the payload of an event into the data.
    Reply(Arc<dyn Fn(&Payload, &Event) -> Result<Payload, Fault> + Send + Sync>),
    /// Changes the data.
    Compute(Arc<dyn Fn(&Payload) -> Result<Payload, Fault> + Send + Sync>),
    /// Says how long a timer waits.
    Delay(Arc<dyn Fn(&Payload) -> Result<Duration, Fault> + Send + Sync>),
    /// Says how many instances a map has.
    Count(Arc<dyn Fn(&Payload) -> Result<u32, Fault> + Send + Sync>),
    /// Makes the data of the instance of a map with this index.
    Item(Arc<dyn Fn(&Payload, u32) -> Result<Payload, Fault> + Send + Sync>),
    /// Counts one more instance of a map: from what was counted so far (null at first) and what it
    /// brought, gives what is counted now and whether that is enough.
    Tally(Arc<dyn Fn(&Payload, &Arrival) -> Result<(Payload, bool), Fault> + Send + Sync>),
    /// Finds the correlation of a wait in the data.
    Key(Arc<dyn Fn(&Payload) -> Result<String, Fault> + Send + Sync>),
    /// Puts the errors of a node that failed into the words of its author, at least one. Those of its own
    /// name no step yet.
    Wording(Arc<dyn Fn(&Fault) -> Result<Vec<ErrorEntry>, Fault> + Send + Sync>),
}

/// The roles that a function can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FunctionRole {
    /// See [`Function::Predicate`].
    Predicate,
    /// See [`Function::Guard`].
    Guard,
    /// See [`Function::Items`].
    Items,
    /// See [`Function::Merge`].
    Merge,
    /// See [`Function::Fold`].
    Fold,
    /// See [`Function::Reply`].
    Reply,
    /// See [`Function::Compute`].
    Compute,
    /// See [`Function::Delay`].
    Delay,
    /// See [`Function::Count`].
    Count,
    /// See [`Function::Item`].
    Item,
    /// See [`Function::Tally`].
    Tally,
    /// See [`Function::Key`].
    Key,
    /// See [`Function::Wording`].
    Wording,
}

impl Function {
    /// Its role.
    pub fn role(&self) -> FunctionRole {
        match self {
            Self::Predicate(_) => FunctionRole::Predicate,
            Self::Guard(_) => FunctionRole::Guard,
            Self::Items(_) => FunctionRole::Items,
            Self::Merge(_) => FunctionRole::Merge,
            Self::Fold(_) => FunctionRole::Fold,
            Self::Reply(_) => FunctionRole::Reply,
            Self::Compute(_) => FunctionRole::Compute,
            Self::Delay(_) => FunctionRole::Delay,
            Self::Count(_) => FunctionRole::Count,
            Self::Item(_) => FunctionRole::Item,
            Self::Tally(_) => FunctionRole::Tally,
            Self::Key(_) => FunctionRole::Key,
            Self::Wording(_) => FunctionRole::Wording,
        }
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Function::{:?}", self.role())
    }
}

/// The functions of one workflow.
#[derive(Clone, Debug, Default)]
pub struct Functions(BTreeMap<String, Function>);

macro_rules! callers {
    ($($call:ident: $variant:ident($($arg:ident: $type:ty),*) -> $out:ty;)*) => {
        $(pub(crate) fn $call(&self, name: &str, $($arg: $type),*) -> Result<$out, Fault> {
            match self.0.get(name) {
                Some(Function::$variant(function)) => guarded(name, || function($($arg),*)),
                _ => Err(missing(name, FunctionRole::$variant)),
            }
        })*
    };
}

impl Functions {
    /// No functions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one; the one that had the name before is handed back.
    pub fn insert(&mut self, name: impl Into<String>, function: Function) -> Option<Function> {
        self.0.insert(name.into(), function)
    }

    /// Takes all of another set.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether there is a function with that name, whatever it is for.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Whether there is a function of this name and role.
    pub fn has(&self, name: &str, role: FunctionRole) -> bool {
        self.0
            .get(name)
            .is_some_and(|function| function.role() == role)
    }

    /// The key that a step of the workflow gives whatever it calls, from the data.
    ///
    /// # Errors
    /// The fault of the function.
    pub fn step_key(&self, name: &str, data: &Payload) -> Result<String, Fault> {
        self.key(name, data)
    }

    callers! {
        predicate: Predicate(data: &Payload) -> bool;
        guard: Guard(data: &Payload) -> Verdict;
        items: Items(data: &Payload) -> Vec<BranchSeed>;
        merge: Merge(data: &Payload, arrivals: Arrivals<'_>) -> Payload;
        fold: Fold(data: &Payload, fault: &Fault) -> Payload;
        reply: Reply(data: &Payload, event: &Event) -> Payload;
        compute: Compute(data: &Payload) -> Payload;
        delay: Delay(data: &Payload) -> Duration;
        count: Count(data: &Payload) -> u32;
        item: Item(data: &Payload, index: u32) -> Payload;
        tally: Tally(counted: &Payload, arrival: &Arrival) -> (Payload, bool);
        key: Key(data: &Payload) -> String;
        wording: Wording(fault: &Fault) -> Vec<ErrorEntry>;
    }

    /// A fault of `node` in the words of its author, who cannot change whether it may be tried again.
    /// Where that fails or gives nothing, no error is lost.
    pub fn worded(&self, node: &Node, fault: Fault) -> Fault {
        let Some(wording) = &node.wording else {
            return fault;
        };
        let (retryable, output) = (fault.retryable, fault.output.clone());
        let errors = match self.wording(wording, &fault) {
            Ok(errors) if !errors.is_empty() => errors,
            Ok(_) => fault.errors,
            Err(second) => Fault::join([fault, second]).errors,
        };
        Fault {
            retryable,
            output,
            ..Fault::of_errors(errors)
        }
    }
}

fn missing(name: &str, role: FunctionRole) -> Fault {
    Fault::new(
        codes::INTERNAL,
        format!("the workflow has no function {name:?} of role {role:?}"),
    )
    .permanent()
}

fn guarded<T>(name: &str, call: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let text = panic_text(panic.as_ref());
        Err(Fault::new(
            codes::PANICKED,
            format!("function {name:?} panicked: {text}"),
        )
        .permanent())
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
