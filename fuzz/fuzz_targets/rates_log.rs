//! Records of the rates log, and segments that are torn, corrupt, or forged with checksums that
//! are right.
#![no_main]

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use insightd::formats::rates_record::{decode, encode};
use insightd::model::LogRecord;
use insightd::rateslog::{RatesLog, RatesLogError, SegmentSettings, SegmentsLog, SyncPolicy};
use insightd_fuzz::{Input, engines, with_checksum, write_seeds};
use libfuzzer_sys::fuzz_target;

const SETTINGS: SegmentSettings = SegmentSettings {
    segment_bytes_max: 600,
    sync: SyncPolicy::OnRequest,
};

fuzz_target!(init: write_seeds(seeds), |data: &[u8]| {
    let mut input = Input::new(data);
    match input.byte() % 4 {
        0 => check_record(input.rest),
        1 => check_record(&with_checksum(input.rest)),
        2 => check_segment(&[&header(0), input.rest].concat()),
        _ => check_segment(&forged(&mut input)),
    }
});

/// What decodes comes back when it is written and decoded again.
fn check_record(bytes: &[u8]) {
    let Ok(record) = decode(bytes) else { return };
    let mut again = Vec::new();
    encode(&record, &mut again);
    assert!(again.len() <= bytes.len(), "the writer is the shorter one");
    assert_eq!(decode(&again).as_ref(), Ok(&record));
}

fn header(number: u32) -> Vec<u8> {
    let mut bytes = b"insightd".to_vec();
    for word in [1, number, 0] {
        bytes.extend_from_slice(&u32::to_le_bytes(word));
    }
    with_checksum(&bytes)
}

/// A segment of frames, each whole or with one thing wrong.
fn forged(input: &mut Input<'_>) -> Vec<u8> {
    let mut bytes = header(0);
    while !input.rest.is_empty() {
        let damage = input.byte();
        let length = usize::from(input.byte());
        let mut record = with_checksum(input.take(length));
        if damage & 7 == 1
            && let Some(byte) = record.first_mut()
        {
            *byte ^= 1;
        }
        let claimed = match damage & 7 {
            2 => u32::MAX,
            3 => record.len() as u32 + 1,
            _ => record.len() as u32,
        };
        let mut head = with_checksum(&claimed.to_le_bytes());
        if damage & 7 == 4 {
            head[5] ^= 1;
        }
        bytes.extend_from_slice(&head);
        bytes.extend_from_slice(&record);
        if damage & 7 == 5 {
            bytes.truncate(bytes.len().saturating_sub(usize::from(damage >> 3)).max(24));
        }
    }
    bytes
}

/// Opening names what is corrupt or leaves a log that can be read whole, appended to, and opened
/// again with nothing lost.
fn check_segment(bytes: &[u8]) {
    let directory = scratch();
    fs::write(directory.join("segment-0000000000.rates"), bytes).expect("a segment is written");
    let before = match read(&directory) {
        Ok((records, _)) => records,
        Err(RatesLogError::Corrupt { .. }) => return,
        Err(other) => panic!("{other}"),
    };
    let (again, cut) = read(&directory).expect("what was opened opens again");
    assert_eq!((&again, cut), (&before, 0));
    let mut log = SegmentsLog::open(&directory, SETTINGS).expect("it opens");
    for count in 0..3 {
        log.append(LogRecord::Sources(count))
            .expect("a record is appended");
    }
    drop(log);
    let (after, cut) = read(&directory).expect("what was appended to opens again");
    assert_eq!((after.len(), cut), (before.len() + 3, 0));
    assert_eq!(after[..before.len()], before);
}

fn read(directory: &Path) -> Result<(Vec<LogRecord>, u64), RatesLogError> {
    let mut log = SegmentsLog::open(directory, SETTINGS)?;
    let mut records = Vec::new();
    let end = log.read(log.start(), &mut |_, record| {
        records.push(record.clone());
        ControlFlow::Continue(())
    })?;
    assert_eq!(end, log.end());
    Ok((records, log.bytes_cut()))
}

/// An empty directory of this process, in memory where there is such a place.
fn scratch() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() {
        memory.to_path_buf()
    } else {
        std::env::temp_dir()
    };
    let directory = place.join(format!("insightd-fuzz-{}", std::process::id()));
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).expect("a scratch directory is made");
    directory
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let mut segment = vec![2];
    let mut frames = vec![3];
    for record in engines::records() {
        let mut bytes = Vec::new();
        encode(&record, &mut bytes);
        let length = bytes.len() as u32;
        segment.extend_from_slice(&with_checksum(&length.to_le_bytes()));
        segment.extend_from_slice(&bytes);
        let body = &bytes[..bytes.len() - 4];
        seeds.push([&[1], body].concat());
        if let Ok(length) = u8::try_from(body.len()) {
            frames.extend_from_slice(&[0, length]);
            frames.extend_from_slice(body);
        }
        seeds.push([&[0], bytes.as_slice()].concat());
    }
    seeds.push(segment);
    seeds.push(frames);
    seeds
}
