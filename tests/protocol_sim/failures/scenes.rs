//! Small worlds in which something happens in the 50th hour, when series are first judged.

use std::ops::Range;

use insightd::model::{InsightType, SeriesRef};
use insightd::protocol::partition_of;

use crate::instance::{World, settings};
use crate::traffic::{Event, START};

/// The minute at which things begin to happen.
pub const HAPPENS: i64 = 49 * 60 + 10;
/// The minute at which all sources have their last event.
pub const LAST: i64 = 51 * 60;

/// `count` calls of an API every so many minutes.
pub fn calls(name: &str, minutes: Range<i64>, every: usize, count: i64) -> Vec<Event> {
    let minutes = minutes.step_by(every);
    let each = minutes.flat_map(|minute| (0..count).map(move |call| (minute, call)));
    each.map(|(minute, call)| event(name, minute * 60 + call % 60, &format!("{minute}-{call}")))
        .collect()
}

/// One call, so many seconds after the beginning.
pub fn event(name: &str, seconds: i64, id: &str) -> Event {
    Event {
        time: START + seconds,
        sent: START + seconds + 5,
        name: name.to_string(),
        error: "",
        id: format!("{name}-{id}"),
    }
}

/// A flow that would be missed.
pub fn steady(minutes: Range<i64>) -> Vec<Event> {
    calls("Steady", minutes, 1, 3)
}

/// Deals events out to so many sources, in the order in which they were sent, and ends each with
/// one at minute `last`, which closes all before. Every tenth is sent again seven minutes later.
pub fn dealt(mut events: Vec<Event>, count: usize, last: i64) -> Vec<Vec<Event>> {
    events.sort_by(|a, b| (a.sent, &a.id).cmp(&(b.sent, &b.id)));
    let mut sources = vec![Vec::new(); count];
    for (index, event) in events.into_iter().enumerate() {
        let source = &mut sources[index % count];
        if index % 10 == 0 {
            source.push(Event {
                sent: event.sent + 7 * 60,
                ..event.clone()
            });
        }
        source.push(event);
    }
    for (index, source) in sources.iter_mut().enumerate() {
        source.retain(|event| event.sent < START + last * 60);
        source.sort_by_key(|event| event.sent);
        source.push(event("Last", last * 60, &index.to_string()));
    }
    sources
}

/// Names of APIs whose series are in a partition.
pub fn names_in(partition: u32, partitions: u32) -> impl Iterator<Item = String> {
    let names = (0..).map(|number| format!("Api{number}"));
    names.filter(move |name| partition_of(&series(name), partitions) == partition)
}

/// The first of them.
pub fn name_in(partition: u32, partitions: u32) -> String {
    let mut names = names_in(partition, partitions);
    names.next().expect("there is no end to names")
}

fn series(event_name: &str) -> SeriesRef<'_> {
    SeriesRef {
        account: "111122223333",
        region: "us-east-1",
        event_source: "iam.amazonaws.com",
        event_name,
        insight_type: InsightType::ApiCallRate,
        error_code: "",
    }
}

/// An API in each of two partitions; the calls of both surge, one after the other.
pub fn surges() -> World {
    let mut events = Vec::new();
    for partition in 0..2 {
        let name = name_in(partition, 2);
        events.extend(calls(&name, 0..LAST, 15, 1));
        let surge = HAPPENS + i64::from(partition) * 6;
        events.extend(calls(&name, surge..surge + 8, 1, 20));
    }
    World::new(2, dealt(events, 2, LAST), settings(2000.0, None))
}

/// The same with a threshold that no partition waits for.
pub fn surges_with_fixed_threshold() -> World {
    World {
        settings: settings(1.0, Some(3.0)),
        ..surges()
    }
}
