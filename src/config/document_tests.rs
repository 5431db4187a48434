//! Settings as text in, settings or a pointing error out.

use super::*;
use crate::config::DEFAULT_TEXT;
use crate::detect::settings::Tuning;

fn read(text: &str, environment: &[(&str, &str)]) -> Result<WrittenDocument, ConfigError> {
    let environment = environment
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()));
    WrittenDocument::read("insightd.toml", text, environment)
}

/// Reading and checking `text` fails with exactly this message.
fn check_error(text: &str, environment: &[(&str, &str)], message: &str) {
    let error = match read(text, environment) {
        Err(error) => error,
        Ok(document) => document.check().expect_err("wrong settings"),
    };
    assert_eq!(error.to_string(), message);
}

#[test]
fn the_default_file_equals_the_code() {
    let document = read(DEFAULT_TEXT, &[]).unwrap();
    assert_eq!(document.settings, WrittenSettings::default());
    let from_nothing = read("", &[]).unwrap().check().unwrap();
    assert_eq!(document.check().unwrap().hash, from_nothing.hash);
}

/// Keys without a default stand in the file as comments, so that every key is shown.
#[test]
fn the_default_file_shows_every_key() {
    let schema = schema_for!(WrittenSettings).to_value();
    let sections = schema["properties"].as_object().unwrap();
    for (section, inner) in sections {
        let inner = resolve(&schema, inner);
        let Some(keys) = inner["properties"].as_object() else {
            let as_table = DEFAULT_TEXT.contains(&format!("[{section}]"));
            let as_value = DEFAULT_TEXT.contains(&format!("\n{section} ="));
            assert!(as_table || as_value, "{section}");
            continue;
        };
        assert!(DEFAULT_TEXT.contains(&format!("[{section}")), "[{section}]");
        for key in keys.keys() {
            let shown = DEFAULT_TEXT.lines().any(|line| {
                let line = line.trim_start_matches("# ");
                line.starts_with(&format!("{key} ="))
                    || line == format!("[[{section}.{key}]]")
                    || line == format!("[{section}.{key}]")
            });
            assert!(shown, "{section}.{key} is not in config/insightd.toml");
        }
    }
}

#[test]
fn a_wrong_key_names_its_line_and_the_nearest_key() {
    check_error(
        "[counting]\nlatness = \"10m\"\n",
        &[],
        "insightd.toml:2: counting.latness: no such key; did you mean `counting.lateness`?",
    );
    check_error(
        "[countig]\n",
        &[],
        "insightd.toml:1: countig: no such key; did you mean `counting`?",
    );
    check_error(
        "[output]\nformat = 1\n",
        &[],
        "insightd.toml:2: output.format: no such key; in [output] there are: extension",
    );
    check_error(
        "\nrole = \"everything\"\n",
        &[],
        "insightd.toml:2: role: unknown variant `everything`, expected one of `all`, `ingest`, \
         `detect`",
    );
}

