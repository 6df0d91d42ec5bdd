//! `windlass backup FILE`: copies the database while others work on it.

use serde_json::json;

use super::settings;
use crate::args::{CopyArgs, Global};
use crate::failure::{Exit, Failure};
use crate::stdout::{print, print_json};

pub(super) fn backup(global: &Global, args: &CopyArgs) -> Result<Exit, Failure> {
    let (config, _) = settings(global, Vec::new())?;
    windlass::backup(&config.database, &args.file).map_err(|error| Failure::refused_by(&error))?;
    let (from, to) = (config.database.display(), args.file.display());
    if global.json {
        print_json(&json!({ "database": from.to_string(), "backup": to.to_string() }))?;
    } else {
        print(&format!(
            "{from} is copied to {to}; `windlass restore {to}` puts it back\n"
        ))?;
    }
    Ok(Exit::Succeeded)
}
