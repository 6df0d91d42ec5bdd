//! The `parallelizable` proposal: a chain of marked steps becomes a parallel.

use std::collections::HashSet;

use crate::cacao::playbook::{Kind, Playbook, Pointer, Step};
use crate::cacao::read::Reader;
use crate::cacao::template;
use crate::cacao::value::with_article;
use crate::diagnostic::{listed, quoted};

/// Rewrites every chain, or reports why it cannot be one.
pub(crate) fn rewrite(playbook: &mut Playbook, accepted: bool, reader: &mut Reader<'_>) {
    let marked: Vec<usize> = (0..playbook.steps.len())
        .filter(|step| playbook.steps[*step].parallelizable.is_some())
        .collect();
    if !accepted {
        for step in marked {
            if let Some(spot) = playbook.steps[step].parallelizable.take() {
                let what = "\"parallelizable\" is no property of the standard, so it has no effect; remove it, or import with the option parallelizable";
                reader.repair("repaired-l15", "unknown-property", &spot, what, what);
            }
        }
        return;
    }
    let is_marked = |step: &Step| step.parallelizable.is_some();
    let mut chains: Vec<Vec<usize>> = Vec::new();
    for start in &marked {
        let led_here = marked
            .iter()
            .any(|other| next(&playbook.steps[*other]) == Some(*start));
        if led_here && !on_ring(playbook, *start) {
            continue;
        }
        let mut chain = vec![*start];
        let mut at = *start;
        while is_marked(&playbook.steps[at]) {
            let Some(following) = next(&playbook.steps[at]) else {
                break;
            };
            if matches!(playbook.steps[following].kind, Kind::End) || chain.contains(&following) {
                break;
            }
            chain.push(following);
            at = following;
        }
        chains.push(chain);
    }
    let mut taken = HashSet::new();
    for chain in chains {
        if leads_back(playbook, &chain) {
            // It stays as it is, and is told with the other rings.
            continue;
        }
        if chain.len() < 2 {
            let step = &playbook.steps[chain[0]];
            let what = "marked, but an end follows; nothing to run beside it; unmark it";
            reader.warning("parallelizable-alone", &step.spot, what);
        } else if chain.iter().all(|step| taken.insert(*step)) && is_sound(playbook, &chain, reader)
        {
            make_parallel(playbook, &chain);
        }
    }
    for step in &mut playbook.steps {
        step.parallelizable = None;
    }
}

fn next(step: &Step) -> Option<usize> {
    step.success.as_ref()?.target
}

/// Whether following the chain comes back; the ring itself is told elsewhere.
fn on_ring(playbook: &Playbook, start: usize) -> bool {
    let mut at = start;
    for _ in 0..playbook.steps.len() {
        let Some(following) = next(&playbook.steps[at]) else {
            return false;
        };
        if following == start {
            return true;
        }
        at = following;
    }
    false
}

/// Whether a member leads back to itself or to one before it. As branches they would lose that way.
fn leads_back(playbook: &Playbook, chain: &[usize]) -> bool {
    (1..).zip(chain).any(|(members, step)| {
        let mut successors = playbook.steps[*step].successors();
        successors.any(|next| chain[..members].contains(&next))
    })
}

fn is_sound(playbook: &Playbook, chain: &[usize], reader: &mut Reader<'_>) -> bool {
    let names = || listed(chain.iter().map(|step| playbook.steps[*step].name.as_str()));
    let mut sound = true;
    for (place, member) in chain.iter().enumerate() {
        let step = &playbook.steps[*member];
        if !matches!(step.kind, Kind::Action(_) | Kind::Playbook(_)) {
            let what = format!(
                "{} in the chain; its branches have no defined place; unmark {}",
                with_article(step.kind.as_str()),
                quoted(&playbook.steps[chain[0]].name)
            );
            reader.error("parallelizable-branching", &step.spot, what);
            sound = false;
        }
        if place == 0 {
            continue;
        }
        for (other, from) in playbook.steps.iter().enumerate() {
            let points = from.successors().any(|target| target == *member);
            if points && other != chain[place - 1] {
                let what = format!(
                    "{} also points to it; {} belongs to chain {} and would run twice; point {} to {}",
                    quoted(&from.name),
                    quoted(&step.name),
                    names(),
                    quoted(&from.name),
                    quoted(&playbook.steps[chain[0]].name)
                );
                reader.error("parallelizable-entered", &step.spot, what);
                sound = false;
            }
        }
    }
    let failure = |step: usize| {
        playbook.steps[step]
            .failure
            .as_ref()
            .map(|way| way.id.clone())
    };
    let first = failure(chain[0]);
    if chain.iter().any(|step| failure(*step) != first) {
        let spot = playbook.steps[chain[0]]
            .spot
            .clone()
            .called(format!("chain {}", names()));
        let what = "on_failure differs; the group can have only one; make them equal";
        reader.error("parallelizable-failure-pointers", &spot, what);
        sound = false;
    }
    report_data(playbook, chain, reader);
    sound
}

