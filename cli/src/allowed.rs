//! The kinds of step that reach beyond configured handlers and so must be allowed by name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::playbook::CommandKind;
use crate::suggestion::did_you_mean;

/// A kind that is refused unless it is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Commands from the workflow file, run by `sh -c`.
    Shell,
    /// Commands of a playbook.
    Command(CommandKind),
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Shell,
        Self::Command(CommandKind::Bash),
        Self::Command(CommandKind::PowerShell),
        Self::Command(CommandKind::Ssh),
        Self::Command(CommandKind::HttpApi),
        Self::Command(CommandKind::OpenC2Http),
    ];

    /// Its word in flags and files.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Shell => crate::handlers_file::SHELL,
            Self::Command(kind) => kind.as_str(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| {
            let hint = did_you_mean(text, Self::ALL.map(Self::as_str));
            format!("{text:?} is no kind that can be allowed; {hint}")
        })
    }
}

/// The kinds that are allowed. Written as a list, or as one text with commas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allowed(pub(crate) BTreeSet<Kind>);

impl Allowed {
    /// Whether steps of this kind may run.
    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.0.contains(&kind)
    }

    /// What speaks against running steps of these kinds: `needed` is every kind of a file, with the
    /// names of its steps.
    pub(crate) fn refusal(&self, needed: &BTreeMap<Kind, Vec<&str>>) -> Option<String> {
        let missing: Vec<_> = needed
            .iter()
            .filter(|(kind, _)| !self.has(**kind))
            .map(|(kind, steps)| format!("{:?} (steps {})", kind.as_str(), steps.join(", ")))
            .collect();
        if missing.is_empty() {
            return None;
        }
        let words: Vec<_> = needed.keys().map(|kind| kind.as_str()).collect();
        Some(format!(
            "not allowed: {}; such steps do what the file itself says; if you trust it, allow all kinds that it needs: --allow {}",
            missing.join(", "),
            words.join(","),
        ))
    }
}

impl FromStr for Allowed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words = text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty());
        words
            .map(Kind::from_str)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl<'de> Deserialize<'de> for Allowed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a list of kinds, such as [\"shell\"]")]
        enum Form {
            Text(String),
            List(Vec<String>),
        }
        let text = match Form::deserialize(deserializer)? {
            Form::Text(text) => text,
            Form::List(words) => words.join(","),
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Allowed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|kind| kind.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_from_a_list_or_a_text() {
        let shell = Allowed(BTreeSet::from([Kind::Shell]));
        for json in [r#"["shell"]"#, r#""shell""#, r#"" shell,""#] {
            assert_eq!(
                serde_json::from_str::<Allowed>(json).unwrap(),
                shell,
                "{json}"
            );
        }
        assert_eq!(
            serde_json::from_str::<Allowed>("[]").unwrap(),
            Allowed::default()
        );
        let refusal = "shel".parse::<Allowed>().unwrap_err();
        assert_eq!(
            refusal,
            "\"shel\" is no kind that can be allowed; did you mean \"shell\"?"
        );
    }

    #[test]
    fn a_refusal_names_what_is_needed_and_what_is_missing() {
        let bash = Kind::Command(CommandKind::Bash);
        let ssh = Kind::Command(CommandKind::Ssh);
        let needed = BTreeMap::from([(bash, vec!["a", "b"]), (ssh, vec!["c"])]);
        let refusal = |allowed: &str| {
            let allowed: Allowed = allowed.parse().unwrap();
            allowed.refusal(&needed)
        };
        assert_eq!(refusal("ssh,bash"), None);
        let one = refusal("ssh").unwrap();
        assert!(one.contains("\"bash\" (steps a, b)"), "{one}");
        assert!(one.contains("--allow bash,ssh"), "{one}");
        assert!(!one.contains("(steps c)"), "{one}");
        assert!(refusal("").unwrap().contains("\"ssh\" (steps c)"));
    }

    #[test]
    fn every_kind_has_its_word() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        for kind in CommandKind::ALL {
            assert!(Kind::ALL.contains(&Kind::Command(kind)), "{kind:?}");
        }
    }
}
