//! A step that decides.

use super::Kind;
use super::keys::{ALIASES, check_inner_keys};
use super::link::link;
use crate::diagnostic::{Report, Spot};
use crate::options::Mode;
use crate::parallel_json::expression::{self, Expression};
use crate::parallel_json::field::{self, is_text, place};
use crate::parallel_json::mapping::Mention;
use crate::tree::Node;

pub(super) fn read<'a>(
    node: &'a Node,
    step: &Spot,
    mentions: &mut Vec<Mention>,
    report: &mut Report,
) -> Kind<'a> {
    let mut branch = |(alias, key): (&str, &str)| {
        let aliased = node.get(key).is_none() && node.get(alias).is_some();
        // The alias is reported as an unknown key.
        link(report, step, node, if aliased { alias } else { key })
    };
    let (then, otherwise) = (branch(ALIASES[0]), branch(ALIASES[1]));
    let named = |key: &str| node.get(key).is_some();
    if !named("if_true_step") && !named("if_false_step") {
        let what = "neither if_true_step nor if_false_step; the test decides nothing; add one";
        let aliased = then.is_some() || otherwise.is_some();
        if !aliased {
            report.error("no-branch", step, what);
        } else if report.mode() == Mode::Strict {
            report.repairable("no-branch", step, what);
        }
    }
    let expression = read_condition(node, step, mentions, report);
    Kind::Conditional {
        expression,
        then,
        otherwise,
    }
}

fn read_condition(
    node: &Node,
    step: &Spot,
    mentions: &mut Vec<Mention>,
    report: &mut Report,
) -> Option<Expression> {
    let why = "the step could not decide";
    let (condition, spot) = field::object(report, step, node, "condition", why)?;
    check_inner_keys(condition, &spot, &["expression", "operator"], report);
    if let Some(entry) = condition.get("operator") {
        let what = "the expression says all; the operator has no effect; remove it";
        report.warning("field-ignored", &field::spot(&spot, entry), what);
    }
    let at = place(&spot, condition, "expression");
    let text = field::text(report, &spot, condition, "expression").unwrap_or_default();
    if text.trim().is_empty() {
        if condition.get("expression").is_none_or(is_text) {
            let what = "missing; the step could not decide; write a condition";
            report.error("field-missing", &at, what);
        }
        return None;
    }
    match expression::parse(text.trim()) {
        Ok(expression) => {
            let mut references = Vec::new();
            expression.references(&mut references);
            if references.is_empty() {
                let what = "no reference in it; it always gives the same answer; check it";
                report.warning("constant-condition", &at, what);
            }
            mentions.extend(references.into_iter().map(|reference| Mention {
                reference: reference.clone(),
                spot: at.clone(),
            }));
            Some(expression)
        }
        Err(what) => {
            report.error("condition-syntax", &at, what);
            None
        }
    }
}
