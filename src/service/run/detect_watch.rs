//! What stage 2 lets others see: gauges, counters, readiness, log lines.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::detect_loop::DetectLoop;
use crate::detect::EngineStats;
use crate::model::Edge;
use crate::protocol::{DetectNote, DetectTransaction, OutputContent};
use crate::telemetry::metrics::{CheckpointFailure, Metrics, SeriesState, Stage};

/// Counters as the metrics have them.
#[derive(Default)]
pub(super) struct Shown {
    pub replayed: u64,
    duplicates: u64,
    gaps: u64,
    /// Budgets that were warned of, as the engine's stats have them.
    beyond_verified: u32,
    /// By partition, what its state counted when it was looked at last: what was counted before it
    /// came here is not counted again.
    states: BTreeMap<u32, Counted>,
}

#[derive(Clone, Copy)]
struct Counted {
    refused: u64,
    in_maintenance: u64,
    regressions: u64,
}

impl Counted {
    /// Adds what came since to the metrics.
    fn tell_since(&self, before: &Counted, metrics: &Metrics) {
        let refused = self.refused.saturating_sub(before.refused);
        metrics.detection.entries_refused.inc_by(refused);
        let starts = self.in_maintenance.saturating_sub(before.in_maintenance);
        metrics.detection.starts_in_maintenance.inc_by(starts);
        let regressions = self.regressions.saturating_sub(before.regressions);
        metrics.kafka.watermark_regressions.inc_by(regressions);
    }
}

impl Shown {
    pub fn forget(&mut self, partition: u32) {
        self.states.remove(&partition);
    }
}

