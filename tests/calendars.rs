//! Declared calendars: local hours against another implementation of time zones, and what they
//! change for a series.

use std::collections::{BTreeMap, BTreeSet};

use insightd::config::{Settings, WrittenDocument};
use insightd::detect::calendar::Calendar;
use insightd::detect::{DetectSettings, Engine, Output};
use insightd::model::{
    Edge, InsightEvent, InsightType, Minute, RatesBuilder, ScoreRow, SeriesRef, SourceCategory,
};

/// Monday, 2024-03-04T00:00:00Z.
const FIRST: u32 = 19_786 * 1440;
const DAY: u32 = 1440;

fn settings(calendar: &str) -> Settings {
    let text = format!("[detector]\nfixed_z = 4.0\n[counting]\nbucket = \"1h\"\n{calendar}");
    let document = WrittenDocument::read("test", &text, []).expect("it is right");
    document.check().expect("it is right")
}

fn calendar(text: &str) -> Calendar {
    settings(text).detect.calendars.remove(0)
}

/// Zones as Python's zoneinfo has them (`tests/oracles/slots.py`).
#[test]
fn local_hours_and_windows_are_those_of_another_implementation() {
    let table = include_str!("oracles/slots.csv");
    let mut rows = 0;
    for row in table.lines().skip(1) {
        let fields: Vec<&str> = row.split(',').collect();
        let [zone, first, slots, maintained] = fields[..] else {
            panic!("four fields: {row}");
        };
        let calendar = calendar(&format!(
            "[[calendars]]\nzone = \"{zone}\"\nmaintenance = [\n\
             {{ days = [\"saturday\"], from = \"22:00\", to = \"02:00\" }},\n\
             {{ days = [\"sunday\"], from = \"01:30\", to = \"03:30\" }} ]\n"
        ));
        let first: u32 = first.parse().expect("an hour");
        for (hour, slot) in (first..).zip(slots.split(' ')) {
            let own = calendar.slot(hour, true).to_string();
            assert_eq!(own, slot, "{zone} {}", Minute(hour * 60));
        }
        for (half, bit) in (2 * first..).zip(maintained.chars()) {
            let minute = Minute(half * 30);
            assert_eq!(
                calendar.is_maintained(minute),
                bit == '1',
                "{zone} {minute}"
            );
        }
        rows += 1;
    }
    assert!(rows > 50, "{rows} rows");
}

/// What a series of one count an hour, by its local time, is judged as.
struct Ran {
    starts: Vec<(Minute, Minute)>,
    ends: Vec<Minute>,
    scores: Vec<ScoreRow>,
    withheld: u64,
    snapshot: Vec<u8>,
}

fn run(detect: &DetectSettings, days: u32, count: impl Fn(u32) -> u64) -> Ran {
    let mut engine = Engine::new(detect.clone());
    let mut out = Output::with_scores();
    for hour in 0..days * 24 {
        let minute = FIRST + hour * 60;
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
        if count(minute) > 0 {
            builder.add_entry(key, Minute(minute), count(minute), &[]);
            engine.observe(&builder.finish(0, (0, 0)));
        }
        engine.advance(Minute(minute + 60), &mut out);
    }
    // In its first week an engine knows no day by its weekday.
    let is_told =
        |one: &&InsightEvent| one.edge == Edge::Start && one.decided_at.0 >= FIRST + 7 * DAY;
    let starts = out.insights.iter().filter(is_told);
    let ends = out
        .insights
        .iter()
        .filter(|one| one.edge == Edge::End && one.start_decided_at.0 >= FIRST + 7 * DAY);
    Ran {
        ends: ends.map(|one| one.minute).collect(),
        starts: starts.map(|one| (one.minute, one.decided_at)).collect(),
        scores: out.scores.unwrap_or_default(),
        withheld: engine.stats().counts.starts_in_maintenance,
        snapshot: engine.snapshot(),
    }
}

