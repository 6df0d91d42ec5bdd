//! Processing flags: what a playbook asks of whoever runs it.
//!
//! Computed from the steps; only these are trusted. What the file declares is compared with them.

use std::collections::{BTreeMap, HashSet};

use crate::cacao::playbook::{Kind, Playbook};
use crate::cacao::read::Reader;
use crate::diagnostic::{listed, quoted};

pub(crate) const MANUAL: &str = "manual_playbook";
pub(crate) const EXTERNAL: &str = "external_playbooks";
pub(crate) const PARALLEL: &str = "parallel_processing";
pub(crate) const IF: &str = "if_logic";
pub(crate) const WHILE: &str = "while_logic";
pub(crate) const SWITCH: &str = "switch_logic";
pub(crate) const TEMPORAL: &str = "temporal_logic";
pub(crate) const DATA_MARKINGS: &str = "data_markings";
pub(crate) const SIGNATURES: &str = "digital_signatures";
pub(crate) const COUNTERSIGNATURES: &str = "countersigned_signatures";
pub(crate) const EXTENSIONS: &str = "extensions";

/// All processing flags of CACAO 2.0: what a playbook can ask of whoever runs it.
pub const ALL: [&str; 11] = [
    MANUAL,
    EXTERNAL,
    PARALLEL,
    IF,
    WHILE,
    SWITCH,
    TEMPORAL,
    DATA_MARKINGS,
    SIGNATURES,
    COUNTERSIGNATURES,
    EXTENSIONS,
];

/// The flags that are set, each with the names of the steps that set it. The steps in `made` are none
/// of the file.
pub(crate) fn computed(
    playbook: &Playbook,
    made: &HashSet<String>,
) -> BTreeMap<&'static str, Vec<String>> {
    let mut found: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for (flag, by) in &playbook.marked {
        found.insert(flag, by.clone());
    }
    let (mut commands, mut manual) = (0, Vec::new());
    for step in playbook
        .steps
        .iter()
        .filter(|step| !made.contains(&step.id))
    {
        let flag = match &step.kind {
            Kind::Playbook(_) => Some(EXTERNAL),
            Kind::Parallel { .. } => Some(PARALLEL),
            Kind::If { .. } => Some(IF),
            Kind::While { .. } => Some(WHILE),
            Kind::Switch { .. } => Some(SWITCH),
            Kind::Action(action) => {
                commands += action.commands.len();
                let by_hand = action
                    .commands
                    .iter()
                    .filter(|command| command.kind == "manual");
                manual.extend(by_hand.map(|_| step.name.clone()));
                None
            }
            Kind::Start | Kind::End | Kind::Unknown => None,
        };
        let timed = step.delay_ms > 0 || step.timeout_ms.is_some_and(|limit| limit > 0);
        for flag in flag.into_iter().chain(timed.then_some(TEMPORAL)) {
            found.entry(flag).or_default().push(step.name.clone());
        }
    }
    if commands > 0 && manual.len() == commands {
        found.insert(MANUAL, manual);
    }
    found
}

impl Reader<'_> {
    /// Compares what is declared, and refuses what this host will not run.
    pub(crate) fn judge_features(
        &mut self,
        playbook: &Playbook,
        computed: &BTreeMap<&'static str, Vec<String>>,
        refused: &[String],
    ) {
        for (flag, declared, spot) in &playbook.declared {
            let steps = computed.get(flag.as_str());
            if *declared == steps.is_some() {
                continue;
            }
            let why = match steps {
                Some(steps) => match steps.first() {
                    Some(step) => format!("false, but {} has it", quoted(step)),
                    None => "false, but the playbook has it".to_owned(),
                },
                None => "true, but no step has it".to_owned(),
            };
            let what = format!("{why}; consumers would be misled; correct it");
            self.report.repairable("summary-mismatch", spot, what);
        }
        for flag in refused {
            if !ALL.contains(&flag.as_str()) {
                let what = format!(
                    "option refuse_features names {}, which is no flag; nothing would be refused; use {}",
                    quoted(flag),
                    ALL.join(", ")
                );
                self.error("option-invalid", &playbook.spot, what);
                continue;
            }
            let Some(steps) = computed.get(flag.as_str()) else {
                continue;
            };
            let by = if steps.is_empty() {
                "the playbook itself".to_owned()
            } else {
                listed(steps.iter().map(String::as_str))
            };
            let what = format!(
                "{flag} is used by {by} and refused by this host; nothing is run; allow it or import elsewhere"
            );
            self.error("feature-refused", &playbook.spot, what);
        }
    }
}
