//! Values that are used and never shown: passwords, tokens, keys.
//!
//! Owns the values while the process lives. They come from the environment or from files, never
//! from the command line, and stand in nothing that is stored: where a text refers to a secret
//! (`__name__:value`), it is filled in at the last moment. Who shows a text masks it first.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::failure::Failure;
use crate::masks::Masks;
use crate::secret_sources::{SecretSource, SecretSources};

/// What follows a name where its value is meant.
const REFERENCE: &str = ":value";

/// Bytes of one secret; a larger file is not the one that was meant.
const VALUE_BYTES_MAX: u64 = 64 * 1024;

/// The bits of a file's mode that let everybody read or change it.
const OPEN_TO_ALL: u32 = 0o006;

/// Name → value. Cloning shares them.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Arc<Loaded>);

#[derive(Default)]
struct Loaded {
    values: BTreeMap<String, String>,
    /// The variables of our environment that hold some of them.
    variables: Vec<String>,
}

impl Secrets {
    /// Reads every value.
    ///
    /// # Errors
    /// A refusal with every secret that has none, by name and place.
    pub(crate) fn load(sources: &SecretSources) -> Result<Self, Failure> {
        Self::load_from(sources, |variable| std::env::var(variable).ok())
    }

    fn load_from(
        sources: &SecretSources,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Failure> {
        let mut loaded = Loaded::default();
        let mut problems = Vec::new();
        for (name, source) in &sources.0 {
            let read = match source {
                SecretSource::Variable(variable) => {
                    loaded.variables.push(variable.clone());
                    environment(variable).ok_or_else(|| {
                        format!("variable {variable} is not set, or no text; set it")
                    })
                }
                SecretSource::File(path) => of_file(path),
            };
            match read {
                Ok(value) if value.is_empty() => {
                    problems.push(format!("secret {name} is empty; give it a value"));
                }
                Ok(value) => {
                    loaded.values.insert(name.clone(), value);
                }
                Err(why) => problems.push(format!("secret {name}: {why}")),
            }
        }
        if problems.is_empty() {
            Ok(Self(Arc::new(loaded)))
        } else {
            Err(Failure::all(problems))
        }
    }

    /// The value of one.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.values.get(name).map(String::as_str)
    }

    /// The variables of our own environment that programs need not see.
    pub(crate) fn variables(&self) -> &[String] {
        &self.0.variables
    }

    /// The text with the value of each secret in the place of its references. Values are not
    /// looked into: a reference that stands in one stays.
    pub(crate) fn fill_in(&self, text: &str) -> String {
        let (names, found) = self.references(text);
        let mut filled = String::with_capacity(text.len());
        let mut rest = 0;
        for (name, at) in found {
            filled.push_str(&text[rest..at.start]);
            filled.push_str(&self.0.values[names[name]]);
            rest = at.end;
        }
        filled.push_str(&text[rest..]);
        filled
    }

    /// The secrets that a text refers to, each once.
    pub(crate) fn named_in(&self, text: &str) -> Vec<&str> {
        let (names, found) = self.references(text);
        let mut once: Vec<_> = found.into_iter().map(|(name, _)| names[name]).collect();
        once.sort_unstable();
        once.dedup();
        once
    }

