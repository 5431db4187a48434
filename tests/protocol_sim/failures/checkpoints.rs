//! Checkpoints that are late, damaged, lost or another version's, logs that are too short, and
//! settings that change under way.

use insightd::detect::{DetectSettings, Engine, FleetScope, LOGIC_VERSION, Output};
use insightd::formats::{rates_record, write_insight};
use insightd::model::LogRecord;
use insightd::protocol::{CheckpointName, DetectNote};

use super::scenes::{
    HAPPENS, LAST, calls, dealt, name_in, names_in, steady, surges, surges_with_fixed_threshold,
};
use super::{JUDGES, Live, about, check_pairs, edges, in_peace, insights_of};
use crate::broker::{DETECT, Saved};
use crate::instance::{World, context, settings};

/// The newest checkpoint of each partition.
fn newest(live: &Live) -> Vec<CheckpointName> {
    let kept = live.broker.store.values();
    let newest = kept.filter_map(|kept| kept.keys().next_back());
    newest.copied().collect()
}

/// Row 6.
#[test]
fn while_the_store_is_away_detection_goes_on_and_later_it_catches_up() {
    let mut live = Live::begun(surges());
    live.broker.store_is_away = true;
    let before = newest(&live);
    live.run_in_steps(HAPPENS - 5, HAPPENS + 55, 5);
    assert_eq!(live.said(), in_peace(&live.world), "all is said");
    assert_eq!(newest(&live), before);
    live.broker.store_is_away = false;
    live.run_in_steps(HAPPENS + 60, LAST + 1, 5);
    for (before, after) in before.iter().zip(newest(&live)) {
        assert!(after.offset > before.offset, "{after:?} after {before:?}");
    }
    live.check("the store was away");
}

/// Row 6: who needs a checkpoint waits for the store, and loses nothing.
#[test]
fn a_process_that_begins_while_the_store_is_away_waits_for_it() {
    let mut live = Live::begun(surges());
    live.run_to(HAPPENS + 5);
    live.broker.store_is_away = true;
    live.restart(JUDGES);
    live.run_in_steps(HAPPENS + 10, HAPPENS + 60, 10);
    assert_eq!(live.members[JUDGES].detect.waiting(), 2);
    assert_eq!(live.said(), [""; 0]);
    live.broker.store_is_away = false;
    live.run_to(LAST + 1);
    live.check("the store was away at the beginning");
}

/// Damages a checkpoint in one way.
type Damage = Box<dyn Fn(&mut Vec<u8>)>;

/// Cut at several lengths, and a bit of every thirtieth part flipped.
fn damages() -> Vec<Damage> {
    let mut damages: Vec<Damage> = Vec::new();
    for part in 0..30 {
        damages.push(Box::new(move |bytes| {
            bytes.truncate(bytes.len() * part / 30)
        }));
        damages.push(Box::new(move |bytes| {
            let at = bytes.len() * part / 30;
            bytes[at] ^= 1 << (part % 8);
        }));
    }
    damages
}

/// Row 7.
#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_is_used() {
    let mut begun = Live::begun(surges());
    begun.run_to(HAPPENS + 15);
    let expected = in_peace(&begun.world);
    for (number, damage) in damages().into_iter().enumerate() {
        let context = format!("damage {number}");
        let mut live = Live::resumed(&begun);
        let mut replays = Vec::new();
        let mut damaged = Vec::new();
        for (partition, kept) in &mut live.broker.store {
            let (name, saved) = kept.iter_mut().next_back().expect("there are three");
            damage(&mut saved.snapshot);
            damaged.push((*partition, *name));
            let before = kept.keys().nth_back(1).expect("there are three");
            let committed = live.broker.groups[DETECT].committed[partition].0;
            replays.push((*partition, committed - before.offset));
        }
        live.run_to(LAST + 1);
        live.check_said(&expected, &context);
        let (mut unusable, mut replayed) = (Vec::new(), Vec::new());
        for note in live.notes() {
            match note {
                DetectNote::Unusable {
                    partition,
                    checkpoint,
                    ..
                } => unusable.push((*partition, *checkpoint)),
                DetectNote::Running {
                    partition,
                    replayed: count,
                } => replayed.push((*partition, *count)),
                _ => {}
            }
        }
        assert_eq!(unusable, damaged, "{context}");
        assert_eq!(replayed, replays, "{context}");
    }
}

