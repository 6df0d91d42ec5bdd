//! Owner files: how one engine proves to others that it lives, by a lock that the kernel drops when
//! it dies.
//!
//! No clock and no lease: whoever can take the lock of another owner's file knows that it is dead.
//! Only an obtained lock proves that; a missing file or a refusal proves nothing. Each Runner also
//! writes down which job it is in, so that after a crash the right one is blamed.
//! Why: ADRs/0004-owner-files-instead-of-leases.md.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use windlass_workflow_model::{ActivationId, BranchId, FencingToken, NodeId, Timestamp};

use crate::paths::beside;
use crate::sync::{Arc, AtomicU64, Mutex, Ordering};

/// Bytes of the header and of each slot.
const SLOT: usize = 64;
/// Where in the header it says whether the owner waits to write.
const WAITING: u64 = 8;
/// Where in the header the inode of its write-ahead log stands.
const LOG: u64 = 16;
const MAGIC: u64 = 0x3152_4e57_4f4c_4457; // "WDLOWNR1"

/// A job that a Runner is in, by its owner's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// The job's branch.
    pub branch: BranchId,
    /// The token of its lock.
    pub token: FencingToken,
    /// When the attempt began.
    pub started_at: Timestamp,
    /// The step and its activation, where the Runner went on to it from where the branch is stored.
    pub step: Option<(NodeId, ActivationId)>,
}

/// What a look at another owner's file shows.
#[derive(Debug)]
pub enum Proof {
    /// Somebody holds its lock.
    Alive,
    /// Its lock was free; we hold it now, so nobody else recovers it meanwhile.
    Dead(DeadOwner),
    /// The file is missing or cannot be opened: nothing is proven.
    Unknown,
}

/// A dead owner's file, locked by us until it is dropped.
#[derive(Debug)]
pub struct DeadOwner {
    file: File,
    path: PathBuf,
}

impl DeadOwner {
    /// The jobs its Runners were in.
    pub fn running(&self) -> Vec<Running> {
        read_slots(&self.file)
    }

    /// Removes the file; after everything of its owner is freed.
    pub fn remove(self) {
        // One that stays is looked at again and removed then.
        let _ = fs::remove_file(&self.path);
    }
}

/// The folder of all owner files of one database.
#[derive(Clone, Debug)]
pub struct OwnerFiles {
    folder: PathBuf,
}

impl OwnerFiles {
    /// The folder beside `database`, which must be a canonical path; `nonce` tells databases apart
    /// that had the same path one after the other.
    pub fn beside(database: &Path, nonce: &str) -> Self {
        Self {
            folder: folder_of(database).join(nonce),
        }
    }

    /// Makes and locks a file of our own.
    ///
    /// # Errors
    /// When the folder or the file cannot be made.
    pub fn claim(&self) -> io::Result<OwnerLife> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)?;
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}-{count}-{:08x}", std::process::id(), boot_id() >> 32);
            let path = self.folder.join(&name);
            let made = OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path);
            let file = match made {
                // Left behind by a process of the same number: take the next name.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                made => made?,
            };
            flock(&file, FlockOperation::NonBlockingLockExclusive)?;
            // Between making and locking it somebody may have taken it for dead and removed it.
            let same = fs::metadata(&path)
                .is_ok_and(|named| file.metadata().is_ok_and(|ours| ours.ino() == named.ino()));
            if same {
                let mut header = [0; SLOT];
                header[..8].copy_from_slice(&MAGIC.to_le_bytes());
                file.write_all_at(&header, 0)?;
                let file = Mutex::new(Some(file));
                let slots = Mutex::default();
                return Ok(OwnerLife(Arc::new(Life {
                    file,
                    slots,
                    path,
                    name,
                })));
            }
        }
    }

    /// Looks whether the owner of the file `name` lives.
    pub fn probe(&self, name: &str) -> Proof {
        if name.contains('/') {
            return Proof::Unknown;
        }
        let path = self.folder.join(name);
        let Ok(file) = OpenOptions::new().read(true).write(true).open(&path) else {
            return Proof::Unknown;
        };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Proof::Dead(DeadOwner { file, path }),
            Err(_) => Proof::Alive,
        }
    }

    /// The jobs that the Runners of the owner of file `name` are in, as it says itself.
    pub fn running(&self, name: &str) -> Vec<Running> {
        File::open(self.folder.join(name))
            .map(|file| read_slots(&file))
            .unwrap_or_default()
    }

    /// Whether the owner of file `name` says that it waits to write.
    pub fn waits(&self, name: &str) -> bool {
        let mut flag = [0; 8];
        File::open(self.folder.join(name))
            .and_then(|file| file.read_exact_at(&mut flag, WAITING))
            .is_ok_and(|()| flag != [0; 8])
    }

    /// The inode of the log in which the owner of file `name` writes, if it has said so.
    pub fn log_of(&self, name: &str) -> Option<u64> {
        let mut inode = [0; 8];
        let file = File::open(self.folder.join(name)).ok()?;
        file.read_exact_at(&mut inode, LOG).ok()?;
        Some(u64::from_le_bytes(inode)).filter(|inode| *inode != 0)
    }

    /// The names of all files that are there.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    }
}

