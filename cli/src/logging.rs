//! Log lines of the engine, on stderr.

use std::fmt;
use std::io::{self, IsTerminal};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, fmt};
use tracing_subscriber::registry::LookupSpan;

use crate::clock::now_micros;
use crate::failure::Failure;
use crate::progress::beside;
use crate::suggestion::did_you_mean;
use crate::time_text::rfc3339_seconds;

/// The levels, from few lines to many.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Begins to log what the filter lets through.
///
/// A level alone gives lines like our own; filters are for people who look for a module, which
/// those lines then name.
///
/// # Errors
/// The filter is no filter.
pub(crate) fn start(filter: &str) -> Result<(), Failure> {
    let refused = |why| Failure::refused(format!("log: {why}"));
    check(filter).map_err(refused)?;
    let lines = EnvFilter::try_new(filter).map_err(|error| refused(wrong(filter, &error)))?;
    let builder = fmt()
        .with_env_filter(lines)
        .with_writer(|| Beside)
        .with_ansi(io::stderr().is_terminal());
    if LEVELS.contains(&filter) {
        builder.event_format(OwnLine).init();
    } else {
        builder.init();
    }
    Ok(())
}

/// Whether the text is a filter; a lone word must be a level, for as the name of a module it would
/// silence everything else.
///
/// # Errors
/// What is wrong with it, and how to fix it.
pub(crate) fn check(filter: &str) -> Result<(), String> {
    let mut words = filter.split(',').map(str::trim);
    let levels = || LEVELS.join(", ");
    if filter.trim().is_empty() {
        return Err(format!("a level is missing; levels are {}", levels()));
    }
    let unknown = words.find_map(|word| {
        let level = word.rsplit_once('=').map_or(word, |(_, level)| level);
        let known = LEVELS.iter().any(|name| name.eq_ignore_ascii_case(level));
        (!known && !word.contains('[')).then_some(level)
    });
    if let Some(level) = unknown {
        let hint = match did_you_mean(level, LEVELS) {
            hint if hint.starts_with("did") => format!("; {hint}"),
            _ => String::new(),
        };
        return Err(format!(
            "{level:?} is no level; levels are {}, also for one module as in windlass=debug{hint}",
            levels()
        ));
    }
    let read = EnvFilter::try_new(filter);
    read.map(drop).map_err(|error| wrong(filter, &error))
}

fn wrong(filter: &str, error: &impl fmt::Display) -> String {
    format!("{filter:?} is no filter ({error}); write a level such as warn, or windlass=debug")
}

/// Stderr, beside what is drawn there.
struct Beside;

impl io::Write for Beside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        beside(|| io::stderr().lock().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

/// A log line that reads like our other lines: no module, no colours.
struct OwnLine;

impl<S, N> FormatEvent<S, N> for OwnLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let word = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warning",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        write!(writer, "{} {word}: ", rfc3339_seconds(now_micros()))?;
        ctx.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_level_or_levels_of_modules() {
        for good in ["warn", "OFF", "info,windlass=debug", "windlass[run]=trace"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (wrong, word) in [
            ("wran", "did you mean \"warn\"?"),
            ("windlass=loud", "\"loud\" is no level; levels are off"),
            ("windlass", "windlass=debug"),
            ("", "missing"),
        ] {
            let refusal = check(wrong).unwrap_err();
            assert!(refusal.contains(word), "{refusal}");
        }
    }
}
