//! Every example through the kill sweep: killed before and after each commit, each step done once.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use windlass::{Handler, Handlers, Json, StepError, StepOutput, Workflow};
use windlass_dialects::{
    ImportOptions, ImportedWorkflow, import, made_up_result, record_output, record_result,
    step_input,
};
use windlass_testkit::{Case, End};

/// In the place of a program: gives what the file reads of its step, else what that is called.
fn simulated(workflow: &ImportedWorkflow) -> Handler {
    let made_up = workflow.rehearsal.clone();
    Handler::blocking(move |context, data| {
        if let Some(mut made_up) = made_up_result(context.config())? {
            // The branch of the example that fails and is handled.
            if context.step() == "Judge the alert" {
                made_up
                    .variables
                    .insert("__kind__".to_owned(), json!("malware"));
            } else if context.step() == "Isolate at the firewall" {
                return Err(StepError::failed("it does not answer"));
            }
            let data = record_result(context.config(), data, context.step(), &made_up)?;
            return Ok(StepOutput::data(data.expect("a step of a playbook")));
        }
        step_input(context.config(), data)?;
        let name = json!(context.step());
        let output = made_up.get(context.step()).unwrap_or(&name);
        let data = record_output(data, context.step(), output)?;
        Ok(StepOutput::data(data))
    })
}

#[test]
fn each_example_survives_a_kill_at_every_commit() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let (mut kills, mut dialects) = (0, Vec::new());
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let imported = import(&text, &ImportOptions::new(path.display().to_string()));
        assert!(
            imported.ok(),
            "{}: {:?}",
            path.display(),
            imported.diagnostics
        );
        dialects.push(imported.dialect.as_str());
        for workflow in imported.workflows {
            let handlers = workflow.definition.handlers();
            let handlers = handlers.into_iter().fold(Handlers::new(), |all, name| {
                all.with(name, simulated(&workflow))
            });
            let workflow =
                Workflow::<Json>::from_parts(workflow.definition, workflow.functions, handlers);
            let case = Case::new(&workflow, &Json::default());
            let case = case.ends(|end| matches!(end, End::Succeeded(_)));
            kills += case.kill_everywhere().crashes;
        }
    }
    dialects.sort_unstable();
    assert_eq!(dialects, ["cacao", "parallel-json", "step-groups-yaml"]);
    assert!(kills >= 60, "{kills} kills");
}
