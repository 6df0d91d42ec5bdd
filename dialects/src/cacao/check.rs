//! Checks that need the whole playbook: variables in their scopes, and who does the work.

use std::collections::{BTreeSet, VecDeque};

use serde_json::Value as Json;

use crate::cacao::condition;
use crate::cacao::playbook::{Action, Command, Kind, Named, Playbook, Step};
use crate::cacao::read::{MANUAL, Reader, is_known_command, similar_command};
use crate::cacao::template;
use crate::cacao::value::Type;
use crate::diagnostic::{Spot, listed, quoted};
use crate::options::HandlerTypes;

/// For each step the logic step around it, if there is one.
pub(crate) fn enclosing(playbook: &Playbook) -> Vec<Option<usize>> {
    let mut found = vec![None; playbook.steps.len()];
    let mut reached = vec![false; playbook.steps.len()];
    let roots = playbook.start.iter().chain(&playbook.exception);
    let mut queue: VecDeque<(usize, Option<usize>)> = roots
        .filter_map(|root| Some((root.target?, None)))
        .collect();
    // What follows a step is looked at before what its branches hold, so that a step which both lead
    // to counts as following.
    while let Some((step, within)) = queue.pop_front() {
        if std::mem::replace(&mut reached[step], true) {
            continue;
        }
        found[step] = within;
        let after = playbook.steps[step]
            .success
            .iter()
            .chain(&playbook.steps[step].failure);
        for next in after.filter_map(|way| way.target) {
            queue.push_front((next, within));
        }
        for next in playbook.steps[step]
            .branches()
            .iter()
            .filter_map(|way| way.target)
        {
            queue.push_back((next, Some(step)));
        }
    }
    found
}

/// The type of a variable as a step sees it; `None` if it is declared nowhere in scope.
fn type_of(playbook: &Playbook, within: &[Option<usize>], step: usize, name: &str) -> Option<Type> {
    let mut at = Some(step);
    while let Some(scope) = at {
        if let Some(variable) = playbook.steps[scope].variable(name) {
            return Some(variable.kind);
        }
        at = within[scope];
    }
    let variable = playbook
        .variables
        .iter()
        .find(|variable| variable.name == name);
    variable.map(|variable| variable.kind)
}

/// Moves variables that an action declares only to write them to where others see them (rule L13).
pub(crate) fn move_outputs(playbook: &mut Playbook, reader: &mut Reader<'_>) {
    if !reader.is_lenient() {
        return;
    }
    for step in 0..playbook.steps.len() {
        let Kind::Action(action) = &playbook.steps[step].kind else {
            continue;
        };
        let written: BTreeSet<String> = action
            .out_args
            .iter()
            .map(|named| named.name.clone())
            .collect();
        let own = std::mem::take(&mut playbook.steps[step].variables);
        let (moved, kept) = own
            .into_iter()
            .partition(|variable| written.contains(&variable.name) && variable.value.is_null());
        playbook.steps[step].variables = kept;
        let moved: Vec<crate::cacao::playbook::Variable> = moved;
        for variable in moved {
            let what = format!(
                "{} is declared here and written by this step; later steps see it too; declare it in playbook_variables",
                variable.name
            );
            reader.warning("repaired-l13", &playbook.steps[step].spot, what);
            if !playbook
                .variables
                .iter()
                .any(|known| known.name == variable.name)
            {
                playbook.variables.push(variable);
            }
        }
    }
}

/// Reports names that stand for nothing, and comparisons that make no sense.
pub(crate) fn check_variables(playbook: &mut Playbook, reader: &mut Reader<'_>) {
    let within = enclosing(playbook);
    for step in 0..playbook.steps.len() {
        shadowed(playbook, &within, step, reader);
        if let Kind::If {
            condition: Some(_), ..
        }
        | Kind::While {
            condition: Some(_), ..
        } = &playbook.steps[step].kind
        {
            check_condition(playbook, &within, step, reader);
        }
        let at = &playbook.steps[step];
        let seen = |name: &str| type_of(playbook, &within, step, name);
        match &at.kind {
            Kind::Switch {
                switch: Some(name), ..
            } if seen(name).is_none() => {
                unknown(name, &at.spot, reader);
            }
            Kind::Action(action) => {
                named(&action.in_args, &seen, reader);
                named(&action.out_args, &seen, reader);
                texts(playbook, at, action, &seen, reader);
            }
            Kind::Playbook(action) => {
                named(&action.in_args, &seen, reader);
                named(&action.out_args, &seen, reader);
            }
            _ => {}
        }
    }
}

