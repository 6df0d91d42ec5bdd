//! The work of a security playbook's commands, done here.
//!
//! Owns how one command is performed: by a shell, over SSH, or as an HTTP request. A call comes in
//! as JSON with all its references to variables filled in, and what comes back is variables and a
//! result. Knows neither workflows nor the database; whoever calls decides whether the kind of the
//! command is allowed, and how often it is tried.
//!
//! Secrets are filled in here, at the last moment, and nothing of them leaves again: not in a
//! result, an error, a command line or a process list. See `docs/playbook-commands.md`.

mod address;
mod call;
mod credentials;
mod environment;
mod equipment;
mod http;
mod kind;
mod limits;
mod openc2;
mod perform;
mod performed;
mod private_folder;
mod request;
mod response;
mod script;
mod ssh;
mod ssh_answer;
mod start_line;
mod variables;
mod work;

pub(crate) use call::PlaybookCall;
pub(crate) use equipment::Equipment;
pub(crate) use kind::CommandKind;
pub(crate) use perform::perform;
pub(crate) use ssh_answer::{PASSWORD_FILE, answer_ssh};
pub(crate) use variables::variables_read;
