//! Names that nothing stands for, found before an expression is ever called.

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SourceInfo};
use cel::{Context, Env, ExecutionError, Value};

use crate::error::ExpressionError;

/// What a name can stand for.
pub(crate) struct Names<'a> {
    pub(crate) env: &'a Env,
    pub(crate) context: &'a Context<'a, 'static>,
    pub(crate) variables: &'static [&'static str],
    pub(crate) source: &'a SourceInfo,
}

impl Names<'_> {
    /// Looks at every name; `scope` has those that the macros around `expr` bring.
    pub(crate) fn check<'e>(
        &self,
        expr: &'e IdedExpr,
        scope: &mut Vec<&'e str>,
    ) -> Result<(), ExpressionError> {
        match &expr.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) if self.is_known(name, scope) => Ok(()),
            Expr::Ident(name) => Err(ExpressionError::UnknownVariable {
                at: self.position(expr),
                name: name.clone(),
                known: self.variables.to_vec(),
            }),
            Expr::Select(select) => {
                let is_type = |name: &String| self.env.types().find_type(name).is_some();
                if !select.test && qualified(expr).as_ref().is_some_and(is_type) {
                    return Ok(());
                }
                self.check(&select.operand, scope)
            }
            Expr::Call(call) => {
                if !self.is_function(call.target.as_deref(), &call.func_name, scope) {
                    return Err(ExpressionError::UnknownFunction {
                        at: self.position(expr),
                        name: call.func_name.clone(),
                    });
                }
                let target = call.target.as_deref();
                let target = target.filter(|target| self.is_value(target, scope));
                let mut parts = target.into_iter().chain(&call.args);
                parts.try_for_each(|part| self.check(part, scope))
            }
            Expr::List(list) => {
                let mut elements = list.elements.iter();
                elements.try_for_each(|element| self.check(element, scope))
            }
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.check(&entry.key, scope)?;
                    self.check(&entry.value, scope)
                }
                EntryExpr::StructField(field) => self.check(&field.value, scope),
            }),
            Expr::Comprehension(comprehension) => {
                self.check(&comprehension.iter_range, scope)?;
                scope.push(&comprehension.iter_var);
                self.check(&comprehension.loop_step, scope)?;
                scope.pop();
                Ok(())
            }
            Expr::Struct(made) => Err(ExpressionError::Struct {
                at: self.position(expr),
                name: made.type_name.clone(),
            }),
        }
    }

    /// Where it stands, in characters from 1.
    fn position(&self, expr: &IdedExpr) -> usize {
        let start = self
            .source
            .offset_for(expr.id)
            .map_or(0, |(start, _)| start);
        let before = self.source.source.char_indices();
        before
            .take_while(|(byte, _)| *byte < start as usize)
            .count()
            + 1
    }

    fn is_known(&self, name: &str, scope: &[&str]) -> bool {
        let name = name.trim_start_matches('.');
        // What the macros bring themselves cannot be written.
        name.starts_with('@')
            || self.variables.contains(&name)
            || scope.contains(&name)
            || self.env.types().find_type(name).is_some()
    }

    /// Whether a call's target is a value, and not the first half of a name like `optional.of`.
    fn is_value(&self, target: &IdedExpr, scope: &[&str]) -> bool {
        let name = qualified(target);
        let root = name.as_deref().and_then(|name| name.split('.').next());
        root.is_none_or(|root| root != "optional" || self.is_known(root, scope))
    }

    /// Asks by calling it without an argument, which no function takes: one that is there complains
    /// about the arguments.
    fn is_function(&self, target: Option<&IdedExpr>, name: &str, scope: &[&str]) -> bool {
        let probed = match target {
            Some(target) if self.is_value(target, scope) => {
                let null = IdedExpr {
                    id: 0,
                    expr: Expr::Literal(LiteralValue::Null),
                };
                Some(Box::new(null))
            }
            other => other.map(|target| Box::new(target.clone())),
        };
        let call = CallExpr {
            func_name: name.to_owned(),
            target: probed,
            args: Vec::new(),
        };
        let call = IdedExpr {
            id: 0,
            expr: Expr::Call(call),
        };
        is_operator(name)
            || !matches!(
                Value::resolve(&call, self.context),
                Err(ExecutionError::UndeclaredReference(_))
            )
    }
}

/// Operators are calls too, under names that no text can spell.
fn is_operator(name: &str) -> bool {
    name.contains(|char: char| !char.is_alphanumeric() && char != '_') || name.starts_with('_')
}

/// The name that a chain of selections spells: `a.b.c`.
fn qualified(expr: &IdedExpr) -> Option<String> {
    match &expr.expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) if !select.test => {
            qualified(&select.operand).map(|operand| format!("{operand}.{}", select.field))
        }
        _ => None,
    }
}
