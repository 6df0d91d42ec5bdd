//! How a `fork_join` judges its branches.

use serde_json::{Value, json};
use windlass_dialects::{EarlyExit, ImportOptions};

use super::{OK, run, run_with};
use crate::checks::options;
use crate::play::{Order, Played};

const HANG: &str = r#""agent_name": "hang""#;

/// A fork of one step per branch, and what comes of it.
fn fork(agents: &[&str], config: &str, options: &ImportOptions) -> Played {
    let ids: Vec<_> = (0..agents.len()).map(|n| format!("s{n}")).collect();
    let branches: Vec<_> = ids
        .iter()
        .map(|id| format!(r#""b{id}": {{"steps": ["{id}"]}}"#))
        .collect();
    let fork = format!(
        r#""type": "fork_join", "fork_join_config": {{"branches": {{{}}}, {config}}}"#,
        branches.join(", ")
    );
    let steps: Vec<_> = agents
        .iter()
        .map(|agent| format!(r#""agent_name": "{agent}""#))
        .collect();
    let mut all = vec![("f", fork.as_str())];
    all.extend(
        ids.iter()
            .map(String::as_str)
            .zip(steps.iter().map(String::as_str)),
    );
    run_with(&all, options, &Value::Null, Order::First)
}

/// The fork of three branches, of which the third takes too long.
fn two_of_three(policy: &str) -> Vec<(&'static str, String)> {
    let branches = r#""branches": {"east": {"steps": ["e1", "e2"]}, "west": {"steps": ["w1"]}, "north": {"steps": ["n1"], "timeout_seconds": 1}}"#;
    let fork = format!(
        r#""type": "fork_join", "next_step": "use", "fork_join_config": {{{branches}, {policy}}}"#
    );
    let given = r#""agent_name": "ok", "input_mapping": {"r": "${fj.output}"}"#;
    let mut steps = vec![("fj", fork)];
    steps.extend(["e1", "e2", "w1"].map(|id| (id, OK.to_owned())));
    steps.extend([("n1", HANG.to_owned()), ("use", given.to_owned())]);
    steps
}

fn borrowed<'s>(steps: &'s [(&'s str, String)]) -> Vec<(&'s str, &'s str)> {
    steps
        .iter()
        .map(|(id, fields)| (*id, fields.as_str()))
        .collect()
}

#[test]
fn a_fork_join_judges_its_branches_by_its_policy() {
    let enough = two_of_three(r#""join_policy": "n_of_m", "n_required": 2"#);
    let played = run(&borrowed(&enough));
    let expected = r#"{"r":{"east":{"v":"e2"},"west":{"v":"w1"},"north":null}}"#;
    assert_eq!(played.input_of("use").to_string(), expected);
    assert_eq!(
        played.data()["warnings"],
        json!(["step fj: branch north failed, and the others are enough"])
    );
    let all = two_of_three(r#""join_policy": "all""#);
    let played = run(&borrowed(&all));
    assert_eq!(
        played.errors(),
        [
            "fj (-) policy-not-met: Fork-join failed: policy all needs 3 of 3 branch(es), 2 succeeded; failed: north",
            "fj (north) branch-timeout: branch north was not finished after 1 s; it was cancelled; raise timeout_seconds",
        ]
    );
    assert_eq!(
        played.called.iter().filter(|step| *step == "use").count(),
        0
    );
}

#[test]
fn majorities_and_single_winners_count_completed_branches() {
    let majority = r#""join_policy": "majority""#;
    let played = fork(&["ok", "bad", "ok", "bad"], majority, &options());
    assert_eq!(
        played.errors()[0],
        "f (-) policy-not-met: Fork-join failed: policy majority needs 3 of 4 branch(es), 2 succeeded; failed: bs1, bs3"
    );
    let played = fork(&["ok", "bad", "ok", "bad", "ok"], majority, &options());
    assert_eq!(played.outputs()["f"]["bs3"], Value::Null);
    let any = r#""join_policy": "any""#;
    let played = fork(&["bad", "bad", "ok"], any, &options());
    assert_eq!(played.outputs()["f"]["bs2"], json!({"v": "s2"}));
    let played = fork(&["bad", "bad"], any, &options());
    assert_eq!(
        played.errors()[0],
        "f (-) policy-not-met: Fork-join failed: policy any needs 1 of 2 branch(es), 0 succeeded; failed: bs0, bs1"
    );
}

#[test]
fn an_early_exit_leaves_unsettled_branches_null() {
    for early in ["cancel", "absorb"] {
        let config = format!(r#""join_policy": "any", "early_exit": "{early}""#);
        let played = fork(&["ok", "ok"], &config, &options());
        assert_eq!(
            played.outputs()["f"],
            json!({"bs0": {"v": "s0"}, "bs1": null})
        );
        assert_eq!(played.called, ["s0"]);
    }
    let mut by_option = options();
    by_option.parallel_json.early_exit = EarlyExit::Cancel;
    let played = fork(&["ok", "ok"], r#""join_policy": "any""#, &by_option);
    assert_eq!(played.called, ["s0"]);
    let none = r#""join_policy": "any", "early_exit": "none""#;
    let played = fork(&["ok", "ok"], none, &by_option);
    assert_eq!(played.outputs()["f"]["bs1"], json!({"v": "s1"}));
    let hopeless = r#""join_policy": "n_of_m", "n_required": 2, "early_exit": "cancel""#;
    let played = fork(&["bad", "bad", "ok"], hopeless, &options());
    assert_eq!(played.called, ["s0", "s1"]);
    assert_eq!(
        played.errors(),
        [
            "f (-) policy-not-met: Fork-join failed: policy n_of_m needs 2 of 3 branch(es), 1 at most can succeed; failed: bs0, bs1",
            "s0 (bs0) handler-failed: boom",
            "s1 (bs1) handler-failed: boom",
        ]
    );
}
