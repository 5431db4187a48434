//! One segment file as bytes: its name, its header, its frames, and where a torn end begins.
//!
//! The layout is that of `docs/rates-log.md`. Nothing here opens a file for writing.

use std::fs;
use std::path::{Path, PathBuf};

use crate::formats::rates_record;
use crate::model::Minute;

use super::{RatesLogError, io_error};

/// Version of header and frames.
const VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"insightd";
/// Bytes of a header: magic, version, number, newest minute before, checksum.
pub(super) const HEADER_BYTES: u64 = 24;
/// Bytes before the record of a frame: its length and a checksum of the length.
pub(super) const FRAME_BYTES: usize = 8;

/// What the header of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub number: u32,
    /// Newest minute with a count in all segments before this one.
    pub newest_before: Minute,
}

pub(super) fn path(directory: &Path, number: u32) -> PathBuf {
    directory.join(format!("segment-{number:010}.rates"))
}

/// Numbers of the segments in `directory`, lowest first.
pub(super) fn list(directory: &Path) -> Result<Vec<u32>, RatesLogError> {
    let mut numbers = Vec::new();
    let entries = fs::read_dir(directory).map_err(|source| io_error(directory, source))?;
    for entry in entries {
        let entry = entry.map_err(|source| io_error(directory, source))?;
        let name = entry.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix("segment-")?.strip_suffix(".rates"))
            .filter(|number| number.len() == 10)
            .and_then(|number| number.parse::<u32>().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

pub(super) fn encode_header(header: Header) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&header.number.to_le_bytes());
    bytes.extend_from_slice(&header.newest_before.0.to_le_bytes());
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

pub(super) fn decode_header(bytes: &[u8]) -> Result<Header, String> {
    if bytes.len() as u64 != HEADER_BYTES || &bytes[..8] != MAGIC {
        return Err("not a segment of a rates log".to_string());
    }
    let field = |at: usize| u32::from_le_bytes(four(&bytes[at..]));
    if crc32c::crc32c(&bytes[..20]) != field(20) {
        return Err("the header's checksum differs".to_string());
    }
    if field(8) != VERSION {
        return Err(format!(
            "segment version {} is not known to this build",
            field(8)
        ));
    }
    Ok(Header {
        number: field(12),
        newest_before: Minute(field(16)),
    })
}

/// Writes the head of a frame whose record has `length` bytes to the first bytes of `frame`.
pub(super) fn put_frame_head(frame: &mut [u8], length: u32) {
    let length = length.to_le_bytes();
    frame[..4].copy_from_slice(&length);
    frame[4..FRAME_BYTES].copy_from_slice(&crc32c::crc32c(&length).to_le_bytes());
}

/// The record of the frame that `bytes` begins with, or what is wrong with it.
pub(super) fn frame(bytes: &[u8]) -> Result<&[u8], String> {
    let Some((head, rest)) = bytes.split_at_checked(FRAME_BYTES) else {
        return Err("the file ends within a frame".to_string());
    };
    if crc32c::crc32c(&head[..4]) != u32::from_le_bytes(four(&head[4..])) {
        return Err("the checksum of a frame's length differs".to_string());
    }
    let length = u32::from_le_bytes(four(head)) as usize;
    rest.get(..length)
        .ok_or_else(|| "the file ends within a frame".to_string())
}

/// What reading the frames of a last segment found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scan {
    /// Bytes of whole frames.
    pub whole: usize,
    /// Newest minute with a count in them.
    pub newest: Minute,
    /// What is wrong after them, when it is no torn end: whole frames follow.
    pub corrupt: Option<String>,
}

/// Reads all frames in `bytes`. Damage with no whole frame after it is a torn end.
pub(super) fn scan(bytes: &[u8]) -> Scan {
    let mut scan = Scan {
        whole: 0,
        newest: Minute(0),
        corrupt: None,
    };
    while scan.whole < bytes.len() {
        match whole_frame(&bytes[scan.whole..]) {
            Ok((length, newest)) => {
                scan.whole += length;
                scan.newest = scan.newest.max(newest);
            }
            Err(reason) => {
                let after = scan.whole + 1..bytes.len();
                if after
                    .into_iter()
                    .any(|at| whole_frame(&bytes[at..]).is_ok())
                {
                    scan.corrupt = Some(reason);
                }
                break;
            }
        }
    }
    scan
}

/// Length of the frame that `bytes` begins with and the newest minute with a count in it.
fn whole_frame(bytes: &[u8]) -> Result<(usize, Minute), String> {
    let record_bytes = frame(bytes)?;
    let record = rates_record::decode(record_bytes).map_err(|error| error.to_string())?;
    Ok((
        FRAME_BYTES + record_bytes.len(),
        super::segments::newest_minute(&record),
    ))
}

fn four(bytes: &[u8]) -> [u8; 4] {
    [bytes[0], bytes[1], bytes[2], bytes[3]]
}
