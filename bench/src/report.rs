//! What all rounds found, as a table and as JSON.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};
use windlass::SQLITE_VERSION;

use crate::figure::{Bound, Figure};
use crate::setting::{Durability, PAYLOAD_BYTES, Sizes};
use crate::stats::{least, median, most, percentile, rounded, sorted, spread};
use crate::workloads::Workload;

/// Everything that was measured, and on what.
#[derive(Debug)]
pub struct Report {
    /// The machine, in one line.
    pub machine: String,
    /// Runner threads of each engine.
    pub runners: usize,
    /// Jobs that each channel held; the engine's default if not given.
    pub capacity: Option<usize>,
    /// How large the workloads were.
    pub sizes: Sizes,
    /// One for each workload, durability and figure, in the order of measurement.
    pub rows: Vec<Row>,
}

/// All rounds of one figure.
#[derive(Clone, Debug)]
pub struct Row {
    /// Of which workload.
    pub workload: Workload,
    /// Under which durability.
    pub durability: Durability,
    /// The figure of each round; all have the same name and unit.
    pub rounds: Vec<Figure>,
}

impl Row {
    /// What the figure is.
    pub fn name(&self) -> &str {
        self.rounds.first().map_or("", |figure| &figure.name)
    }

    /// Its unit.
    pub fn unit(&self) -> &str {
        self.rounds.first().map_or("", |figure| &figure.unit)
    }

    /// The figure of each round.
    pub fn values(&self) -> Vec<f64> {
        self.rounds.iter().map(|figure| figure.value).collect()
    }

    /// What it is compared with, in each round.
    pub fn references(&self) -> Vec<f64> {
        let references = self
            .rounds
            .iter()
            .filter_map(|figure| figure.reference.as_ref());
        references.map(|reference| reference.value).collect()
    }

    /// What it is compared with.
    pub fn reference_name(&self) -> Option<&str> {
        let reference = self.rounds.first()?.reference.as_ref()?;
        Some(&reference.name)
    }

    /// The median of each round's ratio to what it is compared with.
    pub fn ratio(&self) -> Option<f64> {
        let ratios: Vec<f64> = self
            .rounds
            .iter()
            .filter_map(|figure| Some((figure.value, figure.reference.as_ref()?.value)))
            .filter(|(_, reference)| *reference > 0.0)
            .map(|(value, reference)| value / reference)
            .collect();
        (!ratios.is_empty()).then(|| median(&ratios))
    }

    fn goals(&self) -> Vec<(Bound, Option<bool>)> {
        let median = median(&self.values());
        let goals = self.workload.goals().iter();
        goals
            .filter(|goal| goal.figure == self.name() && goal.under == self.durability)
            .map(|goal| (goal.bound, goal.bound.is_met(median, self.ratio())))
            .collect()
    }

    fn json(&self) -> Json {
        let values = self.values();
        let samples: Vec<f64> = self
            .rounds
            .iter()
            .flat_map(|figure| figure.samples.iter().copied())
            .collect();
        let references = self.references();
        let mut row = json!({
            "workload": self.workload.letter(),
            "about": self.workload.about(),
            "durability": self.durability,
            "figure": self.name(),
            "unit": self.unit(),
            "median": rounded(median(&values)),
            "min": rounded(least(&values)),
            "max": rounded(most(&values)),
            "spread": rounded(spread(&values)),
            "rounds": values.iter().copied().map(rounded).collect::<Vec<_>>(),
            "goals": self.goals().into_iter().map(|(bound, met)| json!({
                "goal": bound.text(self.reference_name()),
                "met": met,
            })).collect::<Vec<_>>(),
        });
        if let Some(name) = self.reference_name() {
            row["reference"] = json!({
                "name": name,
                "median": rounded(median(&references)),
                "min": rounded(least(&references)),
                "max": rounded(most(&references)),
                "rounds": references.iter().copied().map(rounded).collect::<Vec<_>>(),
            });
            row["ratio"] = json!(self.ratio().map(rounded));
        }
        if !samples.is_empty() {
            let samples = sorted(&samples);
            let percentiles = [50.0, 90.0, 99.0, 99.9, 100.0].map(|percent| {
                (
                    format!("p{percent}"),
                    rounded(percentile(&samples, percent)),
                )
            });
            row["percentiles"] = percentiles
                .into_iter()
                .map(|(name, value)| (name, json!(value)))
                .collect::<serde_json::Map<_, _>>()
                .into();
            row["samples"] = json!(samples.into_iter().map(rounded).collect::<Vec<_>>());
        }
        row
    }

