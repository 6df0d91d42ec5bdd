//! What references and conditions give in a run.
//!
//! Pure: the same data gives the same answer. Values are looked at, never read as syntax.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Map, Number, Value as Json};
use windlass_workflow_model::Fault;

use crate::diagnostic::listed;
use crate::parallel_json::expression::{Comparison, Expression};
use crate::parallel_json::mapping::Mapping;
use crate::parallel_json::reference::{LoopValue, Of, Part, Reference, Segment};
use crate::parallel_json::run_state::RunState;

/// Why a reference has no value.
type Absent = String;

/// The value of a reference.
pub(crate) fn value_of<'s>(
    state: &'s RunState,
    reference: &Reference,
    warnings: &mut Vec<String>,
) -> Result<Cow<'s, Json>, Absent> {
    let (base, owner) = base(state, reference)?;
    let mut value = base;
    for (depth, segment) in reference.path.iter().enumerate() {
        let found = step_into(state, &value, segment, warnings)?;
        let Some(found) = found else {
            let before = path_text(&reference.path[..depth]);
            let (whose, there) = if before.is_empty() {
                (format!("{owner} has"), " there")
            } else {
                (format!("{before} is"), "")
            };
            let keys = match &*value {
                Json::Object(map) => {
                    let whose = if before.is_empty() { &owner } else { &before };
                    format!("{whose} has: {}", listed(map.keys().map(String::as_str)))
                }
                Json::Array(items) => format!("{whose} a list of {}{there}", items.len()),
                other => format!("{whose} {}{there}", kind(other)),
            };
            return Err(format!("${{{}}} is absent ({keys})", reference.text));
        };
        value = match value {
            Cow::Borrowed(value) => Cow::Borrowed(at(value, &found)),
            Cow::Owned(value) => Cow::Owned(at(&value, &found).clone()),
        };
    }
    Ok(value)
}

/// The beginning of a path, as it is written.
fn path_text(path: &[Segment]) -> String {
    let mut text = String::new();
    for segment in path {
        match segment {
            Segment::Name(name) if text.is_empty() => text.push_str(name),
            Segment::Name(name) => text.extend([".", name]),
            Segment::Index(index) => text.extend(["[", &index.to_string(), "]"]),
            Segment::Value(reference) => text.extend(["[", &reference.text, "]"]),
        }
    }
    text
}

/// Where a path begins, and whose value that is.
fn base<'s>(state: &'s RunState, reference: &Reference) -> Result<(Cow<'s, Json>, String), Absent> {
    let absent = |why: &str| format!("${{{}}} is absent ({why})", reference.text);
    match &reference.of {
        Of::Input => Ok((Cow::Borrowed(state.input()), "the input".to_owned())),
        Of::Output(id) => {
            let output = state.output(id);
            let output = output.ok_or_else(|| absent(&format!("{id} has given no output")))?;
            Ok((output, id.clone()))
        }
        Of::Error(id) => {
            let error = state.error(id);
            let error = error.ok_or_else(|| absent(&format!("{id} has not failed")))?;
            Ok((Cow::Borrowed(error), id.clone()))
        }
        Of::Loop { out, value } => {
            let values = state.loop_values(*out);
            let values = values.ok_or_else(|| absent("there is no such loop"))?;
            let number = |name: &str| values.get(name).and_then(Json::as_u64).unwrap_or(0);
            let value = match value {
                LoopValue::Item => Cow::Borrowed(values.get("item").unwrap_or(&Json::Null)),
                LoopValue::Index => Cow::Owned(number("index").into()),
                LoopValue::Total => Cow::Owned(number("total").into()),
                LoopValue::IsFirst => Cow::Owned((number("index") == 0).into()),
                LoopValue::IsLast => Cow::Owned((number("index") + 1 == number("total")).into()),
            };
            Ok((value, "the loop".to_owned()))
        }
    }
}

/// A place in an object or list that is there.
enum Found {
    Key(String),
    Index(usize),
}

fn at<'v>(value: &'v Json, found: &Found) -> &'v Json {
    let inner = match found {
        Found::Key(key) => value.get(key),
        Found::Index(index) => value.get(index),
    };
    inner.unwrap_or(&Json::Null)
}

