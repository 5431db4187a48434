//! A rates log on disk: a directory of checksummed, append-only segment files.
//!
//! `segment-<number>.rates` holds a header and then frames, each a length and a record with its
//! own checksum; `docs/rates-log.md` describes them byte by byte. A crash can only tear the end
//! of the newest segment: opening cuts that off. Anything wrong elsewhere is corruption, which
//! is reported with file and byte and never passed over.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::formats::rates_record;
use crate::model::{LogRecord, Minute};

use super::segment_file::{self, FRAME_BYTES, HEADER_BYTES, Header};
use super::{Position, RatesLog, RatesLogError, io_error};

/// How segments are written.
#[derive(Clone, Copy, Debug)]
pub struct SegmentSettings {
    /// A segment that would outgrow this is followed by a new one; 1 GiB at most.
    pub segment_bytes_max: u64,
    pub sync: SyncPolicy,
}

/// When appended records are made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// With every append.
    EveryAppend,
    /// On [`RatesLog::sync`] and when a segment is full.
    OnRequest,
}

/// The rates log in a directory. Dropping it writes out what is buffered, without sync.
#[derive(Debug)]
pub struct SegmentsLog {
    directory: PathBuf,
    settings: SegmentSettings,
    /// All segments, oldest first; the last one is being written.
    segments: Vec<Segment>,
    file: File,
    /// Frames that are not in the file yet.
    buffer: Vec<u8>,
    /// Bytes of the last segment that are in the file.
    written: u64,
    released: Position,
    bytes_cut: u64,
    /// Held for as long as the log is open, so that nobody else writes.
    _lock: File,
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    number: u32,
    /// Length in bytes, header included.
    bytes: u64,
    /// Newest minute with a count in all segments before this one.
    newest_before: Minute,
    /// Newest minute with a count, segments before included; known for the last one only.
    newest: Minute,
}

/// Buffered bytes after which they are written.
const BUFFER_BYTES: usize = 1 << 20;
const SEGMENT_BYTES_MAX: u64 = 1 << 30;
const LOCK_NAME: &str = "lock";

impl Default for SegmentSettings {
    fn default() -> Self {
        SegmentSettings {
            segment_bytes_max: 64 << 20,
            sync: SyncPolicy::OnRequest,
        }
    }
}

impl SegmentsLog {
    /// Opens the log in `directory`, which is created when absent. A torn record at the very end
    /// is cut off; [`Self::bytes_cut`] says how much that was.
    pub fn open(directory: &Path, settings: SegmentSettings) -> Result<Self, RatesLogError> {
        fs::create_dir_all(directory).map_err(|source| io_error(directory, source))?;
        let lock = lock(directory)?;
        let mut segments = open_segments(directory)?;
        let mut bytes_cut = 0;
        if let Some(last) = segments.last_mut() {
            bytes_cut = cut_torn_end(directory, last)?;
        }
        let last = match segments.last() {
            Some(last) => *last,
            None => {
                let first = create_segment(directory, 0, Minute(0))?;
                segments.push(first);
                first
            }
        };
        Ok(SegmentsLog {
            file: open_to_append(directory, last)?,
            directory: directory.to_path_buf(),
            settings,
            segments,
            buffer: Vec::new(),
            written: last.bytes,
            released: Position(0),
            bytes_cut,
            _lock: lock,
        })
    }

    /// Bytes of a torn record that opening cut off.
    pub fn bytes_cut(&self) -> u64 {
        self.bytes_cut
    }

    /// Removes the oldest segments as long as all their counts are of minutes before `minute`
    /// and they lie before the released position. Returns how many went.
    pub fn forget_before(&mut self, minute: Minute) -> Result<usize, RatesLogError> {
        let mut count = 0;
        while let [first, second, ..] = self.segments[..] {
            let is_released = position(second.number, HEADER_BYTES) <= self.released;
            if second.newest_before >= minute || !is_released {
                break;
            }
            remove(&self.directory, first.number)?;
            self.segments.remove(0);
            count += 1;
        }
        Ok(count)
    }

    /// Files of the log, oldest first.
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    fn last(&self) -> &Segment {
        self.segments.last().expect("a log has a segment")
    }

    fn last_mut(&mut self) -> &mut Segment {
        self.segments.last_mut().expect("a log has a segment")
    }

    fn write_buffer(&mut self) -> Result<(), RatesLogError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let path = segment_file::path(&self.directory, self.last().number);
        // A failed write leaves the file at an unknown length: go back to where it was whole.
        let result = self
            .file
            .seek(SeekFrom::Start(self.written))
            .and_then(|_| self.file.write_all(&self.buffer));
        result.map_err(|source| io_error(&path, source))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn sync_file(&mut self) -> Result<(), RatesLogError> {
        self.write_buffer()?;
        let path = segment_file::path(&self.directory, self.last().number);
        self.file
            .sync_data()
            .map_err(|source| io_error(&path, source))
    }

