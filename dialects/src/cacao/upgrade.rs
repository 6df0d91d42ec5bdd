//! CACAO 1.0 and 1.1 read as 2.0.
//!
//! Changes the tree before anything looks at it, so that everything after sees one version only.

use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;

use jiff::Timestamp;
use regex::Regex;

use crate::cacao::read::Reader;
use crate::diagnostic::{Spot, quoted};
use crate::pointer::Pointer;
use crate::tree::{Entry, Mark, Node, Scalar, Value};

#[expect(
    clippy::unwrap_used,
    reason = "the pattern is fixed, and a test compiles it"
)]
static OLD_NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\$\$([A-Za-z0-9_.-]+?)\$\$(\.value|:value)?").unwrap());

/// Where a branch of 1.x goes back to its caller, without its last signs.
const RETURN: &str = "$$RETURN_CALLER";

const NAMES: &str = "variables $$name$$ read as __name__";

/// What `spec_version` says.
pub(crate) enum Version {
    Two,
    /// 1.0 or 1.1.
    One(String),
    Other(String),
}

pub(crate) fn version(root: &Node) -> Version {
    let said = root
        .get("spec_version")
        .and_then(|entry| entry.value.text());
    match said {
        Some("cacao-2.0") => Version::Two,
        Some(said) if matches!(said, "1.0" | "1.1" | "cacao-1.0" | "cacao-1.1") => {
            Version::One(said.trim_start_matches("cacao-").to_owned())
        }
        Some(said) => Version::Other(said.to_owned()),
        None => Version::Other(String::new()),
    }
}

/// The ids of the steps that were made to read the playbook as 2.0, which it is from now on; `None`
/// if it cannot be.
pub(crate) fn settle_version(
    root: &mut Node,
    accepted: bool,
    reader: &mut Reader<'_>,
) -> Option<HashSet<String>> {
    let spot = Spot {
        document: Some(1),
        pointer: Some(Pointer::default().inside("spec_version")),
        mark: root.get("spec_version").map(|entry| entry.value.mark),
        subject: "/spec_version".to_owned(),
        ..Spot::default()
    };
    let what = match version(root) {
        Version::Two => return Some(HashSet::new()),
        Version::One(version) if accepted => {
            return Some(Upgrade::default().playbook(root, &version, &spot, reader));
        }
        Version::One(version) => format!(
            "{} is not CACAO 2.0; its fields differ; import with upgrade_1x or convert it",
            quoted(&version)
        ),
        Version::Other(said) if said.is_empty() => {
            "missing; nothing says how to read it; write \"cacao-2.0\"".to_owned()
        }
        Version::Other(said) => format!(
            "{} is not CACAO 2.0; its fields differ; convert it",
            quoted(&said)
        ),
    };
    reader.error("version-unsupported", &spot, what);
    None
}

/// What was changed, counted by kind.
#[derive(Default)]
struct Upgrade {
    counts: BTreeMap<&'static str, usize>,
    /// Old step id → new one.
    renamed: BTreeMap<String, String>,
    /// Steps that were made for lists of more than one.
    made: Vec<Entry>,
    targets: Vec<Entry>,
}

impl Upgrade {
    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// The ids of the steps that were made.
    fn playbook(
        mut self,
        root: &mut Node,
        version: &str,
        spot: &Spot,
        reader: &mut Reader<'_>,
    ) -> HashSet<String> {
        let mut made = HashSet::new();
        set_text(root, "spec_version", "cacao-2.0");
        self.rename_steps(root);
        self.names(root, "");
        self.times(root);
        self.features(root);
        let Value::Map(entries) = &mut root.value else {
            return made;
        };
        for (old, new) in [
            ("agents", "agent_definitions"),
            ("targets", "target_definitions"),
            ("authentication_info", "authentication_info_definitions"),
        ] {
            let taken = entries.iter().any(|entry| entry.key == new);
            if let Some(entry) = entries.iter_mut().find(|entry| entry.key == old)
                && !taken
                && matches!(entry.value.value, Value::Map(_))
            {
                new.clone_into(&mut entry.key);
                self.count("definitions under their new name");
            }
        }
        if let Some(workflow) = entries.iter_mut().find(|entry| entry.key == "workflow")
            && let Value::Map(steps) = &mut workflow.value.value
        {
            for step in steps.iter_mut() {
                self.step(step);
            }
            made.extend(self.made.iter().map(|step| step.key.clone()));
            steps.append(&mut self.made);
        }
        if !self.targets.is_empty() {
            let mark = root.mark;
            let Value::Map(entries) = &mut root.value else {
                return made;
            };
            let at = entries
                .iter()
                .position(|entry| entry.key == "target_definitions");
            let at = at.unwrap_or_else(|| {
                entries.push(entry("target_definitions", map(Vec::new(), mark), mark));
                entries.len() - 1
            });
            if let Value::Map(targets) = &mut entries[at].value.value {
                targets.append(&mut self.targets);
            }
        }
        self.say(version, spot, reader);
        made
    }

