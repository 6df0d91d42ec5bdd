//! Runs, steps and graphs as lines for people.

use std::path::Path;

use serde_json::Value as Json;
use windlass::{
    BranchOutcome, BranchWait, Definition, ErrorEntry, Graph, MapResult, MapView, RunDetail, RunId,
    RunSummary, StepView, Timestamp, Why,
};

use crate::json::{NotesJson, outputs, status_of};
use crate::rows::Conditions;
use crate::tasks::Waiting;
use crate::time_text::{elapsed, rfc3339, rfc3339_seconds};

/// Digits of a run id that are shown where lines must be short; usually enough to name it.
const SHORT_DIGITS: usize = 8;

/// A run's id, shortened.
pub(crate) fn short(run: RunId) -> String {
    run.to_string().chars().take(SHORT_DIGITS).collect()
}

/// A number and its noun: `1 branch`, `2 branches`.
pub(crate) fn counted(number: impl Into<u64>, one: &str, many: &str) -> String {
    match number.into() {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    }
}

/// Lines whose columns line up; each ends with a newline.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        widest.max(head.get(column).map_or(0, |title| title.chars().count()))
    };
    let widths: Vec<_> = (0..head.len()).map(width).collect();
    let head: Vec<_> = head.iter().map(|title| title.to_uppercase()).collect();
    lines(std::iter::once(&head).chain(rows).map(|row| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    }))
}

/// Runs as a table.
pub(crate) fn runs(runs: &[RunSummary]) -> String {
    let rows: Vec<_> = runs
        .iter()
        .map(|run| {
            let took = match (run.started_at, run.ended_at) {
                (Some(start), Some(end)) => elapsed(end.since(start)),
                _ => String::new(),
            };
            vec![
                run.run.to_string(),
                run.status.to_string(),
                rfc3339_seconds(run.created_at.0),
                took,
                run.workflow.clone(),
                run.reason.clone().unwrap_or_default(),
            ]
        })
        .collect();
    table(
        &["run", "status", "created", "took", "workflow", "reason"],
        &rows,
    )
}

/// Times in a map that `show` lists for people, the last ones; `--json` has all.
const MAPS_LISTED_MAX: usize = 20;

/// A run in full, with the maps that it has begun.
///
/// `database` is the one that a flag names, if any; commands that are proposed name it too.
pub(crate) fn show(
    detail: &RunDetail,
    maps: &[MapView],
    conditions: &Conditions,
    database: Option<&Path>,
) -> String {
    let run = &detail.summary;
    let reason = run.reason.as_ref().map(|reason| format!(" ({reason})"));
    let time = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| rfc3339(at.0));
    let lines = [
        format!("run       {}", run.run),
        format!("workflow  {} (version {})", run.workflow, run.version),
        format!("status    {}{}", run.status, reason.unwrap_or_default()),
        format!("created   {}", time(Some(run.created_at))),
        format!("started   {}", time(run.started_at)),
        format!("ended     {}", time(run.ended_at)),
        format!("\n{}", steps(&detail.steps, conditions)),
    ];
    let mut text = lines.join("\n");
    if !maps.is_empty() {
        text.push_str("\nmaps\n");
        text.push_str(&map_lines(run.run, maps, database));
    }
    if !detail.errors.is_empty() {
        text.push_str("\nerrors\n");
        text.push_str(&errors(&detail.errors));
    }
    text.push_str(&notes(detail));
    text + &format!(
        "\noutputs\n  {}\n\ngraph\n{}",
        outputs(detail),
        graph(&detail.definition)
    )
}

/// What people are asked, each with how it is answered; nothing if nobody is asked. `database` is that
/// which a flag names.
pub(crate) fn tasks(tasks: &[Waiting], database: Option<&Path>) -> String {
    if tasks.is_empty() {
        return String::new();
    }
    let db = named_by_flag(database);
    let asks = tasks.iter().map(|waiting| {
        let task = &waiting.task;
        let owner = task.owner.as_ref().map(|owner| format!(" (for {owner})"));
        let target = waiting.target();
        let target = target.map(|target| format!("\n    target: {target}"));
        let variables = task.out_args.iter();
        let variables =
            variables.map(|(name, kind)| format!(" --var {name}={}", kind.to_uppercase()));
        let variables = variables.collect::<Vec<_>>().concat();
        format!(
            "  {}: {}{}{}\n    windlass approve {} {}{variables}{db}",
            task.step,
            waiting.text(),
            owner.unwrap_or_default(),
            target.unwrap_or_default(),
            waiting.run,
            quoted(&task.step)
        )
    });
    format!("\nwaiting for people\n{}", lines(asks))
}