fn report_data(playbook: &Playbook, chain: &[usize], reader: &mut Reader<'_>) {
    let mut written: Vec<(String, usize)> = Vec::new();
    for member in chain {
        let step = &playbook.steps[*member];
        let read = reads(playbook, step);
        let both = written
            .iter()
            .find(|(name, _)| read.contains(name) && step.variable(name).is_none());
        if let Some((name, writer)) = both {
            let what = format!(
                "reads {name}, which {} writes; they would run together; unmark {}",
                quoted(&playbook.steps[*writer].name),
                quoted(&playbook.steps[*writer].name)
            );
            reader
                .report
                .repairable("parallelizable-data", &step.spot, what);
        }
        let out = match &step.kind {
            Kind::Action(action) => &action.out_args,
            Kind::Playbook(action) => &action.out_args,
            _ => continue,
        };
        written.extend(out.iter().map(|name| (name.name.clone(), *member)));
    }
}

/// The variables that a step asks for.
fn reads(playbook: &Playbook, step: &Step) -> HashSet<String> {
    let mut found = HashSet::new();
    match &step.kind {
        Kind::Action(action) => {
            found.extend(action.in_args.iter().map(|name| name.name.clone()));
            for command in &action.commands {
                let headers = command.headers.iter().flat_map(|(_, values)| values);
                let texts = [&command.text]
                    .into_iter()
                    .chain(&command.content)
                    .chain(headers);
                found.extend(
                    texts
                        .flat_map(|text| template::names(text))
                        .map(str::to_owned),
                );
            }
            let agent = action.agent.iter().filter_map(|id| playbook.agents.get(id));
            let targets = action
                .targets
                .iter()
                .filter_map(|id| playbook.targets.get(id));
            for definition in agent.chain(targets) {
                let text = definition.to_string();
                found.extend(template::names(&text).map(str::to_owned));
            }
        }
        Kind::Playbook(action) => found.extend(action.in_args.iter().map(|name| name.name.clone())),
        _ => {}
    }
    found
}

/// Puts a parallel in the place of a chain's first step: pointers to that lead to it now.
fn make_parallel(playbook: &mut Playbook, chain: &[usize]) {
    let (first, last) = (chain[0], chain[chain.len() - 1]);
    let parallel = playbook.steps.len();
    let id = playbook.steps[first].id.clone();
    let label = format!("parallelizable:{id}");
    let spot = playbook.steps[first].spot.clone();
    let (success, failure) = (
        playbook.steps[last].success.take(),
        playbook.steps[first].failure.clone(),
    );
    let targets = playbook.steps.iter_mut().flat_map(|step| {
        let Step {
            success,
            failure,
            kind,
            ..
        } = step;
        let mut ways: Vec<&mut Pointer> = success.iter_mut().chain(failure).collect();
        match kind {
            Kind::Parallel { next, .. } => ways.extend(next),
            Kind::If {
                on_true, on_false, ..
            } => ways.extend(on_true.iter_mut().chain(on_false)),
            Kind::While { on_true, .. } => ways.extend(on_true),
            Kind::Switch { cases, .. } => ways.extend(cases.iter_mut().map(|(_, way)| way)),
            Kind::Start | Kind::End | Kind::Action(_) | Kind::Playbook(_) | Kind::Unknown => {}
        }
        ways
    });
    let roots = playbook.start.iter_mut().chain(&mut playbook.exception);
    for way in targets.chain(roots).filter(|way| way.target == Some(first)) {
        way.target = Some(parallel);
    }
    let next = chain.iter().map(|step| Pointer {
        id: playbook.steps[*step].id.clone(),
        target: Some(*step),
        spot: spot.clone(),
    });
    let next: Vec<Pointer> = next.collect();
    for member in chain {
        // Each ends its branch by itself.
        playbook.steps[*member].success = None;
        playbook.steps[*member].failure = None;
    }
    playbook.steps.push(Step {
        id: label.clone(),
        name: label.clone(),
        description: None,
        owner: None,
        delay_ms: 0,
        timeout_ms: None,
        variables: Vec::new(),
        success,
        failure,
        parallelizable: None,
        kind: Kind::Parallel {
            next,
            label: Some(label),
        },
        spot,
    });
}