/// The process that writes in a log of `database` which is not the one beside it any more, if there is
/// one: the log is gone under its feet, and with it what it has acknowledged.
pub(crate) fn writes_in_lost_log(database: &Path) -> Option<u32> {
    let log = log_inode(database);
    lives(database).into_iter().find_map(|(files, name)| {
        let lost = files
            .log_of(&name)
            .is_some_and(|theirs| Some(theirs) != log);
        let lost = lost && matches!(files.probe(&name), Proof::Alive);
        lost.then(|| name.split('-').next()?.parse().ok())?
    })
}

/// Whether an engine lives that works on the file at `database`, whatever is in that file.
pub(crate) fn is_in_use(database: &Path) -> bool {
    let lives = lives(database).into_iter();
    let mut alive = lives.map(|(files, name)| matches!(files.probe(&name), Proof::Alive));
    alive.any(|alive| alive)
}

/// The owner files beside `database`, of all databases that had this path.
fn lives(database: &Path) -> Vec<(OwnerFiles, String)> {
    let folders = fs::read_dir(folder_of(database)).into_iter().flatten();
    let files = folders.flatten().map(|folder| OwnerFiles {
        folder: folder.path(),
    });
    let named = |files: OwnerFiles| {
        let names = files.names().into_iter();
        names.map(move |name| (files.clone(), name))
    };
    files.flat_map(named).collect()
}

/// The inode of a database's write-ahead log. Looked up without opening it: closing a descriptor would
/// drop the locks that this process holds.
pub(crate) fn log_inode(database: &Path) -> Option<u64> {
    Some(fs::metadata(beside(database, "-wal")).ok()?.ino())
}

fn folder_of(database: &Path) -> PathBuf {
    beside(database, ".owners")
}

/// Waits until nobody else sets up or migrates `database`; nobody else does until the file returned
/// is dropped. A new database is set up in several transactions, between which others would find it
/// half made.
pub(crate) fn lock_opening(database: &Path) -> io::Result<File> {
    let folder = folder_of(database);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)?;
    let path = folder.join("opening");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

/// Our own file, locked as long as we live. Shared by the Runners and the writer.
#[derive(Clone, Debug)]
pub struct OwnerLife(Arc<Life>);

#[derive(Debug)]
struct Life {
    /// `None` once it is over. The lock goes with the descriptor, which no child inherits.
    file: Mutex<Option<File>>,
    /// The same in memory, where nobody else looks.
    slots: Mutex<Vec<Option<Running>>>,
    path: PathBuf,
    name: String,
}

impl OwnerLife {
    /// A life without a file, for a store in memory.
    pub fn in_memory() -> Self {
        let (file, slots) = (Mutex::new(None), Mutex::default());
        let (path, name) = (PathBuf::new(), String::new());
        Self(Arc::new(Life {
            file,
            slots,
            path,
            name,
        }))
    }

    /// The jobs that our Runners are in.
    pub(crate) fn running(&self) -> Vec<Running> {
        match &*self.0.file.lock() {
            Some(file) => read_slots(file),
            None => self.0.slots.lock().iter().flatten().copied().collect(),
        }
    }

    /// The jobs that the Runners of other living owners of the same database are in.
    pub(crate) fn running_beside(&self) -> Vec<Running> {
        let Some(folder) = self.0.path.parent() else {
            return Vec::new();
        };
        let files = OwnerFiles {
            folder: folder.to_owned(),
        };
        let names = files.names().into_iter();
        let alive =
            |name: &String| *name != self.0.name && matches!(files.probe(name), Proof::Alive);
        let running = names.filter(alive).flat_map(|name| files.running(&name));
        running.collect()
    }

    fn note(&self, slot: usize, job: Option<Running>) {
        let mut slots = self.0.slots.lock();
        if slots.len() <= slot {
            slots.resize(slot + 1, None);
        }
        slots[slot] = job;
    }

    /// The file's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Writes down that the Runner on `slot` begins a job. Not synced: it has to survive the
    /// process, not the machine.
    pub fn begin(&self, slot: usize, job: Running) {
        if self.0.name.is_empty() {
            return self.note(slot, Some(job));
        }
        let mut bytes = [0; SLOT];
        let words = [
            job.branch.0.cast_unsigned(),
            job.token.0.cast_unsigned(),
            job.started_at.0.cast_unsigned(),
            // One more than the node, so that 0 is none.
            job.step.map_or(0, |(node, _)| u64::from(node.0) + 1),
            job.step.map_or(0, |(_, activation)| activation.0),
            boot_id(),
        ];
        let check = checksum(&words);
        for (place, word) in bytes
            .chunks_exact_mut(8)
            .zip(words.into_iter().chain([check]))
        {
            place.copy_from_slice(&word.to_le_bytes());
        }
        self.write(slot, &bytes);
    }

