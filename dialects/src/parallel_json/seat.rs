//! Where each step stands: in which block, and what comes after it.
//!
//! A scope is the main chain or one branch of a block. Inside it steps follow each other; a branch
//! of a conditional is no scope of its own, it only ends elsewhere.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::diagnostic::{self, Report, quoted};
use crate::limits::BLOCKS_DEEP_MAX;
use crate::options::Mode;
use crate::parallel_json::document::Document;
use crate::parallel_json::ring;
use crate::parallel_json::step::{Kind, Link};

mod copies;

/// How the steps of a document stand to each other.
#[derive(Debug)]
pub(crate) struct Seats {
    /// By step; `None` for a step that nothing leads to.
    pub(crate) of: Vec<Option<Seat>>,
    /// The steps that have a seat, in the order in which they were reached.
    pub(crate) order: Vec<usize>,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) ways: Vec<Way>,
    /// By step: whether something leads to it. If it has no seat all the same, an error says why.
    pub(crate) is_led_to: Vec<bool>,
}

#[derive(Clone, Debug)]
pub(crate) struct Seat {
    pub(crate) scope: usize,
    /// The way that it is on, which says where its chain goes when it ends.
    pub(crate) way: usize,
    /// Whether a block lists it; then its own `next_step` does not count.
    pub(crate) direct: bool,
    /// The block or conditional around it, and its branch of that.
    pub(crate) parent: Option<(usize, Arc<str>)>,
    depth: usize,
}

/// The main chain, or one branch of a block.
#[derive(Debug)]
pub(crate) struct Scope {
    /// The block, unless it is the main chain.
    pub(crate) block: Option<usize>,
    /// Which of its branches.
    pub(crate) branch: usize,
}

/// What a chain ends at. Steps that are on one way go on at the same step when their chain ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// The `next_step` of each conditional around it, where its branches end; of copies the original.
    markers: Vec<usize>,
    pub(crate) end: End,
    /// The conditional around it whose `on_failure` takes its failures.
    pub(crate) handler: Option<usize>,
    /// The conditional whose branches are on it, and the way around that.
    around: Option<(usize, usize)>,
}

impl Way {
    /// Whether a chain on it ends where it leads to a step.
    fn ends_at(&self, document: &Document<'_>, step: usize) -> bool {
        self.markers.contains(&document.original(step))
    }
}

/// Where a chain goes when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The run ends.
    Run,
    /// To the join of the block.
    Join(usize),
    Step(usize),
}

/// For each step: the first block that lists it.
fn listed(document: &Document<'_>) -> Vec<Option<usize>> {
    let mut listed_by = vec![None; document.steps.len()];
    for (block, step) in document.steps.iter().enumerate() {
        let links = step.lists().into_iter().flatten();
        for target in links.filter_map(|link| link.target) {
            listed_by[target].get_or_insert(block);
        }
    }
    listed_by
}

/// Seats all steps, copies those that several ways share, and reports those that stand where they
/// cannot.
pub(crate) fn seat(document: &mut Document<'_>, report: &mut Report) -> Seats {
    let walk = walk(document);
    for (step, levels) in &walk.too_deep {
        let what = format!(
            "{levels} levels, limit {BLOCKS_DEEP_MAX}; nobody could follow the flow; split it"
        );
        report.error("nesting-too-deep", &document.steps[*step].spot, what);
    }
    let in_ring = ring::report(document, &walk.seats, &walk.direct, report);
    check_lists(document, report);
    let is_sound = !walk.report(&in_ring, report) && !in_ring.contains(&true);
    let is_shared = walk.shared().next().is_some();
    let mut seats = walk.seats;
    seats.is_led_to = led_to(document, &seats, report);
    report_unreached(document, &seats, report);
    report_children(document, report);
    if is_shared && is_sound {
        let mut is_led_to = seats.is_led_to;
        seats = copies::made(document, report);
        is_led_to.resize(document.steps.len(), true);
        seats.is_led_to = is_led_to;
    }
    seats
}

