//! A run of another workflow.

use serde::{Deserialize, Serialize};

use crate::limits::CALL_DEPTH_DEFAULT;

/// Which workflow is called, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallSpec {
    /// Its name.
    pub workflow: String,
    /// Its version; `None` is the one that was registered last.
    pub version: Option<String>,
    /// Function of role [`Guard`](crate::FunctionRole::Guard), asked before the call: run or skip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<String>,
    /// Function of role [`Compute`](crate::FunctionRole::Compute) that makes its input; `None` is a
    /// copy of the data.
    pub input: Option<String>,
    /// Function of role [`Compute`](crate::FunctionRole::Compute) that makes of the data what the row of
    /// the call shows as its input, without what nobody is to see; `None` shows nothing, and so does
    /// one that fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<String>,
    /// Function of role [`Reply`](crate::FunctionRole::Reply) that puts its last data into ours;
    /// `None` keeps ours.
    pub output: Option<String>,
    /// Whether the branch goes on at once, and the called run lives on its own.
    #[serde(default)]
    pub detached: bool,
    /// How long the called run may take, in milliseconds: then it is withdrawn, and the call fails.
    /// `None` is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// How deep calls may be nested, this one included.
    #[serde(default = "default_depth")]
    pub depth_max: u32,
}

impl CallSpec {
    /// A call that is always made, gets a copy of the data, keeps ours and has no limit.
    pub fn new(workflow: impl Into<String>) -> Self {
        Self {
            workflow: workflow.into(),
            version: None,
            guard: None,
            input: None,
            shown: None,
            output: None,
            detached: false,
            timeout_ms: None,
            depth_max: CALL_DEPTH_DEFAULT,
        }
    }
}

fn default_depth() -> u32 {
    CALL_DEPTH_DEFAULT
}
