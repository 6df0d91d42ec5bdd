//! What an evaluation costs, and the order in which it goes through maps.
//!
//! CEL has no loops, but its macros go through lists, within each other too, and a text can double
//! itself at each of them. And the maps of `cel` are hash maps, whose order changes from call to
//! call. So calls of two functions are put into the parsed expression, around everything that is
//! looked at or copied as a whole: `@cost` counts it, `@each` counts the rounds of a macro and puts
//! the keys of a map in their order. Neither can be written in a text. The counter is a variable of
//! the evaluation, so nothing is shared between two of them, and no clock decides.
//! Why so: ADRs/0013-expressions-are-cel.md.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::common::types::{
    CelBytes, CelInt, CelList, CelMap, CelMapKey, CelOptional, CelString, DYN_TYPE, Type,
};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::{DeclarationError, Env, ExecutionError};

use crate::limits::{EVALUATION_UNITS_MAX, MAP_UNITS, PATTERN_UNITS, TEXT_BYTES_PER_UNIT};

/// The counter's name among the variables. No text can name it.
pub(crate) const METER: &str = "@meter";
const COST: &str = "@cost";
const EACH: &str = "@each";

/// The units that one evaluation has used.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter(Arc<AtomicU64>);

static METER_TYPE: Type = Type::new_unspecified_type("@meter");

impl Meter {
    /// Whether the evaluation is over its bound; then its result does not count, even if an
    /// operator such as `||` went over the error.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.0.load(Ordering::Relaxed) > EVALUATION_UNITS_MAX
    }

    fn charge(&self, units: u64) -> Result<(), ExecutionError> {
        let used = self.0.load(Ordering::Relaxed).saturating_add(units);
        self.0.store(used, Ordering::Relaxed);
        if self.is_exceeded() {
            return Err(ExecutionError::function_error(METER, "out of units"));
        }
        Ok(())
    }
}

impl Val for Meter {
    fn get_type(&self) -> &Type {
        Self::cel_type()
    }

    fn cel_type() -> &'static Type {
        &METER_TYPE
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Meter {}

/// Declares the two functions.
pub(crate) fn declare(env: &mut Env) -> Result<(), DeclarationError> {
    let three = || vec![DYN_TYPE, DYN_TYPE, DYN_TYPE];
    env.add_overload(COST, COST, three(), cost)?;
    env.add_overload(EACH, EACH, three(), each)
}

/// `@cost(meter, value, extra)` gives `value`.
fn cost<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let value = args.swap_remove(1);
    meter(&args[0])?.charge(units(value.as_ref()).saturating_add(number(&args[1])))?;
    Ok(value)
}

/// `@each(meter, range, parts)` gives the list that a macro goes through, `parts` being the size of
/// its body.
fn each<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let range = args.swap_remove(1);
    let parts = number(&args[1]);
    let rounds = range
        .downcast_ref::<CelList>()
        .map(|list| list.inner().len())
        .or_else(|| range.downcast_ref::<CelMap>().map(|map| map.len()))
        .unwrap_or_default() as u64;
    let units = units(range.as_ref()).saturating_add(rounds.saturating_mul(parts));
    meter(&args[0])?.charge(units)?;
    let Some(map) = range.downcast_ref::<CelMap>() else {
        return Ok(range);
    };
    let mut keys: Vec<&CelMapKey<'v>> = map.keys().collect();
    keys.sort_by_key(|key| sort_key(key));
    let keys: Vec<Box<dyn Val + 'v>> = keys
        .into_iter()
        .map(|key| key.inner().clone_as_boxed())
        .collect();
    Ok(CowVal::owned(CelList::from(keys)))
}

fn meter<'a>(value: &'a CowVal<'_, '_>) -> Result<&'a Meter, ExecutionError> {
    value
        .as_any()
        .and_then(|any| any.downcast_ref())
        .ok_or_else(|| ExecutionError::function_error(METER, "no meter"))
}

fn number(value: &CowVal<'_, '_>) -> u64 {
    let number = value.downcast_ref::<CelInt>().map(|number| *number.inner());
    number
        .and_then(|number| u64::try_from(number).ok())
        .unwrap_or_default()
}

/// Numbers first, then false and true, then texts.
fn sort_key<'a>(key: &'a CelMapKey<'_>) -> (u8, i128, &'a str) {
    match key {
        CelMapKey::Int(key) => (0, i128::from(*key.inner()), ""),
        CelMapKey::UInt(key) => (0, i128::from(*key.inner()), ""),
        CelMapKey::Bool(key) => (1, i128::from(*key.inner()), ""),
        CelMapKey::String(key) => (2, 0, key.inner()),
    }
}

