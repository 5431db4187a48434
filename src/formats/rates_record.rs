//! The one binary form of a [`LogRecord`], in segment files and on Kafka alike.
//!
//! Version byte, kind byte, body, CRC-32C; little-endian, counts and lengths as LEB128.
//! `docs/rates-log.md` describes it byte by byte. Decoding never panics, whatever the bytes, and
//! never reserves more memory than a small multiple of their number.

use std::sync::Arc;

use thiserror::Error;

use super::knowledge_record::{parse_knowledge, write_knowledge};
use crate::model::{
    AttributionDelta, Dimension, EventTime, InsightType, LogRecord, Minute, Progress, Rates,
    RatesBuilder, SeriesRef, SourceCategory, SourceState,
};

/// Version of the format that [`encode`] writes.
pub const VERSION: u8 = 1;

const KIND_SETTINGS: u8 = 1;
const KIND_SOURCES: u8 = 2;
const KIND_RATES: u8 = 3;
const KIND_PROGRESS: u8 = 4;
const KIND_RETIRED: u8 = 5;
const KIND_KNOWLEDGE: u8 = 6;
/// Version, kind and checksum.
const BYTES_MIN: usize = 6;
const CHECKSUM_BYTES: usize = 4;

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    #[error("shorter than a record can be")]
    TooShort,
    #[error("checksum differs")]
    Checksum,
    #[error("format version {0} is not known to this build")]
    Version(u8),
    #[error("{0}")]
    Malformed(&'static str),
}

/// Appends the bytes of `record` to `out`.
pub fn encode(record: &LogRecord, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(VERSION);
    match record {
        LogRecord::Settings(text) => {
            out.push(KIND_SETTINGS);
            out.extend_from_slice(text.as_bytes());
        }
        LogRecord::Sources(count) => {
            out.push(KIND_SOURCES);
            put(out, u64::from(*count));
        }
        LogRecord::Rates(rates) => {
            out.push(KIND_RATES);
            encode_rates(rates, out);
        }
        LogRecord::Progress(progress) => {
            out.push(KIND_PROGRESS);
            put(out, u64::from(progress.source));
            put(out, progress.position);
            put(out, progress.watermark.seconds() as u64);
            out.push(match progress.state {
                SourceState::Active => 0,
                SourceState::IdleProven => 1,
                SourceState::Blocked => 2,
            });
        }
        LogRecord::Retired(source) => {
            out.push(KIND_RETIRED);
            put(out, u64::from(*source));
        }
        LogRecord::Knowledge { number, record } => {
            out.push(KIND_KNOWLEDGE);
            put(out, u64::from(*number));
            out.extend(write_knowledge(record));
        }
    }
    let checksum = crc32c::crc32c(&out[start..]);
    out.extend_from_slice(&checksum.to_le_bytes());
}

/// Reads back one record; `bytes` has to hold it and nothing else.
pub fn decode(bytes: &[u8]) -> Result<LogRecord, RecordError> {
    if bytes.len() < BYTES_MIN {
        return Err(RecordError::TooShort);
    }
    if u32::try_from(bytes.len()).is_err() {
        return Err(RecordError::Malformed("4 GiB or more"));
    }
    let (covered, checksum) = bytes.split_at(bytes.len() - CHECKSUM_BYTES);
    let checksum: [u8; CHECKSUM_BYTES] = checksum.try_into().expect("split at its length");
    if crc32c::crc32c(covered) != u32::from_le_bytes(checksum) {
        return Err(RecordError::Checksum);
    }
    if covered[0] != VERSION {
        return Err(RecordError::Version(covered[0]));
    }
    let mut reader = Reader {
        rest: &covered[2..],
    };
    let record = match covered[1] {
        KIND_SETTINGS => {
            let length = reader.rest.len();
            LogRecord::Settings(reader.text(length)?.to_string())
        }
        KIND_SOURCES => LogRecord::Sources(reader.small()?),
        KIND_RATES => LogRecord::Rates(decode_rates(&mut reader)?),
        KIND_PROGRESS => LogRecord::Progress(decode_progress(&mut reader)?),
        KIND_RETIRED => LogRecord::Retired(reader.small()?),
        KIND_KNOWLEDGE => decode_knowledge(&mut reader)?,
        _ => return Err(RecordError::Malformed("unknown kind of record")),
    };
    match reader.rest {
        [] => Ok(record),
        _ => Err(RecordError::Malformed("bytes after the end of the body")),
    }
}

