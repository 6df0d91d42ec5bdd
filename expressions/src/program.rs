//! A parsed expression, and one evaluation of it.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use cel::common::ast::IdedExpr;
use cel::common::types::{CelMap, MAP_TYPE};
use cel::common::value::CowVal;
use cel::{Context, Env, ExecutionError, Value};
use windlass_workflow_model::Fault;

use crate::cause::cause;
use crate::check::Names;
use crate::error::ExpressionError;
use crate::json::Held;
use crate::limits::{
    EVALUATION_UNITS_MAX, NESTING_MAX, PARSE_STACK_BYTES_PER_LEVEL, RUN_STACK_BYTES_PER_LEVEL,
    SHOWN_BYTES_MAX, TEXT_BYTES_MAX,
};
use crate::meter::{self, METER, Meter};
use crate::nesting::nesting;

/// The code of the fault of an expression that failed.
pub const EXPRESSION_FAILED: &str = "expression-failed";

/// What every expression can call: the standard library of CEL, and `with`.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    env.add_overload("with", "with_map_map", vec![MAP_TYPE, MAP_TYPE], with)
        .and_then(|()| meter::declare(&mut env))
        .expect("the standard library has no functions of these names");
    Arc::new(env)
});

/// An expression that can be evaluated any number of times.
pub(crate) struct Program {
    text: String,
    expr: IdedExpr,
    stack_bytes: usize,
}

impl Program {
    pub(crate) fn parse(
        text: &str,
        variables: &'static [&'static str],
    ) -> Result<Self, ExpressionError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(ExpressionError::TooLong { bytes: text.len() });
        }
        let depth = nesting(text).map_err(|at| ExpressionError::TooDeep { at })?;
        let stack_bytes = (depth + 1) * PARSE_STACK_BYTES_PER_LEVEL;
        let expr = stacker::maybe_grow(stack_bytes, stack_bytes, || read(text, variables))?;
        Ok(Self {
            text: text.to_owned(),
            expr,
            stack_bytes: (depth + 1) * RUN_STACK_BYTES_PER_LEVEL,
        })
    }

    /// The text, or its beginning.
    pub(crate) fn shown(&self) -> String {
        let end = self.text.floor_char_boundary(SHOWN_BYTES_MAX);
        let more = if end < self.text.len() { "…" } else { "" };
        format!("{}{more}", &self.text[..end])
    }

    /// A fault that names the expression and `cause`.
    pub(crate) fn fault(&self, cause: impl AsRef<str>) -> Fault {
        let message = format!(
            "the expression `{}` failed: {}",
            self.shown(),
            cause.as_ref()
        );
        Fault::new(EXPRESSION_FAILED, message).permanent()
    }

    /// Evaluates it.
    pub(crate) fn run(
        &self,
        variables: impl IntoIterator<Item = (&'static str, Held)>,
    ) -> Result<Value, Fault> {
        let meter = Meter::default();
        let mut context = Context::with_env(Arc::clone(&ENV));
        context.add_variable_as_val(METER, Box::new(meter.clone()));
        for (name, value) in variables {
            context.add_variable_as_val(name, value);
        }
        let evaluate = || {
            let result = Value::resolve(&self.expr, &context);
            if meter.is_exceeded() {
                return Err(format!(
                    "it takes more than {EVALUATION_UNITS_MAX} units of work for this data: move \
                     it into a step"
                ));
            }
            result.map_err(|error| {
                // Finding the cause evaluates parts of it again.
                context.add_variable_as_val(METER, Box::new(Meter::default()));
                cause(&error, &self.expr, &context)
            })
        };
        let evaluate = || stacker::maybe_grow(self.stack_bytes, self.stack_bytes, evaluate);
        let result = catch_unwind(AssertUnwindSafe(evaluate))
            .unwrap_or_else(|_| Err("the evaluation panicked: please report it".to_owned()));
        result.map_err(|cause| self.fault(cause))
    }
}

/// Parses and checks a text, and prepares it for its evaluations.
fn read(text: &str, variables: &'static [&'static str]) -> Result<IdedExpr, ExpressionError> {
    let parser = || {
        let parser = ENV.parser().enable_ident_escape_syntax(true);
        parser
            .max_recursion_depth(NESTING_MAX)
            .parse_with_source_info(text)
    };
    let (mut expr, source) = catch_unwind(parser)
        .map_err(|_| ExpressionError::Syntax {
            at: 1,
            reason: "the parser gave up: write it another way, and please report it".to_owned(),
        })?
        .map_err(|errors| syntax(text, &errors))?;
    let context = Context::with_env(Arc::clone(&ENV));
    let names = Names {
        env: &ENV,
        context: &context,
        variables,
        source: &source,
    };
    names.check(&expr, &mut Vec::new())?;
    meter::install(&mut expr);
    Ok(expr)
}

/// `with(map, map)`: the entries of both, those of the second where both have one.
#[expect(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "the shape of a function is given by cel"
)]
fn with<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let maps = args.iter().filter_map(|arg| arg.downcast_ref::<CelMap>());
    let entries = maps.flat_map(|map| map.inner().iter());
    let entries = entries.map(|(key, value)| (key.clone(), value.clone()));
    let merged: HashMap<_, _> = entries.collect();
    Ok(CowVal::owned(CelMap::from(merged)))
}

fn syntax(text: &str, errors: &cel::ParseErrors) -> ExpressionError {
    let Some(first) = errors.errors.first() else {
        return ExpressionError::Syntax {
            at: 1,
            reason: "it cannot be read".to_owned(),
        };
    };
    let (line, column) = first.pos;
    let lines_before = usize::try_from(line - 1).unwrap_or_default();
    let before = text.split_inclusive('\n').take(lines_before);
    let before: usize = before.map(|line| line.chars().count()).sum();
    ExpressionError::Syntax {
        at: before + usize::try_from(column).unwrap_or_default().max(1),
        reason: first.msg.trim_start_matches("Syntax error: ").to_owned(),
    }
}
