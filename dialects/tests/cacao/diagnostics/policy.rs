//! Processing flags, as a policy.

use serde_json::{Value as Json, json};
use windlass_dialects::{Mode, import};

use super::changed;
use crate::play::{codes_of, options};

#[test]
fn policies() {
    let parallel = |p: &mut Json| {
        p["steps"]["A"] =
            json!({ "type": "parallel", "next_steps": ["B", "C"], "on_completion": "e1" });
        p["steps"]["B"] = json!({ "on_completion": "e2" });
        p["steps"]["C"] = json!({ "on_completion": "e3" });
    };
    let declared = changed(|p| {
        parallel(p);
        p["playbook_processing_summary"] = json!({ "parallel_processing": false });
    });
    let found = import(&declared, &options(Mode::Strict));
    assert_eq!(
        (found.diagnostics[0].code, found.ok()),
        ("summary-mismatch", false)
    );
    assert!(
        found.diagnostics[0]
            .message
            .ends_with("false, but \"A\" has it; consumers would be misled; correct it"),
        "{}",
        found.diagnostics[0]
    );
    let lenient = import(&declared, &options(Mode::Lenient));
    assert_eq!(
        (lenient.diagnostics[0].code, lenient.ok()),
        ("summary-mismatch", true)
    );

    let mut refusing = options(Mode::Strict);
    refusing.cacao.refuse_features = vec!["parallel_processing".to_owned()];
    let text = changed(parallel);
    assert_eq!(codes_of(&text, &refusing), ["feature-refused"]);
    assert_eq!(codes_of(&changed(|_| {}), &refusing), Vec::<&str>::new());
    refusing.cacao.parallelizable = Some(true);
    let chain = changed(|p| {
        p["steps"]["A"]["parallelizable"] = true.into();
        p["steps"]["A"]["on_completion"] = "B".into();
        p["steps"]["B"] = json!({ "on_completion": "e1" });
    });
    assert_eq!(codes_of(&chain, &refusing), ["feature-refused"]);
    refusing.cacao.refuse_features = vec!["paralel".to_owned()];
    assert_eq!(codes_of(&text, &refusing), ["option-invalid"]);
}
