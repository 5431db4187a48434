//! One API call as an audit log recorded it, and batches of such calls.
//!
//! A batch owns the text of its events in one piece, so that it can pass between threads and
//! costs no allocation per event. Fields that an event lacks are empty.

use super::EventTime;

/// What kind of activity an event records (CloudTrail's `eventCategory`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventCategory {
    #[default]
    Management,
    Data,
    NetworkActivity,
    /// An Insights record; never counted.
    Insight,
    /// An aggregate of other events; never counted.
    Aggregated,
    /// A category that the engine does not know; never counted.
    Other,
}

/// The fields of one event, borrowed from wherever they were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventFields<'a> {
    pub time: EventTime,
    /// The account the event belongs to (`recipientAccountId`).
    pub account: &'a str,
    pub region: &'a str,
    pub event_source: &'a str,
    pub event_name: &'a str,
    /// Empty when the call succeeded.
    pub error_code: &'a str,
    /// Who called, as attributions name it: the ARN with the session name of an assumed role
    /// stripped, else the invoking service, else `<type>:<account>`.
    pub identity: &'a str,
    /// The caller's ARN as recorded, for selectors.
    pub identity_arn: &'a str,
    pub user_agent: &'a str,
    /// Identifies the event for deduplication; empty when the record has none.
    pub event_id: &'a str,
    pub event_type: &'a str,
    pub vpc_endpoint_id: &'a str,
    pub category: EventCategory,
    pub is_read_only: bool,
    /// `is_read_only` was derived from the event name, the record did not say.
    pub is_read_only_derived: bool,
    pub is_from_console: bool,
    /// An `UPDATED_DATA` addendum: the event was reported before.
    pub is_update: bool,
    /// (ARN, type) of each resource; either may be empty.
    pub resources: &'a [(&'a str, &'a str)],
}

/// One event of an [`EventBatch`]: the fields, with resources behind an iterator.
#[derive(Clone, Copy, Debug)]
pub struct AuditEvent<'a> {
    batch: &'a EventBatch,
    row: &'a Row,
}

/// Events in the order in which they were read.
#[derive(Clone, Debug, Default)]
pub struct EventBatch {
    text: String,
    rows: Vec<Row>,
    resources: Vec<(Span, Span)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    length: u32,
}

#[derive(Clone, Debug)]
struct Row {
    time: EventTime,
    account: Span,
    region: Span,
    event_source: Span,
    event_name: Span,
    error_code: Span,
    identity: Span,
    identity_arn: Span,
    user_agent: Span,
    event_id: Span,
    event_type: Span,
    vpc_endpoint_id: Span,
    resources_start: u32,
    resources_length: u32,
    category: EventCategory,
    is_read_only: bool,
    is_read_only_derived: bool,
    is_from_console: bool,
    is_update: bool,
}

impl EventBatch {
    /// Text bytes from which a batch counts as full. One value of the input may come on top of
    /// that; spans address 256 times as much.
    pub const TEXT_FULL: usize = 16 << 20;

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes of text of all events.
    pub fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// Heap bytes, those not in use included.
    pub fn memory_bytes(&self) -> usize {
        self.text.capacity()
            + self.rows.capacity() * size_of::<Row>()
            + self.resources.capacity() * size_of::<(Span, Span)>()
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.rows.clear();
        self.resources.clear();
    }

    /// Appends one event. The caller starts a new batch at [`Self::TEXT_FULL`].
    pub fn push(&mut self, event: &EventFields<'_>) {
        let resources_start = self.resources.len() as u32;
        for (arn, kind) in event.resources {
            let resource = (self.append(arn), self.append(kind));
            self.resources.push(resource);
        }
        let identity_arn = self.append(event.identity_arn);
        // Comparing with an empty text, which may lie at no address, costs over 100 ns on some
        // processors: hence the first half of the condition.
        let is_within =
            !event.identity.is_empty() && event.identity_arn.starts_with(event.identity);
        let identity = if is_within {
            Span {
                start: identity_arn.start,
                length: event.identity.len() as u32,
            }
        } else {
            self.append(event.identity)
        };
        let row = Row {
            time: event.time,
            account: self.append(event.account),
            region: self.append(event.region),
            event_source: self.append(event.event_source),
            event_name: self.append(event.event_name),
            error_code: self.append(event.error_code),
            identity,
            identity_arn,
            user_agent: self.append(event.user_agent),
            event_id: self.append(event.event_id),
            event_type: self.append(event.event_type),
            vpc_endpoint_id: self.append(event.vpc_endpoint_id),
            resources_start,
            resources_length: event.resources.len() as u32,
            category: event.category,
            is_read_only: event.is_read_only,
            is_read_only_derived: event.is_read_only_derived,
            is_from_console: event.is_from_console,
            is_update: event.is_update,
        };
        self.rows.push(row);
    }

