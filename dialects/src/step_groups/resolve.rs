//! The second reading of a workflow, once all names are known: texts with their references.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value as Json};

use crate::diagnostic::{Report, Spot, shortened};
use crate::options::{Mode, StepGroupsOptions};
use crate::step_groups::condition::Condition;
use crate::step_groups::conditions::{Conditions, Setters, When};
use crate::step_groups::digits;
use crate::step_groups::names::{Names, Reader, Resolver};
use crate::step_groups::reference::Reading;
use crate::step_groups::settings::Settings;
use crate::step_groups::state::Status;
use crate::step_groups::step::{SUB_WORKFLOW, Step};
use crate::step_groups::template::{Reference, Setting, Template, Texts};
use crate::step_groups::work::Work;
use crate::step_groups::workflow::Workflow;
use crate::tree::{Entry, Scalar, Value};

/// A step with everything that a run makes whole.
pub(crate) struct Resolved {
    /// As the file has them.
    pub(crate) config: Map<String, Json>,
    pub(crate) fields: Map<String, Json>,
    pub(crate) work: Work,
    /// The inputs of a sub-workflow.
    pub(crate) parameters: Setting,
    /// The digits of numbers in them.
    pub(crate) digits: Json,
}

/// Everything that a workflow's texts came to.
pub(crate) struct Resolution {
    /// One per step.
    pub(crate) steps: Vec<Resolved>,
    pub(crate) outputs: Texts,
    /// Who sets the variables in them.
    pub(crate) setters: Setters,
    /// What is read of the context.
    pub(crate) context: Vec<String>,
}

/// Reads all texts of a workflow; what is wrong with them is reported.
pub(crate) fn resolve(
    workflow: &Workflow<'_>,
    names: &Names<'_>,
    options: &StepGroupsOptions,
    report: &mut Report,
) -> Resolution {
    let mut resolver = Resolver {
        names,
        secrets: &options.secret_names,
        report,
        context: BTreeSet::new(),
        for_handler: false,
    };
    let steps = workflow.steps.iter().enumerate();
    let mut steps: Vec<Resolved> = steps
        .map(|(index, step)| resolver.step(index, step))
        .collect();
    if options.approve_all {
        let conditions = steps.iter_mut().map(|step| &mut step.work.conditions);
        let asking = conditions.filter(|conditions| conditions.when == When::Manual);
        // Which is what approval is beside the wait.
        asking.for_each(|conditions| conditions.when = When::OnSuccess);
    }
    let nobody = BTreeSet::new();
    let reader = Reader {
        step: None,
        env: &nobody,
    };
    let mut outputs = Texts::new();
    for (entry, spot) in &workflow.outputs {
        outputs.extend(resolver.texts(reader, entry, spot));
    }
    let context = std::mem::take(&mut resolver.context);
    note_reads(&mut steps, &outputs, names);
    let setting = SetBy::new(workflow, names);
    for (index, step) in steps.iter_mut().enumerate() {
        step.work.conditions.setters = setting.read_in(&templates(step), Some(index));
    }
    let read: Vec<&Template> = outputs.iter().map(|(_, template)| template).collect();
    let setters = setting.read_in(&read, None);
    Resolution {
        steps,
        outputs,
        setters,
        context: context.into_iter().collect(),
    }
}

impl Resolver<'_, '_> {
    fn step(&mut self, index: usize, step: &Step<'_>) -> Resolved {
        let nobody = BTreeSet::new();
        let reader = |env| Reader {
            step: Some(index),
            env,
        };
        let spot = &step.spot;
        self.for_handler = false;
        let env = step
            .env
            .map(|entry| self.texts(reader(&nobody), entry, spot));
        let env = env.unwrap_or_default();
        let own: BTreeSet<String> = env.iter().map(|(name, _)| name.clone()).collect();
        let reader = reader(&own);
        let env_is_for_handler = self.for_handler;
        let mut ifs = Vec::new();
        for (text, at) in &step.ifs {
            let at = at.clone().called(format!("{} if", spot.subject));
            ifs.extend(self.condition(reader, &at, "if", text));
        }
        let unless = step.unless.as_ref().and_then(|(text, at)| {
            let at = at.clone().called(format!("{} unless", spot.subject));
            self.condition(reader, &at, "unless", text)
        });
        let conditions = Conditions {
            step: step.name.unwrap_or_default().to_owned(),
            phase: self.names.phases[index] + 1,
            when: self.when(step, &ifs),
            depends_on: step
                .depends_on
                .iter()
                .map(|(name, _)| (*name).to_owned())
                .collect(),
            ifs,
            unless,
            env,
            setters: Setters::new(),
            lenient: self.report.mode() == Mode::Lenient,
        };
        // Conditions go to no handler.
        self.for_handler = env_is_for_handler;
        let mut settings = Settings::new(self, reader, spot, true);
        let config = step.config.map(|entry| settings.entry(entry));
        let mut settings = Settings::new(self, reader, spot, false);
        let (mut fields, mut written) = (Vec::new(), Map::new());
        for entry in &step.fields {
            let both = settings.entry(entry);
            written.insert(entry.key.clone(), both.json);
            fields.push((entry.key.clone(), both.setting));
        }
        let parameters = step.parameters.map(|entry| settings.entry(entry));
        let texts = step.set_variables;
        let set_variables = texts.map(|entry| self.texts(reader, entry, spot));
        let output_file = step.output_file.as_ref().map(|(text, at)| {
            let at = at.clone().called(format!("{} outputFile", spot.subject));
            self.template(reader, &at, text, Reading::Value)
        });
        let (config, config_setting) = match config {
            Some(both) => (both.json, both.setting),
            None => (Json::Null, Setting::map()),
        };
        let config_setting = match config_setting {
            Setting::Fixed(Json::Null) => Setting::map(),
            setting => setting,
        };
        Resolved {
            config: match config {
                Json::Object(config) => config,
                _ => Map::new(),
            },
            fields: written,
            work: Work {
                conditions,
                rank: index,
                config: config_setting,
                fields: Setting::Map(fields),
                set_variables: set_variables.unwrap_or_default(),
                outputs: step
                    .outputs
                    .iter()
                    .map(|(name, _)| (*name).to_owned())
                    .collect(),
                output_file,
                resource: step.resource.map(str::to_owned),
                template: self.for_handler,
                secrets: self.secrets.to_vec(),
                read: BTreeSet::new(),
            },
            parameters: parameters.map_or_else(Setting::map, |both| both.setting),
            digits: step
                .parameters
                .and_then(|entry| digits::of(&entry.value))
                .unwrap_or_default(),
        }
    }

