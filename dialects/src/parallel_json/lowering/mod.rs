//! A workflow as a graph.
//!
//! Every step is one node of its name, and copies of it for other ways are called `<id>/<number>`; what a block or conditional needs besides is named
//! `<id>/…`, which no id can be; where that would be too long, what is left of the id ends in a hash. Nodes come first, then the edges, so that a chain of any length
//! needs no recursion.

mod edges;
mod nodes;

use std::collections::HashMap;
use std::sync::Arc;

use windlass_workflow_model::{
    Block as Shown, Definition, Draft, Function, Functions, InvalidWorkflow, NodeId, Place, Source,
};

use crate::import::ImportedWorkflow;
use crate::options::{ImportOptions, IterationShape, Mode};
use crate::parallel_json::block::Standing;
use crate::parallel_json::document::Document;
use crate::parallel_json::rehearsal::rehearsal;
use crate::parallel_json::run_state::{RunOptions, RunState};
use crate::parallel_json::seat::{Seats, branch_name};
use crate::parallel_json::step::Kind;

/// The reason that steps show which a failed run never reached.
const UNREACHED: &str = "chain-failed";

/// Makes a graph of a workflow without errors.
pub(crate) fn lower(
    document: &Document<'_>,
    seats: &Seats,
    source: Source,
    options: &ImportOptions,
) -> Result<ImportedWorkflow, InvalidWorkflow> {
    let mut draft = Draft::new(document.workflow_id.as_str(), "");
    draft.unreached_reason(UNREACHED);
    if let Some(limit) = options.parallel_json.max_concurrent_steps {
        draft.run_parallelism(limit);
    }
    let mut lowering = Lowering {
        document,
        seats,
        options,
        draft,
        functions: Functions::new(),
        nodes: HashMap::new(),
        branches: branches(document, seats),
    };
    let begin = lowering.begin();
    for step in &seats.order {
        lowering.add(*step);
    }
    for step in &seats.order {
        lowering.connect(*step);
    }
    let start = document.start.as_ref().and_then(|start| start.target);
    if let Some(first) = start.and_then(|start| lowering.entry(start)) {
        lowering.draft.connect(begin, first);
    }
    let definition = finish(lowering.draft, source)?;
    Ok(ImportedWorkflow {
        definition,
        functions: lowering.functions,
        rehearsal: rehearsal(document, seats, options),
    })
}

/// The version stands for the content: equal content, equal version, whatever file it came from.
fn finish(mut draft: Draft, source: Source) -> Result<Definition, InvalidWorkflow> {
    let fingerprint = format!("{:016x}", draft.fingerprint());
    draft.version(format!("sha-{}", &fingerprint[..12]));
    draft.source(source);
    draft.finish()
}

struct Lowering<'d, 'a> {
    document: &'d Document<'a>,
    seats: &'d Seats,
    options: &'d ImportOptions,
    draft: Draft,
    functions: Functions,
    nodes: HashMap<usize, Nodes>,
    branches: HashMap<usize, BranchOf>,
}

/// For each step inside a block: which of its branches it belongs to.
type BranchOf = HashMap<String, usize>;

fn branches(document: &Document<'_>, seats: &Seats) -> HashMap<usize, BranchOf> {
    let mut found: HashMap<usize, BranchOf> = HashMap::new();
    for step in &seats.order {
        let mut at = Some(*step);
        while let Some(scope) = at
            .and_then(|at| seats.of[at].as_ref())
            .map(|seat| seat.scope)
        {
            let scope = &seats.scopes[scope];
            if let Some(block) = scope.block {
                let id = document.steps[*step].id.to_owned();
                found.entry(block).or_default().insert(id, scope.branch);
            }
            at = scope.block;
        }
    }
    found
}

/// The nodes of one step.
#[derive(Clone, Debug)]
struct Nodes {
    entry: NodeId,
    /// From which the chain goes on.
    exit: NodeId,
    /// Where the branches of a block end.
    join: Option<NodeId>,
    /// Where iterations come together that went well.
    ended: Option<NodeId>,
    /// Where the failures of an iteration come together.
    failed: Option<NodeId>,
    /// The nodes whose failure is the step's.
    failing: Vec<NodeId>,
    /// The scope of each branch that has a limit.
    limits: HashMap<usize, (NodeId, NodeId)>,
}

impl Nodes {
    fn one(node: NodeId) -> Self {
        Self {
            entry: node,
            exit: node,
            join: None,
            ended: None,
            failed: None,
            failing: vec![node],
            limits: HashMap::new(),
        }
    }
}

impl Lowering<'_, '_> {
    /// The node that puts the input of a run where references find it.
    fn begin(&mut self) -> NodeId {
        for options in RunOptions::all() {
            let begin = move |input: &_| RunState::begin(input, options)?.write();
            self.functions
                .insert(options.begin(), Function::Compute(Arc::new(begin)));
        }
        let json = &self.options.parallel_json;
        let options = RunOptions {
            lenient: self.options.mode == Mode::Lenient,
            strict_conditions: json.strict_conditions,
            bare_outputs: json.iteration_shape == IterationShape::Output,
        };
        let begin = self.draft.compute("workflow/input", options.begin());
        self.draft.start_at(begin);
        begin
    }

    fn entry(&self, step: usize) -> Option<NodeId> {
        self.nodes.get(&step).map(|nodes| nodes.entry)
    }

    fn standing(&self, step: usize) -> Standing {
        let seat = self.seats.of[step].as_ref();
        let parent = seat.and_then(|seat| seat.parent.clone());
        Standing {
            id: self.document.steps[step].id.to_owned(),
            within: parent.map(|(parent, branch)| {
                (
                    self.document.steps[parent].id.to_owned(),
                    branch.to_string(),
                )
            }),
        }
    }

    fn place(&self, step: usize) -> Place {
        let parent = self.seats.of[step]
            .as_ref()
            .and_then(|seat| seat.parent.as_ref());
        match parent {
            Some((parent, branch)) => Place {
                parent: Some(self.document.steps[*parent].id.to_owned()),
                branch: Some(branch.to_string()),
                join_policy: self.join_policy(*parent),
            },
            None => Place::default(),
        }
    }

    /// The place of what stands in a branch of a block.
    fn place_inside(&self, block: usize, branch: usize) -> Place {
        Place {
            parent: Some(self.document.steps[block].id.to_owned()),
            branch: Some(branch_name(self.document, block, branch)),
            join_policy: self.join_policy(block),
        }
    }

    /// As rows show it.
    fn join_policy(&self, block: usize) -> Option<String> {
        match &self.document.steps[block].kind {
            Kind::Parallel { .. } => Some("all".to_owned()),
            Kind::ForkJoin(fork) => Some(fork.policy.shown()),
            Kind::Loop(looped) => Some(looped.on_error.as_str().to_owned()),
            Kind::Conditional { .. } => Some("exclusive".to_owned()),
            Kind::Agent { .. } | Kind::Unknown => None,
        }
    }

    fn show_block(&mut self, step: usize, kind: &str) {
        if self.document.steps[step].copy.is_some() {
            return;
        }
        let place = self.place(step);
        let block = Shown {
            name: self.document.steps[step].id.to_owned(),
            kind: kind.to_owned(),
            // Rows show it where those of steps show their branch.
            label: place.branch,
            parent: place.parent,
            join_policy: self.join_policy(step),
        };
        self.draft.block(block);
    }

    fn function(&mut self, name: String, function: Function) -> String {
        self.functions.insert(name.clone(), function);
        name
    }
}
