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
    /// Function of role [`Compute`](crate::FunctionRole::Compute) that makes its input; `None` is a
    /// copy of the data.
    pub input: Option<String>,
    /// Function of role [`Reply`](crate::FunctionRole::Reply) that puts its last data into ours;
    /// `None` keeps ours.
    pub output: Option<String>,
    /// Whether the branch goes on at once, and the called run lives on its own.
    #[serde(default)]
    pub detached: bool,
    /// How deep calls may be nested, this one included.
    #[serde(default = "default_depth")]
    pub depth_max: u32,
}

fn default_depth() -> u32 {
    CALL_DEPTH_DEFAULT
}
