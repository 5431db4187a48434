//! Recorded logs through the engine, to their end.
//!
//! Streams of files are merged into one source by event time; everything from there on is the
//! [`Pipeline`]. Threads decode ahead and change nothing. A broken record or file is told and
//! passed over; only output and the rates log can stop a replay.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::stream_files::StreamFiles;
use super::{Account, Outputs, Pipeline, ServiceError};
use crate::config::Settings;
use crate::detect::Engine;
use crate::formats::{Format, RateRows, RatesCsvDecoder, Reject};
use crate::ingest::{JumpReason, JumpReject, Merge, RatesIngest, Step};
use crate::model::{EventBatch, EventTime, InsightType, Knowledge, LogRecord, SeriesRef};
use crate::sink::{Rejected, SinkError};
use crate::source::{
    FileBytes, FileLoss, InputFile, Piece, ReadPlan, StreamPiece, StreamSettings, Streams,
};

/// What the files hold.
#[derive(Clone, Debug)]
pub enum InputKind {
    /// Events, in a format.
    Events(Format),
    /// Rows of counts that somebody else made.
    Rates,
}

/// What to replay, and how.
#[derive(Clone, Debug)]
pub struct ReplayJob {
    pub files: Vec<InputFile>,
    pub kind: InputKind,
    /// Input from here on is not read, time advances to here.
    pub until: Option<EventTime>,
    /// Events before this time were counted by an earlier run.
    pub since: Option<EventTime>,
    pub threads: usize,
    /// What people know.
    pub knowledge: Arc<[Knowledge]>,
    /// Set from outside when the replay shall end at once.
    pub stop: Arc<AtomicBool>,
}

/// How far a replay has come.
#[derive(Clone, Copy, Debug)]
pub struct ReplayProgress {
    /// Bytes read from disk.
    pub bytes_read: u64,
    /// Highest event time so far.
    pub time: Option<EventTime>,
    /// Starts so far.
    pub starts: u64,
}

/// A replay that has ended.
pub struct Replayed<'a> {
    pub pipeline: Pipeline<'a>,
    pub account: Account,
    pub streams: usize,
}

struct Replay<'a, 'w> {
    job: ReplayJob,
    settings: &'a Settings,
    pipeline: Pipeline<'a>,
    account: Account,
    bytes_read: Arc<AtomicU64>,
    watch: &'w mut dyn FnMut(&ReplayProgress),
}

/// Replays `job`, going on from `engine` if there is one. `watch` is told now and then how far
/// it has come.
pub fn replay<'a>(
    job: ReplayJob,
    settings: &'a Settings,
    engine: Option<Engine>,
    outputs: Outputs<'a>,
    watch: &mut dyn FnMut(&ReplayProgress),
) -> Result<Replayed<'a>, ServiceError> {
    let mut replay = Replay {
        pipeline: Pipeline::new(settings, engine, outputs)?,
        account: Account::default(),
        bytes_read: Arc::default(),
        job,
        settings,
        watch,
    };
    let streams = match replay.job.kind.clone() {
        InputKind::Events(format) => replay.drive_events(format)?,
        InputKind::Rates => replay.drive_rates()?,
    };
    replay.pipeline.flush()?;
    Ok(Replayed {
        pipeline: replay.pipeline,
        account: replay.account,
        streams,
    })
}

impl Replay<'_, '_> {
    fn drive_events(&mut self, format: Format) -> Result<usize, ServiceError> {
        let mut streams = self.open_streams(format);
        let mut files: Vec<StreamFiles> = Vec::new();
        files.resize_with(streams.len(), StreamFiles::default);
        let mut merge = Merge::new(streams.len() as u32, self.settings.jump_max_seconds);
        loop {
            match merge.step() {
                Step::Take { batch, range, .. } => self.pipeline.push(batch, range)?,
                Step::Need { stream } => match streams.next_piece(stream) {
                    Some(StreamPiece { file, piece }) => {
                        let events = self.take_in(&file, piece)?;
                        files[stream as usize].add(file, events.len());
                        streams.recycle(merge.offer(stream, events));
                    }
                    None => merge.end(stream),
                },
                Step::Reject(jump) => {
                    let file = files[jump.stream as usize].file_of(jump.event_index);
                    self.reject_jump(file, &jump)?;
                }
                Step::Done => break,
            }
            if self.is_stopped() {
                return Ok(streams.len());
            }
        }
        self.pipeline.finish(self.job.until)?;
        Ok(streams.len())
    }

    fn open_streams(&mut self, format: Format) -> Streams {
        let plan = ReadPlan {
            format,
            limits: self.settings.decode.clone(),
            decompressed_bytes_max: self.settings.decompressed_bytes_max,
            since: self.job.since,
            until: self.job.until,
            bytes_read: Arc::clone(&self.bytes_read),
        };
        let settings = StreamSettings {
            chunk_bytes: self.settings.chunk_bytes,
            open_files_max: self.settings.open_files_max,
            threads: self.job.threads,
            stop: Arc::clone(&self.job.stop),
        };
        Streams::new(std::mem::take(&mut self.job.files), plan, &settings)
    }

