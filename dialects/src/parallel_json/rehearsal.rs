//! What a file asks of the outputs of its agents, made up, so that it can be run without them.
//!
//! A value is the text `<step>.<key>`; where the file needs more than a text it gets that: an object
//! with the members that are named, a list of two where a loop goes through it or an index is asked
//! for, the other side's number where sizes are compared. What depends on the input of a run, such as
//! `${a.output.rates[workflow.input.kind]}`, cannot be known here and is left out.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Number, Value as Json};

use crate::limits::{MADE_UP_ITEMS_MAX, MADE_UP_LOOKUPS_MAX, MADE_UP_VALUES_MAX, NESTING_MAX};
use crate::options::{ImportOptions, IterationShape};
use crate::parallel_json::document::Document;
use crate::parallel_json::expression::{Comparison, Expression};
use crate::parallel_json::mapping::Mapping;
use crate::parallel_json::reference::{LoopValue, Of, Part, Reference, Segment};
use crate::parallel_json::seat::Seats;
use crate::parallel_json::step::{Kind, Link};

/// Items of a made-up list: fewer, and no loop would show that it goes on.
const ITEMS: usize = 2;

/// Lists inside each other that have so many; further in there is one each, for a rehearsal goes
/// through all of them.
const LISTS_DEEP: usize = 4;

/// An output for each step that the file reads, with all that it reads of it.
pub(crate) fn rehearsal(
    document: &Document<'_>,
    seats: &Seats,
    options: &ImportOptions,
) -> BTreeMap<String, Json> {
    let index = document.steps.iter().enumerate();
    // What a copy reads, its step does.
    let index = index.filter(|(_, step)| step.copy.is_none());
    let mut asked = Asked {
        document,
        seats,
        bare_outputs: options.parallel_json.iteration_shape == IterationShape::Output,
        index: index.map(|(n, step)| (step.id, n)).collect(),
        of: BTreeMap::new(),
        lookups: MADE_UP_LOOKUPS_MAX,
        longer: Vec::new(),
        lengthened: HashSet::new(),
    };
    let steps = seats.order.iter();
    for step in steps.filter(|step| document.steps[**step].copy.is_none()) {
        asked.read(*step);
        asked.lengthen();
    }
    let mut budget = MADE_UP_VALUES_MAX;
    let outputs = asked.of.iter().filter_map(|(step, wish)| {
        let id = document.steps[*step].id;
        // Nothing of it is read, so whatever it gives will do.
        let is_read = !wish.is_leaf() || !matches!(wish.leaf, Leaf::Any);
        is_read.then(|| (id.to_owned(), Wish::made_up(&[wish], id, 0, &mut budget)))
    });
    outputs.collect()
}

/// What a value is to be, if nothing inside it is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
enum Leaf {
    #[default]
    Any,
    Text,
    Number(Number),
    List,
}

/// What is asked of one value.
#[derive(Debug, Default)]
struct Wish {
    leaf: Leaf,
    members: BTreeMap<String, Self>,
    items: BTreeMap<usize, Self>,
    /// Of every item of a list.
    each: Option<Box<Self>>,
}

/// A part of a path.
#[derive(Clone, Debug)]
enum Turn {
    Name(String),
    Index(usize),
    Each,
}

impl Wish {
    fn is_leaf(&self) -> bool {
        self.members.is_empty() && self.items.is_empty() && self.each.is_none()
    }

    fn add(&mut self, path: &[Turn], leaf: Leaf) {
        let inner = match path.first() {
            None => {
                if self.leaf == Leaf::Any || leaf == Leaf::List {
                    self.leaf = leaf;
                }
                return;
            }
            Some(Turn::Name(name)) => self.members.entry(name.clone()).or_default(),
            Some(Turn::Index(index)) => self.items.entry(*index).or_default(),
            Some(Turn::Each) => &mut **self.each.get_or_insert_default(),
        };
        inner.add(&path[1..], leaf);
    }