    fn line(&self) -> [String; 8] {
        let values = self.values();
        let references = self.references();
        let goals: Vec<_> = self
            .goals()
            .into_iter()
            .map(|(bound, met)| {
                let verdict = match met {
                    Some(true) => "met",
                    Some(false) => "MISSED",
                    None => "not compared",
                };
                format!("{} {verdict}", bound.text(self.reference_name()))
            })
            .collect();
        [
            format!("{} {}", self.workload, self.name()),
            self.durability.name().to_owned(),
            format!("{} {}", number(median(&values)), self.unit()),
            format!("{}..{}", number(least(&values)), number(most(&values))),
            values.len().to_string(),
            self.reference_name().map_or_else(String::new, |name| {
                format!("{name} {}", number(median(&references)))
            }),
            self.ratio()
                .map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            goals.join("; "),
        ]
    }
}

impl Report {
    /// The shape of `--json`.
    pub fn json(&self) -> Json {
        json!({
            "machine": self.machine,
            "sqlite": SQLITE_VERSION.to_string_lossy(),
            "windlass": env!("CARGO_PKG_VERSION"),
            "settings": {
                "runners": self.runners,
                "capacity": self.capacity,
                "history": "all",
                "payload_bytes": PAYLOAD_BYTES,
                "sizes": self.sizes,
            },
            "results": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
        })
    }

    /// Lines for people.
    pub fn text(&self) -> String {
        let mut durabilities: Vec<_> = self.rows.iter().map(|row| row.durability.name()).collect();
        durabilities.dedup();
        durabilities.sort_unstable();
        durabilities.dedup();
        let mut text = format!(
            "windlass {}, SQLite {}, durability {}\n{}\n{} runners, channel of {}, history all, payload of {PAYLOAD_BYTES} bytes\n\n",
            env!("CARGO_PKG_VERSION"),
            SQLITE_VERSION.to_string_lossy(),
            durabilities.join(" and "),
            self.machine,
            self.runners,
            self.capacity
                .map_or_else(|| "default length".to_owned(), |jobs| jobs.to_string()),
        );
        let heading = [
            "WORKLOAD",
            "SYNC",
            "MEDIAN",
            "MIN..MAX",
            "ROUNDS",
            "COMPARED WITH",
            "RATIO",
            "GOAL",
        ];
        let mut lines = vec![heading.map(str::to_owned)];
        lines.extend(self.rows.iter().map(Row::line));
        text.push_str(&table(&lines));
        text
    }
}

/// Columns as wide as their widest cell.
fn table(lines: &[[String; 8]]) -> String {
    let mut text = String::new();
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..8).map(width).collect();
    for line in lines {
        let mut row = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            // Writing to a string cannot fail.
            let _ = write!(row, "{cell:<width$}  ");
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

/// As many digits as one can use.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_compares_round_by_round_and_judges_the_median() {
        let round = |value, raw| Figure::new("rate", "jobs/s", value).against("raw SQLite", raw);
        let row = Row {
            workload: Workload::A,
            durability: Durability::Full,
            rounds: vec![round(60.0, 100.0), round(150.0, 200.0), round(70.0, 100.0)],
        };
        assert!((row.ratio().unwrap() - 0.7).abs() < 1e-9);
        let goals = row.goals();
        assert_eq!(goals[0], (Bound::RatioAtLeast(0.6), Some(true)));
        assert_eq!(goals[1], (Bound::AtLeast(150_000.0), Some(false)));
        let json = row.json();
        assert_eq!(json["median"], 70.0);
        assert_eq!(json["reference"]["median"], 100.0);
    }
}