    /// Finishes the last segment and begins the next one.
    fn roll(&mut self) -> Result<(), RatesLogError> {
        self.sync_file()?;
        let last = *self.last();
        let next = create_segment(&self.directory, last.number + 1, last.newest)?;
        self.file = open_to_append(&self.directory, next)?;
        self.segments.push(next);
        self.written = next.bytes;
        Ok(())
    }

    /// Visits the records of one segment from byte `offset` on. Says where it stopped, and
    /// whether `visit` wanted that.
    fn read_segment(
        &self,
        segment: &Segment,
        offset: u64,
        visit: &mut dyn FnMut(Position, &LogRecord) -> ControlFlow<()>,
    ) -> Result<(u64, ControlFlow<()>), RatesLogError> {
        let path = segment_file::path(&self.directory, segment.number);
        let mut bytes = Vec::new();
        let mut read = || {
            let mut file = File::open(&path)?;
            file.seek(SeekFrom::Start(offset))?;
            file.take(segment.bytes.saturating_sub(offset))
                .read_to_end(&mut bytes)
        };
        read().map_err(|source| io_error(&path, source))?;
        let mut at = 0;
        while at < bytes.len() {
            let corrupt = |reason: String| RatesLogError::Corrupt {
                path: path.clone(),
                offset: offset + at as u64,
                reason,
            };
            let frame = segment_file::frame(&bytes[at..]).map_err(&corrupt)?;
            let record = rates_record::decode(frame).map_err(|error| corrupt(error.to_string()))?;
            at += FRAME_BYTES + frame.len();
            let after = position(segment.number, offset + at as u64);
            if visit(after, &record).is_break() {
                return Ok((offset + at as u64, ControlFlow::Break(())));
            }
        }
        if offset + at as u64 != segment.bytes {
            return Err(RatesLogError::Corrupt {
                path,
                offset: offset + at as u64,
                reason: format!("the file ends before its {} bytes", segment.bytes),
            });
        }
        Ok((segment.bytes, ControlFlow::Continue(())))
    }
}

impl RatesLog for SegmentsLog {
    fn append(&mut self, record: LogRecord) -> Result<Position, RatesLogError> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; FRAME_BYTES]);
        rates_record::encode(&record, &mut self.buffer);
        let length = self.buffer.len() - start - FRAME_BYTES;
        let frame_bytes = (self.buffer.len() - start) as u64;
        if HEADER_BYTES + frame_bytes > SEGMENT_BYTES_MAX {
            self.buffer.truncate(start);
            return Err(RatesLogError::RecordTooLong { bytes: length });
        }
        segment_file::put_frame_head(&mut self.buffer[start..], length as u32);
        let limit = self.settings.segment_bytes_max.min(SEGMENT_BYTES_MAX);
        let last = *self.last();
        if last.bytes + frame_bytes > limit && last.bytes > HEADER_BYTES {
            let frame = self.buffer.split_off(start);
            self.roll()?;
            self.buffer = frame;
        }
        let before = *self.last();
        let last = self.last_mut();
        last.bytes += frame_bytes;
        last.newest = last.newest.max(newest_minute(&record));
        let result = match self.settings.sync {
            SyncPolicy::EveryAppend => self.sync_file(),
            SyncPolicy::OnRequest if self.buffer.len() >= BUFFER_BYTES => self.write_buffer(),
            SyncPolicy::OnRequest => Ok(()),
        };
        if let Err(error) = result {
            // Not appended: what of it may stand in the file is overwritten, or cut on opening.
            let kept = self.buffer.len().saturating_sub(frame_bytes as usize);
            self.buffer.truncate(kept);
            *self.last_mut() = before;
            self.written = self.written.min(before.bytes);
            return Err(error);
        }
        Ok(self.end())
    }

    fn read(
        &mut self,
        from: Position,
        visit: &mut dyn FnMut(Position, &LogRecord) -> ControlFlow<()>,
    ) -> Result<Position, RatesLogError> {
        if from < self.start() {
            return Err(RatesLogError::Forgotten(from));
        }
        if from > self.end() {
            return Err(RatesLogError::NoSuchPosition(from));
        }
        self.write_buffer()?;
        let (number, mut offset) = ((from.0 >> 32) as u32, from.0 & u64::from(u32::MAX));
        let skipped = (number - self.segments[0].number) as usize;
        let Some(first) = self.segments.get(skipped) else {
            return Err(RatesLogError::NoSuchPosition(from));
        };
        if offset < HEADER_BYTES || offset > first.bytes {
            return Err(RatesLogError::NoSuchPosition(from));
        }
        let mut reached = from;
        for segment in &self.segments[skipped..] {
            let (end, flow) = self.read_segment(segment, offset, visit)?;
            reached = position(segment.number, end);
            if flow.is_break() {
                break;
            }
            offset = HEADER_BYTES;
        }
        Ok(reached)
    }

    fn start(&self) -> Position {
        position(self.segments[0].number, HEADER_BYTES)
    }

    fn end(&self) -> Position {
        position(self.last().number, self.last().bytes)
    }

    fn sync(&mut self) -> Result<(), RatesLogError> {
        self.sync_file()
    }

    fn release(&mut self, position: Position) {
        self.released = self.released.max(position);
    }
}

