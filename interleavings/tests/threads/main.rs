//! The engine's own threads in the orders that seeds choose. Runs only under `--cfg windlass_shuttle`:
//!
//! `RUSTFLAGS="--cfg windlass_shuttle" cargo test --release --target-dir target/shuttle -p windlass-interleavings`
//!
//! `WINDLASS_TEST_SCHEDULES` is the number of orders of all tests together, `WINDLASS_TEST_SCHEDULE_FIRST`
//! the first seed, `WINDLASS_TEST_SCHEDULE_SEED` the one to play again after a failure.

#![cfg(windlass_shuttle)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod door;
mod journey;
mod shutdown;
mod stage;
mod trouble;
mod writer;
