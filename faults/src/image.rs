//! What the machine can find after a power loss.
//!
//! Owns the rules by which a recording becomes images:
//!
//! - What was written before a file's last sync is there. Of what was written after it, each write
//!   is there or not, whatever its order: a disk and a kernel write back as they like.
//! - A write that was under way can be there in part, in sectors of 512 bytes. Nothing outside of
//!   what was written is touched: SQLite asks the device whether it may count on that, the real file
//!   system answers yes (`SQLITE_IOCAP_POWERSAFE_OVERWRITE`, its default: a drive finishes the sector
//!   that it writes), and so it pads no commit to a whole sector. An image with more damage than that
//!   would show what SQLite does not promise.
//! - Where a file grew and what was written into it is lost, there are zeros.
//! - Files are made and deleted in order, as a filesystem with a log does, and durable with the first
//!   sync of a log or journal, for which SQLite syncs the folder.
//! - After a sync that failed, a later one proves nothing for what was written before: the kernel
//!   has dropped it and marked it clean.
//! - The shared memory of the log is gone.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::recording::{Event, FileId, Name, Recording};

/// What a disk writes whole or not at all.
const SECTOR: u64 = 512;

/// Which images are looked at. All subsets of up to `all_up_to` unsynced writes; of more, a sample.
#[derive(Clone, Copy, Debug)]
pub struct Sampling {
    /// Chooses the sample; the same gives the same images.
    pub seed: u64,
    /// With so many unsynced writes or fewer, every subset of them. At most 16.
    pub all_up_to: usize,
    /// With more, so many images for each write.
    pub images_per_write: usize,
    /// And so many in which a write is torn, whatever their number.
    pub torn_per_write: usize,
}

/// The files of a database as a power loss leaves them.
#[derive(Clone, Debug)]
pub struct Image {
    /// After which event of the recording the power was lost.
    pub moment: usize,
    /// The last mark before the next write: how far the test had come.
    pub marked: u64,
    /// Everything written is there: what a killed process leaves. The first image of each moment.
    pub whole: bool,
    /// How many writes were not synced.
    pub unsynced: usize,
    /// What is lost, in words.
    pub story: String,
    files: BTreeMap<Name, Vec<u8>>,
}

impl Image {
    /// Writes the files, as those of a database at `database`, and removes what else was there.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write_to(&self, database: &Path) -> io::Result<()> {
        for name in Name::ALL {
            let path = with_suffix(database, name.suffix());
            match self.files.get(&name) {
                Some(bytes) => fs::write(path, bytes)?,
                None => remove(&path)?,
            }
        }
        remove(&with_suffix(database, "-shm"))
    }
}

fn with_suffix(database: &Path, suffix: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl Recording {
    /// Shows `visit` the images of a power loss between any two events, in order of time.
    ///
    /// No image is shown twice, unless the test had come further meanwhile: then every one of that
    /// moment is, since more must be there.
    ///
    /// # Panics
    /// If `all_up_to` is above 16.
    pub fn images(&self, sampling: Sampling, mut visit: impl FnMut(&Image)) {
        assert!(sampling.all_up_to <= 16, "there would be too many");
        let mut random = fastrand::Rng::with_seed(sampling.seed);
        let mut found = Found::default();
        let (mut marked, mut marked_before) = (0, 0);
        let mut newest = Newest::Other;
        for (moment, event) in self.0.iter().enumerate() {
            if let Event::Mark(so_far) = event {
                marked = *so_far;
            } else {
                newest = found.apply(event);
            }
            let next = self.0.get(moment + 1);
            if matches!(next, Some(Event::Mark(_))) {
                continue;
            }
            let marked_now = std::mem::replace(&mut marked_before, marked) != marked;
            let scene = Scene {
                moment,
                marked,
                marked_now,
                newest,
                found: &found,
            };
            scene.images(sampling, &mut random, &mut visit);
        }
    }
}

/// What the last event was, for the question which images are new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Newest {
    /// A write: only images that have it, or a part of it, are new.
    Write,
    Other,
}

/// A change to a file that no sync has made durable.
#[derive(Clone, Debug)]
struct Pending {
    file: FileId,
    what: Change,
    last: Lasting,
}

