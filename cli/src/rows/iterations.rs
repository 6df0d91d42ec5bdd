//! What iterations of loops ended with.

use std::collections::{HashMap, HashSet};

use windlass::{ActivationId, BranchOutcome, Inspector, Instance, RunId};

use crate::failure::Failure;

/// Calls `with` for each of these iterations of a run that has ended, with its last data or why it
/// failed.
///
/// # Errors
/// They cannot be read.
pub(crate) fn visit(
    inspector: &mut Inspector,
    run: RunId,
    iterations: &HashSet<Instance>,
    mut with: impl FnMut(Instance, &BranchOutcome),
) -> Result<(), Failure> {
    let mut last: HashMap<ActivationId, u32> = HashMap::new();
    for iteration in iterations {
        let last = last.entry(iteration.map).or_default();
        *last = iteration.index.max(*last);
    }
    if last.is_empty() {
        return Ok(());
    }
    let maps = inspector.maps(run);
    let maps = maps.map_err(|error| Failure::broken_off(&error))?;
    for map in maps.unwrap_or_default() {
        let Some(last) = last.get(&map.activation) else {
            continue;
        };
        let results = inspector.results_of(run, &map.map, map.activation);
        for result in results.map_err(|error| Failure::broken_off(&error))? {
            let result = result.map_err(|error| Failure::broken_off(&error))?;
            let iteration = Instance {
                map: map.activation,
                index: result.index,
            };
            if iterations.contains(&iteration) {
                with(iteration, &result.outcome);
            }
            if result.index >= *last {
                break;
            }
        }
    }
    Ok(())
}