fn steps(steps: &[StepView], conditions: &Conditions) -> String {
    let rows: Vec<_> = steps
        .iter()
        .map(|step| {
            let took = match (step.started_at, step.ended_at) {
                (Some(start), Some(end)) => elapsed(end.since(start)),
                _ => String::new(),
            };
            let error = step.error.as_ref().map(|error| error.message.clone());
            let condition = conditions.at(step);
            let taken_as = condition.and_then(|condition| condition.condition_error.as_ref());
            let taken_as = taken_as.map(|why| format!("taken as false: {why}"));
            vec![
                step.step.clone(),
                step.kind.clone(),
                step.parent.clone().unwrap_or_default(),
                branch(step),
                step.join_policy.clone().unwrap_or_default(),
                step.status.to_string(),
                if step.attempt == 0 {
                    String::new()
                } else {
                    step.attempt.to_string()
                },
                step.started_at
                    .map(|at| rfc3339_seconds(at.0))
                    .unwrap_or_default(),
                took,
                step.reason
                    .clone()
                    .or(error)
                    .or(taken_as)
                    .unwrap_or_default(),
            ]
        })
        .collect();
    let head = [
        "step", "kind", "parent", "branch", "policy", "status", "attempt", "started", "took", "why",
    ];
    table(&head, &rows)
}

/// The branch of a step, and the iteration that it is in where the branch is not that.
fn branch(step: &StepView) -> String {
    let branch = step.branch.clone().unwrap_or_default();
    let index = step.instance.map(|instance| instance.index.to_string());
    match index.filter(|index| !branch.ends_with(&format!("-{index}"))) {
        Some(index) => format!("{branch} [{index}]"),
        None => branch,
    }
}

/// Two lines for each time in a map: how far it is, and what reads its results.
fn map_lines(run: RunId, maps: &[MapView], database: Option<&Path>) -> String {
    let more = maps.len().saturating_sub(MAPS_LISTED_MAX);
    let left_out = (more > 0).then(|| format!("  {more} earlier ones are listed with --json"));
    let shown = maps.iter().enumerate().skip(more).map(|(at, map)| {
        let is_newest = maps[at + 1..].iter().all(|later| later.map != map.map);
        let mut read = vec![format!("windlass results {run} {}", quoted(&map.map))];
        read.extend((!is_newest).then(|| format!("--activation {}", map.activation)));
        read.extend(database.map(|path| format!("--db {}", path.display())));
        format!("  {}: {}\n    {}", map.map, standing(map), read.join(" "))
    });
    lines(left_out.into_iter().chain(shown))
}

