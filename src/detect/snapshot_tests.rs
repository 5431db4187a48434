//! Snapshots that nobody took: the checksum is right, the state is not.

use super::super::budget::ScopedBudget;
use super::super::days::Days;
use super::super::fleet_hours::FleetHours;
use super::super::registry::Registry;
use super::super::series_state::SeriesState;
use super::super::settings::Profile;
use super::super::wheel::Wheel;
use super::super::window::Window;
use super::*;
use crate::detect::{Confirmed, Output};
use crate::model::{
    AttributionDelta, Dimension, Edge, EventTime, Feedback, InsightType, Minute, Progress, Rates,
    RatesBuilder, Said, Scope, SeriesRef, SourceCategory, SourceState,
};

/// 2026-01-05T10:00:00Z.
const FIRST: u32 = 29_460_600;

fn settings() -> DetectSettings {
    DetectSettings {
        bucket_minutes: 60,
        profile: Profile::Compat,
        series_max: 4096,
        ..DetectSettings::default()
    }
}

fn key(name: &str) -> SeriesRef<'_> {
    SeriesRef {
        account: "1",
        region: "r",
        event_source: "s",
        event_name: name,
        insight_type: InsightType::ApiCallRate,
        error_code: "",
    }
}

/// One count of each named API in `minute`.
fn rates(minute: u32, names: &[&str], count: u64) -> Rates {
    let mut builder = RatesBuilder::default();
    for name in names {
        let key = builder.add_key(key(name), SourceCategory::Management);
        let value = builder.value(["x", "y"][minute as usize / 60 % 2]);
        let delta = AttributionDelta {
            dimension: Dimension::UserAgent,
            value,
            count,
        };
        builder.add_entry(key, Minute(minute), count, &[delta]);
    }
    builder.finish(0, (0, 1))
}

/// Three days with a surge at the end, an open incident, and entries that wait.
fn engine() -> Engine {
    let mut engine = Engine::new(settings());
    let mut out = Output::default();
    for hour in 0..72 {
        let minute = FIRST + hour * 60;
        engine.observe(&rates(minute, &["a", "b"], 20 + u64::from(hour % 3)));
        if hour == 70 {
            engine.observe(&rates(minute, &["a"], 100_000));
        }
        engine.advance(Minute(minute + 60), &mut out);
    }
    assert_eq!(engine.stats().incidents_open, 1, "{:?}", out.insights);
    engine.observe(&rates(FIRST + 72 * 60, &["a", "c"], 5));
    engine.observe(&rates(FIRST + 60 * 60, &["b", "d"], 5));
    engine
}

/// `engine` with its state changed by hand, as bytes with a checksum that is right.
fn forged(change: impl FnOnce(&mut State)) -> Vec<u8> {
    let mut engine = engine();
    change(&mut engine.state);
    engine.snapshot()
}

fn check(field: &str, change: impl FnOnce(&mut State)) {
    match Engine::restore(settings(), &forged(change)) {
        Err(SnapshotError::Inconsistent(complaint)) => {
            assert!(complaint.starts_with(field), "{complaint}, not {field}");
        }
        other => panic!("{field}: {:?}", other.map(|engine| engine.stats())),
    }
}

/// A snapshot whose parts do not belong together used to be taken on, and panicked, or hung, at
/// the next advance. It is refused by the name of the field that is wrong.
#[test]
fn a_state_that_breaks_an_invariant_is_refused_by_its_field() {
    assert!(Engine::restore(settings(), &engine().snapshot()).is_ok());
    check("t:", |state| state.clock = None);
    check("t:", |state| state.t = 0);
    check("closed:", |state| state.t += 1);
    check("closed:", |state| state.closed = None);
    check("counts.", |state| state.counts.visits = u64::MAX);
    check("registry.shard_max:", |state| {
        state.registry = Registry::new(7)
    });
    check("registry.fingerprints:", |state| {
        let mut text = postcard::to_allocvec(&state.registry).expect("a registry is written");
        let fingerprint = state.registry.fingerprint(0).0;
        let written = postcard::to_allocvec(&fingerprint).expect("a number is written");
        let at = text
            .windows(written.len())
            .position(|window| window == written);
        text[at.expect("it is in there")] ^= 1;
        state.registry = postcard::from_bytes(&text).expect("a registry is read");
    });
    check("wheel.rows:", |state| state.wheel = Wheel::new());
    check("series.states:", |state| state.series = Default::default());
    check("series.states:", |state| state.series.forget(1));
    check("template.now:", |state| {
        state.template = SeriesState::silent()
    });
    check("days.keep:", |state| state.days = Days::new(3));
    check("waiting.", |state| {
        state.waiting.orphan(&[0], &state.registry);
        let text = postcard::to_allocvec(&state.waiting).expect("entries are written");
        // The last byte but one is the length of the list of free numbers.
        let (text, after) = text.split_at(text.len() - 2);
        let text = [text, &[1, 0], &after[1..]].concat();
        state.waiting = postcard::from_bytes(&text).expect("entries are read");
    });
    check("values.references:", |state| state.values.retain(0));
    check("values.references:", |state| state.values.release(0));
    check("window.length:", |state| state.window = Window::new(5));
    check("window.first:", |state| state.window.clear(5));
    check("recent.next:", |state| state.recent.clear(0));
    check("recent.next:", |state| state.recent = Default::default());
    check("incidents.open:", |state| {
        state.incidents = Default::default()
    });
    check("fleet.", |state| {
        let tuning = super::super::settings::Tuning::new(&DetectSettings::default());
        state.fleet = FleetHours::new(&DetectSettings::default(), &tuning);
    });
    check("fleet.shift:", |state| state.fleet.rebase(24));
    check("watermarks.sources:", |state| {
        // Zigzag of the only source's seconds, then no regressions, nothing idle, one position, two
        // counts and nobody retired: -1 is before the epoch.
        let mut text = reported(state);
        let seconds = text.len() - 9;
        text[seconds] = 1;
        state.watermarks = postcard::from_bytes(&text).expect("they are read");
    });
    check("watermarks.retired:", |state| {
        // The only source, in place of nobody.
        let mut text = reported(state);
        assert_eq!(text.pop(), Some(0));
        text.extend([1, 0]);
        state.watermarks = postcard::from_bytes(&text).expect("they are read");
    });
}

