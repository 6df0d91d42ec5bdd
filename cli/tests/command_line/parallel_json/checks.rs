//! What is said of a file before it is run.

use super::{SIMULATED, run};
use crate::lab::Lab;

#[test]
fn a_dialect_can_be_named_and_lenient_repairs() {
    let lab = Lab::new();
    lab.write("h.toml", SIMULATED);
    lab.write(
        "w.json",
        r#"{"name": "w", "start_step": "a", "steps": {"a": {"agent_name": "ok", "retries": 3}}}"#,
    );
    let strict = lab.call(&["check", "w.json"]).expect(2);
    for code in ["error[field-missing]", "error[unknown-key]"] {
        assert!(strict.out.contains(code), "{}", strict.out);
    }
    let lenient = lab
        .call(&["check", "w.json", "--lenient", "--json"])
        .expect(0);
    assert_eq!(lenient.json()["dialect"], "parallel-json");
    run(&lab, &["--lenient"])
        .expect(0)
        .says(&["warning[field-missing]"]);
    lab.write(
        "windlass.toml",
        "[dialects.parallel-json]\nmode = 'lenient'\n",
    );
    run(&lab, &[]).expect(0);
    let named = ["check", "w.json", "--dialect", "step-groups-yaml"];
    lab.call(&named)
        .expect(2)
        .says(&["w.json is read as step-groups-yaml, as --dialect says"]);
    let wrong = lab
        .call(&["check", "w.json", "--dialect", "yaml"])
        .expect(2);
    wrong.says(&["\"yaml\" is no dialect", "parallel-json"]);
    lab.write("notes.txt", "hello: 1\n");
    lab.call(&["check", "notes.txt"])
        .expect(2)
        .says(&["name that with --dialect"]);
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once_with_their_places() {
    let lab = Lab::new();
    let path = "/../dialects/tests/data/six-mistakes.json";
    let path = [env!("CARGO_MANIFEST_DIR"), path].concat();
    lab.write("w.json", &std::fs::read_to_string(path).unwrap());
    let check = lab.call(&["check", "w.json"]).expect(2);
    let lines: Vec<_> = check.out.lines().collect();
    for code in [
        "id-mismatch",
        "n-required-invalid",
        "duplicate-child",
        "type-unsupported",
        "cycle",
        "reference-not-ready",
    ] {
        let told = |line: &&str| line.contains(&format!("error[{code}]"));
        let line = lines.iter().find(|line| told(line));
        let line = line.unwrap_or_else(|| panic!("{code} is not in {lines:#?}"));
        let place: Vec<_> = line.split(':').take(3).collect();
        assert_eq!(place[0], "w.json", "{line}");
        assert!(
            place[1..].iter().all(|n| n.parse::<u32>().is_ok()),
            "{line}"
        );
    }
    lab.write("h.toml", SIMULATED);
    run(&lab, &[])
        .expect(2)
        .says(&lines)
        .says(&["nothing was run"]);
}