    /// The event at `index`; panics when `index >= len()`.
    pub fn get(&self, index: usize) -> AuditEvent<'_> {
        AuditEvent {
            batch: self,
            row: &self.rows[index],
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = AuditEvent<'_>> {
        (0..self.len()).map(|index| self.get(index))
    }

    fn append(&mut self, text: &str) -> Span {
        let start = u32::try_from(self.text.len()).expect("a batch ends before 4 GiB of text");
        self.text.push_str(text);
        Span {
            start,
            length: text.len() as u32,
        }
    }

    fn text(&self, span: Span) -> &str {
        &self.text[span.start as usize..(span.start + span.length) as usize]
    }
}

impl<'a> AuditEvent<'a> {
    pub fn time(&self) -> EventTime {
        self.row.time
    }
    pub fn account(&self) -> &'a str {
        self.batch.text(self.row.account)
    }
    pub fn region(&self) -> &'a str {
        self.batch.text(self.row.region)
    }
    pub fn event_source(&self) -> &'a str {
        self.batch.text(self.row.event_source)
    }
    pub fn event_name(&self) -> &'a str {
        self.batch.text(self.row.event_name)
    }
    pub fn error_code(&self) -> &'a str {
        self.batch.text(self.row.error_code)
    }
    pub fn identity(&self) -> &'a str {
        self.batch.text(self.row.identity)
    }
    pub fn identity_arn(&self) -> &'a str {
        self.batch.text(self.row.identity_arn)
    }
    pub fn user_agent(&self) -> &'a str {
        self.batch.text(self.row.user_agent)
    }
    pub fn event_id(&self) -> &'a str {
        self.batch.text(self.row.event_id)
    }
    pub fn event_type(&self) -> &'a str {
        self.batch.text(self.row.event_type)
    }
    pub fn vpc_endpoint_id(&self) -> &'a str {
        self.batch.text(self.row.vpc_endpoint_id)
    }
    pub fn category(&self) -> EventCategory {
        self.row.category
    }
    pub fn is_read_only(&self) -> bool {
        self.row.is_read_only
    }
    pub fn is_read_only_derived(&self) -> bool {
        self.row.is_read_only_derived
    }
    pub fn is_from_console(&self) -> bool {
        self.row.is_from_console
    }
    pub fn is_update(&self) -> bool {
        self.row.is_update
    }

    /// (ARN, type) of each resource; either may be empty.
    pub fn resources(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let from = self.row.resources_start as usize;
        let batch = self.batch;
        batch.resources[from..from + self.row.resources_length as usize]
            .iter()
            .map(move |(arn, kind)| (batch.text(*arn), batch.text(*kind)))
    }

    /// Calls `push` with the event as borrowed fields, for example to copy it to another batch.
    pub fn with_fields<R>(&self, push: impl FnOnce(&EventFields<'_>) -> R) -> R {
        let resources: Vec<(&str, &str)> = self.resources().collect();
        push(&EventFields {
            time: self.time(),
            account: self.account(),
            region: self.region(),
            event_source: self.event_source(),
            event_name: self.event_name(),
            error_code: self.error_code(),
            identity: self.identity(),
            identity_arn: self.identity_arn(),
            user_agent: self.user_agent(),
            event_id: self.event_id(),
            event_type: self.event_type(),
            vpc_endpoint_id: self.vpc_endpoint_id(),
            category: self.category(),
            is_read_only: self.is_read_only(),
            is_read_only_derived: self.is_read_only_derived(),
            is_from_console: self.is_from_console(),
            is_update: self.is_update(),
            resources: &resources,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_comes_back_as_it_was_pushed() {
        let fields = EventFields {
            time: EventTime::from_seconds(1_700_000_000).unwrap(),
            account: "1",
            region: "r",
            event_source: "s",
            event_name: "n",
            identity: "arn:aws:sts::1:assumed-role/Admin",
            identity_arn: "arn:aws:sts::1:assumed-role/Admin/alice",
            user_agent: "agent",
            event_id: "id",
            category: EventCategory::Data,
            is_read_only: true,
            resources: &[("arn:aws:s3:::b", "AWS::S3::Object"), ("", "x")],
            ..EventFields::default()
        };
        let mut batch = EventBatch::default();
        batch.push(&EventFields::default());
        batch.push(&fields);
        let same = batch.get(1).with_fields(|back| *back == fields);
        assert!(same);
    }
}
