//! The bounds of an expression, each with its unit and its reason.

/// Length of an expression's text, in bytes. An expression is a line or ten; what is longer is a
/// program and belongs into a handler.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;

/// How deep an expression may nest, counting brackets and the operators of one chain alike
/// (`a + b + c` nests two deep). The parser and the evaluation recurse, so this bounds the stack
/// that they get.
pub const NESTING_MAX: u16 = 96;

/// Bytes of stack for one level while parsing. Measured in an unoptimised build: 180 KiB.
pub(crate) const PARSE_STACK_BYTES_PER_LEVEL: usize = 256 * 1024;

/// Bytes of stack for one level while evaluating. Measured in an unoptimised build: 80 KiB.
pub(crate) const RUN_STACK_BYTES_PER_LEVEL: usize = 128 * 1024;

/// What one evaluation may cost, in units: one unit is one value looked at or copied (a text is
/// one more for each 64 bytes, a map four more), or one part of a macro's body run for one element.
/// At the bound an optimised build has worked for 0.4 to 2 seconds and holds some 150 MB. So a macro
/// can go through a list of some 100,000 elements.
pub const EVALUATION_UNITS_MAX: u64 = 5_000_000;

/// Units of a map beside those of its entries: it is the dearest value to copy.
pub(crate) const MAP_UNITS: u64 = 4;

/// Bytes of a text that cost a unit.
pub(crate) const TEXT_BYTES_PER_UNIT: usize = 64;

/// Units for one call of `matches`, which compiles its pattern every time.
pub(crate) const PATTERN_UNITS: u64 = 1_000;

/// How deep the JSON of a result may nest: what is deeper could not be read again.
pub(crate) const JSON_NESTING_MAX: usize = 127;

/// How much of an expression's text a message shows, in bytes.
pub(crate) const SHOWN_BYTES_MAX: usize = 200;

/// How many keys a message shows.
pub(crate) const SHOWN_KEYS_MAX: usize = 20;