impl Drop for SegmentsLog {
    fn drop(&mut self) {
        // Who needs to know whether this worked calls `sync` first.
        let _ = self.write_buffer();
    }
}

fn position(number: u32, offset: u64) -> Position {
    Position(u64::from(number) << 32 | offset)
}

/// The segments of `directory` by their headers, oldest first.
fn open_segments(directory: &Path) -> Result<Vec<Segment>, RatesLogError> {
    let mut numbers = segment_file::list(directory)?;
    // A crash can fall between the creation of a segment and its header.
    if let Some(last) = numbers.last() {
        let path = segment_file::path(directory, *last);
        let length = fs::metadata(&path).map_err(|source| io_error(&path, source))?;
        if length.len() < HEADER_BYTES {
            remove(directory, *last)?;
            numbers.pop();
        }
    }
    let mut segments: Vec<Segment> = Vec::new();
    for number in numbers {
        let segment = open_segment(directory, number)?;
        if segments
            .last()
            .is_some_and(|last| last.number + 1 != number)
        {
            return Err(RatesLogError::Corrupt {
                path: segment_file::path(directory, number - 1),
                offset: 0,
                reason: "the segment is missing".to_string(),
            });
        }
        segments.push(segment);
    }
    Ok(segments)
}

fn open_segment(directory: &Path, number: u32) -> Result<Segment, RatesLogError> {
    let path = segment_file::path(directory, number);
    let mut head = Vec::new();
    let bytes = File::open(&path)
        .and_then(|file| {
            let length = file.metadata()?.len();
            file.take(HEADER_BYTES).read_to_end(&mut head)?;
            Ok(length)
        })
        .map_err(|source| io_error(&path, source))?;
    let header = segment_file::decode_header(&head).and_then(|header| match header.number {
        same if same == number => Ok(header),
        other => Err(format!("the header is that of segment {other}")),
    });
    let header = header.map_err(|reason| RatesLogError::Corrupt {
        path,
        offset: 0,
        reason,
    })?;
    Ok(Segment {
        number,
        bytes,
        newest_before: header.newest_before,
        newest: header.newest_before,
    })
}

/// Reads the last segment through and cuts off a torn end. Returns the bytes cut.
fn cut_torn_end(directory: &Path, last: &mut Segment) -> Result<u64, RatesLogError> {
    let path = segment_file::path(directory, last.number);
    let bytes = fs::read(&path).map_err(|source| io_error(&path, source))?;
    let scan = segment_file::scan(&bytes[HEADER_BYTES as usize..]);
    let whole = HEADER_BYTES + scan.whole as u64;
    if let Some(reason) = scan.corrupt {
        return Err(RatesLogError::Corrupt {
            path,
            offset: whole,
            reason,
        });
    }
    let bytes_cut = last.bytes - whole;
    if bytes_cut > 0 {
        OpenOptions::new()
            .write(true)
            .open(&path)
            .and_then(|file| {
                file.set_len(whole)?;
                file.sync_all()
            })
            .map_err(|source| io_error(&path, source))?;
    }
    last.bytes = whole;
    last.newest = last.newest.max(scan.newest);
    Ok(bytes_cut)
}

fn create_segment(
    directory: &Path,
    number: u32,
    newest_before: Minute,
) -> Result<Segment, RatesLogError> {
    let path = segment_file::path(directory, number);
    let header = segment_file::encode_header(Header {
        number,
        newest_before,
    });
    let create = || {
        // Over a file of that name: a roll that failed half-way left it there.
        let mut file = File::create(&path)?;
        file.write_all(&header)?;
        file.sync_all()?;
        File::open(directory)?.sync_all()
    };
    create().map_err(|source| io_error(&path, source))?;
    Ok(Segment {
        number,
        bytes: HEADER_BYTES,
        newest_before,
        newest: newest_before,
    })
}

fn open_to_append(directory: &Path, segment: Segment) -> Result<File, RatesLogError> {
    let path = segment_file::path(directory, segment.number);
    OpenOptions::new()
        .write(true)
        .open(&path)
        .map_err(|source| io_error(&path, source))
}

fn remove(directory: &Path, number: u32) -> Result<(), RatesLogError> {
    let path = segment_file::path(directory, number);
    fs::remove_file(&path).map_err(|source| io_error(&path, source))
}

fn lock(directory: &Path) -> Result<File, RatesLogError> {
    let path = directory.join(LOCK_NAME);
    let file = File::create(&path).map_err(|source| io_error(&path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(RatesLogError::Locked { path }),
        Err(TryLockError::Error(source)) => Err(io_error(&path, source)),
    }
}

/// Newest minute with a count in a record.
pub(super) fn newest_minute(record: &LogRecord) -> Minute {
    match record {
        LogRecord::Rates(rates) => {
            let minutes = rates.entries().iter().map(|entry| entry.minute);
            minutes.max().unwrap_or_default()
        }
        _ => Minute(0),
    }
}
