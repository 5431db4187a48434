//! Processes that die, or were believed to be dead, and commits whose answer is lost.

use super::scenes::{HAPPENS, LAST, surges};
use super::{COUNTS, JUDGES, Live, in_peace};
use crate::instance::CommitFate;

/// The rest, in steps that begin and end within the surges.
fn run_on(live: &mut Live) {
    for minute in [
        HAPPENS + 4,
        HAPPENS + 15,
        HAPPENS + 22,
        HAPPENS + 40,
        LAST + 1,
    ] {
        live.run_to(minute);
    }
}

/// Goes through all moments of a process, one run for each, until there are no more; how many
/// there are.
fn dies_at_every_moment(stage: usize, checkpoints_lost: usize) -> u64 {
    let begun = Live::begun(surges());
    let expected = in_peace(&begun.world);
    assert_eq!(expected.len(), 4, "two pairs: {expected:?}");
    for moment in 1.. {
        let mut live = Live::resumed(&begun);
        live.checkpoints_lost = checkpoints_lost;
        live.members[stage].dies_at = Some(moment);
        run_on(&mut live);
        live.check_said(&expected, &format!("dies at moment {moment}"));
        if live.deaths == 0 {
            return moment - 1;
        }
    }
    unreachable!("a run has an end");
}

/// Row 1.
#[test]
fn the_counting_process_dies_before_between_and_after_all_its_steps() {
    let moments = dies_at_every_moment(COUNTS, 0);
    assert!(moments > 100, "only {moments}");
}

/// Row 2, with the newest checkpoint, one or two older, and none.
#[test]
fn the_judging_process_dies_at_every_step_with_checkpoints_of_every_age() {
    for checkpoints_lost in 0..=3 {
        let moments = dies_at_every_moment(JUDGES, checkpoints_lost);
        assert!(moments > 100, "only {moments}");
    }
}

/// Every commit of a stage meets a fate in turn; how many there are.
fn every_commit_meets(stage: usize, fate: CommitFate) -> u64 {
    let begun = Live::begun(surges());
    let expected = in_peace(&begun.world);
    for number in 0.. {
        let mut live = Live::resumed(&begun);
        live.members[stage].fated = Some((stage, number, fate));
        run_on(&mut live);
        live.check_said(&expected, &format!("commit {number} of stage {stage}"));
        if live.members[stage].commits[stage] <= number {
            return number;
        }
    }
    unreachable!("a run has an end");
}

/// Row 3.
#[test]
fn a_commit_whose_answer_is_lost_is_made_once() {
    for stage in [COUNTS, JUDGES] {
        let commits = every_commit_meets(stage, CommitFate::AnswerLost);
        assert!(commits >= 5, "stage {stage}: {commits}");
    }
}

/// Row 3, the other half: nothing was applied, and the same is offered again.
#[test]
fn a_commit_that_was_refused_is_made_again() {
    for stage in [COUNTS, JUDGES] {
        let commits = every_commit_meets(stage, CommitFate::Refused);
        assert!(commits >= 5, "stage {stage}: {commits}");
    }
}

/// Row 4: it wakes with work that it has not committed, and with the generation of before.
#[test]
fn a_process_that_slept_past_its_session_says_nothing_and_joins_clean() {
    for stage in [COUNTS, JUDGES] {
        let mut live = Live::resumed(&Live::begun(surges()));
        live.run_to(HAPPENS + 4);
        live.holds_commits[stage] = true;
        live.run_to(HAPPENS + 15);
        let mut sleeper = live.replace(stage);
        live.holds_commits[stage] = false;
        live.run_to(HAPPENS + 22);

        let before = trace(&live);
        sleeper.tick(&mut live.broker, live.now_ms, CommitFate::Fine);
        assert_eq!(sleeper.refused, 1, "stage {stage}: it tried to commit");
        assert_eq!(before, trace(&live), "stage {stage}: nothing came of it");
        sleeper.hear(&mut live.broker);
        let other = live.give_back(stage, sleeper);
        live.mismatches += other.mismatches;
        live.run_to(LAST + 1);
        live.check(&format!("stage {stage}"));
    }
}

/// All that a process could have changed.
fn trace(live: &Live) -> String {
    let broker = &live.broker;
    let groups = broker.groups.values();
    let committed: Vec<_> = groups.map(|group| group.committed.clone()).collect();
    let kept: Vec<usize> = broker.rates.iter().map(|log| log.records.len()).collect();
    format!("{committed:?} {kept:?} {:?}", live.said())
}