/// Whether a change lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lasting {
    /// Not yet.
    Unsynced,
    /// A sync has failed since: no later one makes it durable.
    Dropped,
    /// It is durable, but an earlier change of the same file was dropped, and may be there below it.
    Synced,
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: u64, bytes: Vec<u8> },
    Truncate { length: u64 },
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>, keep: impl Fn(u64) -> bool) {
        match self {
            Self::Truncate { length } => file.resize(index(*length), 0),
            Self::Write { at, bytes } => {
                let end = index(*at) + bytes.len();
                if file.len() < end {
                    file.resize(end, 0);
                }
                let mut from = 0;
                while from < bytes.len() {
                    let place = at + from as u64;
                    let to_next = index(SECTOR - place % SECTOR);
                    let to = bytes.len().min(from + to_next);
                    if keep(place / SECTOR) {
                        file[index(place)..][..to - from].copy_from_slice(&bytes[from..to]);
                    }
                    from = to;
                }
            }
        }
    }

    /// The sectors that it touches.
    fn sectors(&self) -> std::ops::Range<u64> {
        match self {
            Self::Truncate { .. } => 0..0,
            Self::Write { at, bytes } => at / SECTOR..(at + bytes.len() as u64).div_ceil(SECTOR),
        }
    }
}

fn index(place: u64) -> usize {
    usize::try_from(place).expect("a test's files fit in memory")
}

#[derive(Clone, Copy, Debug)]
enum Named {
    Make(Name, FileId),
    Delete(Name),
}

impl Named {
    fn apply(self, names: &mut BTreeMap<Name, FileId>) {
        match self {
            Self::Make(name, file) => names.insert(name, file),
            Self::Delete(name) => names.remove(&name),
        };
    }
}

/// The disk at one moment: what is durable, and what is not yet.
#[derive(Clone, Debug, Default)]
struct Found {
    names: BTreeMap<Name, FileId>,
    files: BTreeMap<FileId, Vec<u8>>,
    naming: Vec<Named>,
    pending: Vec<Pending>,
}

impl Found {
    fn apply(&mut self, event: &Event) -> Newest {
        match event {
            Event::Found { name, file, bytes } => {
                self.names.insert(*name, *file);
                self.files.insert(*file, bytes.clone());
            }
            Event::Make { name, file } => {
                self.naming.push(Named::Make(*name, *file));
                self.files.insert(*file, Vec::new());
            }
            Event::Delete { name, synced } => {
                self.naming.push(Named::Delete(*name));
                if *synced {
                    self.sync_names();
                }
            }
            Event::Write { file, at, bytes } => {
                let (at, bytes) = (*at, bytes.clone());
                return self.change(*file, Change::Write { at, bytes });
            }
            Event::Truncate { file, length } => {
                return self.change(*file, Change::Truncate { length: *length });
            }
            Event::Sync(file) => self.sync(*file),
            Event::FailedSync(file) => {
                let unsynced = |p: &&mut Pending| p.file == *file && p.last == Lasting::Unsynced;
                for pending in self.pending.iter_mut().filter(unsynced) {
                    pending.last = Lasting::Dropped;
                }
            }
            Event::Mark(_) => {}
        }
        Newest::Other
    }

    fn change(&mut self, file: FileId, what: Change) -> Newest {
        // A file that was opened before the recording began is not part of it.
        if self.files.contains_key(&file) {
            let last = Lasting::Unsynced;
            self.pending.push(Pending { file, what, last });
        }
        Newest::Write
    }

    fn sync(&mut self, file: FileId) {
        let Some(bytes) = self.files.get_mut(&file) else {
            return;
        };
        let mut all_below_lasts = true;
        self.pending.retain_mut(|pending| {
            if pending.file != file {
                return true;
            }
            if pending.last == Lasting::Dropped {
                all_below_lasts = false;
                return true;
            }
            pending.last = Lasting::Synced;
            if all_below_lasts {
                pending.what.apply(bytes, |_| true);
            }
            !all_below_lasts
        });
        let is_new = |named: &Named| matches!(named, Named::Make(_, made) if *made == file);
        if self.naming.iter().any(is_new) {
            self.sync_names();
        }
    }

    /// What may be lost.
    fn unsynced(&self) -> impl Iterator<Item = &Pending> {
        let may_be_lost = |pending: &&Pending| pending.last != Lasting::Synced;
        self.pending.iter().filter(may_be_lost)
    }

