//! Which events count into which rates: CloudTrail's rules, and ours where it has none.
//!
//! Call rate: write management events, with `read_calls` read ones too; error rate: read and
//! write management events by error code; both for data events when they are switched on. The
//! error rate is a count, not a ratio. AWS documents the rules under "Logging Insights events".

use crate::model::{AuditEvent, EventCategory, SourceCategory};

use super::{IngestCounts, IngestSettings};

/// Into what an event counts: its call series, its error series or both, never neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counting {
    pub category: SourceCategory,
    pub call: bool,
    pub error: bool,
}

/// Why an event does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotCounted {
    Insight,
    Aggregated,
    NetworkActivity,
    OtherCategory,
    Update,
    DataOff,
    EventTypeExcluded,
    NotSelected,
    ReadCall,
}

/// What the rules say of one event, whatever came before it.
pub(super) fn judge(
    event: &AuditEvent<'_>,
    settings: &IngestSettings,
) -> Result<Counting, NotCounted> {
    let category = match event.category() {
        EventCategory::Management => SourceCategory::Management,
        EventCategory::Data => SourceCategory::Data,
        EventCategory::NetworkActivity => return Err(NotCounted::NetworkActivity),
        EventCategory::Insight => return Err(NotCounted::Insight),
        EventCategory::Aggregated => return Err(NotCounted::Aggregated),
        EventCategory::Other => return Err(NotCounted::OtherCategory),
    };
    if event.is_update() {
        return Err(NotCounted::Update);
    }
    if category == SourceCategory::Data && !settings.data_events {
        return Err(NotCounted::DataOff);
    }
    let excluded = &settings.event_types_excluded;
    if excluded.iter().any(|one| one == event.event_type()) {
        return Err(NotCounted::EventTypeExcluded);
    }
    if !settings.selectors.evaluate(event) {
        return Err(NotCounted::NotSelected);
    }
    let call = category == SourceCategory::Data || settings.read_calls || !is_read(event);
    let error = !event.error_code().is_empty();
    if !call && !error {
        return Err(NotCounted::ReadCall);
    }
    Ok(Counting {
        category,
        call,
        error,
    })
}

/// Whether CloudTrail classes the call as a read: as recorded, but for three KMS calls that are
/// reads whatever the record says ("Logging management events", AWS KMS).
pub(super) fn is_read(event: &AuditEvent<'_>) -> bool {
    event.is_read_only()
        || (event.event_source() == "kms.amazonaws.com"
            && ["Encrypt", "Decrypt", "GenerateDataKey"].contains(&event.event_name()))
}

impl IngestCounts {
    pub(super) fn add_not_counted(&mut self, reason: NotCounted) {
        let counter = match reason {
            NotCounted::Insight => &mut self.insight,
            NotCounted::Aggregated => &mut self.aggregated,
            NotCounted::NetworkActivity => &mut self.network_activity,
            NotCounted::OtherCategory => &mut self.other_category,
            NotCounted::Update => &mut self.update,
            NotCounted::DataOff => &mut self.data_off,
            NotCounted::EventTypeExcluded => &mut self.event_type_excluded,
            NotCounted::NotSelected => &mut self.not_selected,
            NotCounted::ReadCall => &mut self.read_call,
        };
        *counter += 1;
    }
}