    fn say(&self, version: &str, spot: &Spot, reader: &mut Reader<'_>) {
        let spot = spot.clone().called("");
        if self.counts.is_empty() {
            let what = format!("read as 2.0 (upgrade from {version}); check and save as 2.0");
            reader.report.info("upgraded", &spot, what);
        }
        for (what, count) in &self.counts {
            let what = format!("{count} × {what} (upgrade from {version}); check and save as 2.0");
            reader.report.info("upgraded", &spot, what);
        }
    }

    /// `step--…` and `single--…` → `action--…`, in keys here and wherever they are named.
    fn rename_steps(&mut self, root: &Node) {
        let steps = root
            .get("workflow")
            .map(|workflow| workflow.value.entries());
        for step in steps.into_iter().flatten() {
            let kind = step.value.get("type").and_then(|kind| kind.value.text());
            let Some(kind) = kind else { continue };
            let new = new_type(kind).unwrap_or(kind);
            let (prefix, uuid) = step.key.split_once("--").unwrap_or(("", &step.key));
            if prefix != new {
                self.renamed
                    .insert(step.key.clone(), format!("{new}--{uuid}"));
                *self
                    .counts
                    .entry("ids begin with the type of their step")
                    .or_default() += 1;
            }
        }
    }

    /// Names of variables and steps in every text under `key`; recursive, the reader bounds the
    /// depth.
    fn names(&mut self, node: &mut Node, key: &str) {
        match &mut node.value {
            Value::List(items) => items.iter_mut().for_each(|item| self.names(item, key)),
            Value::Map(entries) => {
                for entry in entries {
                    if let Some(new) = self.renamed.get(&entry.key) {
                        entry.key.clone_from(new);
                    }
                    if OLD_NAME.is_match(&entry.key) {
                        entry.key = OLD_NAME.replace_all(&entry.key, "__${1}__").into_owned();
                        self.count(NAMES);
                    }
                    self.names(&mut entry.value, &entry.key);
                }
            }
            Value::Scalar(scalar) if !scalar.plain => {
                if let Some(new) = self.renamed.get(&scalar.text) {
                    scalar.text.clone_from(new);
                } else if !scalar.text.starts_with(RETURN) && OLD_NAME.is_match(&scalar.text) {
                    let listed = matches!(key, "in_args" | "out_args");
                    let new = if listed { "__${1}__" } else { "__${1}__:value" };
                    scalar.text = OLD_NAME.replace_all(&scalar.text, new).into_owned();
                    self.count(NAMES);
                }
            }
            Value::Scalar(_) => {}
        }
    }

    fn times(&mut self, root: &mut Node) {
        for key in ["created", "modified", "valid_from", "valid_until"] {
            let Some(text) = root
                .get(key)
                .and_then(|entry| entry.value.text())
                .map(str::to_owned)
            else {
                continue;
            };
            if let Ok(time) = text.parse::<Timestamp>()
                && !text.ends_with('Z')
            {
                set_text(root, key, &format!("{time:.3}"));
                self.count("times in UTC");
            }
        }
    }

    /// `features` → `playbook_processing_summary`.
    fn features(&mut self, root: &mut Node) {
        let Value::Map(entries) = &mut root.value else {
            return;
        };
        let Some(features) = entries.iter_mut().find(|entry| entry.key == "features") else {
            return;
        };
        "playbook_processing_summary".clone_into(&mut features.key);
        if let Value::Map(flags) = &mut features.value.value {
            for flag in flags {
                flag.key = flag.key.replace('-', "_");
            }
        }
        self.count("features read as the processing summary");
    }