    /// Recursive, at most as deep as a path is long.
    fn made_up<'w>(wishes: &[&'w Self], name: &str, lists: usize, budget: &mut usize) -> Json {
        let Some(left) = budget.checked_sub(1) else {
            return Json::Null;
        };
        *budget = left;
        if wishes.iter().any(|wish| wish.wants_list()) {
            let usual = if lists < LISTS_DEEP { ITEMS } else { 1 };
            let last = wishes
                .iter()
                .filter_map(|wish| wish.items.keys().next_back());
            let length = last.max().map_or(0, |last| last + 1).max(usual);
            let items = (0..length).map(|index| {
                let of = |wish: &&'w Self| {
                    wish.items
                        .get(&index)
                        .into_iter()
                        .chain(wish.each.as_deref())
                };
                let wishes: Vec<_> = wishes.iter().flat_map(of).collect();
                Self::made_up(&wishes, name, lists + 1, budget)
            });
            return Json::Array(items.collect());
        }
        let mut members: BTreeMap<&str, Vec<&Self>> = BTreeMap::new();
        for (key, wish) in wishes.iter().flat_map(|wish| &wish.members) {
            members.entry(key).or_default().push(wish);
        }
        if !members.is_empty() {
            let mut object = Map::new();
            for (key, wishes) in members {
                let value = Self::made_up(&wishes, &format!("{name}.{key}"), lists, budget);
                object.insert(key.to_owned(), value);
            }
            return Json::Object(object);
        }
        let number = wishes.iter().find_map(|wish| match &wish.leaf {
            Leaf::Number(number) => Some(number.clone()),
            Leaf::Any | Leaf::Text | Leaf::List => None,
        });
        number.map_or_else(|| Json::String(name.to_owned()), Json::Number)
    }

    fn wants_list(&self) -> bool {
        self.leaf == Leaf::List || !self.items.is_empty() || self.each.is_some()
    }
}

/// What has been found in the document so far.
struct Asked<'d, 'a> {
    document: &'d Document<'a>,
    seats: &'d Seats,
    bare_outputs: bool,
    index: HashMap<&'a str, usize>,
    of: BTreeMap<usize, Wish>,
    /// References that may still be followed: those in brackets of loops' items multiply.
    lookups: usize,
    /// Loops that are asked for an iteration, and for which.
    longer: Vec<(usize, usize)>,
    lengthened: HashSet<(usize, usize)>,
}

/// A path that begins at the output of a step.
struct Place {
    step: usize,
    path: Vec<Turn>,
}

impl Asked<'_, '_> {
    fn read(&mut self, step: usize) {
        match &self.document.steps[step].kind {
            Kind::Agent { input_mapping, .. } => {
                self.mapping(step, &Mapping::of(input_mapping), &Leaf::Any);
            }
            Kind::Loop(looped) => {
                if let Some(collection) = &looped.collection {
                    self.mapping(step, collection, &Leaf::List);
                }
            }
            Kind::Conditional {
                expression: Some(expression),
                ..
            } => self.expression(step, expression, &Leaf::Any),
            Kind::Conditional { .. }
            | Kind::Parallel { .. }
            | Kind::ForkJoin(_)
            | Kind::Unknown => {}
        }
    }

    fn mapping(&mut self, reader: usize, mapping: &Mapping, leaf: &Leaf) {
        match mapping {
            Mapping::Fixed(_) => {}
            Mapping::Reference(reference) => self.ask(reader, reference, leaf),
            Mapping::Text(parts) => {
                for part in parts {
                    if let Part::Reference(reference) = part {
                        self.ask(reader, reference, &Leaf::Text);
                    }
                }
            }
            Mapping::List(items) => {
                for item in items {
                    self.mapping(reader, item, &Leaf::Any);
                }
            }
            Mapping::Object(entries) => {
                for (_, value) in entries {
                    self.mapping(reader, value, &Leaf::Any);
                }
            }
        }
    }

    fn expression(&mut self, reader: usize, expression: &Expression, leaf: &Leaf) {
        match expression {
            Expression::Or(parts) | Expression::And(parts) | Expression::List(parts) => {
                for part in parts {
                    self.expression(reader, part, &Leaf::Any);
                }
            }
            Expression::Not(part) | Expression::Length(part) => {
                self.expression(reader, part, &Leaf::Text);
            }
            Expression::Compared(left, comparison, right) => {
                self.expression(reader, left, &beside(right, *comparison, false));
                self.expression(reader, right, &beside(left, *comparison, true));
            }
            Expression::Reference(reference) => self.ask(reader, reference, leaf),
            Expression::Fixed(_) => {}
        }
    }

