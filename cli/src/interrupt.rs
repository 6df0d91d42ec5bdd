//! Ctrl-C and SIGTERM: the first asks to stop, the second stops at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::{Exit, Failure};
use crate::stdout::say;

/// Whether somebody asked this process to stop, and what is to be said if it must stop at once.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    asked: Arc<AtomicBool>,
    last_words: Arc<Mutex<Vec<String>>>,
}

impl Interrupt {
    /// From now on the first signal is noted, and the second says the last words and ends the
    /// process with exit code 130; the guards then end the programs of running steps.
    pub(crate) fn watch() -> Result<Self, Failure> {
        let broken_off = |error| Failure::broken_off(&error);
        let interrupt = Self {
            asked: Arc::new(AtomicBool::new(false)),
            last_words: Arc::default(),
        };
        // Whoever reads stderr may be stuck: the signal after the last words waits for nobody.
        let ending = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            let (code, ending) = (Exit::Interrupted as i32, Arc::clone(&ending));
            signal_hook::flag::register_conditional_shutdown(signal, code, ending)
                .map_err(broken_off)?;
        }
        let signals = Signals::new([SIGINT, SIGTERM]).map_err(broken_off)?;
        let watcher = interrupt.clone();
        std::thread::Builder::new()
            .name("windlass-signals".to_owned())
            .spawn(move || watcher.listen(signals, &ending))
            .map_err(broken_off)?;
        Ok(interrupt)
    }

    /// Whether the first signal has come.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Replaces what is said when the process must stop at once.
    pub(crate) fn set_last_words(&self, lines: Vec<String>) {
        *self
            .last_words
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = lines;
    }

    fn listen(&self, mut signals: Signals, ending: &AtomicBool) {
        for _ in signals.forever() {
            if !self.asked.swap(true, Ordering::Relaxed) {
                continue;
            }
            ending.store(true, Ordering::Relaxed);
            let lines = self
                .last_words
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            lines.iter().for_each(say);
            // Neither the engine nor the guards need a word: a crash would do them no harm.
            signal_hook::low_level::exit(Exit::Interrupted as i32);
        }
    }
}