/// Berlin's summer time begins on 2024-03-31, in the fourth week: one hour of difference to UTC
/// before, two from then on.
fn local_minute(minute: u32) -> u32 {
    const SUMMER: u32 = FIRST + 27 * DAY + 60;
    minute + if minute < SUMMER { 60 } else { 120 }
}

/// Office hours of Berlin: 6000 calls an hour from nine to five on weekdays, else 600.
fn office(minute: u32) -> u64 {
    let local = local_minute(minute);
    let weekday = (local - FIRST) / DAY % 7;
    let hour = local / 60 % 24;
    match weekday < 5 && (9..17).contains(&hour) {
        true => 6000,
        false => 600,
    }
}

/// Expected calls of an hour, by hour.
fn expected(ran: &Ran) -> BTreeMap<u32, f64> {
    ran.scores
        .iter()
        .map(|row| (row.minute.0, row.expected))
        .collect()
}

const BERLIN: &str = "[[calendars]]\nzone = \"Europe/Berlin\"\n";

#[test]
fn a_series_that_lives_by_local_time_is_not_surprised_by_summer_time() {
    let utc = run(&settings("").detect, 42, office);
    let local = run(&settings(BERLIN).detect, 42, office);
    // Monday after the change: eight in the morning by UTC is ten in Berlin; seven is nine.
    let monday = FIRST + 28 * DAY;
    let changed = |ran: &Ran| {
        let starts = ran.starts.iter();
        starts.filter(|start| start.1.0 >= FIRST + 27 * DAY).count()
    };
    assert_eq!(changed(&local), 0, "{:?}", local.starts);
    let (by_utc, by_local) = (expected(&utc), expected(&local));
    let opening = monday + 7 * 60;
    assert_eq!(office(opening), 6000);
    // The Friday before is as any opening is expected by the same engine.
    let usual = by_utc[&(monday - 3 * DAY + 8 * 60)];
    assert_eq!(office(monday - 3 * DAY + 8 * 60), 6000);
    let (of_local, of_utc) = (by_local[&opening], by_utc[&opening]);
    assert!(of_local > 0.9 * usual, "{of_local} of {usual}");
    assert!(of_utc < 0.6 * usual, "{of_utc} of {usual}");
    // A week later every local hour is expected as in winter.
    for hour in 0..24 {
        let summer = by_local[&(monday + 7 * DAY + hour * 60)];
        let winter = by_local[&(monday - 7 * DAY + (hour + 1) * 60)];
        assert!(
            (summer / winter - 1.0).abs() < 0.05,
            "{hour}: {summer}, {winter}"
        );
    }
}

#[test]
fn summer_time_in_the_first_days_of_a_life_does_no_harm() {
    let engine = settings(BERLIN).detect;
    let born = FIRST + 25 * DAY;
    let late = |minute: u32| if minute < born { 0 } else { office(minute) };
    let ran = run(&engine, 42, late);
    let after = ran.starts.iter().filter(|start| start.1.0 > born + 8 * DAY);
    assert_eq!(after.count(), 0, "{:?}", ran.starts);
    let restored = Engine::restore(engine, &ran.snapshot);
    assert!(restored.is_ok(), "{restored:?}");
}

#[test]
fn a_holiday_is_like_the_day_that_it_is_said_to_be_like() {
    let holiday = FIRST + 30 * DAY - 120..FIRST + 31 * DAY - 120;
    let count = |minute: u32| {
        if holiday.contains(&minute) {
            600
        } else {
            office(minute)
        }
    };
    let with = |holidays: &str| run(&settings(&format!("{BERLIN}{holidays}")).detect, 42, count);
    let (without, with) = (with(""), with("holidays = [\"2024-04-03\"]\n"));
    let on_day = holiday.start + 12 * 60;
    let (of_without, of_with) = (expected(&without)[&on_day], expected(&with)[&on_day]);
    let sunday = expected(&with)[&(on_day - 3 * DAY)];
    assert!(
        (of_with / sunday - 1.0).abs() < 0.25,
        "{of_with}, on Sunday {sunday}"
    );
    assert!(
        of_with < 0.5 * of_without,
        "{of_with}, undeclared {of_without}"
    );
    let starts = with.starts.iter();
    let on_holiday = starts.filter(|start| holiday.contains(&start.1.0));
    assert_eq!(on_holiday.count(), 0, "{:?}", with.starts);
    // The Wednesday after is expected as the one before, not as the day off.
    let noon = holiday.start + 7 * DAY + 12 * 60;
    assert_eq!(office(noon), 6000);
    let (without, with) = (expected(&without), expected(&with));
    assert!(
        with[&noon] > 1.1 * without[&noon],
        "{} {}",
        with[&noon],
        without[&noon]
    );
    let before = with[&(noon - 14 * DAY)];
    assert!(
        (with[&noon] / before - 1.0).abs() < 0.05,
        "{}, {before}",
        with[&noon]
    );
}

