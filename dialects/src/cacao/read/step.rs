//! Steps.

use crate::cacao::condition::{self, Condition, Repair};
use crate::cacao::playbook::{
    Action, Command, Kind, Named, Playbook, PlaybookAction, Pointer, Step,
};
use crate::cacao::read::command::MANUAL;
use crate::cacao::read::field::{Reader, shown};
use crate::cacao::read::is_identifier;
use crate::cacao::template;
use crate::cacao::value::with_article;
use crate::diagnostic::{Spot, quoted};
use crate::limits::DELAY_MS_MAX;
use crate::suggestion::did_you_mean;
use crate::tree::{Entry, Meaning, Node};

const TYPES: [&str; 8] = [
    "start",
    "end",
    "action",
    "playbook-action",
    "parallel",
    "if-condition",
    "while-condition",
    "switch-condition",
];

const COMMON: [&str; 13] = [
    "type",
    "name",
    "description",
    "external_references",
    "delay",
    "timeout",
    "step_variables",
    "owner",
    "on_completion",
    "on_success",
    "on_failure",
    "step_extensions",
    "parallelizable",
];

impl Reader<'_> {
    pub(super) fn step(&mut self, parent: &Spot, entry: &Entry, playbook: &Playbook) -> Step {
        let (id, node) = (&entry.key, &entry.value);
        let name = node.get("name").and_then(|name| name.value.text());
        let name = name
            .filter(|name| !name.trim().is_empty())
            .unwrap_or(id)
            .to_owned();
        let mut spot = parent
            .entry(entry)
            .called(format!("step {}", quoted(&name)));
        spot.step = Some(id.as_str().into());
        let kind_name = self.text(&spot, node, "type").unwrap_or_default();
        self.step_id(&spot, id, &kind_name);
        let kind = self.kind(&spot, node, &kind_name, &name, playbook);
        self.labels(
            &spot,
            node,
            &["name"],
            &["external_references"],
            &["step_extensions"],
        );
        let (success, failure) = self.ways(&spot, node, &kind);
        let timeout_ms = self.number(&spot, node, "timeout", DELAY_MS_MAX);
        if timeout_ms == Some(0) {
            self.warning(
                "timeout-zero",
                &spot,
                "timeout 0 is taken as no limit; remove it",
            );
        }
        Step {
            id: id.clone(),
            description: self.text(&spot, node, "description"),
            owner: self.text(&spot, node, "owner"),
            delay_ms: self.number(&spot, node, "delay", DELAY_MS_MAX).unwrap_or(0),
            timeout_ms,
            variables: self.variables(&spot, node, "step_variables", false),
            success,
            failure,
            parallelizable: self.parallelizable(&spot, node, &kind),
            name,
            kind,
            spot,
        }
    }

    fn step_id(&mut self, spot: &Spot, id: &str, kind: &str) {
        let (prefix, uuid) = id.split_once("--").unwrap_or((id, ""));
        if !kind.is_empty() && TYPES.contains(&kind) && prefix != kind {
            let what = format!(
                "key begins {prefix}-- but type is {kind}; pointers rely on it; change one"
            );
            self.error("id-type-mismatch", spot, what);
        } else if !is_identifier(id, None) {
            let what = format!(
                "{} is no identifier; pointers could not find it; write {kind}-- and a UUID",
                quoted(id)
            );
            self.error("value-invalid", spot, what);
        } else if !uuid[14..].starts_with('4') {
            let what = format!(
                "UUID version {}; the standard wants 4 for steps; harmless",
                &uuid[14..15]
            );
            self.warning("id-not-v4", spot, what);
        }
    }

    fn kind(
        &mut self,
        spot: &Spot,
        node: &Node,
        kind: &str,
        name: &str,
        playbook: &Playbook,
    ) -> Kind {
        let (found, own): (Kind, &[&str]) = match kind {
            "start" => (Kind::Start, &[]),
            "end" => (Kind::End, &[]),
            "action" => (
                Kind::Action(self.action(spot, node, name, playbook)),
                &["commands", "agent", "targets", "in_args", "out_args"],
            ),
            "playbook-action" => (
                self.playbook_action(spot, node),
                &["playbook_id", "playbook_version", "in_args", "out_args"],
            ),
            "parallel" => (
                Kind::Parallel {
                    next: self.next_steps(spot, node),
                    label: None,
                },
                &["next_steps"],
            ),
            "if-condition" => {
                let found = Kind::If {
                    condition: self.condition(spot, node),
                    on_true: self.branch(spot, node, "on_true", true),
                    on_false: self.branch(spot, node, "on_false", false),
                };
                (found, &["condition", "on_true", "on_false"])
            }
            "while-condition" => {
                let found = Kind::While {
                    condition: self.condition(spot, node),
                    on_true: self.branch(spot, node, "on_true", true),
                };
                (found, &["condition", "on_true"])
            }
            "switch-condition" => {
                let found = Kind::Switch {
                    switch: self.switch(spot, node),
                    cases: self.cases(spot, node),
                };
                (found, &["switch", "cases"])
            }
            _ => {
                self.unknown_type(spot, node, kind);
                return Kind::Unknown;
            }
        };
        let known: Vec<&str> = COMMON.iter().chain(own).copied().collect();
        self.only(spot, node.entries(), &known);
        found
    }

    fn unknown_type(&mut self, spot: &Spot, node: &Node, kind: &str) {
        if node.get("type").is_none() {
            self.error(
                "field-missing",
                spot,
                "type is missing; it could not run; add one",
            );
            return;
        }
        let instead = match kind {
            "single" => "use action".to_owned(),
            "playbook" => "use playbook-action".to_owned(),
            _ => did_you_mean(kind, TYPES, &format!("use one of {}", TYPES.join(", "))),
        };
        let what = format!(
            "type {} is not in 2.0; it could not run; {instead}",
            quoted(kind)
        );
        self.error("type-unknown", spot, what);
    }

    /// Where it goes after success and after failure.
    fn ways(
        &mut self,
        spot: &Spot,
        node: &Node,
        kind: &Kind,
    ) -> (Option<Pointer>, Option<Pointer>) {
        let completion = self.pointer(spot, node, "on_completion");
        let success = self.pointer(spot, node, "on_success");
        let failure = self.pointer(spot, node, "on_failure");
        match kind {
            Kind::End => {
                if let Some(found) = completion.or(success).or(failure) {
                    let what = "an end leads nowhere, so its pointer has no effect; remove it";
                    self.error("pointer-conflict", &found.spot, what);
                }
                (None, None)
            }
            Kind::Start => {
                if success.is_some() || failure.is_some() {
                    let what = "on_success or on_failure on a start; a start can only complete; use on_completion";
                    self.error("pointer-conflict", spot, what);
                }
                (completion.or(success), None)
            }
            _ => {
                if completion.is_some() && success.is_some() {
                    let what =
                        "on_completion and on_success together; the standard forbids it; use one";
                    self.error("pointer-conflict", spot, what);
                } else if completion.is_some() && failure.is_some() {
                    let what = "on_completion and on_failure together; the standard forbids it; use on_success";
                    let lenient = "on_completion and on_failure together; on_completion is taken as on_success";
                    self.repair("repaired-l14", "pointer-conflict", spot, what, lenient);
                }
                (completion.or(success), failure)
            }
        }
    }

    fn pointer(&mut self, spot: &Spot, node: &Node, key: &str) -> Option<Pointer> {
        let id = self.text(spot, node, key)?;
        let spot = node
            .get(key)
            .map_or(spot.clone(), |entry| spot.entry(entry));
        Some(Pointer {
            id,
            target: None,
            spot,
        })
    }

    fn branch(&mut self, spot: &Spot, node: &Node, key: &str, required: bool) -> Option<Pointer> {
        let found = self.pointer(spot, node, key);
        if required && node.get(key).is_none() {
            let what = format!("no {key}; nothing says what to do then; add one");
            let lenient = format!("no {key}; no branch is taken then");
            self.repair("repaired-l4", "condition-missing", spot, what, lenient);
        }
        found
    }

    fn next_steps(&mut self, spot: &Spot, node: &Node) -> Vec<Pointer> {
        let texts = self.texts(spot, node, "next_steps");
        let mut next: Vec<Pointer> = Vec::with_capacity(texts.len());
        for (id, place) in texts {
            if next.iter().any(|known| known.id == id) {
                let what = format!(
                    "next_steps has {} twice; its branches could not be told apart; remove one",
                    quoted(&id)
                );
                self.error("value-invalid", &place, what);
                continue;
            }
            next.push(Pointer {
                id,
                target: None,
                spot: place,
            });
        }
        if next.len() < 2 {
            let entries = if next.len() == 1 {
                "1 entry"
            } else {
                "no entries"
            };
            let what = format!("{entries}; a parallel needs 2; point to the step directly");
            self.error("too-few-branches", spot, what);
        }
        next
    }

    fn cases(&mut self, spot: &Spot, node: &Node) -> Vec<(String, Pointer)> {
        let Some((entries, place)) = self.object(spot, node, "cases") else {
            if node.get("cases").is_none() {
                self.error(
                    "condition-missing",
                    spot,
                    "no cases; nothing could be chosen; add one",
                );
            }
            return Vec::new();
        };
        if entries.is_empty() {
            self.error(
                "condition-missing",
                spot,
                "cases is empty; nothing could be chosen; add one",
            );
        }
        let node = node.get("cases").map_or(node, |entry| &entry.value);
        entries
            .iter()
            .filter_map(|entry| Some((entry.key.clone(), self.pointer(&place, node, &entry.key)?)))
            .collect()
    }

    fn condition(&mut self, spot: &Spot, node: &Node) -> Option<Condition> {
        let written = self
            .text(spot, node, "condition")
            .filter(|text| !text.trim().is_empty());
        let Some(written) = written else {
            if node
                .get("condition")
                .is_none_or(|entry| entry.value.text().is_some())
            {
                let what = "no condition; nothing decides; add one";
                let lenient = "no condition; a person is asked; add one";
                self.repair("repaired-l4", "condition-missing", spot, what, lenient);
            }
            return None;
        };
        let place = node
            .get("condition")
            .map_or(spot.clone(), |entry| spot.entry(entry));
        match condition::read(&written) {
            Ok((condition, repairs)) => {
                for repair in repairs {
                    self.condition_repair(&place, &repair);
                }
                for name in condition.variables() {
                    self.referred(&place, name);
                }
                Some(condition)
            }
            Err(unread) => {
                self.error(unread.code, &place, unread.what);
                None
            }
        }
    }

    fn condition_repair(&mut self, place: &Spot, repair: &Repair) {
        match repair {
            Repair::Unfinished(name) => {
                let what = format!(
                    "{name} without :value names a variable and is not its value; write {name}:value"
                );
                let lenient = format!("{name} is read as {name}:value");
                self.repair("repaired-l5", "condition-syntax", place, what, lenient);
            }
            Repair::Unquoted { word, at } => {
                let what = format!(
                    "{word:?} at character {at} is unquoted; texts need quotes; write '{word}'"
                );
                let lenient =
                    format!("{word:?} at character {at} is taken as text; write '{word}'");
                self.repair("repaired-l6", "condition-syntax", place, what, lenient);
            }
        }
    }

    /// A name in a condition or switch, which may have dots.
    fn referred(&mut self, place: &Spot, name: &str) {
        if !template::is_name(name, true) {
            let what = super::variable::wrong_name(name);
            self.error("variable-name-invalid", place, what);
        } else if !template::is_name(name, false) {
            let what = super::variable::wrong_name(name);
            let lenient = format!("variable {name} has dots in its name; accepted");
            self.repair(
                "repaired-l11",
                "variable-name-invalid",
                place,
                what,
                lenient,
            );
        }
    }

    fn switch(&mut self, spot: &Spot, node: &Node) -> Option<String> {
        let written = self
            .text(spot, node, "switch")
            .filter(|text| !text.trim().is_empty());
        let Some(written) = written else {
            let what = "no switch; nothing decides; add a reference such as __kind__:value";
            let lenient = "no switch; a person is asked; add a reference such as __kind__:value";
            self.repair("repaired-l4", "condition-missing", spot, what, lenient);
            return None;
        };
        let place = node
            .get("switch")
            .map_or(spot.clone(), |entry| spot.entry(entry));
        let written = written.trim();
        let (name, whole) = match written.strip_suffix(":value") {
            Some(name) => (name, true),
            None => (written.strip_suffix(".value").unwrap_or(written), false),
        };
        if !template::is_name(name, true) {
            let what = format!(
                "{} is no variable; a switch compares one; write e.g. __kind__:value",
                quoted(written)
            );
            self.error("condition-syntax", &place, what);
            return None;
        }
        if !whole {
            self.condition_repair(&place, &Repair::Unfinished(name.to_owned()));
        }
        self.referred(&place, name);
        Some(name.to_owned())
    }

    fn action(&mut self, spot: &Spot, node: &Node, name: &str, playbook: &Playbook) -> Action {
        let instead = node
            .get("description")
            .and_then(|entry| entry.value.text())
            .unwrap_or(name);
        let commands = self.commands(spot, node, instead);
        let agent = self.text(spot, node, "agent");
        if node.get("agent").is_none() {
            let what = "agent is missing; nobody would act; add one";
            self.repair(
                "repaired-l8",
                "field-missing",
                spot,
                what,
                "no agent; its handler gets none",
            );
        }
        if let Some(agent) = &agent
            && !playbook.agents.contains_key(agent)
        {
            let what = format!(
                "agent {} is not defined; there is nobody to act; define it or correct the id",
                quoted(agent)
            );
            self.error("unknown-agent", spot, what);
        }
        let targets = self.texts(spot, node, "targets");
        self.not_empty(spot, node, "targets");
        for (target, place) in &targets {
            // A target may be a list of its own in 1.1; by now it is an id.
            if !playbook.targets.contains_key(target) && !playbook.agents.contains_key(target) {
                let what = format!(
                    "target {} is not defined; there is nothing to act on; define it or correct the id",
                    quoted(target)
                );
                self.error("unknown-target", place, what);
            }
        }
        Action {
            commands,
            agent,
            targets: targets.into_iter().map(|(target, _)| target).collect(),
            in_args: self.names(spot, node, "in_args"),
            out_args: self.names(spot, node, "out_args"),
        }
    }

    fn commands(&mut self, spot: &Spot, node: &Node, instead: &str) -> Vec<Command> {
        let found = self.list(spot, node, "commands");
        let Some((items, place)) = found.filter(|(items, _)| !items.is_empty()) else {
            if node
                .get("commands")
                .is_none_or(|entry| entry.value.is_void())
            {
                let what = "an action without commands does nothing; add one";
                let lenient = format!("no commands; a person is asked to do {}", quoted(instead));
                self.repair("repaired-l7", "commands-missing", spot, what, lenient);
                return vec![Command {
                    kind: MANUAL.to_owned(),
                    text: instead.to_owned(),
                    headers: Vec::new(),
                    content: None,
                    content_bytes: None,
                    fields: serde_json::Map::new(),
                    spot: spot.clone(),
                }];
            }
            return Vec::new();
        };
        items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| {
                self.command(&place.item(index, item), item, index, instead)
            })
            .collect()
    }

    fn names(&mut self, spot: &Spot, node: &Node, key: &str) -> Vec<Named> {
        self.not_empty(spot, node, key);
        let found = self.texts(spot, node, key);
        found
            .into_iter()
            .map(|(name, spot)| Named { name, spot })
            .collect()
    }

    fn playbook_action(&mut self, spot: &Spot, node: &Node) -> Kind {
        let playbook = self.text(spot, node, "playbook_id");
        if node.get("playbook_id").is_none() {
            self.error(
                "field-missing",
                spot,
                "playbook_id is missing; nothing says what to run; add one",
            );
        }
        Kind::Playbook(PlaybookAction {
            playbook: playbook.unwrap_or_default(),
            version: self.text(spot, node, "playbook_version"),
            in_args: self.names(spot, node, "in_args"),
            out_args: self.names(spot, node, "out_args"),
            spot: node
                .get("playbook_id")
                .map_or(spot.clone(), |entry| spot.entry(entry)),
        })
    }

    /// The place of the mark, if it is set.
    fn parallelizable(&mut self, spot: &Spot, node: &Node, kind: &Kind) -> Option<Spot> {
        let entry = node.get("parallelizable")?;
        let place = spot.entry(entry);
        match entry.value.meaning() {
            Some(Meaning::Bool(true)) if !matches!(kind, Kind::Action(_) | Kind::Playbook(_)) => {
                let what = format!(
                    "parallelizable on {}; only actions and playbook-actions can be; remove it",
                    with_article(kind.as_str())
                );
                self.error("parallelizable-branching", &place, what);
                None
            }
            Some(Meaning::Bool(marked)) => marked.then_some(place),
            _ => {
                let what = format!(
                    "parallelizable is {}; it must be true or false",
                    shown(&entry.value)
                );
                self.error("value-invalid", &place, what);
                None
            }
        }
    }
}
