//! A time that clocks show in a time zone, and when they show it next.
//!
//! Owns what happens when a zone's clocks are put forward or back. Pure: the rules of all zones are
//! compiled in, so no file, environment or clock is read and every machine gets the same answer.
//! Why with jiff and its bundled rules: ADRs/0014-times-of-day-come-from-jiff.md.

use std::fmt;
use std::sync::LazyLock;

use jiff::civil::{self, DateTime};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};
use jiff::{Span, ToSpan};
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Days that are looked at, today included. A chosen weekday comes within seven days; if the zone
/// leaves just that day out, within fourteen.
const DAYS_AHEAD_MAX: i32 = 15;

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A time as clocks of one zone show it, on every day or on some days of the week.
///
/// ```
/// use windlass_workflow_model::{TimeOfDay, Timestamp, Weekday};
///
/// let opening = TimeOfDay::parse("09:30", "Europe/Berlin")?.on([Weekday::Monday]);
/// let thursday = Timestamp(0); // 1970-01-01 was one
/// let days = 4 * 86_400_000_000;
/// let half_past_eight_utc = (8 * 60 + 30) * 60_000_000;
/// assert_eq!(opening.next_after(thursday)?, Timestamp(days + half_past_eight_utc));
/// # Ok::<(), windlass_workflow_model::TimeOfDayError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeOfDay {
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59. Default 0.
    #[serde(default)]
    pub second: u8,
    /// A name of the IANA time zone database, such as `Europe/Berlin`, or `UTC`.
    pub zone: String,
    /// The days, by that zone's calendar. Default empty, which means every day.
    #[serde(default)]
    pub weekdays: Vec<Weekday>,
}

/// A day of the week; its English name in lower case when written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// Why there is no such time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeOfDayError {
    /// The text is not hours, minutes and perhaps seconds.
    #[error("{0:?} is not a time of day: write it as 09:30, or with seconds as 09:30:15")]
    NotATime(String),
    /// It cannot be shown by a clock of that zone; all that [`TimeOfDay::problems`] found.
    #[error("{}", .0.join("; "))]
    Invalid(Vec<String>),
    /// The moment asked about, or the answer, is outside of the years -9999 to 9999.
    #[error("{time} after {} µs has no date: use a moment in the years -9999 to 9999", after.0)]
    OutOfRange {
        /// The time that was looked for.
        time: Box<TimeOfDay>,
        /// The moment that was asked about.
        after: Timestamp,
    },
}

impl TimeOfDay {
    /// `hour`:`minute`:00 in `zone`, every day. Not checked; [`problems`](Self::problems) does that.
    pub fn new(hour: u8, minute: u8, zone: impl Into<String>) -> Self {
        Self {
            hour,
            minute,
            second: 0,
            zone: zone.into(),
            weekdays: Vec::new(),
        }
    }

    /// Reads `09:30` or `09:30:15`, on a clock of 24 hours, every day.
    ///
    /// # Errors
    /// [`TimeOfDayError::NotATime`] if the text has another form, [`TimeOfDayError::Invalid`] if no
    /// clock of the zone shows that.
    pub fn parse(text: &str, zone: impl Into<String>) -> Result<Self, TimeOfDayError> {
        let refused = || TimeOfDayError::NotATime(text.to_owned());
        let parts: Option<Vec<u8>> = text.split(':').map(two_digits).collect();
        let (hour, minute, second) = match parts.as_deref() {
            Some([hour, minute]) => (*hour, *minute, 0),
            Some([hour, minute, second]) => (*hour, *minute, *second),
            _ => return Err(refused()),
        };
        let time = Self {
            second,
            ..Self::new(hour, minute, zone)
        };
        time.checked()?;
        Ok(time)
    }

    /// The same time, on these days of the week only; none is every day.
    #[must_use]
    pub fn on(mut self, weekdays: impl IntoIterator<Item = Weekday>) -> Self {
        self.weekdays = weekdays.into_iter().collect();
        self
    }