/// Where a segment leads in a value; `None` if there is nothing.
fn step_into(
    state: &RunState,
    value: &Json,
    segment: &Segment,
    warnings: &mut Vec<String>,
) -> Result<Option<Found>, Absent> {
    let index = |number: u64| {
        let index = usize::try_from(number).ok()?;
        value.get(index).map(|_| Found::Index(index))
    };
    Ok(match segment {
        Segment::Name(name) => key(state, value, name, warnings),
        Segment::Index(number) => index(*number),
        Segment::Value(reference) => match &*value_of(state, reference, warnings)? {
            Json::String(name) => key(state, value, name, warnings),
            Json::Number(number) => number.as_u64().and_then(index),
            other => {
                return Err(format!(
                    "${{{}}} is {}, and only a text or a number leads further",
                    reference.text,
                    kind(other)
                ));
            }
        },
    })
}

fn key(state: &RunState, value: &Json, name: &str, warnings: &mut Vec<String>) -> Option<Found> {
    let map = value.as_object()?;
    if map.contains_key(name) {
        return Some(Found::Key(name.to_owned()));
    }
    let alias = name == "output" && map.contains_key("output_data") && state.options().lenient;
    alias.then(|| {
        warnings
            .push("output-alias: \"output\" was read as \"output_data\"; write that".to_owned());
        Found::Key("output_data".to_owned())
    })
}

/// A value with all references in it resolved; `field` says whose it is. `None`: left out.
pub(crate) fn fill(
    state: &RunState,
    mapping: &Mapping,
    field: &str,
    warnings: &mut Vec<String>,
) -> Result<Option<Json>, Fault> {
    Ok(match mapping {
        Mapping::Fixed(value) => Some(value.clone()),
        Mapping::Reference(reference) => {
            let value = looked_up(state, reference, field, warnings)?;
            value.map(Cow::into_owned)
        }
        Mapping::Text(parts) => text(state, parts, field, warnings)?.map(Json::String),
        Mapping::List(items) => {
            let mut list = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                let value = fill(state, item, &format!("{field}[{index}]"), warnings)?;
                list.push(value.unwrap_or_default());
            }
            Some(Json::Array(list))
        }
        Mapping::Object(entries) => {
            let top = field.is_empty();
            let mut map = Map::new();
            for (key, value) in entries {
                let inner = if top {
                    key.clone()
                } else {
                    format!("{field}.{key}")
                };
                match fill(state, value, &inner, warnings)? {
                    Some(value) => {
                        map.insert(key.clone(), value);
                    }
                    None if top => {}
                    None => {
                        map.insert(key.clone(), Json::Null);
                    }
                }
            }
            Some(Json::Object(map))
        }
    })
}

fn looked_up<'s>(
    state: &'s RunState,
    reference: &Reference,
    field: &str,
    warnings: &mut Vec<String>,
) -> Result<Option<Cow<'s, Json>>, Fault> {
    match value_of(state, reference, warnings) {
        Ok(value) => Ok(Some(value)),
        Err(absent) if state.options().lenient => {
            warnings.push(format!("field {field}: {absent}; it is left out"));
            Ok(None)
        }
        Err(absent) => {
            let text = format!("field {field}: {absent}; nothing can be passed; correct the path");
            Err(Fault::new("reference-unresolved", text).permanent())
        }
    }
}

fn text(
    state: &RunState,
    parts: &[Part],
    field: &str,
    warnings: &mut Vec<String>,
) -> Result<Option<String>, Fault> {
    let mut text = String::new();
    for part in parts {
        let reference = match part {
            Part::Text(part) => {
                text.push_str(part);
                continue;
            }
            Part::Reference(reference) => reference,
        };
        match looked_up(state, reference, field, warnings)?.as_deref() {
            Some(Json::String(value)) => text.push_str(value),
            Some(other) => {
                let text = format!(
                    "field {field}: ${{{}}} is {} inside text; it would lose its type; pass it alone",
                    reference.text,
                    kind(other)
                );
                return Err(Fault::new("embedded-not-text", text).permanent());
            }
            None => return Ok(None),
        }
    }
    Ok(Some(text))
}

/// Whether a condition holds; `Err` says why that cannot be told.
pub(crate) fn holds(state: &RunState, condition: &Expression) -> Result<bool, String> {
    evaluate(state, condition).map(|value| is_true(&value))
}

