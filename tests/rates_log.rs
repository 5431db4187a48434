//! The rates log, in memory and in segments: what goes in comes out, torn ends are cut, anything
//! else that is damaged is named.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use insightd::model::{
    EventTime, InsightType, LogRecord, Minute, Progress, RatesBuilder, SeriesRef, SourceCategory,
    SourceState,
};
use insightd::rateslog::{
    MemoryLog, Position, RatesLog, RatesLogError, SegmentSettings, SegmentsLog, SyncPolicy,
};
use proptest::prelude::*;

const FIRST_MINUTE: u32 = 28_000_000;

fn progress(position: u64) -> LogRecord {
    LogRecord::Progress(Progress {
        source: 0,
        position,
        watermark: EventTime::from_seconds(position as i64 * 60).unwrap(),
        state: SourceState::Active,
    })
}

fn rates(minute: u32) -> LogRecord {
    let mut builder = RatesBuilder::default();
    let key = builder.add_key(
        SeriesRef {
            account: "1",
            region: "us-east-1",
            event_source: "iam.amazonaws.com",
            event_name: "CreateUser",
            insight_type: InsightType::ApiCallRate,
            error_code: "",
        },
        SourceCategory::Management,
    );
    builder.add_entry(key, Minute(FIRST_MINUTE + minute), 7, &[]);
    LogRecord::Rates(builder.finish(0, (0, 7)))
}

/// Rates of minute `n` for even `n`, Progress for odd.
fn records(count: u32) -> Vec<LogRecord> {
    (0..count)
        .map(|index| match index % 2 {
            0 => rates(index),
            _ => progress(u64::from(index)),
        })
        .collect()
}

fn small_segments(bytes: u64) -> SegmentSettings {
    SegmentSettings {
        segment_bytes_max: bytes,
        sync: SyncPolicy::OnRequest,
    }
}

fn append_all(log: &mut dyn RatesLog, records: &[LogRecord]) -> Vec<Position> {
    let mut positions = vec![log.end()];
    positions.extend(
        records
            .iter()
            .map(|record| log.append(record.clone()).unwrap()),
    );
    positions
}

fn read_all(log: &mut dyn RatesLog, from: Position) -> Result<Vec<LogRecord>, RatesLogError> {
    let mut read = Vec::new();
    let end = log.read(from, &mut |_, record| {
        read.push(record.clone());
        ControlFlow::Continue(())
    })?;
    assert_eq!(end, log.end());
    Ok(read)
}

fn check_reads_back(log: &mut dyn RatesLog, records: &[LogRecord], positions: &[Position]) {
    for (index, position) in positions.iter().enumerate() {
        assert_eq!(read_all(log, *position).unwrap(), records[index..]);
    }
    // One record at a time, each read where the one before ended.
    let mut at = positions[0];
    for (record, after) in records.iter().zip(&positions[1..]) {
        let stopped = log.read(at, &mut |position, read| {
            assert_eq!((read, position), (record, *after));
            ControlFlow::Break(())
        });
        at = stopped.unwrap();
        assert_eq!(at, *after);
    }
    let beyond = Position(log.end().0 + 1);
    let error = log.read(beyond, &mut |_, _| ControlFlow::Continue(()));
    assert!(matches!(error, Err(RatesLogError::NoSuchPosition(_))));
}

#[test]
fn both_kinds_give_back_what_was_appended_from_any_position() {
    let records = records(40);
    let mut memory = MemoryLog::default();
    let positions = append_all(&mut memory, &records);
    check_reads_back(&mut memory, &records, &positions);
    for segment_bytes in [1, 100, 300, 1 << 20] {
        let directory = tempfile::tempdir().unwrap();
        let settings = small_segments(segment_bytes);
        let mut log = SegmentsLog::open(directory.path(), settings).unwrap();
        let positions = append_all(&mut log, &records);
        check_reads_back(&mut log, &records, &positions);
        drop(log);
        let mut log = SegmentsLog::open(directory.path(), settings).unwrap();
        assert_eq!(log.bytes_cut(), 0);
        check_reads_back(&mut log, &records, &positions);
    }
}

#[test]
fn a_log_in_memory_forgets_what_was_released() {
    let mut log = MemoryLog::default();
    let positions = append_all(&mut log, &records(4));
    log.release(positions[2]);
    assert_eq!(log.start(), positions[2]);
    assert_eq!(read_all(&mut log, positions[2]).unwrap(), records(4)[2..]);
    let error = read_all(&mut log, positions[1]).unwrap_err();
    assert!(matches!(error, RatesLogError::Forgotten(_)), "{error}");
}

#[test]
fn retention_drops_whole_segments_older_than_a_minute() {
    let directory = tempfile::tempdir().unwrap();
    // One record a segment.
    let mut log = SegmentsLog::open(directory.path(), small_segments(1)).unwrap();
    let positions = append_all(&mut log, &records(10));
    let keep_from = Minute(FIRST_MINUTE + 4);
    assert_eq!(log.forget_before(keep_from).unwrap(), 0, "not released");
    log.release(log.end());
    // Rates of minutes 0 and 2 go, and the Progress after each.
    assert_eq!(log.forget_before(keep_from).unwrap(), 4);
    let start = log.start();
    assert_eq!(read_all(&mut log, start).unwrap(), records(10)[4..]);
    let error = read_all(&mut log, positions[1]).unwrap_err();
    assert!(matches!(error, RatesLogError::Forgotten(_)), "{error}");
    drop(log);
    let mut log = SegmentsLog::open(directory.path(), small_segments(1)).unwrap();
    let start = log.start();
    assert_eq!(read_all(&mut log, start).unwrap(), records(10)[4..]);
    // Never the segment that is being written.
    log.release(log.end());
    log.forget_before(Minute(u32::MAX)).unwrap();
    assert_eq!(log.segments(), 1);
}

