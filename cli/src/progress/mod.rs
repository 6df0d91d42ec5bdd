//! What a run is doing, while it does it: on stderr, live on a terminal and as log lines elsewhere.

mod live;
mod news;
mod plain;

use std::io::IsTerminal;

use windlass::RunDetail;

pub(crate) use live::beside;

use live::Live;
use news::News;

/// Shows runs as they go on.
pub(crate) struct Progress {
    news: News,
    live: Option<Live>,
}

impl Progress {
    /// A live view if stderr is a terminal.
    pub(crate) fn start() -> Self {
        let capable = std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        let live = (capable && std::io::stderr().is_terminal()).then(Live::start);
        Self {
            news: News::default(),
            live,
        }
    }

    /// From now on only counts what has ended in a run so far, for it did so before this process.
    pub(crate) fn skip(&mut self, before: &RunDetail) {
        if let Some(line) = self.news.skip(before) {
            self.say(&line);
        }
    }

    /// Shows what has changed in a run since the last look.
    pub(crate) fn look(&mut self, detail: &RunDetail) {
        for line in self.news.of(detail) {
            self.say(&line);
        }
        if let Some(live) = &mut self.live {
            live.draw(detail);
        }
    }

    /// Says something about the whole.
    pub(crate) fn say(&self, line: &str) {
        match &self.live {
            Some(view) => view.say(line),
            None => plain::say(line),
        }
    }
}
