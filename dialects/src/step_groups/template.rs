//! Texts with references in them, as they stand in a definition.

use serde::{Deserialize, Serialize};

/// Something that has a value in a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reference {
    /// The step's `env`, then workflow variables, then the process environment.
    Plain(String),
    /// Workflow variables alone.
    Variable(String),
    Output {
        step: String,
        key: String,
    },
    Resource {
        name: String,
        /// Empty is the resource itself.
        key: String,
    },
    Parameter(String),
    /// From `metadata.`, `environment.`, `application.` or `timestamp` on.
    Context(String),
    /// What nothing declares; only lenient mode keeps one.
    Unknown,
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Part {
    Text(String),
    Value {
        of: Reference,
        /// As written, for messages.
        raw: String,
    },
    /// A value, or what is written if there is none.
    Soft {
        of: Reference,
        raw: String,
    },
}

/// A text and the values that are put into it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Template(pub(crate) Vec<Part>);

impl Template {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() {
            return Self::default();
        }
        Self(vec![Part::Text(text)])
    }

    /// Its text if nothing is put into it.
    pub(crate) fn fixed(&self) -> Option<&str> {
        match &self.0[..] {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The one reference that it is, if it is nothing else.
    pub(crate) fn single(&self) -> Option<(&Reference, &str)> {
        match &self.0[..] {
            [Part::Value { of, raw } | Part::Soft { of, raw }] => Some((of, raw)),
            _ => None,
        }
    }

    pub(crate) fn references(&self) -> impl Iterator<Item = &Reference> {
        self.0.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Value { of, .. } | Part::Soft { of, .. } => Some(of),
        })
    }
}

/// Settings of any shape whose texts are templates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Setting {
    /// Nothing is put into it.
    Fixed(serde_json::Value),
    Text(Template),
    List(Vec<Setting>),
    Map(Vec<(String, Setting)>),
}

impl Setting {
    pub(crate) fn map() -> Self {
        Self::Map(Vec::new())
    }

    pub(crate) fn templates<'a>(&'a self, found: &mut Vec<&'a Template>) {
        match self {
            Self::Fixed(_) => {}
            Self::Text(template) => found.push(template),
            Self::List(items) => items.iter().for_each(|item| item.templates(found)),
            Self::Map(entries) => entries.iter().for_each(|(_, item)| item.templates(found)),
        }
    }
}

/// Names and the texts that they get.
pub(crate) type Texts = Vec<(String, Template)>;
