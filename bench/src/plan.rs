//! Runs workloads round by round.

use std::path::PathBuf;

use crate::error::Result;
use crate::machine;
use crate::report::{Report, Row};
use crate::setting::{Durability, Setting, Sizes};
use crate::workloads::Workload;

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which, in this order.
    pub workloads: Vec<Workload>,
    /// Under which durabilities.
    pub durabilities: Vec<Durability>,
    /// How often; the median counts.
    pub rounds: u32,
    /// Where the databases live, which decides the disk that is measured.
    pub folder: PathBuf,
    /// Runner threads of each engine.
    pub runners: usize,
    /// Jobs that each channel holds; the engine's default if not given.
    pub capacity: Option<usize>,
    /// How large.
    pub sizes: Sizes,
    /// The binary `windlass`, which K starts.
    pub windlass: Option<PathBuf>,
}

impl Plan {
    /// Measures all of it; `say` is told each figure as soon as it is there.
    ///
    /// # Errors
    /// [`BenchError`](crate::BenchError) of the first round that gives no figure.
    pub fn run(&self, mut say: impl FnMut(&str)) -> Result<Report> {
        let mut rows = Vec::new();
        for workload in &self.workloads {
            for durability in &self.durabilities {
                rows.extend(self.rounds_of(*workload, *durability, &mut say)?);
            }
        }
        Ok(Report {
            machine: machine::describe(),
            runners: self.runners,
            capacity: self.capacity,
            sizes: self.sizes.clone(),
            rows,
        })
    }

    fn rounds_of(
        &self,
        workload: Workload,
        durability: Durability,
        say: &mut impl FnMut(&str),
    ) -> Result<Vec<Row>> {
        let mut rows: Vec<Row> = Vec::new();
        for round in 0..self.rounds {
            let figures = workload.round(&self.setting(durability, round))?;
            let first = figures.first();
            if let Some(figure) = first {
                say(&format!(
                    "{workload} {} {}/{}: {} {:.1} {}",
                    durability.name(),
                    round + 1,
                    self.rounds,
                    figure.name,
                    figure.value,
                    figure.unit,
                ));
            }
            for (place, figure) in figures.into_iter().enumerate() {
                match rows.get_mut(place) {
                    Some(row) => row.rounds.push(figure),
                    None => rows.push(Row {
                        workload,
                        durability,
                        rounds: vec![figure],
                    }),
                }
            }
        }
        Ok(rows)
    }

    /// What a workload is given in one round.
    pub fn setting(&self, durability: Durability, round: u32) -> Setting {
        Setting {
            folder: self.folder.clone(),
            durability,
            runners: self.runners,
            capacity: self.capacity,
            sizes: self.sizes.clone(),
            windlass: self.windlass.clone(),
            round,
        }
    }
}
