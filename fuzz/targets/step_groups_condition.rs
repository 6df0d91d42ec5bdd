//! Any text as a condition and as a text with references of step groups: read and evaluated.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| windlass_dialects::fuzzing::step_groups_condition(text));