/// `5 items, open to more: 2 running, 3 succeeded`.
pub(crate) fn standing(map: &MapView) -> String {
    let counts = [
        (map.waiting, "waiting"),
        (map.running, "running"),
        (map.succeeded, "succeeded"),
        (map.failed, "failed"),
        (map.cancelled, "cancelled"),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<_> = counts
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let items = counted(map.added(), "item", "items");
    let open = if map.is_open { ", open to more" } else { "" };
    let colon = if counts.is_empty() { "" } else { ": " };
    format!("{items}{open}{colon}{}", counts.join(", "))
}

/// A name as a shell takes it for one word.
pub(crate) fn quoted(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=".contains(c);
    if !name.is_empty() && !name.starts_with('-') && name.chars().all(is_plain) {
        name.to_owned()
    } else {
        format!("'{}'", name.replace('\'', "'\\''"))
    }
}

/// What one instance of a map gave, in a line.
pub(crate) fn result(result: &MapResult) -> String {
    let status = status_of(&result.outcome);
    let late = if result.is_late { " (late)" } else { "" };
    let gave = match &result.outcome {
        BranchOutcome::Succeeded(data) => String::from_utf8_lossy(data.as_bytes()).into_owned(),
        BranchOutcome::Failed(fault) => fault.summary(),
        BranchOutcome::Cancelled(reason) => reason.clone(),
    };
    format!("{}  {status}{late}  {gave}", result.index)
}

/// What a run of a file has to say beside its errors and the outputs of its steps.
fn notes(detail: &RunDetail) -> String {
    let notes = NotesJson::from(detail);
    let mut text = String::new();
    let handled = handled(&notes);
    if !handled.is_empty() {
        text.push_str("\nhandled failures\n");
        text.push_str(&lines(handled));
    }
    if !notes.warnings.is_empty() {
        text.push_str("\nwarnings\n");
        text.push_str(&lines(
            notes.warnings.iter().map(|text| format!("  {text}")),
        ));
    }
    if !notes.workflow_outputs.is_null() {
        let line = format!("  {}", notes.workflow_outputs);
        text.push_str("\nworkflow outputs\n");
        text.push_str(&lines([line]));
    }
    text
}

/// A line per error of the failures that the flow went on from.
pub(crate) fn handled(notes: &NotesJson) -> Vec<String> {
    let failures = notes.handled_failures.as_array().into_iter().flatten();
    let line = |step: &Json, error: &Json| {
        let word = |of: &Json| of.as_str().unwrap_or("-").to_owned();
        let (code, message) = (word(&error["code"]), word(&error["message"]));
        let (step, of) = (word(step), word(&error["step"]));
        let from = if of == step {
            String::new()
        } else {
            format!("{of} ")
        };
        format!("  {step}: {from}[{code}]: {message}")
    };
    let lines = failures.flat_map(|failure| {
        let errors = failure["errors"].as_array().into_iter().flatten();
        errors.map(move |error| line(&failure["step"], error))
    });
    lines.collect()
}

/// A line per error.
pub(crate) fn errors(errors: &[ErrorEntry]) -> String {
    let line = |error: &ErrorEntry| format!("  {} [{}]: {}", error.step, error.code, error.message);
    lines(errors.iter().map(line))
}

/// Ends each line with a newline.
pub(crate) fn lines(lines: impl IntoIterator<Item = String>) -> String {
    lines
        .into_iter()
        .fold(String::new(), |text, line| text + &line + "\n")
}

/// A line per node: what it is and where it leads.
pub(crate) fn graph(definition: &Definition) -> String {
    let graph = Graph::of(definition);
    lines(graph.nodes.iter().map(|node| {
        let ways: Vec<_> = graph
            .edges
            .iter()
            .filter(|edge| edge.from == node.id)
            .map(|edge| match &edge.label {
                Some(label) if *label != edge.to => format!("{} ({label})", edge.to),
                _ => edge.to.clone(),
            })
            .collect();
        let leads = if ways.is_empty() {
            "end".to_owned()
        } else {
            ways.join(", ")
        };
        let detail = node.detail.as_ref().map(|detail| format!(" ({detail})"));
        format!(
            "  {}{} [{}] -> {leads}",
            node.id,
            detail.unwrap_or_default(),
            node.kind
        )
    }))
}

/// What a proposed command has behind it if a flag names the database.
pub(crate) fn named_by_flag(database: Option<&Path>) -> String {
    database.map_or_else(String::new, |path| format!(" --db {}", path.display()))
}

/// What each live branch waits for, and what people are asked.
///
/// `database` is the one that a flag names, if any; commands that are proposed name it too.
pub(crate) fn why(why: &Why, asked: &[Waiting], database: Option<&Path>) -> String {
    let db = named_by_flag(database);
    let propose = |word: &str, what: &str| format!("windlass {word} {}{what}{db}", why.run);
    let deadline = why
        .deadline
        .map(|due| format!("; it fails at its deadline, {}", rfc3339(due.0)));
    let head = format!(
        "run {} is {}{}",
        why.run,
        why.status,
        deadline.unwrap_or_default()
    );
    let nothing = why
        .branches
        .is_empty()
        .then(|| "  no branch is live: nothing is waited for".to_owned());
    lines(
        std::iter::once(head)
            .chain(why.branches.iter().map(|branch| {
                let of_person = |waiting: &&Waiting| {
                    waiting.run == why.run
                        && Some(&waiting.task.step) == branch.waits_for.event.as_ref()
                };
                match asked.iter().find(of_person) {
                    Some(_) => format!("{}: waits for a person, see below", at(branch)),
                    None => wait(branch, propose),
                }
            }))
            .chain(nothing),
    ) + &tasks(asked, database)
}

fn at(branch: &BranchWait) -> String {
    format!("  branch {} at {}", branch.branch, branch.step)
}

fn wait(branch: &BranchWait, propose: impl Fn(&str, &str) -> String) -> String {
    let wait = &branch.waits_for;
    let place = at(branch);
    let no_engine = wait
        .missing
        .iter()
        .any(|missing| missing.contains("engine"));
    if wait.kind == "operator" {
        let reason = if wait.missing.is_empty() {
            "no reason is stored".to_owned()
        } else {
            wait.missing.join(", ")
        };
        let (retry, cancel) = (propose("retry", ""), propose("cancel", ""));
        return format!("{place}: waits for an operator: {reason}; {retry} or {cancel}");
    }
    if no_engine && matches!(wait.kind, "runner" | "lock") {
        let resume = propose("resume", "");
        return format!("{place}: no engine is open on this database: {resume}");
    }
    let mut more = Vec::new();
    more.extend(wait.event.iter().map(|event| format!("event {event:?}")));
    let correlation = wait.correlation.iter();
    more.extend(correlation.map(|correlation| format!("correlation {correlation:?}")));
    more.extend(wait.join.iter().map(|join| format!("join {join:?}")));
    more.extend(wait.mutex.iter().map(|mutex| format!("mutex {mutex:?}")));
    let milestone = wait.milestone.iter();
    more.extend(milestone.map(|milestone| format!("milestone {milestone:?}")));
    more.extend(wait.run.iter().map(|run| format!("run {run}")));
    more.extend(
        wait.until
            .iter()
            .map(|until| format!("until {}", rfc3339(until.0))),
    );
    more.extend(wait.owner.iter().map(|owner| format!("owner {owner}")));
    if !wait.missing.is_empty() {
        let word = match wait.kind {
            "mutex" => "held by",
            "event" => "one of",
            _ => "missing",
        };
        more.push(format!("{word} {}", wait.missing.join(", ")));
    }
    let more = if more.is_empty() {
        String::new()
    } else {
        format!(": {}", more.join(", "))
    };
    let open = wait.open_map.as_ref().map(|map| {
        let word = quoted(map);
        let add = propose("map add", &format!(" {word} --item JSON"));
        let close = propose("map close", &format!(" {word}"));
        format!("; map {map:?} is open to more items: {add}, or {close}")
    });
    format!(
        "{place}: {}{more}{}",
        words(wait.kind),
        open.unwrap_or_default()
    )
}

fn words(kind: &str) -> String {
    match kind {
        "running" => "is running".to_owned(),
        "runner" => "waits for a free Runner".to_owned(),
        "channel" => "is on the channel and waits for a Runner to take it".to_owned(),
        "outbox" => "is ready and waits for room on the channel".to_owned(),
        "lock" => "is locked by an engine that has not begun it".to_owned(),
        "retry" => "waits for its next attempt".to_owned(),
        "timer" => "waits for a time".to_owned(),
        "event" => "waits for an event; send it with windlass signal".to_owned(),
        "join" => "waits for its branches".to_owned(),
        "meet" => "waits for other tokens".to_owned(),
        "call" => "waits for the end of a run that it called".to_owned(),
        "mutex" => "waits for a mutex".to_owned(),
        "milestone" => "waits for a milestone".to_owned(),
        "handler" => "waits for an engine that has its workflow and handlers".to_owned(),
        "operator" => "waits for an operator".to_owned(),
        other => format!("waits for {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};
    use windlass::{Draft, RunId, StepSpec};
    use windlass_dialects::ManualTask;

    #[test]
    fn columns_line_up() {
        let rows = [
            vec!["1".to_owned(), "b".to_owned()],
            vec!["two".to_owned(), String::new()],
        ];
        assert_eq!(table(&["a", "long"], &rows), "A    LONG\n1    b\ntwo\n");
    }

    #[test]
    fn a_task_says_what_it_acts_on() {
        let asks = |target: Json| {
            tasks(
                &[Waiting {
                    run: RunId(7),
                    task: ManualTask {
                        step: "Ask".to_owned(),
                        text: String::new(),
                        owner: None,
                        out_args: std::collections::BTreeMap::new(),
                        choices: Vec::new(),
                        lenient: false,
                    },
                    asked: json!({ "text": "isolate it", "target": target }),
                }],
                None,
            )
        };
        let fw = asks(json!({ "type": "linux", "name": "fw-1" }));
        assert!(
            fw.contains("Ask: isolate it\n    target: fw-1 (linux)\n    windlass approve"),
            "{fw}"
        );
        assert!(!asks(Json::Null).contains("target"));
    }

    #[test]
    fn a_graph_says_where_each_node_leads() {
        let mut draft = Draft::new("w", "1");
        let (a, b) = (
            draft.step("a", StepSpec::new("t")),
            draft.step("b", StepSpec::new("t")),
        );
        draft.connect(a, b);
        draft.start_at(a);
        let text = graph(&draft.finish().unwrap());
        assert_eq!(text, "  a [step] -> b\n  b [step] -> end\n");
    }
}
