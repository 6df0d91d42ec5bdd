//! Items for a map: from the command line, and from a file with one on each line.
//!
//! A file may be larger than memory: it is checked from end to end before anything is added, and
//! read again a portion at a time.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Seek as _};
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use windlass::Payload;
use windlass::limits::store::{MAP_ADD_MAX, PAYLOAD_BYTES_MAX};

use crate::failure::Failure;

/// Bytes of the items that one call adds, beside the last: they are one transaction, and one
/// payload's worth holds nobody else up.
const PORTION_BYTES_MAX: usize = PAYLOAD_BYTES_MAX;

/// Items that are all well.
#[derive(Debug)]
pub(crate) struct Items {
    /// From the command line.
    given: std::vec::IntoIter<Payload>,
    file: Option<(PathBuf, BufReader<File>)>,
    /// The first item of the next portion.
    held: Option<Payload>,
}

impl Items {
    /// Checks all items.
    ///
    /// # Errors
    /// A refusal that names the item or line: it is no JSON or too large, or the file cannot be read.
    pub(crate) fn checked(given: &[String], file: Option<&Path>) -> Result<Self, Failure> {
        let item = |text: &String| parsed(text, "--item");
        let given = given.iter().map(item).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            given: given.into_iter(),
            file: file.map(checked_file).transpose()?,
            held: None,
        })
    }

    /// The next items, as many as one call may add; none at the end.
    ///
    /// # Errors
    /// The file has changed since it was checked, or cannot be read any more.
    pub(crate) fn portion(&mut self) -> Result<Vec<Payload>, Failure> {
        let mut portion = Vec::new();
        let mut bytes = 0;
        while portion.len() < MAP_ADD_MAX {
            let Some(item) = self.item()? else { break };
            bytes += item.len();
            if bytes > PORTION_BYTES_MAX && !portion.is_empty() {
                self.held = Some(item);
                break;
            }
            portion.push(item);
        }
        Ok(portion)
    }

    fn item(&mut self) -> Result<Option<Payload>, Failure> {
        if let Some(item) = self.held.take().or_else(|| self.given.next()) {
            return Ok(Some(item));
        }
        let Some((path, reader)) = &mut self.file else {
            return Ok(None);
        };
        next_line(reader, path, &mut 0)
    }
}

fn checked_file(path: &Path) -> Result<(PathBuf, BufReader<File>), Failure> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let mut reader = BufReader::new(file);
    let mut number = 0;
    while next_line(&mut reader, path, &mut number)?.is_some() {}
    reader.rewind().map_err(|error| unreadable(path, &error))?;
    Ok((path.to_owned(), reader))
}

/// The item on the next line that is not blank; `number` counts the lines.
fn next_line(
    reader: &mut BufReader<File>,
    path: &Path,
    number: &mut u64,
) -> Result<Option<Payload>, Failure> {
    loop {
        let mut line = Vec::new();
        // One byte more than an item may have, and the end of its line.
        let most = PAYLOAD_BYTES_MAX as u64 + 2;
        let read = reader.by_ref().take(most).read_until(b'\n', &mut line);
        let read = read.map_err(|error| unreadable(path, &error))?;
        if read == 0 {
            return Ok(None);
        }
        *number += 1;
        let place = || format!("{}:{number}", path.display());
        if line.last() != Some(&b'\n') && line.len() > PAYLOAD_BYTES_MAX {
            return Err(too_large(&place()));
        }
        let text = std::str::from_utf8(&line).map_err(|error| {
            let place = place();
            Failure::refused(format!(
                "{place}: the item is no UTF-8 text ({error}); write one item in JSON on each line"
            ))
        })?;
        if !text.trim().is_empty() {
            return parsed(text, &place()).map(Some);
        }
    }
}

fn parsed(text: &str, place: &str) -> Result<Payload, Failure> {
    let item: Json = serde_json::from_str(text).map_err(|error| {
        Failure::refused(format!(
            "{place}: the item is no JSON ({error}); quote texts, such as '\"a\"', and write a file with one item on each line, as jq -c does"
        ))
    })?;
    let item = Payload::encode(&item).map_err(|error| Failure::refused_by(&error))?;
    if item.len() > PAYLOAD_BYTES_MAX {
        return Err(too_large(place));
    }
    Ok(item)
}

fn too_large(place: &str) -> Failure {
    Failure::refused(format!(
        "{place}: the item has more than {PAYLOAD_BYTES_MAX} bytes, the limit for the data of an instance; store it elsewhere and add where it is"
    ))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let path = path.display();
    Failure::refused(format!(
        "--items: {path} cannot be read ({error}); correct the path or its permissions"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_its_items_in_portions_that_one_call_may_add() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("items");
        let lines: Vec<_> = (0..MAP_ADD_MAX + 5).map(|n| format!("{n}\n")).collect();
        std::fs::write(&path, lines.concat() + "\n  \n7").unwrap();
        let mut items = Items::checked(&["\"first\"".to_owned()], Some(&path)).unwrap();
        let first = items.portion().unwrap();
        assert_eq!(first.len(), MAP_ADD_MAX);
        assert_eq!(first[0].decode::<Json>().unwrap(), "first");
        let second = items.portion().unwrap();
        let numbers: Vec<u32> = second.iter().map(|item| item.decode().unwrap()).collect();
        assert_eq!(numbers, [9_999, 10_000, 10_001, 10_002, 10_003, 10_004, 7]);
        assert!(items.portion().unwrap().is_empty());
    }

    #[test]
    fn large_items_go_one_by_one() {
        let large = || format!("\"{}\"", "x".repeat(PAYLOAD_BYTES_MAX - 10));
        let mut items = Items::checked(&[large(), large()], None).unwrap();
        for left in [1, 1, 0] {
            assert_eq!(items.portion().unwrap().len(), left);
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("items");
        let long = "x".repeat(PAYLOAD_BYTES_MAX + 5);
        for (text, place) in [
            ("1\n\n{\n", ":3: the item is no JSON"),
            (&format!("1\n\"{long}\"\n"), ":2: the item has more than"),
        ] {
            std::fs::write(&path, text).unwrap();
            let failure = Items::checked(&[], Some(&path)).unwrap_err();
            assert!(failure.problems[0].contains(place), "{failure:?}");
        }
        std::fs::write(&path, [b'"', 0xff, b'"']).unwrap();
        let failure = Items::checked(&[], Some(&path)).unwrap_err();
        assert!(failure.problems[0].contains("no UTF-8"), "{failure:?}");
        let failure = Items::checked(&["a".to_owned()], None).unwrap_err();
        assert!(failure.problems[0].starts_with("--item: "), "{failure:?}");
    }
}
