//! Feedback on past insights: what a series says afterwards, with and without it.

use std::sync::Arc;

use insightd::detect::{DetectSettings, Engine, Output};
use insightd::model::{
    Edge, EndReason, Feedback, InsightEvent, InsightType, Minute, RatesBuilder, Said, SeriesRef,
    SourceCategory,
};

/// Monday, 2024-03-04T00:00:00Z.
const FIRST: u32 = 19_786 * 1440;
const DAYS: u32 = 26;

fn hour(day: u32, hour: u32) -> u32 {
    FIRST + day * 1440 + hour * 60
}

fn settings(feedback: &[Feedback]) -> DetectSettings {
    DetectSettings {
        fixed_z: Some(3.0),
        bucket_minutes: 60,
        feedback: Arc::new(feedback.to_vec()),
        ..DetectSettings::default()
    }
}

/// Calls an hour of one series: 600, and what `count` has instead.
type Counts<'a> = &'a dyn Fn(u32) -> Option<u64>;

fn step(engine: &mut Engine, minute: u32, count: Counts<'_>, out: &mut Output) {
    let mut builder = RatesBuilder::default();
    let series = SeriesRef {
        account: "1",
        region: "r",
        event_source: "s",
        event_name: "n",
        insight_type: InsightType::ApiCallRate,
        error_code: "",
    };
    let key = builder.add_key(series, SourceCategory::Management);
    // A little noise that repeats every five hours.
    let usual = 580 + u64::from(minute / 60 % 5) * 10;
    builder.add_entry(key, Minute(minute), count(minute).unwrap_or(usual), &[]);
    engine.observe(&builder.finish(0, (0, 0)));
    engine.advance(Minute(minute + 60), out);
}

/// Insights from the second week on.
fn run(feedback: &[Feedback], count: Counts<'_>) -> Vec<InsightEvent> {
    let mut engine = Engine::new(settings(feedback));
    let mut out = Output::default();
    for at in 0..DAYS * 24 {
        step(&mut engine, FIRST + at * 60, count, &mut out);
    }
    // Going on from a snapshot at every hour is the same.
    let mut again = Output::default();
    let mut engine = Engine::new(settings(feedback));
    for at in 0..DAYS * 24 {
        step(&mut engine, FIRST + at * 60, count, &mut again);
        let bytes = engine.snapshot();
        engine = Engine::restore(settings(feedback), &bytes).expect("it was just taken");
        assert!(engine.snapshot() == bytes);
    }
    assert_eq!(out.insights, again.insights);
    out.insights.retain(|one| one.decided_at.0 >= hour(7, 0));
    out.insights
}

fn starts(insights: &[InsightEvent]) -> Vec<u32> {
    let starts = insights.iter().filter(|one| one.edge == Edge::Start);
    starts.map(|one| (one.minute.0 - FIRST) / 1440).collect()
}

fn feedback(of: &InsightEvent, from: u32, said: Said) -> Feedback {
    Feedback {
        id: u128::from(from),
        insight: of.shared_event_id.as_u128(),
        from: Minute(from),
        said,
    }
}

/// Two hours of ten times the calls on these days, each time at another hour of the day.
fn surges(days: &'static [u32]) -> impl Fn(u32) -> Option<u64> {
    move |minute| {
        let place = days.iter().position(|day| {
            let from = hour(*day, 3 + day * 7 % 20);
            (from..from + 120).contains(&minute)
        });
        place.map(|_| 6000)
    }
}

#[test]
fn a_true_incident_is_no_precedent_and_a_false_one_is() {
    let count = surges(&[10, 12, 14]);
    let untold = run(&[], &count);
    assert_eq!(starts(&untold), [10, 12], "the third of its kind is silent");
    let of = |said| {
        let told = [feedback(&untold[0], hour(11, 0), said)];
        starts(&run(&told, &count))
    };
    assert_eq!(of(Said::True), [10, 12, 14]);
    assert_eq!(of(Said::False), [10, 12]);
    // Said when no window holds the third any more it comes too late, and changes nothing.
    let late = [feedback(&untold[0], hour(18, 0), Said::True)];
    assert_eq!(run(&late, &count), untold);
    // Said while it goes on, it is heeded once it is over.
    let early = [feedback(&untold[0], hour(10, 0), Said::True)];
    assert_eq!(starts(&run(&early, &count)), [10, 12, 14]);
}

#[test]
fn what_is_expected_is_excused_for_as_long_as_was_said() {
    let count = surges(&[10, 12, 20]);
    let untold = run(&[], &count);
    assert_eq!(starts(&untold), [10, 12, 20]);
    let until = |day| {
        let until = Minute(hour(day, 0));
        let told = [feedback(&untold[0], hour(11, 0), Said::Expected { until })];
        starts(&run(&told, &count))
    };
    assert_eq!(until(13), [10, 20]);
    assert_eq!(until(25), [10]);
    assert_eq!(until(12), [10, 12, 20]);
    // What is much larger is not like it.
    let larger = |minute| match count(minute) {
        Some(_) if minute > hour(19, 0) => Some(60_000),
        other => other,
    };
    let until = Minute(hour(25, 0));
    let told = [feedback(&untold[0], hour(11, 0), Said::Expected { until })];
    assert_eq!(starts(&run(&told, &larger)), [10, 20]);
}

#[test]
fn a_new_normal_begins_anew_when_it_is_said() {
    let count = |minute| (minute >= hour(10, 10)).then_some(6000);
    let untold = run(&[], &count);
    let end = |insights: &[InsightEvent]| {
        let end = insights.iter().find(|one| one.edge == Edge::End);
        end.map(|one| (one.reason, one.decided_at.0))
    };
    let after_a_day = untold[0].decided_at.0 + 1440;
    assert_eq!(
        end(&untold),
        Some((Some(EndReason::NewNormal), after_a_day))
    );
    let said = hour(10, 15);
    let told = run(&[feedback(&untold[0], said, Said::NewNormal)], &count);
    assert_eq!(end(&told), Some((Some(EndReason::NewNormal), said)));
    assert_eq!(starts(&told), [10], "and that is all: {told:?}");
    // After it is over, the same: the series begins anew, and learns for two days.
    let count = surges(&[10, 12]);
    let untold = run(&[], &count);
    assert_eq!(starts(&untold), [10, 12]);
    let told = run(
        &[feedback(&untold[0], hour(11, 0), Said::NewNormal)],
        &count,
    );
    assert_eq!(starts(&told), [10]);
}

#[test]
fn what_is_said_of_no_insight_changes_nothing() {
    let count = surges(&[10, 12]);
    let untold = run(&[], &count);
    let mut other = feedback(&untold[0], hour(11, 0), Said::NewNormal);
    other.insight += 1;
    assert_eq!(run(&[other], &count), untold);
}

/// A state goes on with what is said later: as if it had been known all along.
#[test]
fn a_state_goes_on_with_more_feedback() {
    let count = surges(&[10, 12, 14]);
    let untold = run(&[], &count);
    let told = settings(&[feedback(&untold[0], hour(13, 0), Said::True)]);
    let mut engine = Engine::new(settings(&[]));
    let mut out = Output::default();
    for at in 0..DAYS * 24 {
        if FIRST + at * 60 == hour(12, 23) {
            engine = Engine::restore(told.clone(), &engine.snapshot()).expect("it fits");
        }
        step(&mut engine, FIRST + at * 60, &count, &mut out);
    }
    out.insights.retain(|one| one.decided_at.0 >= hour(7, 0));
    assert_eq!(out.insights, run(&told.feedback, &count));
    assert_eq!(engine.stats().feedback_heeded, 1);
}
