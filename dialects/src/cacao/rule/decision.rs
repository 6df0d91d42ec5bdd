//! Which branch an if, while or switch takes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use windlass_workflow_model::{Fault, Function, Payload};

use crate::cacao::binding::{Bindings, Seen};
use crate::cacao::condition::{Condition, Undecided, evaluate};
use crate::cacao::rule::Standing;
use crate::cacao::state::State;
use crate::cacao::value::text_of;
use crate::diagnostic::quoted;

/// The branch of a condition that holds.
pub(crate) const ON_TRUE: &str = "on_true";

/// The branch of one that does not.
pub(crate) const ON_FALSE: &str = "on_false";

/// What a person may answer to take one of these branches: that a condition holds or does not, or the
/// name of a case.
pub(crate) fn answers(branches: &[String]) -> Vec<String> {
    match branches {
        [one, other] if one == ON_TRUE && other == ON_FALSE => {
            vec!["true".to_owned(), "false".to_owned()]
        }
        cases => cases.to_vec(),
    }
}

/// The case of a switch that is taken when no other is.
pub(crate) const DEFAULT: &str = "default";

/// How a logic step decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Decision {
    pub(crate) at: Standing,
    /// The step's id, under which the choice is kept.
    pub(crate) step: String,
    pub(crate) by: By,
    pub(crate) bindings: Bindings,
    pub(crate) lenient: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum By {
    Condition(Condition),
    Switch {
        variable: String,
        cases: Vec<String>,
    },
}

impl Decision {
    pub(super) fn decide(&self, data: &Payload) -> Result<Payload, Fault> {
        let mut state = State::read(data)?;
        let mut missing = self.lenient.then(Vec::new);
        let chosen = match &self.by {
            By::Condition(condition) => {
                let seen = Seen {
                    bindings: &self.bindings,
                    state: &state,
                };
                let holds = evaluate(condition, &seen, &mut missing);
                let holds = holds.map_err(|undecided| self.undecided(undecided))?;
                (if holds { ON_TRUE } else { ON_FALSE }).to_owned()
            }
            By::Switch { variable, cases } => self.case(&mut state, variable, cases)?,
        };
        for name in missing.into_iter().flatten() {
            state.warn(format!(
                "{}: {name} has no value, so its comparison is taken as false",
                self.at.step
            ));
        }
        state.choose(&self.step, &chosen);
        state.write()
    }

    fn case(&self, state: &mut State, variable: &str, cases: &[String]) -> Result<String, Fault> {
        let text = match text_of(self.bindings.value(state, variable)) {
            Some(text) => text,
            None if self.lenient => {
                state.warn(format!(
                    "{}: {variable} has no value, so no case matches",
                    self.at.step
                ));
                String::new()
            }
            None => return Err(self.undecided(Undecided::Missing(variable.to_owned()))),
        };
        let has = |case: &str| cases.iter().any(|known| known == case);
        if has(&text) {
            return Ok(text);
        }
        if has(DEFAULT) {
            return Ok(DEFAULT.to_owned());
        }
        state.warn(format!(
            "switch-no-match: {}: value {} matches no case; no branch runs; add default",
            self.at.step,
            quoted(&text)
        ));
        // No case has this name: names of cases are texts of the file, and this is their number.
        Ok(format!("none of {}", cases.len()))
    }

    fn undecided(&self, undecided: Undecided) -> Fault {
        match undecided {
            Undecided::Missing(name) => {
                let text = format!(
                    "{name} has no value; nothing could be decided; let an earlier step write it"
                );
                self.at.fault("variable-no-value", &text)
            }
            Undecided::Error(what) => self.at.fault("condition-error", &what),
        }
    }
}

/// Whether this branch was chosen.
pub(super) fn is_chosen(step: String, branch: String) -> Function {
    Function::Predicate(Arc::new(move |data| {
        Ok(State::read(data)?.choice(&step) == Some(branch.as_str()))
    }))
}

/// A choice that a person makes (rule L4), after it was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Question {
    /// The name under which its answer stands.
    pub(crate) asked: String,
    pub(crate) step: String,
    pub(crate) choices: Vec<String>,
    pub(crate) at: Standing,
}

impl Question {
    /// The variable that a person answers with.
    pub(crate) const ANSWER: &'static str = "__answer__";

    pub(super) fn settle(&self, data: &Payload) -> Result<Payload, Fault> {
        let mut state = State::read(data)?;
        let pending = state.pending();
        state.clear_pending();
        let answer = pending
            .get(Self::ANSWER)
            .and_then(Json::as_str)
            .unwrap_or_default();
        // A condition is answered with true or false, a switch with the name of a case.
        let chosen = match answer {
            _ if self.choices.iter().any(|choice| choice == answer) => answer,
            _ if answer.eq_ignore_ascii_case("true") => ON_TRUE,
            _ if answer.eq_ignore_ascii_case("false") => ON_FALSE,
            other => other,
        };
        if !self.choices.iter().any(|choice| choice == chosen) {
            let text = format!(
                "the answer is {}, and the choices are {}; answer again with one of them",
                quoted(answer),
                answers(&self.choices).join(", ")
            );
            return Err(self.at.fault("value-invalid", &text));
        }
        state.choose(&self.step, chosen);
        state.write()
    }
}
