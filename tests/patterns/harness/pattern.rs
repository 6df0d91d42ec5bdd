//! A workflow pattern as a value: how it is built, fed and driven, and what must come of it.

use std::any::type_name;

use serde::Serialize;
use serde::de::DeserializeOwned;
use windlass::{Definition, EngineBuilder, InvalidWorkflow, Json, Payload, Request, Workflow};

use super::committed::{Committed, End};
use super::driver::{Act, Driver, Look};
use super::kill_sweep::Wreck;
use super::live::Setting;
use super::{Stage, THE_RUN};

/// What a pattern's builder gives.
pub(crate) type Built<T> = Result<Workflow<T>, InvalidWorkflow>;

/// An assertion of a pattern's own, checked in every setting of the plain mode.
pub(crate) struct Assertion {
    /// The behaviour, as the name of a test.
    pub(crate) name: &'static str,
    /// Panics if it does not hold.
    pub(crate) check: fn(&Pattern, Setting),
}

/// What must hold of the store as killed processes have left it, before anything went on.
pub(crate) struct AfterKills {
    /// The behaviour, as the name of a test.
    pub(crate) name: &'static str,
    /// Gets what each kill of a sweep left, in order. Panics if it does not hold.
    pub(crate) check: fn(&[Wreck]),
}

/// A workflow without the type of its data.
pub(crate) trait Servable: Send + Sync {
    /// The graph.
    fn definition(&self) -> &Definition;
    /// The same engine, which serves this workflow too.
    fn serve(&self, engine: EngineBuilder) -> EngineBuilder;
}

impl<T> Servable for Workflow<T> {
    fn definition(&self) -> &Definition {
        self.definition()
    }

    fn serve(&self, engine: EngineBuilder) -> EngineBuilder {
        engine.workflow(self)
    }
}

/// A workflow of a pattern, before it has a stage.
pub(crate) struct Part {
    /// The path of the function that builds it, such as `patterns::basic::sequence`.
    pub(crate) builder: &'static str,
    build: Box<dyn Fn(&Stage) -> Box<dyn Servable>>,
}

impl Part {
    fn new<T, F>(build: F) -> Self
    where
        T: Serialize + DeserializeOwned + 'static,
        F: Fn(&Stage) -> Built<T> + 'static,
    {
        Self {
            builder: type_name::<F>(),
            build: Box::new(move |stage| Box::new(build(stage).expect("the pattern is sound"))),
        }
    }

    /// The workflow, with its steps on `stage`.
    pub(crate) fn on(&self, stage: &Stage) -> Box<dyn Servable> {
        (self.build)(stage)
    }
}

/// The workflow of a pattern and those that it calls.
struct Company(Vec<Box<dyn Servable>>);

impl Servable for Company {
    fn definition(&self) -> &Definition {
        self.0[0].definition()
    }

    fn serve(&self, engine: EngineBuilder) -> EngineBuilder {
        self.0.iter().fold(engine, |engine, one| one.serve(engine))
    }
}

/// One workflow control-flow pattern.
///
/// Begin with [`new`](Self::new), and name at least one end. The number leads to title and category in the catalogue.
pub(crate) struct Pattern {
    /// Its number, 1 to 43.
    pub(crate) number: u8,
    /// Its workflow, and those that it calls.
    pub(crate) parts: Vec<Part>,
    /// What the run begins with: the smallest data that shows the pattern.
    pub(crate) input: Json,
    driver: Option<Driver>,
    /// How a run may end.
    pub(crate) ends: Vec<End>,
    /// The steps that a run may commit, sorted; empty: always the same.
    ways: Vec<Vec<&'static str>>,
    /// Its own assertions.
    pub(crate) assertions: Vec<Assertion>,
    /// What must hold of what the kills left.
    pub(crate) after_kills: Vec<AfterKills>,
}

impl Pattern {
    /// Pattern `number`, built by the function `build` (not a closure: its name leads to the source
    /// that the page shows).
    pub(crate) fn new<T, F>(number: u8, build: F, input: &T) -> Self
    where
        T: Serialize + DeserializeOwned + 'static,
        F: Fn(&Stage) -> Built<T> + 'static,
    {
        Self {
            number,
            parts: vec![Part::new(build)],
            input: serde_json::to_value(input).expect("the input has a JSON form"),
            driver: None,
            ends: Vec::new(),
            ways: Vec::new(),
            assertions: Vec::new(),
            after_kills: Vec::new(),
        }
    }