fn units(value: &dyn Val) -> u64 {
    let text = |bytes: usize| (bytes / TEXT_BYTES_PER_UNIT) as u64;
    1 + if let Some(value) = value.downcast_ref::<CelString>() {
        text(value.inner().len())
    } else if let Some(value) = value.downcast_ref::<CelList>() {
        value
            .inner()
            .iter()
            .map(|value| units(value.as_ref()))
            .sum()
    } else if let Some(value) = value.downcast_ref::<CelMap>() {
        let entries = value.inner().iter();
        let entries = entries.map(|(key, value)| units(key.inner()) + units(value.as_ref()));
        MAP_UNITS + entries.sum::<u64>()
    } else if let Some(value) = value.downcast_ref::<CelOptional>() {
        value.inner().map_or(0, units)
    } else if let Some(value) = value.downcast_ref::<CelBytes>() {
        text(value.inner().len())
    } else {
        0
    }
}

/// Puts the calls into a parsed expression, and gives the number of its parts.
pub(crate) fn install(expr: &mut IdedExpr) -> u64 {
    1 + match &mut expr.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) => 0,
        Expr::Select(select) => install(&mut select.operand),
        Expr::List(list) => list.elements.iter_mut().map(install_and_count_copy).sum(),
        Expr::Map(map) => {
            let entries = map.entries.iter_mut().map(|entry| match &mut entry.expr {
                EntryExpr::MapEntry(entry) => {
                    install(&mut entry.key) + install_and_count_copy(&mut entry.value)
                }
                EntryExpr::StructField(field) => install(&mut field.value),
            });
            entries.sum()
        }
        Expr::Comprehension(comprehension) => {
            let range = install(&mut comprehension.iter_range);
            let body =
                install(&mut comprehension.loop_cond) + install(&mut comprehension.loop_step);
            wrap(EACH, &mut comprehension.iter_range, body);
            range + body
        }
        Expr::Call(_) => {
            let (parts, is_copy) = install_in_call(expr);
            if is_copy {
                wrap(COST, expr, 0);
            }
            parts
        }
    }
}

/// Gives the number of its parts, and whether it makes a new value of a size that counts.
fn install_in_call(expr: &mut IdedExpr) -> (u64, bool) {
    let Expr::Call(call) = &mut expr.expr else {
        return (0, false);
    };
    let target = call.target.as_deref_mut();
    let parts = target.into_iter().chain(&mut call.args).map(install).sum();
    let is_copy = match call.func_name.as_str() {
        // These look at one bit, one number or one element.
        operators::CONDITIONAL
        | operators::LOGICAL_AND
        | operators::LOGICAL_OR
        | operators::LOGICAL_NOT
        | operators::NOT_STRICTLY_FALSE
        | operators::NEGATE
        | operators::SUBSTRACT
        | operators::MULTIPLY
        | operators::DIVIDE
        | operators::MODULO
        | operators::INDEX => false,
        operators::OPT_INDEX | operators::OPT_SELECT => true,
        // The step of a macro adds to what it has in place.
        operators::ADD => !matches!(&call.args[0].expr, Expr::Ident(name) if name.starts_with('@')),
        name => {
            let extra = if name == "matches" { PATTERN_UNITS } else { 0 };
            for arg in &mut call.args {
                wrap(COST, arg, extra);
            }
            // A name such as `optional` in `optional.of(…)` is no value that could be looked at.
            if let Some(target) = call.target.as_deref_mut().filter(|target| !is_name(target)) {
                wrap(COST, target, extra);
            }
            false
        }
    };
    (parts, is_copy)
}

fn is_name(expr: &IdedExpr) -> bool {
    match &expr.expr {
        Expr::Ident(_) => true,
        Expr::Select(select) => !select.test && is_name(&select.operand),
        _ => false,
    }
}

fn install_and_count_copy(expr: &mut IdedExpr) -> u64 {
    let parts = install(expr);
    wrap(COST, expr, 0);
    parts
}

fn wrap(function: &str, expr: &mut IdedExpr, extra: u64) {
    let inner = std::mem::take(expr);
    let node = |expr| IdedExpr { id: 0, expr };
    let extra = i64::try_from(extra).unwrap_or(i64::MAX);
    *expr = node(Expr::Call(CallExpr {
        func_name: function.to_owned(),
        target: None,
        args: vec![
            node(Expr::Ident(METER.to_owned())),
            inner,
            node(Expr::Literal(LiteralValue::Int(extra.into()))),
        ],
    }));
}