    /// What hides these values, and more.
    pub(crate) fn masks<'m>(&'m self, more: impl Iterator<Item = &'m str>) -> Masks {
        Masks::of(self.0.values.values().map(String::as_str).chain(more))
    }

    fn references(&self, text: &str) -> (Vec<&str>, Vec<(usize, std::ops::Range<usize>)>) {
        let names: Vec<_> = self.0.values.keys().map(String::as_str).collect();
        let patterns = names.iter().map(|name| format!("{name}{REFERENCE}"));
        let finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(patterns);
        let found = finder
            .expect("names of less than 2^31 bytes fit")
            .find_iter(text)
            .map(|found| (found.pattern().as_usize(), found.range()))
            .collect();
        (names, found)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

/// The text of a file that not everybody can read, without its last newline.
fn of_file(path: &Path) -> Result<String, String> {
    let name = path.display();
    let cannot = |error| {
        format!("file {name} cannot be read ({error}); correct the path or its permissions")
    };
    let file = std::fs::metadata(path).map_err(cannot)?;
    if !file.is_file() {
        return Err(format!("{name} is no file; name one with the value in it"));
    }
    if file.mode() & OPEN_TO_ALL != 0 {
        return Err(format!(
            "everybody on this machine can read or change file {name}; chmod o-rw it, and change the secret if it was open for long"
        ));
    }
    if file.len() > VALUE_BYTES_MAX {
        return Err(format!(
            "file {name} has more than {VALUE_BYTES_MAX} bytes; name one that holds only the value"
        ));
    }
    let mut text = std::fs::read_to_string(path).map_err(cannot)?;
    if text.ends_with('\n') {
        text.pop();
    }
    if text.ends_with('\r') {
        text.pop();
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn secrets(values: &[(&str, &str)]) -> Secrets {
        let sources = values.iter().map(|(name, _)| {
            let source = SecretSource::Variable((*name).to_owned());
            ((*name).to_owned(), source)
        });
        let value = |name: &str| {
            let found = values.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Secrets::load_from(&SecretSources(sources.collect()), value).unwrap()
    }

    #[test]
    fn references_are_filled_in_once_and_only_whole_ones() {
        let secrets = secrets(&[
            ("__a__", "1__b__:value"),
            ("__b__", "two"),
            ("__a____b__", "x"),
        ]);
        for (text, expected) in [
            ("__a__:value/__b__:value", "1__b__:value/two"),
            ("__a____b__:value", "x"),
            (
                "__a__:valu __c__:value __b__",
                "__a__:valu __c__:value __b__",
            ),
            ("ü__b__:valueü", "ütwoü"),
        ] {
            assert_eq!(secrets.fill_in(text), expected);
        }
        assert_eq!(secrets.named_in("__b__:value __b__:value"), ["__b__"]);
        assert_eq!(Secrets::default().fill_in("__b__:value"), "__b__:value");
    }

    #[test]
    fn what_is_printed_of_secrets_says_nothing() {
        let secrets = secrets(&[("__a__", "hunter2")]);
        assert_eq!(format!("{secrets:?} {secrets:#?}"), "Secrets Secrets");
    }

    #[test]
    fn every_secret_without_a_value_is_named_and_none_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, mode: u32| {
            let path = folder.path().join(name);
            std::fs::write(&path, "hunter2\r\n").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            SecretSource::File(path)
        };
        let all = [
            ("__empty__", SecretSource::Variable("EMPTY".to_owned())),
            ("__folder__", SecretSource::File(folder.path().into())),
            ("__gone__", SecretSource::File("/no/file".into())),
            ("__good__", file("good", 0o640)),
            ("__open__", file("open", 0o644)),
            ("__unset__", SecretSource::Variable("UNSET".to_owned())),
        ];
        let all = all.map(|(name, source)| (name.to_owned(), source));
        let sources = SecretSources(BTreeMap::from(all));
        let environment = |name: &str| (name == "EMPTY").then(String::new);
        let failure = Secrets::load_from(&sources, environment).unwrap_err();
        let expected = [
            ("__empty__", "empty"),
            ("__folder__", "no file"),
            ("__gone__", "cannot be read"),
            ("__open__", "chmod o-rw"),
            ("__unset__", "UNSET"),
        ];
        for (problem, (name, word)) in failure.problems.iter().zip(expected) {
            assert!(
                problem.contains(name) && problem.contains(word),
                "{problem}"
            );
        }
        assert_eq!(failure.problems.len(), expected.len());
        assert!(!format!("{failure:?}").contains("hunter2"));

        let good = sources.0.into_iter().filter(|(name, _)| name == "__good__");
        let secrets = Secrets::load(&SecretSources(good.collect())).unwrap();
        assert_eq!(secrets.get("__good__"), Some("hunter2"));
    }
}
