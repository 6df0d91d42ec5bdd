//! Progress on a terminal: what has happened scrolls, what is going on stands below it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use windlass::{ActivationId, RunDetail, RunId, StepStatus, StepView};

use crate::text::short;

/// Lines below the scrolling part: more than a screen helps nobody.
const LINES_MAX: usize = 20;

/// How often the spinners turn.
const TURN: Duration = Duration::from_millis(120);

/// The screen that is drawn on, for those who write beside it.
static SCREEN: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Writes something to stderr while nothing is drawn there, so that no line of what is going on
/// stays behind.
pub(crate) fn beside<T>(write: impl FnOnce() -> T) -> T {
    let screen = SCREEN
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    match screen {
        Some(screen) => screen.suspend(write),
        None => write(),
    }
}

/// The view.
pub(super) struct Live {
    screen: MultiProgress,
    lines: HashMap<(RunId, String, Option<ActivationId>), ProgressBar>,
    style: ProgressStyle,
}

impl Live {
    /// An empty view on stderr.
    pub(super) fn start() -> Self {
        let style = ProgressStyle::with_template("{spinner} {prefix} {msg} {elapsed}");
        let screen = MultiProgress::new();
        *SCREEN.lock().unwrap_or_else(PoisonError::into_inner) = Some(screen.clone());
        Self {
            screen,
            lines: HashMap::new(),
            // The template is ours and valid; the default style shows less.
            style: style.unwrap_or_else(|_| ProgressStyle::default_spinner()),
        }
    }

    /// Adds a line to the scrolling part.
    pub(super) fn say(&self, line: &str) {
        // Without a terminal any more there is nobody to tell.
        let _ = self.screen.println(line);
    }

    /// Redraws what is going on in a run.
    pub(super) fn draw(&mut self, detail: &RunDetail) {
        let run = detail.summary.run;
        let going_on = |step: &&StepView| {
            step.activation.is_some()
                && matches!(step.status, StepStatus::Running | StepStatus::Waiting)
        };
        let steps: Vec<_> = detail
            .steps
            .iter()
            .filter(going_on)
            .map(|step| ((run, step.step.clone(), step.activation), step))
            .collect();
        self.lines.retain(|key, line| {
            let stays = key.0 != run || steps.iter().any(|(shown, _)| shown == key);
            if !stays {
                line.finish_and_clear();
                self.screen.remove(line);
            }
            stays
        });
        for (key, step) in steps {
            if !self.lines.contains_key(&key) && self.lines.len() >= LINES_MAX {
                continue;
            }
            let line = self.lines.entry(key).or_insert_with(|| {
                let line = self.screen.add(ProgressBar::new_spinner());
                line.set_style(self.style.clone());
                line.set_prefix(format!("{} {}", short(run), step.step));
                line.enable_steady_tick(TURN);
                line
            });
            line.set_message(match step.attempt {
                0 | 1 => step.status.to_string(),
                attempt => format!("{}, attempt {attempt}", step.status),
            });
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        for line in self.lines.values() {
            line.finish_and_clear();
        }
        *SCREEN.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
