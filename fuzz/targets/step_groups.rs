//! Any text, imported as the dialect of this name.
#![no_main]

mod common;

use libfuzzer_sys::fuzz_target;
use windlass_dialects::Dialect;

fuzz_target!(|text: &str| common::check(text, Dialect::StepGroupsYaml));
