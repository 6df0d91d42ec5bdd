//! Records at random, damaged at random: reading one never panics and gives a typed error.
//!
//! One damage in four thousand million has the right checksum by chance. Bytes that look like a record
//! from before there were checksums are read as one.
//!
//! `WINDLASS_TEST_RECORDS` says how many are damaged, and `WINDLASS_TEST_RECORDS_FIRST` from which seed
//! on; a panic names the seed.

use std::fmt::Debug;
use std::panic::catch_unwind;

use fastrand::Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use windlass_workflow_model::Fault;

use super::any_record::any;
use super::{BINCODE_2, decode, encode};
use crate::apply::Frontier;
use crate::backend::JoinMore;
use crate::error::StorageError;
use crate::record::{Extras, HistoryDetail};

/// Records that are damaged when nothing else is asked for.
const RECORDS: u64 = 200_000;

/// What is done to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    FlippedBit,
    FlippedBits,
    Cut,
    Longer,
    Spliced,
    OtherByte,
    Rubbish,
}

impl Damage {
    const ALL: [Self; 7] = [
        Self::FlippedBit,
        Self::FlippedBits,
        Self::Cut,
        Self::Longer,
        Self::Spliced,
        Self::OtherByte,
        Self::Rubbish,
    ];

    /// `other`: a record of any type.
    fn done_to(self, bytes: &[u8], other: &[u8], random: &mut Rng) -> Vec<u8> {
        let mut damaged = bytes.to_vec();
        let flips = match self {
            Self::FlippedBit => 1,
            Self::FlippedBits => random.usize(2..9),
            _ => 0,
        };
        for _ in 0..flips {
            damaged[random.usize(0..bytes.len())] ^= 1 << random.u32(0..8);
        }
        match self {
            Self::FlippedBit | Self::FlippedBits => {}
            Self::Cut => damaged.truncate(random.usize(0..bytes.len())),
            Self::Longer => damaged.extend((0..random.usize(1..9)).map(|_| random.u8(..))),
            Self::Spliced => {
                damaged.truncate(random.usize(0..=bytes.len()));
                damaged.extend(&other[random.usize(0..other.len())..]);
            }
            // The numbers before a length are the ones that ask for a lot of memory.
            Self::OtherByte => damaged[random.usize(0..bytes.len())] = random.u8(248..),
            Self::Rubbish => {
                damaged.truncate(2);
                damaged.extend((0..random.usize(0..64)).map(|_| random.u8(..)));
            }
        }
        damaged
    }
}

/// How often a damage was noticed, left a whole record, and made one without a checksum.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    refused: u64,
    whole: u64,
    unchecked: u64,
}

type Decode<T> = fn(&[u8]) -> Result<T, StorageError>;

fn damage_one<T: Debug + PartialEq + Serialize + DeserializeOwned>(
    read: Decode<T>,
    damage: Damage,
    other: &[u8],
    random: &mut Rng,
    tally: &mut Seen,
) {
    let record: T = any(random);
    let bytes = encode(&record);
    assert_eq!(read(&bytes).unwrap(), record, "what was not damaged");
    let damaged = damage.done_to(&bytes, other, random);
    match read(&damaged) {
        Err(StorageError::Corrupt { .. }) => tally.refused += 1,
        Err(error) => panic!("{error} is not how a damaged record is refused"),
        // Another whole record in its place: that is no damage of bytes.
        Ok(_) if damaged == bytes || damaged == other => tally.whole += 1,
        Ok(_) => {
            assert_eq!(damaged[0], BINCODE_2, "{damage:?} was not noticed");
            tally.unchecked += 1;
        }
    }
}

/// One record of a type that the seed says, damaged in a way that it says.
fn damage_by_seed(seed: u64, damage: Damage, tally: &mut Seen) {
    let random = &mut Rng::with_seed(seed);
    let other = match random.u8(0..2) {
        0 => encode(&any::<Extras>(random)),
        _ => encode(&any::<JoinMore>(random)),
    };
    match random.u8(0..8) {
        0..4 => damage_one::<Extras>(Extras::decode, damage, &other, random, tally),
        4 => damage_one::<JoinMore>(decode, damage, &other, random, tally),
        5 => damage_one::<HistoryDetail>(HistoryDetail::decode, damage, &other, random, tally),
        6 => damage_one::<Fault>(decode, damage, &other, random, tally),
        _ => damage_one::<Frontier>(decode, damage, &other, random, tally),
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn a_damaged_record_is_refused_and_never_panics() {
    let first = number("WINDLASS_TEST_RECORDS_FIRST").unwrap_or(0);
    let records = number("WINDLASS_TEST_RECORDS").unwrap_or(RECORDS);
    let mut all = [Seen::default(); Damage::ALL.len()];
    for seed in first..first + records {
        let which = usize::try_from(seed).unwrap() % all.len();
        let before = all[which];
        let after = catch_unwind(|| {
            let mut tally = before;
            damage_by_seed(seed, Damage::ALL[which], &mut tally);
            tally
        });
        let after = after.unwrap_or_else(|_| panic!("WINDLASS_TEST_RECORDS_FIRST={seed} fails"));
        all[which] = after;
    }
    for (damage, seen) in Damage::ALL.iter().zip(all) {
        eprintln!("{damage:?}: {seen:?}");
    }
}
