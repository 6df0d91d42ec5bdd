//! What the engine promises, shown through the facade: the behaviour of a mediator, the known traps
//! of this design, and days on which the disk or the file is not what it should be.

mod data;
mod effects;
mod given;
mod harness;
mod inputs;
mod limits;
mod mediator;
mod nets;
#[cfg(feature = "import")]
mod playbooks;
mod policy;
mod results;
mod retention;
mod retry;
mod running;
#[cfg(feature = "import")]
mod step_groups;
mod stepped;
mod stopping;
mod traps;
mod trouble;
mod undo;
mod waits;
