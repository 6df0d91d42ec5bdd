//! The workloads, one file each: what is done in a round, and what its figures are to reach.

use std::fmt;
use std::str::FromStr;

use crate::error::Result;
use crate::figure::{Figure, Goal};
use crate::setting::Setting;

pub(crate) mod backlog;
pub(crate) mod idle_latency;
pub(crate) mod in_memory;
pub(crate) mod noop_jobs;
pub(crate) mod payload;
pub(crate) mod processes;
pub(crate) mod producers;
pub(crate) mod recovery;
pub(crate) mod split_join;
pub(crate) mod start;
pub(crate) mod wide_split;

macro_rules! workloads {
    ($($letter:ident $module:ident $about:literal),+ $(,)?) => {
        /// A workload, by its letter.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Workload {
            $(#[doc = $about] $letter),+
        }

        impl Workload {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$letter),+];

            /// Its letter.
            pub fn letter(self) -> &'static str {
                match self { $(Self::$letter => stringify!($letter)),+ }
            }

            /// What it is, in a few words.
            pub fn about(self) -> &'static str {
                match self { $(Self::$letter => $about),+ }
            }

            /// What its figures are to reach.
            pub fn goals(self) -> &'static [Goal] {
                match self { $(Self::$letter => $module::GOALS),+ }
            }

            /// Measures once. The figures come in the same order every time.
            ///
            /// # Errors
            /// [`BenchError`](crate::BenchError); then there is no figure of this round.
            pub fn round(self, setting: &Setting) -> Result<Vec<Figure>> {
                match self { $(Self::$letter => $module::round(setting)),+ }
            }
        }
    };
}

workloads! {
    A noop_jobs "no-op jobs, schedule → done, one producer in bulks",
    B split_join "workflow of 3 steps, split of 4, join, 1 step (8 steps)",
    C idle_latency "idle engine, schedule → step starts",
    D backlog "long backlog: rate, memory and opening",
    E producers "producers at once, each awaiting its own acknowledgement",
    F wide_split "one run that splits into very many branches and joins them",
    G recovery "killed with jobs queued and steps running, opened again",
    H processes "processes on one file, each scheduling and running",
    I in_memory "no-op jobs on the store in memory",
    J payload "no-op jobs with larger payloads",
    K start "start of the binary to its first job",
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.letter())
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let known = Self::ALL
            .iter()
            .find(|workload| workload.letter().eq_ignore_ascii_case(text));
        known.copied().ok_or_else(|| {
            let letters: Vec<_> = Self::ALL.iter().map(|workload| workload.letter()).collect();
            format!(
                "there is no workload {text}: take {} or all",
                letters.join(", ")
            )
        })
    }
}

/// Does both; in every other round the second one goes first, so that neither always finds the
/// disk and the processor as the other left them.
fn in_turns<A, B>(
    setting: &Setting,
    first: impl FnOnce() -> Result<A>,
    second: impl FnOnce() -> Result<B>,
) -> Result<(A, B)> {
    if setting.round.is_multiple_of(2) {
        let first = first()?;
        Ok((first, second()?))
    } else {
        let second = second()?;
        Ok((first()?, second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_is_found_by_its_letter() {
        assert_eq!("a".parse(), Ok(Workload::A));
        assert!("Z".parse::<Workload>().unwrap_err().contains("A, B"));
    }
}
