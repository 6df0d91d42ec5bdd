//! The power fails while the engine works: in FULL everything acknowledged is there, in NORMAL what is
//! there is a prefix of the commits.
//!
//! `WINDLASS_TEST_LONG=1` goes on until 100,000 images were opened; without it 1,000 are enough.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use windlass::{Clock as _, Durability, SystemClock};
use windlass_faults::{Call, Disk, Fault, Image, Recording, Sampling, Times};

use crate::check::{assert_finished, assert_sound, folder, look, tables};
use crate::play::{Acknowledged, Play};
use crate::workload::Workload;

/// One image of so many is not only opened, but its runs are seen to their end.
const FINISHED_ONE_IN: usize = 40;

/// A script that was played on a disk that works, or fails a sync; and what was acknowledged.
struct Played {
    workload: Workload,
    recording: Recording,
    sync_failed: bool,
    by_mark: Vec<Acknowledged>,
    clock: std::sync::Arc<windlass::ManualClock>,
}

/// What the script does when the disk has failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AfterFault {
    /// It goes on: the engine must know by itself what it can still do.
    GoesOn,
    /// It ends. What is read back after a failed sync is not what the disk has: whoever opens the store
    /// again before the machine was restarted builds on that, and no test of ours can make it last.
    Ends,
}

fn play(workload: Workload, failing_sync: Option<u64>, after: AfterFault) -> Played {
    let folder = folder();
    let database = folder.path().join("w.db");
    let disk = Disk::watch(&database);
    disk.record();
    if let Some(nth) = failing_sync {
        disk.fail(Call::Sync, nth, Fault::FailedSync, Times::Once);
    }
    let mut play = Play::new(&workload, &database, &disk);
    play.ends_when_struck = after == AfterFault::Ends;
    play.script();
    let sync_failed = disk.struck() > 0;
    if !sync_failed {
        play.shut_down();
    }
    let (by_mark, clock) = (play.by_mark.clone(), play.clock.clone());
    drop(play);
    Played {
        recording: disk.recorded(),
        sync_failed,
        workload,
        by_mark,
        clock,
    }
}

/// What the commits of a script made of the database, one after the other.
#[derive(Default)]
struct States {
    /// In order of time, by [`digest`].
    all: Vec<u64>,
    /// The newest state that was acknowledged at each mark in FULL: one that nothing unsynced is part
    /// of.
    at_mark: Vec<usize>,
    synced: usize,
}

impl States {
    /// Nothing is lost: what is there is the newest state.
    fn note(&mut self, state: u64, image: &Image) {
        if self.all.last() != Some(&state) {
            self.all.push(state);
        }
        if image.unsynced == 0 {
            self.synced = self.all.len() - 1;
        }
        let marked = usize::try_from(image.marked).unwrap();
        while self.at_mark.len() <= marked {
            self.at_mark.push(self.synced);
        }
    }
}

/// All rows of all tables, in a number.
fn digest(db: &Connection) -> u64 {
    let mut hasher = DefaultHasher::new();
    for table in tables(db) {
        table.hash(&mut hasher);
        let mut rows = db.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = rows.column_count();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for column in 0..columns {
                match row.get_ref(column).unwrap() {
                    ValueRef::Null => 0_u8.hash(&mut hasher),
                    ValueRef::Integer(number) => number.hash(&mut hasher),
                    ValueRef::Real(number) => number.to_bits().hash(&mut hasher),
                    ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.hash(&mut hasher),
                }
            }
        }
    }
    hasher.finish()
}

/// How many images were opened of how many, and how many were seen to their end.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    images: usize,
    finished: usize,
    lost: usize,
}

/// After a power loss nobody holds the lock of an owner's file, but its file is there: it was made
/// before the owner was registered, and its making is in the filesystem's log before the sync of
/// that.
fn make_owner_files(database: &Path, db: &Connection) {
    let known = tables(db);
    if !["identity", "owners"]
        .iter()
        .all(|table| known.iter().any(|name| name == table))
    {
        return;
    }
    let nonce: String = db
        .query_row("SELECT nonce FROM identity", [], |row| row.get(0))
        .unwrap();
    let mut owners = PathBuf::from(database);
    owners.set_extension("db.owners");
    let _ = fs::remove_dir_all(&owners);
    let owners = owners.join(nonce);
    fs::create_dir_all(&owners).unwrap();
    let mut files = db.prepare("SELECT file FROM owners").unwrap();
    let files = files.query_map([], |row| row.get::<_, String>(0)).unwrap();
    for file in files {
        fs::write(owners.join(file.unwrap()), []).unwrap();
    }
}

/// Opens the images of a script, about so many and of each moment the same number: raw, as they are,
/// and with an engine. Those in which nothing is lost tell what the commits were.
fn check(played: &Played, sampling: Sampling, about: usize) -> Count {
    let mut of_moment: BTreeMap<usize, usize> = BTreeMap::new();
    played.recording.images(sampling, |image| {
        *of_moment.entry(image.moment).or_default() += usize::from(!image.whole);
    });
    let each = about.div_ceil(of_moment.len());
    let places = folder();
    let places = places.path();
    let full = played.workload.durability == Durability::Full;
    let database = places.join("w.db");
    let disk = Disk::watch(&database);
    let mut count = Count::default();
    let mut states = States::default();
    let mut random = fastrand::Rng::with_seed(sampling.seed);
    played.recording.images(sampling, |image| {
        let chosen = random.usize(0..of_moment[&image.moment].max(each)) < each;
        if !image.whole && !chosen {
            return;
        }
        count.images += usize::from(chosen);
        image.write_to(&database).unwrap();
        let db = look(&database);
        assert_sound(&db);
        let state = digest(&db);
        if image.whole {
            states.note(state, image);
        }
        let found = states.all.iter().rposition(|known| *known == state);
        let Some(found) = found else {
            panic!("no prefix of the commits is there: {}", image.story);
        };
        count.lost += usize::from(found + 1 < states.all.len());
        let marked = usize::try_from(image.marked).unwrap();
        let acknowledged = match states.at_mark.get(marked) {
            Some(at_mark) if full => {
                assert!(found >= *at_mark, "acknowledged and lost: {}", image.story);
                played.by_mark[marked].clone()
            }
            _ => Acknowledged::default(),
        };
        if !chosen {
            return;
        }
        make_owner_files(&database, &db);
        drop(db);
        let finishes = random.usize(0..FINISHED_ONE_IN) == 0;
        open(played, image, &database, &disk, acknowledged, finishes);
        count.finished += usize::from(finishes);
    });
    count
}