/// Row 8, where the rates log has everything.
#[test]
fn without_any_checkpoint_a_partition_is_made_again_from_the_rates_log() {
    let mut begun = Live::begun(surges());
    for minute in [HAPPENS - 5, HAPPENS + 12, HAPPENS + 20] {
        begun.run_to(minute);
        let mut live = Live::resumed(&begun);
        live.broker.store.clear();
        live.run_to(LAST + 1);
        live.check(&format!("minute {minute}"));
    }
}

/// An API in each partition surges in the 50th hour and another two days later, beside a steady
/// flow.
pub fn surges_twice(settings: DetectSettings) -> World {
    let again = 50 * 60;
    let mut events = steady(0..LAST + again);
    for partition in 0..2 {
        let names = names_in(partition, 2);
        for (name, surge) in names.zip([HAPPENS, HAPPENS + again]) {
            events.extend(calls(&name, 0..LAST + again, 15, 1));
            events.extend(calls(&name, surge..surge + 8, 1, 20));
        }
    }
    let sources = dealt(events, 2, LAST + again);
    World::new(2, sources, settings)
}

/// Deletes what a partition's log holds before its middle, or all but its last records.
pub fn shorten(live: &mut Live, partition: usize, keeps_half: bool) {
    let log = &mut live.broker.rates[partition];
    log.start = if keeps_half { log.end / 2 } else { log.end - 3 };
    log.records = log.records.split_off(&log.start);
}

pub fn gaps(live: &Live) -> usize {
    let notes = live.notes().iter();
    notes
        .filter(|note| matches!(note, DetectNote::Gap { .. }))
        .count()
}

/// Row 8, where the rates log is short: quiet until it has warmed up, and no drop.
#[test]
fn without_checkpoints_and_with_a_short_log_nothing_false_is_said() {
    for settings in [settings(1.0, Some(3.0)), settings(2000.0, None)] {
        let world = surges_twice(settings);
        let peace = edges(&insights_of(&in_peace(&world)));
        assert_eq!(peace.len(), 8, "two pairs twice");
        let mut live = Live::begun(world);
        live.restart(JUDGES);
        live.broker.store.clear();
        for partition in 0..2 {
            shorten(&mut live, partition, true);
        }
        live.run_in_steps(HAPPENS - 5, LAST, 5);
        assert_eq!(gaps(&live), 2);
        assert_eq!(live.said(), [""; 0], "it does not know enough");
        live.run_in_steps(LAST + 60, LAST + 51 * 60, 60);
        let insights = live.insights();
        assert_eq!(edges(&insights), peace[4..], "later it does");
        check_pairs(&insights, 0);
    }
}

/// Rows 8 and 9: a partition without a count waits for nothing, and nobody for it.
#[test]
fn a_partition_that_begins_anew_and_meets_no_count_holds_nobody_up() {
    let name = name_in(0, 2);
    // Later than the last threshold that is known at the restart.
    let surge = HAPPENS + 4 * 60;
    let last = surge + 60;
    let mut events = calls(&name, 0..last, 15, 1);
    events.extend(calls(&name, surge..surge + 8, 1, 20));
    let world = World::new(2, dealt(events, 2, last), settings(2000.0, None));
    let expected = about(&in_peace(&world), &name);
    assert_eq!(expected.len(), 2);
    let mut live = Live::begun(world);
    live.restart(JUDGES);
    live.broker.store.remove(&1);
    shorten(&mut live, 1, true);
    live.run_in_steps(HAPPENS - 5, last + 1, 5);
    assert_eq!(gaps(&live), 1);
    live.check_said(&expected, "a partition without a count begins anew");
}

