//! Rates as CSV: counts per key and minute that somebody else has made.
//!
//! The header is `time,account,region,event_source,event_name,error_code,count`; its columns may
//! stand in another order, and without a header they stand in this one. An empty error code is a
//! call count, a set one an error count. Fields may be quoted; a line break ends a row anyhow.

use super::cloudtrail::parse_time;
use super::decoded::{DecodeCounts, DecodeLimits, Reject, RejectReason};
use super::lines::{Line, LineSplitter};
use crate::model::EventTime;

/// The columns in the order of the header.
const COLUMNS: [&str; 7] = [
    "time",
    "account",
    "region",
    "event_source",
    "event_name",
    "error_code",
    "count",
];

/// Index of the first and behind the last column that is a part of the key.
const KEY_COLUMNS: std::ops::Range<usize> = 1..6;

/// Rows decoded since the last [`RateRows::clear`].
#[derive(Clone, Debug, Default)]
pub struct RateRows {
    text: String,
    rows: Vec<Row>,
    pub rejects: Vec<Reject>,
    /// Rows count as events.
    pub counts: DecodeCounts,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    time: EventTime,
    count: u64,
    start: usize,
    lengths: [u32; 5],
}

/// One row, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateRow<'a> {
    pub time: EventTime,
    pub account: &'a str,
    pub region: &'a str,
    pub event_source: &'a str,
    pub event_name: &'a str,
    /// Empty for a call count.
    pub error_code: &'a str,
    pub count: u64,
}

/// Turns the bytes of one rates CSV, in any pieces, into rows.
#[derive(Debug)]
pub struct RatesCsvDecoder {
    limits: DecodeLimits,
    lines: LineSplitter,
    /// For each column its place in a row.
    places: [usize; 7],
    is_begun: bool,
    records_seen: u64,
    /// The last time and what it was read from: rows of one minute follow each other.
    last_time: (String, Option<EventTime>),
}

impl RateRows {
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Empties it and keeps the memory of the rows.
    pub fn clear(&mut self) {
        self.text.clear();
        self.rows.clear();
        self.rejects.clear();
        self.counts = DecodeCounts::default();
    }

    /// The row at `index`; panics when `index >= len()`.
    pub fn get(&self, index: usize) -> RateRow<'_> {
        let row = &self.rows[index];
        let mut start = row.start;
        let [account, region, event_source, event_name, error_code] = row.lengths.map(|length| {
            let part = &self.text[start..start + length as usize];
            start += length as usize;
            part
        });
        RateRow {
            time: row.time,
            account,
            region,
            event_source,
            event_name,
            error_code,
            count: row.count,
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = RateRow<'_>> {
        (0..self.len()).map(|index| self.get(index))
    }
}

impl RatesCsvDecoder {
    pub fn new(limits: DecodeLimits) -> Self {
        RatesCsvDecoder {
            limits,
            lines: LineSplitter::default(),
            places: [0, 1, 2, 3, 4, 5, 6],
            is_begun: false,
            records_seen: 0,
            last_time: (String::new(), None),
        }
    }

    /// Takes in the next bytes of the (decompressed) input.
    pub fn feed(&mut self, bytes: &[u8], out: &mut RateRows) {
        let mut lines = std::mem::take(&mut self.lines);
        let bytes_max = self.limits.record_bytes_max;
        lines.feed(bytes, bytes_max, |line| self.take_line(line, out));
        self.lines = lines;
    }

    /// Ends the input; a last row without a line break counts.
    pub fn finish(&mut self, out: &mut RateRows) {
        let mut lines = std::mem::take(&mut self.lines);
        let bytes_max = self.limits.record_bytes_max;
        lines.finish(bytes_max, |line| self.take_line(line, out));
        self.lines = lines;
    }

    fn take_line(&mut self, line: Line<'_>, out: &mut RateRows) {
        let (bytes, offset) = match line {
            Line::Whole { bytes, offset } => (bytes, offset),
            Line::TooLong { head, offset } => {
                let detail = format!("longer than {} bytes", self.limits.record_bytes_max);
                self.reject(RejectReason::RecordTooLong, detail, offset, head, out);
                return;
            }
        };
        let Ok(text) = std::str::from_utf8(bytes) else {
            let detail = "the row is not UTF-8".to_string();
            self.reject(RejectReason::InvalidUtf8, detail, offset, bytes, out);
            return;
        };
        let text = if self.is_begun {
            text
        } else {
            text.trim_start_matches('\u{feff}')
        };
        if text.trim_ascii().is_empty() {
            return;
        }
        self.is_begun = true;
        let row = self.row(text, out);
        match row {
            Ok(true) => {
                self.records_seen += 1;
                out.counts.count_event(false, 0);
            }
            Ok(false) => {}
            Err((reason, detail)) => self.reject(reason, detail, offset, bytes, out),
        }
    }

