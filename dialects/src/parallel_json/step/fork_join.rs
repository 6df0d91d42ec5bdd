//! A block whose branches run side by side and are judged by a policy.

use super::Kind;
use super::keys::check_inner_keys;
use super::link::{Link, links};
use super::parallel::too_few;
use crate::diagnostic::{Report, Spot};
use crate::options::{EarlyExit, ImportOptions};
use crate::parallel_json::field::{self, place};
use crate::tree::{Meaning, Node, Value};

#[derive(Clone, Debug)]
pub(crate) struct ForkJoin<'a> {
    pub(crate) branches: Vec<Branch<'a>>,
    pub(crate) policy: Policy,
    pub(crate) early_exit: EarlyExit,
}

#[derive(Clone, Debug)]
pub(crate) struct Branch<'a> {
    pub(crate) name: &'a str,
    pub(crate) steps: Vec<Link<'a>>,
    pub(crate) timeout_seconds: Option<u32>,
}

/// How many branches must complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    All,
    Any,
    Majority,
    AtLeast(u32),
}

impl Policy {
    /// How many of `branches` must complete.
    pub(crate) fn needs(self, branches: usize) -> u32 {
        let branches = u32::try_from(branches).unwrap_or(u32::MAX);
        match self {
            Self::All => branches,
            Self::Any => 1,
            Self::Majority => branches / 2 + 1,
            Self::AtLeast(needed) => needed,
        }
    }

    /// As rows show it.
    pub(crate) fn shown(self) -> String {
        match self {
            Self::All => "all".to_owned(),
            Self::Any => "any".to_owned(),
            Self::Majority => "majority".to_owned(),
            Self::AtLeast(needed) => format!("n_of_m:{needed}"),
        }
    }
}

pub(super) fn read<'a>(
    node: &'a Node,
    step: &Spot,
    options: &ImportOptions,
    report: &mut Report,
) -> Kind<'a> {
    let why = "it says which branches there are";
    let Some((config, spot)) = field::object(report, step, node, "fork_join_config", why) else {
        return Kind::Unknown;
    };
    let known = [
        "branches",
        "join_policy",
        "n_required",
        "branch_timeout_seconds",
        "early_exit",
    ];
    check_inner_keys(config, &spot, &known, report);
    let default_timeout = field::count(report, &spot, config, "branch_timeout_seconds");
    let branches = read_branches(config, &spot, default_timeout, report);
    let words = [
        ("all", Policy::All),
        ("any", Policy::Any),
        ("majority", Policy::Majority),
        ("n_of_m", Policy::AtLeast(0)),
    ];
    let policy = field::word(
        report,
        &spot,
        config,
        "join_policy",
        &words,
        "policy-unknown",
    );
    let policy = read_required(
        config,
        &spot,
        policy.unwrap_or(Policy::All),
        branches.len(),
        report,
    );
    let words = [
        ("none", EarlyExit::None),
        ("absorb", EarlyExit::Absorb),
        ("cancel", EarlyExit::Cancel),
    ];
    let early_exit = field::word(report, &spot, config, "early_exit", &words, "field-type");
    Kind::ForkJoin(ForkJoin {
        branches,
        policy,
        early_exit: early_exit.unwrap_or(options.parallel_json.early_exit),
    })
}

fn read_branches<'a>(
    config: &'a Node,
    spot: &Spot,
    default_timeout: Option<u32>,
    report: &mut Report,
) -> Vec<Branch<'a>> {
    let why = "there would be nothing to fork";
    let Some((map, spot)) = field::object(report, spot, config, "branches", why) else {
        return Vec::new();
    };
    // Of a branch that comes twice one is missing here.
    if map.entries().len() < 2 && !report.has_inside("duplicate-key", &spot) {
        too_few(
            report,
            &spot,
            map.entries().len(),
            "use the steps themselves",
        );
    }
    let mut branches = Vec::new();
    for entry in map.entries() {
        let inside = field::spot(&spot, entry);
        if !matches!(entry.value.value, Value::Map(_)) {
            field::mistyped(report, &spot, entry, "an object with steps");
            continue;
        }
        if entry.key.is_empty() || entry.key.len() > 255 {
            let what = format!(
                "a branch name of {} characters; rows repeat it; use 1 to 255",
                entry.key.len()
            );
            report.error("id-invalid", &inside, what);
        }
        check_inner_keys(&entry.value, &inside, &["steps", "timeout_seconds"], report);
        let steps = links(report, &inside, &entry.value, "steps");
        if steps.is_empty() {
            let what = "no steps; the branch would have no output; add one";
            report.error(
                "too-few-children",
                &place(&inside, &entry.value, "steps"),
                what,
            );
        }
        let own = field::count(report, &inside, &entry.value, "timeout_seconds");
        branches.push(Branch {
            name: &entry.key,
            steps,
            timeout_seconds: own.or(default_timeout),
        });
    }
    branches
}

fn read_required(
    config: &Node,
    spot: &Spot,
    policy: Policy,
    branches: usize,
    report: &mut Report,
) -> Policy {
    let entry = config.get("n_required");
    if policy != Policy::AtLeast(0) {
        if let Some(entry) = entry {
            let what = "the policy is another one than n_of_m; the number has no effect; remove it";
            report.warning("field-ignored", &field::spot(spot, entry), what);
        }
        return policy;
    }
    let range = format!("use 1 to {branches}");
    let at = place(spot, config, "n_required");
    let Some(entry) = entry else {
        let what = format!("missing; n_of_m does not say how many; {range}");
        report.error("n-required-invalid", &at, what);
        return policy;
    };
    let Some(Meaning::Integer(written)) = entry.value.meaning() else {
        field::mistyped(report, spot, entry, "a whole number");
        return policy;
    };
    let number = written.parse::<u32>().ok();
    let fits = |number: &u32| *number >= 1 && *number as usize <= branches;
    if let Some(number) = number.filter(fits) {
        return Policy::AtLeast(number);
    }
    let why = if number == Some(0) || written.starts_with('-') {
        "would wait for none"
    } else if report.has_inside("duplicate-key", &place(spot, config, "branches")) {
        return policy;
    } else {
        "can never succeed"
    };
    let what = format!("{written:.20} of {branches} branches {why}; {range}");
    report.error("n-required-invalid", &at, what);
    policy
}
