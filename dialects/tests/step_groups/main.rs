//! Dialect `step-groups-yaml`, from files to graphs and diagnostics.

mod bounds;
mod cases;
mod checks;
mod diagnostics;
mod documents;
mod execution;
mod phases;
mod play;
#[path = "../player/mod.rs"]
mod player;
mod shared_files;
mod values;
