//! `windlass restore FILE`: puts a backup in the place of the database.

use serde_json::json;

use super::settings;
use crate::args::{CopyArgs, Global};
use crate::failure::{Exit, Failure};
use crate::stdout::{print, print_json};

pub(super) fn restore(global: &Global, args: &CopyArgs) -> Result<Exit, Failure> {
    let (config, _) = settings(global, Vec::new())?;
    let replaced = windlass::restore(&args.file, &config.database)
        .map_err(|error| Failure::refused_by(&error))?;
    let (from, to) = (args.file.display(), config.database.display());
    let replaced = replaced.map(|replaced| replaced.display().to_string());
    if global.json {
        let (backup, database) = (from.to_string(), to.to_string());
        print_json(&json!({ "backup": backup, "database": database, "replaced": replaced }))?;
        return Ok(Exit::Succeeded);
    }
    let was = replaced.map_or(String::new(), |replaced| {
        format!("; what was there is now {replaced}")
    });
    print(&format!(
        "{to} is what {from} was{was}. `windlass resume` goes on with its runs\n"
    ))?;
    Ok(Exit::Succeeded)
}
