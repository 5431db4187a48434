//! Whether a restart would lose nothing and be quick: checkpoints, restores, and the counters
//! that stay 0 while the rates log is what it should be.

use prometheus::{Error, IntCounter, Registry};

use super::families::{Counters, LateGauge, counter};
use super::labels::CheckpointFailure;
use super::latencies::{DURATION_BOUNDS, Latencies};

/// Checkpoints, restores and the soundness of the rates log.
pub struct CheckpointMetrics {
    pub age_seconds: LateGauge,
    pub bytes: LateGauge,
    pub duration: Latencies<()>,
    pub failures: Counters<CheckpointFailure>,
    pub restore_duration: Latencies<()>,
    pub replayed_records: IntCounter,
    pub retention_margin_seconds: LateGauge,
    pub duplicate_batches: IntCounter,
    pub gap_batches: IntCounter,
    pub determinism_mismatches: IntCounter,
}

impl CheckpointMetrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, Error> {
        Ok(CheckpointMetrics {
            age_seconds: LateGauge::register(
                registry,
                "insightd_checkpoint_age_seconds",
                "time for which an owned partition has gone on since its checkpoint, the longest",
            )?,
            bytes: LateGauge::register(
                registry,
                "insightd_checkpoint_bytes",
                "bytes of the checkpoint written last",
            )?,
            duration: Latencies::register(
                registry,
                "insightd_checkpoint_duration_seconds",
                "snapshot to stored",
                DURATION_BOUNDS,
            )?,
            failures: Counters::register(
                registry,
                "insightd_checkpoint_failures_total",
                "checkpoints that could not be written or read",
            )?,
            restore_duration: Latencies::register(
                registry,
                "insightd_restore_duration_seconds",
                "assignment to running",
                DURATION_BOUNDS,
            )?,
            replayed_records: counter(
                registry,
                "insightd_replayed_records_total",
                "records of the rates log applied again without output",
            )?,
            retention_margin_seconds: LateGauge::register(
                registry,
                "insightd_retention_margin_seconds",
                "rates-log retention less the age of the oldest checkpoint; below 0 a restart \
                 would meet a gap",
            )?,
            duplicate_batches: counter(
                registry,
                "insightd_duplicate_batches_total",
                "batches of the rates log that cover positions already applied; must stay 0",
            )?,
            gap_batches: counter(
                registry,
                "insightd_gap_batches_total",
                "batches that leave positions out; must stay 0",
            )?,
            determinism_mismatches: counter(
                registry,
                "insightd_determinism_mismatch_total",
                "replays that led to another state than was committed; must stay 0",
            )?,
        })
    }
}
