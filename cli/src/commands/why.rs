//! `windlass why RUN`: what exactly each live branch waits for.

use super::reading;
use crate::args::{Global, OneRun};
use crate::engine;
use crate::failure::{Exit, Failure};
use crate::json::WhyJson;
use crate::stdout::{print, print_json};
use crate::tasks;
use crate::text;

pub(super) fn why(global: &Global, args: &OneRun) -> Result<Exit, Failure> {
    let mut inspector = reading(global)?;
    let run = engine::find(&mut inspector, &args.run)?;
    let why = inspector
        .why(run)
        .map_err(|error| Failure::broken_off(&error))?;
    let why = why.ok_or_else(|| {
        Failure::refused(format!("there is no run {run}: retention has removed it"))
    })?;
    if global.json {
        print_json(&WhyJson::from(&why))?;
    } else {
        let asked = tasks::waiting(&mut inspector, run)?;
        print(&text::why(&why, &asked, global.db.as_deref()))?;
    }
    Ok(Exit::Succeeded)
}
