//! The kit itself: it passes what is right, and each of its checks finds a fault that was planted.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what is wrong by stopping there"
)]

mod crashes;
mod faults;
mod simulations;
mod texts;
mod workflows;
