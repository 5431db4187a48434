//! Sources whose topic is deleted or configured no longer, for good or for a while.

use super::checkpoints::shorten;
use super::scenes::{HAPPENS, LAST};
use super::time::{DELAY, one_source_idle, without_last};
use super::{COUNTS, JUDGES, Live, check_pairs, in_peace};

/// How far time comes while it waits for the source that has nothing after hour 39.
const HELD: Option<i64> = Some(39 * 60 - DELAY);

/// One source has nothing more, and nobody who would prove it.
fn held() -> Live {
    let mut live = Live::new(without_last(&one_source_idle()));
    live.probes = None;
    live.run_to(HAPPENS - 30);
    assert_eq!(live.closed(), HELD);
    live
}

/// The same, and its topic was deleted.
fn retired() -> Live {
    let mut live = held();
    live.world.absent.insert(1);
    live.run_in_steps(HAPPENS - 29, HAPPENS - 21, 1);
    assert_eq!(live.closed(), HELD, "it may come back");
    live.run_to(HAPPENS - 18);
    assert!(live.closed() > HELD);
    live
}

/// Row 24.
#[test]
fn time_waits_for_a_source_that_is_gone_only_for_a_while() {
    for stage in [None, Some(COUNTS), Some(JUDGES)] {
        let mut live = retired();
        if let Some(stage) = stage {
            live.restart(stage);
        }
        live.run_in_steps(HAPPENS, LAST + 1, 5);
        live.check_said(&in_peace(&one_source_idle()), "a source is gone");
    }
}

/// Row 24: it is not gone for good.
#[test]
fn a_source_that_comes_back_is_read_on_as_a_new_one() {
    let mut live = retired();
    live.world = one_source_idle();
    live.run_in_steps(HAPPENS, LAST, 5);
    assert!(live.closed() < Some(HAPPENS), "others wait for it again");
    live.run_to(LAST + 1);
    live.check("a source came back");
    let committed = &live.broker.groups[crate::broker::INGEST].committed;
    let read: Vec<u64> = committed.values().map(|(offset, _)| *offset).collect();
    let sources = live.world.sources.iter();
    let all: Vec<u64> = sources.map(|events| events.len() as u64).collect();
    assert_eq!(read, all);
}

/// Row 24: it was not gone for long enough.
#[test]
fn a_source_that_comes_back_in_time_was_never_gone() {
    let mut live = held();
    for minute in (HAPPENS - 30..HAPPENS).step_by(10) {
        live.world.absent.insert(1);
        live.run_to(minute);
        live.world.absent.clear();
        live.run_to(minute + 5);
        assert_eq!(live.closed(), HELD);
    }
    live.world = one_source_idle();
    live.run_to(LAST + 1);
    live.check("a source was away");
}

/// Rows 9 and 24: what retired it is no more in the rates log.
#[test]
fn a_partition_that_begins_anew_does_not_wait_for_a_source_that_is_gone() {
    let mut live = retired();
    live.sleeps[JUDGES] = true;
    live.run_to(HAPPENS);
    live.broker.store.clear();
    for partition in 0..2 {
        shorten(&mut live, partition, false);
    }
    live.sleeps[JUDGES] = false;
    live.restart(JUDGES);
    live.run_to(LAST);
    assert!(live.closed() > Some(HAPPENS), "{:?}", live.closed());
    check_pairs(&live.insights(), 0);
}

/// Row 24: a process that reads the whole past hears of the retirement with the name.
#[test]
fn a_source_that_came_back_is_not_begun_as_the_one_that_was_retired() {
    let mut live = retired();
    live.world = one_source_idle();
    live.world.sources[1].pop();
    live.run_to(HAPPENS);
    // More of it is there by the time that another process begins to read.
    live.sleeps[COUNTS] = true;
    live.world = one_source_idle();
    live.run_to(LAST + 1);
    live.sleeps[COUNTS] = false;
    live.restart(COUNTS);
    live.run_to(LAST + 2);
    live.check("a source came back before a restart");
}