    /// What is wrong with it: what, why and how to fix it. Empty if it can be used.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let parts = [
            ("hour", self.hour, 23),
            ("minute", self.minute, 59),
            ("second", self.second, 59),
        ];
        for (part, value, max) in parts {
            if value > max {
                problems.push(format!(
                    "{part} {value}, which no clock shows; use 0 to {max}"
                ));
            }
        }
        if zone(&self.zone).is_none() {
            problems.push(format!(
                "no rules are known for time zone {:?}; use a name of the IANA time zone database, \
                 such as Europe/Berlin, or UTC",
                self.zone
            ));
        }
        problems
    }

    /// The next moment, strictly after `now`, at which clocks of the zone show this time.
    ///
    /// Once on each of its days: where clocks are put forward over the time, the moment at which
    /// that happens; where they are put back and show it twice, the first of the two. A day that
    /// the zone leaves out (Samoa, 2011-12-30) has none.
    ///
    /// # Errors
    /// [`TimeOfDayError::Invalid`] with all [`problems`](Self::problems), or
    /// [`TimeOfDayError::OutOfRange`] at the end of the calendar.
    pub fn next_after(&self, now: Timestamp) -> Result<Timestamp, TimeOfDayError> {
        let (zone, time) = self.checked()?;
        self.search(&zone, time, now)
            .ok()
            .flatten()
            .ok_or_else(|| TimeOfDayError::OutOfRange {
                time: Box::new(self.clone()),
                after: now,
            })
    }

    /// Begins with today: clocks that are put back show a time of yesterday again, but that is the
    /// second of two.
    fn search(
        &self,
        zone: &TimeZone,
        time: civil::Time,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, jiff::Error> {
        let today = zone
            .to_datetime(jiff::Timestamp::from_microsecond(now.0)?)
            .date();
        for days in 0..DAYS_AHEAD_MAX {
            let day = today.checked_add(days.days())?;
            if !self.is_on(day) {
                continue;
            }
            let moment = shown(zone, day.to_datetime(time))?;
            if let Some(moment) = moment.filter(|moment| *moment > now) {
                return Ok(Some(moment));
            }
        }
        Ok(None)
    }

    fn is_on(&self, day: civil::Date) -> bool {
        self.weekdays.is_empty() || self.weekdays.contains(&day.weekday().into())
    }

    fn checked(&self) -> Result<(TimeZone, civil::Time), TimeOfDayError> {
        let problems = self.problems();
        let part = |value: u8| i8::try_from(value).unwrap_or(i8::MAX);
        let time = civil::Time::new(part(self.hour), part(self.minute), part(self.second), 0);
        match (zone(&self.zone), time) {
            (Some(zone), Ok(time)) if problems.is_empty() => Ok((zone, time)),
            _ => Err(TimeOfDayError::Invalid(problems)),
        }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hour, minute, second) = (self.hour, self.minute, self.second);
        write!(f, "{hour:02}:{minute:02}:{second:02} {}", self.zone)
    }
}

impl From<civil::Weekday> for Weekday {
    fn from(day: civil::Weekday) -> Self {
        match day {
            civil::Weekday::Monday => Self::Monday,
            civil::Weekday::Tuesday => Self::Tuesday,
            civil::Weekday::Wednesday => Self::Wednesday,
            civil::Weekday::Thursday => Self::Thursday,
            civil::Weekday::Friday => Self::Friday,
            civil::Weekday::Saturday => Self::Saturday,
            civil::Weekday::Sunday => Self::Sunday,
        }
    }
}

fn two_digits(text: &str) -> Option<u8> {
    let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

fn zone(name: &str) -> Option<TimeZone> {
    ZONES.get(name).ok().filter(|zone| !zone.is_unknown())
}

/// When clocks of the zone show `wanted` first, or jump over it; `None` if its whole day is left out.
fn shown(zone: &TimeZone, wanted: DateTime) -> Result<Option<Timestamp>, jiff::Error> {
    let offset = match zone.to_ambiguous_timestamp(wanted).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Fold { before, .. } => before,
        AmbiguousOffset::Gap { before, after } => return jumped(zone, wanted, before, after),
    };
    let moment = offset.to_timestamp(wanted)?;
    Ok(Some(Timestamp(moment.as_microsecond())))
}

