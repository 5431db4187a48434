//! One source's events, in its order, become Rates and Progress.
//!
//! The watermark is the start of the bucket that the source's highest event time, less the
//! lateness, lies in. Whenever it moves, a Rates batch goes out for each minute closed by that,
//! and for each closed before that got late counts since, oldest first; then one Progress. So
//! the records depend on the order of the events and on nothing else.

use std::ops::Range;

use crate::model::{
    AuditEvent, EventBatch, EventTime, Fingerprint, InsightType, LogRecord, Minute, Progress,
    SeriesRef, SourceCategory, SourceState,
};

use super::fingerprints::{event_id_fingerprint, value_fingerprint};
use super::recent_ids::RecentIds;
use super::rules::{Counting, NotCounted, judge};
use super::tallies::{NO_VALUE, NULL_VALUE, PendingMinute, Tallies};
use super::{IngestCounts, IngestSettings, IngestSizes};

/// Minutes before the watermark from which a late count still repairs the detector's window
/// (7 days, an hour and 3 minutes: reference detection, table of section 6).
const WINDOW_MINUTES: u32 = 10_143;
/// Events whose table slots are fetched before the first of them is counted.
const BLOCK: usize = 32;
/// Events between two looks at how much is pending.
const LOOK_EVENTS: u64 = 1024;
/// Memory of pending counts over which they go out early, whatever the other limits: long texts
/// can fill it before the numbers of series and values are reached.
const PENDING_BYTES_MAX: usize = 1 << 30;

/// Stage 1 for one source.
#[derive(Debug)]
pub struct Ingest {
    settings: IngestSettings,
    source: u32,
    counts: IngestCounts,
    tallies: Tallies,
    recent_ids: RecentIds,
    /// Events taken in so far.
    position: u64,
    /// Highest event time so far.
    highest: Option<EventTime>,
    /// First bucket that is still open.
    watermark: Minute,
    /// Position up to which Rates have gone out.
    sent_position: u64,
    /// The Progress that went out last.
    progress: Option<Progress>,
    /// Highest time among the events of [`Self::warm`].
    warmed: EventTime,
}

/// What can be said of an event without knowing any other.
#[derive(Clone, Copy, Debug)]
struct Prepared {
    counting: Result<Counting, NotCounted>,
    event_id: u128,
    call: Fingerprint,
    error: Fingerprint,
    identity: u128,
    user_agent: u128,
    error_value: u128,
}

impl Ingest {
    pub fn new(settings: IngestSettings, source: u32) -> Self {
        let limits = settings.limits;
        Ingest {
            recent_ids: RecentIds::new(settings.dedup_horizon_seconds, limits.dedup_entries_max),
            tallies: Tallies::new(settings.roll_ups),
            settings,
            source,
            counts: IngestCounts::default(),
            position: 0,
            highest: None,
            watermark: Minute(0),
            sent_position: 0,
            progress: None,
            warmed: EventTime::default(),
        }
    }

    /// Goes on where an earlier owner of the source stood. What it remembered of event ids comes
    /// back by [`Self::warm`].
    pub fn resume(&mut self, highest: Option<EventTime>, watermark: EventTime) {
        self.highest = highest;
        self.watermark = watermark.minute();
        if highest.is_some() || self.watermark > Minute(0) {
            self.progress = Some(Progress {
                source: self.source,
                position: 0,
                watermark: self.watermark.start(),
                state: SourceState::Active,
            });
        }
    }

    /// Remembers the event ids of events that were counted before, and nothing else of them.
    pub fn warm(&mut self, batch: &EventBatch, range: Range<usize>) {
        for index in range {
            let event = batch.get(index);
            let counts = judge(&event, &self.settings).is_ok();
            if counts && !event.event_id().is_empty() {
                let highest = self.warmed.max(event.time());
                self.warmed = highest;
                let id = event_id_fingerprint(event.account(), event.event_id());
                self.recent_ids.is_duplicate(id, event.time(), highest);
            }
        }
    }

    /// Sends all that is pending, open minutes included: counts of a minute add up. Time does not
    /// move.
    pub fn send_pending(&mut self, out: &mut Vec<LogRecord>) {
        self.send_rates(Minute(u32::MAX), out);
        self.sent_position = self.position;
    }

    /// Says that the source is paused, lags or fails: what was proven of it holds no longer.
    pub fn block(&mut self, out: &mut Vec<LogRecord>) {
        self.send_progress(SourceState::Blocked, out);
    }

    /// Highest event time so far.
    pub fn highest(&self) -> Option<EventTime> {
        self.highest
    }

    /// Counts before this time are final.
    pub fn watermark(&self) -> EventTime {
        self.watermark.start()
    }

    /// What the Progress that went out last said of the source.
    pub fn state(&self) -> Option<SourceState> {
        self.progress.as_ref().map(|progress| progress.state)
    }