#[test]
fn a_second_writer_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let _log = SegmentsLog::open(directory.path(), SegmentSettings::default()).unwrap();
    let error = SegmentsLog::open(directory.path(), SegmentSettings::default()).unwrap_err();
    assert!(matches!(error, RatesLogError::Locked { .. }), "{error}");
}

/// A closed log of `count` records in segments of `segment_bytes`, and its files in order.
fn written(directory: &Path, count: u32, segment_bytes: u64) -> Vec<PathBuf> {
    let mut log = SegmentsLog::open(directory, small_segments(segment_bytes)).unwrap();
    append_all(&mut log, &records(count));
    log.sync().unwrap();
    drop(log);
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "rates")
        })
        .collect();
    files.sort();
    files
}

/// Wherever a crash cuts the last file, whole records stay and appending goes on.
#[test]
fn a_torn_end_is_cut_at_any_byte() {
    let whole = tempfile::tempdir().unwrap();
    let bytes = fs::read(&written(whole.path(), 4, 1 << 20)[0]).unwrap();
    for length in 0..bytes.len() {
        for garbage in [&[][..], &[0; 20], &[0xff; 3]] {
            let directory = tempfile::tempdir().unwrap();
            let mut torn = bytes[..length].to_vec();
            if length >= 24 {
                torn.extend_from_slice(garbage);
            }
            let path = directory.path().join("segment-0000000000.rates");
            fs::write(&path, torn).unwrap();
            let settings = SegmentSettings::default();
            let mut log = SegmentsLog::open(directory.path(), settings).unwrap();
            let start = log.start();
            let mut kept = read_all(&mut log, start).unwrap();
            assert_eq!(kept, records(4)[..kept.len()]);
            log.append(progress(99)).unwrap();
            drop(log);
            kept.push(progress(99));
            let mut log = SegmentsLog::open(directory.path(), settings).unwrap();
            assert_eq!(log.bytes_cut(), 0);
            assert_eq!(read_all(&mut log, start).unwrap(), kept);
        }
    }
}

/// What is wrong elsewhere than at the very end is never passed over.
#[test]
fn corruption_is_named_with_file_and_byte() {
    // Segments of one record each: flip every byte of a segment in the middle.
    let directory = tempfile::tempdir().unwrap();
    let files = written(directory.path(), 5, 1);
    let path = &files[2];
    let bytes = fs::read(path).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        fs::write(path, damaged).unwrap();
        let error = open_and_read(directory.path()).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("segment-0000000002.rates"), "{message}");
        assert!(message.contains("corrupt at byte"), "{message}");
    }
    // Cut short, and gone.
    fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
    assert!(open_and_read(directory.path()).is_err());
    fs::remove_file(path).unwrap();
    let error = open_and_read(directory.path()).unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
}

#[test]
fn damage_before_whole_records_of_the_last_segment_is_no_torn_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = &written(directory.path(), 4, 1 << 20)[0];
    let mut bytes = fs::read(path).unwrap();
    for at in [24, 30, 40] {
        bytes[at] ^= 1;
        fs::write(path, &bytes).unwrap();
        let error = open_and_read(directory.path()).unwrap_err();
        assert!(error.to_string().contains("corrupt at byte 24"), "{error}");
        bytes[at] ^= 1;
    }
    let newer = tempfile::tempdir().unwrap();
    fs::write(
        newer.path().join("segment-0000000000.rates"),
        "something else that is long enough",
    )
    .unwrap();
    let error = open_and_read(newer.path()).unwrap_err();
    assert!(error.to_string().contains("not a segment"), "{error}");
}

fn open_and_read(directory: &Path) -> Result<Vec<LogRecord>, RatesLogError> {
    let mut log = SegmentsLog::open(directory, small_segments(1))?;
    let start = log.start();
    read_all(&mut log, start)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Reopening at any moment changes nothing.
    #[test]
    fn closing_and_opening_is_not_seen(
        steps in proptest::collection::vec(any::<bool>(), 1..30),
        segment_bytes in 1u64..500,
        every_append: bool,
    ) {
        let settings = SegmentSettings {
            segment_bytes_max: segment_bytes,
            sync: if every_append { SyncPolicy::EveryAppend } else { SyncPolicy::OnRequest },
        };
        let directory = tempfile::tempdir().unwrap();
        let mut log = SegmentsLog::open(directory.path(), settings).unwrap();
        let expected = records(steps.len() as u32);
        for (record, reopen) in expected.iter().zip(steps) {
            log.append(record.clone()).unwrap();
            if reopen {
                drop(log);
                log = SegmentsLog::open(directory.path(), settings).unwrap();
                prop_assert_eq!(log.bytes_cut(), 0);
            }
        }
        let start = log.start();
        prop_assert_eq!(read_all(&mut log, start).unwrap(), expected);
    }
}
