//! How the engine's own records become bytes.
//!
//! The only place that knows bincode. A record begins with the id of its codec and the version of
//! its format, so that every later version can read what this one wrote, and ends with its checksum.
//! Why bincode, and why it is pinned: ADRs/0007-bincode-for-records-json-for-payloads.md; why a
//! checksum: ADRs/0018-what-is-stored-carries-a-checksum.md.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StorageError;

#[cfg(test)]
mod any_record;
#[cfg(test)]
mod damage;
mod payload;

pub(crate) use payload::{seal, seal_into, unseal};

/// Bincode as it was stored before there were checksums.
const BINCODE_2: u8 = 1;
/// The same, and the checksum of all before it as four bytes, the lowest first.
const CHECKED_BINCODE_2: u8 = 2;
/// What is written. Records whose layout did not change since read the same in every format.
const FORMAT: u8 = 4;
const RECORD_BYTES_MAX: usize = 64 << 20;

/// # Panics
/// Never for the record types of this crate: they hold nothing that bincode cannot write.
pub(crate) fn encode<T: Serialize>(record: &T) -> Vec<u8> {
    let mut bytes = vec![CHECKED_BINCODE_2, FORMAT];
    bincode::serde::encode_into_std_write(record, &mut bytes, config())
        .expect("a record of plain data always encodes into memory");
    let sum = checksum(&bytes);
    bytes.extend(sum.to_le_bytes());
    bytes
}

/// # Errors
/// [`StorageError::Corrupt`] when the bytes are no record of this type in a known format.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StorageError> {
    let corrupt = |why: String| StorageError::Corrupt {
        what: std::any::type_name::<T>().to_owned(),
        why,
    };
    let body = match bytes {
        [BINCODE_2, 1..=FORMAT, body @ ..] => body,
        [CHECKED_BINCODE_2, 1..=FORMAT, ..] => match bytes.split_last_chunk() {
            Some((record @ [_, _, body @ ..], sum)) if sum == &checksum(record).to_le_bytes() => {
                body
            }
            _ => return Err(corrupt("its checksum is not that of its bytes".to_owned())),
        },
        _ => {
            let why = "it does not begin with a known codec and format";
            return Err(corrupt(why.to_owned()));
        }
    };
    match bincode::serde::decode_from_slice(body, config()) {
        Ok((record, read)) if read == body.len() => Ok(record),
        Ok((_, read)) => Err(corrupt(format!(
            "{} bytes are left over",
            body.len() - read
        ))),
        Err(error) => Err(corrupt(error.to_string())),
    }
}

/// The format in which a record was written; `None` if it is no record.
pub(crate) fn format(bytes: &[u8]) -> Option<u8> {
    match bytes {
        [BINCODE_2 | CHECKED_BINCODE_2, format, ..] => Some(*format),
        _ => None,
    }
}

/// CRC-32 as in zip and PNG: notices every damage within 32 neighbouring bits.
fn checksum(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

fn config() -> bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<RECORD_BYTES_MAX>,
> {
    bincode::config::standard().with_limit::<RECORD_BYTES_MAX>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Extras;

    #[test]
    fn a_record_reads_back_and_a_damaged_one_is_a_typed_error() {
        let record = Extras {
            reason: Some("why".to_owned()),
            ..Extras::default()
        };
        let bytes = encode(&record);
        assert_eq!(decode::<Extras>(&bytes).unwrap(), record);
        for damaged in [
            &bytes[..bytes.len() - 1],
            &bytes[1..],
            &[],
            &[BINCODE_2, 9, 0],
        ] {
            assert!(matches!(
                decode::<Extras>(damaged),
                Err(StorageError::Corrupt { .. })
            ));
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(matches!(
            decode::<Extras>(&longer),
            Err(StorageError::Corrupt { .. })
        ));
    }
}