/// Settings with the fleet layer, and an engine of them with a surge every 37 hours.
fn fleet_engine() -> (DetectSettings, Engine, Output) {
    let settings = DetectSettings {
        profile: Profile::Default,
        budget_per_week: 1e5,
        ..settings()
    };
    let mut engine = Engine::new(settings.clone());
    let mut out = Output::default();
    for hour in 0..300 {
        let minute = FIRST + hour * 60;
        let surge = if hour % 37 > 34 { 300 } else { 0 };
        let count = 20 + surge + u64::from(hour % 3);
        engine.observe(&rates(minute, &["a", "b"], count));
        engine.advance(Minute(minute + 60), &mut out);
    }
    assert!(out.insights.len() > 4, "{}", out.insights.len());
    (settings, engine, out)
}

/// What is confirmed changes nothing at once; two hours later the fleet remembers otherwise.
#[test]
fn a_confirmation_reaches_the_fleet() {
    let (settings, mut untold, out) = fleet_engine();
    let mut told = Engine::restore(settings, &untold.snapshot()).expect("it was just taken");
    let starts = out.insights.iter().filter(|one| one.edge == Edge::Start);
    let confirmed = starts.map(|start| told.confirm(start.shared_event_id));
    let forgotten = confirmed.filter(|what| *what == Confirmed::Forgotten(1));
    let episodes = forgotten.count();
    assert!(episodes > 1, "{episodes}");
    let fleet = |engine: &Engine| format!("{:?}", engine.state.fleet.thresholds());
    assert_eq!(fleet(&told), fleet(&untold));
    let mut out = Output::default();
    let memory = |engine: &Engine| postcard::to_allocvec(&engine.state.fleet).expect("written");
    for engine in [&mut told, &mut untold] {
        engine.advance(Minute(FIRST + 304 * 60), &mut out);
    }
    assert_ne!(memory(&told), memory(&untold));
}

/// Feedback that insights were true is a confirmation of each: to the fleet the two are the same.
#[test]
fn feedback_that_insights_were_true_confirms_them() {
    let (settings, mut confirmed, out) = fleet_engine();
    let now = FIRST + 300 * 60;
    let of_a = out.insights.iter().filter(|one| {
        one.edge == Edge::End && one.decided_at.0 + 120 < now && *one.series.event_name == *"a"
    });
    let feedback: Vec<Feedback> = of_a
        .enumerate()
        .map(|(number, one)| Feedback {
            id: number as u128,
            insight: one.shared_event_id.as_u128(),
            from: Minute(now),
            said: Said::True,
        })
        .collect();
    assert!(feedback.len() > 1, "{}", feedback.len());
    let snapshot = confirmed.snapshot();
    let mut untold = Engine::restore(settings.clone(), &snapshot).expect("it was just taken");
    let with_feedback = DetectSettings {
        feedback: feedback.clone().into(),
        ..settings
    };
    let mut told = Engine::restore(with_feedback, &snapshot).expect("it was just taken");
    let mut out = Output::default();
    confirmed.advance(Minute(now + 60), &mut out);
    for one in &feedback {
        let id = uuid::Uuid::from_u128(one.insight);
        assert!(matches!(
            confirmed.confirm(id),
            Confirmed::Forgotten(_) | Confirmed::Nothing
        ));
    }
    for engine in [&mut told, &mut untold, &mut confirmed] {
        engine.advance(Minute(now + 4 * 60), &mut out);
    }
    let memory = |engine: &Engine| postcard::to_allocvec(&engine.state.fleet).expect("written");
    assert_eq!(memory(&told), memory(&confirmed));
    assert_ne!(memory(&told), memory(&untold));
    assert_eq!(told.stats().feedback_heeded, feedback.len() as u64);
}