    fn sync_names(&mut self) {
        for named in self.naming.drain(..) {
            named.apply(&mut self.names);
        }
    }
}

/// What becomes of one unsynced write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Kept,
    Lost,
    /// The sectors whose bit is set are there, by their place in the file modulo 64.
    Torn(u64),
}

struct Scene<'a> {
    moment: usize,
    marked: u64,
    /// The test has come further since the last scene: more must be there.
    marked_now: bool,
    newest: Newest,
    found: &'a Found,
}

impl Scene<'_> {
    fn images(
        &self,
        sampling: Sampling,
        random: &mut fastrand::Rng,
        visit: &mut impl FnMut(&Image),
    ) {
        let count = self.found.unsynced().count();
        let names = self.found.naming.len();
        let all_kept = vec![Fate::Kept; count];
        visit(&self.image(&all_kept, names, true));
        for durable in 0..names {
            visit(&self.image(&all_kept, durable, false));
        }
        if count == 0 {
            return;
        }
        let only_newest = self.newest == Newest::Write && !self.marked_now;
        if count <= sampling.all_up_to {
            let last = 1 << (count - 1);
            // All bits are the image in which nothing is lost.
            for subset in 0..(1_u32 << count) - 1 {
                if only_newest && subset & last == 0 {
                    continue;
                }
                let fates: Vec<_> = (0..count)
                    .map(|bit| {
                        if subset >> bit & 1 == 1 {
                            Fate::Kept
                        } else {
                            Fate::Lost
                        }
                    })
                    .collect();
                for durable in 0..=names {
                    visit(&self.image(&fates, durable, false));
                }
            }
        } else {
            for kind in 0..sampling.images_per_write {
                let fates = sample(kind, count, random);
                visit(&self.image(&fates, random.usize(0..=names), false));
            }
        }
        if self.newest == Newest::Write {
            for kind in 0..sampling.torn_per_write {
                let mut fates = sample(kind, count, random);
                let torn = if only_newest {
                    count - 1
                } else {
                    random.usize(0..count)
                };
                fates[torn] = self.tear(torn, random);
                visit(&self.image(&fates, random.usize(0..=names), false));
            }
        }
    }

    /// Some sectors and not all, where it has several.
    fn tear(&self, which: usize, random: &mut fastrand::Rng) -> Fate {
        let torn = self.found.unsynced().nth(which);
        let sectors = torn.map_or(0..0, |pending| pending.what.sectors());
        let count = u32::try_from(sectors.end - sectors.start)
            .unwrap_or(64)
            .min(64);
        if count < 2 {
            return Fate::Kept;
        }
        let bits: u64 = match random.u8(0..3) {
            0 => (1 << random.u32(1..count)) - 1,
            1 => !((1 << random.u32(1..count)) - 1),
            _ => random.u64(..),
        };
        Fate::Torn(bits.rotate_left(u32::try_from(sectors.start % 64).unwrap_or(0)))
    }

    fn image(&self, fates: &[Fate], durable_names: usize, whole: bool) -> Image {
        let mut names = self.found.names.clone();
        for named in &self.found.naming[..durable_names] {
            named.apply(&mut names);
        }
        let mut files: BTreeMap<Name, Vec<u8>> = BTreeMap::new();
        let name_of = |file| {
            names
                .iter()
                .find(|(_, id)| **id == file)
                .map(|(name, _)| *name)
        };
        for (name, file) in &names {
            files.insert(*name, self.found.files[file].clone());
        }
        let mut story = String::new();
        let mut fates_left = fates.iter().enumerate();
        for pending in &self.found.pending {
            let (number, fate) = match pending.last {
                Lasting::Synced => (0, &Fate::Kept),
                Lasting::Unsynced | Lasting::Dropped => {
                    fates_left.next().expect("each unsynced write has its fate")
                }
            };
            let Some(bytes) = name_of(pending.file).and_then(|name| files.get_mut(&name)) else {
                continue;
            };
            match fate {
                Fate::Kept => pending.what.apply(bytes, |_| true),
                Fate::Lost => story.extend([" ", &number.to_string()]),
                Fate::Torn(bits) => {
                    story.extend([" part of ", &number.to_string()]);
                    pending
                        .what
                        .apply(bytes, |sector| bits >> (sector % 64) & 1 == 1);
                }
            }
        }
        let names_lost = self.found.naming.len() - durable_names;
        Image {
            moment: self.moment,
            marked: self.marked,
            whole,
            unsynced: fates.len(),
            story: format!(
                "power loss after event {}: of {} unsynced writes lost:{story}; {names_lost} new or deleted names lost",
                self.moment,
                fates.len(),
            ),
            files,
        }
    }
}

