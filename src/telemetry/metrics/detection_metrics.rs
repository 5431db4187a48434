//! What detection holds and says: series, state, insights and their delay.

use prometheus::{Error, IntCounter, Registry};

use super::families::{Counters, Flag, Gauges, LateGauge, counter};
use super::labels::SeriesState;
use super::latencies::{DELAY_BOUNDS, Latencies};
use crate::model::{Edge, InsightType};

/// Series, state, insights and their delay.
pub struct DetectionMetrics {
    pub series: Gauges<SeriesState>,
    pub entries_refused: IntCounter,
    pub starts_in_maintenance: IntCounter,
    pub state_bytes: LateGauge,
    pub insights_emitted: Counters<(InsightType, Edge)>,
    pub insights_muted: Counters<(InsightType, Edge)>,
    pub delay: Latencies<()>,
    pub threshold_z: LateGauge,
    pub pipeline_is_silent: Flag,
}

impl DetectionMetrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, Error> {
        Ok(DetectionMetrics {
            series: Gauges::register(registry, "insightd_series", "series of owned partitions")?,
            entries_refused: counter(
                registry,
                "insightd_entries_refused_total",
                "counts of a series and minute that limits.series_max did not let in",
            )?,
            starts_in_maintenance: counter(
                registry,
                "insightd_starts_in_maintenance_total",
                "Starts that maintenance windows kept from being ones",
            )?,
            state_bytes: LateGauge::register(
                registry,
                "insightd_state_bytes",
                "memory that detector state takes",
            )?,
            insights_emitted: Counters::register(
                registry,
                "insightd_insights_emitted_total",
                "insights committed to the output topic",
            )?,
            insights_muted: Counters::register(
                registry,
                "insightd_insights_muted_total",
                "insights decided and not published because a mute hides them",
            )?,
            delay: Latencies::register(
                registry,
                "insightd_detection_delay_seconds",
                "from the minute's end to the committed insight",
                DELAY_BOUNDS,
            )?,
            threshold_z: LateGauge::register(
                registry,
                "insightd_threshold_z",
                "score that a Start needs now",
            )?,
            pipeline_is_silent: Flag::register(
                registry,
                "insightd_pipeline_silent",
                "1 while every source is proven idle",
            )?,
        })
    }
}
