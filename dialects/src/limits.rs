//! The bounds of an import (I12), each with its unit and its reason.

/// Bytes of one file. The text is kept with every definition made from it; real files have less
/// than 100 KiB.
pub const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Levels of lists and maps inside each other. Half of what JSON readers commonly take, since
/// handlers get these settings as JSON inside other JSON.
pub const NESTING_MAX: usize = 64;

/// Bytes that anchors and their aliases may add to one file. Aliases of aliases multiply, so a few
/// lines could otherwise fill the memory.
pub const EXPANSION_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of text that the workflows of one file keep together, each the whole file.
pub const KEPT_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Steps of one graph of parallel JSON, or of one playbook. Real files have less than a hundred.
pub const STEPS_MAX: usize = 10_000;

/// Blocks and conditionals inside each other in parallel JSON. People no longer see through more,
/// and the data of a run nests as deep.
pub const BLOCKS_DEEP_MAX: usize = 32;

/// Iterations of one parallel loop that live at once when the file sets no limit: each is a row,
/// and a list may be of any length.
pub const ITERATIONS_AT_ONCE: u32 = 1_000;

/// Items of one made-up list, and so the largest index that a rehearsal can have an item for.
pub const MADE_UP_ITEMS_MAX: usize = 1_000;

/// References that are followed to make up values for one file. Those in brackets that go through
/// loops' items multiply.
pub const MADE_UP_LOOKUPS_MAX: usize = 1_000_000;

/// Values that are made up for one file. Lists in lists multiply.
pub const MADE_UP_VALUES_MAX: usize = 100_000;

/// Bytes of a condition of a playbook. What is longer is a program and belongs into a step.
pub const CONDITION_BYTES_MAX: usize = 16 * 1024;

/// How deep brackets may nest in a condition; its reader and its evaluation recurse.
pub const CONDITION_DEEP_MAX: usize = 32;

/// Bytes that a compiled pattern of a condition may take; patterns of people take a few thousand.
pub const PATTERN_BYTES_MAX: usize = 1024 * 1024;

/// Milliseconds of a delay or limit of a playbook's step: 10,000 years.
pub const DELAY_MS_MAX: u64 = 10_000 * 366 * 86_400_000;

/// Nodes of the graph of one playbook. Steps that branches share are copied into each, so few steps
/// can make many nodes.
pub const PLAYBOOK_NODES_MAX: usize = 50_000;

/// Levels of lists and maps around a reference in the settings of step groups. Each level takes three in
/// the definition, and JSON readers commonly give up at 128.
pub const REFERENCES_DEEP_MAX: usize = 24;

/// How often steps of step groups wait for others of their phase, directly or not. They are compared
/// in pairs, and a file of a few megabytes could make billions.
pub const WAITS_MAX: usize = 500_000;

/// Diagnostics of one import, beside the first of each code; one more then says how many are left
/// out.
pub const DIAGNOSTICS_MAX: usize = 1_000;

/// Seconds that a step may set as its limit: 136 years, past which milliseconds stop fitting well.
pub const TIMEOUT_SECONDS_MAX: u32 = u32::MAX;

/// Characters of a text from the file that a message repeats.
pub const QUOTED_CHARS_MAX: usize = 60;

/// Characters of a key in the pointer of a diagnostic, and of the step that it names. Names have fewer;
/// a key of the file may be as long as the file, and a thousand diagnostics repeat it.
pub const KEY_CHARS_MAX: usize = 1_024;

/// Names that a message lists before it says how many more there are.
pub const LISTED_NAMES_MAX: usize = 8;

/// Bytes of a variable's value that the row of a decision shows: there is one for each round of a loop.
pub const SHOWN_VALUE_BYTES_MAX: usize = 1_024;
