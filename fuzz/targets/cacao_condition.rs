//! Any text as the condition of a playbook: read, checked and evaluated.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| windlass_dialects::fuzzing::cacao_condition(text));
