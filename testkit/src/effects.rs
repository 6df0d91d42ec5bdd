//! Whether what steps did to the world is what they had declared.

use std::collections::{BTreeMap, BTreeSet};

use windlass::Effect;

use crate::evidence::{End, Evidence};
use crate::recorder::Note;

/// The notes of one activation, with the workflow and step that they are of.
type Activations<'a> = BTreeMap<(&'a str, &'a str, i64, u64), Vec<&'a Note>>;

/// Checks each class of effect against the notes, and against those of an undisturbed run.
pub(crate) fn check(plain: &Evidence, got: &Evidence, is_same_end: bool) -> Result<(), String> {
    for ((workflow, step, _, _), notes) in &done(&got.notes) {
        let place = ((*workflow).to_owned(), (*step).to_owned());
        match got.effects.get(&place) {
            Some(Effect::Idempotent { .. }) => idempotent(step, notes)?,
            Some(Effect::AtMostOnce { .. }) if notes.len() > 1 => {
                let times = notes.len();
                return Err(format!(
                    "{step:?} has declared at_most_once and happened {times} times: {}",
                    said(notes)
                ));
            }
            Some(Effect::AtMostOnce { .. } | Effect::Plain | Effect::Transactional) | None => {}
        }
    }
    reversed(&got.notes)?;
    if is_same_end && !matches!(got.end, End::Parked(_)) {
        same(plain, got)?;
    }
    Ok(())
}

fn done(notes: &[Note]) -> Activations<'_> {
    let mut activations = Activations::new();
    for note in notes.iter().filter(|note| !note.is_undo) {
        let place = (
            note.workflow.as_str(),
            note.step.as_str(),
            note.run,
            note.activation,
        );
        activations.entry(place).or_default().push(note);
    }
    activations
}

fn said(notes: &[&Note]) -> String {
    let notes = notes.iter();
    let texts = notes.map(|note| {
        format!(
            "attempt {}: {:?} under {}",
            note.attempt, note.what, note.key
        )
    });
    texts.collect::<Vec<_>>().join("; ")
}

fn idempotent(step: &str, notes: &[&Note]) -> Result<(), String> {
    let keys: BTreeSet<_> = notes.iter().map(|note| &note.key).collect();
    if keys.len() > 1 {
        return Err(format!(
            "{step:?} has declared idempotent and gave different keys in one activation: {}",
            said(notes)
        ));
    }
    Ok(())
}

/// What steps that promise to have their effect once have done, each thing once, without ids.
fn once(evidence: &Evidence) -> BTreeMap<(&str, &str), Vec<&str>> {
    let mut once: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for ((workflow, step, _, _), notes) in done(&evidence.notes) {
        let place = (workflow.to_owned(), step.to_owned());
        let promises = matches!(
            evidence.effects.get(&place),
            Some(Effect::Idempotent { .. } | Effect::AtMostOnce { .. })
        );
        if promises {
            let what: BTreeSet<_> = notes.iter().map(|note| note.what.as_str()).collect();
            once.entry((workflow, step)).or_default().extend(what);
        }
    }
    for what in once.values_mut() {
        what.sort_unstable();
    }
    once
}

fn same(plain: &Evidence, got: &Evidence) -> Result<(), String> {
    let (expected, found) = (once(plain), once(got));
    if expected != found {
        return Err(format!(
            "what steps did under one key each is not what they did undisturbed:\n  {found:?}\ninstead of\n  {expected:?}"
        ));
    }
    let undone = |evidence: &Evidence| -> BTreeSet<(String, String)> {
        let notes = evidence.notes.iter().filter(|note| note.is_undo);
        notes
            .map(|note| (note.step.clone(), note.what.clone()))
            .collect()
    };
    let (expected, found) = (undone(plain), undone(got));
    if expected != found {
        return Err(format!(
            "other things were undone than undisturbed:\n  {found:?}\ninstead of\n  {expected:?}"
        ));
    }
    Ok(())
}

/// Steps of one branch are undone in reverse order.
fn reversed(notes: &[Note]) -> Result<(), String> {
    // Where in the list each activation was done, and each step undone, for the last time.
    let mut done: BTreeMap<(i64, &str), (usize, i64)> = BTreeMap::new();
    let mut undone: BTreeMap<(i64, &str), usize> = BTreeMap::new();
    let mut repeated: BTreeSet<(i64, &str)> = BTreeSet::new();
    let mut activations: BTreeMap<(i64, &str), u64> = BTreeMap::new();
    for (place, note) in notes.iter().enumerate() {
        let step = (note.run, note.step.as_str());
        if note.is_undo {
            // The first time: it may be repeated only before the next one begins.
            undone.entry(step).or_insert(place);
            continue;
        }
        if activations
            .insert(step, note.activation)
            .is_some_and(|before| before != note.activation)
        {
            // In a loop, or on several branches: there is no one order.
            repeated.insert(step);
        }
        done.insert(step, (place, note.branch));
    }
    let places: Vec<_> = done
        .iter()
        .filter(|(step, _)| !repeated.contains(*step))
        .filter_map(|(step, (at, branch))| Some((*branch, *at, *undone.get(step)?, step.1)))
        .collect();
    for (branch, at, undone_at, step) in &places {
        let wrong = places.iter().find(|(other, later, undone_later, _)| {
            other == branch && later > at && undone_later > undone_at
        });
        if let Some((.., later)) = wrong {
            return Err(format!(
                "{step:?} was undone before {later:?}, which was done after it"
            ));
        }
    }
    Ok(())
}
