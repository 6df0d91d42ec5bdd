//! Termination: none is written yet.