/// Recursive; the reader bounds the depth of a condition.
fn evaluate<'s>(state: &'s RunState, part: &Expression) -> Result<Cow<'s, Json>, String> {
    let mut warnings = Vec::new();
    let truth = |truth: bool| Ok(Cow::Owned(Json::Bool(truth)));
    match part {
        Expression::Or(parts) => {
            for part in parts {
                if holds(state, part)? {
                    return truth(true);
                }
            }
            truth(false)
        }
        Expression::And(parts) => {
            for part in parts {
                if !holds(state, part)? {
                    return truth(false);
                }
            }
            truth(true)
        }
        Expression::Not(part) => truth(!holds(state, part)?),
        Expression::Compared(left, comparison, right) => {
            let is_null = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
            // Whoever asks whether something is null asks whether it is there.
            let side = |part: &Expression, other: &Expression| match evaluate(state, part) {
                Err(_)
                    if is_null
                        && matches!(part, Expression::Reference(_))
                        && *other == Expression::Fixed(Json::Null) =>
                {
                    Ok(Cow::Owned(Json::Null))
                }
                found => found,
            };
            let (left, right) = (side(left, right)?, side(right, left)?);
            truth(compare(&left, *comparison, &right)?)
        }
        Expression::Reference(reference) => value_of(state, reference, &mut warnings),
        Expression::Fixed(value) => Ok(Cow::Owned(value.clone())),
        Expression::List(items) => {
            let items = items
                .iter()
                .map(|item| evaluate(state, item).map(Cow::into_owned));
            Ok(Cow::Owned(Json::Array(items.collect::<Result<_, _>>()?)))
        }
        Expression::Length(of) => {
            let length = match &*evaluate(state, of)? {
                Json::String(text) => text.chars().count(),
                Json::Array(items) => items.len(),
                Json::Object(map) => map.len(),
                other => return Err(format!("len is asked of {}, which has none", kind(other))),
            };
            Ok(Cow::Owned(length.into()))
        }
    }
}

fn is_true(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(value) => *value,
        Json::Number(number) => number.as_f64() != Some(0.0),
        Json::String(text) => !text.is_empty(),
        Json::Array(items) => !items.is_empty(),
        Json::Object(map) => !map.is_empty(),
    }
}

fn compare(left: &Json, comparison: Comparison, right: &Json) -> Result<bool, String> {
    let ordered = || order(left, right);
    match comparison {
        Comparison::Equal => Ok(equal(left, right)),
        Comparison::NotEqual => Ok(!equal(left, right)),
        Comparison::Less => Ok(ordered()? == Ordering::Less),
        Comparison::LessOrEqual => Ok(ordered()? != Ordering::Greater),
        Comparison::Greater => Ok(ordered()? == Ordering::Greater),
        Comparison::GreaterOrEqual => Ok(ordered()? != Ordering::Less),
        Comparison::In => is_in(left, right),
        Comparison::NotIn => is_in(left, right).map(|found| !found),
        Comparison::Contains => is_in(right, left),
    }
}

/// Equal in type and value; 1 equals 1.0.
fn equal(left: &Json, right: &Json) -> bool {
    match (left, right) {
        (Json::Number(left), Json::Number(right)) => {
            order_numbers(left, right) == Some(Ordering::Equal)
        }
        (Json::Array(left), Json::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| equal(l, r))
        }
        (Json::Object(left), Json::Object(right)) => {
            let same = |(key, l): (&String, &Json)| right.get(key).is_some_and(|r| equal(l, r));
            left.len() == right.len() && left.iter().all(same)
        }
        _ => left == right,
    }
}

fn order(left: &Json, right: &Json) -> Result<Ordering, String> {
    let order = match (left, right) {
        (Json::Number(left), Json::Number(right)) => order_numbers(left, right),
        (Json::String(left), Json::String(right)) => Some(left.cmp(right)),
        _ => None,
    };
    order.ok_or_else(|| {
        format!(
            "{} is compared with {}, but only two numbers or two texts have an order; convert one",
            kind(left),
            kind(right)
        )
    })
}

fn order_numbers(left: &Number, right: &Number) -> Option<Ordering> {
    let whole = |number: &Number| {
        let signed = number.as_i64().map(i128::from);
        signed.or_else(|| number.as_u64().map(i128::from))
    };
    match (whole(left), whole(right)) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

fn is_in(part: &Json, whole: &Json) -> Result<bool, String> {
    match (part, whole) {
        (Json::String(part), Json::String(whole)) => Ok(whole.contains(part.as_str())),
        (part, Json::Array(items)) => Ok(items.iter().any(|item| equal(item, part))),
        (Json::String(key), Json::Object(map)) => Ok(map.contains_key(key)),
        _ => Err(format!(
            "{} cannot be in {}: texts are in texts, members in lists, keys in objects",
            kind(part),
            kind(whole)
        )),
    }
}

/// What a message calls a value, which may be secret.
pub(crate) fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "true or false",
        Json::Number(_) => "a number",
        Json::String(_) => "text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}
