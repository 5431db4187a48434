//! Ctrl-C and SIGTERM while input is still to come: what was decided is out, and the code says so.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use super::run::Place;
use super::traffic::{FIXED_Z, edges, ndjson, records};

/// Starts a replay of a pipe that stays open, and waits for the first insight it writes.
fn begin(place: &Place) -> (Child, BufReader<std::process::ChildStdout>, String) {
    let mut child = place
        .command(&["replay", "-"])
        .env(FIXED_Z.0, FIXED_Z.1)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let input = child.stdin.as_mut().expect("it was piped");
    input.write_all(&ndjson(&records())).expect("it reads");
    input.flush().expect("it reads");
    let mut out = BufReader::new(child.stdout.take().expect("it was piped"));
    assert!(straight_run_gives_insights(place), "nothing to wait for");
    let mut line = String::new();
    out.read_line(&mut line).expect("an insight comes");
    (child, out, line)
}

/// Waiting for an insight that never comes would hang; a run to the end says that it comes.
fn straight_run_gives_insights(place: &Place) -> bool {
    place.write("in.json", &ndjson(&records()));
    let run = place.run_with(&["replay", "in.json"], &[FIXED_Z]);
    !run.out.is_empty()
}

fn check(signal: &str, code: i32, name: &str) {
    let place = Place::new();
    let (mut child, mut out, mut text) = begin(&place);
    let id = child.id().to_string();
    let sent = Command::new("kill").args([signal, &id]).status();
    assert!(sent.expect("kill runs").success());
    let status = child.wait().expect("it ends by itself");
    out.read_to_string(&mut text).expect("output is UTF-8");
    let mut err = String::new();
    let mut stderr = child.stderr.take().expect("it was piped");
    stderr.read_to_string(&mut err).expect("talk is UTF-8");
    assert_eq!(status.code(), Some(code), "{err}");
    assert!(err.contains(&format!("cut short by {name}")), "{err}");
    let edges = edges(&text);
    assert!(edges[0].starts_with("Start "), "{edges:?}");
}

#[test]
#[cfg(unix)]
fn ctrl_c_ends_a_replay_with_130() {
    check("-INT", 130, "Ctrl-C");
}

#[test]
#[cfg(unix)]
fn sigterm_ends_a_replay_with_143() {
    check("-TERM", 143, "SIGTERM");
}

/// A simulation is a batch command like any other.
#[test]
#[cfg(unix)]
fn a_signal_ends_a_simulation_with_its_code() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let mut child = Place::new()
            .command(&["simulate", "--profile", "bench"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut out = child.stdout.take().expect("it was piped");
        // The signal comes while it writes: more follows than this.
        let mut first = [0; 1000];
        out.read_exact(&mut first).expect("traffic comes");
        let id = child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status();
        assert!(sent.expect("kill runs").success());
        std::io::copy(&mut out, &mut std::io::sink()).expect("it can be read to its end");
        let status = child.wait().expect("it ends by itself");
        assert_eq!(status.code(), Some(code), "{signal}");
    }
}

/// `insightd replay ... | head`: nothing went wrong, nothing is said.
#[test]
#[cfg(unix)]
fn a_reader_that_leaves_is_no_failure() {
    let place = Place::with(&[("in.json", &ndjson(&records()))]);
    let mut child = place
        .command(&["replay", "in.json"])
        .env(FIXED_Z.0, FIXED_Z.1)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