/// Walks through all chains from the first step on.
fn walk<'d, 'a>(document: &'d Document<'a>) -> Walk<'d, 'a> {
    let listed_by = listed(document);
    let main = Way {
        markers: Vec::new(),
        end: End::Run,
        handler: None,
        around: None,
    };
    let scope = Scope {
        block: None,
        branch: 0,
    };
    let mut walk = Walk {
        document,
        seats: Seats {
            of: vec![None; document.steps.len()],
            order: Vec::new(),
            scopes: vec![scope],
            ways: vec![main],
            is_led_to: vec![true; document.steps.len()],
        },
        open: Vec::new(),
        led_by: vec![None; document.steps.len()],
        direct: listed_by.iter().map(Option::is_some).collect(),
        listed_by,
        deep: HashSet::new(),
        too_deep: Vec::new(),
        wrong: Vec::new(),
    };
    if let Some(start) = document.start.as_ref().and_then(|start| start.target) {
        let seat = Seat {
            scope: 0,
            way: 0,
            direct: false,
            parent: None,
            depth: 0,
        };
        walk.open.push((start, seat, (None, "start_step")));
    }
    while let Some((step, seat, led)) = walk.open.pop() {
        walk.visit(step, &seat, led);
    }
    walk
}

impl Seats {
    /// Where the chain goes behind a step that has a seat.
    pub(crate) fn after(&self, document: &Document<'_>, step: usize) -> End {
        let Some(seat) = &self.of[step] else {
            return End::Run;
        };
        let way = &self.ways[seat.way];
        if seat.direct {
            return way.end;
        }
        let next = document.steps[step].next.as_ref();
        match next.and_then(|next| next.target) {
            Some(next) if !way.ends_at(document, next) => End::Step(next),
            _ => way.end,
        }
    }

    /// The steps to which a chain may go from a step, inside its scope.
    pub(crate) fn successors(&self, document: &Document<'_>, step: usize) -> Vec<usize> {
        let mut successors = Vec::new();
        if let End::Step(next) = self.after(document, step) {
            successors.push(next);
        }
        if let Kind::Conditional {
            then, otherwise, ..
        } = &document.steps[step].kind
        {
            for link in [then, otherwise].into_iter().flatten() {
                successors.extend(self.branch_start(document, step, link));
            }
        }
        successors.extend(self.failure(document, step));
        successors
    }

    /// The first step of a branch of a conditional; `None` if the branch is empty.
    pub(crate) fn branch_start(
        &self,
        document: &Document<'_>,
        conditional: usize,
        link: &Link<'_>,
    ) -> Option<usize> {
        let target = link.target?;
        let seat = self.of[conditional].as_ref()?;
        let next = document.steps[conditional].next.as_ref();
        let next = next.and_then(|next| next.target);
        let is_next = next.is_some_and(|next| document.original(next) == document.original(target));
        let is_end = is_next || self.ways[seat.way].ends_at(document, target);
        (!is_end).then_some(target)
    }

    /// The ways that are followed out of a step: those at which its chain ends are not. `direct`
    /// says whether a block lists it.
    pub(crate) fn ways(
        &self,
        document: &Document<'_>,
        step: usize,
        direct: bool,
    ) -> Vec<ring::Way> {
        let mut ways = ring::ways(document, step, direct);
        let Some(seat) = &self.of[step] else {
            return ways;
        };
        let way = &self.ways[seat.way];
        let next = document.steps[step].next.as_ref();
        let next = next.and_then(|next| next.target);
        ways.retain(|(to, called)| match *called {
            None | Some("on failure") => !way.ends_at(document, *to),
            Some("then" | "else") => !way.ends_at(document, *to) && next != Some(*to),
            Some(_) => true,
        });
        ways
    }

    /// Where a step goes when it fails, if it says so and may.
    pub(crate) fn failure(&self, document: &Document<'_>, step: usize) -> Option<usize> {
        let seat = self.of[step].as_ref()?;
        let link = document.steps[step].on_failure.as_ref()?;
        link.target.filter(|_| !seat.direct)
    }

    /// Where the chain goes on behind the failure of a step that says so: where its way ends if it
    /// names an end of that.
    pub(crate) fn after_failure(&self, document: &Document<'_>, step: usize) -> Option<End> {
        let target = self.failure(document, step)?;
        let way = &self.ways[self.of[step].as_ref()?.way];
        Some(if way.ends_at(document, target) {
            way.end
        } else {
            End::Step(target)
        })
    }

    /// Whether chains on two ways go on at the same step when they end, and fail alike.
    fn go_on_alike(&self, one: usize, other: usize) -> bool {
        let (one, other) = (&self.ways[one], &self.ways[other]);
        let of = |way: &Way| (way.end, way.handler);
        of(one) == of(other) && one.markers == other.markers
    }

    /// The scope around a scope.
    pub(crate) fn outer(&self, scope: usize) -> Option<usize> {
        let block = self.scopes[scope].block?;
        Some(self.of[block].as_ref()?.scope)
    }
}

