//! `insightd config`, and what a wrong configuration does to every other command.

use super::run::Place;

#[test]
fn a_wrong_key_is_named_with_its_line_and_exit_code_4() {
    let place = Place::with(&[
        ("wrong.toml", b"[counting]\nlatness = \"10m\"\n"),
        ("right.toml", b"[counting]\nlateness = \"5m\"\n"),
    ]);
    let message = "wrong.toml:2: counting.latness: no such key; \
                   did you mean `counting.lateness`?";
    for arguments in [
        &["config", "check", "-c", "wrong.toml"][..],
        &["config", "show", "-c", "wrong.toml"],
        &["replay", "-c", "wrong.toml", "x"],
        &[
            "explain",
            "-c",
            "wrong.toml",
            "--id",
            "00000000-0000-4000-8000-000000000000",
            "x",
        ],
    ] {
        place.run(arguments).check(4, &[message]);
    }
    place
        .run(&["config", "check", "-c", "none.toml"])
        .check(4, &["none.toml: cannot be read"]);
    place
        .run(&["config", "check", "-c", "right.toml"])
        .check(0, &["ok; settings hash "]);
    let environment = [("INSIGHTD_COUNTING__BUCKET", "7m")];
    let run = place.run_with(&["config", "check"], &environment);
    run.check(
        4,
        &["INSIGHTD_COUNTING__BUCKET: counting.bucket: 7m is not one of"],
    );
}

#[test]
fn the_settings_in_force_are_shown_with_their_origin() {
    let place = Place::with(&[("c.toml", b"[counting]\nlateness = \"5m\"\n")]);
    let arguments = ["config", "show", "-c", "c.toml", "--origin"];
    let run = place.run_with(&arguments, &[("INSIGHTD_INPUT__CHUNK_BYTES", "7")]);
    run.check(0, &[]);
    for line in [
        "lateness = \"5m\"  # c.toml:2",
        "chunk_bytes = 7  # INSIGHTD_INPUT__CHUNK_BYTES",
        "bucket = \"1m\"  # default",
    ] {
        assert!(run.out.contains(line), "{line}\n{}", run.out);
    }
    let watch = [("INSIGHTD_DETECTOR__PROFILE", "watch")];
    let run = place.run_with(&["config", "show"], &watch);
    assert!(run.out.contains("bucket = \"5m\""), "{}", run.out);
    let shown = place.run(&["config", "show"]).out;
    place.write("shown.toml", shown.as_bytes());
    let again = place.run(&["config", "show", "-c", "shown.toml"]);
    assert_eq!(again.check(0, &[]).out, shown);
    let default = place.run(&["config", "show", "--default"]).out;
    place.write("default.toml", default.as_bytes());
    let again = place.run(&["config", "show", "-c", "default.toml"]);
    assert_eq!(again.check(0, &[]).out, shown);
}

/// A day's entries of a series are counted in 16 bits, four dimensions of values among them.
#[test]
fn more_attribution_values_than_a_day_can_hold_are_refused() {
    for (values_max, code) in [("16000", 0), ("16001", 4)] {
        let environment = [("INSIGHTD_ATTRIBUTION__VALUES_MAX", values_max)];
        let run = Place::new().run_with(&["config", "check"], &environment);
        run.check(code, &[]);
    }
}

#[test]
fn the_schema_is_json() {
    let run = Place::new().run(&["config", "schema"]);
    let schema: serde_json::Value =
        serde_json::from_str(&run.check(0, &[]).out).expect("the schema is JSON");
    assert!(schema["properties"]["counting"].is_object());
}
