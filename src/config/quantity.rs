//! Spans of time as people write them: `45s`, `10m`, `24h`, `7d`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of time in whole seconds, written as a number and one of the units s, m, h, d.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub u64);

const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a span of time; write for example 45s, 10m or 24h");
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let (_, seconds) = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(wrong)?;
        number
            .checked_mul(*seconds)
            .map(Seconds)
            .ok_or_else(|| format!("`{text}` is too long a span of time"))
    }
}

impl fmt::Display for Seconds {
    /// The largest unit that needs no fraction, days only from two on: `24h`, `2d`, `90s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |seconds: u64| self.0.is_multiple_of(seconds) && self.0 >= seconds;
        let unit = UNITS
            .iter()
            .find(|(name, seconds)| fits(*seconds) && !(*name == "d" && self.0 == *seconds));
        match unit {
            Some((name, seconds)) => write!(f, "{}{name}", self.0 / seconds),
            None => write!(f, "{}s", self.0),
        }
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Seconds {
    fn schema_name() -> Cow<'static, str> {
        "Seconds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]+[smhd]$",
            "description": "A span of time: a number and one of the units s, m, h, d.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_printed() {
        for (text, seconds, printed) in [
            ("45s", 45, "45s"),
            ("600s", 600, "10m"),
            ("10m", 600, "10m"),
            ("24h", 86_400, "24h"),
            ("1d", 86_400, "24h"),
            ("7d", 604_800, "7d"),
            ("0m", 0, "0s"),
        ] {
            let span: Seconds = text.parse().unwrap();
            assert_eq!((span.0, span.to_string().as_str()), (seconds, printed));
        }
        for wrong in [
            "",
            "10",
            "m",
            "1.5h",
            "-1m",
            "10 m",
            "10min",
            "99999999999999999d",
        ] {
            assert!(wrong.parse::<Seconds>().is_err(), "{wrong}");
        }
    }
}