fn unknown(name: &str, spot: &Spot, reader: &mut Reader<'_>) {
    let what =
        format!("{name} is declared nowhere in scope; it could never have a value; declare it");
    reader.error("unknown-variable", spot, what);
}

fn named(names: &[Named], seen: &dyn Fn(&str) -> Option<Type>, reader: &mut Reader<'_>) {
    for name in names.iter().filter(|name| seen(&name.name).is_none()) {
        unknown(&name.name, &name.spot, reader);
    }
}

fn shadowed(playbook: &Playbook, within: &[Option<usize>], step: usize, reader: &mut Reader<'_>) {
    let at = &playbook.steps[step];
    for variable in &at.variables {
        let mut around = within[step];
        let mut hidden = None;
        while let Some(scope) = around {
            if playbook.steps[scope].variable(&variable.name).is_some() {
                hidden = Some(format!("that of {}", quoted(&playbook.steps[scope].name)));
                break;
            }
            around = within[scope];
        }
        let global = playbook
            .variables
            .iter()
            .any(|known| known.name == variable.name);
        if hidden.is_none() && global {
            hidden = Some("the playbook's".to_owned());
        }
        if let Some(hidden) = hidden {
            let what = format!(
                "{} hides {hidden}; writes stay local; rename it",
                variable.name
            );
            reader.warning("variable-shadowed", &at.spot, what);
        }
    }
}

fn check_condition(
    playbook: &mut Playbook,
    within: &[Option<usize>],
    step: usize,
    reader: &mut Reader<'_>,
) {
    let lenient = reader.is_lenient();
    let (Kind::If {
        condition: Some(condition),
        ..
    }
    | Kind::While {
        condition: Some(condition),
        ..
    }) = &playbook.steps[step].kind
    else {
        return;
    };
    let mut condition = condition.clone();
    let spot = playbook.steps[step].spot.clone();
    let mut told = BTreeSet::new();
    for name in condition.variables() {
        if type_of(playbook, within, step, name).is_none() && told.insert(name.to_owned()) {
            unknown(name, &spot, reader);
        }
    }
    let complaints = condition::check(
        &mut condition,
        &|name| type_of(playbook, within, step, name),
        lenient,
    );
    for complaint in complaints {
        if complaint.is_subset {
            reader.repair(
                "repaired-l19",
                complaint.code,
                &spot,
                &complaint.what,
                &complaint.what,
            );
        } else {
            reader.error(complaint.code, &spot, complaint.what);
        }
    }
    if let Kind::If {
        condition: slot, ..
    }
    | Kind::While {
        condition: slot, ..
    } = &mut playbook.steps[step].kind
    {
        *slot = Some(condition);
    }
}

/// The texts of a command in which references are filled in.
pub(crate) fn command_texts(command: &Command) -> impl Iterator<Item = &str> {
    let headers = command.headers.iter().flat_map(|(_, values)| values);
    [&command.text]
        .into_iter()
        .chain(&command.content)
        .chain(headers)
        .map(String::as_str)
}

/// The definitions that a call of an action is given, each with the words for it: its agent, a
/// target, and the credentials that these name.
pub(crate) fn definitions<'p>(playbook: &'p Playbook, action: &Action) -> Vec<&'p Json> {
    let agent = action.agent.iter().filter_map(|id| playbook.agents.get(id));
    let targets = action.targets.iter().filter_map(|id| target(playbook, id));
    let mut found: Vec<&Json> = agent.chain(targets).collect();
    let credentials: Vec<&Json> = found
        .iter()
        .filter_map(|definition| {
            playbook
                .credentials
                .get(definition["authentication_info"].as_str()?)
        })
        .collect();
    found.extend(credentials);
    found
}

/// A target, which may also be an agent.
pub(crate) fn target<'p>(playbook: &'p Playbook, id: &str) -> Option<&'p Json> {
    playbook.targets.get(id).or_else(|| playbook.agents.get(id))
}

