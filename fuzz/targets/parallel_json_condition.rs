//! Any text as a condition and as a reference of parallel JSON: read and evaluated.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| windlass_dialects::fuzzing::parallel_json_condition(text));
