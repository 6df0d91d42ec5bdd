//! Log lines of the engine, on stderr.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// Begins to log what the filter lets through.
///
/// # Errors
/// The filter is no filter.
pub(crate) fn start(filter: &str) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Failure::refused(format!(
            "log: {filter:?} is no filter ({error}); write a level such as warn, or windlass=debug"
        ))
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();
    Ok(())
}