#[test]
fn a_wrong_value_names_its_line_and_what_would_be_right() {
    check_error(
        "[counting]\nread_calls = true\nlateness = \"10 minutes\"\n",
        &[],
        "insightd.toml:3: counting.lateness: `10 minutes` is not a span of time; \
         write for example 45s, 10m or 24h",
    );
    check_error(
        "[counting]\nbucket = \"2m\"\n",
        &[],
        "insightd.toml:2: counting.bucket: 2m is not one of 1m, 5m, 15m and 1h",
    );
    check_error(
        "[counting]\nlateness = \"2h\"\njump_max = \"1h\"\n",
        &[],
        "insightd.toml:3: counting.jump_max: 1h must be more than counting.lateness (2h)",
    );
    check_error(
        "[detector]\nprofile = \"eager\"\n",
        &[],
        "insightd.toml:2: detector.profile: unknown variant `eager`, \
         expected one of `default`, `compat`, `watch`",
    );
    check_error(
        "[kafka.properties]\n\"isolation.level\" = \"read_uncommitted\"\n",
        &[],
        "insightd.toml:2: kafka.properties.isolation.level: it is not yours to set: \
         uncommitted records must not be read; remove it",
    );
    check_error(
        "[kafka.security]\nprotocol = \"sasl_ssl\"\nusername = \"u\"\n",
        &[],
        "insightd.toml:1: kafka.security.password_file: SASL needs a password: a file here, or \
         the environment variable INSIGHTD_KAFKA__SECURITY__PASSWORD",
    );
    check_error(
        "[kafka]\nrates_partitions = 48\n",
        &[],
        "insightd.toml:2: kafka.rates_partitions: 48 does not divide 1024, the number of shards; \
         use 1, 2, 4 ... 1024",
    );
    check_error(
        "[rates_log]\nkind = \"segments\"\n",
        &[],
        "insightd.toml:2: rates_log.kind: kind \"segments\" needs rates_log.path, a directory",
    );
    check_error(
        "[detector]\nbudget_per_week = 0\n",
        &[],
        "insightd.toml:2: detector.budget_per_week: \
         0 is not between 0.001 and 1000000 false insights a week",
    );
    check_error(
        "[detector\n",
        &[],
        "insightd.toml:1: not valid TOML: unclosed table, expected `]`",
    );
}

#[test]
fn the_environment_overrides_the_file() {
    let environment = [
        ("INSIGHTD_COUNTING__LATENESS", "5m"),
        ("INSIGHTD_DETECTOR__BUDGET_PER_WEEK", "2.5"),
        ("INSIGHTD_DATA", "not ours"),
        ("INSIGHTD_RATES_LOG__KIND", "segments"),
        ("INSIGHTD_RATES_LOG__PATH", "2024"),
    ];
    let document = read("[counting]\nlateness = \"1m\"\n", &environment).unwrap();
    let settings = &document.settings;
    assert_eq!(settings.counting.lateness.0, 300);
    assert_eq!(settings.detector.budget_per_week, 2.5);
    assert_eq!(settings.rates_log.path.as_deref(), Some("2024"));
    assert_eq!(
        document.origin_of("counting.lateness"),
        "INSIGHTD_COUNTING__LATENESS"
    );
    assert_eq!(document.origin_of("counting.bucket"), "default");
    check_error(
        "",
        &[("INSIGHTD_COUNTING__LATENES", "5m")],
        "INSIGHTD_COUNTING__LATENES: counting.latenes: no such key; \
         did you mean `counting.lateness`?",
    );
    check_error(
        "",
        &[("INSIGHTD_COUNTING__BUCKET", "2m")],
        "INSIGHTD_COUNTING__BUCKET: counting.bucket: 2m is not one of 1m, 5m, 15m and 1h",
    );
}

/// What is written wins over what the profile chooses; fixed_z over the profile's threshold, and
/// that over the budget.
#[test]
fn written_keys_win_over_the_profile() {
    let cases = [
        ("", "", 1, None),
        ("profile = \"default\"", "bucket = \"1h\"", 60, None),
        ("profile = \"compat\"", "", 1, Some(2.0)),
        ("profile = \"compat\"", "bucket = \"15m\"", 15, Some(2.0)),
        ("profile = \"watch\"", "", 5, Some(1.5)),
        ("profile = \"watch\"", "bucket = \"1m\"", 1, Some(1.5)),
        ("profile = \"watch\"\nfixed_z = 3.5", "", 5, Some(3.5)),
        (
            "profile = \"watch\"\nbudget_per_week = 9.0",
            "",
            5,
            Some(1.5),
        ),
        ("fixed_z = 3.5\nbudget_per_week = 9.0", "", 1, Some(3.5)),
    ];
    for (detector, counting, bucket, z) in cases {
        let text = format!("[detector]\n{detector}\n[counting]\n{counting}\n");
        let settings = read(&text, &[]).unwrap().check().unwrap();
        assert_eq!(settings.detect.bucket_minutes, bucket, "{text}");
        assert_eq!(settings.ingest.bucket_minutes, bucket, "{text}");
        assert_eq!(settings.rows.bucket_minutes, bucket, "{text}");
        assert_eq!(Tuning::new(&settings.detect).fixed_z, z, "{text}");
    }
}