/// Row 9: a pair was open when the process went, and the log was not kept for long enough.
#[test]
fn after_a_gap_a_partition_begins_anew_without_an_insight_from_the_gap() {
    for settings in [settings(1.0, Some(3.0)), settings(2000.0, None)] {
        let world = surges_twice(settings);
        let peace = edges(&insights_of(&in_peace(&world)));
        let mut live = Live::begun(world);
        live.run_to(HAPPENS + 15);
        let before = live.said();
        let starts = edges(&insights_of(&before));
        assert_eq!(starts.len(), 2, "two pairs are open: {starts:?}");
        live.sleeps[JUDGES] = true;
        live.run_to(LAST);
        for partition in 0..2 {
            shorten(&mut live, partition, false);
        }
        live.sleeps[JUDGES] = false;
        live.restart(JUDGES);
        live.run_in_steps(LAST + 60, LAST + 48 * 60, 60);
        assert_eq!(gaps(&live), 2);
        assert_eq!(live.said(), before, "nothing of the gap, no drop, no End");

        live.run_in_steps(LAST + 49 * 60, LAST + 51 * 60, 60);
        let insights = live.insights();
        assert_eq!(edges(&insights)[2..], peace[4..], "later pairs are whole");
        check_pairs(&insights, 2);
        let judge = &live.members[JUDGES];
        assert!(judge.failed.is_empty() && judge.mismatches == 0);
    }
}

/// Row 9, where a gap is to be an error: the partition that has one stops, the other goes on.
#[test]
fn after_a_gap_that_is_not_allowed_a_partition_stops() {
    let mut world = surges_with_fixed_threshold();
    world.fails_on_gap = true;
    let expected = about(&in_peace(&world), &name_in(1, 2));
    let mut live = Live::begun(world);
    live.sleeps[JUDGES] = true;
    live.run_to(HAPPENS + 15);
    shorten(&mut live, 0, false);
    live.sleeps[JUDGES] = false;
    live.restart(JUDGES);
    live.run_to(LAST + 1);
    let failed = &live.members[JUDGES].failed;
    assert_eq!(failed.keys().collect::<Vec<_>>(), [&0]);
    let reason = &failed[&0];
    assert!(reason.contains("was kept for too short a time"), "{reason}");
    assert!(reason.contains("checkpoint.on_gap"), "{reason}");
    assert_eq!(live.said(), expected, "the other goes on");
}

/// What one engine a partition says that reads its log in peace.
fn of_logs(live: &Live, parse: impl Fn(&str) -> f64) -> Vec<String> {
    let mut lines = Vec::new();
    for log in &live.broker.rates {
        let mut whole = settings(1.0, Some(3.0));
        whole.fleet = FleetScope::Whole;
        let mut engine = Engine::new(whole.clone());
        let mut output = Output::default();
        engine.apply(&LogRecord::Sources(2), &mut output);
        let mut in_force = String::new();
        for bytes in log.records.values() {
            let record = rates_record::decode(bytes).expect("whole records");
            if let LogRecord::Settings(canonical) = &record {
                whole.fixed_z = Some(parse(canonical));
                engine
                    .reconfigure(whole.clone())
                    .expect("only the threshold");
                in_force.clone_from(canonical);
            }
            engine.apply(&record, &mut output);
            for event in output.insights.drain(..) {
                let mut line = Vec::new();
                write_insight(&event, &context(&in_force), &mut line);
                line.pop();
                lines.push(line);
            }
        }
    }
    crate::sorted(lines)
}

/// From the second surge on nothing is strong enough any more.
fn change_settings(live: &mut Live) {
    live.run_to(HAPPENS + 13);
    live.world.settings.fixed_z = Some(60.0);
    live.run_to(HAPPENS + 22);
}

