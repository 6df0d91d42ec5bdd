//! CEL expressions as the functions of a workflow.
//!
//! Owns what an expression sees, what it may give, what it may cost, and what is said when it
//! fails. The language is the [Common Expression Language](https://cel.dev), as the crate `cel`
//! reads and evaluates it. It stands before a job's way begins: a text is compiled once, when a
//! workflow is made, and called by [`advance`](windlass_workflow_model::advance) like any other
//! function.
//!
//! ```
//! use windlass_expressions::{PREFIX, compile};
//! use windlass_workflow_model::{Function, FunctionRole, Payload};
//!
//! let name = "=data.amount > 100";
//! let text = name.strip_prefix(PREFIX).expect("an expression");
//! let Ok(Function::Predicate(large)) = compile(text, FunctionRole::Predicate) else {
//!     panic!("a predicate was asked for")
//! };
//! assert_eq!(large(&Payload::from_json(*br#"{"amount": 120}"#)), Ok(true));
//! ```
//!
//! | Role | Sees | Gives |
//! |---|---|---|
//! | Predicate | `data` | true or false |
//! | Guard | `data` | true runs the step, false skips it |
//! | Items | `data` | a list: each element starts a branch, named by its place from 0 |
//! | Delay | `data` | seconds, not negative, or a `duration` |
//! | Compute | `data` | the new data |
//! | Merge | `data` from before the split, `branches` in branch order: `{name, index, data}`, or `{name, index, fault}` of one that failed | the new data |
//! | Fold | `data`, `fault`: `{message, code, step, errors}`, the first three of its first error | the new data |
//! | Reply | `data`, `event`: its payload | the new data |
//!
//! `with(map, map)` gives the entries of both; where both have a key, those of the second:
//! `with(data, {'total': data.net + data.tax})`.
//!
//! # Numbers
//! A JSON integer is an `int`, one above 9,223,372,036,854,775,807 a `uint`, and one that fits
//! neither fails the expression; a number with a point or an exponent is a `double`. They come out
//! as they went in: `2.0` stays `2.0`. All three compare with each other. Arithmetic does not mix
//! them, as CEL has it: `data.count * 1.5` fails if `count` is an integer, `double(data.count) *
//! 1.5` works; and it fails where it would overflow.
//!
//! # Maps
//! Macros go through the keys of a map in their order, and a map comes out with its keys in that
//! order too, so the same data gives the same result. Keys of a result are text.
//!
//! # Purity and bounds
//! There is no clock and no randomness. `timestamp` and `duration` compute with what is in the
//! data. What one evaluation may cost is bounded ([`limits`]), by counting and not by the clock.

#![forbid(unsafe_code)]

mod cause;
mod check;
mod error;
mod json;
pub mod limits;
mod meter;
mod nesting;
mod program;
mod roles;

pub use error::ExpressionError;
pub use program::EXPRESSION_FAILED;
pub use roles::{PREFIX, compile};
