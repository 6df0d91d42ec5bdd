//! A block whose children run side by side.

use super::Kind;
use super::link::links;
use crate::diagnostic::{Report, Spot};
use crate::parallel_json::field::{self, place};
use crate::tree::Node;

pub(super) fn read<'a>(node: &'a Node, spot: &Spot, report: &mut Report) -> Kind<'a> {
    let children = links(report, spot, node, "parallel_steps");
    if children.len() < 2 {
        too_few(
            report,
            &place(spot, node, "parallel_steps"),
            children.len(),
            "use the step itself",
        );
    }
    Kind::Parallel {
        children,
        max_parallelism: field::count(report, spot, node, "max_parallelism"),
    }
}

pub(super) fn too_few(report: &mut Report, spot: &Spot, found: usize, fix: &str) {
    let entries = if found == 1 { "entry" } else { "entries" };
    let what = format!("{found} {entries}; a block needs 2; {fix}");
    report.error("too-few-children", spot, what);
}
