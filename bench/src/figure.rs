//! What one round of a workload found.

use serde::{Deserialize, Serialize};

/// One figure of one round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What it is; the same in every round.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// The figure.
    pub value: f64,
    /// What it is compared with, measured in the same round.
    pub reference: Option<Reference>,
    /// What the figure was made of, in its unit, where that is worth a plot.
    pub samples: Vec<f64>,
}

/// A figure to compare with, in the same unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// What it is.
    pub name: String,
    /// The figure.
    pub value: f64,
}

impl Figure {
    /// A figure that stands alone.
    pub fn new(name: impl Into<String>, unit: &str, value: f64) -> Self {
        Self {
            name: name.into(),
            unit: unit.to_owned(),
            value,
            reference: None,
            samples: Vec::new(),
        }
    }

    /// The same, compared with `value`, which is called `name`.
    #[must_use]
    pub fn against(mut self, name: impl Into<String>, value: f64) -> Self {
        self.reference = Some(Reference {
            name: name.into(),
            value,
        });
        self
    }

    /// The same, with what it was made of.
    #[must_use]
    pub fn of(mut self, samples: Vec<f64>) -> Self {
        self.samples = samples;
        self
    }
}

/// What a figure is to reach under one durability.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    /// The figure's name.
    pub figure: &'static str,
    /// Under which durability it is to be reached.
    pub under: crate::Durability,
    /// The bound.
    pub bound: Bound,
}

/// How a figure is judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// The median is at least so much.
    AtLeast(f64),
    /// The median is at most so much.
    AtMost(f64),
    /// The median is at least so many times its reference.
    RatioAtLeast(f64),
    /// The median is at most so many times its reference.
    RatioAtMost(f64),
}

impl Bound {
    /// Whether a median, and its ratio to what it is compared with, are good enough. `None`: there
    /// is nothing to compare with.
    pub fn is_met(self, median: f64, ratio: Option<f64>) -> Option<bool> {
        match self {
            Self::AtLeast(bound) => Some(median >= bound),
            Self::AtMost(bound) => Some(median <= bound),
            Self::RatioAtLeast(bound) => ratio.map(|ratio| ratio >= bound),
            Self::RatioAtMost(bound) => ratio.map(|ratio| ratio <= bound),
        }
    }

    /// In words, for a figure that is compared with `reference`.
    pub fn text(self, reference: Option<&str>) -> String {
        let reference = reference.unwrap_or("nothing");
        match self {
            Self::AtLeast(bound) => format!("≥ {bound}"),
            Self::AtMost(bound) => format!("≤ {bound}"),
            Self::RatioAtLeast(bound) => format!("≥ {bound} × {reference}"),
            Self::RatioAtMost(bound) => format!("≤ {bound} × {reference}"),
        }
    }
}