    fn ask(&mut self, reader: usize, reference: &Reference, leaf: &Leaf) {
        for segment in &reference.path {
            if let Segment::Value(inner) = segment {
                self.ask(reader, inner, &Leaf::Text);
            }
        }
        for place in self.places(reader, reference) {
            let wish = self.of.entry(place.step).or_default();
            wish.add(&place.path, leaf.clone());
        }
    }

    /// The agents' outputs that a reference leads to, and where in them.
    fn places(&mut self, reader: usize, reference: &Reference) -> Vec<Place> {
        self.origin(reader, reference)
            .map_or_else(Vec::new, |(step, path)| self.lead(step, &path))
    }

    /// The step whose output a reference leads into, and where in that.
    fn origin(&mut self, reader: usize, reference: &Reference) -> Option<(usize, Vec<Turn>)> {
        let document = self.document;
        self.lookups = self.lookups.checked_sub(1)?;
        let (mut reader, mut of, mut segments) = (reader, &reference.of, &reference.path);
        let mut path: Vec<Turn> = Vec::new();
        // From a loop's item to the list that it comes from, which may be an item itself.
        loop {
            // No value nests so deep.
            if segments.len() + path.len() > NESTING_MAX {
                return None;
            }
            let mut turns = self.turns(reader, segments)?;
            turns.append(&mut path);
            path = turns;
            match of {
                Of::Output(id) => return Some((*self.index.get(id.as_str())?, path)),
                Of::Loop {
                    out,
                    value: LoopValue::Item,
                } => {
                    let block = self.loop_around(reader, *out)?;
                    let collection = collection_of(document, block)?;
                    path.insert(0, Turn::Each);
                    (reader, of, segments) = (block, &collection.of, &collection.path);
                }
                Of::Input | Of::Error(_) | Of::Loop { .. } => return None,
            }
        }
    }

    /// The turns of a path, unless one of them depends on what only a run knows.
    fn turns(&mut self, reader: usize, path: &[Segment]) -> Option<Vec<Turn>> {
        let turns = path.iter().map(|segment| match segment {
            Segment::Name(name) => Some(Turn::Name(name.clone())),
            Segment::Index(number) => {
                let index = usize::try_from(*number).ok()?;
                (index < MADE_UP_ITEMS_MAX).then_some(Turn::Index(index))
            }
            Segment::Value(inner) => match &inner.of {
                Of::Loop {
                    value: LoopValue::Index,
                    ..
                } => Some(Turn::Each),
                _ => self.name_at(reader, inner).map(Turn::Name),
            },
        });
        turns.collect()
    }

    /// The text that is made up where a reference leads.
    fn name_at(&mut self, reader: usize, reference: &Reference) -> Option<String> {
        let place = self.places(reader, reference).into_iter().next()?;
        let mut name = self.document.steps[place.step].id.to_owned();
        for turn in place.path {
            if let Turn::Name(key) = turn {
                name.push('.');
                name.push_str(&key);
            }
        }
        Some(name)
    }

