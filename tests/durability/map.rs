//! A map holds as many rows and as much memory as instances live at once, however many there are.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use windlass::{Clock as _, CommitPoint, Durability, Engine, RunOutcome, SystemClock, Workflow};

use super::child::{DATABASE, ROLE};

/// Set to count a million items against ten thousand, which takes minutes.
const LONG: &str = "WINDLASS_TEST_LONG";
/// How many items the child maps.
const ITEMS: &str = "WINDLASS_TEST_ITEMS";

/// Instances that live at once.
const PARALLELISM: u32 = 100;
/// Live rows beside those of the instances: the branch that waits, its join, what all items are made
/// from.
const ROWS_BESIDE: u64 = 3;
/// Bytes of an item: were they kept, 18,000 more items would take 72 MB.
const ITEM_BYTES: usize = 4 << 10;
/// Of the file, in memory: so little that few items fill it, too.
const PAGE_CACHE_BYTES: usize = 4 << 20;
/// By how much memory may grow when there are more items, in KiB: their results and history are
/// on disk.
const GROWTH_KIB_MAX: u64 = 16 << 10;

/// How much a map has taken.
#[derive(Debug)]
struct Taken {
    memory_kib: u64,
    live_rows: u64,
}

#[test]
fn a_map_takes_no_more_rows_and_memory_for_more_items() {
    let (few, many) = if std::env::var_os(LONG).is_some() {
        (10_000, 1_000_000)
    } else {
        (2_000, 20_000)
    };
    let (of_few, of_many) = (map(few), map(many));
    for taken in [&of_few, &of_many] {
        assert!(
            taken.live_rows <= u64::from(PARALLELISM) + ROWS_BESIDE,
            "{taken:?}"
        );
    }
    let growth = of_many.memory_kib.saturating_sub(of_few.memory_kib);
    assert!(growth < GROWTH_KIB_MAX, "{of_few:?}, {of_many:?}");
}

/// Maps so many items in a process of its own, whose peak of memory is theirs alone.
fn map(items: u32) -> Taken {
    let folder = tempfile::tempdir().unwrap();
    let clock = SystemClock::new();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child::act", "--nocapture", "--test-threads=1"])
        .env(ROLE, "map")
        .env(DATABASE, folder.path().join("w.db"))
        .env(ITEMS, items.to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{said}");
    let figure = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().parse().unwrap()
    };
    let taken = Taken {
        memory_kib: figure("memory_kib"),
        live_rows: figure("live_rows"),
    };
    println!("{items} items: {taken:?}, {:.1?}", clock.elapsed());
    taken
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Item {
    number: u64,
    text: String,
}

fn workflow(items: u32) -> Workflow<Item> {
    let workflow = Workflow::<Item>::build("many", "1", |flow| {
        flow.map("many", |map| {
            map.count(items)
                .max_parallelism(PARALLELISM)
                .item(|_, index| Item {
                    number: u64::from(index),
                    text: "x".repeat(ITEM_BYTES),
                })
                .each(|flow| {
                    flow.step("shorten", |_, item| {
                        item.text.clear();
                        Ok(())
                    })
                })
                .reduce(|sum, end| {
                    sum.number += end.ended.succeeded().map_or(0, |item| item.number);
                    Ok(())
                })
        })
    });
    workflow.unwrap()
}

/// The child's part: maps, and says what it took.
pub(crate) fn play(database: &Path) {
    let items: u32 = std::env::var(ITEMS).unwrap().parse().unwrap();
    let workflow = workflow(items);
    let most = Arc::new(AtomicU64::new(0));
    let (seen, path) = (Arc::clone(&most), database.to_owned());
    let reader = Mutex::new(None);
    let engine = Engine::builder()
        .database(database)
        .durability(Durability::Normal)
        .page_cache(PAGE_CACHE_BYTES)
        .runners(2)
        .workflow(&workflow)
        .commit_hook(Arc::new(move |point| {
            if let CommitPoint::After(_) = point {
                let mut reader = reader.lock().unwrap();
                let reader = reader.get_or_insert_with(|| open(&path));
                seen.fetch_max(live_rows(reader), Ordering::SeqCst);
            }
        }))
        .open()
        .unwrap();
    let request = workflow.request(&Item::default()).unwrap();
    let run = engine.scheduler().schedule_blocking(request).unwrap();
    let RunOutcome::Succeeded(data) = run.wait_blocking(Some(Duration::from_hours(1))).unwrap()
    else {
        panic!("it cannot fail")
    };
    let sum: Item = data.decode().unwrap();
    let items = u64::from(items);
    assert_eq!(sum.number, items * (items - 1) / 2, "each item once");
    println!("\nmemory_kib {}", memory_peak_kib());
    println!("live_rows {}", most.load(Ordering::SeqCst));
}

fn open(database: &Path) -> Connection {
    Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

fn live_rows(reader: &Connection) -> u64 {
    let sql = "SELECT (SELECT count(*) FROM branches) + (SELECT count(*) FROM joins) \
               + (SELECT count(*) FROM items)";
    let rows: i64 = reader.query_row(sql, [], |row| row.get(0)).unwrap();
    rows.cast_unsigned()
}

/// The most memory that this process has had, as the kernel says.
fn memory_peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}