    /// A step that tests for a failure could never run after a success alone.
    fn when(&mut self, step: &Step<'_>, ifs: &[Condition]) -> When {
        let failed = ifs.iter().find_map(|condition| match condition {
            Condition::Is {
                step,
                status: Status::Failed,
            } => Some(step),
            _ => None,
        });
        match (step.when, failed) {
            (Some(when), _) => when,
            (None, None) => When::default(),
            (None, Some(of)) => {
                let what = format!(
                    "if tests {}.failed, so when is taken as always; otherwise it could never run; write when: always",
                    shortened(of)
                );
                self.report.info("when-assumed-always", &step.spot, what);
                When::Always
            }
        }
    }

    /// A map of scalars, each with its references.
    fn texts(&mut self, reader: Reader<'_>, entry: &Entry, spot: &Spot) -> Texts {
        let map = spot.entry(entry);
        let mut found = Texts::new();
        for inner in entry.value.entries() {
            let Value::Scalar(Scalar { text, .. }) = &inner.value.value else {
                continue;
            };
            let subject = format!("{} {}.{}", spot.subject, entry.key, shortened(&inner.key));
            let at = map.entry(inner).called(subject.trim_start());
            let text = if inner.value.is_null() { "" } else { text };
            let template = self.template(reader, &at, text, Reading::Value);
            found.push((inner.key.clone(), template));
        }
        found
    }
}

/// The texts of a step, those of its conditions apart.
fn templates(step: &Resolved) -> Vec<&Template> {
    let work = &step.work;
    let mut templates: Vec<&Template> = Vec::new();
    work.config.templates(&mut templates);
    work.fields.templates(&mut templates);
    step.parameters.templates(&mut templates);
    let texts = work.set_variables.iter().chain(&work.conditions.env);
    templates.extend(texts.map(|(_, template)| template));
    templates.extend(&work.output_file);
    templates
}

/// Which steps set the variables that the workflow gives no value.
struct SetBy<'n> {
    /// In document order.
    setters: HashMap<&'n str, Vec<usize>>,
    names: &'n Names<'n>,
}

impl<'n> SetBy<'n> {
    fn new(workflow: &'n Workflow<'n>, names: &'n Names<'n>) -> Self {
        let mut setters: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, step) in workflow.steps.iter().enumerate() {
            let set = step.set_variables.into_iter();
            for entry in set.flat_map(|entry| entry.value.entries()) {
                setters.entry(&entry.key).or_default().push(index);
            }
        }
        for (name, _) in &workflow.variables {
            setters.remove(name);
        }
        Self { setters, names }
    }

    /// Of what a step reads in these texts, or nobody after the last phase.
    fn read_in(&self, templates: &[&Template], reader: Option<usize>) -> Setters {
        let mut found = Setters::new();
        for reference in templates.iter().flat_map(|template| template.references()) {
            if let Reference::Plain(name) | Reference::Variable(name) = reference
                && let Some(setters) = self.setters.get(name.as_str())
                && !found.contains_key(name)
            {
                let last = self.last_before(setters, reader);
                let last = last.and_then(|step| self.names.order.get(step));
                found.insert(name.clone(), last.map(|step| (*step).to_owned()));
            }
        }
        found
    }

    fn last_before(&self, setters: &[usize], reader: Option<usize>) -> Option<usize> {
        let Some(reader) = reader else {
            return setters.last().copied();
        };
        let (phases, waits) = (&self.names.phases, &self.names.waits[reader]);
        // Later steps are never in earlier phases.
        let earlier = setters.partition_point(|step| phases[*step] < phases[reader]);
        let beside = waits
            .iter()
            .rev()
            .find(|step| setters.binary_search(step).is_ok());
        let earlier = earlier.checked_sub(1).map(|last| setters[last]);
        beside.copied().or(earlier)
    }
}

/// Notes at each step what others read of it, for rehearsals.
fn note_reads(steps: &mut [Resolved], outputs: &Texts, names: &Names<'_>) {
    let mut read: Vec<(usize, String)> = Vec::new();
    let mut note = |reference: &Reference| {
        if let Reference::Output { step, key } = reference
            && let Some(index) = names.steps.get(step.as_str())
        {
            read.push((*index, key.clone()));
        }
    };
    for step in &*steps {
        let mut templates = templates(step);
        let asked = &step.work.conditions;
        for condition in asked.ifs.iter().chain(&asked.unless) {
            templates.extend(condition.templates());
            if let Condition::True(reference) = condition {
                note(reference);
            }
        }
        for template in templates {
            template.references().for_each(&mut note);
        }
    }
    for (_, template) in outputs {
        template.references().for_each(&mut note);
    }
    for (index, key) in read {
        steps[index].work.read.insert(key);
    }
}

/// Whether a step starts a workflow.
pub(crate) fn is_call(step: &Step<'_>) -> bool {
    step.kind == Some(SUB_WORKFLOW)
}
