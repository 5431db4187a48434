//! Sources that have nothing to say, stages that stand still, clocks and event times that are wrong.

use super::scenes::{
    HAPPENS, LAST, calls, dealt, event, name_in, steady, surges, surges_with_fixed_threshold,
};
use super::{COUNTS, JUDGES, Live, check_pairs, edges, in_peace, insights_of};
use crate::broker::INGEST;
use crate::instance::{World, settings};
use crate::traffic::Event;
use insightd::protocol::IngestMetadata;

/// Minutes that events may be under way, which is the lateness as well.
pub const DELAY: i64 = 10;

/// Both surges in one source; another has nothing after 40 hours but, in peace, its last event.
pub fn one_source_idle() -> World {
    let mut events = surges().sources.concat();
    events.retain(|event| event.name != "Last");
    let mut sources = dealt(events, 1, LAST);
    sources.extend(dealt(calls("Other", 0..40 * 60, 60, 1), 1, LAST));
    World {
        delivery_delay_seconds: DELAY as u64 * 60,
        ..World::new(2, sources, settings(2000.0, None))
    }
}

/// The same world as brokers have it: the idle source never gets its last event.
pub fn without_last(world: &World) -> World {
    let mut world = world.clone();
    world.sources[1].pop();
    world
}

/// Row 10.
#[test]
fn minutes_close_on_time_while_one_source_is_proven_idle() {
    for marks in [0, 2] {
        let world = one_source_idle();
        let mut live = Live::new(without_last(&world));
        live.world.marks = marks;
        for minute in (HAPPENS - 10..=LAST).step_by(5) {
            live.run_to(minute);
            assert_eq!(live.closed(), Some(minute - DELAY));
        }
        live.check_said(&in_peace(&world), "one source is idle");
    }
}

/// Row 10, the other side: silence alone proves nothing.
#[test]
fn minutes_stay_open_while_nobody_proves_that_a_silent_source_is_idle() {
    for probes in [None, Some(false)] {
        let mut live = Live::new(without_last(&one_source_idle()));
        live.probes = probes;
        live.run_to(LAST);
        // The idle source's last event lies in hour 39.
        assert_eq!(live.closed(), Some(39 * 60 - DELAY));
        assert_eq!(live.said(), [""; 0]);
    }
}

/// A steady flow that stops for two hours in all sources at once, and comes back.
fn all_silent(holds_drops: bool) -> World {
    let mut events = steady(0..HAPPENS);
    events.extend(steady(HAPPENS + 120..LAST + 120));
    let mut world = World::new(2, dealt(events, 2, LAST + 120), settings(1.0, Some(3.0)));
    world.settings.holds_drops = holds_drops;
    world.delivery_delay_seconds = DELAY as u64 * 60;
    world
}

/// Row 11.
#[test]
fn when_all_is_silent_and_brokers_are_well_drops_are_told_beside_one_notice() {
    let world = all_silent(false);
    let expected = in_peace(&world);
    let mut live = Live::new(world);
    live.run_in_steps(HAPPENS - 10, HAPPENS + DELAY - 1, 1);
    assert_eq!(live.said(), [""; 0], "too early to know");
    assert_eq!(live.notices(), 0);
    live.run_in_steps(HAPPENS + DELAY, HAPPENS + 110, 5);
    assert_eq!(live.notices(), 1);
    assert!(live.members[JUDGES].detect.is_silent());
    let drops = edges(&live.insights());
    assert_eq!(drops, [("Start".to_string(), "Steady".to_string())]);

    live.run_in_steps(HAPPENS + 120, LAST + 121, 5);
    assert_eq!(live.notices(), 1, "it is told once");
    live.check_said(&expected, "all was silent");
    check_pairs(&live.insights(), 0);
}

/// Row 11, where drops are to be held.
#[test]
fn when_all_is_silent_and_drops_are_held_there_is_the_notice_alone() {
    let mut live = Live::new(all_silent(true));
    live.run_in_steps(HAPPENS - 10, HAPPENS + 110, 5);
    assert_eq!(live.notices(), 1);
    assert_eq!(live.said(), [""; 0]);
}

/// Row 11: a restart in the middle of the silence does not tell it again.
#[test]
fn a_silence_that_outlives_a_process_is_told_once() {
    for stage in [COUNTS, JUDGES] {
        let mut live = Live::new(all_silent(false));
        live.run_in_steps(HAPPENS - 10, HAPPENS + 60, 5);
        live.restart(stage);
        live.run_in_steps(HAPPENS + 65, HAPPENS + 110, 5);
        assert_eq!(live.notices(), 1, "stage {stage}");
    }
}