/// When clocks are put forward over `wanted`.
fn jumped(
    zone: &TimeZone,
    wanted: DateTime,
    before: Offset,
    after: Offset,
) -> Result<Option<Timestamp>, jiff::Error> {
    // By the new offset the time would have been before the jump, by the old one it is not.
    let earliest = after.to_timestamp(wanted)?;
    let Some(jump) = zone
        .following(earliest)
        .map(|transition| transition.timestamp())
        .find(|moment| zone.to_offset(*moment) == after)
    else {
        return Ok(None);
    };
    let midnight = wanted.date().to_datetime(civil::Time::midnight());
    let day: Span = 1.day();
    let whole_day = before.to_datetime(jump) <= midnight
        && after.to_datetime(jump) >= midnight.checked_add(day)?;
    Ok((!whole_day).then(|| Timestamp(jump.as_microsecond())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next moments after `now` at which `time` is shown, all written as in RFC 3339.
    fn check(time: &TimeOfDay, now: &str, expected: &[&str]) {
        let read = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
        let mut moment = Timestamp(read(now).as_microsecond());
        for expected in expected {
            let next = time.next_after(moment).unwrap();
            let shown = jiff::Timestamp::from_microsecond(next.0).unwrap();
            assert_eq!(shown, read(expected), "{time} after {}", moment.0);
            moment = next;
        }
    }

    #[test]
    fn the_next_moment_is_the_one_that_clocks_of_the_zone_show() {
        // Time, zone, now, and then the moments with the offset that they have there.
        let cases: &[(&str, &str, &str, &[&str])] = &[
            // Strictly after now, to the microsecond.
            (
                "09:30",
                "UTC",
                "2026-06-01T09:29:59.999999Z",
                &["2026-06-01T09:30:00Z", "2026-06-02T09:30:00Z"],
            ),
            // Berlin, forward on 2026-03-29 from 02:00 to 03:00 and back on 2026-10-25.
            (
                "09:30",
                "Europe/Berlin",
                "2026-03-28T00:00:00Z",
                &[
                    "2026-03-28T09:30:00+01:00",
                    "2026-03-29T09:30:00+02:00",
                    "2026-03-30T09:30:00+02:00",
                ],
            ),
            (
                "02:30",
                "Europe/Berlin",
                "2026-03-28T12:00:00Z",
                &["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"],
            ),
            (
                "02:00",
                "Europe/Berlin",
                "2026-03-28T12:00:00Z",
                &["2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"],
            ),
            (
                "03:00",
                "Europe/Berlin",
                "2026-03-28T12:00:00Z",
                &["2026-03-29T03:00:00+02:00", "2026-03-30T03:00:00+02:00"],
            ),
            (
                "02:30",
                "Europe/Berlin",
                "2026-10-24T12:00:00Z",
                &["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"],
            ),
            // Asked between the two: the second is not taken.
            (
                "02:30",
                "Europe/Berlin",
                "2026-10-25T02:45:00+02:00",
                &["2026-10-26T02:30:00+01:00"],
            ),
            (
                "02:30",
                "Europe/Berlin",
                "2026-10-25T02:15:00+01:00",
                &["2026-10-26T02:30:00+01:00"],
            ),
            (
                "03:00",
                "Europe/Berlin",
                "2026-10-25T02:30:00+02:00",
                &["2026-10-25T03:00:00+01:00", "2026-10-26T03:00:00+01:00"],
            ),
            // New York, forward on 2026-03-08 and back on 2026-11-01, both at 02:00.
            (
                "02:30:15",
                "America/New_York",
                "2026-03-07T12:00:00Z",
                &["2026-03-08T03:00:00-04:00", "2026-03-09T02:30:15-04:00"],
            ),
            (
                "01:30",
                "America/New_York",
                "2026-11-01T00:00:00-04:00",
                &["2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"],
            ),
            // Far beyond the table of known changes, where only the rule is left.
            (
                "02:30",
                "America/New_York",
                "2100-03-13T12:00:00Z",
                &["2100-03-14T03:00:00-04:00", "2100-03-15T02:30:00-04:00"],
            ),
            // Lord Howe moves by half an hour: forward on 2026-10-04, back on 2026-04-05.
            (
                "02:15",
                "Australia/Lord_Howe",
                "2026-10-03T12:00:00Z",
                &["2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"],
            ),
            (
                "01:45",
                "Australia/Lord_Howe",
                "2026-04-04T12:00:00Z",
                &["2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"],
            ),
            // Clocks that are put forward into the next day, and back into the day before.
            (
                "23:30",
                "America/Nuuk",
                "2026-03-28T12:00:00Z",
                &["2026-03-29T00:00:00-01:00", "2026-03-29T23:30:00-01:00"],
            ),
            (
                "23:30",
                "America/Nuuk",
                "2026-10-24T23:45:00-01:00",
                &["2026-10-25T23:30:00-02:00"],
            ),
            // At the date line, with the largest and the smallest offset.
            (
                "00:00",
                "Pacific/Kiritimati",
                "2026-01-01T09:59:59Z",
                &["2026-01-02T00:00:00+14:00", "2026-01-03T00:00:00+14:00"],
            ),
            (
                "23:59:59",
                "Pacific/Pago_Pago",
                "2026-01-01T11:00:00Z",
                &["2026-01-01T23:59:59-11:00"],
            ),
            // Samoa went over the line and left 2011-12-30 out.
            (
                "09:30",
                "Pacific/Apia",
                "2011-12-29T00:00:00Z",
                &[
                    "2011-12-29T09:30:00-10:00",
                    "2011-12-31T09:30:00+14:00",
                    "2012-01-01T09:30:00+14:00",
                ],
            ),
            // Kwajalein went over it the other way in 1969 and had most of a day twice.
            (
                "12:00",
                "Pacific/Kwajalein",
                "1969-09-30T00:00:00Z",
                &["1969-09-30T12:00:00+11:00", "1969-10-01T12:00:00-12:00"],
            ),
            // Leap day, no leap day, year end.
            (
                "12:00",
                "UTC",
                "2028-02-28T12:00:00Z",
                &["2028-02-29T12:00:00Z", "2028-03-01T12:00:00Z"],
            ),
            (
                "12:00",
                "UTC",
                "2100-02-28T12:00:00Z",
                &["2100-03-01T12:00:00Z"],
            ),
            (
                "00:00",
                "Asia/Kolkata",
                "2026-12-31T12:00:00Z",
                &["2027-01-01T00:00:00+05:30"],
            ),
            // Before the epoch.
            (
                "00:00",
                "UTC",
                "1969-12-31T23:59:59.999999Z",
                &["1970-01-01T00:00:00Z"],
            ),
        ];
        for (text, zone, now, expected) in cases {
            check(&TimeOfDay::parse(text, *zone).unwrap(), now, expected);
        }
    }

    #[test]
    fn a_weekday_is_one_of_the_zones_calendar() {
        use Weekday::{Friday, Monday, Sunday, Wednesday};
        let cases: &[(&str, &str, &[Weekday], &str, &[&str])] = &[
            // A Monday in Auckland begins on Sunday by UTC.
            (
                "08:00",
                "Pacific/Auckland",
                &[Monday],
                "2026-11-20T00:00:00Z",
                &["2026-11-22T19:00:00Z", "2026-11-29T19:00:00Z"],
            ),
            (
                "08:00",
                "UTC",
                &[Friday, Monday, Wednesday],
                "2026-11-22T00:00:00Z",
                &[
                    "2026-11-23T08:00:00Z",
                    "2026-11-25T08:00:00Z",
                    "2026-11-27T08:00:00Z",
                    "2026-11-30T08:00:00Z",
                ],
            ),
            // The day's own change of clocks.
            (
                "02:30",
                "Europe/Berlin",
                &[Sunday],
                "2026-03-22T12:00:00Z",
                &["2026-03-29T03:00:00+02:00", "2026-04-05T02:30:00+02:00"],
            ),
            // The Friday that Samoa left out.
            (
                "09:30",
                "Pacific/Apia",
                &[Friday],
                "2011-12-24T00:00:00Z",
                &["2012-01-06T09:30:00+14:00"],
            ),
        ];
        for (text, zone, days, now, expected) in cases {
            let time = TimeOfDay::parse(text, *zone).unwrap();
            check(&time.on(days.iter().copied()), now, expected);
        }
    }

    #[test]
    fn every_day_of_every_zone_has_its_time_once() {
        // In 2025 no zone left out a day or had one twice, so it had 365 of each time. One time per
        // zone, in turns: all of them take seconds.
        let times = [(0, 0), (2, 30), (23, 59)];
        for (name, (hour, minute)) in ZONES.available().zip(times.into_iter().cycle()) {
            let time = TimeOfDay::new(hour, minute, name.as_str());
            let zone = zone(name.as_str()).unwrap();
            let before = |year| {
                let new_year = civil::date(year, 1, 1).at(0, 0, 0, 0);
                Timestamp(zone.to_timestamp(new_year).unwrap().as_microsecond() - 1)
            };
            let (mut moment, end) = (before(2025), before(2026));
            let mut days = 0;
            while let Some(next) = Some(time.next_after(moment).unwrap()).filter(|n| *n <= end) {
                let hours = next.since(moment).as_secs() / 3_600;
                assert!(days == 0 || (22..=26).contains(&hours), "{time}: {hours}");
                (moment, days) = (next, days + 1);
            }
            assert_eq!(days, 365, "{time}");
        }
        assert!(ZONES.available().count() > 500, "the rules are compiled in");
    }

    #[test]
    fn what_no_clock_shows_is_refused_with_a_reason() {
        let not_a_time = [
            "",
            "9",
            "9:30",
            "09:3",
            "09-30",
            "+9:30",
            "09:30:15:00",
            "09:30 ",
            "aa:bb",
        ];
        for text in not_a_time {
            let found = TimeOfDay::parse(text, "UTC");
            assert_eq!(found, Err(TimeOfDayError::NotATime(text.to_owned())));
        }
        let cases: [(&str, &str, &[&str]); 8] = [
            ("23:59:59", "Europe/Berlin", &[]),
            ("24:00", "UTC", &["hour 24,"]),
            ("00:60", "UTC", &["minute 60,"]),
            ("00:00:60", "UTC", &["second 60,"]),
            (
                "00:00",
                "Europe/Atlantis",
                &["no rules are known for time zone \"Europe/Atlantis\""],
            ),
            // A name for "nobody knows", which would be taken for UTC.
            ("00:00", "Etc/Unknown", &["no rules"]),
            ("00:00", "", &["no rules are known for time zone \"\""]),
            (
                "99:99:99",
                "+02:00",
                &["hour", "minute", "second", "no rules"],
            ),
        ];
        for (text, zone, expected) in cases {
            let found = match TimeOfDay::parse(text, zone) {
                Ok(time) => time.problems(),
                Err(TimeOfDayError::Invalid(problems)) => problems,
                Err(other) => panic!("{text}: {other}"),
            };
            let matches = found.iter().zip(expected).all(|(f, e)| f.starts_with(e));
            assert!(matches && found.len() == expected.len(), "{found:#?}");
        }
        let stored = TimeOfDay::new(255, 0, "UTC");
        let refused = stored.next_after(Timestamp(0)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "hour 255, which no clock shows; use 0 to 23"
        );
    }

    #[test]
    fn the_end_of_the_calendar_is_an_error_and_no_panic() {
        let time = TimeOfDay::new(0, 0, "Europe/Berlin");
        let last = jiff::Timestamp::MAX.as_microsecond();
        for micros in [i64::MIN, last, last + 1, i64::MAX] {
            let found = time.next_after(Timestamp(micros));
            assert!(
                matches!(found, Err(TimeOfDayError::OutOfRange { .. })),
                "{found:?}"
            );
        }
    }

    #[test]
    fn it_is_written_down_with_days_as_words_and_read_back() {
        let time = TimeOfDay::new(9, 30, "Europe/Berlin").on([Weekday::Monday, Weekday::Sunday]);
        let json = r#"{"hour":9,"minute":30,"second":0,"zone":"Europe/Berlin","weekdays":["monday","sunday"]}"#;
        assert_eq!(serde_json::to_string(&time).unwrap(), json);
        assert_eq!(serde_json::from_str::<TimeOfDay>(json).unwrap(), time);
        let short = r#"{"hour":9,"minute":30,"zone":"UTC"}"#;
        let expected = TimeOfDay::new(9, 30, "UTC");
        assert_eq!(serde_json::from_str::<TimeOfDay>(short).unwrap(), expected);
        let unknown = r#"{"hour":9,"minute":30,"zone":"UTC","weekdays":["Mon"]}"#;
        assert!(serde_json::from_str::<TimeOfDay>(unknown).is_err());
    }
}
