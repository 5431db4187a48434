//! The configuration document and its overrides from the environment: an error that points, or
//! settings that are the same when written and read again.
#![no_main]

use insightd::config::{DEFAULT_TEXT, Settings, WrittenDocument, WrittenSettings};
use insightd_fuzz::write_seeds;
use libfuzzer_sys::fuzz_target;

/// Stands between the document and the variables.
const BETWEEN: &str = "\n===\n";

fuzz_target!(init: write_seeds(seeds), |data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (text, variables) = text.split_once(BETWEEN).unwrap_or((text, ""));
    let variables = variables.lines().filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        Some((format!("INSIGHTD_{name}"), value.to_string()))
    });
    let document = match WrittenDocument::read("file", text, variables) {
        Ok(document) => document,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let lines = text.split('\n').count();
            assert!(error.line.is_none_or(|line| (1..=lines).contains(&line)), "{error}");
            return;
        }
    };
    let settings = match document.check() {
        Ok(settings) => settings,
        Err(error) => {
            assert!(!error.key.is_empty(), "{error}");
            return;
        }
    };
    let written = toml::to_string(&document.settings).expect("settings can be written");
    let again: WrittenSettings = toml::from_str(&written).expect("what is written can be read");
    assert_eq!(again, document.settings);
    let again = Settings::check(&again).expect("it is as right as before");
    assert_eq!((again.hash, again.canonical), (settings.hash, settings.canonical));
});

fn seeds() -> Vec<Vec<u8>> {
    let bare = DEFAULT_TEXT
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    let bare = bare.collect::<Vec<_>>().join("\n");
    let selectors = "[[selectors.advanced]]\nName = \"n\"\n\
        FieldSelectors = [{ Field = \"eventCategory\", Equals = [\"Data\"] }]\n\
        [[selectors.basic]]\nReadWriteType = \"All\"\n";
    let format = "[formats.own]\nkind = \"line\"\npattern = '(?<t>\\S+) (?<n>.*)'\n\
        time = \"{t}\"\nsource = \"s\"\nname = [\"{n}\", \"x\"]\n";
    let variables = "===\nDETECTOR__BUDGET_PER_WEEK=2\nCOUNTING__BUCKET=5m\n\
        DETECTOR__PROFILE=watch\nLIMITS__SERIES_MAX=9000\n";
    vec![
        bare.clone().into_bytes(),
        format!("{bare}\n{variables}").into_bytes(),
        selectors.as_bytes().to_vec(),
        format!("{format}\n{variables}").into_bytes(),
        b"[detector]\nbudget_per_wek = 3\n".to_vec(),
        b"counting.lateness = \"25h\"\ndetector = { fixed_z = 2.5 }\n".to_vec(),
    ]
}
