//! The functions of a playbook's graph, as data.

mod begin;
mod branches;
mod decision;
mod failing;
mod manual;
mod reading;
mod subplaybook;
mod wording;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_workflow_model::{Definition, Fault, Function, Functions, codes};

pub(crate) use begin::{Begin, Declared, as_value};
pub(crate) use branches::{Entered, Merging};
pub(crate) use decision::{By, Decision, ON_FALSE, ON_TRUE, Question, answers};
pub(crate) use failing::Folding;
pub use failing::exception_handled;
pub(crate) use manual::{Answer, Task};
pub(crate) use reading::Reading;
pub use reading::{Decided, Handled};
pub(crate) use subplaybook::{Child, Returned};
pub(crate) use wording::{BEGIN, Wording};

use crate::stored_rule::StoredRule;

/// A step of the file where it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// Its name in rows and errors.
    pub(crate) step: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) branch: Option<String>,
}

impl Standing {
    /// An error of its own.
    pub(crate) fn fault(&self, code: &str, message: &str) -> Fault {
        let fault = Fault::new(code, message).permanent();
        fault.at(&self.step, self.parent.as_deref(), self.branch.as_deref())
    }
}

/// What one function does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(crate) enum Rule {
    /// Makes the data of a run from its input.
    Begin(Begin),
    /// Changes nothing: a place that ways lead to.
    Pass,
    /// Judges a condition or switch and writes the branch down.
    Decide(Decision),
    /// Shows what was decided, and on what.
    Show(Reading),
    /// Writes down what a person has chosen.
    Chose(Question),
    /// Whether this branch of the step was chosen.
    Branch { step: String, branch: String },
    /// Begins a scope of variables.
    Enter(Entered),
    /// Ends one.
    Leave { scope: String },
    /// Brings the branches of a parallel together.
    Merge(Merging),
    /// Whether something has failed that nobody has handled yet.
    HasFailed,
    /// Whether what has failed is the step's own.
    IsOwn,
    /// The branch has come to the implied join of this parallel.
    Arrive { parallel: String },
    /// Whether any branch has.
    HasArrived { parallel: String },
    /// Writes a failure into the data.
    Fail(Folding),
    /// Puts what a node fails with into the words of the dialect.
    Words(Wording),
    /// Notes that `on_failure` handles what has failed.
    Handled { step: String },
    /// Shows what was handled.
    ShowHandled { step: String },
    /// Gives what has failed to the exception chain.
    BeginException,
    /// Fails with what is on its way.
    Raise,
    /// Fails with what the exception chain was started for, and with what has failed in it.
    RaiseException,
    /// Puts a task for a person into the data.
    Ask(Task),
    /// Takes the answer.
    Answer(Answer),
    /// The input of a called playbook.
    Call(Child),
    /// Takes what it has given.
    Returned(Returned),
}

impl StoredRule for Rule {
    const PREFIX: &'static str = "cacao ";

    fn function(self) -> Function {
        match self {
            Self::Begin(begin) => Function::Compute(Arc::new(move |input| begin.run(input))),
            Self::Pass => Function::Compute(Arc::new(|data| Ok(data.clone()))),
            Self::Decide(decision) => {
                Function::Compute(Arc::new(move |data| decision.decide(data)))
            }
            Self::Show(reading) => Function::Compute(Arc::new(move |data| reading.shown(data))),
            Self::Chose(question) => Function::Compute(Arc::new(move |data| question.settle(data))),
            Self::Branch { step, branch } => decision::is_chosen(step, branch),
            Self::Enter(entered) => Function::Compute(Arc::new(move |data| entered.enter(data))),
            Self::Leave { scope } => branches::leave(scope),
            Self::Merge(merging) => Function::Merge(Arc::new(move |before, arrivals| {
                merging.merge(before, arrivals)
            })),
            Self::HasFailed => failing::has_failed(),
            Self::IsOwn => failing::is_own(),
            Self::Arrive { parallel } => branches::arrive(parallel),
            Self::HasArrived { parallel } => branches::has_arrived(parallel),
            Self::Fail(folding) => {
                Function::Fold(Arc::new(move |data, fault| folding.fold(data, fault)))
            }
            Self::Words(wording) => {
                Function::Wording(Arc::new(move |fault| Ok(wording.words(fault))))
            }
            Self::Handled { step } => failing::handled(step),
            Self::ShowHandled { step } => {
                Function::Compute(Arc::new(move |data| Handled::shown(&step, data)))
            }
            Self::BeginException => failing::begin_exception(),
            Self::Raise => failing::raise(),
            Self::RaiseException => failing::raise_exception(),
            Self::Ask(task) => Function::Compute(Arc::new(move |data| task.ask(data))),
            Self::Answer(answer) => {
                Function::Reply(Arc::new(move |data, event| answer.take(data, event)))
            }
            Self::Call(child) => Function::Compute(Arc::new(move |data| child.input(data))),
            Self::Returned(returned) => {
                Function::Reply(Arc::new(move |data, event| returned.take(data, event)))
            }
        }
    }
}

/// The functions of a stored playbook, which stand in its definition: nothing has to be imported again
/// to go on with its runs.
///
/// # Errors
/// The names of functions that this version cannot read.
pub fn functions(definition: &Definition) -> Result<Functions, Vec<String>> {
    Rule::functions(definition)
}

/// That something was called which the graph does not allow.
pub(crate) fn stray(text: &str) -> Fault {
    Fault::new(codes::INTERNAL, text).permanent()
}