const WINDOW: &str = "[[calendars]]\nmaintenance = [ { days = [\"tuesday\"], from = \"02:00\", \
                      to = \"08:00\" } ]\n";

/// Ten times the calls in `hours` of the third Tuesday (02:00 to 08:00 UTC is the window).
fn worked_on(hours: std::ops::Range<u32>) -> impl Fn(u32) -> u64 {
    let tuesday = FIRST + 15 * DAY;
    move |minute| {
        let hour = minute.checked_sub(tuesday).map(|since| since / 60);
        match hour.is_some_and(|hour| hours.contains(&hour)) {
            true => 6000,
            false => 600,
        }
    }
}

#[test]
fn nothing_starts_in_a_maintenance_window_and_nothing_of_it_is_learned() {
    let (plain, windowed) = (settings("").detect, settings(WINDOW).detect);
    let outside = run(&plain, 22, worked_on(2..8));
    assert!(!outside.starts.is_empty());
    let inside = run(&windowed, 22, worked_on(2..8));
    assert_eq!((inside.starts.len(), inside.withheld), (0, 1));
    // The same without the work: from the window's end on the same is expected.
    let quiet = run(&windowed, 22, |_| 600);
    let after = FIRST + 15 * DAY + 8 * 60;
    let rows = |ran: &Ran| -> Vec<ScoreRow> {
        let rows = ran.scores.iter().filter(|row| row.minute.0 >= after);
        rows.cloned().collect()
    };
    assert!(rows(&inside).len() > 100);
    let same_phase_too = rows(&inside) == rows(&quiet);
    assert!(same_phase_too, "the window left traces");
    // What goes on beyond the window is said, and dated after it.
    let longer = run(&windowed, 22, worked_on(2..12));
    assert_eq!(longer.starts.len(), 1, "{:?}", longer.starts);
    assert!(longer.starts[0].0.0 >= after, "{:?}", longer.starts);
}

/// A full stop from before the window until after it is one incident, as long as it lasted.
#[test]
fn an_incident_that_is_open_goes_on_through_a_window() {
    let tuesday = FIRST + 15 * DAY;
    let count = |minute: u32| match (tuesday..tuesday + 14 * 60).contains(&minute) {
        true => 0,
        false => 600,
    };
    let ran = run(&settings(WINDOW).detect, 22, count);
    assert_eq!(ran.starts.len(), 1, "{:?}", ran.starts);
    assert_eq!(ran.withheld, 0);
    // Where a drop ends is told to a bucket.
    let end = tuesday + 14 * 60;
    assert_eq!(ran.ends.len(), 1, "{:?}", ran.ends);
    assert!((end..=end + 60).contains(&ran.ends[0].0), "{:?}", ran.ends);
}

#[test]
fn work_is_no_precedent_for_what_follows() {
    let windowed =
        settings("[[calendars]]\nmaintenance = [ { from = \"02:00\", to = \"08:00\" } ]\n");
    // Two nights of work, then the same at noon: an incident, not the third of its kind.
    let count = |minute: u32| {
        let hour = minute / 60 % 24;
        let day = (minute - FIRST) / DAY;
        let is_work = (13..15).contains(&day) && (2..6).contains(&hour);
        let is_incident = day == 16 && (12..16).contains(&hour);
        if is_work || is_incident { 6000 } else { 600 }
    };
    let said = run(&windowed.detect, 22, count);
    assert_eq!(said.starts.len(), 1, "{:?}", said.starts);
    assert_eq!(said.withheld, 2);
}