fn encode_rates(rates: &Rates, out: &mut Vec<u8>) {
    put(out, u64::from(rates.source));
    put(out, rates.positions.0);
    put(out, rates.positions.1);
    put(out, rates.keys_len() as u64);
    for key in 0..rates.keys_len() as u32 {
        let parts = rates.key(key);
        let category = match rates.category(key) {
            SourceCategory::Management => 0,
            SourceCategory::Data => 1,
        };
        let insight_type = match parts.insight_type {
            InsightType::ApiCallRate => 0,
            InsightType::ApiErrorRate => 2,
        };
        out.push(category | insight_type);
        put_text(out, parts.account);
        put_text(out, parts.region);
        put_text(out, parts.event_source);
        put_text(out, parts.event_name);
        put_text(out, parts.error_code);
    }
    put(out, rates.values_len() as u64);
    for value in 0..rates.values_len() as u32 {
        put_text(out, rates.value(value));
    }
    put(out, rates.entries().len() as u64);
    let (mut key, mut minute) = (0, 0);
    for entry in rates.entries() {
        put_signed(out, i64::from(entry.key) - key);
        put_signed(out, i64::from(entry.minute.0) - minute);
        key = i64::from(entry.key);
        minute = i64::from(entry.minute.0);
        put(out, entry.count);
        let deltas = rates.deltas(entry);
        put(out, deltas.len() as u64);
        for delta in deltas {
            put(
                out,
                u64::from(delta.value) << 2 | u64::from(delta.dimension.index()),
            );
            put(out, delta.count);
        }
    }
}

fn decode_rates(reader: &mut Reader<'_>) -> Result<Rates, RecordError> {
    let source = reader.small()?;
    let positions = (reader.number()?, reader.number()?);
    let mut builder = RatesBuilder::default();
    let keys = reader.small()?;
    for _ in 0..keys {
        let (key, category) = decode_key(reader)?;
        builder.add_key(key, category);
    }
    let values = reader.small()?;
    for _ in 0..values {
        let text = reader.sized_text()?;
        builder.add_value(text);
    }
    let entries = reader.small()?;
    let (mut key, mut minute) = (0u32, 0u32);
    let mut deltas = Vec::new();
    for _ in 0..entries {
        key = reader.step(key)?;
        minute = reader.step(minute)?;
        let count = reader.number()?;
        if key >= keys {
            return Err(RecordError::Malformed("an entry names no key"));
        }
        deltas.clear();
        for _ in 0..reader.small()? {
            deltas.push(decode_delta(reader, values)?);
        }
        builder.add_entry(key, Minute(minute), count, &deltas);
    }
    Ok(builder.finish(source, positions))
}

fn decode_key<'a>(reader: &mut Reader<'a>) -> Result<(SeriesRef<'a>, SourceCategory), RecordError> {
    let flags = reader.byte()?;
    if flags > 3 {
        return Err(RecordError::Malformed("unknown category or insight type"));
    }
    let category = match flags & 1 {
        0 => SourceCategory::Management,
        _ => SourceCategory::Data,
    };
    let key = SeriesRef {
        account: reader.sized_text()?,
        region: reader.sized_text()?,
        event_source: reader.sized_text()?,
        event_name: reader.sized_text()?,
        insight_type: match flags & 2 {
            0 => InsightType::ApiCallRate,
            _ => InsightType::ApiErrorRate,
        },
        error_code: reader.sized_text()?,
    };
    let is_error = key.insight_type == InsightType::ApiErrorRate;
    if is_error == key.error_code.is_empty() {
        return Err(RecordError::Malformed(
            "an error code on the wrong type of key",
        ));
    }
    Ok((key, category))
}