struct Walk<'d, 'a> {
    document: &'d Document<'a>,
    seats: Seats,
    open: Vec<(usize, Seat, Led)>,
    /// For a step that has a seat: what led to it first.
    led_by: Vec<Option<Led>>,
    /// For a step: a block that lists it.
    listed_by: Vec<Option<usize>>,
    /// By step: whether a block lists it.
    direct: Vec<bool>,
    /// Blocks and conditionals that are too deep for what they contain.
    deep: HashSet<usize>,
    /// Steps that are too deep, and how deep.
    too_deep: Vec<(usize, usize)>,
    /// Told when it is known which steps are in rings.
    wrong: Vec<Wrong>,
}

/// What leads to a step: a field of another one, or of the document.
type Led = (Option<usize>, &'static str);

/// A step that stands where it cannot.
enum Wrong {
    TwoPlaces {
        step: usize,
        led: Led,
    },
    TwoWays {
        step: usize,
        one: usize,
        other: usize,
        led: Led,
    },
}

/// A step that is shared, and the other way that leads to it, with the field that does.
struct Shared {
    step: usize,
    /// The way on which it stands.
    stands: usize,
    way: usize,
    led: Led,
}

impl Walk<'_, '_> {
    fn visit(&mut self, step: usize, seat: &Seat, led: Led) {
        if self.direct[step] && !seat.direct {
            // Its block seats it; the chain that leads here is wrong.
            self.wrong.push(Wrong::TwoPlaces { step, led });
            return;
        }
        if let Some(before) = &self.seats.of[step] {
            let (one, other) = (before.way, seat.way);
            if seat.direct {
                // Two lists: reported where the lists are read.
            } else if before.scope != seat.scope {
                self.wrong.push(Wrong::TwoPlaces { step, led });
            } else if !self.seats.go_on_alike(one, other) {
                self.wrong.push(Wrong::TwoWays {
                    step,
                    one,
                    other,
                    led,
                });
            }
            return;
        }
        if seat.depth > BLOCKS_DEEP_MAX {
            let around = seat.parent.as_ref().map(|(around, _)| *around);
            if !around.is_none_or(|around| self.deep.insert(around)) {
                return;
            }
            self.too_deep.push((step, seat.depth));
            return;
        }
        self.seats.of[step] = Some(seat.clone());
        self.led_by[step] = Some(led);
        self.seats.order.push(step);
        // What is pushed last is visited first, so that steps are reached in the order they run in.
        self.follow(step, seat);
        self.enter_lists(step, seat);
        self.enter_branches(step, seat);
    }

    /// To what follows the step, on the same way.
    fn follow(&mut self, step: usize, seat: &Seat) {
        if seat.direct {
            return;
        }
        let document = self.document;
        let way = &self.seats.ways[seat.way];
        let links = [
            (&document.steps[step].on_failure, "on_failure"),
            (&document.steps[step].next, "next_step"),
        ];
        for (link, field) in links {
            let target = link.as_ref().and_then(|link| link.target);
            if let Some(target) = target.filter(|target| !way.ends_at(document, *target)) {
                self.open.push((target, seat.clone(), (Some(step), field)));
            }
        }
    }

    fn enter_branches(&mut self, step: usize, seat: &Seat) {
        let document = self.document;
        let Kind::Conditional {
            then, otherwise, ..
        } = &document.steps[step].kind
        else {
            return;
        };
        let way = self.way_of_branches(step, seat);
        let branches = [
            ("else", "if_false_step", otherwise),
            ("then", "if_true_step", then),
        ];
        for (name, field, link) in branches {
            let start = link
                .as_ref()
                .and_then(|link| self.seats.branch_start(document, step, link));
            if let Some(start) = start {
                let seat = Seat {
                    way,
                    direct: false,
                    parent: Some((step, Arc::from(name))),
                    depth: seat.depth + 1,
                    ..seat.clone()
                };
                self.open.push((start, seat, (Some(step), field)));
            }
        }
    }

    /// The way of both branches of a conditional, which may be the one that it is on itself.
    fn way_of_branches(&mut self, step: usize, seat: &Seat) -> usize {
        let document = self.document;
        let around = &self.seats.ways[seat.way];
        let mut way = Way {
            end: self.seats.after(document, step),
            ..around.clone()
        };
        let next = document.steps[step].next.as_ref();
        if let Some(next) = next.and_then(|next| next.target)
            && !way.ends_at(document, next)
        {
            way.markers.push(document.original(next));
        }
        if document.steps[step].on_failure.is_some() && !seat.direct {
            way.handler = Some(step);
        }
        if way == *around {
            return seat.way;
        }
        way.around = Some((step, seat.way));
        self.seats.ways.push(way);
        self.seats.ways.len() - 1
    }

    fn enter_lists(&mut self, block: usize, seat: &Seat) {
        let document = self.document;
        let lists = document.steps[block].lists();
        for (branch, list) in lists.into_iter().enumerate().rev() {
            let scope = self.seats.scopes.len();
            self.seats.scopes.push(Scope {
                block: Some(block),
                branch,
            });
            let name: Arc<str> = branch_name(document, block, branch).into();
            let targets: Vec<_> = list.iter().filter_map(|link| link.target).collect();
            let mut end = End::Join(block);
            for target in targets.into_iter().rev() {
                self.seats.ways.push(Way {
                    markers: Vec::new(),
                    end,
                    handler: None,
                    around: None,
                });
                let seat = Seat {
                    scope,
                    way: self.seats.ways.len() - 1,
                    direct: true,
                    parent: Some((block, Arc::clone(&name))),
                    depth: seat.depth + 1,
                };
                self.open.push((target, seat, (Some(block), "list")));
                end = End::Step(target);
            }
        }
    }

    /// Reports what was found on the way, unless it only follows from a ring; whether anything was.
    fn report(&self, in_ring: &[bool], report: &mut Report) -> bool {
        let has_ring = in_ring.contains(&true);
        let mut reaches = Reaches::default();
        let mut is_wrong = false;
        for wrong in &self.wrong {
            match *wrong {
                Wrong::TwoPlaces { step, led } => {
                    is_wrong = true;
                    let closes_ring = in_ring[step] && led.0.is_none_or(|by| in_ring[by]);
                    if !closes_ring {
                        self.in_two_places(step, led, report);
                    }
                }
                // A ring leads to its steps in more ways than one.
                Wrong::TwoWays { .. } if has_ring => {}
                Wrong::TwoWays {
                    step, one, other, ..
                } => is_wrong |= self.report_twice(step, [one, other], &mut reaches, report),
            }
        }
        is_wrong
    }

    /// The steps to which chains lead that go on differently when they end.
    fn shared(&self) -> impl Iterator<Item = Shared> {
        self.wrong.iter().filter_map(|wrong| match *wrong {
            Wrong::TwoPlaces { .. } => None,
            Wrong::TwoWays {
                step,
                one,
                other,
                led,
            } => Some(Shared {
                step,
                stands: one,
                way: other,
                led,
            }),
        })
    }

    fn in_two_places(&self, step: usize, led: Led, report: &mut Report) {
        let document = self.document;
        let told = |(by, field): Led| match by {
            Some(by) => format!("{field} of {}", quoted(document.steps[by].id)),
            None => field.to_owned(),
        };
        let place = match (self.listed_by[step], self.led_by[step]) {
            (Some(block), _) => {
                let id = quoted(document.steps[block].id);
                format!("child of {id} and {}", told(led))
            }
            (None, before) => {
                let before = before.map_or_else(String::new, |before| told(before) + " and ");
                let led = told(led);
                format!("{before}{led}, in branches that may run side by side")
            }
        };
        let what = format!("{place}; it has one output; make a second step");
        report.error("step-in-two-places", &document.steps[step].spot, what);
    }

    /// Reports a shared step that would run twice, behind a branch that reached it already; whether it
    /// would. Else it can be copied.
    fn report_twice(
        &self,
        step: usize,
        ways: [usize; 2],
        reaches: &mut Reaches,
        report: &mut Report,
    ) -> bool {
        let document = self.document;
        for way in ways {
            let mut at = way;
            while let Some((conditional, around)) = self.seats.ways[at].around {
                let is_direct = self.seats.of[conditional]
                    .as_ref()
                    .is_some_and(|seat| seat.direct);
                let next = document.steps[conditional].next.as_ref();
                if !is_direct
                    && let Some(next) = next
                    && let Some(target) = next.target
                    && reaches.leads(document, target, step)
                {
                    let id = quoted(document.steps[step].id);
                    let what = format!(
                        "a branch reaches {id}, which also comes after its next_step {}; it would run twice; set next_step to {id}",
                        quoted(next.id)
                    );
                    let spot = &document.steps[conditional].spot;
                    report.error("branch-joins-past-next-step", spot, what);
                    return true;
                }
                at = around;
            }
        }
        false
    }
}

/// Where chains lead: by the step that one begins at, a bit for each step.
///
/// What was walked once is kept: many ways may be asked of the same few ends.
#[derive(Default)]
struct Reaches(HashMap<usize, Vec<u64>>);

impl Reaches {
    /// Whether a chain leads from one step to another, or to a copy of it.
    fn leads(&mut self, document: &Document<'_>, from: usize, to: usize) -> bool {
        let reached = self.0.entry(from).or_insert_with(|| {
            let mut seen = vec![0; document.steps.len() / 64 + 1];
            let mut open = vec![from];
            while let Some(at) = open.pop() {
                let at = document.original(at);
                if seen[at / 64] & (1 << (at % 64)) == 0 {
                    seen[at / 64] |= 1 << (at % 64);
                    let ways = ring::ways(document, at, false).into_iter();
                    let ways = ways.filter(|(_, way)| *way != Some("contains"));
                    open.extend(ways.map(|(to, _)| to));
                }
            }
            seen
        });
        let to = document.original(to);
        reached[to / 64] & (1 << (to % 64)) != 0
    }
}

/// The name of a branch of a block, as rows show it.
pub(crate) fn branch_name(document: &Document<'_>, block: usize, branch: usize) -> String {
    match &document.steps[block].kind {
        Kind::Parallel { children, .. } => children.get(branch).map(|child| child.id.to_owned()),
        Kind::ForkJoin(fork) => fork
            .branches
            .get(branch)
            .map(|branch| branch.name.to_owned()),
        // Which iteration it is, only a run knows.
        Kind::Loop(_) => Some("iteration".to_owned()),
        Kind::Agent { .. } | Kind::Conditional { .. } | Kind::Unknown => None,
    }
    .unwrap_or_default()
}

/// Reports steps that are listed twice.
fn check_lists(document: &Document<'_>, report: &mut Report) {
    let mut first: Vec<Option<usize>> = vec![None; document.steps.len()];
    for (block, step) in document.steps.iter().enumerate() {
        for link in step.lists().into_iter().flatten() {
            let Some(target) = link.target else { continue };
            let Some(before) = first[target].replace(block) else {
                continue;
            };
            first[target] = Some(before);
            let id = quoted(link.id);
            let what = if before == block {
                format!("{id} is listed twice; it has one output; make a second step")
            } else {
                format!(
                    "{id} is also listed by {}; it has one output; make a second step",
                    quoted(document.steps[before].id)
                )
            };
            report.error("duplicate-child", &link.spot, what);
        }
    }
}

/// By step: whether anything leads to it, also ways that are wrong or could not be read.
fn led_to(document: &Document<'_>, seats: &Seats, report: &Report) -> Vec<bool> {
    let mut led_to = vec![false; document.steps.len()];
    let start = document.start.as_ref().and_then(|start| start.target);
    let mut open: Vec<usize> = start.into_iter().collect();
    // Without an error the file would be run, and then nothing may be passed over.
    if report.has_errors() {
        open.extend(&document.meant);
    }
    while let Some(at) = open.pop() {
        if std::mem::replace(&mut led_to[at], true) {
            continue;
        }
        let seat = seats.of[at].as_ref();
        if report.mode() == Mode::Strict && seat.is_some_and(|seat| seat.direct) {
            // That a child may not have one is an error of its own.
            let failure = document.steps[at].on_failure.as_ref();
            open.extend(failure.and_then(|link| link.target));
        }
        let ways = seats.ways(document, at, seat.is_some_and(|seat| seat.direct));
        open.extend(ways.into_iter().map(|(to, _)| to));
    }
    led_to
}

fn report_unreached(document: &Document<'_>, seats: &Seats, report: &mut Report) {
    let start = document.start.as_ref();
    if start.is_none_or(|start| start.target.is_none()) {
        return;
    }
    for (step, is_led_to) in document.steps.iter().zip(&seats.is_led_to) {
        if !is_led_to {
            let what = "nothing leads to it; it would never run; link or remove it";
            report.repairable("unreachable-step", &step.spot, what);
        }
    }
}

/// Reports what the children of a block say that has no effect there.
fn report_children(document: &Document<'_>, report: &mut Report) {
    for block in &document.steps {
        let mut following = Vec::new();
        for child in block
            .lists()
            .into_iter()
            .flatten()
            .filter_map(|link| link.target)
        {
            let child = &document.steps[child];
            // A conditional's next_step still says where its branches end.
            if child.next.is_some() && !matches!(child.kind, Kind::Conditional { .. }) {
                following.push(child.id);
            }
            if let Some(failure) = &child.on_failure {
                let id = quoted(block.id);
                let what = format!(
                    "the step is a child of {id}; the block settles failures; move it to {id}"
                );
                report.repairable("child-on-failure-ignored", &failure.spot, what);
            }
        }
        if !following.is_empty() {
            let what = format!(
                "next_step of children {} has no effect; the block decides; set null",
                diagnostic::listed(following)
            );
            report.warning("child-next-step-ignored", &block.spot, what);
        }
    }
}
