//! What became of every record and event: the counts of decoding and ingest, as metrics.
//!
//! The names of outcomes, rules and reasons are those of the rooms that count. A name that two
//! rooms use (an Insights record is left out by decoding or by ingest) is one counter.

use prometheus::{Error, IntCounter, IntCounterVec, Opts, Registry};

use super::families::Counters;
use super::labels::DeadLetterOutcome;
use crate::formats::{DecodeCounts, RejectReason, SkipRule};
use crate::ingest::IngestCounts;

/// Records and events by what became of them.
pub struct EventMetrics {
    /// As [`IngestCounts::by_name`].
    outcomes: Box<[IntCounter]>,
    /// As [`SkipRule::ALL`].
    skipped: Box<[IntCounter]>,
    /// As [`RejectReason::ALL`].
    rejected: Box<[IntCounter]>,
    time_jumps: IntCounter,
    /// Behind the events of their own source.
    late: IntCounter,
    /// Behind an advance of a source that was proven idle.
    late_idle: IntCounter,
    pub dead_letters: Counters<DeadLetterOutcome>,
}

impl EventMetrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, Error> {
        let events = one_label(
            registry,
            "insightd_events_total",
            "what became of every event: counted, late, late_idle, duplicate, or the rule that \
             left it out",
            "outcome",
        )?;
        let rejected = one_label(
            registry,
            "insightd_events_rejected_total",
            "records that could not be read",
            "reason",
        )?;
        let late = one_label(
            registry,
            "insightd_events_late_total",
            "events behind the watermark of their source",
            "reason",
        )?;
        let outcomes = IngestCounts::default().by_name();
        let outcomes = outcomes.map(|(name, _)| events.with_label_values(&[name]));
        let skipped = SkipRule::ALL.map(|rule| events.with_label_values(&[rule.name()]));
        let reasons = RejectReason::ALL.map(|reason| rejected.with_label_values(&[reason.name()]));
        Ok(EventMetrics {
            outcomes: Box::new(outcomes),
            skipped: Box::new(skipped),
            rejected: Box::new(reasons),
            time_jumps: rejected.with_label_values(&["time_jump"]),
            late: late.with_label_values(&["late"]),
            late_idle: late.with_label_values(&["idle"]),
            dead_letters: Counters::register(
                registry,
                "insightd_dead_letters_total",
                "dead letters; dropped if their topic refuses them, or of one message too many",
            )?,
        })
    }

    /// Counts what was decoded, for example one batch.
    pub fn count_decoded(&self, counts: &DecodeCounts) {
        for (counter, rule) in self.skipped.iter().zip(SkipRule::ALL) {
            counter.inc_by(counts.skipped(rule));
        }
        for (counter, reason) in self.rejected.iter().zip(RejectReason::ALL) {
            counter.inc_by(counts.rejected(reason));
        }
        let dropped = counts.rejects_not_kept;
        self.dead_letters.add(DeadLetterOutcome::Dropped, dropped);
    }

    /// Counts what one source took in between two looks at its counts, which only grow.
    pub fn count_ingested(&self, before: &IngestCounts, now: &IngestCounts) {
        let counts = before.by_name().into_iter().zip(now.by_name());
        for (counter, ((name, before), (_, now))) in self.outcomes.iter().zip(counts) {
            assert!(before <= now, "{name} fell from {before} to {now}");
            counter.inc_by(now - before);
        }
        // One that is too late to count is behind the watermark like any other.
        let late = (now.late - before.late) + (now.too_late - before.too_late);
        self.late.inc_by(late);
        self.late_idle.inc_by(now.late_idle - before.late_idle);
    }

    /// Counts an event that was rejected because nothing confirmed its time.
    pub fn count_time_jump(&self) {
        self.time_jumps.inc();
    }
}

fn one_label(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
) -> Result<IntCounterVec, Error> {
    let family = IntCounterVec::new(Opts::new(name, help), &[label])?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}
