//! Pointers between steps, looked up.

use std::collections::HashMap;

use crate::cacao::playbook::{Kind, Playbook, Pointer};
use crate::cacao::read::field::Reader;
use crate::diagnostic::quoted;
use crate::suggestion::nearest;

/// What a pointer may have meant.
enum Found {
    Step(usize),
    /// Another prefix, the same UUID, and only one step of that.
    Alike(usize),
    Nothing,
}

impl Reader<'_> {
    /// Looks every pointer up.
    pub(super) fn resolve(&mut self, playbook: &mut Playbook) {
        let by_id = playbook.by_id.clone();
        let mut by_uuid: HashMap<&str, Vec<usize>> = HashMap::new();
        for (id, step) in &by_id {
            by_uuid.entry(uuid(id)).or_default().push(*step);
        }
        let mut ids: Vec<&str> = by_id.keys().map(String::as_str).collect();
        ids.sort_unstable();
        let find = |id: &str| match (by_id.get(id), by_uuid.get(uuid(id)).map(Vec::as_slice)) {
            (Some(step), _) => Found::Step(*step),
            (None, Some([step])) => Found::Alike(*step),
            (None, _) => Found::Nothing,
        };
        let mut pointers: Vec<&mut Pointer> = Vec::new();
        for step in &mut playbook.steps {
            let success = step.success.take();
            let failure = step.failure.take();
            let mut own = [success, failure];
            for pointer in own.iter_mut().flatten() {
                self.look_up(pointer, &find, &ids);
            }
            [step.success, step.failure] = own;
            for pointer in step.branches_mut() {
                self.look_up(pointer, &find, &ids);
            }
        }
        pointers.extend(playbook.start.as_mut());
        pointers.extend(playbook.exception.as_mut());
        for pointer in pointers {
            self.look_up(pointer, &find, &ids);
        }
        self.missing_ways(playbook);
    }

    fn look_up(&mut self, pointer: &mut Pointer, find: &dyn Fn(&str) -> Found, ids: &[&str]) {
        let place = pointer.spot.pointer.clone().unwrap_or_default();
        let key = place.segments().last().map(|key| (*key).to_owned());
        let key = key.unwrap_or_default();
        let named = if key.parse::<usize>().is_ok() {
            "next_steps".to_owned()
        } else {
            key
        };
        match find(&pointer.id) {
            Found::Step(step) => pointer.target = Some(step),
            Found::Alike(step) => {
                let what = format!(
                    "{named} names {}, which does not exist; the flow would stop there; correct its type",
                    quoted(&pointer.id)
                );
                let lenient = format!(
                    "{named} names {}, taken as the step of that UUID",
                    quoted(&pointer.id)
                );
                self.repair("repaired-l9", "unknown-step", &pointer.spot, what, lenient);
                if self.is_lenient() {
                    pointer.target = Some(step);
                }
            }
            Found::Nothing => {
                let near = nearest(&pointer.id, ids.iter().copied());
                let fix =
                    near.map_or_else(|| "add it".to_owned(), |near| format!("nearest is {near}"));
                let what = format!(
                    "{named} names {}, which does not exist; the flow would stop there; {fix}",
                    quoted(&pointer.id)
                );
                self.error("unknown-step", &pointer.spot, what);
            }
        }
    }

    /// Reports steps that lead nowhere.
    fn missing_ways(&mut self, playbook: &Playbook) {
        for step in &playbook.steps {
            let leads = step.success.is_some() || matches!(step.kind, Kind::End | Kind::Unknown);
            if leads {
                continue;
            }
            let what = if matches!(step.kind, Kind::Start) {
                "no on_completion; what follows is open; add one"
            } else if step.failure.is_some() {
                "no on_success; what follows success is open; add one"
            } else {
                "no on_completion or on_success; what follows is open; add one"
            };
            let lenient = "nothing follows it, so its branch ends there; add on_completion";
            self.repair(
                "repaired-l1",
                "next-pointer-missing",
                &step.spot,
                what,
                lenient,
            );
        }
    }
}

fn uuid(id: &str) -> &str {
    id.split_once("--").map_or(id, |(_, uuid)| uuid)
}