    fn reject(
        &mut self,
        reason: RejectReason,
        detail: String,
        byte_offset: u64,
        record: &[u8],
        out: &mut RateRows,
    ) {
        out.counts.count_reject(reason, true);
        out.rejects.push(Reject {
            reason,
            record_index: self.records_seen,
            byte_offset,
            detail,
            record: record[..record.len().min(self.limits.reject_bytes_max)].to_vec(),
        });
        self.records_seen += 1;
    }

    /// Appends a row; `false` for a header, which sets the order of the columns.
    fn row(&mut self, text: &str, out: &mut RateRows) -> Result<bool, (RejectReason, String)> {
        let mut unquoted = String::new();
        let mut fields = [""; 7];
        let text = if text.contains('"') {
            unquote(text, &mut unquoted).map_err(invalid)?;
            unquoted.as_str()
        } else {
            text
        };
        let separator = if unquoted.is_empty() { ',' } else { UNIT };
        let mut parts = text.split(separator);
        for field in &mut fields {
            *field = parts.next().ok_or_else(|| invalid("fewer than 7 fields"))?;
        }
        if parts.next().is_some() {
            return Err(invalid("more than 7 fields"));
        }
        if let Some(places) = header(&fields) {
            self.places = places;
            return Ok(false);
        }
        let fields = self.places.map(|place| fields[place]);
        self.push(fields, out).map(|()| true)
    }

    fn push(
        &mut self,
        fields: [&str; 7],
        out: &mut RateRows,
    ) -> Result<(), (RejectReason, String)> {
        let [time, _, _, event_source, event_name, _, count] = fields;
        if self.last_time.0 != time {
            self.last_time = (time.to_string(), parse_time(time));
        }
        let Some(time) = self.last_time.1 else {
            return Err((RejectReason::InvalidTime, format!("`time` is {time:.80?}")));
        };
        if event_source.is_empty() {
            return Err((RejectReason::MissingSource, "no `event_source`".to_string()));
        }
        if event_name.is_empty() {
            return Err((RejectReason::MissingName, "no `event_name`".to_string()));
        }
        let Ok(count) = count.parse() else {
            return Err(invalid(&format!("`count` is {count:.80?}")));
        };
        for (column, field) in COLUMNS[KEY_COLUMNS].iter().zip(&fields[KEY_COLUMNS]) {
            if field.len() > self.limits.key_bytes_max {
                let detail = format!("`{column}` has {} bytes", field.len());
                return Err((RejectReason::KeyTooLong, detail));
            }
        }
        let start = out.text.len();
        let mut lengths = [0; 5];
        for (length, field) in lengths.iter_mut().zip(&fields[KEY_COLUMNS]) {
            out.text.push_str(field);
            *length = field.len() as u32;
        }
        out.rows.push(Row {
            time,
            count,
            start,
            lengths,
        });
        Ok(())
    }
}

/// Stands between the fields of a row whose quotes are resolved (ASCII unit separator).
const UNIT: char = '\u{1f}';

fn invalid(detail: &str) -> (RejectReason, String) {
    (RejectReason::InvalidRow, detail.to_string())
}

/// For each column its place, when the fields are the names of the columns.
fn header(fields: &[&str; 7]) -> Option<[usize; 7]> {
    if !COLUMNS.contains(&fields[0].trim()) {
        return None;
    }
    let mut places = [0; 7];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        *place = fields.iter().position(|field| field.trim() == column)?;
    }
    Some(places)
}

