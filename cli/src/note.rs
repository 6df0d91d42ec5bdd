//! What the command line stores with a run so that it can be resumed as it was begun.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::allowed::Allowed;
use crate::args::HandlerArgs;
use crate::config::{Config, DialectSettings};
use crate::failure::Failure;
use crate::handlers_file::{HandlerEntries, handlers_text};

/// Marks notes of ours among those of programs that embed the engine.
const FROM: &str = "windlass run";

/// How a run was begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Note {
    from: String,
    /// Where its programs run.
    pub(crate) folder: PathBuf,
    /// The handlers file, whole path.
    pub(crate) handlers: Option<PathBuf>,
    /// What stood in it; notes of older versions only have the path.
    #[serde(default)]
    handlers_text: Option<String>,
    /// The configuration file whose handlers count too, whole path.
    pub(crate) config: Option<PathBuf>,
    /// What stood in it, if it has handlers.
    #[serde(default)]
    config_text: Option<String>,
    /// The kinds of step that may run.
    pub(crate) allow: Allowed,
    /// How its file was read; notes of older versions do not say.
    #[serde(default)]
    pub(crate) dialects: Option<DialectSettings>,
}

impl Note {
    /// The settings of a run that begins here and now.
    pub(crate) fn of_here(args: &HandlerArgs, config: &Config) -> Result<Self, Failure> {
        let folder = std::env::current_dir().map_err(|error| {
            Failure::refused(format!(
                "the current folder cannot be found ({error}); change to another one"
            ))
        })?;
        let whole = |path: &Path| folder.join(path);
        Ok(Self {
            from: FROM.to_owned(),
            handlers: args.handlers.as_deref().map(whole),
            handlers_text: args.handlers.as_deref().map(handlers_text).transpose()?,
            config_text: config.handlers_text.clone(),
            config: config.file.as_deref().map(whole),
            allow: args.allowed().unwrap_or_else(|| config.allow.clone()),
            dialects: Some(config.dialects.clone()),
            folder,
        })
    }

    /// Reads a note; `None` if it is not one of ours.
    pub(crate) fn parse(text: Option<&str>) -> Option<Self> {
        let note: Self = serde_json::from_str(text?).ok()?;
        (note.from == FROM).then_some(note)
    }

    /// The text to be stored.
    pub(crate) fn to_text(&self) -> Result<String, Failure> {
        serde_json::to_string(self).map_err(|error| Failure::broken_off(&error))
    }

    /// The same, with what flags say instead.
    pub(crate) fn overridden(mut self, args: &HandlerArgs) -> Result<Self, Failure> {
        if let Some(handlers) = &args.handlers {
            self.handlers_text = Some(handlers_text(handlers)?);
            self.handlers =
                Some(std::path::absolute(handlers).map_err(|error| Failure::refused_by(&error))?);
        }
        if let Some(allow) = args.allowed() {
            self.allow = allow;
        }
        Ok(self)
    }

    /// The handlers of both files; those of the handlers file win.
    pub(crate) fn entries(&self) -> Result<HandlerEntries, Failure> {
        let mut entries = match (&self.config, &self.config_text) {
            (Some(config), Some(text)) => crate::config::handlers_in(config, text)?,
            (Some(_), None) | (None, _) => HandlerEntries::default(),
        };
        if let Some(path) = &self.handlers {
            let name = path.display().to_string();
            let more = match &self.handlers_text {
                Some(text) => HandlerEntries::parse(&name, text),
                None => HandlerEntries::parse(&name, &handlers_text(path)?),
            };
            entries.overlay(more?);
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_notes_are_read_back() {
        let note = Note {
            from: FROM.to_owned(),
            folder: "/w".into(),
            handlers: Some("/w/h.toml".into()),
            handlers_text: Some("[handlers]".to_owned()),
            config: None,
            config_text: None,
            allow: "shell".parse().unwrap(),
            dialects: Some(DialectSettings::default()),
        };
        let text = note.to_text().unwrap();
        assert_eq!(Note::parse(Some(&text)), Some(note));
        for other in [
            None,
            Some("hello"),
            Some("{}"),
            Some(text.replace("run", "x").as_str()),
        ] {
            assert_eq!(Note::parse(other), None, "{other:?}");
        }
    }
}