/// Row 21: whatever the checkpoint, before or after the change, and whenever the process dies.
#[test]
fn settings_that_change_while_a_checkpoint_is_replayed_decide_as_without_a_crash() {
    let begun = Live::begun(surges_with_fixed_threshold());
    let mut calm = Live::resumed(&begun);
    change_settings(&mut calm);
    calm.run_to(LAST + 1);
    let expected = of_logs(&calm, |canonical| {
        let words: Vec<&str> = canonical.split(' ').collect();
        words[1].parse().expect("a fixed threshold")
    });
    calm.check_said(&expected, "without a crash");
    assert_ne!(expected, in_peace(&begun.world), "the change is felt");

    for checkpoints_lost in 0..=3 {
        for moment in (1..).step_by(3) {
            let mut live = Live::resumed(&begun);
            live.checkpoints_lost = checkpoints_lost;
            live.members[JUDGES].dies_at = Some(moment);
            change_settings(&mut live);
            live.run_to(LAST + 1);
            live.check_said(&expected, &format!("{checkpoints_lost}, {moment}"));
            if live.deaths == 0 {
                break;
            }
        }
    }
}

/// As if all that is saved and committed came from a version with another logic.
fn make_older(live: &mut Live) {
    for Saved { snapshot, .. } in live
        .broker
        .store
        .values_mut()
        .flat_map(|kept| kept.values_mut())
    {
        let body = snapshot.len() - 4;
        snapshot[12..16].copy_from_slice(&(LOGIC_VERSION - 1).to_le_bytes());
        let sum = crc32c::crc32c(&snapshot[..body]);
        snapshot[body..].copy_from_slice(&sum.to_le_bytes());
    }
    let group = live.broker.group(DETECT);
    for (_, metadata) in group.committed.values_mut() {
        let now = format!("logic={LOGIC_VERSION};");
        assert!(metadata.contains(&now), "{metadata}");
        *metadata = metadata.replace(&now, &format!("logic={};", LOGIC_VERSION - 1));
    }
}

fn abandoned(live: &Live) -> Vec<(u32, u64)> {
    let abandoned = live.notes().iter().filter_map(|note| match note {
        DetectNote::Abandoned {
            partition,
            incidents,
        } => Some((*partition, *incidents)),
        _ => None,
    });
    abandoned.collect()
}

/// Row 22: nothing was open, so that nothing is lost.
#[test]
fn a_version_with_another_logic_replays_the_log_and_says_nothing_twice() {
    for minute in [HAPPENS - 5, LAST - 20] {
        let mut live = Live::begun(surges());
        live.run_to(minute);
        live.restart(JUDGES);
        make_older(&mut live);
        live.run_to(LAST + 1);
        live.check(&format!("minute {minute}"));
        assert_eq!(abandoned(&live), []);
        let notes = live.notes().iter();
        let unusable = notes.filter(|note| matches!(note, DetectNote::Unusable { .. }));
        assert_eq!(unusable.count(), 6, "three checkpoints of each partition");
    }
}

/// Row 22: an incident that the version before began is dropped; all others have their pair.
#[test]
fn a_version_with_another_logic_drops_what_is_open_and_pairs_what_follows() {
    let mut live = Live::begun(surges());
    live.run_to(HAPPENS + 15);
    live.restart(JUDGES);
    make_older(&mut live);
    let before = live.said();
    assert_eq!(edges(&insights_of(&before)).len(), 1, "a Start");
    live.run_to(LAST + 1);
    assert_eq!(abandoned(&live), [(0, 1)]);
    let said = live.said();
    check_pairs(&insights_of(&said), 1);
    assert!(said.contains(&before[0]), "what was said stays");
    let other = name_in(1, 2);
    assert_eq!(about(&said, &other), about(&in_peace(&live.world), &other));
}