/// Resolves quotes (RFC 4180) and puts [`UNIT`] between the fields.
fn unquote(text: &str, out: &mut String) -> Result<(), &'static str> {
    if text.contains(UNIT) {
        return Err("a unit separator in a quoted row");
    }
    let mut rest = text;
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted;
            loop {
                let at = rest.find('"').ok_or("a quote that is not closed")?;
                out.push_str(&rest[..at]);
                rest = &rest[at + 1..];
                match rest.strip_prefix('"') {
                    Some(behind) => {
                        out.push('"');
                        rest = behind;
                    }
                    None => break,
                }
            }
        } else {
            let at = rest.find(',').unwrap_or(rest.len());
            out.push_str(&rest[..at]);
            rest = &rest[at..];
        }
        if rest.is_empty() {
            return Ok(());
        }
        rest = rest
            .strip_prefix(',')
            .ok_or("text behind a closing quote")?;
        out.push(UNIT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, want: &[&str]) {
        let run = |size: usize| {
            let limits = DecodeLimits {
                key_bytes_max: 20,
                record_bytes_max: 100,
                ..DecodeLimits::default()
            };
            let mut decoder = RatesCsvDecoder::new(limits);
            let mut out = RateRows::default();
            for piece in input.as_bytes().chunks(size) {
                decoder.feed(piece, &mut out);
            }
            decoder.finish(&mut out);
            assert_eq!(
                out.counts.records,
                out.counts.events + out.counts.rejected_total()
            );
            assert_eq!(out.counts.events, out.len() as u64);
            let rows = out.iter().map(|r| {
                let key = [
                    r.account,
                    r.region,
                    r.event_source,
                    r.event_name,
                    r.error_code,
                ];
                format!("{} {} {}", r.time, key.join("|"), r.count)
            });
            let rejects = out.rejects.iter().map(|r| {
                let at = (r.record_index, r.byte_offset);
                format!("{} {} {at:?}", r.reason.name(), r.detail)
            });
            rows.chain(rejects).collect::<Vec<_>>()
        };
        let whole = run(1 << 20);
        for size in [1, 2, 3, 10, 50] {
            assert_eq!(run(size), whole);
        }
        assert_eq!(whole, want);
    }

    #[test]
    fn rows_are_read() {
        check(
            "\u{feff}time,account,region,event_source,event_name,error_code,count\r\n\
             2024-01-01T00:00:00Z,1,r,s,n,,7\n\n2024-01-01T00:01:00+01:00,1,r,s,n,E,0",
            &[
                "2024-01-01T00:00:00Z 1|r|s|n| 7",
                "2023-12-31T23:01:00Z 1|r|s|n|E 0",
            ],
        );
        check(
            "count,time,account,region,event_source,event_name,error_code\n\
             7,2024-01-01T00:00:00Z,\"a,\"\"b\"\"\",r,s,\"n\",\n",
            &["2024-01-01T00:00:00Z a,\"b\"|r|s|n| 7"],
        );
        check(
            "2024-01-01T00:00:00Z,,,s,n,,7\n",
            &["2024-01-01T00:00:00Z ||s|n| 7"],
        );
        check("", &[]);
    }

    #[test]
    fn a_broken_row_costs_itself() {
        let long = "x".repeat(200);
        check(
            &format!(
                "time,1,r,s,n,,1\n2024-01-01T00:00:00Z,1,r,s,n,,x\nx,1,r,s,n,,1\n,,\n\
                 2024-01-01T00:00:00Z,1,r,,n,,1\n2024-01-01T00:00:00Z,1,r,s,,,1\n\
                 2024-01-01T00:00:00Z,1,r,s,n,,1,1\n2024-01-01T00:00:00Z,1,r,s,{},,1\n\
                 {long}\n2024-01-01T00:00:00Z,\"1,r,s,n,,1\n2024-01-01T00:00:00Z,1,r,s,n,,-1\n\
                 2024-01-01T00:00:00Z,1,r,s,n,,1\n",
                &long[..21]
            ),
            &[
                "2024-01-01T00:00:00Z 1|r|s|n| 1",
                "invalid_time `time` is \"time\" (0, 0)",
                "invalid_row `count` is \"x\" (1, 16)",
                "invalid_time `time` is \"x\" (2, 48)",
                "invalid_row fewer than 7 fields (3, 61)",
                "missing_source no `event_source` (4, 64)",
                "missing_name no `event_name` (5, 95)",
                "invalid_row more than 7 fields (6, 126)",
                "key_too_long `event_name` has 21 bytes (7, 160)",
                "record_too_long longer than 100 bytes (8, 212)",
                "invalid_row a quote that is not closed (9, 413)",
                "invalid_row `count` is \"-1\" (10, 446)",
            ],
        );
    }
}
