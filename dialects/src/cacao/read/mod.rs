//! From a tree to a playbook.

mod command;
mod definitions;
mod field;
mod pointer;
mod step;
mod variable;

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use crate::cacao::feature;
use crate::cacao::playbook::{Kind, Playbook, Pointer as Way};
use crate::cacao::value::{is_uuid, with_article};
use crate::diagnostic::{Report, Spot, quoted};
use crate::limits::STEPS_MAX;
use crate::pointer::Pointer;
use crate::tree::{Entry, Node, Value};

use command::KNOWN as COMMANDS;
pub(crate) use command::{MANUAL, similar as similar_command};
pub(crate) use field::Reader;

const KNOWN: [&str; 36] = [
    "type",
    "spec_version",
    "id",
    "name",
    "description",
    "playbook_types",
    "playbook_activities",
    "playbook_processing_summary",
    "created_by",
    "created",
    "modified",
    "revoked",
    "valid_from",
    "valid_until",
    "derived_from",
    "related_to",
    "priority",
    "severity",
    "impact",
    "industry_sectors",
    "labels",
    "external_references",
    "markings",
    "playbook_variables",
    "workflow_start",
    "workflow_exception",
    "workflow",
    "playbook_extensions",
    "authentication_info_definitions",
    "agent_definitions",
    "target_definitions",
    "extension_definitions",
    "data_marking_definitions",
    "signatures",
    "playbook_complexity",
    "sectors",
];

/// Reads a playbook; `None` if there is nothing that could be one.
pub(crate) fn read(root: &Node, report: &mut Report) -> Option<Playbook> {
    let mut reader = Reader { report };
    let spot = Spot {
        document: Some(1),
        pointer: Some(Pointer::default()),
        mark: Some(root.mark),
        ..Spot::default()
    };
    let kind = root.get("type").and_then(|entry| entry.value.text());
    if kind != Some("playbook") {
        let place = root
            .get("type")
            .map_or(spot.clone(), |entry| spot.entry(entry));
        let said = kind.map_or_else(|| "missing".to_owned(), quoted);
        let fix = if kind == Some("bundle") {
            "this is a container; extract the playbook"
        } else {
            "nothing else can be run; write \"playbook\""
        };
        reader.error(
            "not-a-playbook",
            &place.called("/type"),
            format!("{said}; {fix}"),
        );
        return None;
    }
    let mut playbook = Playbook {
        spot: spot.clone(),
        ..Playbook::default()
    };
    reader.identity(&spot, root, &mut playbook);
    reader.labelled(&spot, root, &mut playbook);
    playbook.variables = reader.variables(&spot, root, "playbook_variables", true);
    reader.definitions(&spot, root, &mut playbook);
    reader.workflow(&spot, root, &mut playbook);
    reader.only(&spot, root.entries(), &KNOWN);
    Some(playbook)
}

