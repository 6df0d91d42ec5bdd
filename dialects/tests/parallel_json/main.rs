//! Dialect `parallel-json`, from files to graphs, runs and diagnostics.

mod bounds;
mod checks;
mod diagnostics;
mod execution;
mod follow_ups;
mod graphs;
mod play;
#[path = "../player/mod.rs"]
mod player;
mod references;
mod rehearsals;
mod wording;
