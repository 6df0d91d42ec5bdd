//! `windlass config`: the effective settings and where each comes from.

use super::settings;
use crate::args::{EngineArgs, Global};
use crate::failure::{Exit, Failure};
use crate::stdout::{print, print_json};
use crate::text::table;

pub(super) fn config(global: &Global, args: &EngineArgs) -> Result<Exit, Failure> {
    let (_, effective) = settings(global, args.layers())?;
    if global.json {
        print_json(&effective)?;
    } else {
        let rows: Vec<_> = effective
            .entries
            .iter()
            .map(|entry| {
                vec![
                    entry.key.clone(),
                    entry.value.to_string(),
                    entry.from.clone(),
                ]
            })
            .collect();
        print(&table(&["key", "value", "from"], &rows))?;
    }
    Ok(Exit::Succeeded)
}
