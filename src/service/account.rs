//! What became of every record of a run: counted, skipped by a rule, or rejected for a reason.

use crate::formats::{DecodeCounts, RejectReason, SkipRule};
use crate::ingest::IngestCounts;
use crate::model::EventTime;
use crate::source::FileLoss;
use crate::view::RecordSums;

/// Counts of what was read, as it is read.
#[derive(Clone, Debug, Default)]
pub struct Account {
    pub decode: DecodeCounts,
    /// Events of a time that an earlier run has counted.
    pub before_state: u64,
    /// Events at or after `--until`.
    pub after_until: u64,
    /// Events whose time was not believed.
    pub time_jumps: u64,
    /// Rows of rates that were taken in.
    pub rows: u64,
    /// Those of them that are roll-ups, which are made anew.
    pub rows_rolled_up: u64,
    pub files_read: u64,
    pub bytes: u64,
    pub losses: Vec<FileLoss>,
    /// First and last time among the events.
    pub span: Option<(EventTime, EventTime)>,
}

impl Account {
    /// Widens the span of event times.
    pub fn see(&mut self, times: impl Iterator<Item = EventTime>) {
        let mut span = self.span;
        for time in times {
            span = Some(span.map_or((time, time), |(first, last)| {
                (first.min(time), last.max(time))
            }));
        }
        self.span = span;
    }

    /// Records and files that could not be used, for `--max-rejects`.
    pub fn unusable(&self) -> u64 {
        self.decode.rejected_total() + self.time_jumps + self.losses.len() as u64
    }

    /// All records with what became of them. What was read and not yet taken in when a run was
    /// cut short counts as skipped by that.
    pub fn sums(&self, ingest: &IngestCounts) -> RecordSums {
        let rows = self.rows - self.rows_rolled_up;
        let counted = ingest.counted + ingest.late + ingest.late_idle + rows;
        let mut skipped: Vec<(&'static str, u64)> = SkipRule::ALL
            .iter()
            .map(|rule| (rule.name(), self.decode.skipped(*rule)))
            .collect();
        let counted_names = ["counted", "late", "late_idle"];
        for (name, count) in ingest.by_name() {
            if !counted_names.contains(&name) {
                add(&mut skipped, name, count);
            }
        }
        add(&mut skipped, "before_state", self.before_state);
        add(&mut skipped, "after_until", self.after_until);
        let taken = ingest.total() + self.rows + self.before_state + self.after_until;
        let cut_short = self.decode.events.saturating_sub(taken + self.time_jumps);
        add(&mut skipped, "cut_short", cut_short);
        add(&mut skipped, "rolled_up", self.rows_rolled_up);
        skipped.retain(|(_, count)| *count > 0);
        let mut rejected: Vec<(&'static str, u64)> = RejectReason::ALL
            .iter()
            .map(|reason| (reason.name(), self.decode.rejected(*reason)))
            .collect();
        add(&mut rejected, "time_jump", self.time_jumps);
        rejected.retain(|(_, count)| *count > 0);
        RecordSums {
            records: self.decode.records,
            counted,
            late: ingest.late + ingest.late_idle,
            skipped,
            rejected,
        }
    }
}

/// Adds to the counter of this name, or makes one: two rooms may skip by the same rule.
fn add(counters: &mut Vec<(&'static str, u64)>, name: &'static str, count: u64) {
    match counters.iter_mut().find(|(other, _)| *other == name) {
        Some((_, sum)) => *sum += count,
        None => counters.push((name, count)),
    }
}
