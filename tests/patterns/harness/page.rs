//! The page about all patterns: made from the definitions, the sources and the results.
//!
//! Says nothing that changes from one run to the next, so it is stale only if something is other
//! than it says.

use std::fmt::Write as _;
use std::path::Path;

use windlass::{GraphFormat, draw};

use super::trials::{KILL_SWEEP, Results, STALE_WRITER, name, plain_names};
use super::{Pattern, Stage, kill_sweep, plain};
use crate::catalogue::{Category, Entry, Written};

/// Set to write the page instead of comparing it.
const WRITE: &str = "WINDLASS_TEST_WRITE_PAGE";

const INTRODUCTION: &str = "\
# Workflow control-flow patterns

The 43 control-flow patterns of the Workflow Patterns Initiative (Russell, ter Hofstede, van der Aalst,
Mulyar: \"Workflow Control-Flow Patterns: A Revised View\", BPM-06-22, 2006), each as a workflow that is
built, run and killed by `cargo test --test patterns`. That test writes this page; do not edit it.

- **Plain**: in memory and on SQLite, with one Runner and with four, every run ends with the same data
  and the same committed steps, nothing is left over, and the assertions listed hold.
- **Kill sweep**: the process is killed (SIGKILL) before and after commit 1, 2, 3 … of the run, with one
  change per commit, until it finishes unharmed; each time the run is resumed and must end as a plain one.
- **Stale writer**: at every step another engine takes the run over, and the late outcome of the first
  one must change nothing.
";

/// Compares the page with the file, or writes it.
///
/// # Errors
/// What is wrong and what to do about it.
pub(crate) fn check(catalogue: &[Entry], results: &Results) -> Result<(), String> {
    let page = page(catalogue, results);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/patterns.md");
    if std::env::var_os(WRITE).is_some() {
        return std::fs::write(&path, page).map_err(|error| format!("{}: {error}", path.display()));
    }
    if std::fs::read_to_string(&path).unwrap_or_default() == page {
        return Ok(());
    }
    Err(format!(
        "docs/patterns.md does not say what this run has shown; look at the difference after \
         `{WRITE}=1 cargo test --test patterns`, which writes it"
    ))
}

/// What is known of one pattern that is written.
struct Shown<'a> {
    written: &'a Written,
    pattern: Pattern,
    plain: bool,
    kill_sweep: bool,
    stale_writer: bool,
}

impl<'a> Shown<'a> {
    fn of(written: &'a Written, results: &Results) -> Self {
        let mode = |mode| results.passed(&[name(written.name, mode)]);
        Self {
            written,
            pattern: (written.pattern)(),
            plain: results.passed(&plain_names(written)),
            kill_sweep: mode(KILL_SWEEP),
            stale_writer: mode(STALE_WRITER),
        }
    }
}

fn page(catalogue: &[Entry], results: &Results) -> String {
    let shown: Vec<_> = catalogue
        .iter()
        .map(|entry| {
            let shown = entry.written.as_ref();
            (entry, shown.map(|written| Shown::of(written, results)))
        })
        .collect();
    let count = |holds: fn(&Shown) -> bool| {
        let written = shown.iter().filter_map(|(_, shown)| shown.as_ref());
        written.filter(|shown| holds(shown)).count()
    };
    let all = catalogue.len();
    let mut out = INTRODUCTION.to_owned();
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "\n**{}/{all} plain, {}/{all} through the kill sweep, {}/{all} against a stale writer.**\n",
        count(|shown| shown.plain),
        count(|shown| shown.kill_sweep),
        count(|shown| shown.stale_writer),
    );
    for category in Category::ALL {
        let _ = write!(out, "\n## {}\n", category.title());
        for (entry, shown) in shown.iter().filter(|(entry, _)| entry.category == category) {
            let _ = write!(out, "\n### WCP-{} {}\n\n", entry.number, entry.title);
            match shown {
                Some(shown) => section(shown, &mut out),
                None => out.push_str("Missing: no test yet.\n"),
            }
        }
    }
    out
}

fn section(shown: &Shown, out: &mut String) {
    let pattern = &shown.pattern;
    for part in &pattern.parts {
        let graph = part.on(&Stage::interrupted());
        let graph = draw(graph.definition(), GraphFormat::Mermaid);
        let snippet = snippet(part.builder);
        let _ = write!(out, "```mermaid\n{graph}```\n\n```rust\n{snippet}```\n\n");
    }
    let (module, _) = place(pattern.parts[0].builder);
    let word = |passed| if passed { "pass" } else { "**fail**" };
    let kills = kill_sweep::kills_min(pattern.steps_min(&plain::committed(pattern)));
    let _ = writeln!(
        out,
        "`{}` in [{module}.rs](../tests/patterns/{module}.rs): plain {}, kill sweep {} (at least \
         {kills} kills), stale writer {}.",
        shown.written.name,
        word(shown.plain),
        word(shown.kill_sweep),
        word(shown.stale_writer),
    );
    let own = pattern.assertions.iter().map(|assertion| assertion.name);
    let after_kills = pattern
        .after_kills
        .iter()
        .map(|after_kills| after_kills.name);
    let own: Vec<_> = own.chain(after_kills).collect();
    if !own.is_empty() {
        out.push('\n');
    }
    for name in own {
        let _ = writeln!(out, "- {}", name.replace('_', " "));
    }
}

/// Module, as its file is named, and name of a function, from its path.
fn place(function: &str) -> (String, &str) {
    let (path, name) = function.rsplit_once("::").expect("a path");
    let (_crate, module) = path.split_once("::").expect("a module");
    (module.replace("::", "/"), name)
}

/// The source between the braces of a function, from its path.
fn snippet(function: &str) -> String {
    let (module, name) = place(function);
    let source = crate::source(&module);
    let head = format!("\nfn {name}(");
    let (_, rest) = source
        .split_once(&head)
        .unwrap_or_else(|| panic!("{module}.rs has no function {name:?} of its own"));
    let (_, body) = rest.split_once("{\n").expect("it has a body");
    let (body, _) = body.split_once("\n}\n").expect("its body ends");
    let lines = body
        .lines()
        .map(|line| line.strip_prefix("    ").unwrap_or(line));
    lines.fold(String::new(), |text, line| text + line + "\n")
}
