//! Event time: seconds and minutes since 1970-01-01T00:00:00Z.
//!
//! The engine knows no other time than the one that events carry. Years 1970 to 9999 are
//! representable; anything else is refused where text becomes a value.

use std::fmt;

use jiff::Timestamp;

/// Last representable second: 9999-12-31T23:59:59Z.
const SECONDS_MAX: i64 = 253_402_300_799;

/// Event time in whole seconds since the epoch, `0 ..= 253402300799`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventTime(i64);

/// Index of a minute of event time since the epoch, `0 ..= 4223371679`.
///
/// Where `counting.bucket` is wider than a minute this is the first minute of the bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(pub u32);

impl EventTime {
    /// Seconds since the epoch; `None` before 1970 and after 9999.
    pub fn from_seconds(seconds: i64) -> Option<Self> {
        (0..=SECONDS_MAX)
            .contains(&seconds)
            .then_some(EventTime(seconds))
    }

    /// Milliseconds since the epoch, cut to the second; `None` before 1970 and after 9999.
    pub fn from_milliseconds(milliseconds: i64) -> Option<Self> {
        Self::from_seconds(milliseconds.div_euclid(1000))
    }

    /// Parses RFC 3339, for example `2024-12-11T16:52:00Z`, cut to the second.
    ///
    /// A fraction, an offset and a space in place of `T` are accepted; `None` for all else.
    pub fn parse(text: &str) -> Option<Self> {
        parse_utc_fixed(text.as_bytes()).or_else(|| {
            let timestamp: Timestamp = text.parse().ok()?;
            Self::from_seconds(timestamp.as_second())
        })
    }

    pub fn seconds(self) -> i64 {
        self.0
    }

    /// The minute this second lies in.
    pub fn minute(self) -> Minute {
        Minute((self.0 / 60) as u32)
    }

    /// This time moved back by `seconds`, not before the epoch.
    pub fn minus_seconds(self, seconds: i64) -> Self {
        EventTime((self.0 - seconds).max(0))
    }
}

impl Minute {
    pub const PER_HOUR: u32 = 60;
    pub const PER_DAY: u32 = 1440;
    /// The last minute that an [`EventTime`] can name. No time comes after it, so it never closes.
    pub const LAST: Minute = Minute((SECONDS_MAX / 60) as u32);

    /// First second of this minute.
    pub fn start(self) -> EventTime {
        EventTime(i64::from(self.0) * 60)
    }

    /// Index of the UTC hour since the epoch.
    pub fn hour(self) -> u32 {
        self.0 / Self::PER_HOUR
    }

    /// Index of the UTC day since the epoch.
    pub fn day(self) -> u32 {
        self.0 / Self::PER_DAY
    }

    /// First minute of the bucket of `width` minutes that this minute lies in.
    pub fn bucket(self, width: u32) -> Minute {
        Minute(self.0 - self.0 % width)
    }
}

impl fmt::Display for EventTime {
    /// RFC 3339 in UTC, for example `2024-12-11T16:52:07Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date_of_day(self.0 / 86_400);
        let second = self.0 % 86_400;
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }
}

impl fmt::Display for Minute {
    /// RFC 3339 in UTC of the minute's first second.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.start().fmt(f)
    }
}

/// Parses exactly `YYYY-MM-DDTHH:MM:SSZ`, the form of nearly every audit record.
fn parse_utc_fixed(text: &[u8]) -> Option<EventTime> {
    let shape = text.len() == 20
        && text[4] == b'-'
        && text[7] == b'-'
        && text[10] == b'T'
        && text[13] == b':'
        && text[16] == b':'
        && text[19] == b'Z';
    if !shape {
        return None;
    }
    let number = |from: usize, to: usize| {
        text[from..to].iter().try_fold(0i64, |value, byte| {
            byte.is_ascii_digit()
                .then(|| value * 10 + i64::from(byte - b'0'))
        })
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let valid = (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !valid {
        return None;
    }
    let days = day_of_date(year, month, day);
    EventTime::from_seconds(days * 86_400 + hour * 3600 + minute * 60 + second)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since the epoch of a date of the proleptic Gregorian calendar
/// (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`).
fn day_of_date(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a day since the epoch (`civil_from_days` of the same source).
fn date_of_day(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days - era * 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// jiff is the second opinion on both directions of the calendar arithmetic.
    #[test]
    fn fixed_form_agrees_with_jiff() {
        const JIFF_SECONDS_MAX: i64 = 253_402_207_200;
        let mut seconds = 0i64;
        while seconds <= JIFF_SECONDS_MAX {
            let time = EventTime(seconds);
            let text = time.to_string();
            let reference = Timestamp::from_second(seconds).expect("jiff reaches year 9999");
            assert_eq!(text, reference.to_string());
            assert_eq!(EventTime::parse(&text), Some(time));
            seconds += 86_400 * 3 + 12_347;
        }
        assert_eq!(EventTime(SECONDS_MAX).to_string(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn other_forms_are_read_and_nonsense_is_refused() {
        let noon = EventTime::parse("2024-02-29T12:00:00Z");
        assert!(noon.is_some());
        for same in [
            "2024-02-29T12:00:00.999Z",
            "2024-02-29T13:00:00+01:00",
            "2024-02-29 12:00:00Z",
        ] {
            assert_eq!(EventTime::parse(same), noon, "{same}");
        }
        for bad in [
            "",
            "2023-02-29T12:00:00Z",
            "9999-99-99T99:99:99Z",
            "1969-12-31T23:59:59Z",
            "x",
        ] {
            assert_eq!(EventTime::parse(bad), None, "{bad}");
        }
    }
}
