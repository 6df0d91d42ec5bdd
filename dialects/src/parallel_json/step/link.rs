//! Steps as other steps name them.

use crate::diagnostic::{Report, Spot};
use crate::parallel_json::field;
use crate::tree::{Meaning, Node, Value};

/// The id of another step where it is named.
#[derive(Clone, Debug)]
pub(crate) struct Link<'a> {
    pub(crate) id: &'a str,
    pub(crate) spot: Spot,
    /// Its index; set when all steps are known, and left empty if there is no such step.
    pub(crate) target: Option<usize>,
}

pub(super) fn link<'a>(
    report: &mut Report,
    parent: &Spot,
    node: &'a Node,
    key: &str,
) -> Option<Link<'a>> {
    let id = field::text(report, parent, node, key)?;
    let spot = field::spot(parent, node.get(key)?);
    Some(Link {
        id,
        spot,
        target: None,
    })
}

/// A list of ids; what is none is reported and left out.
pub(super) fn links<'a>(
    report: &mut Report,
    parent: &Spot,
    node: &'a Node,
    key: &str,
) -> Vec<Link<'a>> {
    let Some(entry) = node.get(key) else {
        return Vec::new();
    };
    let Value::List(items) = &entry.value.value else {
        field::mistyped(report, parent, entry, "a list of step ids");
        return Vec::new();
    };
    let list = field::spot(parent, entry);
    let mut links = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let spot = field::item_spot(&list, index, item);
        if let Some(Meaning::Text(id)) = item.meaning() {
            let target = None;
            links.push(Link { id, spot, target });
            continue;
        }
        let what = format!(
            "is {}; no step has such an id; write an id",
            field::shown(item)
        );
        report.error("field-type", &spot, what);
    }
    links
}
