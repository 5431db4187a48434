//! What people know, where the log that said it is no more.

use std::sync::Arc;

use insightd::model::{Knowledge, Known, Minute, Scope};
use insightd::protocol::CoordinationRecord;

use super::checkpoints::{gaps, shorten, surges_twice};
use super::scenes::{HAPPENS, LAST, names_in};
use super::{JUDGES, Live, about, edges, insights_of};
use crate::instance::settings;
use crate::traffic::START;

/// A request to mute an API from a minute since the beginning on.
fn request(name: &str, from: i64) -> CoordinationRecord {
    let patterns = [None, None, None, Some(name), None, None];
    let what = Known::Mute {
        scope: Box::new(Scope::parse(patterns, None).expect("a pattern")),
        until: Minute::LAST,
    };
    let from = Minute((START / 60 + from) as u32);
    let record = Arc::new(Knowledge::new(from, "somebody", "it is planned", what));
    CoordinationRecord::Request { record }
}

/// Row 9: a partition whose log no longer says what is muted knows it from the coordination topic,
/// and goes on knowing it after a restart.
#[test]
fn after_a_gap_a_partition_knows_all_that_is_known() {
    let again = 50 * 60;
    // What surges once more, two days after the gap.
    let [muted, told] = [0, 1].map(|partition| names_in(partition, 2).nth(1));
    let (muted, told) = (muted.expect("a name"), told.expect("a name"));
    let mut live = Live::begun(surges_twice(settings(1.0, Some(3.0))));
    live.broker
        .coordination
        .append(request(&muted, HAPPENS - 5));
    live.run_in_steps(HAPPENS - 8, HAPPENS - 1, 1);
    live.restart(JUDGES);
    live.broker.store.clear();
    for partition in 0..2 {
        shorten(&mut live, partition, false);
    }
    live.run_in_steps(LAST, LAST + 60, 10);
    assert_eq!(gaps(&live), 2);
    live.restart(JUDGES);
    live.run_in_steps(LAST + 60, LAST + again + 60, 60);
    assert_eq!(about(&live.said(), &muted), [] as [String; 0]);
    let told = edges(&insights_of(&about(&live.said(), &told)));
    assert_eq!(told.len(), 2, "the other API is told");
    assert_eq!(live.broker.muted.len(), 2, "a pair is hidden");
    assert_eq!(live.broker.store.len(), 2, "both have checkpoints again");
    for kept in live.broker.store.values() {
        let heard: Vec<u32> = kept.values().map(|saved| saved.heard.count).collect();
        assert!(!heard.is_empty() && heard.iter().all(|count| *count == 1));
    }
}