/// Of a fleet layer that has learned, as of all other state, any byte may be anything.
#[test]
fn a_fleet_with_any_byte_changed_is_refused_or_works() {
    let (settings, engine, said) = fleet_engine();
    let fleet = postcard::to_allocvec(&engine.state.fleet).expect("it is written");
    let ledger = postcard::to_allocvec(&engine.state.ledger).expect("it is written");
    assert!(ledger.len() > 50, "insights are remembered");
    let changed = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= [1, 0x40, 0x80, 0xff][at % 4];
        bytes
    };
    let mut states = Vec::new();
    for at in 0..fleet.len() {
        if let Ok(fleet) = postcard::from_bytes(&changed(&fleet, at)) {
            states.push(State {
                fleet,
                ..engine.state.clone()
            });
        }
    }
    for at in 0..ledger.len() {
        if let Ok(ledger) = postcard::from_bytes(&changed(&ledger, at)) {
            states.push(State {
                ledger,
                ..engine.state.clone()
            });
        }
    }
    let mut refused = 0;
    for state in states {
        let bytes = Engine::with_state(settings.clone(), state).snapshot();
        let Ok(mut engine) = Engine::restore(settings.clone(), &bytes) else {
            refused += 1;
            continue;
        };
        let mut out = Output::default();
        let end = FIRST + 300 * 60;
        for event in &said.insights {
            engine.confirm(event.shared_event_id);
        }
        engine.observe(&rates(end, &["a", "b", "e"], 9000));
        engine.advance(Minute(end + 36 * 60), &mut out);
    }
    assert!(refused > 100, "many changes are noticed: {refused}");
}

/// Watermarks as they are written once a source has reported.
fn reported(state: &mut State) -> Vec<u8> {
    state.watermarks.report(&Progress {
        source: 0,
        position: 0,
        watermark: EventTime::default(),
        state: SourceState::Active,
    });
    postcard::to_allocvec(&state.watermarks).expect("they are written")
}

/// Over `waiting_max` the counts of a series and minute are added up, and then one row may be more
/// than one entry may count. The engine's own snapshot was refused for it.
#[test]
fn a_snapshot_with_counts_that_were_added_up_is_taken() {
    let settings = DetectSettings {
        waiting_max: 1,
        ..settings()
    };
    let mut engine = Engine::new(settings.clone());
    for _ in 0..3 {
        engine.observe(&rates(FIRST, &["a"], 1 << 40));
    }
    let restored = Engine::restore(settings, &engine.snapshot());
    let restored = restored.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(restored.snapshot(), engine.snapshot());
}

/// Any byte of a state may be anything. The outcome is an error, or an engine that goes on.
#[test]
fn a_state_with_any_byte_changed_is_refused_or_works() {
    let bytes = engine().snapshot();
    let from = HEAD_BYTES + settings_text(&settings()).len();
    let mut refused = 0;
    for at in from..bytes.len() - 4 {
        let mut body = bytes[..bytes.len() - 4].to_vec();
        body[at] ^= [1, 0x40, 0x80, 0xff][at % 4];
        let checksum = crc32c::crc32c(&body);
        body.extend_from_slice(&checksum.to_le_bytes());
        let Ok(mut engine) = Engine::restore(settings(), &body) else {
            refused += 1;
            continue;
        };
        let mut out = Output::with_scores();
        engine.observe(&rates(FIRST + 73 * 60, &["a", "b", "e"], 9));
        engine.advance(Minute(FIRST + 75 * 60), &mut out);
        engine.advance(Minute(FIRST + 24 * 1440), &mut out);
    }
    assert!(refused > 100, "many changes are noticed: {refused}");
}

/// For two hours after the number of scopes had changed, reports and thresholds of before waited,
/// and a snapshot was refused when it was read.
#[test]
fn a_snapshot_is_read_right_after_scopes_came_or_went() {
    let scope = |account: &str| ScopedBudget {
        scope: Scope::parse([Some(account), None, None, None, None, None], None).unwrap(),
        per_week: 1.0,
    };
    let with = |accounts: &[&str]| DetectSettings {
        profile: Profile::Default,
        budgets: accounts.iter().map(|account| scope(account)).collect(),
        ..settings()
    };
    for (before, after) in [
        (with(&[]), with(&["1", "2"])),
        (with(&["1", "2"]), with(&["3"])),
    ] {
        let mut engine = Engine::new(before);
        let mut out = Output::default();
        for hour in 0..72 {
            let minute = FIRST + hour * 60;
            engine.observe(&rates(minute, &["a", "b"], 20 + u64::from(hour % 3)));
            engine.advance(Minute(minute + 60), &mut out);
        }
        engine.reconfigure(after.clone()).unwrap();
        let mut restored = Engine::restore(after.clone(), &engine.snapshot()).unwrap();
        for one in [&mut engine, &mut restored] {
            one.advance(Minute(FIRST + 80 * 60), &mut out);
        }
        assert_eq!(restored.digest(), engine.digest());
        assert!(Engine::restore(after, &engine.snapshot()).is_ok());
    }
}