fn texts(
    playbook: &Playbook,
    step: &Step,
    action: &Action,
    seen: &dyn Fn(&str) -> Option<Type>,
    reader: &mut Reader<'_>,
) {
    let mut told = BTreeSet::new();
    let mut tell = |name: &str, spot: &Spot, reader: &mut Reader<'_>| {
        if seen(name).is_none() && told.insert(name.to_owned()) {
            let what = format!(
                "{name} is declared nowhere in scope; it could never have a value; declare it"
            );
            let lenient =
                format!("{name} is declared nowhere in scope; the reference is left as written");
            reader.repair("repaired-l17", "unknown-variable", spot, what, lenient);
        }
    };
    for command in &action.commands {
        for name in command_texts(command).flat_map(template::names) {
            tell(name, &command.spot, reader);
        }
    }
    for definition in definitions(playbook, action) {
        let text = definition.to_string();
        for name in template::names(&text) {
            tell(name, &step.spot, reader);
        }
        if let Some(id) = definition["authentication_info"].as_str()
            && !playbook.credentials.contains_key(id)
        {
            let what = format!(
                "authentication_info {} is not defined; nobody could log in; define it or correct the id",
                quoted(id)
            );
            reader.error("unknown-authentication", &step.spot, what);
        }
    }
}

/// The names under which a handler of this command may be registered, narrowest first.
pub(crate) fn handler_names(kind: &str, agent: Option<(&str, &Json)>) -> Vec<String> {
    let mut names = Vec::new();
    if let Some((id, agent)) = agent {
        names.push(format!("{kind}@{id}"));
        let of = agent["type"].as_str();
        if let (Some(of), Some(name)) = (of, agent["name"].as_str()) {
            names.push(format!("{kind}@{of}:{name}"));
        }
        names.extend(of.map(|of| format!("{kind}@{of}")));
    }
    names.push(kind.to_owned());
    names
}

/// The handler of a command; `None` if there is none. Names that stores cannot hold are passed by.
pub(crate) fn handler(handlers: &HandlerTypes, names: &[String]) -> Option<String> {
    let fits = |name: &&String| {
        name.len() <= windlass_workflow_model::limits::NAME_BYTES_MAX
            && !name.chars().any(char::is_control)
    };
    let last = names.last()?;
    match handlers {
        HandlerTypes::Any => Some(last).filter(fits).cloned(),
        HandlerTypes::Known(known) => names
            .iter()
            .filter(fits)
            .find(|name| known.contains(name))
            .or_else(|| {
                Some(last)
                    .filter(fits)
                    .filter(|_| known.iter().any(|name| name == "*"))
            })
            .cloned(),
    }
}

/// The commands that handlers do, each with the names under which one may be registered.
pub(crate) fn handled_commands(
    playbook: &Playbook,
) -> impl Iterator<Item = (&Command, Vec<String>)> {
    let actions = playbook.steps.iter().filter_map(|step| match &step.kind {
        Kind::Action(action) => Some(action),
        _ => None,
    });
    actions.flat_map(|action| {
        let agent = action.agent.as_deref();
        let agent = agent.and_then(|id| Some((id, playbook.agents.get(id)?)));
        let commands = action.commands.iter();
        let handled = commands.filter(|command| command.kind != MANUAL);
        handled.map(move |command| (command, handler_names(&command.kind, agent)))
    })
}

/// Reports commands that nobody does.
pub(crate) fn check_handlers(
    playbook: &Playbook,
    handlers: &HandlerTypes,
    reader: &mut Reader<'_>,
) {
    for (command, names) in handled_commands(playbook) {
        if handler(handlers, &names).is_some() {
            continue;
        }
        let registered = match handlers {
            HandlerTypes::Any => String::new(),
            HandlerTypes::Known(known) => {
                let known = known.iter().map(String::as_str);
                listed([MANUAL].into_iter().chain(known))
            }
        };
        let hint = match similar_command(&command.kind) {
            Some(near) if !is_known_command(&command.kind) => {
                format!("register one, or did you mean {near:?}?")
            }
            _ => "register one".to_owned(),
        };
        let what = format!(
            "no handler for type {} (registered: {registered}); it could not run; {hint}",
            command.kind
        );
        reader.error("no-handler", &command.spot, what);
    }
}
