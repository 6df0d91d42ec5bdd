//! `windlass results RUN MAP`: what the instances of a map gave, as it is read.

use windlass::{MapError, MapResult, StorageError};

use super::reading;
use crate::args::{Global, ResultsArgs};
use crate::engine;
use crate::failure::{Exit, Failure};
use crate::json::ResultJson;
use crate::stdout::print_lines;
use crate::text;

pub(super) fn results(global: &Global, args: &ResultsArgs) -> Result<Exit, Failure> {
    let mut inspector = reading(global)?;
    let run = engine::find(&mut inspector, &args.at.run)?;
    let results = match args.activation {
        Some(activation) => inspector.results_of(run, &args.at.map, activation),
        None => inspector.results(run, &args.at.map),
    };
    let results = results.map_err(|error| match error {
        MapError::Storage(error) => Failure::broken_off(&error),
        MapError::NotBegun { .. } => Failure::refused(format!(
            "{error}; windlass why {run} says where it is, windlass show {run} which maps it has begun"
        )),
        error => Failure::refused_by(&error),
    })?;
    print_lines(results.map(|result| line(global, result)))?;
    Ok(Exit::Succeeded)
}

fn line(global: &Global, result: Result<MapResult, StorageError>) -> Result<String, Failure> {
    let result = result.map_err(|error| Failure::broken_off(&error))?;
    if global.json {
        serde_json::to_string(&ResultJson::from(&result))
            .map_err(|error| Failure::broken_off(&error))
    } else {
        Ok(text::result(&result))
    }
}