    /// Books a piece and gives its events.
    fn take_in(&mut self, file: &str, piece: Piece) -> Result<EventBatch, ServiceError> {
        let account = &mut self.account;
        account.decode.add(&piece.decoded.counts);
        account.before_state += piece.before_since;
        account.after_until += piece.after_until;
        account.bytes += piece.bytes;
        account.files_read += u64::from(piece.is_last);
        account.see(piece.decoded.events.iter().map(|event| event.time()));
        self.reject(file, &piece.decoded.rejects)?;
        if let Some(loss) = piece.loss {
            self.lose(loss);
        }
        self.report();
        Ok(piece.decoded.events)
    }

    fn lose(&mut self, loss: FileLoss) {
        tracing::error!("{loss}");
        self.account.losses.push(loss);
    }

    fn reject(&mut self, file: &str, rejects: &[Reject]) -> Result<(), SinkError> {
        let Some(sink) = &mut self.pipeline.outputs.rejects else {
            return Ok(());
        };
        for reject in rejects {
            sink.write(&Rejected {
                reason: reject.reason.name(),
                file,
                record_index: Some(reject.record_index),
                byte_offset: Some(reject.byte_offset),
                detail: &reject.detail,
                record: &reject.record,
            })?;
        }
        Ok(())
    }

    fn reject_jump(&mut self, file: &str, jump: &JumpReject) -> Result<(), SinkError> {
        self.account.time_jumps += 1;
        let Some(sink) = &mut self.pipeline.outputs.rejects else {
            return Ok(());
        };
        let event = jump.event.get(0);
        let why = match jump.reason {
            JumpReason::Contradicted => "the next event contradicts it",
            JumpReason::Unconfirmed => "no event of its stream follows to confirm it",
        };
        let detail = format!(
            "{} is more than counting.jump_max ahead of its stream, and {why}",
            jump.time
        );
        let record = format!(
            "{} {} {} {} {} {}",
            event.account(),
            event.region(),
            event.event_source(),
            event.event_name(),
            event.error_code(),
            event.event_id()
        );
        sink.write(&Rejected {
            reason: "time_jump",
            file,
            record_index: None,
            byte_offset: None,
            detail: &detail,
            record: record.as_bytes(),
        })
    }

    fn drive_rates(&mut self) -> Result<usize, ServiceError> {
        let mut ingest = RatesIngest::new(self.settings.rows);
        let mut records = Vec::new();
        let files = std::mem::take(&mut self.job.files);
        let count = files.len();
        for file in files {
            self.read_rates(file, &mut ingest, &mut records)?;
            if self.is_stopped() {
                return Ok(count);
            }
        }
        ingest.finish(self.job.until);
        while ingest.drain(&mut records) {
            self.pipeline.push_records(&mut records)?;
            self.report();
            if self.is_stopped() {
                return Ok(count);
            }
        }
        self.pipeline.push_records(&mut records)?;
        Ok(count)
    }

    fn read_rates(
        &mut self,
        file: InputFile,
        ingest: &mut RatesIngest,
        records: &mut Vec<LogRecord>,
    ) -> Result<(), ServiceError> {
        let bytes_max = self.settings.decompressed_bytes_max;
        let mut bytes = FileBytes::new(file, bytes_max, Arc::clone(&self.bytes_read));
        let mut decoder = RatesCsvDecoder::new(self.settings.decode.clone());
        let (mut rows, mut chunk) = (RateRows::default(), Vec::new());
        let before = self.account.decode.records;
        loop {
            let result = bytes.read_chunk(self.settings.chunk_bytes, &mut chunk);
            decoder.feed(&chunk, &mut rows);
            let is_over = bytes.is_over() || result.is_err();
            if is_over {
                decoder.finish(&mut rows);
            }
            self.account.bytes += chunk.len() as u64;
            self.take_rows(&bytes.name(), &rows, ingest, records)?;
            rows.clear();
            if let Err(problem) = result {
                self.lose(FileLoss {
                    file: bytes.name(),
                    problem,
                    bytes_used: bytes.bytes(),
                    records: self.account.decode.records - before,
                });
            }
            if is_over || self.is_stopped() {
                break;
            }
        }
        self.account.files_read += 1;
        Ok(())
    }

    fn take_rows(
        &mut self,
        file: &str,
        rows: &RateRows,
        ingest: &mut RatesIngest,
        records: &mut Vec<LogRecord>,
    ) -> Result<(), ServiceError> {
        self.account.decode.add(&rows.counts);
        self.account.see(rows.iter().map(|row| row.time));
        for row in rows.iter() {
            if self.job.since.is_some_and(|since| row.time < since) {
                self.account.before_state += 1;
                continue;
            }
            if self.job.until.is_some_and(|until| row.time >= until) {
                self.account.after_until += 1;
                continue;
            }
            let insight_type = if row.error_code.is_empty() {
                InsightType::ApiCallRate
            } else {
                InsightType::ApiErrorRate
            };
            let key = SeriesRef {
                account: row.account,
                region: row.region,
                event_source: row.event_source,
                event_name: row.event_name,
                insight_type,
                error_code: row.error_code,
            };
            ingest.push(row.time, key, row.count, records)?;
            self.account.rows += 1;
        }
        self.account.rows_rolled_up = ingest.rolled_up();
        self.reject(file, &rows.rejects)?;
        self.report();
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        self.job.stop.load(Ordering::Relaxed)
    }

    fn report(&mut self) {
        (self.watch)(&ReplayProgress {
            bytes_read: self.bytes_read.load(Ordering::Relaxed),
            time: self.account.span.map(|(_, last)| last),
            starts: self.pipeline.starts(),
        });
    }
}
