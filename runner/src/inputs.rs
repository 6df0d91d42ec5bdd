//! What has come in for a branch that waited, read when its job begins.

use std::collections::VecDeque;

use windlass_store::{
    BranchRow, ChildRange, Reader, ResultRow, RunOutcome, StorageError, Store, Woken, outcome_of,
};
use windlass_workflow_model::{
    Arrival, BranchOutcome, Definition, Event, Inputs, NodeKind, Payload, Tally,
};

use windlass_store::limits::RESULTS_AT_ONCE;

use crate::limits::ARRIVALS_AT_ONCE;

/// A reader of a Runner's own, opened when a branch first brings something in.
#[derive(Debug)]
pub(crate) struct LazyReader {
    store: Store,
    open: Option<Box<dyn Reader>>,
}

impl LazyReader {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, open: None }
    }

    pub(crate) fn get(&mut self) -> Result<&mut dyn Reader, StorageError> {
        let reader = match self.open.take() {
            Some(reader) => reader,
            None => self.store.reader()?,
        };
        Ok(self.open.insert(reader).as_mut())
    }
}

/// Calls `then` with what has come in for `row`.
pub(crate) fn with_inputs<T>(
    definition: &Definition,
    row: &BranchRow,
    reader: &mut LazyReader,
    then: impl FnOnce(Inputs<'_>) -> T,
) -> Result<T, StorageError> {
    if let Some(refused) = &row.record.flow().refused {
        return Ok(then(Inputs::Refused(refused.clone())));
    }
    if row.position.entering {
        return Ok(then(Inputs::Nothing));
    }
    let flow = row.record.flow();
    match (
        &definition.node(row.position.node).kind,
        row.record.children,
    ) {
        (NodeKind::Join { split, .. }, Some(range)) => {
            let map = matches!(definition.node(*split).kind, NodeKind::Map { .. });
            let scope = matches!(definition.node(*split).kind, NodeKind::Scope { .. });
            let reader = reader.get()?;
            match &flow.woken {
                Some(Woken::Count(counted, pending)) => {
                    let succeeded = pending_results(row, range, pending, reader)?;
                    let counted = counted
                        .clone()
                        .map_or_else(Payload::null, Payload::from_json);
                    Ok(then(Inputs::Count(counted, &mut succeeded.into_iter())))
                }
                Some(Woken::Over(counts, is_forced)) if map => {
                    let tally = tally(*counts, *is_forced);
                    let mut results = Results::new(row, range, reader);
                    let taken = then(Inputs::Arrivals(tally, &mut results));
                    results.error.map_or(Ok(taken), Err)
                }
                woken => {
                    let arrivals = if scope {
                        tokens(definition, row, range, reader)?
                    } else {
                        branches(range, reader)?
                    };
                    let tally = match woken {
                        Some(Woken::Over(counts, is_forced)) => tally(*counts, *is_forced),
                        _ => tally_of(&arrivals, range)?,
                    };
                    Ok(then(Inputs::Arrivals(tally, &mut arrivals.into_iter())))
                }
            }
        }
        (NodeKind::Meet { inputs, .. }, _) if !flow.met.is_empty() => {
            let mut arrivals = Vec::with_capacity(flow.met.len());
            for (input, token) in &flow.met {
                let data = if *token == row.id {
                    row.data.clone()
                } else {
                    reader.get()?.branch(*token)?.and_then(|row| row.data)
                };
                arrivals.push(Arrival {
                    index: *input,
                    name: inputs.get(*input as usize).cloned().unwrap_or_default(),
                    outcome: BranchOutcome::Succeeded(data.unwrap_or_else(Payload::null)),
                });
            }
            let all = u32::try_from(arrivals.len()).unwrap_or(u32::MAX);
            let tally = Tally {
                expected: all,
                succeeded: all,
                ..Tally::default()
            };
            Ok(then(Inputs::Arrivals(tally, &mut arrivals.into_iter())))
        }
        (NodeKind::Await { .. } | NodeKind::Select { .. }, _) => {
            let arm = match flow.woken {
                Some(Woken::Due(arm)) => return Ok(then(Inputs::Due(arm))),
                Some(Woken::Event(arm)) => arm,
                _ => 0,
            };
            let Some(seq) = row.record.event else {
                return Ok(then(Inputs::Nothing));
            };
            let event = reader.get()?.event(row.run, seq)?;
            Ok(then(
                event.map_or(Inputs::Nothing, |(payload, is_fault)| {
                    Inputs::Event(arm, Event { payload, is_fault })
                }),
            ))
        }
        (NodeKind::Call(_), _) => {
            let ended = match flow.called {
                Some(called) => reader.get()?.run(called)?,
                None => None,
            };
            let outcome = ended
                .as_ref()
                .and_then(outcome_of)
                .map(|outcome| match outcome {
                    RunOutcome::Succeeded(data) => BranchOutcome::Succeeded(data),
                    RunOutcome::Failed(fault) => BranchOutcome::Failed(fault),
                    RunOutcome::Cancelled(reason) => BranchOutcome::Cancelled(reason),
                });
            Ok(then(outcome.map_or(Inputs::Nothing, Inputs::Called)))
        }
        (NodeKind::Map { open, .. }, _) => {
            let Some(membership) = &row.record.membership else {
                return Ok(then(Inputs::Nothing));
            };
            let index = membership.index;
            let added = if *open {
                let item = i64::from(index);
                reader.get()?.item(row.run, membership.scope, item)?
            } else {
                None
            };
            Ok(then(Inputs::Instance(index, added)))
        }
        _ => Ok(then(Inputs::Nothing)),
    }
}

fn tally([expected, succeeded, failed, cancelled]: [u32; 4], is_forced: bool) -> Tally {
    Tally {
        expected,
        succeeded,
        failed,
        cancelled,
        is_forced,
    }
}

/// How many of the branches of a split came how; all of them have.
fn tally_of(arrivals: &[Arrival], range: ChildRange) -> Result<Tally, StorageError> {
    if arrivals.len() < range.count as usize {
        let why = format!("{} of {} branches are there", arrivals.len(), range.count);
        return Err(StorageError::Corrupt {
            what: "join".to_owned(),
            why,
        });
    }
    let mut tally = Tally {
        expected: range.count,
        ..Tally::default()
    };
    for arrival in arrivals {
        match arrival.outcome {
            BranchOutcome::Succeeded(_) => tally.succeeded += 1,
            BranchOutcome::Failed(_) => tally.failed += 1,
            BranchOutcome::Cancelled(_) => tally.cancelled += 1,
        }
    }
    Ok(tally)
}

/// The branches of a split that have come to its join, in branch order.
fn branches(range: ChildRange, reader: &mut dyn Reader) -> Result<Vec<Arrival>, StorageError> {
    let mut arrivals = Vec::with_capacity(range.count as usize);
    let mut from = 0;
    while from < range.count {
        let rows = reader.range(range, from, ARRIVALS_AT_ONCE)?;
        let Some(last) = rows.last() else { break };
        from = u32::try_from(last.id.0 - range.first.0 + 1).unwrap_or(u32::MAX);
        arrivals.extend(rows.into_iter().filter_map(arrival));
    }
    Ok(arrivals)
}

/// What a branch brought that has come to its end.
fn arrival(row: BranchRow) -> Option<Arrival> {
    if row.state != windlass_store::State::Arrived {
        return None;
    }
    let extras = row.record.into_extras();
    let cancelled = extras.flow().cancelled;
    let membership = extras.membership?;
    let outcome = match (extras.fault, cancelled) {
        (_, true) => BranchOutcome::Cancelled(extras.reason.unwrap_or_default()),
        (Some(fault), false) => BranchOutcome::Failed(fault),
        (None, false) => BranchOutcome::Succeeded(row.data.unwrap_or_else(Payload::null)),
    };
    Some(Arrival {
        index: membership.index,
        name: membership.name,
        outcome,
    })
}

/// The tokens of a scope, by where they ended and then by activation.
fn tokens(
    definition: &Definition,
    parent: &BranchRow,
    range: ChildRange,
    reader: &mut dyn Reader,
) -> Result<Vec<Arrival>, StorageError> {
    let mut rows = Vec::new();
    for loose in reader.loose(parent.id)? {
        if loose.scope == range.scope {
            rows.extend(reader.branch(loose.first)?);
        }
    }
    rows.sort_by_key(|row| (row.position.node, row.activation));
    let mut arrivals = Vec::with_capacity(rows.len());
    for (index, row) in (0..).zip(rows) {
        let name = definition.node(row.position.node).name.clone();
        arrivals.extend(arrival(row).map(|arrival| Arrival {
            index,
            name,
            ..arrival
        }));
    }
    Ok(arrivals)
}

/// The results of these instances, in this order.
fn pending_results(
    row: &BranchRow,
    range: ChildRange,
    pending: &[u32],
    reader: &mut dyn Reader,
) -> Result<Vec<Arrival>, StorageError> {
    let mut succeeded = Vec::with_capacity(pending.len());
    for index in pending {
        let found = reader.results(row.run, range.scope, *index, 1)?;
        succeeded.extend(found.into_iter().map(result));
    }
    Ok(succeeded)
}

fn result(row: ResultRow) -> Arrival {
    Arrival {
        index: row.index,
        name: row.index.to_string(),
        outcome: match row.outcome {
            Some(Ok(data)) => BranchOutcome::Succeeded(data),
            Some(Err(fault)) => BranchOutcome::Failed(fault),
            None => BranchOutcome::Cancelled("withdrawn".to_owned()),
        },
    }
}

/// The results of a map by index, a page at a time.
struct Results<'a> {
    row: &'a BranchRow,
    map: ChildRange,
    reader: &'a mut dyn Reader,
    page: VecDeque<ResultRow>,
    /// Where the next page begins; `None` after the last.
    next: Option<u32>,
    error: Option<StorageError>,
}

impl<'a> Results<'a> {
    fn new(row: &'a BranchRow, map: ChildRange, reader: &'a mut dyn Reader) -> Self {
        Self {
            row,
            map,
            reader,
            page: VecDeque::new(),
            next: Some(0),
            error: None,
        }
    }
}

impl Iterator for Results<'_> {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        if self.page.is_empty()
            && let Some(from) = self.next.take()
        {
            let (run, scope) = (self.row.run, self.map.scope);
            match self.reader.results(run, scope, from, RESULTS_AT_ONCE) {
                Ok(page) => {
                    let last = page.last().map(|row| row.index.saturating_add(1));
                    self.next = last;
                    self.page.extend(page);
                }
                Err(error) => self.error = Some(error),
            }
        }
        self.page.pop_front().map(result)
    }
}
