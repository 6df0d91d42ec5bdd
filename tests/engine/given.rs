//! What a function of a workflow gives though it fails: it stays in the row of its node.

use std::sync::Arc;

use crate::harness::{Stepped, codes, on_each};
use windlass::{
    Draft, Fault, Function, Functions, Handler, Handlers, Payload, StepError, StepSpec, StepStatus,
    Workflow,
};

/// A gateway that fails and gives something, alone or behind a step that fails.
fn failing(behind_step: bool) -> Workflow<String> {
    let mut draft = Draft::new("given", behind_step.to_string());
    let raise = draft.compute("raise", "raise".to_owned());
    if behind_step {
        let step = draft.step("bad", StepSpec::new("bad"));
        draft.on_fault(step, raise, None);
        draft.start_at(step);
    } else {
        draft.start_at(raise);
    }
    let bad = Handler::blocking(|_, _: &Payload| Err(StepError::new("bad", "of the step")));
    let mut functions = Functions::new();
    let raised = |data: &Payload| {
        let mut fault = Fault::new("raised", "of the gateway").permanent();
        fault.output = Some(Box::new(data.clone()));
        Err(fault)
    };
    functions.insert("raise".to_owned(), Function::Compute(Arc::new(raised)));
    let definition = draft.finish().expect("two nodes at most");
    Workflow::from_parts(definition, functions, Handlers::new().with("bad", bad))
}

#[test]
fn what_a_gateway_gave_that_failed_is_in_its_row_and_not_in_the_fault() {
    on_each(|place| {
        for behind_step in [false, true] {
            let workflow = failing(behind_step);
            let mut engine = Stepped::open(place.builder().workflow(&workflow));
            let run = engine.begin(&workflow, &"data".to_owned());
            engine.settle();
            let fault = engine.fault(run);
            assert_eq!((codes(&fault), &fault.output), (vec!["raised"], &None));
            let history = engine.inspector().history(run).unwrap();
            let shown: Vec<_> = history
                .iter()
                .map(|row| (row.node, row.status, row.detail.output.as_deref()))
                .collect();
            let given = Some(&br#""data""#[..]);
            let node = |name: &str| engine.show(run).definition.find(name).unwrap();
            let raised = (node("raise"), StepStatus::Failed, given);
            let mut expected = vec![raised];
            if behind_step {
                expected.insert(0, (node("bad"), StepStatus::Failed, None));
            }
            assert_eq!(shown, expected);
            engine.assert_no_leftovers();
        }
    });
}
