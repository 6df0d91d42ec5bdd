//! Which documents are workflows, what they are called, and which of them are imported.

use windlass_dialects::{
    Dialect, HandlerTypes, ImportOptions, Imported, Severity, import, import_bytes,
};

use crate::checks::{codes, listing, options};

const FOUR: &str = include_str!("../data/four-documents.yaml");

fn names(imported: &Imported) -> Vec<&str> {
    imported
        .workflows
        .iter()
        .map(|workflow| workflow.definition.name())
        .collect()
}

#[test]
fn a_stream_may_hold_all_forms_of_documents() {
    let imported = import(FOUR, &options());
    assert!(imported.ok(), "{}", listing(&imported));
    assert_eq!(imported.dialect, Dialect::StepGroupsYaml);
    assert_eq!(names(&imported), ["ship", "ship-2", "shop/x", "shop/y"]);
    assert_eq!(imported.handlers_needed, ["t", "u"]);
    assert_eq!(imported.diagnostics.len(), 1);
    let found = &imported.diagnostics[0];
    assert_eq!(
        (found.code, found.severity),
        ("document-without-workflow", Severity::Warning)
    );
    assert_eq!((found.document, found.line), (Some(4), Some(25)));
    assert!(
        found
            .message
            .starts_with("ship.yaml:25 document 4: no workflow in it"),
        "{found}"
    );
    assert_eq!(
        import_bytes(FOUR.as_bytes(), &options()).diagnostics,
        imported.diagnostics
    );
}

#[test]
fn one_workflow_can_be_chosen_by_its_name() {
    let broken = FOUR.replace("{name: build, type: t}", "{name: build, when: maybe}");
    let mut options = options();
    options.document = Some("shop/y".to_owned());
    let imported = import(&broken, &options);
    assert!(imported.ok(), "{}", listing(&imported));
    assert_eq!(names(&imported), ["shop/y"]);
    assert_eq!(imported.handlers_needed, ["u"]);
    assert!(imported.diagnostics.is_empty());

    options.document = Some("shop/z".to_owned());
    let imported = import(&broken, &options);
    assert_eq!(codes(&imported, Severity::Error), ["no-workflow-found"]);
    assert!(listing(&imported).contains("(it has: ship, ship-2, shop/x, shop/y)"));
}

#[test]
fn each_form_has_its_name() {
    for (text, name) in [
        (
            "kind: ProductWorkflow\nmetadata: {name: p}\nsteps: [{name: a, type: t}]",
            "p",
        ),
        (
            "kind: PlatformWorkflow\nmetadata: {name: 7}\nspec: {steps: [{name: a, type: t}]}",
            "7",
        ),
        ("name: own\nsteps: [{name: a, type: t}]", "own"),
        ("steps: [{name: a, type: t}]", "ship-1"),
        (
            "\u{feff}# header\n\nsteps: [{name: a, type: t}]\r\n",
            "ship-1",
        ),
    ] {
        let imported = import(text, &options());
        assert!(imported.ok(), "{}", listing(&imported));
        assert_eq!(names(&imported), [name]);
        assert!(imported.diagnostics.is_empty(), "{}", listing(&imported));
    }
}

#[test]
fn a_file_may_begin_with_many_comments() {
    let text = format!(
        "{}steps: [{{name: a, type: t}}]",
        "# licence\n".repeat(1_000)
    );
    assert!(import(&text, &options()).ok());
}

#[test]
fn anchors_may_be_used() {
    let text = "
base: &base {k: 1, deep: &deep [x]}
steps:
  - {name: a, type: &type t, config: *base}
  - {name: b, type: *type, config: {deep: *deep}}
";
    let imported = import(text, &options());
    assert!(imported.ok(), "{}", listing(&imported));
    assert_eq!(codes(&imported, Severity::Info), ["not-workflow-content"]);
    let json = serde_json::to_string(&imported.workflows[0].definition).unwrap();
    assert!(json.contains(r#""config":{"k":1,"deep":["x"]}"#), "{json}");
    assert_eq!(imported.handlers_needed, ["t"]);
}

#[test]
fn a_document_that_cannot_be_read_does_not_hide_the_others() {
    let text =
        "steps: [{name: a, type: t}\n---\nsteps: [{name: b, type: t, when: maybe}]\n---\na: *x\n";
    let imported = import(text, &options());
    assert_eq!(
        codes(&imported, Severity::Error),
        ["document-syntax", "unknown-when"]
    );
    assert_eq!(names(&imported), ["ship-2"]);
}

#[test]
fn the_dialect_is_recognised_also_in_broken_files() {
    for (text, recognised) in [
        (FOUR, true),
        ("steps: [{name: a, type: t}]", true),
        ("kind: Workflow", true),
        ("steps:\n  - name: a\n\ttype: t\n", true),
        ("{\"steps\": {\"a\": ", false),
        ("type: playbook\nspec_version: cacao-2.0\n", false),
        ("", false),
        ("just text", false),
    ] {
        let expected = recognised.then_some(Dialect::StepGroupsYaml);
        assert_eq!(Dialect::recognise(text), expected, "{text}");
    }
}

#[test]
fn a_dialect_is_found_by_its_name() {
    assert_eq!("step-groups-yaml".parse(), Ok(Dialect::StepGroupsYaml));
    assert_eq!(Dialect::StepGroupsYaml.to_string(), "step-groups-yaml");
    let unknown = "bpmn".parse::<Dialect>().unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "\"bpmn\" is no dialect, so nothing can read the file; use step-groups-yaml, parallel-json, cacao, workflow-json"
    );
}

#[test]
fn a_star_stands_for_every_handler() {
    let mut options = ImportOptions::new("ship.yaml");
    options.handlers = HandlerTypes::Known(vec!["x".to_owned(), "*".to_owned()]);
    assert!(import(FOUR, &options).ok());
    options.handlers = HandlerTypes::Known(vec!["t".to_owned()]);
    let imported = import(FOUR, &options);
    let found: Vec<_> = imported
        .diagnostics
        .iter()
        .map(|d| (d.code, d.step.as_deref()))
        .collect();
    assert_eq!(
        found,
        [
            ("no-handler", Some("up")),
            ("no-handler", Some("down")),
            ("document-without-workflow", None),
        ]
    );
}