impl Reader<'_> {
    fn identity(&mut self, spot: &Spot, root: &Node, playbook: &mut Playbook) {
        for key in ["id", "name"] {
            if root.get(key).is_none() {
                let what = "missing; the standard requires it; add it";
                self.error(
                    "field-missing",
                    &spot.clone().called(format!("/{key}")),
                    what,
                );
            }
        }
        playbook.id = self.text(spot, root, "id").unwrap_or_default();
        playbook.name = self.text(spot, root, "name").unwrap_or_default();
        if !playbook.id.is_empty() && !is_identifier(&playbook.id, Some("playbook")) {
            let what = format!(
                "{} is no identifier of a playbook; others could not refer to it; write playbook-- and a UUID",
                quoted(&playbook.id)
            );
            let place = root
                .get("id")
                .map_or(spot.clone(), |entry| spot.entry(entry));
            self.error("value-invalid", &place.called("/id"), what);
        }
        for key in ["created_by", "created", "modified"] {
            if root.get(key).is_none() {
                let hint = if key == "created_by" {
                    "an identity id"
                } else {
                    "a timestamp"
                };
                let what = format!("missing; the standard requires it; add {hint}");
                let place = spot.clone().called(format!("/{key}"));
                self.repair("repaired-l16", "field-missing", &place, &what, &what);
            }
        }
        self.text(spot, root, "created_by");
        let created = self.time(spot, root, "created", true);
        let modified = self.time(spot, root, "modified", true);
        let version = root.get("modified").and_then(|entry| entry.value.text());
        version
            .unwrap_or_default()
            .clone_into(&mut playbook.modified);
        self.in_order(
            spot,
            root,
            ("created", created),
            ("modified", modified),
            true,
        );
        playbook.revoked = self.boolean(spot, root, "revoked").unwrap_or(false);
        let from = self.time(spot, root, "valid_from", false);
        let until = self.time(spot, root, "valid_until", false);
        self.in_order(
            spot,
            root,
            ("valid_from", from),
            ("valid_until", until),
            false,
        );
        playbook.valid_from = from.map(|time| time.to_string());
        playbook.valid_until = until.map(|time| time.to_string());
    }

    /// A timestamp; `counted` ones should have three decimals.
    fn time(&mut self, spot: &Spot, root: &Node, key: &str, counted: bool) -> Option<Timestamp> {
        let text = self.text(spot, root, key)?;
        let entry = root.get(key)?;
        let place = spot.entry(entry).called(format!("/{key}"));
        let utc = text.ends_with('Z') && text.contains('T');
        match text.parse::<Timestamp>() {
            Ok(time) if utc => {
                let decimals = text.split_once('.').map_or(0, |(_, rest)| rest.len() - 1);
                if counted && decimals != 3 {
                    let what = format!("{decimals} decimals, three are wanted; harmless");
                    self.warning("timestamp-precision", &place, what);
                }
                Some(time)
            }
            Ok(time) => {
                let what = format!(
                    "{} is not in UTC as the standard writes it; others may not read it; write {time:.3}",
                    quoted(&text)
                );
                self.repair("repaired-l16", "value-invalid", &place, &what, &what);
                Some(time)
            }
            Err(_) => {
                let what = format!(
                    "{} is no time; write one such as 2025-01-31T12:00:00.000Z",
                    quoted(&text)
                );
                let lenient = if counted {
                    what.clone()
                } else {
                    what.replacen("is no time", "is no time, so it limits nothing", 1)
                };
                self.repair("repaired-l16", "value-invalid", &place, &what, lenient);
                None
            }
        }
    }

    fn in_order(
        &mut self,
        spot: &Spot,
        root: &Node,
        first: (&str, Option<Timestamp>),
        second: (&str, Option<Timestamp>),
        equal: bool,
    ) {
        let (Some(one), Some(other)) = (first.1, second.1) else {
            return;
        };
        if other < one || (other == one && !equal) {
            let place = root
                .get(second.0)
                .map_or(spot.clone(), |entry| spot.entry(entry));
            let why = if equal {
                format!("before {}; one of them is wrong", first.0)
            } else {
                format!("not after {}; the playbook could never run", first.0)
            };
            let what = format!("{why}; correct one");
            self.error(
                "timestamp-order",
                &place.called(format!("/{}", second.0)),
                what,
            );
        }
    }

    /// What is kept and has no effect on a run, and the flags that follow from it.
    fn labelled(&mut self, spot: &Spot, root: &Node, playbook: &mut Playbook) {
        for key in ["priority", "severity", "impact"] {
            self.number(spot, root, key, 100);
        }
        self.labels(
            spot,
            root,
            &["description"],
            &[
                "playbook_types",
                "playbook_activities",
                "derived_from",
                "related_to",
                "industry_sectors",
                "sectors",
                "labels",
                "external_references",
                "markings",
            ],
            &[
                "data_marking_definitions",
                "playbook_extensions",
                "extension_definitions",
            ],
        );
        let mut marked = BTreeMap::new();
        if root
            .get("markings")
            .is_some_and(|entry| !entry.value.is_void())
        {
            marked.insert(feature::DATA_MARKINGS, Vec::new());
        }
        let extended = ["playbook_extensions", "extension_definitions"];
        if extended
            .iter()
            .any(|key| root.get(key).is_some_and(|e| !e.value.is_void()))
        {
            marked.insert(feature::EXTENSIONS, Vec::new());
        }
        if let Some((signatures, place)) = self.list(spot, root, "signatures")
            && !signatures.is_empty()
        {
            marked.insert(feature::SIGNATURES, Vec::new());
            let countersigned = |signature: &Node| {
                let inner = ["signature", "signatures", "countersignatures"];
                inner.iter().any(|key| {
                    signature
                        .get(key)
                        .is_some_and(|entry| !matches!(entry.value.value, Value::Scalar(_)))
                })
            };
            if signatures.iter().any(countersigned) {
                marked.insert(feature::COUNTERSIGNATURES, Vec::new());
            }
            let count = signatures.len();
            let verb = if count == 1 {
                "signature was"
            } else {
                "signatures were"
            };
            let what = format!("{count} {verb} not checked; verify it before import");
            self.warning("signature-not-verified", &place, what);
        }
        playbook.marked = marked;
        if let Some((flags, place)) = self.object(spot, root, "playbook_processing_summary") {
            for flag in flags {
                let here = place.entry(flag);
                if !feature::ALL.contains(&flag.key.as_str()) {
                    self.only(&place, std::slice::from_ref(flag), &feature::ALL);
                } else if let Some(crate::tree::Meaning::Bool(value)) = flag.value.meaning() {
                    let named = format!("/playbook_processing_summary/{}", flag.key);
                    playbook
                        .declared
                        .push((flag.key.clone(), value, here.called(named)));
                } else {
                    let what = format!(
                        "{} is {}; it must be true or false",
                        flag.key,
                        field::shown(&flag.value)
                    );
                    self.error("value-invalid", &here, what);
                }
            }
        }
    }

    fn workflow(&mut self, spot: &Spot, root: &Node, playbook: &mut Playbook) {
        let Some((entries, place)) = self.object(spot, root, "workflow") else {
            if root.get("workflow").is_none() {
                let what = "missing; there is nothing to run; add it";
                self.error("field-missing", &spot.clone().called("/workflow"), what);
            }
            return;
        };
        if entries.len() > STEPS_MAX {
            let what = format!(
                "{} steps, the limit is {STEPS_MAX}; split the playbook and call its parts",
                entries.len()
            );
            self.error("playbook-too-large", &place.called("/workflow"), what);
            return;
        }
        let by_id: HashMap<String, usize> = (0..)
            .zip(entries)
            .map(|(n, entry)| (entry.key.clone(), n))
            .collect();
        playbook.steps = entries
            .iter()
            .map(|entry| self.step(&place, entry, playbook))
            .collect();
        playbook.by_id = by_id;
        for key in ["workflow_start", "workflow_exception"] {
            let pointer = self.text(spot, root, key).map(|id| Way {
                id,
                target: None,
                spot: root
                    .get(key)
                    .map_or(spot.clone(), |entry| spot.entry(entry))
                    .called(format!("/{key}")),
            });
            if key == "workflow_start" {
                if root.get(key).is_none() {
                    let what = "missing; nothing says where to begin; add the id of the start step";
                    self.error(
                        "field-missing",
                        &spot.clone().called("/workflow_start"),
                        what,
                    );
                }
                playbook.start = pointer;
            } else {
                playbook.exception = pointer;
            }
        }
        self.resolve(playbook);
        self.completeness(&place, playbook);
        self.report_starts(playbook);
        mark_extensions(root, entries, playbook);
    }

    fn completeness(&mut self, place: &Spot, playbook: &Playbook) {
        let place = place.clone().called("/workflow");
        let has = |of: fn(&Kind) -> bool| playbook.steps.iter().any(|step| of(&step.kind));
        if !has(|kind| matches!(kind, Kind::Start)) {
            let what = "no start step; the standard begins there; add one";
            let lenient = "no start step; the run begins where workflow_start leads; add one";
            self.repair("repaired-l10", "workflow-incomplete", &place, what, lenient);
        }
        if !has(|kind| matches!(kind, Kind::End)) {
            let what = "no end step; nothing could finish; add one";
            let lenient = "no end step; a branch ends where nothing follows; add one";
            self.repair("repaired-l1", "workflow-incomplete", &place, what, lenient);
        }
        if !has(|kind| matches!(kind, Kind::Action(_) | Kind::Playbook(_) | Kind::Unknown)) {
            let what = "no action and no playbook-action; it would do nothing; add one";
            self.error("workflow-incomplete", &place, what);
        }
    }

    fn report_starts(&mut self, playbook: &Playbook) {
        let Some(start) = &playbook.start else { return };
        let Some(step) = start.target.map(|target| &playbook.steps[target]) else {
            return;
        };
        if !matches!(step.kind, Kind::Start) {
            let kind = with_article(step.kind.as_str());
            let what = format!("names {kind}; the standard wants a start step; add one");
            let lenient = format!("names {kind}; the run begins there; add a start step");
            self.repair(
                "repaired-l10",
                "start-wrong-type",
                &start.spot,
                what,
                lenient,
            );
        }
    }
}

