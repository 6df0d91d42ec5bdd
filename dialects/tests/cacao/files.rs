//! Playbooks that others have written, where they are at hand: what is said of each, and what the
//! run of an accepted one does.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value as Json, json};
use windlass_dialects::{CommandResult, Imported, Mode, PlaybookFile, import, made_up_result};
use windlass_workflow_model::NodeKind;

use crate::play::{Play, options, play};

/// A file: what strict and lenient mode say (code × how often), and the order of the steps of a run
/// with made-up values; `None` if the file is refused.
struct Expected {
    file: &'static str,
    strict: &'static str,
    lenient: &'static str,
    order: Option<&'static str>,
}

const EXPECTED: [Expected; 12] = [
    Expected {
        file: "layout-extension--switch-example.json",
        strict: "commands-missing×4 condition-missing×1 field-missing×4 unknown-property×1",
        lenient: "repaired-l15×1 repaired-l4×1 repaired-l7×4 repaired-l8×4",
        order: Some(
            "switch case example/decide, Handle case 1, Action step after Switch condition",
        ),
    },
    Expected {
        file: "oca-iob-lotl--lotl-correlation.json",
        strict: "branch-end-shared×5 command-text×15 next-pointer-missing×9",
        lenient: "repaired-l1×9 repaired-l2×5 repaired-l7×15",
        order: Some(
            "Collect alert fields for \"logs deleted on computer\", Potential Attack Cleanup (add 2 points), Wait for all checks to be executed in the case, Tally points, Create Low Priority case, Notify security operator, Create/Amend correlation case",
        ),
    },
    Expected {
        file: "oca-iob-rev2-cacao1.1--correlate-and-score-alert.json",
        strict: "version-unsupported×1",
        lenient: "id-not-v4×74 repaired-l1×21 repaired-l15×13 repaired-l16×1 repaired-l18×4 repaired-l2×19 repaired-l4×1 repaired-l8×44 unknown-step×1 unreachable-step×8 upgraded×5",
        order: None,
    },
    Expected {
        file: "oca-iob-rev4--mitigate.json",
        strict: "branch-end-shared×7 command-text×18 next-pointer-missing×5 playbook-not-runnable×1 value-invalid×2",
        lenient: "repaired-l1×5 repaired-l16×2 repaired-l2×5 repaired-l7×18",
        order: Some(
            "Activity_0i6qxv4: Create ticket, Activity_1xrsq3p: Prompt analyst if blocking is needed, Activity_1t8x5d5: Block IP in Firewall, Activity_05xs8h2: Prompt analyst if remediation is needed, Activity_1vv8yyz: Quarantine system, Activity_0i91gen: Create ticket, Activity_1jfyg0y: Comment in ticket that system is quarantined, Activity_12ln1os: Send email to SOC analyst to review ticket, Activity_152668n: SOC analyst restores affected system, Activity_0uvmcne: Remove quarantine from system, Activity_1ufu0ds: Comment in ticket that system is restored and the quarantine is removed, Activity_07vriey: Close ticket, Activity_1gi6cid: Prompt analyst if additional tasks need to be performed, Activity_1qnpwn4: SOC analyst performs additional tasks, Activity_0j0scw4: Prompt analyst if event can be shared, Activity_0x1am58: Mark event for sharing submission, Event_0j39mxm: All gateways finish, Activity_1arg5f6: Close ticket",
        ),
    },
    Expected {
        file: "oca-iob-rev4--quarantine-and-remediate.json",
        strict: "command-text×8 value-invalid×1",
        lenient: "repaired-l16×1 repaired-l7×8",
        order: Some(
            "Activity_1vv8yyz: Quarantine system, Activity_0i91gen: Create ticket, Activity_1jfyg0y: Comment in ticket that system is quarantined, Activity_12ln1os: Send email to SOC analyst to review ticket, Activity_152668n: SOC analyst restores affected system, Activity_0uvmcne: Remove quarantine from system, Activity_1ufu0ds: Comment in ticket that system is restored and the quarantine is removed, Activity_07vriey: Close ticket",
        ),
    },
    Expected {
        file: "soarca-caldera--flow-control.json",
        strict: "branch-end-shared×1 condition-syntax×1 unreachable-step×1 variable-name-invalid×2",
        lenient: "repaired-l11×2 repaired-l2×1 repaired-l6×1 unreachable-step×1",
        order: Some(
            "Get some information using a caldera ability (will always set __should.execute.true__ to yes), Run some Caldera command if false (enumerate python)",
        ),
    },
    Expected {
        file: "soarca-docs--example-playbook-if-while.json",
        strict: "field-missing×3 id-type-mismatch×1 unknown-variable×1 variable-shadowed×1",
        lenient: "repaired-l13×4 repaired-l15×1 repaired-l8×3 variable-shadowed×1",
        order: Some(
            "Get current time current system, Perform an HTTP request, Increment the counter, Increment the counter, Increment the counter, Increment the counter, Increment the counter, Send OpenC2 command",
        ),
    },
    Expected {
        file: "soarca-example--http-playbook.json",
        strict: "start-line-invalid×1 timestamp-precision×2",
        lenient: "repaired-l18×1 timestamp-precision×2",
        order: Some("get"),
    },
    Expected {
        file: "soarca-example--manual-playbook.json",
        strict: "id-type-mismatch×1",
        lenient: "repaired-l13×1 repaired-l15×1",
        order: Some("manual"),
    },
    Expected {
        file: "soarca-test--infinite_playbook.json",
        strict: "cycle×1 start-line-invalid×5 start-wrong-type×1 timestamp-precision×2 unknown-step×1 workflow-incomplete×2",
        lenient: "cycle×1 repaired-l1×1 repaired-l10×2 repaired-l18×5 timestamp-precision×2 unknown-step×1",
        order: None,
    },
    Expected {
        file: "soarca-test--missing_step_playbook.json",
        strict: "start-line-invalid×4 start-wrong-type×1 timestamp-precision×2 unknown-step×2 unreachable-step×1 workflow-incomplete×1",
        lenient: "repaired-l10×2 repaired-l18×4 timestamp-precision×2 unknown-step×2 unreachable-step×1",
        order: None,
    },
    Expected {
        file: "soarca-test--parallels_playbook.json",
        strict: "branch-end-shared×1 next-pointer-missing×1 start-line-invalid×1 start-wrong-type×1 timestamp-precision×2 unknown-property×1 unknown-step×1 workflow-incomplete×1",
        lenient: "repaired-l1×1 repaired-l10×2 repaired-l15×1 repaired-l18×1 repaired-l2×1 timestamp-precision×2 unknown-step×1",
        order: None,
    },
];