/// A width that is the profile's own gives the same hash written or not.
#[test]
fn the_hash_is_of_the_bucket_in_force() {
    let hash = |text: &str| read(text, &[]).unwrap().check().unwrap().hash;
    let watch = "[detector]\nprofile = \"watch\"\n";
    assert_eq!(hash(""), hash("[counting]\nbucket = \"1m\"\n"));
    assert_eq!(
        hash(watch),
        hash(&format!("{watch}[counting]\nbucket = \"5m\"\n"))
    );
    assert_ne!(
        hash(watch),
        hash(&format!("{watch}[counting]\nbucket = \"1m\"\n"))
    );
}

#[test]
fn the_hash_covers_decisions_and_text_only() {
    let hash = |text: &str| read(text, &[]).unwrap().check().unwrap().hash;
    let default = hash("");
    for same in [
        "[counting]\nlateness = \"600s\"\n",
        "[input]\nchunk_bytes = 7\n",
        "[rates_log]\nkind = \"segments\"\npath = \"x\"\n",
        "[limits]\nreject_bytes_max = 1\nrejects_kept_max = 1\n",
        // Counts that leave ingest early add up to the same.
        "[limits]\nopen_minutes_max = 2\npending_series_max = 1\n",
        "[limits]\npending_values_max = 1\npending_rows_max = 1\n",
    ] {
        assert_eq!(hash(same), default, "{same}");
    }
    for other in [
        "[counting]\nlateness = \"601s\"\n",
        "[output]\nextension = false\n",
        "[limits]\nvalue_bytes_max = 100\n",
        "[detector]\nfixed_z = 12.0\n",
    ] {
        assert_ne!(hash(other), default, "{other}");
    }
}

/// A file that a service would pass over looks as if it were heeded.
#[test]
fn the_service_keeps_what_people_know_in_kafka_alone() {
    let text = "[kafka]\ninput_topics = [\"audit\"]\n[knowledge]\npath = \"x\"\n";
    let settings = read(text, &[]).unwrap().check().unwrap();
    let (key, problem) = settings.check_to_run().unwrap_err();
    assert_eq!(key, "knowledge.path");
    assert!(problem.contains("`insightd mute`"), "{problem}");
}

/// The service took a rates log in memory or in files without a word, and kept it in Kafka.
#[test]
fn the_service_keeps_the_rates_log_in_kafka_alone() {
    let check = |rates_log: &str| {
        let text = format!("[kafka]\ninput_topics = [\"audit\"]\n{rates_log}");
        let settings = read(&text, &[]).unwrap().check().unwrap();
        settings.check_to_run().map_err(|(key, _)| key)
    };
    assert_eq!(check(""), Ok(()));
    assert_eq!(check("[rates_log]\nkind = \"kafka\"\n"), Ok(()));
    let refused = Err("rates_log.kind".to_string());
    assert_eq!(check("[rates_log]\nkind = \"memory\"\n"), refused);
    let segments = "[rates_log]\nkind = \"segments\"\npath = \"x\"\n";
    assert_eq!(check(segments), refused);
}

#[test]
fn budgets_of_scopes_are_read_and_change_the_hash() {
    let text = "[detector]\nbudget_per_week = 3.0\n\
                [[detector.budgets]]\nscope = { account = \"1*\", error_code = \"\" }\n\
                direction = \"down\"\nper_week = 0.5\n\
                [[detector.budgets]]\nscope.event_source = \"iam.amazonaws.com\"\nper_week = 1\n";
    let settings = read(text, &[]).unwrap().check().unwrap();
    let budgets = &settings.detect;
    assert_eq!(budgets.budgets(), [3.0, 0.5, 1.0]);
    let names = [
        "account=1*,error_code=,direction=down",
        "event_source=iam.amazonaws.com",
    ];
    assert_eq!(budgets.scope_names(), names);
    let other = text.replace("\"1*\"", "\"2*\"");
    let other = read(&other, &[]).unwrap().check().unwrap();
    assert_ne!(other.hash, settings.hash);
    // The text that stands in the rates log says the same.
    let again = Settings::from_canonical(&settings.canonical).unwrap();
    assert_eq!(again.detect, settings.detect);
}