/// The image is one that an engine can go on with, and all that it has acknowledged is in it.
fn open(
    played: &Played,
    image: &Image,
    database: &Path,
    disk: &Disk,
    acknowledged: Acknowledged,
    finishes: bool,
) {
    let workload = &played.workload;
    let mut play = Play::new(workload, database, disk);
    play.clock = played.clock.clone();
    if finishes {
        play.acknowledged = acknowledged;
        play.finish();
        assert_finished(database, workload, &play.acknowledged);
        return;
    }
    let opened = workload.builder(database).clock(play.clock.clone());
    let engine = match opened.open_stepped() {
        Ok(engine) => engine,
        Err(error) => panic!("it does not open: {error:?}: {}", image.story),
    };
    let mut inspector = engine.inspector().unwrap();
    for (key, told) in &acknowledged.runs {
        if let Some(run) = acknowledged.run(*key) {
            let shown = inspector.show(run).unwrap();
            assert!(
                shown.is_some(),
                "{key:?} ({told:?}) is lost: {}",
                image.story
            );
        }
    }
    for (key, outcome) in &acknowledged.ends {
        let run = acknowledged.run(*key).unwrap();
        let found = inspector.outcome(run).unwrap();
        assert_eq!(
            found.as_ref(),
            Some(outcome),
            "the end of {key:?}: {}",
            image.story
        );
    }
}

/// How the images of one kind of power loss are chosen, and what they showed.
struct Search {
    durability: Durability,
    /// A sync fails before the power does.
    sync_fails: bool,
}

impl Search {
    /// Goes on with one script after the other until so many images were opened.
    fn go(&self, wanted: usize, of_each: usize) -> Count {
        let clock = SystemClock::new();
        let mut all = Count::default();
        for seed in 1.. {
            let failing = self.sync_fails.then(|| 1 + seed * 7 % 40);
            let workload = Workload::of(seed, self.durability);
            let played = play(workload, failing, AfterFault::Ends);
            let sampling = Sampling {
                seed,
                all_up_to: 12,
                images_per_write: 12,
                torn_per_write: 4,
            };
            let count = check(&played, sampling, of_each);
            all.images += count.images;
            all.finished += count.finished;
            all.lost += count.lost;
            println!(
                "{:?}{}, seed {seed}: {count:?} of {} events; so far {all:?}, {:?}",
                self.durability,
                if self.sync_fails {
                    " and a failed sync"
                } else {
                    ""
                },
                played.recording.len(),
                clock.elapsed(),
            );
            if all.images >= wanted {
                break;
            }
        }
        all
    }
}

/// Images in all, and at most about so many of one script.
fn wanted(short: usize, long: usize) -> (usize, usize) {
    match std::env::var_os("WINDLASS_TEST_LONG") {
        Some(_) => (long, long / 8),
        None => (short, short / 2),
    }
}

#[test]
fn in_full_a_power_loss_costs_nothing_that_was_acknowledged() {
    let (images, of_each) = wanted(600, 50_000);
    let search = Search {
        durability: Durability::Full,
        sync_fails: false,
    };
    let count = search.go(images, of_each);
    assert!(
        count.lost > 0,
        "something unacknowledged was lost: else no power was"
    );
}

#[test]
fn in_normal_a_power_loss_leaves_a_prefix_of_the_commits() {
    let (images, of_each) = wanted(800, 35_000);
    let search = Search {
        durability: Durability::Normal,
        sync_fails: false,
    };
    let count = search.go(images, of_each);
    assert!(
        count.lost * 10 > count.images,
        "{count:?}: most is not synced"
    );
}

#[test]
fn in_full_a_failed_sync_before_a_power_loss_costs_nothing_that_was_acknowledged() {
    let (images, of_each) = wanted(300, 20_000);
    let search = Search {
        durability: Durability::Full,
        sync_fails: true,
    };
    search.go(images, of_each);
}

/// So many that the engine empties its log twice in between.
const LASTING_RUNS: usize = 270;

/// Where commits are not synced, the log is, before it is emptied into the database. A later sync of it
/// proves nothing for what was written before a failed one, and pages of the database would be
/// overwritten whose log may not be there.
#[test]
fn in_normal_nothing_is_written_after_a_failed_sync() {
    // Before that the database is made, with a journal.
    let mut nth = 4;
    loop {
        let workload = Workload::lasting(LASTING_RUNS, Durability::Normal);
        let played = play(workload, Some(nth), AfterFault::GoesOn);
        if !played.sync_failed {
            break;
        }
        let written = played.recording.written_after_failed_sync();
        assert_eq!(written, 0, "after sync {nth} failed: {}", played.recording);
        nth += 1;
    }
    assert!(nth > 10, "only {nth} syncs: its log was not emptied");
}
