//! The same input, settings and version give the same bytes, however the work is done.

use super::run::{Place, Run};
use super::traffic::{FIXED_Z, HOURS, START, gzip, ndjson, records, time};

fn replay(place: &Place, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let all = [&["replay"], arguments].concat();
    let environment = [environment, &[FIXED_Z]].concat();
    let run: Run = place.run_with(&all, &environment);
    run.check(0, &[]);
    run.out
}

fn golden() -> (Place, String) {
    let place = Place::with(&[("in.json", &ndjson(&records()))]);
    let out = replay(&place, &["in.json"], &[]);
    assert_eq!(out.lines().count(), 2);
    (place, out)
}

#[test]
fn threads_and_chunks_change_nothing() {
    let (place, expected) = golden();
    for threads in ["1", "2", "5"] {
        for chunk in ["1", "777", "65536"] {
            let environment = [("INSIGHTD_INPUT__CHUNK_BYTES", chunk)];
            let out = replay(&place, &["in.json", "--threads", threads], &environment);
            assert_eq!(out, expected, "{threads} threads, chunks of {chunk}");
        }
    }
}

/// Scores and rejects as well: every byte that leaves the program.
#[test]
fn scores_and_rejects_are_the_same_for_any_threads() {
    let mut lines = records();
    lines.insert(500, "{\"broken\"".to_string());
    let place = Place::with(&[("in.json", &ndjson(&lines))]);
    let outputs = |threads: &str| {
        let arguments = [
            "in.json",
            "--threads",
            threads,
            "--scores",
            "s",
            "--rejects",
            "r",
        ];
        let out = replay(&place, &arguments, &[]);
        (out, place.read("s"), place.read("r"))
    };
    let expected = outputs("1");
    assert!(expected.1.lines().count() > 1000);
    assert_eq!(outputs("3"), expected);
}

#[test]
fn pieces_of_a_stream_are_one_file() {
    let records = records();
    let (place, expected) = golden();
    for (day, hours) in [("04", 0..24), ("05", 24..48), ("06", 48..HOURS)] {
        for hour in hours {
            let (from, to) = (time(START + hour * 3600), time(START + (hour + 1) * 3600));
            let of_hour: Vec<String> = records
                .iter()
                .filter(|record| {
                    let at = record
                        .find("\"eventTime\":\"")
                        .expect("a record has a time")
                        + 13;
                    let time = &record[at..at + 20];
                    (from.as_str()..to.as_str()).contains(&time)
                })
                .cloned()
                .collect();
            let body = format!("{{\"Records\":[{}]}}", of_hour.join(","));
            let name = format!("logs/us-east-1/2024/03/{day}/{hour:02}.json.gz");
            place.write(&name, &gzip(body.as_bytes()));
        }
    }
    // A stream once took its own finished files for open ones and looked for one to close for
    // ever: more files in one stream than may be open must come to an end.
    let few = [("INSIGHTD_INPUT__OPEN_FILES_MAX", "2")];
    for threads in ["1", "4"] {
        for environment in [&[][..], &few] {
            let out = replay(&place, &["logs", "--threads", threads], environment);
            assert_eq!(out, expected);
        }
    }
}

/// Many files that each begin at their own time and overlap, with hardly any open at once. Each
/// has a record every six minutes, less than the lateness: merging puts a stream's record next
/// by the time of the one before it.
#[test]
fn many_streams_need_few_handles() {
    let records = records();
    let (place, expected) = golden();
    for stream in 0..12 {
        let of_stream: Vec<String> = records.iter().skip(stream).step_by(12).cloned().collect();
        let name = format!("many/stream-{stream}.json.gz");
        place.write(&name, &gzip(&ndjson(&of_stream)));
    }
    let few = [
        ("INSIGHTD_INPUT__OPEN_FILES_MAX", "2"),
        ("INSIGHTD_INPUT__CHUNK_BYTES", "5000"),
    ];
    for threads in ["1", "3"] {
        assert_eq!(
            replay(&place, &["many", "--threads", threads], &few),
            expected
        );
    }
}

/// More streams than the system lets a process open: readers that wait with a thread's finished
/// work hold handles too, and have to give them back.
#[test]
#[cfg(target_os = "linux")]
fn more_streams_than_handles_are_read_whole() {
    let records = records();
    let place = Place::new();
    for stream in 0..80 {
        let of_stream: Vec<String> = records.iter().skip(stream).step_by(80).cloned().collect();
        place.write(&format!("many/stream-{stream}.json"), &ndjson(&of_stream));
    }
    for threads in ["1", "2", "3"] {
        let script = format!(
            "ulimit -n 40 && exec '{}' replay many --threads {threads}",
            env!("CARGO_BIN_EXE_insightd")
        );
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .current_dir(place.root())
            .env("INSIGHTD_INPUT__OPEN_FILES_MAX", "8")
            .env("INSIGHTD_INPUT__CHUNK_BYTES", "3000")
            .output()
            .expect("sh runs");
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{err}");
        let sums = format!("records    {} = ", records.len());
        assert!(err.contains(&sums), "{threads} threads: {err}");
        assert!(!err.contains("not or not wholly readable"), "{err}");
    }
}

/// Records up to nine minutes out of order: within the lateness of ten minutes.
#[test]
fn order_within_lateness_changes_nothing() {
    let records = records();
    let (place, expected) = golden();
    let mut keyed: Vec<(i64, String)> = Vec::new();
    for (index, record) in records.iter().enumerate() {
        // A fixed scatter of up to about 9 minutes, at two records a minute.
        let scatter = (index as i64 * 7919) % 17;
        keyed.push((index as i64 + scatter, record.clone()));
    }
    keyed.sort_by_key(|(place, _)| *place);
    let shuffled: Vec<String> = keyed.into_iter().map(|(_, record)| record).collect();
    assert_ne!(shuffled, records);
    place.write("shuffled.json", &ndjson(&shuffled));
    assert_eq!(replay(&place, &["shuffled.json"], &[]), expected);
}

#[test]
fn the_rates_log_on_disk_decides_the_same() {
    let (place, expected) = golden();
    let segments = [
        ("INSIGHTD_RATES_LOG__KIND", "segments"),
        ("INSIGHTD_RATES_LOG__PATH", "log"),
    ];
    assert_eq!(replay(&place, &["in.json"], &segments), expected);
    let again = place.run_with(&["replay", "in.json"], &segments);
    again.check(1, &["rates log", "it holds an earlier run"]);
}

/// A run that stops at any hour and goes on from its state says what one run says.
#[test]
fn a_state_goes_on_where_it_was() {
    let (place, expected) = golden();
    for hour in [1, 30, 52, 53] {
        let until = time(START + hour * 3600);
        let first = ["in.json", "--until", &until, "--state-out", "state"];
        let mut out = replay(&place, &first, &[]);
        let exported = place.run(&["state", "export", "state", "--out", "state.json"]);
        exported.check(0, &[]);
        let imported = place.run(&["state", "import", "state.json", "--out", "state-2"]);
        imported.check(0, &[]);
        out += &replay(&place, &["in.json", "--state-in", "state-2"], &[]);
        assert_eq!(out, expected, "stopped at {until}");
    }
}