/// What is run for one kind of alert.
const CORRECTED: &str = "Collect time, host, user account associated with exfil, Query Against other alerts, Record potential Exfil (Add 1 Point), Query Against Lateral Movement Alerts, Tally Points";

#[test]
fn files_of_others_are_told_and_run_as_expected() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/cacao");
    if !folder.exists() {
        eprintln!("skipped: there is no {}", folder.display());
        return;
    }
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
    let found = std::fs::read_dir(&folder).unwrap().filter_map(Result::ok);
    let found = found.filter(|entry| entry.path().extension().is_some_and(|end| end == "json"));
    assert_eq!(
        found.count(),
        EXPECTED.len(),
        "each file has an expectation"
    );
    let store: Vec<PlaybookFile> = EXPECTED
        .iter()
        .map(|expected| PlaybookFile {
            file: expected.file.to_owned(),
            text: read(expected.file),
        })
        .collect();
    let mut wrong = Vec::new();
    for expected in &EXPECTED {
        let text = read(expected.file);
        let imported = [Mode::Strict, Mode::Lenient].map(|mode| {
            let mut options = options(mode);
            options.file = expected.file.to_owned();
            options.cacao.playbooks.clone_from(&store);
            import(&text, &options)
        });
        let [strict, lenient] = &imported;
        let order = lenient.ok().then(|| order(lenient));
        let is = [
            said(strict),
            said(lenient),
            order.unwrap_or_else(|| "refused".to_owned()),
        ];
        let should = [
            expected.strict,
            expected.lenient,
            expected.order.unwrap_or("refused"),
        ];
        for (is, should) in is.iter().zip(should) {
            if is != should {
                wrong.push(format!("{}: {is}\n    instead of {should}", expected.file));
            }
        }
        assert!(!strict.ok(), "none of them is strictly right");
    }
    // The one of version 1.1 has a pointer that is cut off; with that made whole it runs.
    let text = read("oca-iob-rev2-cacao1.1--correlate-and-score-alert.json");
    let text = text.replace("a771-ea49216458f\"", "a771-ea49216458f1\"");
    let mut upgrading = options(Mode::Lenient);
    upgrading.file = "corrected.json".to_owned();
    let corrected = order(&import(&text, &upgrading));
    if corrected != CORRECTED {
        wrong.push(format!("corrected: {corrected}"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Codes and how often each comes.
fn said(imported: &Imported) -> String {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for found in &imported.diagnostics {
        *counts.entry(found.code).or_default() += 1;
    }
    let counts: Vec<_> = counts
        .iter()
        .map(|(code, count)| format!("{code}×{count}"))
        .collect();
    counts.join(" ")
}

/// The steps of a rehearsal, in order.
fn order(imported: &Imported) -> String {
    let all = imported.workflows.iter().chain(&imported.called);
    let configs: BTreeMap<String, Json> = all
        .flat_map(|workflow| workflow.definition.nodes())
        .filter_map(|node| match &node.kind {
            NodeKind::Step(step) => Some((node.name.clone(), step.config.clone())),
            _ => None,
        })
        .collect();
    let work = |step: &str, input: &Json| {
        let mut result: CommandResult = made_up_result(&configs[step])?.expect("a step of ours");
        // This one counts up to five.
        if step == "Increment the counter" {
            let name = "__soarca_ssh_result__";
            let n: u32 = input["command"]["bindings"][name]
                .as_str()
                .unwrap()
                .parse()
                .unwrap();
            result
                .variables
                .insert(name.to_owned(), (n + 1).to_string().into());
        }
        Ok(result)
    };
    let mut input = json!({});
    for (name, kind) in externals(imported) {
        input[name] = kind.into();
    }
    let played = play(
        imported,
        &input,
        Play {
            work: &work,
            ..Play::default()
        },
    );
    let end = match &played.result {
        Ok(_) => String::new(),
        Err(fault) => format!(", fails: {}", fault.summary()),
    };
    format!("{}{end}", played.done.join(", "))
}

/// Values for the variables that have to come from outside.
fn externals(imported: &Imported) -> Vec<(&'static str, &'static str)> {
    match imported.workflows[0]
        .definition
        .source()
        .map(|source| source.file.as_str())
    {
        Some("soarca-docs--example-playbook-if-while.json") => {
            vec![
                ("__target_ip__", "192.0.2.1"),
                ("__openc2_actuator_ip__", "192.0.2.2"),
            ]
        }
        Some("corrected.json") => vec![("__check_alert_type__", "Data Exfiltration")],
        Some("oca-iob-lotl--lotl-correlation.json") => {
            vec![("__event_type__", "logs deleted on computer")]
        }
        _ => Vec::new(),
    }
}
