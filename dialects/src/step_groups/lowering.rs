//! A workflow as a graph.
//!
//! A phase of one step is that step; a phase of several is a split with a branch per step, all of
//! them settled, then its join. A phase that fails ends the run with all its errors in branch order.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use windlass_workflow_model::{
    Block, Definition, Draft, InvalidWorkflow, NodeId, Place, Source, StepSpec,
};

use crate::import::ImportedWorkflow;
use crate::options::ImportOptions;
use crate::run_data;
use crate::step_groups::phase::Phase;
use crate::step_groups::step::Step;
use crate::step_groups::workflow::Workflow;

/// How a phase joins its steps.
const JOIN_POLICY: &str = "all";

/// The reason that steps show which a failed run never reached.
const UNREACHED: &str = "run-already-failed";

/// Makes a graph of a workflow whose steps have unique names and types.
pub(crate) fn lower(
    workflow: &Workflow<'_>,
    name: &str,
    source: Source,
    options: &ImportOptions,
) -> Result<ImportedWorkflow, InvalidWorkflow> {
    let mut draft = Draft::new(name, "");
    draft.run_parallelism(options.max_concurrent_steps.max(1));
    draft.unreached_reason(UNREACHED);
    let mut last: Option<NodeId> = None;
    for (number, phase) in (1..).zip(&workflow.phases) {
        let (first, end) = lower_phase(&mut draft, workflow, name, number, phase, options);
        match last {
            Some(last) => draft.connect(last, first),
            None => draft.start_at(first),
        }
        last = Some(end);
    }
    let definition = finish(draft, source)?;
    Ok(ImportedWorkflow {
        definition,
        functions: run_data::functions(),
        // No reference is read yet, so nothing is asked of any output.
        rehearsal: BTreeMap::new(),
    })
}

/// The version stands for the content: equal content, equal version, whatever file it came from.
fn finish(mut draft: Draft, source: Source) -> Result<Definition, InvalidWorkflow> {
    let fingerprint = format!("{:016x}", draft.fingerprint());
    draft.version(format!("sha-{}", &fingerprint[..12]));
    draft.source(source);
    draft.finish()
}

/// Adds the nodes of a phase and gives the first and the last of them.
fn lower_phase(
    draft: &mut Draft,
    workflow: &Workflow<'_>,
    name: &str,
    number: usize,
    phase: &Phase,
    options: &ImportOptions,
) -> (NodeId, NodeId) {
    let block = format!("phase-{number}");
    draft.block(Block {
        name: block.clone(),
        kind: "phase".to_owned(),
        label: Some(phase.label.to_string()),
        parent: None,
        join_policy: Some(JOIN_POLICY.to_owned()),
    });
    let mut steps = phase.steps.iter().map(|index| &workflow.steps[*index]);
    if phase.steps.len() == 1
        && let Some(step) = steps.next()
    {
        let node = lower_step(draft, step, name, &block, options);
        return (node, node);
    }
    // No step has a name with a blank, so these two nodes never share one with a step.
    let (split, join) = draft.split(format!("phase {number}"), Some(run_data::MERGE.to_owned()));
    for node in [split, join] {
        draft.place(node, place(&block, None));
    }
    for step in steps {
        let node = lower_step(draft, step, name, &block, options);
        draft.branch(split, step.name.unwrap_or_default(), node);
        draft.connect(node, join);
    }
    (split, join)
}

fn lower_step(
    draft: &mut Draft,
    step: &Step<'_>,
    workflow: &str,
    block: &str,
    options: &ImportOptions,
) -> NodeId {
    let name = step.name.unwrap_or_default();
    let kind = step.kind.unwrap_or_default();
    let spec = StepSpec {
        kind: kind.to_owned(),
        timeout_ms: timeout_ms(step, options.step_timeout),
        config: json!({
            "step": name,
            "type": kind,
            "workflow": workflow,
            "config": step.config,
            "fields": step.fields,
        }),
        ..StepSpec::new(kind)
    };
    let node = draft.step(name, spec);
    draft.place(node, place(block, Some(name)));
    node
}

fn place(block: &str, branch: Option<&str>) -> Place {
    Place {
        parent: Some(block.to_owned()),
        branch: branch.map(str::to_owned),
        join_policy: Some(JOIN_POLICY.to_owned()),
    }
}

fn timeout_ms(step: &Step<'_>, default: Option<Duration>) -> Option<u64> {
    let own = step
        .timeout_seconds
        .map(|seconds| Duration::from_secs(seconds.into()));
    let limit = own.or(default).filter(|limit| !limit.is_zero())?;
    Some(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1))
}
