//! The truth about synthetic traffic: what was planted where, and which hours are neutral.
//!
//! A label names a series, the minutes from start to end (exclusive) and a kind such as
//! `surge 5`. The same form says what to plant.

use std::fmt;
use std::io::Write;
use std::ops::Range;

use crate::model::{EventTime, InsightType, Minute, SeriesKey};

pub const LABELS_HEADER: &str =
    "account,region,event_source,event_name,insight_type,error_code,start,end,kind";
pub const NEUTRAL_HEADER: &str =
    "account,region,event_source,event_name,insight_type,error_code,start,end";

/// What is done to the counts of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PlantKind {
    /// The usual rate times this factor.
    Surge(f64),
    /// Each call survives with this probability.
    Drop(f64),
    /// So many a minute where seven days were silent.
    Novel(f64),
    /// So many a minute on top of what happens anyway.
    Burst(f64),
    /// So many a minute, whatever happens otherwise.
    Rate(f64),
}

/// One planted incident.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    pub series: SeriesKey,
    pub start: Minute,
    /// Exclusive.
    pub end: Minute,
    pub kind: PlantKind,
}

/// Hours in which a series does something without precedent by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Neutral {
    pub series: SeriesKey,
    /// Hours since 1970.
    pub hours: Range<u32>,
}

impl PlantKind {
    /// Parses `surge 5`, `drop 0`, `novel 12`, `burst 20` or `rate 100`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "kind is `{text}`, not one of `surge FACTOR`, `drop SHARE`, `novel RATE`, \
                 `burst RATE`, `rate RATE`"
            )
        };
        let (name, size) = text.split_once(' ').ok_or_else(wrong)?;
        let size: f64 = size.trim().parse().map_err(|_| wrong())?;
        if !(0.0..=1e6).contains(&size) {
            return Err(format!("`{text}`: the number must be from 0 to 1000000"));
        }
        match name {
            "surge" => Ok(PlantKind::Surge(size)),
            "drop" if size <= 1.0 => Ok(PlantKind::Drop(size)),
            "drop" => Err(format!("`{text}`: a drop keeps a share from 0 to 1")),
            "novel" => Ok(PlantKind::Novel(size)),
            "burst" => Ok(PlantKind::Burst(size)),
            "rate" => Ok(PlantKind::Rate(size)),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for PlantKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlantKind::Surge(size) => write!(f, "surge {size}"),
            PlantKind::Drop(size) => write!(f, "drop {size}"),
            PlantKind::Novel(size) => write!(f, "novel {size}"),
            PlantKind::Burst(size) => write!(f, "burst {size}"),
            PlantKind::Rate(size) => write!(f, "rate {size}"),
        }
    }
}

/// Parses a labels file: CSV with or without its header, one label a line.
pub fn parse_labels(text: &str) -> Result<Vec<Label>, String> {
    let mut labels = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if line.is_empty() || line == LABELS_HEADER {
            continue;
        }
        let label = parse_label(line).map_err(|why| format!("line {}: {why}", index + 1))?;
        labels.push(label);
    }
    Ok(labels)
}

fn parse_label(line: &str) -> Result<Label, String> {
    let fields: Vec<&str> = line.split(',').collect();
    if fields.len() != 9 {
        return Err(format!(
            "{} fields, not the 9 of `{LABELS_HEADER}`",
            fields.len()
        ));
    }
    let series = SeriesKey::parse(&fields[..6].join(","))?;
    let start = parse_minute(fields[6])?;
    let end = parse_minute(fields[7])?;
    if end <= start {
        return Err(format!("end {end} is not after start {start}"));
    }
    let kind = PlantKind::parse(fields[8])?;
    Ok(Label {
        series,
        start,
        end,
        kind,
    })
}

fn parse_minute(text: &str) -> Result<Minute, String> {
    let time = EventTime::parse(text).ok_or_else(|| format!("`{text}` is not RFC 3339"))?;
    if time.minute().start() == time {
        Ok(time.minute())
    } else {
        Err(format!("`{text}` is not on a whole minute"))
    }
}

/// Writes labels as CSV with header.
pub fn write_labels(labels: &[Label], out: &mut Vec<u8>) {
    put(out, format_args!("{LABELS_HEADER}\n"));
    for label in labels {
        put(
            out,
            format_args!(
                "{},{},{},{}\n",
                label.series, label.start, label.end, label.kind
            ),
        );
    }
}

/// Writes neutral hours as CSV with header.
pub fn write_neutral(neutral: &[Neutral], out: &mut Vec<u8>) {
    put(out, format_args!("{NEUTRAL_HEADER}\n"));
    for Neutral { series, hours } in neutral {
        let (start, end) = (Minute(hours.start * 60), Minute(hours.end * 60));
        put(out, format_args!("{series},{start},{end}\n"));
    }
}

pub(super) fn put(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a vector takes every write");
}

/// The insight type that counts a key with this error code.
pub(super) fn insight_type(error_code: &str) -> InsightType {
    if error_code.is_empty() {
        InsightType::ApiCallRate
    } else {
        InsightType::ApiErrorRate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_back_as_they_were_written() {
        let rows = "1,r,s,n,ApiCallRateInsight,,\
                    2026-01-05T00:00:00Z,2026-01-05T00:05:00Z,surge 5\n\
                    1,r,s,n,ApiErrorRateInsight,E,\
                    2026-01-05T00:00:00Z,2026-01-05T00:30:00Z,drop 0.3\n";
        let text = format!("{LABELS_HEADER}\n{rows}");
        let labels = parse_labels(&text).unwrap();
        assert_eq!(labels.len(), 2);
        let mut out = Vec::new();
        write_labels(&labels, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }

    #[test]
    fn wrong_labels_are_refused_with_the_line() {
        let key = "1,r,s,n,ApiCallRateInsight,";
        for (row, why) in [
            ("a,b".to_string(), "9"),
            (
                format!("{key},2026-01-05T00:00:30Z,2026-01-05T00:05:00Z,surge 5"),
                "minute",
            ),
            (
                format!("{key},2026-01-05T00:05:00Z,2026-01-05T00:05:00Z,surge 5"),
                "after",
            ),
            (
                format!("{key},2026-01-05T00:00:00Z,2026-01-05T00:05:00Z,boom 5"),
                "kind",
            ),
            (
                format!("{key},2026-01-05T00:00:00Z,2026-01-05T00:05:00Z,drop 2"),
                "share",
            ),
            (
                format!("{key},never,2026-01-05T00:05:00Z,drop 0"),
                "RFC 3339",
            ),
        ] {
            let message = parse_labels(&format!("{LABELS_HEADER}\n{row}\n")).unwrap_err();
            assert!(
                message.starts_with("line 2") && message.contains(why),
                "{message}"
            );
        }
    }
}
