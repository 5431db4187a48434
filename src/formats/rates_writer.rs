//! The `--rates` output: counts per key and minute, as `--format rates` reads them.
//!
//! Rows of one key and minute add up, so a count that came late stands in a row of its own.

use std::io::Write;

use super::csv_fields::write_field;
use crate::model::Rates;

/// The first line of a rates CSV, newline included.
pub const RATES_HEADER: &str = "time,account,region,event_source,event_name,error_code,count\n";

/// Appends one row for each entry of a batch, newlines included. Attributions have no column.
pub fn write_rates(rates: &Rates, out: &mut Vec<u8>) {
    for entry in rates.entries() {
        let key = rates.key(entry.key);
        write_field(&entry.minute.to_string(), out);
        let parts = [
            key.account,
            key.region,
            key.event_source,
            key.event_name,
            key.error_code,
        ];
        for part in parts {
            out.push(b',');
            write_field(part, out);
        }
        writeln!(out, ",{}", entry.count).expect("a vector takes all that is written");
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DecodeLimits, RateRows, RatesCsvDecoder};
    use super::*;
    use crate::model::{InsightType, Minute, RatesBuilder, SeriesRef, SourceCategory};

    /// What is written is read back as it was, commas and quotes included.
    #[test]
    fn rows_are_read_back() {
        let key = SeriesRef {
            account: "1",
            region: "r",
            event_source: "a,b",
            event_name: "say \"x\"",
            insight_type: InsightType::ApiErrorRate,
            error_code: "E",
        };
        let mut builder = RatesBuilder::default();
        let index = builder.add_key(key, SourceCategory::Management);
        builder.add_entry(index, Minute(29_000_000), 7, &[]);
        let mut text = RATES_HEADER.as_bytes().to_vec();
        write_rates(&builder.finish(0, (0, 1)), &mut text);
        let mut rows = RateRows::default();
        let mut decoder = RatesCsvDecoder::new(DecodeLimits::default());
        decoder.feed(&text, &mut rows);
        decoder.finish(&mut rows);
        let row = rows.get(0);
        assert_eq!(
            (row.event_source, row.event_name),
            (key.event_source, key.event_name)
        );
        assert_eq!((row.error_code, row.count), ("E", 7));
        assert_eq!(row.time, Minute(29_000_000).start());
    }
}
