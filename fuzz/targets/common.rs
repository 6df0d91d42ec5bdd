//! What holds of every import, whatever the text is.

use windlass_dialects::{
    Dialect, HandlerTypes, ImportOptions, Imported, Mode, PlaybookFile, import,
};

/// Imports a text in both modes and checks what came out.
pub fn check(text: &str, dialect: Dialect) {
    for mode in [Mode::Strict, Mode::Lenient] {
        let mut options = ImportOptions::new("f");
        options.dialect = Some(dialect);
        options.mode = mode;
        options.handlers = HandlerTypes::Known(vec!["*".to_owned()]);
        options.cacao.parallelizable = Some(true);
        options.cacao.upgrade_1x = Some(true);
        options.cacao.playbooks = vec![PlaybookFile {
            file: "f".to_owned(),
            text: text.to_owned(),
        }];
        let imported = import(text, &options);
        check_imported(&imported);
    }
    let _ = Dialect::recognise(text);
}

fn check_imported(imported: &Imported) {
    for found in &imported.diagnostics {
        assert!(!found.message.chars().any(char::is_control), "{found:?}");
        assert!(found.line.is_none_or(|line| line > 0));
    }
    assert!(imported.diagnostics.len() <= 5_000);
    if !imported.ok() {
        return;
    }
    for workflow in imported.workflows.iter().chain(&imported.called) {
        for (name, role) in workflow.definition.functions() {
            assert!(workflow.functions.has(name, role), "{name} is missing");
        }
        let json = serde_json::to_string(&workflow.definition).expect("a definition is JSON");
        assert!(!json.is_empty());
    }
}