/// Row 11, the other side: while no broker answers, nobody knows of a silence.
#[test]
fn a_silence_that_nobody_proves_any_more_is_none() {
    let mut live = Live::new(all_silent(false));
    live.run_in_steps(HAPPENS - 10, HAPPENS + 60, 5);
    assert!(live.members[JUDGES].detect.is_silent());
    live.probes = Some(false);
    live.run_to(HAPPENS + 65);
    assert!(!live.members[JUDGES].detect.is_silent());
}

/// A surge that is under way when something stalls, beside a steady flow that would seem to drop.
fn surge_and_flow() -> World {
    let mut events = surges().sources.concat();
    events.retain(|event| event.name != "Last");
    events.extend(steady(0..LAST));
    World {
        delivery_delay_seconds: DELAY as u64 * 60,
        ..World::new(2, dealt(events, 2, LAST), settings(1.0, Some(3.0)))
    }
}

/// The minute at which the first Start is out and its End is not.
const UNDER_WAY: i64 = HAPPENS + 14;

/// Something stalls for an hour and a half, and then goes on.
fn check_stall(what: &str, stall: impl Fn(&mut Live, i64), go_on: impl Fn(&mut Live)) {
    let world = surge_and_flow();
    let expected = in_peace(&world);
    let mut live = Live::begun(world);
    live.run_to(UNDER_WAY);
    let said = live.said();
    assert_eq!(edges(&insights_of(&said)).len(), 1, "{what}: a Start");
    let closed = live.closed();
    for minutes in (10..=90).step_by(10) {
        stall(&mut live, UNDER_WAY + minutes);
        assert_eq!(live.said(), said, "{what}: after {minutes} minutes");
        assert_eq!(live.closed(), closed, "{what}: after {minutes} minutes");
    }
    go_on(&mut live);
    live.run_to(LAST + 1);
    live.check_said(&expected, what);
}

/// Row 12: no message comes, and no answer.
#[test]
fn time_stands_still_while_brokers_are_away_and_no_incident_ends_by_it() {
    let stall = |live: &mut Live, minute| {
        live.probes = Some(false);
        live.wait_until(minute);
    };
    check_stall("brokers are away", stall, |live| live.probes = Some(true));
}

/// Row 12.
#[test]
fn time_stands_still_while_counting_is_stalled_and_no_incident_ends_by_it() {
    let stall = |live: &mut Live, minute| {
        live.sleeps[COUNTS] = true;
        live.run_to(minute);
    };
    check_stall("counting sleeps", stall, |live| live.sleeps[COUNTS] = false);
}

/// Row 12: there is more than was read, so that no answer proves anything.
#[test]
fn time_stands_still_while_sources_are_not_read_and_no_incident_ends_by_it() {
    let stall = |live: &mut Live, minute| {
        live.holds_messages = true;
        live.run_to(minute);
    };
    check_stall("sources are paused", stall, |live| {
        live.holds_messages = false
    });
}

/// Row 13.
#[test]
fn a_clock_that_jumps_by_an_hour_closes_nothing_early_and_nothing_late() {
    let world = one_source_idle();
    let mut live = Live::begun(without_last(&world));
    live.run_to(HAPPENS - 10);
    let errors_ms = [3_600_000, 0, -3_600_000, 0];
    for (minute, error_ms) in (HAPPENS - 5..=LAST)
        .step_by(5)
        .zip(errors_ms.iter().cycle())
    {
        live.wall_error_ms = *error_ms;
        live.run_to(minute);
        assert_eq!(live.closed(), Some(minute - DELAY), "{error_ms} ms");
    }
    assert!(live.clock.jumps() >= 4, "jumps are counted");
    live.check_said(&in_peace(&world), "the clock jumped");
}

/// One source has both surges, the other a message that took 40 minutes.
fn one_message_late() -> World {
    let mut world = one_source_idle();
    world.settings = settings(1.0, Some(3.0));
    let late = Event {
        sent: event("Other", (HAPPENS + 30) * 60, "").sent,
        ..event("Other", (HAPPENS - 10) * 60, "late")
    };
    let at = world.sources[1].len() - 1;
    world.sources[1].insert(at, late);
    world
}

