//! Plays runs of parallel JSON in a chosen order of branches.

use serde_json::{Value, json};
use windlass_dialects::{ImportedWorkflow, record_output, run_outputs, step_input};
use windlass_workflow_model::{Fault, Payload, StepSpec};

pub(crate) use crate::player::Order;
use crate::player::{HANG, World, run};

/// What an agent answers: from the name of the agent, the step and its input.
pub(crate) type Work<'a> = &'a dyn Fn(&str, &str, &Value) -> Result<Value, Fault>;

/// The agents of the specification's examples: `ok`, `bad`, and `hang`, which never answers.
pub(crate) fn agents(agent: &str, step: &str, _: &Value) -> Result<Value, Fault> {
    match agent {
        "bad" => Err(Fault::new("handler-failed", "boom")),
        "hang" => Err(Fault::new(HANG, "it hangs")),
        _ => Ok(json!({ "v": step })),
    }
}

/// What a run has come to.
pub(crate) struct Played {
    pub(crate) result: Result<Payload, Fault>,
    /// The steps whose agent was called, in order.
    pub(crate) called: Vec<String>,
    /// What they were given.
    pub(crate) inputs: Vec<Value>,
}

impl Played {
    /// The outputs of all steps.
    pub(crate) fn outputs(&self) -> Value {
        match &self.result {
            Ok(data) => run_outputs(data),
            Err(fault) => panic!("the run failed: {}", fault.summary()),
        }
    }

    /// The whole data of a run that succeeded.
    pub(crate) fn data(&self) -> Value {
        self.result
            .as_ref()
            .expect("it succeeds")
            .decode()
            .expect("JSON")
    }

    /// The errors of a run that failed: step, branch, code and message.
    pub(crate) fn errors(&self) -> Vec<String> {
        let fault = self.result.as_ref().expect_err("it fails");
        let line = |e: &windlass_workflow_model::ErrorEntry| {
            let branch = e.branch.as_deref().unwrap_or("-");
            format!("{} ({branch}) {}: {}", e.step, e.code, e.message)
        };
        fault.errors.iter().map(line).collect()
    }

    /// What a step was given.
    pub(crate) fn input_of(&self, step: &str) -> &Value {
        let at = self.called.iter().position(|called| called == step);
        &self.inputs[at.unwrap_or_else(|| panic!("{step} was not called"))]
    }
}

/// Plays a run.
pub(crate) fn play(
    imported: &ImportedWorkflow,
    input: &Value,
    order: Order,
    work: Work<'_>,
) -> Played {
    let mut agency = Agency {
        work,
        called: Vec::new(),
        inputs: Vec::new(),
    };
    let input = Payload::encode(input).expect("JSON");
    let result = run(&mut agency, order, imported, &[], input);
    Played {
        result,
        called: agency.called,
        inputs: agency.inputs,
    }
}

/// The agents of a run.
struct Agency<'a> {
    work: Work<'a>,
    called: Vec<String>,
    inputs: Vec<Value>,
}

impl World for Agency<'_> {
    fn work(&mut self, step: &str, spec: &StepSpec, data: &Payload) -> Result<Payload, Fault> {
        let given = step_input(&spec.config, data)?.expect("a step of this dialect");
        self.called.push(step.to_owned());
        self.inputs.push(given.input.clone());
        let output = (self.work)(&spec.handler, step, &given.input)?;
        record_output(data, step, &output)
    }
}
