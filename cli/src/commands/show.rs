//! `windlass show RUN`: one run in full.

use windlass_dialects::Dialect;

use super::reading;
use crate::args::{Global, OneRun};
use crate::branch_rows;
use crate::branches;
use crate::conditions::Conditions;
use crate::engine;
use crate::failure::{Exit, Failure};
use crate::json::{ShowJson, dialect_of};
use crate::stdout::{print, print_json};
use crate::tasks;
use crate::text;

pub(super) fn show(global: &Global, args: &OneRun) -> Result<Exit, Failure> {
    let mut inspector = reading(global)?;
    let run = engine::find(&mut inspector, &args.run)?;
    let mut detail = engine::show(&mut inspector, run)?;
    if dialect_of(&detail) == Some(Dialect::Cacao) {
        branch_rows::add(&mut detail);
    } else {
        branches::add(&mut inspector, &mut detail)?;
    }
    let conditions = Conditions::of(&mut inspector, &detail)?;
    let maps = inspector
        .maps(run)
        .map_err(|error| Failure::broken_off(&error))?;
    let maps = maps.unwrap_or_default();
    let tasks = tasks::waiting(&mut inspector, run)?;
    if global.json {
        print_json(&ShowJson::of(&detail, &maps, &tasks, &conditions))?;
    } else {
        let shown = text::show(&detail, &maps, &conditions, global.db.as_deref());
        print(&format!("{shown}{}", text::tasks(&tasks)))?;
    }
    Ok(Exit::Succeeded)
}