impl DetectLoop<'_> {
    /// Sets what the metrics show.
    pub(super) fn show(&mut self) {
        let (watch, now_ms) = (&self.shared.watch, self.shared.clock.now_ms());
        watch.turned(Stage::Detect, now_ms);
        if !self.gauges.is_due() {
            return;
        }
        let metrics = &watch.metrics;
        let (mut series, mut bytes) = (0, 0);
        let (mut threshold, mut live, mut beyond_verified) = (None, None, 0);
        let now = Instant::now();
        for (partition, position, closed, stats) in self.member.states() {
            self.checkpoints.ages.stands_at(partition, position, now);
            if let Some(closed) = closed {
                metrics
                    .kafka
                    .watermarks
                    .set_detect(partition as i32, closed.start());
            }
            if let Some(stats) = self.consumer.stats(&self.place(partition)) {
                let (topic, partition) = (self.topic.as_str(), partition as i32);
                let lag = stats.high.saturating_sub(position as i64).max(0);
                metrics.kafka.consumer_lag.set(topic, partition, lag as f64);
                let held = stats.high.saturating_sub(stats.stable).max(0);
                metrics.kafka.lso_lag.set(topic, partition, held as f64);
            }
            let Some(stats) = stats else { continue };
            series += stats.series;
            bytes += stats.memory_bytes();
            let counted = Counted {
                refused: stats.counts.entries_untracked,
                in_maintenance: stats.counts.starts_in_maintenance,
                regressions: stats.watermark_regressions,
            };
            let before = self.shown.states.insert(partition, counted);
            // What is applied again was counted when it was applied first.
            if let Some(before) = before.filter(|_| !self.given.contains_key(&partition)) {
                counted.tell_since(&before, metrics);
            }
            threshold = threshold.or(stats.threshold);
            live = live.or(stats.live_series);
            beyond_verified |= stats.beyond_verified;
        }
        metrics
            .detection
            .series
            .set(SeriesState::Tracked, series as f64);
        metrics.detection.state_bytes.set(bytes as f64);
        if let Some(threshold) = threshold {
            metrics.detection.threshold_z.set(threshold.z);
        }
        if let Some(live) = live {
            metrics.detection.series.set(SeriesState::Live, live as f64);
        }
        if beyond_verified != self.shown.beyond_verified {
            self.shown.beyond_verified = beyond_verified;
            if let Some(warning) = EngineStats::warning_of(beyond_verified) {
                tracing::warn!("{warning}");
            }
        }
        metrics
            .detection
            .pipeline_is_silent
            .set(self.member.is_silent());
        self.show_counters();
        self.show_readiness();
    }

    fn show_counters(&mut self) {
        let metrics = &self.shared.watch.metrics;
        let shown = &mut self.shown;
        let continuity = self.member.continuity();
        if continuity.duplicate_batches > shown.duplicates {
            self.complaints.warn(
                "messages are passed over because messages of that source and offset were counted \
                 before: did the ingest group lose its offsets, or was an input topic deleted and \
                 made again? In that case give it another name, or begin anew",
            );
        }
        for (counter, shown, now) in [
            (
                &metrics.checkpoints.replayed_records,
                &mut shown.replayed,
                self.member.replayed(),
            ),
            (
                &metrics.checkpoints.duplicate_batches,
                &mut shown.duplicates,
                continuity.duplicate_batches,
            ),
            (
                &metrics.checkpoints.gap_batches,
                &mut shown.gaps,
                continuity.gap_batches,
            ),
        ] {
            counter.inc_by(now.saturating_sub(*shown));
            *shown = now;
        }
    }

    fn show_readiness(&mut self) {
        let watch = &self.shared.watch;
        let trouble = self.consumer.trouble().map(str::to_string);
        watch.unready("detect_group", trouble);
        let waiting = self.member.waiting() - self.failed.len().min(self.member.waiting());
        let restoring = format!("{waiting} partitions are restored or replayed");
        watch.unready("restoring", (waiting > 0).then_some(restoring));
        let failed = self.failed.first_key_value();
        let failed = failed.map(|(partition, reason)| format!("partition {partition}: {reason}"));
        watch.unready("partition_failed", failed);
        let retention = self.shared.settings.service.kafka.rates_retention_seconds as f64;
        let checkpoints = &watch.metrics.checkpoints;
        match self.checkpoints.ages.oldest(&self.owned, Instant::now()) {
            Some(age) => {
                let age = age.as_secs_f64();
                checkpoints.age_seconds.set(age);
                checkpoints.retention_margin_seconds.set(retention - age);
                let detail =
                    "checkpoints are so old that a restart may meet a gap in the rates log";
                let is_late = 2.0 * age > retention;
                watch.unready("retention", is_late.then(|| detail.to_string()));
            }
            None => {
                checkpoints.age_seconds.clear();
                checkpoints.retention_margin_seconds.clear();
                watch.unready("retention", None);
            }
        }
        self.checkpoints.show(checkpoints);
    }

    pub(super) fn count_insights(&self, transaction: &DetectTransaction) {
        let detection = &self.shared.watch.metrics.detection;
        let now_ms = self.shared.clock.now_ms();
        for output in &transaction.outputs {
            if let OutputContent::Insight(event) = &output.content {
                let kind = event.series.insight_type;
                detection.insights_emitted.add((kind, event.edge), 1);
                let ended_ms = (event.decided_at.start().seconds() as u64 + 60) * 1000;
                let delay = Duration::from_millis(now_ms.saturating_sub(ended_ms));
                detection.delay.record((), delay);
            }
        }
        for muted in &transaction.muted {
            let of = (muted.insight_type, muted.edge);
            detection.insights_muted.add(of, 1);
            tracing::info!(
                mute = %muted.mute,
                insight = %muted.insight,
                is_start = muted.edge == Edge::Start,
                "an insight is muted"
            );
        }
    }

    pub(super) fn tell(&mut self) {
        for note in self.member.take_notes() {
            self.count(&note);
            match note {
                DetectNote::Restoring {
                    partition,
                    from,
                    to,
                } => tracing::debug!(partition, from, to, "replaying what was published"),
                DetectNote::Running {
                    partition,
                    replayed,
                } => tracing::debug!(partition, replayed, "judging"),
                DetectNote::Unusable {
                    partition,
                    checkpoint,
                    reason,
                } => tracing::warn!(
                    partition,
                    offset = checkpoint.offset,
                    "a checkpoint cannot be used, an older one is taken: {reason}"
                ),
                DetectNote::Gap {
                    partition,
                    oldest,
                    needed,
                } => tracing::error!(
                    partition,
                    oldest,
                    needed,
                    "the rates log lacks what this partition needs; it begins anew and is silent \
                     until it has warmed up"
                ),
                DetectNote::Mismatch { partition } => tracing::error!(
                    partition,
                    "the replay led to another state than was committed; please report this"
                ),
                DetectNote::Abandoned {
                    partition,
                    incidents,
                } => tracing::warn!(partition, incidents, "open incidents were dropped"),
                DetectNote::Failed { partition, reason } => {
                    tracing::error!(partition, "a partition cannot go on: {reason}");
                }
                DetectNote::Silent { since } => {
                    tracing::warn!(%since, "the pipeline is silent: no source has anything new");
                }
            }
        }
    }

    /// Counts what was noted.
    fn count(&mut self, note: &DetectNote) {
        let checkpoints = &self.shared.watch.metrics.checkpoints;
        match note {
            DetectNote::Running { partition, .. } => {
                if let Some(given) = self.given.remove(partition) {
                    checkpoints.restore_duration.record((), given.elapsed());
                }
            }
            DetectNote::Unusable { .. } => {
                checkpoints.failures.add(CheckpointFailure::Corrupt, 1);
            }
            DetectNote::Mismatch { .. } => checkpoints.determinism_mismatches.inc(),
            DetectNote::Failed { partition, reason } => {
                self.failed.insert(*partition, reason.clone());
            }
            _ => {}
        }
    }
}