/// What is lost of so many writes, in one of several ways by `kind`.
fn sample(kind: usize, count: usize, random: &mut fastrand::Rng) -> Vec<Fate> {
    let from = random.usize(0..count);
    let one_in = 1 << random.u32(1..6);
    let lost = |number: usize, random: &mut fastrand::Rng| match kind % 6 {
        // A prefix, as if all was written in order.
        0 => number >= from,
        // The opposite order.
        1 => number < from,
        // One alone is missing, or there.
        2 => number == from,
        3 => number != from,
        // A few are missing, or there.
        4 => random.u32(0..one_in) == 0,
        _ => random.u32(0..one_in) != 0,
    };
    (0..count)
        .map(|number| {
            if lost(number, random) {
                Fate::Lost
            } else {
                Fate::Kept
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: FileId = FileId(1);

    fn write(at: u64, bytes: &[u8]) -> Event {
        let bytes = bytes.to_vec();
        Event::Write {
            file: FILE,
            at,
            bytes,
        }
    }

    fn images(events: Vec<Event>, torn_per_write: usize) -> Vec<(u64, Vec<u8>)> {
        let name = Name::Database;
        let mut all = vec![Event::Found {
            name,
            file: FILE,
            bytes: b"....".to_vec(),
        }];
        all.extend(events);
        let mut found = Vec::new();
        let sampling = Sampling {
            seed: 1,
            all_up_to: 12,
            images_per_write: 5,
            torn_per_write,
        };
        let last = all.len() - 1;
        Recording(all).images(sampling, |image| {
            if image.moment == last {
                found.push((image.marked, image.files[&name].clone()));
            }
        });
        found
    }

    #[test]
    fn each_subset_of_what_is_not_synced_is_found_and_what_is_synced_always() {
        let mut found = images(
            vec![
                write(0, b"a"),
                Event::Sync(FILE),
                write(1, b"b"),
                write(2, b"c"),
                Event::Mark(7),
            ],
            0,
        );
        found.sort();
        let expected = ["a...", "a.c.", "ab..", "abc."];
        assert_eq!(found, expected.map(|text| (7, text.as_bytes().to_vec())));
    }

    #[test]
    fn after_a_failed_sync_a_later_one_proves_nothing_and_lies_over_what_was_dropped() {
        for dropped in [&b"a"[..], b"aa"] {
            let events = vec![
                write(0, dropped),
                Event::FailedSync(FILE),
                write(1, b"b"),
                Event::Sync(FILE),
            ];
            let mut found = images(events, 0);
            found.sort();
            let expected = [".b..", "ab.."];
            assert_eq!(found, expected.map(|text| (0, text.as_bytes().to_vec())));
        }
    }

    #[test]
    fn a_torn_write_is_there_in_whole_sectors_and_harms_nothing_beside_it() {
        let sector = usize::try_from(SECTOR).unwrap();
        let old = write(0, &vec![b'o'; sector * 4]);
        let events = vec![old, Event::Sync(FILE), write(100, &vec![b'n'; sector * 2])];
        let found = images(events, 50);
        let mut torn = 0;
        for (_, bytes) in found {
            let is_new = |range: std::ops::Range<usize>| {
                let new = bytes[range.clone()]
                    .iter()
                    .filter(|byte| **byte == b'n')
                    .collect::<Vec<_>>()
                    .len();
                assert!(new == 0 || new == range.len(), "{range:?} is torn");
                new > 0
            };
            assert!(!is_new(0..100) && !is_new(100 + sector * 2..sector * 4));
            let parts = [
                100..sector,
                sector..sector * 2,
                sector * 2..100 + sector * 2,
            ];
            let parts = parts.map(is_new);
            torn += u32::from(parts != [true; 3] && parts != [false; 3]);
        }
        assert!(torn > 20, "{torn} torn");
    }
}
