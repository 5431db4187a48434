//! Partitions that are taken away in the middle of something, and answers that come too late.

use super::scenes::{HAPPENS, LAST, surges};
use super::{COUNTS, JUDGES, Live};
use crate::commits::publish;

/// Two days of history, and a process that judges and that brokers and store answer slowly.
fn slow() -> Live {
    let mut live = Live::resumed(&Live::begun(surges()));
    live.members[JUDGES].late_answers = Some(Vec::new());
    live.run_to(HAPPENS - 5);
    live
}

/// Row 18: the answer belongs to an assignment that is over, and its offset is old.
#[test]
fn an_offset_that_was_asked_for_before_a_rebalance_is_not_used_after_it() {
    let mut live = slow();
    let mut process = live.replace(JUDGES);
    process.hear(&mut live.broker);
    let stale = process.take_late_answers();
    assert_eq!(stale.len(), 2, "one for each partition");
    live.run_to(HAPPENS + 15);
    let said = live.said();
    assert!(!said.is_empty(), "the other process has said something");

    live.give_back(JUDGES, process);
    let (process, broker) = live.member(JUDGES);
    process.hear(broker);
    for answer in stale {
        process.hear_answer(answer, broker);
    }
    assert_eq!(process.detect.waiting(), 2, "it waits for the new answers");
    process.hear_all_late(broker);
    live.run_to(LAST + 1);
    live.check("a stale offset");
}

/// Row 18: the checkpoint is one that was asked for before the rebalance.
#[test]
fn a_checkpoint_that_was_asked_for_before_a_rebalance_is_not_used_after_it() {
    let mut live = slow();
    let (process, broker) = live.member(JUDGES);
    for found in process.take_late_answers() {
        process.hear_answer(found, broker);
    }
    let stale = process.take_late_answers();
    assert_eq!(stale.len(), 2, "checkpoints under way");
    let mut process = live.replace(JUDGES);
    process.hear(&mut live.broker);
    live.run_to(HAPPENS + 15);

    live.give_back(JUDGES, process);
    let (process, broker) = live.member(JUDGES);
    process.hear(broker);
    for found in process.take_late_answers() {
        process.hear_answer(found, broker);
    }
    for answer in stale {
        process.hear_answer(answer, broker);
    }
    assert_eq!(
        process.detect.waiting(),
        2,
        "it waits for the new checkpoints"
    );
    process.hear_all_late(broker);
    live.run_to(LAST + 1);
    live.check("a stale checkpoint");
}

/// Row 18: a checkpoint arrives in the store when its partition has long been somebody else's.
#[test]
fn a_checkpoint_that_is_saved_after_its_partition_went_does_no_harm() {
    let mut live = Live::begun(surges());
    live.members[JUDGES].late_answers = Some(Vec::new());
    live.run_to(HAPPENS + 4);
    let mut process = live.replace(JUDGES);
    process.hear(&mut live.broker);
    live.run_to(HAPPENS + 15);
    let uploads = process.late_answers.take().unwrap_or_default();
    assert!(!uploads.is_empty(), "something is under way");
    for upload in uploads {
        process.hear_answer(upload, &mut live.broker);
    }
    live.restart(JUDGES);
    live.run_to(LAST + 1);
    live.check("a late upload");
}

/// Row 18: a partition goes while its commit is under way, which is applied or not.
#[test]
fn a_partition_that_goes_during_its_commit_is_said_once() {
    for is_applied in [true, false] {
        let mut live = Live::begun(surges());
        live.holds_commits[JUDGES] = true;
        live.run_to(HAPPENS + 15);
        let now_ms = live.now_ms;
        let process = &mut live.members[JUDGES];
        let transaction = process.detect.prepare().expect("there is something to say");
        assert!(!transaction.outputs.is_empty());
        if is_applied {
            publish(&transaction, &mut live.broker);
        }
        let mut process = live.replace(JUDGES);
        process.hear(&mut live.broker);
        if is_applied {
            let actions = process.detect.committed(&transaction, now_ms);
            assert_eq!(actions, [], "nothing is saved of what is gone");
        } else {
            process.detect.aborted(now_ms);
        }
        live.holds_commits[JUDGES] = false;
        live.run_to(HAPPENS + 22);

        live.give_back(JUDGES, process);
        live.run_to(LAST + 1);
        live.check(&format!("applied: {is_applied}"));
    }
}

/// Row 18, the other stage: what is offered again holds nothing of a source that went.
#[test]
fn a_source_that_goes_during_a_commit_takes_its_part_out() {
    let mut live = Live::begun(surges());
    live.holds_commits[COUNTS] = true;
    live.run_to(HAPPENS + 15);
    assert!(live.members[COUNTS].ingest.prepare(), "there are counts");
    let mut process = live.replace(COUNTS);
    process.hear(&mut live.broker);
    process.ingest.aborted(live.now_ms);
    assert!(process.ingest.transaction().is_none());
    live.holds_commits[COUNTS] = false;
    live.run_to(HAPPENS + 22);

    live.give_back(COUNTS, process);
    live.run_to(LAST + 1);
    live.check("a source that went");
}