    /// Takes in the events `range` of `batch`, the next of the source.
    pub fn push(&mut self, batch: &EventBatch, range: Range<usize>, out: &mut Vec<LogRecord>) {
        let mut prepared = [Prepared::NOTHING; BLOCK];
        let mut start = range.start;
        while start < range.end {
            let end = range.end.min(start + BLOCK);
            for (slot, index) in prepared.iter_mut().zip(start..end) {
                *slot = self.prepare(&batch.get(index));
            }
            for (one, index) in prepared.iter().zip(start..end) {
                self.take_in(&batch.get(index), one, out);
            }
            start = end;
        }
    }

    /// Moves the watermark to `time` (whole buckets) without events: for `--until`, and when the
    /// source is proven to have nothing more. What comes behind it is late. The source is silent
    /// only if its last event lies before `time` as well.
    pub fn advance_to(&mut self, time: EventTime, out: &mut Vec<LogRecord>) {
        let bucket = time.minute().bucket(self.settings.bucket_minutes);
        let is_silent = self.highest.is_none_or(|highest| highest <= time);
        let state = if is_silent {
            SourceState::IdleProven
        } else {
            SourceState::Active
        };
        self.flush(bucket, state, out);
    }

    /// End of input: every minute up to the last event's closes.
    pub fn finish(&mut self, out: &mut Vec<LogRecord>) {
        let Some(highest) = self.highest else {
            return;
        };
        let width = self.settings.bucket_minutes;
        let after = Minute(highest.minute().bucket(width).0 + width);
        self.flush(after, SourceState::IdleProven, out);
    }

    pub fn counts(&self) -> &IngestCounts {
        &self.counts
    }

    /// What is remembered now; none of it grows for ever.
    pub fn sizes(&self) -> IngestSizes {
        let mut sizes = IngestSizes {
            event_ids: self.recent_ids.len(),
            ..IngestSizes::default()
        };
        self.tallies.add_sizes(&mut sizes);
        sizes
    }

    /// Events taken in so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Judges the event, computes its fingerprints and starts loading what they will hit.
    #[inline]
    fn prepare(&self, event: &AuditEvent<'_>) -> Prepared {
        let mut prepared = Prepared {
            counting: judge(event, &self.settings),
            ..Prepared::NOTHING
        };
        let Ok(counting) = prepared.counting else {
            return prepared;
        };
        if !event.event_id().is_empty() {
            prepared.event_id = event_id_fingerprint(event.account(), event.event_id());
            self.recent_ids.prefetch(prepared.event_id);
        }
        if counting.call {
            prepared.call = call_key(event).fingerprint();
        }
        if counting.error {
            prepared.error = error_key(event).fingerprint();
            prepared.error_value = value_fingerprint(event.error_code());
        }
        if !event.identity().is_empty() {
            prepared.identity = value_fingerprint(event.identity());
        }
        if !event.user_agent().is_empty() {
            prepared.user_agent = value_fingerprint(event.user_agent());
        }
        let bucket = event.time().minute().bucket(self.settings.bucket_minutes);
        if let Some(minute) = self.tallies.pending(bucket) {
            minute.prefetch_key(prepared.call);
            if counting.error {
                minute.prefetch_key(prepared.error);
            }
            minute.prefetch_value(prepared.identity);
            minute.prefetch_value(prepared.user_agent);
        }
        prepared
    }

    /// Takes in one event: first time moves, then the event is counted.
    fn take_in(&mut self, event: &AuditEvent<'_>, prepared: &Prepared, out: &mut Vec<LogRecord>) {
        let highest = self.highest.unwrap_or_default().max(event.time());
        if self.highest != Some(highest) {
            self.highest = Some(highest);
            let watermark = highest
                .minus_seconds(i64::from(self.settings.lateness_seconds))
                .minute()
                .bucket(self.settings.bucket_minutes);
            if watermark > self.watermark || self.progress.is_none() {
                self.flush(watermark, SourceState::Active, out);
            }
        }
        if self.state() == Some(SourceState::IdleProven) {
            // Whatever comes ends a silence, also where it moves no time.
            self.send_progress(SourceState::Active, out);
        }
        match prepared.counting {
            Ok(counting) => self.count(event, prepared, counting, highest),
            Err(reason) => self.counts.add_not_counted(reason),
        }
        self.position += 1;
        let is_too_much = self.tallies.minutes() > self.settings.limits.open_minutes_max as usize
            || (self.position.is_multiple_of(LOOK_EVENTS) && self.is_over_limits());
        if is_too_much {
            self.flush_early(out);
        }
    }

    fn is_over_limits(&self) -> bool {
        let limits = &self.settings.limits;
        let sizes = self.sizes();
        sizes.pending_series > limits.series_max as usize
            || sizes.pending_values > limits.values_max as usize
            || sizes.pending_rows > limits.rows_max as usize
            || sizes.pending_bytes > PENDING_BYTES_MAX
    }

