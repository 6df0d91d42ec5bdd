//! A workflow file on disk, imported.

use std::path::Path;

use windlass_dialects::{HandlerTypes, ImportOptions, Imported, import_bytes};

use crate::failure::Failure;
use crate::stdout::say;

/// How a file is read.
#[derive(Debug)]
pub(crate) struct Reading<'r> {
    /// Only the workflow of this name.
    pub(crate) document: Option<&'r str>,
    /// Steps of one run that may work at once.
    pub(crate) max_concurrent_steps: u32,
    /// The step types that have a handler; `None` if that does not matter yet.
    pub(crate) types: Option<Vec<String>>,
}

/// Reads and imports a file; what is wrong inside stands in the diagnostics.
///
/// Steps without a limit of their own get none here: it comes with the policies of their type.
pub(crate) fn read(path: &Path, reading: Reading<'_>) -> Result<Imported, Failure> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| {
        Failure::refused(format!(
            "workflow file {name} cannot be read ({error}); correct the path or its permissions"
        ))
    })?;
    let mut options = ImportOptions::new(name);
    options.document = reading.document.map(str::to_owned);
    options.max_concurrent_steps = reading.max_concurrent_steps;
    options.step_timeout = None;
    if let Some(types) = reading.types {
        options.handlers = HandlerTypes::Known(types);
    }
    Ok(import_bytes(&bytes, &options))
}

/// Tells the diagnostics to whoever watches.
pub(crate) fn say_diagnostics(imported: &Imported) {
    for diagnostic in &imported.diagnostics {
        say(diagnostic);
    }
}
