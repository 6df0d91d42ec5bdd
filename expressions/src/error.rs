//! Why a text is no expression.

use crate::limits::{NESTING_MAX, TEXT_BYTES_MAX};

/// Why a text is no expression. Positions count characters of the text from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpressionError {
    /// The text is longer than [`TEXT_BYTES_MAX`].
    #[error(
        "the expression has {bytes} bytes and may have {TEXT_BYTES_MAX}: move the work into a step"
    )]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The text nests deeper than [`NESTING_MAX`].
    #[error(
        "the expression nests deeper than {NESTING_MAX} at character {at}, counting brackets and \
         the operators of a chain: split it into several steps or choices"
    )]
    TooDeep {
        /// Where the bound was passed.
        at: usize,
    },
    /// The text is not CEL.
    #[error("the expression is not valid at character {at}: {reason}")]
    Syntax {
        /// Where reading stopped.
        at: usize,
        /// What the parser says.
        reason: String,
    },
    /// A name that nothing stands for.
    #[error(
        "the expression names {name:?} at character {at}, which is not there: a function of this \
         role sees {}", .known.join(" and ")
    )]
    UnknownVariable {
        /// Where the name stands.
        at: usize,
        /// The name.
        name: String,
        /// The variables of the role.
        known: Vec<&'static str>,
    },
    /// A call of something that is no function.
    #[error(
        "the expression calls {name:?} at character {at}, which is no function of CEL's standard \
         library, nor `with`: there is no clock, randomness or other effect; pass such a value in \
         the data"
    )]
    UnknownFunction {
        /// Where the call stands.
        at: usize,
        /// The name.
        name: String,
    },
    /// A part of CEL that has no meaning here.
    #[error(
        "the expression makes a {name:?} at character {at}, and there are no such types here: \
         write a map, {{'key': value}}"
    )]
    Struct {
        /// Where it stands.
        at: usize,
        /// The type it names.
        name: String,
    },
}
