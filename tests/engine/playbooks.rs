//! Imported playbooks on the engine, with handlers of a service.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::{Value as Json, json};
use windlass::{CommandResult, Handlers, ImportOptions, Workflow, command_handler, import};

use crate::harness::{Stepped, on_each, standing_clock};

/// One action with a limit of a minute.
fn playbook() -> String {
    let ids = ["start", "action", "end", "group", "identity", "playbook"]
        .map(|kind| format!("{kind}--a095f20f-9395-450c-b938-0b8edb224a6b"));
    let [start, action, end, group, identity, playbook] = &ids;
    json!({
        "type": "playbook", "spec_version": "cacao-2.0", "name": "limited",
        "id": playbook, "created_by": identity,
        "created": "2025-01-01T00:00:00.000Z", "modified": "2025-01-01T00:00:00.000Z",
        "agent_definitions": { group: { "type": "group", "name": "Team" } },
        "workflow_start": start,
        "workflow": {
            start: { "type": "start", "on_completion": action },
            action: { "type": "action", "name": "A", "agent": group, "timeout": 60_000,
                      "commands": [{ "type": "bash", "command": "true" }], "on_completion": end },
            end: { "type": "end" },
        },
    })
    .to_string()
}

#[test]
fn a_command_is_given_the_time_by_which_it_must_have_ended() {
    on_each(|place| {
        let mut imported = import(&playbook(), &ImportOptions::new("limited.json"));
        assert!(imported.ok(), "{:?}", imported.diagnostics);
        let limited = imported.workflows.remove(0);
        let bash = command_handler(|_, call| {
            let result = Some(call.input["deadline"].clone());
            Ok(CommandResult {
                result,
                ..CommandResult::default()
            })
        });
        let handlers = Handlers::new().with("bash", bash);
        let workflow =
            Workflow::<Json>::from_parts(limited.definition, limited.functions, handlers);
        // 22:13:20 of the 14th of November 2023.
        let builder = place.builder().clock(standing_clock());
        let mut stepped = Stepped::open(builder.workflow(&workflow));
        let run = stepped.begin(&workflow, &Json::Null);
        stepped.settle();
        let data = stepped.data::<Json>(run);
        assert_eq!(
            data["steps"]["A"]["outputs"]["result"],
            "2023-11-14T22:14:20Z"
        );
    });
}
