//! `windlass show RUN`: one run in full.

use super::reading;
use crate::args::{Global, OneRun};
use crate::engine;
use crate::failure::{Exit, Failure};
use crate::json::ShowJson;
use crate::rows::{self, Conditions};
use crate::stdout::{print, print_json};
use crate::tasks;
use crate::text;

pub(super) fn show(global: &Global, args: &OneRun) -> Result<Exit, Failure> {
    let mut inspector = reading(global)?;
    let run = engine::find(&mut inspector, &args.run)?;
    let mut detail = engine::show(&mut inspector, run)?;
    rows::add_branches(&mut inspector, &mut detail)?;
    let conditions = Conditions::of(&mut inspector, &mut detail)?;
    let maps = inspector
        .maps(run)
        .map_err(|error| Failure::broken_off(&error))?;
    let maps = maps.unwrap_or_default();
    let tasks = tasks::waiting(&mut inspector, run)?;
    if global.json {
        print_json(&ShowJson::of(&detail, &maps, &tasks, &conditions))?;
    } else {
        let shown = text::show(&detail, &maps, &conditions, global.db.as_deref());
        print(&format!(
            "{shown}{}",
            text::tasks(&tasks, global.db.as_deref())
        ))?;
    }
    Ok(Exit::Succeeded)
}
