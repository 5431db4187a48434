//! The `--scores` output: one CSV row for each evaluated (series, minute).

use std::io::Write;

use super::csv_fields::write_field;
use crate::model::ScoreRow;

/// The first line of the `--scores` output, newline included.
pub const SCORES_HEADER: &str = "time,account,region,event_source,event_name,insight_type,\
error_code,count,expected,low,high,surprise,z,state\n";

/// Appends one row of the `--scores` output, newline included.
///
/// Expectations have six decimals, surprise and z four: more than decisions look at, so that the
/// text is the same wherever it is written.
pub fn write_score_row(row: &ScoreRow, out: &mut Vec<u8>) {
    let key = &row.key;
    write_field(&row.minute.to_string(), out);
    for text in [
        &*key.account,
        &*key.region,
        &*key.event_source,
        &*key.event_name,
        key.insight_type.name(),
        &*key.error_code,
    ] {
        out.push(b',');
        write_field(text, out);
    }
    let numbers = writeln!(
        out,
        ",{},{},{},{},{},{},{}",
        row.count,
        Decimal(row.expected, 6),
        Decimal(row.low, 6),
        Decimal(row.high, 6),
        Decimal(row.surprise, 4),
        Decimal(row.z, 4),
        row.state.name()
    );
    numbers.expect("a vector takes all that is written");
}

/// A number with at most so many decimals, without trailing zeros.
struct Decimal(f64, usize);

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&super::number::decimal(self.0, self.1))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{Minute, ScoreState, SeriesKey};

    #[test]
    fn a_row_has_the_columns_of_the_header() {
        let key = SeriesKey::parse("1,r,s,n,ApiErrorRateInsight,E,\"x\"").unwrap();
        let row = ScoreRow {
            key: Arc::new(key),
            minute: Minute(28_401_120),
            count: 100,
            expected: 20.123_456_789,
            low: 12.0,
            high: f64::INFINITY,
            surprise: 36.456_78,
            z: -0.000_001,
            state: ScoreState::Up,
        };
        let mut out = SCORES_HEADER.as_bytes().to_vec();
        write_score_row(&row, &mut out);
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[1],
            concat!(
                "2024-01-01T00:00:00Z,1,r,s,n,ApiErrorRateInsight,\"E,\"\"x\"\"\",",
                "100,20.123457,12,inf,36.4568,0,up"
            )
        );
        assert_eq!(lines[0].split(',').count(), 14);
    }
}
