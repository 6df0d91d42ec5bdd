//! Why an evaluation failed, in words for those who wrote the expression.
//!
//! The messages of `cel` print whole values. These name types, operators and keys, and never show a
//! value: user data stays out of messages.

use cel::common::ast::{EntryExpr, Expr, IdedExpr, operators};
use cel::common::types::{CelBool, CelMap, CelMapKey, CelString};
use cel::common::value::CowVal;
use cel::objects::Key;
use cel::{Context, ExecutionError, Value};

use crate::json;
use crate::limits::SHOWN_KEYS_MAX;

/// Why an evaluation of `expr` with the variables of `context` gave `error`.
pub(crate) fn cause(error: &ExecutionError, expr: &IdedExpr, context: &Context) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => no_such_key(key, keys_beside(key, expr, context)),
        ExecutionError::NoSuchOverload(overload) => {
            let (function, types) = (overload.function(), overload.argument_types().join(", "));
            let numbers = ["int", "uint", "double"];
            let is_number = |name: &String| numbers.contains(&name.as_str());
            let hint = if overload.argument_types().iter().all(is_number) {
                ": convert with int(…) or double(…)"
            } else {
                ""
            };
            format!("{} cannot take ({types}){hint}", operator(function))
        }
        ExecutionError::UnsupportedBinaryOperator(name, left, right) => {
            let (left, right) = (json::kind(left), json::kind(right));
            let is_number = |kind| matches!(kind, "an int" | "a uint" | "a double");
            let hint = if is_number(left) && is_number(right) {
                ": arithmetic does not mix them, so write int(…) or double(…) around one"
            } else {
                ""
            };
            format!("{} cannot take {left} and {right}{hint}", operator(name))
        }
        ExecutionError::Overflow(name, ..) => {
            format!("the result of {} does not fit 64 bits", operator(name))
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "it divides by zero".to_owned()
        }
        ExecutionError::IndexOutOfBounds(index) => match index {
            Value::Int(index) => {
                format!("there is no element {index} in the list: look at size(…) first")
            }
            _ => "there is no such element in the list: look at size(…) first".to_owned(),
        },
        ExecutionError::DuplicateKey(_) => "a map has a key twice".to_owned(),
        ExecutionError::UnexpectedType { got, want } => {
            format!("there is a value of type {got} where one of type {want} is needed")
        }
        ExecutionError::UnsupportedKeyType(value) => {
            format!("{} cannot be a key", json::kind(value))
        }
        ExecutionError::FunctionError { function, .. } => {
            format!("{function}(…) cannot read the value it was given")
        }
        ExecutionError::ValuesNotComparable(left, right) => {
            format!(
                "{} and {} do not compare",
                json::kind(left),
                json::kind(right)
            )
        }
        ExecutionError::UndeclaredReference(name) => format!("there is no {name:?}"),
        ExecutionError::InvalidArgumentCount { expected, actual } => {
            format!("a function takes {expected} arguments and was given {actual}")
        }
        ExecutionError::UnsupportedTargetType { target } => {
            format!("a function cannot be called on {}", json::kind(target))
        }
        ExecutionError::NotSupportedAsMethod { method, target } => {
            format!("{method} cannot be called on {}", json::kind(target))
        }
        ExecutionError::UnsupportedIndex(index, value) => {
            format!(
                "{} cannot be an index of {}",
                json::kind(index),
                json::kind(value)
            )
        }
        _ => "a value is not of the type that is needed there".to_owned(),
    }
}

/// An operator as it is written: `cel` names it `_+_` or `add`.
fn operator(name: &str) -> String {
    let symbol = match name {
        "add" => "+",
        "sub" => "-",
        "mul" => "*",
        "div" => "/",
        "rem" => "%",
        operators::IN => "in",
        operators::INDEX => "[…]",
        "_._" => "a selection with a dot",
        name if name.starts_with(['_', '!', '-']) => name.trim_matches('_'),
        name => return format!("{name}(…)"),
    };
    symbol.to_owned()
}

fn no_such_key(key: &str, keys: Option<Vec<String>>) -> String {
    let there = match keys {
        None => "test with has(…) first".to_owned(),
        Some(keys) if keys.is_empty() => "the map is empty".to_owned(),
        Some(mut keys) => {
            keys.sort();
            let more = keys.len().saturating_sub(SHOWN_KEYS_MAX);
            keys.truncate(SHOWN_KEYS_MAX);
            let more = if more == 0 {
                String::new()
            } else {
                format!(" and {more} more")
            };
            format!("there are {}{more}", keys.join(", "))
        }
    };
    format!("there is no key {key:?}: {there}")
}

/// The keys of the map that `key` was looked for in, found by looking for it again.
fn keys_beside(key: &str, expr: &IdedExpr, context: &Context) -> Option<Vec<String>> {
    let value = |expr| Value::resolve_val(expr, context).ok();
    let beside = |expr| keys_beside(key, expr, context);
    match &expr.expr {
        Expr::Select(select) => beside(&select.operand).or_else(|| {
            let is_it = !select.test && select.field == key;
            is_it.then(|| keys_without(key, &value(&select.operand)?))?
        }),
        Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::CONDITIONAL, [condition, yes, no]) => {
                let holds = value(condition);
                let holds = holds.as_ref().and_then(|it| it.downcast_ref::<CelBool>());
                match holds.map(|it| *it.inner()) {
                    Some(holds) => beside(if holds { yes } else { no }),
                    None => beside(condition),
                }
            }
            (operators::INDEX, [map, index]) => {
                beside(map).or_else(|| beside(index)).or_else(|| {
                    let index = value(index)?;
                    let is_it = index
                        .downcast_ref::<CelString>()
                        .is_some_and(|it| it.inner() == key);
                    is_it.then(|| keys_without(key, &value(map)?))?
                })
            }
            _ => call
                .target
                .as_deref()
                .into_iter()
                .chain(&call.args)
                .find_map(beside),
        },
        Expr::List(list) => list.elements.iter().find_map(beside),
        Expr::Map(map) => map.entries.iter().find_map(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => beside(&entry.key).or_else(|| beside(&entry.value)),
            EntryExpr::StructField(_) => None,
        }),
        Expr::Comprehension(walk) => beside(&walk.iter_range).or_else(|| {
            let range = value(&walk.iter_range)?;
            let mut items = range.as_iterable()?.iter();
            while let Some(item) = items.next() {
                let mut inner = context.new_inner_scope();
                inner.add_variable_as_val(&walk.iter_var, item.clone_as_boxed());
                if let Some(keys) = keys_beside(key, &walk.loop_step, &inner) {
                    return Some(keys);
                }
            }
            None
        }),
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) => None,
    }
}

fn keys_without(key: &str, value: &CowVal) -> Option<Vec<String>> {
    let map = value.downcast_ref::<CelMap>()?;
    let keys = map.keys().map(|key| Key::from(key.clone()).to_string());
    (!map.contains_key(&CelMapKey::from(key))).then(|| keys.collect())
}