    fn step(&mut self, step: &mut Entry) {
        let kind = step.value.get("type").and_then(|kind| kind.value.text());
        let kind = kind.unwrap_or_default().to_owned();
        if let Some(new) = new_type(&kind) {
            set_text(&mut step.value, "type", new);
            self.count(match kind.as_str() {
                "single" => "steps of type single read as action",
                _ => "steps of type playbook read as playbook-action",
            });
        }
        let id = step.key.clone();
        let Value::Map(fields) = &mut step.value.value else {
            return;
        };
        fields.retain(|field| {
            let returns = field
                .value
                .text()
                .is_some_and(|text| text.starts_with(RETURN));
            if returns {
                *self
                    .counts
                    .entry("returns to the caller read as implied ends")
                    .or_default() += 1;
            }
            !returns
        });
        for field in fields.iter_mut() {
            match field.key.as_str() {
                "on_true" | "on_false" => self.unlist(&mut field.value, &id, &field.key.clone()),
                "cases" => {
                    if let Value::Map(cases) = &mut field.value.value {
                        for case in cases {
                            self.unlist(&mut case.value, &id, &case.key.clone());
                        }
                    }
                }
                "target" => self.inline_target(field, &id),
                _ => {}
            }
        }
    }

    /// A list of steps: one is the step itself; more run one after the other.
    fn unlist(&mut self, node: &mut Node, step: &str, branch: &str) {
        let Value::List(items) = &node.value else {
            return;
        };
        let ids: Vec<String> = items
            .iter()
            .filter_map(|item| item.text().map(str::to_owned))
            .collect();
        let mark = node.mark;
        match &ids[..] {
            [] => return,
            [one] => *node = text(one, mark),
            several => {
                // Each is a frame of its own, entered whatever happens, and the next follows it.
                let end = made_id("end", step, branch, several.len());
                self.made.push(entry(
                    &end,
                    map(vec![entry("type", text("end", mark), mark)], mark),
                    mark,
                ));
                let mut after = end;
                for (place, id) in several.iter().enumerate().rev() {
                    let made = made_id("if-condition", step, branch, place);
                    let name = format!("{branch} {}", place + 1);
                    let fields = [
                        ("type", "if-condition"),
                        ("name", &name),
                        ("condition", "true = true"),
                        ("on_true", id),
                        ("on_completion", &after),
                    ];
                    let fields = fields.map(|(key, value)| entry(key, text(value, mark), mark));
                    self.made.push(entry(&made, map(fields.into(), mark), mark));
                    after = made;
                }
                *node = text(&after, mark);
            }
        }
        self.count("lists of steps in a branch");
    }

    /// A target that stands in its step.
    fn inline_target(&mut self, field: &mut Entry, step: &str) {
        if !matches!(field.value.value, Value::Map(_)) {
            return;
        }
        let mark = field.mark;
        let target = std::mem::replace(&mut field.value, Node::null(mark));
        let kind = target
            .get("type")
            .and_then(|kind| kind.value.text())
            .unwrap_or("sector")
            .to_owned();
        let uuid = step.split_once("--").map_or(step, |(_, uuid)| uuid);
        let id = format!("{kind}--{uuid}");
        self.targets.push(entry(&id, target, mark));
        "targets".clone_into(&mut field.key);
        field.value = Node {
            mark,
            value: Value::List(vec![text(&id, mark)]),
        };
        self.count("targets in steps");
    }
}

fn new_type(kind: &str) -> Option<&'static str> {
    match kind {
        "single" => Some("action"),
        "playbook" => Some("playbook-action"),
        _ => None,
    }
}

fn set_text(node: &mut Node, key: &str, new: &str) {
    if let Value::Map(entries) = &mut node.value
        && let Some(entry) = entries.iter_mut().find(|entry| entry.key == key)
    {
        entry.value = text(new, entry.value.mark);
    }
}

fn text(text: &str, mark: Mark) -> Node {
    Node {
        mark,
        value: Value::Scalar(Scalar {
            text: text.to_owned(),
            plain: false,
        }),
    }
}

fn map(entries: Vec<Entry>, mark: Mark) -> Node {
    Node {
        mark,
        value: Value::Map(entries),
    }
}

fn entry(key: &str, value: Node, mark: Mark) -> Entry {
    Entry {
        key: key.to_owned(),
        mark,
        value,
    }
}

/// An identifier for a step that was made; the same at every import.
fn made_id(kind: &str, step: &str, branch: &str, place: usize) -> String {
    // FNV-1a, twice with different beginnings.
    let hash = |begin: u64| {
        let text = format!("{step}\n{branch}\n{place}");
        text.bytes().fold(begin, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    };
    let digits = format!(
        "{:016x}{:016x}",
        hash(0xcbf2_9ce4_8422_2325),
        hash(0x8422_2325_cbf2_9ce4)
    );
    format!(
        "{kind}--{}-{}-4{}-a{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[13..16],
        &digits[17..20],
        &digits[20..]
    )
}
