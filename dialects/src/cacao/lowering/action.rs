//! Actions: one node for each command and target; and calls of other playbooks.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};
use windlass_workflow_model::{CallSpec, Delay, NodeId, StepSpec};

use super::{Lowering, Made, Work};
use crate::cacao::call::{Call, Writing};
use crate::cacao::check::{command_texts, definitions, handler, handler_names, target};
use crate::cacao::playbook::{Action, Command, Named, PlaybookAction};
use crate::cacao::read::MANUAL;
use crate::cacao::rule::{Answer, Child, Returned, Rule, Task, Wording, answers};
use crate::cacao::template;
use crate::dialect::Dialect;
use crate::options::HandlerTypes;
use crate::stored_rule::StoredRule;

/// One call of an action: a command, and the target that it is for.
#[derive(Clone, Copy)]
struct Slot<'a> {
    command: (usize, &'a Command),
    target: Option<(usize, &'a str)>,
}

/// The nodes of one call: where it begins, and where it goes on from.
struct CallNodes {
    first: NodeId,
    last: NodeId,
    name: String,
}

impl Lowering<'_> {
    pub(super) fn action(&mut self, work: &Work, action: &Action) -> Made {
        let slots: Vec<Slot<'_>> = (0..)
            .zip(&action.commands)
            .flat_map(|command| {
                let targets = (0..).zip(action.targets.iter().map(String::as_str));
                let mut slots: Vec<_> = targets
                    .map(|target| Slot {
                        command,
                        target: Some(target),
                    })
                    .collect();
                if slots.is_empty() {
                    slots.push(Slot {
                        command,
                        target: None,
                    });
                }
                slots
            })
            .collect();
        let by_hand = action.commands.iter().all(|command| command.kind == MANUAL);
        let limit = self.limit(&self.playbook.steps[work.step], by_hand);
        let single = slots.len() == 1;
        if !single {
            self.block(work, "action", None, None);
        }
        let last = slots.len().saturating_sub(1);
        let mut calls = Vec::with_capacity(slots.len());
        for (number, slot) in slots.iter().enumerate() {
            let name = self.call_name(work, slot, single);
            let writing = self.writing(work, action, number == last);
            calls.push(self.call(work, action, slot, name, writing, limit));
        }
        for pair in calls.windows(2) {
            self.draft.connect(pair[0].last, pair[1].first);
        }
        let made = self.together(work, &calls, limit.filter(|_| !single), limit);
        if !single {
            self.place_inside(work, &calls, &made);
        }
        made
    }

    fn place_inside(&mut self, work: &Work, calls: &[CallNodes], made: &Made) {
        let ends = calls.iter().flat_map(|call| [call.first, call.last]);
        for node in ends.chain([made.first, made.last]) {
            self.draft.place(node, Self::inside(work));
        }
    }

    fn call_name(&mut self, work: &Work, slot: &Slot<'_>, single: bool) -> String {
        if single {
            return work.name.clone();
        }
        let command = slot.command.0 + 1;
        let name = match slot.target {
            Some((target, _)) => format!("{}/{command}.{}", work.name, target + 1),
            None => format!("{}/{command}", work.name),
        };
        self.names.take(&name)
    }

    /// The calls of a step, which follow each other; with a limit for all, in a scope of their own.
    fn together(
        &mut self,
        work: &Work,
        calls: &[CallNodes],
        together: Option<u64>,
        limit_ms: Option<u64>,
    ) -> Made {
        let (Some(first), Some(last)) = (calls.first(), calls.last()) else {
            // An action without commands was refused or repaired before.
            let rule = Rule::Pass;
            return Made::one(self.compute(work.frame, &work.name, &rule));
        };
        let names = calls.iter().map(|call| call.name.clone());
        let mut own: Vec<String> = names.filter(|name| *name != work.name).collect();
        let Some(limit) = together else {
            let failing: BTreeSet<NodeId> = calls
                .iter()
                .flat_map(|call| [call.first, call.last])
                .collect();
            return Made {
                first: first.first,
                last: last.last,
                failing: failing.into_iter().collect(),
                own,
                limit_ms,
            };
        };
        let scope_name = self.names.take(&format!("{}/limit", work.name));
        own.push(scope_name.clone());
        self.nodes += 2;
        let (scope, join) = self.draft.scope(scope_name, None);
        self.place(work.frame, scope);
        self.place(work.frame, join);
        self.draft.scope_timeout(scope, limit);
        self.draft.body(scope, first.first);
        self.draft.connect(last.last, join);
        let wording = Wording {
            limit_ms,
            own: own.clone(),
            ..Wording::of(self.standing(work))
        };
        for call in calls.iter().filter(|_| calls.len() > 1) {
            self.words(call.last, wording.clone());
        }
        Made {
            first: scope,
            last: join,
            failing: vec![scope],
            own,
            limit_ms,
        }
    }

    fn writing(&self, work: &Work, action: &Action, last: bool) -> Writing {
        let definitions: Vec<String> = definitions(self.playbook, action)
            .iter()
            .map(ToString::to_string)
            .collect();
        let texts = action.commands.iter().flat_map(command_texts);
        let texts = texts.chain(definitions.iter().map(String::as_str));
        let args = action
            .in_args
            .iter()
            .chain(&action.out_args)
            .map(|named| named.name.as_str());
        let names: BTreeSet<&str> = texts.flat_map(template::names).chain(args).collect();
        self.writing_of(work, names, &action.in_args, &action.out_args, last)
    }

    fn writing_of(
        &self,
        work: &Work,
        names: BTreeSet<&str>,
        in_args: &[Named],
        out_args: &[Named],
        last: bool,
    ) -> Writing {
        let plain = |names: &[Named]| names.iter().map(|named| named.name.clone()).collect();
        let secrets = &self.plan.options.cacao.secrets;
        let secrets = names.iter().filter(|name| secrets.contains(**name));
        Writing {
            at: self.standing(work),
            lenient: self.lenient,
            secrets: secrets.map(|name| (*name).to_owned()).collect(),
            bindings: self.bindings(work.frame, work.step, names),
            in_args: plain(in_args),
            out_args: plain(out_args),
            last,
        }
    }

    fn call(
        &mut self,
        work: &Work,
        action: &Action,
        slot: &Slot<'_>,
        name: String,
        writing: Writing,
        limit: Option<u64>,
    ) -> CallNodes {
        let (_, command) = slot.command;
        let agent = action
            .agent
            .as_deref()
            .and_then(|id| Some((id, self.playbook.agents.get(id)?)));
        let handlers = &self.plan.options.handlers;
        // A person does what nobody was named for.
        if command.kind == MANUAL && !has_manual(handlers) {
            // A wait of several calls has its limit with them.
            let limit = limit.filter(|_| name == work.name);
            let target = slot.target.and_then(|(_, id)| target(self.playbook, id));
            return self.task(
                work,
                &command.text,
                target.cloned().unwrap_or(Json::Null),
                name,
                writing,
                limit,
                Vec::new(),
            );
        }
        let handler = handler(handlers, &handler_names(&command.kind, agent));
        let call = self.call_settings(work, action, slot, writing);
        let spec = StepSpec {
            kind: command.kind.clone(),
            // Of several calls each may take as long as all of them: so every handler has a deadline.
            timeout_ms: limit,
            end_within_ms: limit.filter(|_| name == work.name),
            config: self.settings(work, &name, &command.kind, &call),
            ..StepSpec::new(handler.unwrap_or_else(|| command.kind.clone()))
        };
        self.nodes += 1;
        let node = self.draft.step(name.clone(), spec);
        self.place(work.frame, node);
        CallNodes {
            first: node,
            last: node,
            name,
        }
    }

    fn settings(&self, work: &Work, node: &str, kind: &str, call: &Call) -> Json {
        let place = self.place_of(work.frame);
        json!({
            "dialect": Dialect::Cacao.as_str(),
            "workflow": self.playbook.id,
            "step": node,
            "type": kind,
            "parent_step_id": place.parent,
            "branch_name": place.branch,
            "config": {},
            "fields": {},
            "call": call,
        })
    }

    fn call_settings(
        &self,
        work: &Work,
        action: &Action,
        slot: &Slot<'_>,
        writing: Writing,
    ) -> Call {
        let step = &self.playbook.steps[work.step];
        let (command_index, command) = slot.command;
        let agent = action
            .agent
            .as_deref()
            .and_then(|id| self.playbook.agents.get(id));
        let target = slot.target.and_then(|(_, id)| target(self.playbook, id));
        let credentials = |of: Option<&Json>| {
            let id = of?["authentication_info"].as_str()?;
            self.playbook.credentials.get(id)
        };
        let authentication = credentials(target).or_else(|| credentials(agent));
        let headers = command
            .headers
            .iter()
            .map(|(name, values)| (name.clone(), json!(values)));
        let with_id = |definition: Option<&Json>, id: Option<&str>| {
            let mut definition = definition.cloned().unwrap_or(Json::Null);
            if let (Json::Object(fields), Some(id)) = (&mut definition, id) {
                fields.insert("id".to_owned(), id.into());
            }
            definition
        };
        Call {
            playbook_id: self.playbook.id.clone(),
            playbook_modified: self.playbook.modified.clone(),
            step_id: step.id.clone(),
            step_name: step.name.clone(),
            description: step.description.clone(),
            owner: step.owner.clone(),
            command: command.fields.clone(),
            text: command.text.clone(),
            headers: headers.collect(),
            content: command
                .content
                .clone()
                .or_else(|| command.content_bytes.clone()),
            content_base64: command.content_bytes.is_some(),
            agent: with_id(agent, action.agent.as_deref()),
            target: with_id(target, slot.target.map(|(_, id)| id)),
            authentication: authentication.cloned().unwrap_or(Json::Null),
            command_index,
            target_index: slot.target.map(|(index, _)| index),
            choices: Vec::new(),
            writing,
        }
    }

    /// A task for a person: the data says what is asked, then the answer is waited for.
    #[expect(clippy::too_many_arguments, reason = "each is one part of the task")]
    fn task(
        &mut self,
        work: &Work,
        text: &str,
        target: Json,
        name: String,
        writing: Writing,
        limit: Option<u64>,
        choices: Vec<String>,
    ) -> CallNodes {
        let ask = Rule::Ask(Task {
            asked: name.clone(),
            text: text.to_owned(),
            owner: self.playbook.steps[work.step].owner.clone(),
            target,
            writing: writing.clone(),
        });
        let first = self.compute(work.frame, &format!("{name}/ask"), &ask);
        if choices.is_empty() {
            self.show(work, first, &name, &writing);
        }
        let answer = Rule::Answer(Answer {
            asked: name.clone(),
            writing,
            choices,
        });
        self.nodes += 1;
        let wait = self
            .draft
            .await_event(name.clone(), name.clone(), Some(answer.name()));
        self.place(work.frame, wait);
        if let Some(limit) = limit {
            self.draft.await_timeout(wait, Delay::FixedMs(limit));
        }
        self.draft.connect(first, wait);
        CallNodes {
            first,
            last: wait,
            name,
        }
    }

    /// What the row `name` shows of the variables of a step that no handler does.
    fn show(&mut self, work: &Work, node: NodeId, name: &str, writing: &Writing) {
        let reading = self.reading(work, name, writing.bindings.clone());
        self.draft.note(node, Rule::Show(reading).name());
    }

    /// A choice that a person makes (rule L4): from the node that asks to the one that has settled it.
    pub(super) fn question(
        &mut self,
        work: &Work,
        name: &str,
        branches: &[String],
    ) -> (NodeId, NodeId, Vec<NodeId>) {
        let choices = answers(branches);
        let mut writing = self.writing_of(work, BTreeSet::new(), &[], &[], true);
        let step = &self.playbook.steps[work.step];
        let text = format!("{} ({})", step.name, choices.join(", "));
        let name = self.names.take(name);
        writing.out_args = Vec::new();
        let nodes = if has_manual(&self.plan.options.handlers) {
            let handler = handler(&self.plan.options.handlers, &[MANUAL.to_owned()]);
            let call = self.question_call(work, &text, &choices, writing);
            let spec = StepSpec {
                kind: MANUAL.to_owned(),
                config: self.settings(work, &name, MANUAL, &call),
                ..StepSpec::new(handler.unwrap_or_else(|| MANUAL.to_owned()))
            };
            self.nodes += 1;
            let node = self.draft.step(name.clone(), spec);
            self.place(work.frame, node);
            CallNodes {
                first: node,
                last: node,
                name: name.clone(),
            }
        } else {
            self.task(
                work,
                &text,
                Json::Null,
                name.clone(),
                writing,
                None,
                choices,
            )
        };
        let settle = Rule::Chose(crate::cacao::rule::Question {
            asked: name.clone(),
            step: step.id.clone(),
            choices: branches.to_vec(),
            at: self.standing(work),
        });
        let settled = self.compute(work.frame, &format!("{name}/settle"), &settle);
        self.draft.connect(nodes.last, settled);
        let failing = BTreeSet::from([nodes.first, nodes.last, settled]);
        // Who asks is the logic step, and none of its branches.
        for node in &failing {
            self.draft.place(*node, Self::inside(work));
        }
        (nodes.first, settled, failing.into_iter().collect())
    }

    fn question_call(&self, work: &Work, text: &str, choices: &[String], writing: Writing) -> Call {
        let step = &self.playbook.steps[work.step];
        let mut command = Map::new();
        command.insert("type".to_owned(), MANUAL.into());
        Call {
            playbook_id: self.playbook.id.clone(),
            playbook_modified: self.playbook.modified.clone(),
            step_id: step.id.clone(),
            step_name: step.name.clone(),
            description: step.description.clone(),
            owner: step.owner.clone(),
            command,
            text: text.to_owned(),
            headers: Map::new(),
            content: None,
            content_base64: false,
            agent: Json::Null,
            target: Json::Null,
            authentication: Json::Null,
            command_index: 0,
            target_index: None,
            choices: choices.to_vec(),
            writing,
        }
    }

    /// The call of a playbook; `None` if that was not found, which was told.
    pub(super) fn playbook_action(&mut self, work: &Work, action: &PlaybookAction) -> Option<Made> {
        let called = self.plan.called.get(&work.step).cloned()?;
        let args = action
            .in_args
            .iter()
            .chain(&action.out_args)
            .map(|named| named.name.as_str());
        let names: BTreeSet<&str> = args.collect();
        let writing = self.writing_of(work, names, &action.in_args, &action.out_args, true);
        let input = Rule::Call(Child {
            in_args: writing.in_args.clone(),
            bindings: writing.bindings.clone(),
        });
        let mut reads = writing.clone();
        reads
            .bindings
            .0
            .retain(|name, _| reads.in_args.contains(name));
        let output = Rule::Returned(Returned {
            node: work.name.clone(),
            writing,
        });
        let spec = CallSpec {
            version: Some(called.version),
            input: Some(input.name()),
            output: Some(output.name()),
            depth_max: self.plan.options.cacao.max_playbook_depth,
            ..CallSpec::new(called.workflow)
        };
        let limit = self.limit(&self.playbook.steps[work.step], false);
        let name = match limit {
            Some(_) => self.names.take(&format!("{}/call", work.name)),
            None => work.name.clone(),
        };
        let read = self.compute(work.frame, &format!("{}/read", work.name), &Rule::Pass);
        self.show(work, read, &name, &reads);
        self.nodes += 1;
        let node = self.draft.call(name.clone(), spec);
        self.place(work.frame, node);
        self.draft.connect(read, node);
        let wording = Wording {
            called: Some(called.playbook),
            ..Wording::of(self.standing(work))
        };
        self.words(node, wording);
        let calls = [CallNodes {
            first: read,
            last: node,
            name,
        }];
        let made = self.together(work, &calls, limit, limit);
        if limit.is_some() {
            // What keeps the limit is no row, so the step is one of its own.
            self.block(work, "playbook-action", None, None);
            self.place_inside(work, &calls, &made);
        }
        Some(made)
    }
}

/// Whether the host does manual commands itself.
fn has_manual(handlers: &HandlerTypes) -> bool {
    matches!(handlers, HandlerTypes::Known(known) if known.iter().any(|name| name == MANUAL))
}
