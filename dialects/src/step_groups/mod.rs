//! Dialect `step-groups-yaml`: lists of steps in YAML, grouped into phases.
//!
//! Owns the grammar: three forms of documents, what a step may hold, how neighbours form phases.
//! A phase of several steps becomes a split whose join waits for all; phases follow each other.
//! Constructs whose meaning is not lowered yet are refused (`construct-unsupported`), never skipped.

mod dependency;
mod document;
mod field;
mod file;
mod lowering;
mod phase;
mod reference;
mod settings;
mod step;
mod unsupported;
mod workflow;

pub(crate) use file::{import, recognises};