    /// A workflow that this one calls, built by the function `build`. What is committed, seen and left
    /// is that of all runs that come of the first one.
    pub(crate) fn calls<T, F>(mut self, build: F) -> Self
    where
        T: Serialize + DeserializeOwned + 'static,
        F: Fn(&Stage) -> Built<T> + 'static,
    {
        self.parts.push(Part::new(build));
        self
    }

    /// One more way in which a run may end: successfully, with this data.
    pub(crate) fn ends_with(self, data: impl Serialize) -> Self {
        let data = serde_json::to_value(data).expect("the data has a JSON form");
        self.ends_as(End::Succeeded(data))
    }

    /// One more way in which a run may end.
    pub(crate) fn ends_as(mut self, end: End) -> Self {
        self.ends.push(end);
        self
    }

    /// What the outside does while a run goes on. Called again and again with what can be seen of
    /// the run, in a new process too after a kill: it must depend on nothing else, and its acts must
    /// change nothing the second time.
    pub(crate) fn driven_by(mut self, driver: impl Fn(&Look) -> Vec<Act> + 'static) -> Self {
        self.driver = Some(Box::new(driver));
        self
    }

    /// One more set of steps that a run may commit, for patterns with a race. Without any, every run
    /// must commit the same activations.
    pub(crate) fn may_commit(mut self, steps: &[&'static str]) -> Self {
        let mut steps = steps.to_vec();
        steps.sort_unstable();
        self.ways.push(steps);
        self
    }

    /// An assertion of its own: `check` runs in every setting of the plain mode.
    pub(crate) fn asserts(mut self, name: &'static str, check: fn(&Self, Setting)) -> Self {
        self.assertions.push(Assertion { name, check });
        self
    }

    /// What must hold of the store after the kills of the sweep, each time before the run is resumed.
    pub(crate) fn after_kills(mut self, name: &'static str, check: fn(&[Wreck])) -> Self {
        self.after_kills.push(AfterKills { name, check });
        self
    }

    /// How many steps a run commits at least; `plain` is what an unharmed one committed.
    pub(crate) fn steps_min(&self, plain: &Committed) -> usize {
        let ways = self.ways.iter().map(Vec::len);
        ways.min().unwrap_or(plain.len())
    }

    /// The workflow, with its steps on `stage`; served together with those that it calls.
    pub(crate) fn workflow(&self, stage: &Stage) -> Box<dyn Servable> {
        let parts = self.parts.iter().map(|part| part.on(stage));
        Box::new(Company(parts.collect()))
    }

    /// What the outside does next.
    pub(crate) fn acts(&self, look: &Look) -> Vec<Act> {
        self.driver
            .as_ref()
            .map(|driver| driver(look))
            .unwrap_or_default()
    }

    /// Whether the outside does anything at all.
    pub(crate) fn is_driven(&self) -> bool {
        self.driver.is_some()
    }

    /// A run of `definition` with `input`.
    pub(crate) fn request(definition: &Definition, input: &Json) -> Request {
        let input = Payload::encode(input).expect("JSON has a JSON form");
        Request::new(definition.name(), input).version(definition.version())
    }

    /// The run that a mode begins, and finds again after a kill.
    pub(crate) fn the_run(&self, definition: &Definition) -> Request {
        Self::request(definition, &self.input).dedupe_key(THE_RUN)
    }

    /// A run has ended as it may, with the steps that it may commit; `plain` is what an unharmed
    /// one committed.
    #[track_caller]
    pub(crate) fn assert_allowed(
        &self,
        end: &End,
        committed: &Committed,
        plain: &Committed,
        when: &str,
    ) {
        assert!(
            self.ends.contains(end),
            "{when}: ends with {end:?}, allowed: {:?}",
            self.ends
        );
        if self.ways.is_empty() {
            assert_eq!(committed, plain, "{when}: not the steps of a plain run");
        } else {
            let steps = committed.steps();
            assert!(
                self.ways.contains(&steps),
                "{when}: commits {steps:?}, allowed: {:?}",
                self.ways
            );
        }
    }
}
