//! Small traffic with incidents: a few APIs over a little more than two days, in several sources.

use insightd::model::{EventBatch, EventCategory, EventFields, EventTime};
use insightd::protocol::{MessageEnd, Messages};

use super::random::Random;

/// 2026-01-05T10:00:00Z.
pub const START: i64 = 1_767_607_200;
const MINUTES: i64 = 55 * 60;

/// One event in one message.
#[derive(Clone, Debug)]
pub struct Event {
    pub time: i64,
    /// When its message was written.
    pub sent: i64,
    pub name: String,
    pub error: &'static str,
    pub id: String,
}

/// The events of each source, in its order.
pub fn sources(random: &mut Random, count: usize) -> Vec<Vec<Event>> {
    let mut events = Vec::new();
    for api in 0..5u32 {
        let every = 7 + i64::from(api) * 5;
        let surge = random.between(49 * 60, 53 * 60) as i64;
        let drop = random.between(49 * 60, 53 * 60) as i64;
        for minute in 0..MINUTES {
            let is_surge = api < 3 && (surge..surge + 8).contains(&minute);
            let is_drop = api == 3 && (drop..drop + 90).contains(&minute);
            let calls = match (is_surge, is_drop) {
                (true, _) => 25,
                (_, true) => 0,
                _ => i64::from(minute % every == 0) + i64::from(api == 3) * 2,
            };
            for call in 0..calls {
                events.push(Event {
                    time: START + minute * 60 + call % 60,
                    sent: START + minute * 60 + call % 60 + 5,
                    name: format!("Api{api}"),
                    error: if is_surge && api == 1 {
                        "AccessDenied"
                    } else {
                        ""
                    },
                    id: format!("{api}-{minute}-{call}"),
                });
            }
        }
    }
    events.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
    let mut sources = vec![Vec::new(); count];
    for event in events {
        let source = random.below(count as u64) as usize;
        sources[source].push(event.clone());
        // A shipper that sends the same thing again, at once or a while later.
        if random.below(50) == 0 {
            sources[source].push(event);
        }
    }
    // The last event of every source closes all that matters.
    for (index, source) in sources.iter_mut().enumerate() {
        source.push(Event {
            time: START + MINUTES * 60,
            sent: START + MINUTES * 60 + 5,
            name: "Last".to_string(),
            error: "",
            id: format!("last-{index}"),
        });
    }
    sources
}

/// Events of a source as messages of one event each.
pub fn messages(events: &[Event], first_offset: u64) -> Messages {
    let mut messages = Messages::default();
    for (index, event) in events.iter().enumerate() {
        push(&mut messages.events, event);
        messages.messages.push(MessageEnd {
            offset: first_offset + index as u64,
            timestamp_ms: Some(event.sent * 1000),
            events_end: index + 1,
        });
    }
    messages.bytes = events.len() as u64;
    messages
}

pub fn push(batch: &mut EventBatch, event: &Event) {
    batch.push(&EventFields {
        time: EventTime::from_seconds(event.time).expect("a time of this century"),
        account: "111122223333",
        region: "us-east-1",
        event_source: "iam.amazonaws.com",
        event_name: &event.name,
        error_code: event.error,
        identity: "arn:aws:iam::111122223333:user/a",
        identity_arn: "arn:aws:iam::111122223333:user/a",
        user_agent: "agent",
        event_id: &event.id,
        event_type: "AwsApiCall",
        vpc_endpoint_id: "",
        category: EventCategory::Management,
        is_read_only: false,
        is_read_only_derived: false,
        is_from_console: false,
        is_update: false,
        resources: &[],
    });
}
