//! Dialect `step-groups-yaml`, from files to graphs and diagnostics.

mod bounds;
mod checks;
mod diagnostics;
mod documents;
mod execution;
mod phases;
mod shared_files;