#[test]
fn a_calendar_of_other_series_changes_nothing() {
    let other = format!("{WINDOW}zone = \"Europe/Berlin\"\nscope = {{ account = \"2\" }}\n");
    let (without, with) = (settings("").detect, settings(&other).detect);
    let (without, with) = (
        run(&without, 22, worked_on(2..8)),
        run(&with, 22, worked_on(2..8)),
    );
    assert_eq!(without.starts, with.starts);
    assert_eq!(without.scores, with.scores);
}

#[test]
fn what_is_no_calendar_is_refused_by_the_name_of_its_key() {
    let check = |text: &str, key: &str, words: &str| {
        let document = WrittenDocument::read("test", &format!("[[calendars]]\n{text}\n"), []);
        let error = match document {
            Err(error) => error,
            Ok(document) => document.check().expect_err(text),
        };
        assert!(error.key.contains(key), "{text}: {error}");
        assert!(error.problem.contains(words), "{text}: {error}");
    };
    check(
        "zone = \"Europe/Berlim\"",
        "calendars[0].zone",
        "is it Europe/Berlin?",
    );
    check("zome = \"UTC\"", "calendars", "zone");
    check("like = \"Sunday\"", "calendars[0].like", "no weekday");
    check(
        "holidays = [\"2024-02-30\"]",
        "calendars[0].holidays",
        "no date",
    );
    check(
        "scope = { region = \"[\" }",
        "calendars[0].scope.region",
        "no pattern",
    );
    for (window, key) in [
        ("from = \"25:00\", to = \"26:00\"", "from"),
        ("from = \"2024-01-02\", to = \"2024-01-01\"", "to"),
        ("from = \"2024-01-02T00:00\", to = \"later\"", "to"),
        ("from = \"22:00\", to = \"2024-01-01T00:00\"", "from"),
        (
            "days = [\"noday\"], from = \"22:00\", to = \"23:00\"",
            "days",
        ),
        (
            "days = [\"monday\"], from = \"2024-01-01\", to = \"2024-01-02\"",
            "days",
        ),
    ] {
        let text = format!("maintenance = [ {{ {window} }} ]");
        check(&text, &format!("calendars[0].maintenance[0].{key}"), "");
    }
    let many = "[[calendars]]\n".repeat(17);
    check(&many, "calendars", "at most 16");
}

#[test]
fn a_time_that_clocks_show_twice_or_never_has_a_place() {
    let window = |from: &str, to: &str| {
        calendar(&format!(
            "{BERLIN}maintenance = [ {{ from = \"{from}\", to = \"{to}\" }} ]\n"
        ))
    };
    let minutes = |calendar: &Calendar| -> BTreeSet<u32> {
        let hours = (19_700 * 24..20_100 * 24).map(|hour| hour * 60);
        hours
            .filter(|minute| calendar.is_maintained(Minute(*minute)))
            .collect()
    };
    // 2024-10-27: 02:00 comes twice, the first time at 00:00 UTC.
    let twice = minutes(&window("2024-10-27T02:00", "2024-10-27T04:00"));
    assert_eq!(twice.len(), 3);
    assert_eq!(
        Minute(*twice.first().expect("three")).to_string(),
        "2024-10-27T00:00:00Z"
    );
    // 2024-03-31: 02:00 to 03:00 never comes.
    let never = minutes(&window("2024-03-31T02:00", "2024-03-31T04:00"));
    let shown: Vec<String> = never
        .iter()
        .map(|minute| Minute(*minute).to_string())
        .collect();
    assert_eq!(shown, ["2024-03-31T01:00:00Z"]);
}
