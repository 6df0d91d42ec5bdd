//! The bounds of a workflow (I12), each with its unit and its reason.

/// Nodes in one definition. A definition is kept in memory whole.
pub const NODES_MAX: usize = 100_000;

/// Branches of one split. They are inserted in one transaction, during which nothing else commits.
pub const SPLIT_BRANCHES_MAX: usize = 1_000_000;

/// Gateways that one token may pass without doing a step. More is a loop that never works.
pub const GATEWAYS_PER_MOVE_MAX: usize = 10_000;

/// Bytes of a name of a workflow, step, branch, event or handler; it is repeated in every row.
pub const NAME_BYTES_MAX: usize = 256;

/// Attempts of one step.
pub const ATTEMPTS_MAX: u32 = 1_000_000;

/// Bytes of one error's message; of a longer one the beginning is kept.
pub const FAULT_MESSAGE_BYTES_MAX: usize = 16 << 10;

/// Errors that one fault keeps; of the rest their number is kept as one last entry.
pub const FAULT_ERRORS_MAX: usize = 1_000;

/// Instances of one map. Their results are rows, which are read one page at a time.
pub const MAP_INSTANCES_MAX: u32 = 100_000_000;

/// Rounds of a loop that says nothing else.
pub const LOOP_ROUNDS_DEFAULT: u32 = 10_000;

/// Depth of nested calls for a call that says nothing else.
pub const CALL_DEPTH_DEFAULT: u32 = 64;

/// Tokens that one fork makes of one. They are inserted in one transaction.
pub const FORK_TOKENS_MAX: u32 = 10_000;
