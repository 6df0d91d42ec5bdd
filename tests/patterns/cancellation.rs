//! Cancellation and forced completion: none is written yet.