    fn count(
        &mut self,
        event: &AuditEvent<'_>,
        prepared: &Prepared,
        counting: Counting,
        highest: EventTime,
    ) {
        let time = event.time();
        let bucket = time.minute().bucket(self.settings.bucket_minutes);
        if bucket.0.saturating_add(WINDOW_MINUTES) < self.watermark.0 {
            self.counts.too_late += 1;
            return;
        }
        if !event.event_id().is_empty()
            && self
                .recent_ids
                .is_duplicate(prepared.event_id, time, highest)
        {
            self.counts.duplicate += 1;
            return;
        }
        self.counts.limits.ids_forgotten = self.recent_ids.forgotten();
        self.tally(event, prepared, counting, bucket);
        if time < highest.minus_seconds(i64::from(self.settings.lateness_seconds)) {
            self.counts.late += 1;
        } else if bucket < self.watermark {
            self.counts.late_idle += 1;
        } else {
            self.counts.counted += 1;
        }
    }

    /// Counts the event into its series of its minute.
    fn tally(
        &mut self,
        event: &AuditEvent<'_>,
        prepared: &Prepared,
        counting: Counting,
        bucket: Minute,
    ) {
        let category = counting.category;
        let minute = self.tallies.minute(bucket);
        let identity = minute.value(event.identity(), prepared.identity);
        let user_agent = minute.value(event.user_agent(), prepared.user_agent);
        let mut keys = [None; 2];
        if counting.call {
            let error_code = match counting.error {
                true => minute.value(event.error_code(), prepared.error_value),
                false => NULL_VALUE,
            };
            let values = [identity, user_agent, error_code];
            keys[0] = Some(minute.count(&call_key(event), prepared.call, category, values));
        }
        if counting.error {
            let values = [identity, user_agent, NO_VALUE];
            keys[1] = Some(minute.count(&error_key(event), prepared.error, category, values));
        }
        if category == SourceCategory::Data {
            tally_resources(minute, event, keys);
        }
    }

    /// Sends what the watermark's move to `watermark` closes; it never moves back.
    fn flush(&mut self, watermark: Minute, state: SourceState, out: &mut Vec<LogRecord>) {
        let last = Minute::LAST.bucket(self.settings.bucket_minutes);
        self.watermark = self.watermark.max(watermark.min(last));
        self.send_rates(self.watermark, out);
        self.send_progress(state, out);
    }

    /// Sends all that is pending, open minutes included: counts of a minute add up.
    fn flush_early(&mut self, out: &mut Vec<LogRecord>) {
        self.counts.limits.early_flushes += 1;
        self.send_rates(Minute(u32::MAX), out);
        self.send_progress(SourceState::Active, out);
    }

    fn send_rates(&mut self, before: Minute, out: &mut Vec<LogRecord>) {
        let position = self.position;
        let (source, sent_position) = (self.source, &mut self.sent_position);
        self.tallies.close(before, |mut builder| {
            let positions = (*sent_position, position);
            *sent_position = position;
            out.push(LogRecord::Rates(builder.finish(source, positions)));
        });
    }

    fn send_progress(&mut self, state: SourceState, out: &mut Vec<LogRecord>) {
        let progress = Progress {
            source: self.source,
            position: self.position,
            watermark: self.watermark.start(),
            state,
        };
        if self.progress.as_ref() != Some(&progress) {
            out.push(LogRecord::Progress(progress.clone()));
            self.progress = Some(progress);
        }
        self.sent_position = self.position;
    }
}

impl Prepared {
    const NOTHING: Prepared = Prepared {
        counting: Err(NotCounted::OtherCategory),
        event_id: 0,
        call: Fingerprint(0),
        error: Fingerprint(0),
        identity: 0,
        user_agent: 0,
        error_value: 0,
    };
}

/// Each resource of a data event counts once, however often the event names it.
fn tally_resources(minute: &mut PendingMinute, event: &AuditEvent<'_>, keys: [Option<u32>; 2]) {
    for (index, (arn, _)) in event.resources().enumerate() {
        let is_repeated = event.resources().take(index).any(|(other, _)| other == arn);
        if arn.is_empty() || is_repeated {
            continue;
        }
        let value = minute.value(arn, value_fingerprint(arn));
        for key in keys.into_iter().flatten() {
            minute.count_resource(key, value);
        }
    }
}

fn call_key<'a>(event: &AuditEvent<'a>) -> SeriesRef<'a> {
    SeriesRef {
        account: event.account(),
        region: event.region(),
        event_source: event.event_source(),
        event_name: event.event_name(),
        insight_type: InsightType::ApiCallRate,
        error_code: "",
    }
}

fn error_key<'a>(event: &AuditEvent<'a>) -> SeriesRef<'a> {
    SeriesRef {
        insight_type: InsightType::ApiErrorRate,
        error_code: event.error_code(),
        ..call_key(event)
    }
}
