//! How payloads are stored: their JSON text as it is, and behind it its checksum as a comment, such as
//! `{"n":1}/*5d0b7a3c*/`. People can read it, and so can SQLite's JSON functions, which know comments.

use windlass_workflow_model::Payload;

use super::checksum;
use crate::error::StorageError;

/// `/*`, eight hexadecimal digits, `*/`.
const COMMENT_BYTES: usize = 12;

pub(crate) fn seal(payload: &Payload) -> Vec<u8> {
    let mut sealed = Vec::new();
    seal_into(&mut sealed, payload);
    sealed
}

/// Puts it in the place of what is in `sealed`.
pub(crate) fn seal_into(sealed: &mut Vec<u8>, payload: &Payload) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let json = payload.as_bytes();
    sealed.clear();
    sealed.reserve(json.len() + COMMENT_BYTES);
    sealed.extend_from_slice(json);
    sealed.extend_from_slice(b"/*");
    let sum = checksum(json);
    sealed.extend((0..8).map(|place| DIGITS[(sum >> (28 - 4 * place)) as usize & 15]));
    sealed.extend_from_slice(b"*/");
}

/// Also reads what was stored before there were checksums: that ends as JSON does.
///
/// # Errors
/// [`StorageError::Corrupt`] when the text is not the one that was stored.
pub(crate) fn unseal(stored: &[u8]) -> Result<Payload, StorageError> {
    let corrupt = |why: &str| StorageError::Corrupt {
        what: "payload".to_owned(),
        why: why.to_owned(),
    };
    if stored.ends_with(b"*/") {
        let (json, comment) = stored
            .split_at_checked(stored.len().saturating_sub(COMMENT_BYTES))
            .ok_or_else(|| corrupt("it is too short"))?;
        if read(comment) != Some(checksum(json)) {
            return Err(corrupt("its checksum is not that of its text"));
        }
        return Ok(Payload::from_json(json));
    }
    let is_whole = match stored.last() {
        Some(b'}' | b']' | b'"' | b' ' | b'\t' | b'\r' | b'\n') => true,
        // A number or a word, and not the digits of a checksum that was cut off.
        Some(b'0'..=b'9' | b'e' | b'l') => {
            let before = stored.iter().rev().find(|byte| !is_digit(**byte));
            !matches!(before, Some(b'*' | b'/'))
        }
        _ => false,
    };
    if !is_whole {
        return Err(corrupt("it ends neither with a checksum nor as JSON does"));
    }
    Ok(Payload::from_json(stored))
}

fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn read(comment: &[u8]) -> Option<u32> {
    let digits = comment.strip_prefix(b"/*")?.strip_suffix(b"*/")?;
    // As they are written, and in no other way.
    if digits.len() != 8 || !digits.iter().all(|digit| is_digit(*digit)) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_reads_back_and_no_flipped_bit_passes() {
        for text in [
            "null",
            "{\"n\":1}",
            "[\"/*\",\"*/\"]",
            "\"ends with */\"",
            "7",
        ] {
            let payload = Payload::from_json(text.as_bytes());
            let sealed = seal(&payload);
            assert_eq!(unseal(&sealed).unwrap(), payload);
            assert_eq!(
                unseal(text.as_bytes()).unwrap(),
                payload,
                "as it was stored before"
            );
            for bit in 0..sealed.len() * 8 {
                let mut damaged = sealed.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                let refused = unseal(&damaged);
                assert!(
                    matches!(refused, Err(StorageError::Corrupt { .. })),
                    "bit {bit} of {text}: {refused:?}"
                );
            }
            for length in 0..sealed.len() {
                let cut = unseal(&sealed[..length]);
                let is_old = length <= text.len();
                assert!(is_old || cut.is_err(), "{length} bytes of {text}");
            }
        }
    }

    #[test]
    fn sqlite_reads_the_json_in_what_is_stored() {
        let sealed = seal(&Payload::from_json(&b"{\"n\":17}"[..]));
        let text = String::from_utf8(sealed).unwrap();
        let db = rusqlite::Connection::open_in_memory().unwrap();
        let read = |sql: &str| db.query_row(sql, [&text], |row| row.get::<_, i64>(0));
        assert_eq!(read("SELECT ?1 ->> 'n'"), Ok(17));
        assert_eq!(
            read("SELECT json_extract(CAST(CAST(?1 AS BLOB) AS TEXT), '$.n')"),
            Ok(17)
        );
    }
}
