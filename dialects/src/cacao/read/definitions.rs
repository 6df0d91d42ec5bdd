//! Agents, targets and credentials.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::cacao::playbook::Playbook;
use crate::cacao::read::field::{Reader, json, shown};
use crate::diagnostic::{Spot, quoted};
use crate::tree::{Node, Value};

impl Reader<'_> {
    pub(super) fn definitions(&mut self, spot: &Spot, root: &Node, playbook: &mut Playbook) {
        playbook.agents = self.defined(spot, root, "agent_definitions", true);
        playbook.targets = self.defined(spot, root, "target_definitions", true);
        playbook.credentials = self.defined(spot, root, "authentication_info_definitions", false);
    }

    fn defined(
        &mut self,
        spot: &Spot,
        root: &Node,
        key: &str,
        named: bool,
    ) -> BTreeMap<String, Json> {
        let mut found = BTreeMap::new();
        let Some((entries, place)) = self.object(spot, root, key) else {
            return found;
        };
        for entry in entries {
            let here = place.entry(entry).called(format!("/{key}/{}", entry.key));
            if !matches!(entry.value.value, Value::Map(_)) {
                let what = format!("is {}; it must be an object", shown(&entry.value));
                self.error("value-invalid", &here, what);
                continue;
            }
            for wanted in ["type", "name"].into_iter().take(if named { 2 } else { 1 }) {
                if entry.value.get(wanted).is_none() {
                    let what = format!("{wanted} is missing; nothing says what it is; add it");
                    self.error("field-missing", &here, what);
                }
            }
            let kind = self.text(&here, &entry.value, "type").unwrap_or_default();
            let prefix = entry.key.split("--").next().unwrap_or_default();
            if !kind.is_empty() && prefix != kind {
                let what = format!(
                    "key begins {prefix}-- but type is {}; steps rely on it; change one",
                    quoted(&kind)
                );
                let lenient = format!(
                    "key begins {prefix}-- but type is {}; accepted",
                    quoted(&kind)
                );
                self.repair("repaired-l15", "id-type-mismatch", &here, what, lenient);
            }
            found.insert(entry.key.clone(), json(&entry.value));
        }
        found
    }
}
