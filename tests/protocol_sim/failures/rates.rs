//! Records of the rates log that cannot be read.

use super::scenes::{HAPPENS, LAST, name_in, surges, surges_with_fixed_threshold};
use super::{JUDGES, Live, about, edges, in_peace, insights_of};
use crate::broker::DETECT;
use crate::instance::World;

/// A record that is damaged, and one that only another version can read.
fn unreadable() -> [(&'static str, Vec<u8>); 2] {
    let mut damaged = vec![1, 4, 0, 0, 0, 0];
    damaged.extend(crc32c::crc32c(&damaged).to_le_bytes());
    damaged[2] ^= 1;
    let mut newer = vec![2, 4, 0, 0, 0, 0];
    newer.extend(crc32c::crc32c(&newer).to_le_bytes());
    [
        ("checksum differs", damaged),
        ("format version 2 is not known", newer),
    ]
}

/// Partition 0 meets such a record at `minute`; the world as it is at the end.
fn with_unreadable(world: World, minute: i64, reason: &str, record: Vec<u8>) -> Live {
    let mut live = Live::new(world);
    live.run_to(minute);
    let offset = live.broker.rates[0].end;
    live.broker.rates[0].append(record);
    live.run_in_steps(minute, HAPPENS + 10, 10);
    live.restart(JUDGES);
    live.run_in_steps(HAPPENS + 10, LAST + 1, 10);
    live.run_to(LAST + 1);
    let failed = &live.members[JUDGES].failed;
    assert_eq!(failed.keys().collect::<Vec<_>>(), [&0], "the other goes on");
    for part in [
        reason,
        &format!("offset {offset} of the rates log"),
        "run the version",
    ] {
        assert!(failed[&0].contains(part), "`{part}` in {}", failed[&0]);
    }
    let (committed, _) = &live.broker.groups[DETECT].committed[&0];
    let next = live.broker.rates[0].next(*committed).map(|next| next.0);
    assert_eq!(next, Some(offset), "all before it is committed");
    live
}

/// Row 16.
#[test]
fn a_record_that_cannot_be_read_stops_its_partition_and_no_other() {
    let world = surges_with_fixed_threshold();
    let expected = about(&in_peace(&world), &name_in(1, 2));
    assert_eq!(expected.len(), 2, "a pair");
    for (reason, record) in unreadable() {
        let live = with_unreadable(world.clone(), HAPPENS - 10, reason, record);
        assert_eq!(live.said(), expected);
    }
}

/// Row 16, where the others need its reports for their threshold.
#[test]
fn a_partition_that_has_stopped_does_not_hold_up_the_threshold_of_the_others() {
    let name = name_in(1, 2);
    for (reason, record) in unreadable() {
        let live = with_unreadable(surges(), HAPPENS - 6 * 60, reason, record);
        let expected = ["Start", "End"].map(|state| (state.to_string(), name.clone()));
        assert_eq!(edges(&insights_of(&live.said())), expected);
    }
}

/// Row 16: the record comes with those that a partition decides on, before they are committed.
#[test]
fn what_a_partition_decided_before_it_stopped_is_said() {
    for (_, record) in unreadable() {
        let mut live = Live::begun(surges_with_fixed_threshold());
        live.sleeps[JUDGES] = true;
        live.run_to(HAPPENS + 13);
        live.broker.rates[0].append(record);
        live.sleeps[JUDGES] = false;
        live.run_to(HAPPENS + 14);
        let said = insights_of(&about(&live.said(), &name_in(0, 2)));
        let name = name_in(0, 2);
        assert_eq!(edges(&said), [("Start".to_string(), name)]);
        let failed = &live.members[JUDGES].failed;
        assert_eq!(failed.keys().collect::<Vec<_>>(), [&0]);
    }
}