/// Row 13: the next owner of a source knows nothing of how far it had come, because the broker lost
/// what was committed beside the offset.
#[test]
fn progress_that_goes_back_is_counted_and_not_followed() {
    for is_lost in [false, true] {
        let world = one_message_late();
        let mut live = Live::begun(without_last(&world));
        live.run_in_steps(HAPPENS - 10, HAPPENS + 25, 5);
        live.restart(COUNTS);
        // The message comes before anybody has said where its source ends.
        live.probes = None;
        if is_lost {
            let group = live.broker.group(crate::broker::INGEST);
            let committed = group.committed.values_mut();
            committed.for_each(|(_, metadata)| metadata.clear());
        }
        for minute in (HAPPENS + 26..=LAST).step_by(2) {
            let before = live.closed();
            live.run_to(minute);
            live.probes = (minute > HAPPENS + 40).then_some(true);
            assert!(live.closed() >= before, "minute {minute}");
        }
        let states = live.members[JUDGES].detect.states();
        let stats = states.filter_map(|(_, _, _, stats)| stats);
        let regressions: u64 = stats.map(|stats| stats.watermark_regressions).sum();
        assert_eq!(regressions > 0, is_lost, "{regressions} regressions");
        if !is_lost {
            assert_eq!(live.members[COUNTS].ingest.counts().late_idle, 1);
        }
        live.check_said(&in_peace(&world), "progress went back");
    }
}

/// Row 14: whether or not another process reads the event again, for event ids.
#[test]
fn an_event_from_the_future_is_a_dead_letter_and_moves_nothing() {
    for restart_at in [None, Some(HAPPENS), Some(HAPPENS + 5), Some(HAPPENS + 10)] {
        let world = surges_with_fixed_threshold();
        let expected = in_peace(&world);
        let mut world = world;
        let wild = Event {
            time: event("Api0", (HAPPENS + 24 * 60) * 60, "").time,
            ..event("Api0", (HAPPENS - 5) * 60, "wild")
        };
        insert(&mut world.sources[0], wild);
        let mut live = Live::begun(world);
        for minute in (HAPPENS..=LAST + 1).step_by(5) {
            live.run_to(minute);
            assert!(live.closed() <= Some(minute - DELAY), "minute {minute}");
            if restart_at == Some(minute) {
                live.restart(COUNTS);
            }
        }
        live.run_to(LAST + 1);
        live.check_said(&expected, &format!("from the future, {restart_at:?}"));
        let letters = live.broker.dead_letters.iter();
        let reasons: Vec<&str> = letters.map(|letter| letter.reason).collect();
        assert_eq!(reasons, ["future"]);
    }
}

/// Row 14: what has to be read again for event ids after it is what has to be without it.
#[test]
fn an_event_from_the_future_makes_nothing_be_read_again() {
    let mut world = surges_with_fixed_threshold();
    let wild = Event {
        time: event("Api0", (HAPPENS + 24 * 60) * 60, "").time,
        ..event("Api0", 60 * 60, "wild")
    };
    insert(&mut world.sources[0], wild);
    let mut live = Live::begun(world);
    live.run_to(LAST + 1);
    for (source, (committed, metadata)) in &live.broker.groups[INGEST].committed {
        let again = IngestMetadata::parse(metadata)
            .expect("metadata")
            .dedup_from;
        assert!(
            committed - again < 300,
            "source {source}: {again} to {committed}"
        );
    }
}

/// Row 14.
#[test]
fn late_events_repair_the_baseline_and_re_open_no_decision() {
    let in_time = surges_with_fixed_threshold();
    let name = name_in(0, 2);
    let mut world = in_time.clone();
    for number in 0..30 {
        // Three hours late, as many as the surge has in two minutes.
        let late = Event {
            sent: event(&name, (HAPPENS - 5) * 60, "").sent,
            ..event(&name, (HAPPENS - 185) * 60, &format!("late-{number}"))
        };
        insert(&mut world.sources[0], late);
    }
    let too_late = Event {
        sent: event(&name, (HAPPENS - 5) * 60, "").sent,
        ..event(&name, (HAPPENS - 8 * 24 * 60) * 60, "too-late")
    };
    insert(&mut world.sources[0], too_late);

    let mut live = Live::begun(world);
    live.run_in_steps(HAPPENS - 10, LAST + 1, 5);
    live.run_to(LAST + 1);
    live.check("late events");
    let counts = live.members[COUNTS].ingest.counts();
    assert_eq!((counts.late, counts.too_late), (30, 1));

    let (found, expected) = (live.insights(), insights_of(&in_peace(&in_time)));
    assert_eq!(
        edges(&found),
        edges(&expected),
        "no decision more, and none less"
    );
    let calls = |insights: &[serde_json::Value]| {
        let context = &insights[0]["insightDetails"]["insightContext"];
        let baseline = &context["statistics"]["baseline"];
        let minutes = context["statistics"]["baselineDuration"].as_f64();
        let average = baseline["average"].as_f64();
        (average.unwrap_or(-1.0) * minutes.unwrap_or(-1.0)).round()
    };
    assert_eq!(
        calls(&found) - calls(&expected),
        30.0,
        "the baseline has them"
    );
}

/// Puts an event where it was sent.
fn insert(source: &mut Vec<Event>, event: Event) {
    let at = source.partition_point(|other| other.sent <= event.sent);
    source.insert(at, event);
}
