//! Where secrets come from: the table `[secrets]` of `windlass.toml`.
//!
//! Owns the grammar of that table. A value never stands in it, and a message never quotes what
//! stands in the place of one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeValue;

use crate::toml_text::TomlText;

const KEYS: [&str; 2] = ["env", "file"];

/// Where one value is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SecretSource {
    /// A variable of our environment.
    Variable(String),
    /// A file, relative to the current folder.
    File(PathBuf),
}

/// Name → where its value is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SecretSources(pub(crate) BTreeMap<String, SecretSource>);

impl SecretSources {
    /// The names of all secrets.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.0.keys().cloned().collect()
    }

    /// Reads the table `secrets` of a file; problems are noted there.
    pub(crate) fn from_toml<'t>(toml: &mut TomlText<'t>, secrets: &Spanned<DeValue<'t>>) -> Self {
        let Some(table) = secrets.get_ref().as_table() else {
            let what =
                "secrets is no table; write [secrets] and under it __name__ = {env = \"NAME\"}";
            toml.problem(&secrets.span(), what);
            return Self::default();
        };
        let mut sources = BTreeMap::new();
        for (name, value) in table {
            let name_text = name.get_ref().as_ref();
            if !is_name(name_text) {
                let what = format!(
                    "secrets.{name_text}: playbooks could not refer to this name; write __name__ with letters, digits, _ and -"
                );
                toml.problem(&name.span(), what);
            } else if let Some(source) = source(toml, name_text, value) {
                sources.insert(name_text.to_owned(), source);
            }
        }
        Self(sources)
    }
}

/// As CACAO 2.0 has names of variables.
fn is_name(name: &str) -> bool {
    let inner = name
        .strip_prefix("__")
        .and_then(|rest| rest.strip_suffix("__"));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    inner.is_some_and(|inner| !inner.is_empty() && inner.len() <= 200 && inner.bytes().all(plain))
}

fn source<'t>(
    toml: &mut TomlText<'t>,
    name: &str,
    value: &Spanned<DeValue<'t>>,
) -> Option<SecretSource> {
    let Some(table) = value.get_ref().as_table() else {
        let what = format!(
            "secrets.{name}: the value of a secret never stands in this file; write {{env = \"NAME\"}} or {{file = \"path\"}}"
        );
        toml.problem(&value.span(), what);
        return None;
    };
    for key in table.keys() {
        if !KEYS.contains(&key.get_ref().as_ref()) {
            toml.unknown_key(&key.span(), key.get_ref(), KEYS);
        }
    }
    let text = |key: &str| {
        let text = table.get(key).and_then(|value| value.get_ref().as_str());
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    match (text("env"), text("file"), table.len()) {
        (Some(variable), None, 1) => Some(SecretSource::Variable(variable)),
        (None, Some(file), 1) => Some(SecretSource::File(file.into())),
        _ => {
            let what = format!(
                "secrets.{name} must name one place that is no empty text: {{env = \"NAME\"}} or {{file = \"path\"}}"
            );
            toml.problem(&value.span(), what);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (SecretSources, Vec<String>) {
        let (mut toml, table) = TomlText::parse("w.toml", text);
        let sources = SecretSources::from_toml(&mut toml, &table["secrets"]);
        (sources, toml.problems)
    }

    #[test]
    fn a_secret_comes_from_a_variable_or_a_file() {
        let (sources, problems) =
            read("[secrets]\n__a__ = {env = 'A'}\n[secrets.__b-2__]\nfile = 'b.txt'\n");
        assert_eq!(problems, Vec::<String>::new());
        let expected = [
            ("__a__", SecretSource::Variable("A".to_owned())),
            ("__b-2__", SecretSource::File("b.txt".into())),
        ];
        let expected = expected.map(|(name, source)| (name.to_owned(), source));
        assert_eq!(sources, SecretSources(BTreeMap::from(expected)));
    }

    #[test]
    fn a_value_in_the_file_is_refused_and_never_repeated() {
        let text = "[secrets]\n__a__ = 'hunter2'\n__b__ = {env = 'B', file = 'b'}\nc = {env = 'C'}\n__d__ = {value = 'hunter2'}\n__e__ = {env = ''}\n";
        let (sources, problems) = read(text);
        assert_eq!(sources, SecretSources::default());
        for (line, word) in [
            ("w.toml:2:", "never stands in this file"),
            ("w.toml:3:", "one place"),
            ("w.toml:4:", "could not refer"),
            ("w.toml:5:", "\"value\""),
            ("w.toml:6:", "one place"),
        ] {
            let told = |p: &String| p.starts_with(line) && p.contains(word);
            assert!(problems.iter().any(told), "{line} {word} in {problems:#?}");
        }
        assert!(!problems.concat().contains("hunter2"), "{problems:#?}");
        let (_, problems) = read("secrets = 'hunter2'");
        assert!(problems[0].contains("no table") && !problems[0].contains("hunter2"));
    }
}