/// Notes which definitions and steps have extensions.
fn mark_extensions(root: &Node, steps: &[Entry], playbook: &mut Playbook) {
    let extended = |entry: &&Entry| {
        let mut fields = entry.value.entries().iter();
        fields.any(|field| field.key.ends_with("_extensions") && !field.value.is_void())
    };
    let mut by = Vec::new();
    for key in [
        "agent_definitions",
        "target_definitions",
        "authentication_info_definitions",
        "data_marking_definitions",
    ] {
        let defined = root.get(key).map(|entry| entry.value.entries());
        let defined = defined.into_iter().flatten().filter(extended);
        by.extend(defined.map(|entry| entry.key.clone()));
    }
    let named = (0..).zip(steps).filter(|(_, entry)| extended(entry));
    by.extend(named.map(|(number, _): (usize, _)| playbook.steps[number].name.clone()));
    if !by.is_empty() {
        playbook.marked.insert(feature::EXTENSIONS, by);
    }
}

/// Whether it is a type, `--` and a UUID.
pub(crate) fn is_identifier(text: &str, kind: Option<&str>) -> bool {
    let Some((prefix, uuid)) = text.split_once("--") else {
        return false;
    };
    kind.is_none_or(|kind| kind == prefix)
        && !prefix.is_empty()
        && is_uuid(uuid)
        && matches!(uuid.as_bytes()[14], b'1'..=b'5')
}

/// Whether the standard has this command type.
pub(crate) fn is_known_command(kind: &str) -> bool {
    COMMANDS.contains(&kind)
}
