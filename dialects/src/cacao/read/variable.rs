//! Variables where they are declared.

use serde_json::Value as Json;

use crate::cacao::playbook::Variable;
use crate::cacao::read::field::{Reader, json, shown};
use crate::cacao::template::is_name;
use crate::cacao::value::{Type, text_of};
use crate::diagnostic::{Spot, quoted};
use crate::suggestion::did_you_mean;
use crate::tree::{Entry, Meaning, Node, Value};

const KNOWN: [&str; 5] = ["type", "description", "value", "constant", "external"];

impl Reader<'_> {
    /// The variables under a key; `global` ones may be external.
    pub(crate) fn variables(
        &mut self,
        parent: &Spot,
        node: &Node,
        key: &str,
        global: bool,
    ) -> Vec<Variable> {
        let Some((entries, spot)) = self.object(parent, node, key) else {
            return Vec::new();
        };
        entries
            .iter()
            .filter_map(|entry| self.variable(&spot, entry, global))
            .collect()
    }

    fn variable(&mut self, parent: &Spot, entry: &Entry, global: bool) -> Option<Variable> {
        let name = &entry.key;
        let spot = parent.entry(entry);
        let named = spot.clone().called(format!("variable {name}"));
        if !is_name(name, false) {
            let what = wrong_name(name);
            let placed = spot.clone().called_by_pointer();
            if is_name(name, true) {
                let lenient =
                    format!("variable {name} has dots in its name; accepted; others may refuse it");
                self.repair(
                    "repaired-l11",
                    "variable-name-invalid",
                    &placed,
                    what,
                    lenient,
                );
            } else {
                self.error("variable-name-invalid", &placed, what);
                return None;
            }
        }
        if !matches!(entry.value.value, Value::Map(_)) {
            let what = format!(
                "is {}; it must be an object with a type",
                shown(&entry.value)
            );
            self.error("value-invalid", &named, what);
            return None;
        }
        self.only(&named, entry.value.entries(), &KNOWN);
        self.text(&named, &entry.value, "description");
        let kind = self.variable_type(&named, &entry.value);
        let constant = self
            .boolean(&named, &entry.value, "constant")
            .unwrap_or(false);
        let external = self
            .boolean(&named, &entry.value, "external")
            .unwrap_or(false);
        if external && !global {
            let what = "external: true; only variables of the playbook come from outside; declare it there";
            self.error("value-invalid", &named, what);
        }
        Some(Variable {
            name: name.clone(),
            kind,
            value: self.variable_value(&named, &entry.value, kind),
            constant,
            external: external && global,
        })
    }

    fn variable_type(&mut self, spot: &Spot, node: &Node) -> Type {
        let Some(written) = self.text(spot, node, "type") else {
            if node.get("type").is_none() {
                let what = "type is missing; nothing says what its values are; add one";
                self.error("field-missing", spot, what);
            }
            return Type::Other;
        };
        Type::named(&written).unwrap_or_else(|| {
            let what = format!(
                "type {} is not in the standard, so its values are taken as text; {}",
                quoted(&written),
                did_you_mean(&written, Type::names(), "use string")
            );
            self.warning("value-invalid", spot, what);
            Type::Other
        })
    }

    fn variable_value(&mut self, spot: &Spot, node: &Node, kind: Type) -> Json {
        let Some(entry) = node.get("value") else {
            return Json::Null;
        };
        let value = match (&entry.value.value, entry.value.meaning()) {
            (_, Some(Meaning::Text(text))) => Json::String(text.to_owned()),
            (Value::Map(_), _) if kind == Type::Dictionary => json(&entry.value),
            (Value::Scalar(scalar), _) => {
                let what = format!(
                    "{} stands without quotes; values are texts; quote it",
                    scalar.text
                );
                let lenient = format!("{} is taken as text; quote it", scalar.text);
                self.repair("repaired-l12", "variable-type", spot, what, lenient);
                Json::String(scalar.text.clone())
            }
            _ => {
                let must = match kind {
                    Type::Dictionary => "an object",
                    _ => "a text",
                };
                let what = format!("its value is {}; it must be {must}", shown(&entry.value));
                self.error("variable-type", spot, what);
                return Json::Null;
            }
        };
        let text = text_of(&value).unwrap_or_default();
        // A text in which others are filled in is judged when it is used.
        if !kind.fits(&text) && !text.contains("__:value") {
            let what = format!(
                "{} is no {}; comparisons would be meaningless; correct it",
                quoted(&text),
                kind.as_str()
            );
            self.error("variable-type", spot, what);
        }
        value
    }
}

pub(super) fn wrong_name(name: &str) -> String {
    let inner = name.trim_matches('_');
    let wrong = inner
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || *c == '_' || *c == '-'));
    let better: String = inner
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .collect();
    match wrong {
        Some(c) => format!("{:?} is not allowed; write __{better}__", c.to_string()),
        None => format!(
            "{} is no name of a variable; write one such as __name__",
            quoted(name)
        ),
    }
}
