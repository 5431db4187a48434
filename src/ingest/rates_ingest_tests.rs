//! Rows of counts: order does not matter, rows add up, zeros count nothing but are seen by time.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::{InsightType, RatesEntry};

/// Minute, error code, count.
type Row = (i64, &'static str, u64);

fn key(error_code: &str) -> SeriesRef<'_> {
    SeriesRef {
        account: "1",
        region: "r",
        event_source: "s",
        event_name: "n",
        insight_type: match error_code {
            "" => InsightType::ApiCallRate,
            _ => InsightType::ApiErrorRate,
        },
        error_code,
    }
}

fn time(minute: i64) -> EventTime {
    EventTime::from_seconds(minute * 60 + 59).unwrap()
}

fn run(mut ingest: RatesIngest, rows: &[Row], until: Option<i64>) -> Vec<LogRecord> {
    let mut out = Vec::new();
    for (minute, error_code, count) in rows {
        let pushed = ingest.push(time(*minute), key(error_code), *count, &mut out);
        assert_eq!(pushed, Ok(()));
    }
    assert_eq!(ingest.rows(), rows.len() as u64);
    ingest.finish(until.map(time));
    while ingest.drain(&mut out) {}
    out
}

/// Records in few words: entries of a batch by key, watermarks in minutes.
fn tell(records: &[LogRecord]) -> Vec<String> {
    let mut story = Vec::new();
    for record in records {
        story.push(match record {
            LogRecord::Rates(rates) => {
                let tell_entry = |entry: &RatesEntry| {
                    let error_code = rates.key(entry.key).error_code;
                    format!(" {}:{error_code}={}", entry.minute.0, entry.count)
                };
                let mut entries: Vec<String> = rates.entries().iter().map(tell_entry).collect();
                entries.sort();
                format!("rates {:?}{}", rates.positions, entries.concat())
            }
            LogRecord::Progress(progress) => {
                let minute = progress.watermark.minute().0;
                format!(
                    "progress {} {minute} {:?}",
                    progress.position, progress.state
                )
            }
            other => format!("{other:?}"),
        });
    }
    story
}

#[test]
fn rows_of_one_minute_go_out_together() {
    let large = u64::from(u32::MAX);
    let rows = [
        (9, "", 0),
        (12, "E", large),
        (10, "", 3),
        (10, "", 4),
        (12, "E", 1),
        (10, "E", 2),
    ];
    let story = tell(&run(
        RatesIngest::new(RowsSettings::default()),
        &rows,
        Some(20),
    ));
    let expected = [
        "progress 1 10 Active".to_string(),
        "rates (1, 4) 10:=7 10:E=2".to_string(),
        "progress 4 12 Active".to_string(),
        format!("rates (4, 6) 12:E={}", large + 1),
        "progress 6 13 IdleProven".to_string(),
        "progress 6 20 IdleProven".to_string(),
    ];
    assert_eq!(story, expected);
}

#[test]
fn wide_buckets_and_limits() {
    let hourly = RowsSettings {
        bucket_minutes: 60,
        rows_max: 3,
        series_max: 1,
        ..RowsSettings::default()
    };
    let rows = [(59, "", 1), (60, "", 1), (119, "", 1)];
    let story = tell(&run(RatesIngest::new(hourly), &rows, None));
    let expected = [
        "rates (0, 1) 0:=1",
        "progress 1 60 Active",
        "rates (1, 3) 60:=2",
        "progress 3 120 IdleProven",
    ];
    assert_eq!(story, expected.map(str::to_string));
    let mut out = Vec::new();
    let mut ingest = RatesIngest::new(hourly);
    assert_eq!(ingest.push(time(0), key(""), 1, &mut out), Ok(()));
    let error = ingest.push(time(0), key("E"), 1, &mut out);
    assert_eq!(error, Err(RowsError::TooManySeries(1)));
    assert_eq!(ingest.push(time(0), key(""), 1, &mut out), Ok(()));
    assert_eq!(ingest.push(time(0), key(""), 1, &mut out), Ok(()));
    let error = ingest.push(time(0), key(""), 1, &mut out);
    assert_eq!(error, Err(RowsError::TooManyRows(3)));
    let mut sorted = RatesIngest::new_sorted(RowsSettings::default());
    assert_eq!(sorted.push(time(5), key(""), 1, &mut out), Ok(()));
    let error = sorted.push(time(4), key(""), 1, &mut out);
    assert_eq!(error, Err(RowsError::NotSorted));
}

#[test]
fn no_rows_make_no_records_but_time_moves_when_told() {
    let settings = RowsSettings::default();
    assert!(run(RatesIngest::new(settings), &[], None).is_empty());
    let story = tell(&run(RatesIngest::new(settings), &[], Some(7)));
    assert_eq!(story, ["progress 0 7 IdleProven"]);
}

proptest! {
    #[test]
    fn any_order_gives_the_same_records_as_order_of_time(
        rows in proptest::collection::vec(
            (0i64..12, prop::sample::select(vec!["", "E", "F"]), 0u64..4),
            0..80,
        ),
    ) {
        let settings = RowsSettings::default();
        let any_order = run(RatesIngest::new(settings), &rows, None);
        let mut sorted = rows.clone();
        sorted.sort_by_key(|row| row.0);
        let in_order = run(RatesIngest::new(settings), &sorted, None);
        let streamed = run(RatesIngest::new_sorted(settings), &sorted, None);
        prop_assert_eq!(tell(&any_order), tell(&in_order));
        prop_assert_eq!(in_order, streamed);
        let mut expected = BTreeMap::new();
        for (minute, error_code, count) in rows {
            *expected.entry((minute, error_code.to_string())).or_insert(0) += count;
        }
        expected.retain(|_, count| *count > 0);
        let mut found = BTreeMap::new();
        for record in &any_order {
            let LogRecord::Rates(rates) = record else { continue };
            for entry in rates.entries() {
                let error_code = rates.key(entry.key).error_code.to_string();
                found.insert((i64::from(entry.minute.0), error_code), entry.count);
            }
        }
        prop_assert_eq!(found, expected);
    }
}
