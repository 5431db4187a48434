//! What stage 1 lets others see: gauges, counters, readiness, log lines.

use super::ingest_loop::{IngestLoop, place_of};
use crate::model::{EventTime, SourceState};
use crate::protocol::IngestNote;
use crate::telemetry::metrics::{SourceActivity, Stage};

impl IngestLoop<'_, '_> {
    /// Sets what the metrics show.
    pub(super) fn show(&mut self) {
        let (watch, now_ms) = (&self.shared.watch, self.shared.clock.now_ms());
        watch.turned(Stage::Ingest, now_ms);
        if !self.gauges.is_due() {
            return;
        }
        let counts = self.member.counts();
        watch.metrics.events.count_ingested(&self.counted, &counts);
        self.counted = counts;
        for _ in self.futures..self.member.futures() {
            watch.metrics.events.count_time_jump();
        }
        self.futures = self.member.futures();
        self.show_clock();
        let waiting = self.member.waiting();
        watch.unready(
            "ingest_starting",
            (waiting > 0).then(|| format!("{waiting} sources do not count yet")),
        );
        let trouble = self.consumer.trouble().map(str::to_string);
        watch.unready("ingest_group", trouble);
        let kafka = &watch.metrics.kafka;
        let states: Vec<_> = self.member.states().collect();
        for (state, activity) in [
            (SourceState::Active, SourceActivity::Active),
            (SourceState::IdleProven, SourceActivity::IdleProven),
            (SourceState::Blocked, SourceActivity::Blocked),
        ] {
            let count = states.iter().filter(|one| one.1 == state).count();
            kafka.sources.set(activity, count as f64);
        }
        let watermarks = states.iter().filter_map(|one| one.3);
        let furthest = watermarks.clone().max().map_or(0, EventTime::seconds);
        kafka.watermarks.set_ingest(watermarks.min());
        for (name, _, next, watermark) in states {
            let (topic, partition) = (name.topic.as_str(), name.partition as i32);
            if let Some(watermark) = watermark {
                let behind = furthest - watermark.seconds();
                kafka
                    .watermark_holdback_seconds
                    .set(topic, partition, behind as f64);
            }
            if let Some(stats) = self.consumer.stats(&place_of(name)) {
                let lag = stats.high.saturating_sub(next as i64).max(0);
                kafka.consumer_lag.set(topic, partition, lag as f64);
                let age_ms = self.last_times.get(name).filter(|_| lag > 0);
                let age_ms = age_ms.map_or(0, |time| (now_ms as i64 - time).max(0));
                let seconds = age_ms as f64 / 1000.0;
                kafka.consumer_lag_seconds.set(topic, partition, seconds);
                let held = stats.high.saturating_sub(stats.stable).max(0);
                kafka.lso_lag.set(topic, partition, held as f64);
            }
        }
    }

    /// Counts and tells where the clock was set: it is not followed, and a machine that slept is
    /// behind by that for good.
    fn show_clock(&mut self) {
        let jumps = self.shared.clock.jumps();
        let new = jumps.saturating_sub(self.jumps);
        if new > 0 {
            self.jumps = jumps;
            self.shared.watch.metrics.service.clock_jumps.inc_by(new);
            tracing::warn!(
                "the machine's clock was set, or the machine slept: this instance goes on with the \
                 time it had, which is what idle sources are judged by; restart it if the new time \
                 is right"
            );
        }
    }

    pub(super) fn tell(&mut self) {
        for note in self.member.take_notes() {
            match note {
                IngestNote::Lost { source, messages } => tracing::warn!(
                    topic = source.topic,
                    partition = source.partition,
                    messages,
                    "messages were deleted before they were read"
                ),
                IngestNote::CutOff { source, messages } => tracing::warn!(
                    topic = source.topic,
                    partition = source.partition,
                    messages,
                    "messages that were counted are gone from the end; reading on from there"
                ),
                IngestNote::Warming { source, messages } => tracing::info!(
                    topic = source.topic,
                    partition = source.partition,
                    messages,
                    "reading again to recognise duplicates"
                ),
                IngestNote::Running { source, from } => tracing::info!(
                    topic = source.topic,
                    partition = source.partition,
                    from,
                    "counting"
                ),
            }
        }
    }
}