#[test]
fn budgets_that_cannot_be_meant_are_refused() {
    let check = |text: &str, error: &str| check_error(text, &[], error);
    let budget = |lines: &str| format!("[[detector.budgets]]\n{lines}\n");
    check(
        &budget("scope = { acount = \"1\" }\nper_week = 1"),
        "insightd.toml:2: detector.budgets[0].scope.acount: no such key; \
         did you mean `detector.budgets[0].scope.account`?",
    );
    check(
        &budget("scope = { account = \"1\" }\nper_week = 0.0001"),
        "insightd.toml:3: detector.budgets[0].per_week: \
         0.0001 is not between 0.001 and 1000000 false insights a week",
    );
    check(
        &budget("per_week = 1"),
        "insightd.toml:1: detector.budgets[0]: it names nothing and so takes everything; \
         detector.budget_per_week is for that",
    );
    check(
        &budget("scope = { insight_type = \"ApiCalls\" }\nper_week = 1"),
        "insightd.toml:2: detector.budgets[0].scope.insight_type: \
         `ApiCalls` is neither ApiCallRateInsight nor ApiErrorRateInsight",
    );
    check(
        &budget("scope = { event_name = \"[a\" }\nper_week = 1"),
        "insightd.toml:2: detector.budgets[0].scope.event_name: \
         `[a` is no pattern: Pattern syntax error near position 0: invalid range pattern",
    );
    let twice = budget("direction = \"up\"\nper_week = 1").repeat(2);
    check(
        &twice,
        "insightd.toml:1: detector.budgets[1]: detector.budgets[0] has all that this one names",
    );
    let many: String = (0..17)
        .map(|i| budget(&format!("scope.account = \"{i}\"\nper_week = 1")))
        .collect();
    check(
        &many,
        "insightd.toml:1: detector.budgets: there are 17, at most 16 are kept",
    );
}

#[test]
fn roll_ups_are_read_in_any_order_and_change_what_is_counted() {
    let check = |text: &str| read(text, &[]).unwrap().check().unwrap();
    let both = check("[counting]\nrollups = [\"service\", \"account\"]\n");
    let other_order = check("[counting]\nrollups = [\"account\", \"service\"]\n");
    assert_eq!(both.hash, other_order.hash);
    let service = check("[counting]\nrollups = [\"service\"]\n");
    let made = |settings: &Settings| {
        let of_rows = settings.rows.roll_ups;
        assert_eq!(of_rows, settings.ingest.roll_ups);
        (of_rows.service, of_rows.account)
    };
    let none = check("");
    assert_eq!(made(&both), (true, true));
    assert_eq!(made(&service), (true, false));
    assert_eq!(made(&none), (false, false));
    let mut keys = [&none, &service, &both]
        .map(Settings::counting_keys)
        .to_vec();
    keys.dedup();
    assert_eq!(keys.len(), 3, "what is counted differs");
    // Without roll-ups the text and the hash are as if there were no such key.
    assert!(!none.canonical.contains("rollups"));
    assert_eq!(check("[counting]\nrollups = []\n").hash, none.hash);
    let again = Settings::from_canonical(&both.canonical).unwrap();
    assert_eq!(made(&again), (true, true));
}

#[test]
fn roll_ups_that_cannot_be_meant_are_refused() {
    check_error(
        "[counting]\nrollups = [\"service\", \"service\"]\n",
        &[],
        "insightd.toml:2: counting.rollups: it names the same twice; leave one out",
    );
    check_error(
        "[counting]\nrollups = [\"region\"]\n",
        &[],
        "insightd.toml:1: counting.rollups[0]: unknown variant `region`, expected `service` or \
         `account`",
    );
}