    /// Writes down in which log we write.
    pub fn note_log(&self, inode: u64) {
        if let Some(file) = &*self.0.file.lock() {
            // Who cannot write it down is only not checked by others.
            let _ = file.write_all_at(&inode.to_le_bytes(), LOG);
        }
    }

    /// Makes the file large enough for so many slots, so that none is lost when the disk is full.
    pub fn reserve(&self, slots: usize) {
        let file = self.0.file.lock();
        let Some(file) = &*file else { return };
        let length = file.metadata().map_or(0, |meta| meta.len());
        let wanted = ((slots + 1) * SLOT) as u64;
        if length < wanted {
            let zeros = vec![0; usize::try_from(wanted - length).unwrap_or(0)];
            // Without room a slot is written when there is some.
            let _ = file.write_all_at(&zeros, length);
        }
    }

    /// Writes down that the Runner on `slot` is idle.
    pub fn idle(&self, slot: usize) {
        if self.0.name.is_empty() {
            return self.note(slot, None);
        }
        self.write(slot, &[0; SLOT]);
    }

    fn write(&self, slot: usize, bytes: &[u8]) {
        if let Some(file) = &*self.0.file.lock() {
            // A slot that cannot be written only means that a crash blames nobody.
            let _ = file.write_all_at(bytes, ((slot + 1) * SLOT) as u64);
        }
    }

    pub(crate) fn say_waiting(&self, waits: bool) {
        if let Some(file) = &*self.0.file.lock() {
            let _ = file.write_all_at(&u64::from(waits).to_le_bytes(), WAITING);
        }
    }

    /// Ends it: from now on others may free our jobs. The file goes too if `remove`.
    pub fn end(&self, remove: bool) {
        let file = self.0.file.lock().take();
        if file.is_some() && remove {
            let _ = fs::remove_file(&self.0.path);
        }
    }
}

fn read_slots(file: &File) -> Vec<Running> {
    let length = file.metadata().map_or(0, |meta| meta.len());
    let slots = usize::try_from(length)
        .unwrap_or(0)
        .div_ceil(SLOT)
        .saturating_sub(1);
    let word = |bytes: &[u8; SLOT], index: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[index * 8..index * 8 + 8]);
        u64::from_le_bytes(word)
    };
    (1..=slots)
        .filter_map(|slot| {
            let mut bytes = [0; SLOT];
            file.read_exact_at(&mut bytes, (slot * SLOT) as u64).ok()?;
            let words = [0, 1, 2, 3, 4, 5].map(|index| word(&bytes, index));
            let node = words[3]
                .checked_sub(1)
                .and_then(|node| u32::try_from(node).ok());
            (words[5] == boot_id() && word(&bytes, 6) == checksum(&words)).then(|| Running {
                branch: BranchId(words[0].cast_signed()),
                token: FencingToken(words[1].cast_signed()),
                started_at: Timestamp(words[2].cast_signed()),
                step: node.map(|node| (NodeId(node), ActivationId(words[4]))),
            })
        })
        .collect()
}

fn checksum(words: &[u64; 6]) -> u64 {
    words.iter().fold(MAGIC, |sum, word| {
        (sum ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23)
    })
}

/// Tells this boot of the machine from others: what ran before it does not run now.
fn boot_id() -> u64 {
    static ID: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *ID.get_or_init(|| {
        let text = fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        text.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        }) | 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_obtained_lock_proves_death_and_its_slots_say_what_ran() {
        let folder = tempfile::tempdir().unwrap();
        let files = OwnerFiles::beside(&folder.path().join("w.db"), "n");
        let life = files.claim().unwrap();
        let job = Running {
            branch: BranchId(7),
            token: FencingToken(3),
            started_at: Timestamp(5),
            step: None,
        };
        life.begin(2, job);
        assert!(matches!(files.probe(life.name()), Proof::Alive));
        assert_eq!(files.running(life.name()), [job]);
        assert!(matches!(files.probe("nobody"), Proof::Unknown));
        life.end(false);
        let Proof::Dead(dead) = files.probe(life.name()) else {
            panic!("its lock is free")
        };
        assert_eq!(dead.running(), [job]);
        assert!(
            matches!(files.probe(life.name()), Proof::Alive),
            "one recovers, the rest wait"
        );
        dead.remove();
        assert!(files.names().is_empty());
    }

    #[test]
    fn an_idle_slot_and_a_damaged_one_blame_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let files = OwnerFiles::beside(&folder.path().join("w.db"), "n");
        let life = files.claim().unwrap();
        life.begin(
            0,
            Running {
                branch: BranchId(1),
                token: FencingToken(1),
                started_at: Timestamp(5),
                step: None,
            },
        );
        life.idle(0);
        life.begin(
            1,
            Running {
                branch: BranchId(2),
                token: FencingToken(1),
                started_at: Timestamp(5),
                step: None,
            },
        );
        let path = folder.path().join("w.db.owners/n").join(life.name());
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.write_all_at(&[9], (2 * SLOT) as u64).unwrap();
        assert!(files.running(life.name()).is_empty());
    }
}
