//! Every example through the kill sweep: killed before and after each commit, each step done once.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use windlass::{Handler, Handlers, Json, StepOutput, Workflow};
use windlass_dialects::{ImportOptions, import, record_output};
use windlass_testkit::{Case, End};

/// In the place of a program: says what its step is called.
fn simulated() -> Handler {
    Handler::blocking(|context, data| {
        let data = record_output(data, context.step(), &json!(context.step()));
        Ok(StepOutput::data(data.unwrap()))
    })
}

#[test]
fn each_example_survives_a_kill_at_every_commit() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut kills = 0;
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
        for workflow in imported.workflows {
            let handlers = workflow.definition.handlers();
            let handlers = handlers
                .into_iter()
                .fold(Handlers::new(), |all, name| all.with(name, simulated()));
            let workflow =
                Workflow::<Json>::from_parts(workflow.definition, workflow.functions, handlers);
            let case = Case::new(&workflow, &Json::default());
            let case = case.ends(|end| matches!(end, End::Succeeded(_)));
            kills += case.kill_everywhere().crashes;
        }
    }
    assert!(kills >= 20, "{kills} kills");
}