    /// From the output of a step to those of the agents that it is made of.
    fn lead(&mut self, step: usize, path: &[Turn]) -> Vec<Place> {
        let mut places = Vec::new();
        let mut open = vec![(step, 0)];
        let mut seen = HashSet::new();
        while let Some((step, at)) = open.pop() {
            // Branches of conditionals may lead to the same steps again and again.
            if !seen.insert((step, at)) {
                continue;
            }
            let rest = &path[at..];
            let name = match rest.first() {
                Some(Turn::Name(name)) => Some(name.as_str()),
                Some(Turn::Index(_) | Turn::Each) | None => None,
            };
            let of = |link: Option<&Link<'_>>| link.and_then(|link| link.target);
            match &self.document.steps[step].kind {
                Kind::Agent { .. } => places.push(Place {
                    step,
                    path: rest.to_vec(),
                }),
                Kind::Parallel { children, .. } => {
                    let child = children.iter().find(|child| Some(child.id) == name);
                    open.extend(of(child).map(|child| (child, at + 1)));
                }
                Kind::ForkJoin(fork) => {
                    let branch = fork.branches.iter().find(|b| Some(b.name) == name);
                    let last = branch.and_then(|branch| branch.steps.last());
                    open.extend(of(last).map(|last| (last, at + 1)));
                }
                Kind::Loop(looped) => {
                    if name != Some("iterations") {
                        continue;
                    }
                    if let Some(Turn::Index(index)) = rest.get(1) {
                        self.longer.push((step, *index));
                    }
                    let skipped = match rest.get(2) {
                        _ if self.bare_outputs => 2,
                        Some(Turn::Name(name)) if name == "output_data" || name == "output" => 3,
                        _ => continue,
                    };
                    if rest.len() >= skipped {
                        let last = of(looped.body.last());
                        open.extend(last.map(|last| (last, at + skipped)));
                    }
                }
                Kind::Conditional {
                    then, otherwise, ..
                } => {
                    if name == Some("branch_output") {
                        let links = [then, otherwise].into_iter().flatten();
                        let starts = links
                            .filter_map(|link| self.seats.branch_start(self.document, step, link))
                            .map(|start| self.document.original(start));
                        open.extend(starts.map(|start| (start, at + 1)));
                    }
                }
                Kind::Unknown => {}
            }
        }
        places
    }

    /// Gives loops so many items that they have the iterations that were asked for.
    fn lengthen(&mut self) {
        let document = self.document;
        while let Some((block, index)) = self.longer.pop() {
            let is_new = self.lengthened.insert((block, index));
            let Some(collection) = collection_of(document, block).filter(|_| is_new) else {
                continue;
            };
            for mut place in self.places(block, collection) {
                place.path.push(Turn::Index(index));
                let wish = self.of.entry(place.step).or_default();
                wish.add(&place.path, Leaf::Any);
            }
        }
    }

    /// The loop so many levels out around a step.
    fn loop_around(&self, step: usize, out: usize) -> Option<usize> {
        let mut scope = self.seats.of[step].as_ref()?.scope;
        let mut out = out;
        loop {
            let block = self.seats.scopes[scope].block?;
            if matches!(self.document.steps[block].kind, Kind::Loop(_)) {
                if out == 0 {
                    return Some(block);
                }
                out -= 1;
            }
            scope = self.seats.outer(scope)?;
        }
    }
}

/// The reference that a loop takes its list from, if it is one.
fn collection_of<'d>(document: &'d Document<'_>, block: usize) -> Option<&'d Reference> {
    match &document.steps[block].kind {
        Kind::Loop(looped) => match &looped.collection {
            Some(Mapping::Reference(collection)) => Some(collection),
            _ => None,
        },
        _ => None,
    }
}

/// What a value is to be that is compared with `other`, which stands to the left of it or not.
fn beside(other: &Expression, comparison: Comparison, is_right: bool) -> Leaf {
    let number = match other {
        Expression::Fixed(Json::Number(number)) => Some(number.clone()),
        Expression::Length(_) => Some(Number::from(1)),
        Expression::Reference(reference) => match reference.of {
            Of::Loop {
                value: LoopValue::Index | LoopValue::Total,
                ..
            } => Some(Number::from(1)),
            _ => None,
        },
        _ => None,
    };
    let holds_other = match comparison {
        Comparison::In | Comparison::NotIn => is_right,
        Comparison::Contains => !is_right,
        Comparison::Less
        | Comparison::LessOrEqual
        | Comparison::Greater
        | Comparison::GreaterOrEqual => return number.map_or(Leaf::Any, Leaf::Number),
        Comparison::Equal | Comparison::NotEqual => return Leaf::Any,
    };
    match other {
        Expression::Fixed(Json::String(_)) | Expression::Reference(_) => Leaf::Text,
        _ if holds_other => Leaf::List,
        _ => Leaf::Any,
    }
}
