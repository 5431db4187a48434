//! A snapshot with any payload and a checksum that is right: an error, or an engine that works.
#![no_main]

use insightd::config::{Settings, WrittenSettings};
use insightd::detect::{Engine, Output, SnapshotError};
use insightd::formats::{InsightRecord, RecordContext, write_insight};
use insightd::model::Minute;
use insightd::service::{StateFile, StateHeader};
use insightd_fuzz::engines::{FIRST, engines, rates, settings};
use insightd_fuzz::{Input, with_checksum, write_seeds};
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(init: write_seeds(seeds), |data: &[u8]| -> Corpus {
    let mut input = Input::new(data);
    let choice = input.byte();
    let script = [input.byte(), input.byte(), input.byte()];
    if choice & 0x80 != 0 {
        check_state_file(input.rest);
        return Corpus::Keep;
    }
    let settings = settings(choice);
    let bytes = with_checksum(&[&head(choice), input.rest].concat());
    match Engine::restore(settings, &bytes) {
        Ok(engine) => go_on(choice, engine, &script),
        Err(SnapshotError::Malformed(_) | SnapshotError::Inconsistent(_)) => {}
        Err(other) => panic!("head and checksum are right: {other}"),
    }
    Corpus::Keep
});

/// What stands before the state.
fn head(choice: u8) -> Vec<u8> {
    let bytes = Engine::new(settings(choice)).snapshot();
    let text = u32::from_le_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]);
    bytes[..20 + text as usize].to_vec()
}

/// Observes, advances, and comes back from a snapshot of its own.
fn go_on(choice: u8, mut engine: Engine, script: &[u8]) {
    let width = settings(choice).bucket_minutes;
    let mut out = Output::with_scores();
    for step in script {
        let closed = engine.stats().closed.map_or(FIRST, |minute| minute.0);
        // Years from here on no event has a time.
        if closed > 4_200_000_000 {
            break;
        }
        let base = closed / width * width;
        let later = |buckets: u32| Minute(base + buckets * width);
        match step % 8 {
            0 => engine.advance(later(1), &mut out),
            1 => engine.observe(&rates(base, 0, 6, 5)),
            2 => {
                engine.observe(&rates(base.saturating_sub(30 * width), 0, 3, 2));
                engine.observe(&rates(base, 1, 4, 1 << 20));
                engine.advance(later(2), &mut out);
            }
            3 => engine.advance(later(61), &mut out),
            4 => engine.advance(Minute(base + 2 * 1440), &mut out),
            5 => engine.advance(Minute(base + 12 * 1440), &mut out),
            6 => {
                for bucket in 0..8 {
                    engine.observe(&rates(later(bucket).0, 0, 3, u64::from(step / 8)));
                    engine.advance(later(bucket + 1), &mut out);
                }
            }
            _ => engine.advance(Minute(base + 110 * 7 * 1440), &mut out),
        }
        engine = restored(choice, &engine);
    }
    print(&out);
}

/// The same engine, from its snapshot.
fn restored(choice: u8, engine: &Engine) -> Engine {
    let bytes = engine.snapshot();
    match Engine::restore(settings(choice), &bytes) {
        Ok(again) => {
            assert_eq!(
                again.snapshot(),
                bytes,
                "a snapshot is the whole of an engine"
            );
            again
        }
        Err(error) => panic!("its own snapshot is refused: {error}"),
    }
}

/// Every insight is a record that can be read.
fn print(out: &Output) {
    let context = RecordContext {
        engine_version: "1".to_string(),
        settings_hash: "h".to_string(),
        include_extension: true,
    };
    for insight in &out.insights {
        let mut line = Vec::new();
        write_insight(insight, &context, &mut line);
        let record = serde_json::from_slice::<InsightRecord>(&line);
        assert!(
            record.is_ok(),
            "{record:?}: {}",
            String::from_utf8_lossy(&line)
        );
    }
}

/// A state file with a header and a snapshot that the input wrote.
fn check_state_file(rest: &[u8]) {
    let at = rest
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(rest.len());
    let (header, snapshot) = (&rest[..at], &rest[at..]);
    let length = (header.len() as u32).to_le_bytes();
    let bytes = [b"insightd state 1\n", &length[..], header, snapshot].concat();
    let Ok(mut file) = StateFile::parse(&with_checksum(&bytes)) else {
        return;
    };
    let again = StateFile::parse(&file.to_bytes()).expect("what was read is written");
    assert_eq!(again, file);
    let Ok(settings) = file.settings() else {
        return;
    };
    file.header.settings_hash = settings.hash.clone();
    let _ = file.restore("state".as_ref(), &settings);
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (index, (choice, engine)) in engines().into_iter().enumerate() {
        let index = index as u8;
        let snapshot = engine.snapshot();
        let body = &snapshot[head(choice).len()..snapshot.len() - 4];
        seeds.push([&[choice, index, index / 2 + 3, 30], body].concat());
    }
    let header = StateHeader {
        engine_version: "1".to_string(),
        settings_hash: String::new(),
        settings: WrittenSettings::default(),
        time: None,
    };
    let header = serde_json::to_vec(&header).expect("plain values become JSON");
    let checked = Settings::check(&WrittenSettings::default()).expect("the defaults are right");
    let snapshot = Engine::new(checked.detect).snapshot();
    seeds.push([&[0x80, 0, 0, 0], header.as_slice(), snapshot.as_slice()].concat());
    seeds
}
