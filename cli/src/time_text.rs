//! Times and durations as people read and write them.
//!
//! Durations are a number and a unit (`200ms`, `10m`, `30d`, `1h30m`); a day is 24 hours. Points
//! in time are RFC 3339 in UTC.

use std::time::Duration;

use jiff::SpanRelativeTo;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration as it stands in files, variables and flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DurationText(pub(crate) Duration);

impl std::str::FromStr for DurationText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || {
            format!(
                "{text:?} is no duration; write a number and a unit, such as 200ms, 10s, 5m, 1h or 30d"
            )
        };
        let span: jiff::Span = text.trim().parse().map_err(|_| refused())?;
        let signed = span
            .to_duration(SpanRelativeTo::days_are_24_hours())
            .map_err(|_| refused())?;
        Duration::try_from(signed).map(Self).map_err(|_| refused())
    }
}

impl std::fmt::Display for DurationText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (seconds, millis) = (self.0.as_secs(), self.0.subsec_millis());
        if seconds == 0 && millis == 0 {
            return f.write_str("0s");
        }
        let units = [
            (seconds / 86_400, "d"),
            (seconds / 3_600 % 24, "h"),
            (seconds / 60 % 60, "m"),
            (seconds % 60, "s"),
            (u64::from(millis), "ms"),
        ];
        units
            .iter()
            .filter(|(count, _)| *count > 0)
            .try_for_each(|(count, unit)| write!(f, "{count}{unit}"))
    }
}

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for DurationText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Microseconds since 1970 as RFC 3339 in UTC.
pub(crate) fn rfc3339(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros)
        .map_or_else(|_| micros.to_string(), |at| at.to_string())
}

/// The same without fractions of a second.
pub(crate) fn rfc3339_seconds(micros: i64) -> String {
    rfc3339(micros.div_euclid(1_000_000).saturating_mul(1_000_000))
}

/// How long something took, short: `0.21s`, `3m12s`.
pub(crate) fn elapsed(duration: Duration) -> String {
    if duration < Duration::from_mins(1) {
        format!("{:.2}s", duration.as_secs_f64())
    } else {
        DurationText(Duration::from_secs(duration.as_secs())).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_back_as_they_print() {
        for (text, millis) in [
            ("200ms", 200),
            ("1s", 1_000),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("30d", 2_592_000_000),
            ("0s", 0),
        ] {
            let parsed: DurationText = text.parse().unwrap();
            assert_eq!(parsed.0, Duration::from_millis(millis), "{text}");
            assert_eq!(parsed.to_string(), text);
        }
        for wrong in ["", "5", "5 parsecs", "-1s", "1y"] {
            let refusal = wrong.parse::<DurationText>().unwrap_err();
            assert!(refusal.contains("is no duration"), "{wrong}: {refusal}");
        }
    }

    #[test]
    fn times_print_in_utc() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_700_000_000_250_000), "2023-11-14T22:13:20.25Z");
        assert_eq!(elapsed(Duration::from_millis(210)), "0.21s");
        assert_eq!(elapsed(Duration::from_millis(192_400)), "3m12s");
    }
}
