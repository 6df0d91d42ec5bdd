//! Behaviour of the dialect `cacao`, through the crate's public face.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod diagnostics;
mod execution;
mod files;
mod manual;
mod play;
#[path = "../player/mod.rs"]
mod player;
mod short;
