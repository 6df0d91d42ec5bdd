//! Files that nobody writes by accident: every one ends in a typed diagnostic, soon.

use windlass_dialects::{Dialect, Imported, import, import_bytes, limits};

use crate::checks::{listing, options};

fn check(text: &str, code: &str) -> Imported {
    let imported = import(text, &options());
    let found = imported.diagnostics.iter().any(|d| d.code == code);
    assert!(found, "{code} is not in\n{}", listing(&imported));
    assert!(!imported.ok());
    imported
}

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect::<Vec<_>>().concat()
}

#[test]
fn a_file_that_is_too_large_is_refused_unread() {
    let large = vec![b'#'; 50 * 1024 * 1024];
    let imported = import_bytes(&large, &options());
    assert_eq!(imported.diagnostics[0].code, "document-too-large");
    let text = String::from_utf8(large).unwrap();
    check(&text, "document-too-large");
    assert_eq!(Dialect::recognise(&text), None);
}

#[test]
fn a_large_file_is_read() {
    let text = lines(10_000, |n| {
        format!(
            "- {{name: s{n}, type: t, config: {{k: [1, 2, 3], s: 'a long setting of text'}}}}\n"
        )
    });
    let imported = import(&format!("steps:\n{text}"), &options());
    assert!(imported.ok(), "{}", listing(&imported));
    assert_eq!(imported.workflows[0].definition.nodes().len(), 10_000);
    let whole = limits::FILE_BYTES_MAX - "steps: []\n#".len();
    let full = format!("steps: []\n#{}", "x".repeat(whole));
    assert_eq!(import(&full, &options()).diagnostics[0].code, "no-steps");
    check(&(full + "x"), "document-too-large");
}

#[test]
fn deep_nesting_is_refused() {
    let depth = 100_000;
    check(&format!("steps: {}", "[".repeat(depth)), "nesting-too-deep");
    check(
        &format!("steps: {}", "{a: ".repeat(depth)),
        "nesting-too-deep",
    );
    let stairs = lines(1_000, |n| format!("{}a:\n", " ".repeat(n)));
    check(&stairs, "nesting-too-deep");
    check(&"- ".repeat(depth), "nesting-too-deep");
    // Aliases add up too.
    let chain = lines(200, |n| format!("a{}: &a{} [*a{n}]\n", n + 1, n + 1));
    let text = format!("a0: &a0 [x]\n{chain}");
    check(&text, "nesting-too-deep");
    let allowed = limits::NESTING_MAX - 4;
    let deep = format!(
        "steps:\n- name: a\n  type: t\n  config: {{k: {}{}}}",
        "[".repeat(allowed),
        "]".repeat(allowed)
    );
    assert!(import(&deep, &options()).ok());
    check(
        &deep.replace("k: [", "k: [[").replace("]}", "]]}"),
        "nesting-too-deep",
    );
}

#[test]
fn aliases_that_multiply_are_refused() {
    let bomb = lines(12, |n| {
        let before = vec![format!("*a{n}"); 10].join(", ");
        format!("a{}: &a{} [{before}]\n", n + 1, n + 1)
    });
    let text = format!("a0: &a0 [lol, lol]\n{bomb}steps: *a12\n");
    check(&text, "expansion-too-large");
    let long = format!(
        "a: &a {}\nb: [{}]\n",
        "x".repeat(100_000),
        vec!["*a"; 10_000].join(", ")
    );
    check(&long, "expansion-too-large");
    check("steps: &a [*a]\n", "document-syntax");
}

#[test]
fn huge_numbers_are_told_and_kept() {
    let nines = "9".repeat(100_000);
    let imported = check(
        &format!("steps: [{{name: a, type: t, timeout: {nines}}}]"),
        "field-type",
    );
    assert!(imported.diagnostics[0].message.len() < 300);
    check(
        &format!("steps: [{{name: a, type: t, parallelGroup: -{nines}}}]"),
        "field-type",
    );
    let kept = import(
        &format!("steps: [{{name: a, type: t, config: {{n: {nines}, e: 1e{nines}}}}}]"),
        &options(),
    );
    assert!(kept.ok());
    let codes: Vec<_> = kept.diagnostics.iter().map(|d| d.code).collect();
    assert_eq!(codes, ["number-kept-as-text", "number-kept-as-text"]);
}

#[test]
fn braces_that_never_close_are_read_once() {
    for (open, code) in [("{{", None), ("${", Some("unknown-reference"))] {
        let text = format!(
            "steps: [{{name: a, type: t, config: {{x: '{}'}}}}]",
            open.repeat(200_000)
        );
        let imported = import(&text, &options());
        assert_eq!(imported.diagnostics.first().map(|d| d.code), code);
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_place() {
    let imported = import_bytes(b"steps:\n  - name: \xc3\xbc\xff\n", &options());
    let found = &imported.diagnostics[0];
    assert_eq!(found.code, "document-syntax");
    assert_eq!((found.line, found.column), (Some(2), Some(12)));
    assert!(found.message.contains("0xff"), "{found}");
    assert!(!imported.ok());
}

#[test]
fn many_workflows_in_a_large_file_are_refused() {
    let document = "---\nsteps: [{name: a, type: t}]\n";
    check(&document.repeat(20_000), "too-many-workflows");
    assert_eq!(
        import(&document.repeat(100), &options()).workflows.len(),
        100
    );
}

#[test]
fn thousands_of_mistakes_are_counted_not_listed() {
    let odd = "  - {name: stepp, type: t, dependsOn: [step, stap], when: alway, paralel: true}\n";
    let imported = check(
        &format!("steps:\n{}", odd.repeat(20_000)),
        "more-diagnostics",
    );
    assert!(imported.diagnostics.len() < limits::DIAGNOSTICS_MAX + 20);
}

#[test]
fn long_rings_and_chains_are_walked_without_recursion() {
    let chain = lines(20_000, |n| {
        let on = (n + 1) % 20_000;
        format!("  - {{name: s{n}, type: t, parallel: true, dependsOn: [s{on}]}}\n")
    });
    check(&format!("steps:\n{chain}"), "dependency-cycle");
}

#[test]
fn any_piece_of_a_file_is_answered() {
    let text = include_str!("../data/ten-mistakes.yaml");
    for (end, _) in text.char_indices() {
        let _ = import(&text[..end], &options());
        let _ = import(&text[end..], &options());
    }
    for stray in [
        "\t", "&", "*", "!", "%", "|", ">", "'", "\"", "{", "]", "?", ":", "-", "\0", "\u{2028}",
        "---\n", "...\n", "<<: ",
    ] {
        for (at, _) in text.char_indices().step_by(3) {
            let mut broken = text.to_owned();
            broken.insert_str(at, stray);
            let _ = import(&broken, &options());
        }
    }
}