fn decode_delta(reader: &mut Reader<'_>, values: u32) -> Result<AttributionDelta, RecordError> {
    let joined = reader.number()?;
    let value = u32::try_from(joined >> 2)
        .ok()
        .filter(|value| *value < values);
    let value = value.ok_or(RecordError::Malformed("a delta names no value"))?;
    Ok(AttributionDelta {
        dimension: Dimension::ALL[(joined & 3) as usize],
        value,
        count: reader.number()?,
    })
}

fn decode_progress(reader: &mut Reader<'_>) -> Result<Progress, RecordError> {
    let source = reader.small()?;
    let position = reader.number()?;
    let watermark = i64::try_from(reader.number()?).ok();
    let watermark = watermark.and_then(EventTime::from_seconds);
    Ok(Progress {
        source,
        position,
        watermark: watermark.ok_or(RecordError::Malformed("a watermark after year 9999"))?,
        state: match reader.byte()? {
            0 => SourceState::Active,
            1 => SourceState::IdleProven,
            2 => SourceState::Blocked,
            _ => return Err(RecordError::Malformed("unknown state of a source")),
        },
    })
}

fn decode_knowledge(reader: &mut Reader<'_>) -> Result<LogRecord, RecordError> {
    let number = reader.small()?;
    let line = std::mem::take(&mut reader.rest);
    let record = parse_knowledge(line).map_err(|_| RecordError::Malformed(NOT_KNOWN))?;
    // One form only, as of all other records.
    if write_knowledge(&record) != line {
        return Err(RecordError::Malformed(NOT_KNOWN));
    }
    let record = Arc::new(record);
    Ok(LogRecord::Knowledge { number, record })
}

/// LEB128: seven bits a byte, lowest first, the top bit set on all but the last.
fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Zigzag, then LEB128: 0, -1, 1, -2 ... are written as 0, 1, 2, 3 ...
fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, (value << 1 ^ value >> 63) as u64);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// What is left to read of a body.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8, RecordError> {
        let (first, rest) = self.rest.split_first().ok_or(CUT_SHORT)?;
        self.rest = rest;
        Ok(*first)
    }

    fn number(&mut self) -> Result<u64, RecordError> {
        let mut value = 0u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(RecordError::Malformed("a number of more than 64 bits"))
    }

    fn small(&mut self) -> Result<u32, RecordError> {
        u32::try_from(self.number()?)
            .map_err(|_| RecordError::Malformed("a number of more than 32 bits"))
    }

    /// `from` moved by the signed number that follows.
    fn step(&mut self, from: u32) -> Result<u32, RecordError> {
        let zigzag = self.number()?;
        let step = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
        i64::from(from)
            .checked_add(step)
            .and_then(|to| u32::try_from(to).ok())
            .ok_or(RecordError::Malformed("a step leaves the range of 32 bits"))
    }

    fn sized_text(&mut self) -> Result<&'a str, RecordError> {
        let length = self.small()? as usize;
        self.text(length)
    }

    fn text(&mut self, length: usize) -> Result<&'a str, RecordError> {
        let (text, rest) = self.rest.split_at_checked(length).ok_or(CUT_SHORT)?;
        self.rest = rest;
        std::str::from_utf8(text).map_err(|_| RecordError::Malformed("text that is not UTF-8"))
    }
}

const NOT_KNOWN: &str = "knowledge of a kind that is not known to this build";
const CUT_SHORT: RecordError = RecordError::Malformed("the body ends too early");

#[cfg(test)]
#[path = "rates_record_tests.rs"]
mod tests;
