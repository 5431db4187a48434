//! What people know better than the data: stories, mutes, and where they are kept.

use std::fmt::Write as _;

use serde_json::Value;

use super::run::Place;
use super::traffic::{FIXED_Z, START, time};

const HEADER: &str = "time,account,region,event_source,event_name,error_code,count\n";
const MINUTES: i64 = 56 * 60;

/// (account, API, first minute of a surge of ten minutes); each API is called twice a minute.
fn rates(series: &[(u32, &str, i64)]) -> Vec<u8> {
    let mut text = HEADER.to_string();
    for minute in 0..MINUTES {
        for (account, name, surge) in series {
            let count = if (*surge..surge + 10).contains(&minute) {
                40
            } else {
                2
            };
            let time = time(START + minute * 60);
            writeln!(text, "{time},{account},r,s,{name},,{count}").expect("a String takes text");
        }
    }
    text.into_bytes()
}

/// Two accounts: a deployment in account 1 touches three APIs within ten minutes and one later, one
/// API of account 2 surges meanwhile.
fn deployment() -> Place {
    let surge = 52 * 60;
    Place::with(&[(
        "in.csv",
        &rates(&[
            (1, "CreateTags", surge),
            (1, "RunInstances", surge + 3),
            (2, "PutObject", surge + 4),
            (1, "StopInstances", surge + 7),
            (1, "DeleteTags", surge + 40),
        ]),
    )])
}

fn lines(text: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).expect("a line is JSON");
    text.lines().map(parse).collect()
}

fn starts(out: &str) -> Vec<String> {
    let starts = lines(out).into_iter();
    let starts = starts.filter(|one| one["insightDetails"]["state"] == "Start");
    starts
        .map(|one| {
            one["insightDetails"]["eventName"]
                .as_str()
                .expect("it is text")
                .to_string()
        })
        .collect()
}

/// Shared id of the Start of an API.
fn starts_of(out: &str, name: &str) -> String {
    let of_name = |one: &Value| one["insightDetails"]["eventName"] == name;
    let found = lines(out).into_iter().find(of_name);
    found.expect("the API has an insight")["sharedEventID"]
        .as_str()
        .expect("it is text")
        .to_string()
}

#[test]
fn starts_of_one_account_within_ten_minutes_make_one_story() {
    let place = deployment();
    let arguments = [
        "replay",
        "--format",
        "rates",
        "in.csv",
        "--stories",
        "stories.ndjson",
    ];
    let run = place.run_with(&arguments, &[FIXED_Z]);
    run.check(
        0,
        &[
            "5 insights in 3 stories",
            "account 1: 3 insights, s:CreateTags",
        ],
    );
    let stories = lines(&place.read("stories.ndjson"));
    let told: Vec<(&str, u64, usize)> = stories
        .iter()
        .map(|one| {
            let account = one["account"].as_str().expect("it is text");
            let apis = one["apis"].as_object().unwrap().len();
            (account, one["starts"].as_u64().unwrap(), apis)
        })
        .collect();
    assert_eq!(told, [("1", 3, 3), ("2", 1, 1), ("1", 1, 1)]);
    // What a story lists are the insights that were written, and nothing of it stands in them.
    let listed: Vec<&Value> = stories
        .iter()
        .flat_map(|one| one["insights"].as_array().unwrap())
        .map(|one| &one["sharedEventID"])
        .collect();
    let written = lines(&run.out);
    let mut ids: Vec<&Value> = written.iter().map(|one| &one["sharedEventID"]).collect();
    ids.dedup();
    assert!(listed.len() == 5 && listed.iter().all(|id| ids.contains(id)));
    let alone = place.run_with(&arguments[..4], &[FIXED_Z]);
    assert_eq!(alone.out, run.out);
    // The width is a setting.
    let narrow = [FIXED_Z, ("INSIGHTD_STORIES__WITHIN", "1m")];
    place.run_with(&arguments, &narrow).check(0, &[]);
    assert_eq!(lines(&place.read("stories.ndjson")).len(), 5);
    let odd = [FIXED_Z, ("INSIGHTD_STORIES__WITHIN", "90s")];
    place
        .run_with(&arguments, &odd)
        .check(4, &["stories.within", "whole minutes"]);
}

fn knowing(place: &Place, arguments: &[&str]) -> super::run::Run {
    place.run_with(
        arguments,
        &[FIXED_Z, ("INSIGHTD_KNOWLEDGE__PATH", "known.ndjson")],
    )
}

#[test]
fn a_mute_hides_by_event_time_and_says_what_it_hid() {
    let place = deployment();
    let replay = ["replay", "--format", "rates", "in.csv"];
    let all = place.run_with(&replay, &[FIXED_Z]);
    let surge = START + 52 * 3600;
    let (from, until) = (time(surge), time(surge + 30 * 60));
    let added = knowing(
        &place,
        &[
            "mute",
            "add",
            "--account",
            "1",
            "--event-name",
            "*Instances",
            "--from",
            &from,
            "--until",
            "30m",
            "--owner",
            "maria",
            "--reason",
            "migration",
        ],
    );
    added.check(0, &[]);
    let id = added.out.trim().to_string();
    let muted = knowing(&place, &replay);
    muted.check(
        0,
        &[
            "muted      2 Start, 2 End, not written",
            &id,
            "by maria: migration",
        ],
    );
    assert_eq!(
        starts(&muted.out),
        ["CreateTags", "PutObject", "DeleteTags"]
    );
    // All else is as it was.
    let kept: Vec<&str> = all
        .out
        .lines()
        .filter(|line| !line.contains("Instances"))
        .collect();
    assert_eq!(muted.out.lines().collect::<Vec<_>>(), kept);
    // Whoever lists it with the logs sees what it hides, and when.
    let listed = knowing(&place, &["mute", "list", "--format", "rates", "in.csv"]);
    listed.check(0, &[]);
    let row =
        format!("{id}\t{from}\t{until}\taccount=1,event_name=*Instances\tmaria\tmigration\t2\t2");
    assert_eq!(listed.out.lines().nth(1), Some(row.as_str()));
    let hidden = starts_of(&all.out, "RunInstances");
    let explained = knowing(
        &place,
        &["explain", "--id", &hidden, "--format", "rates", "in.csv"],
    );
    explained.check(0, &[]);
    assert!(
        explained
            .out
            .contains(&format!("not written: {id} by maria: migration"))
    );
    // Removed from the minute between the two, it hides the first only.
    let between = time(surge + 4 * 60);
    knowing(
        &place,
        &[
            "mute", "remove", &id, "--from", &between, "--owner", "ian", "--reason", "done",
        ],
    )
    .check(0, &[]);
    let fewer = knowing(&place, &replay);
    assert_eq!(
        starts(&fewer.out),
        ["CreateTags", "PutObject", "StopInstances", "DeleteTags"]
    );
    // The same knowledge, exported and given to another replay, says the same.
    let exported = knowing(&place, &["mute", "list", "--export"]);
    place.write("other.ndjson", exported.out.as_bytes());
    let other = [FIXED_Z, ("INSIGHTD_KNOWLEDGE__PATH", "other.ndjson")];
    assert_eq!(place.run_with(&replay, &other).out, fewer.out);
}

#[test]
fn what_cannot_be_recorded_is_refused_and_what_is_broken_is_told() {
    let place = deployment();
    let add = [
        "mute", "add", "--owner", "o", "--reason", "r", "--until", "1d",
    ];
    place.run(&add).check(2, &["knowledge.path is not set"]);
    knowing(&place, &add).check(2, &["name at least one part"]);
    let with = |more: &[&str]| knowing(&place, &[&add[..], more].concat());
    with(&["--region", "["]).check(2, &["--region"]);
    with(&["--insight-type", "Api"]).check(2, &["ApiErrorRateInsight"]);
    with(&["--region", "r", "--from", "2024-01-01", "--owner"]).check(2, &[]);
    let early = ["--region", "r", "--from", "2999-01-01"];
    let past = [
        "mute",
        "add",
        "--owner",
        "o",
        "--reason",
        "r",
        "--until",
        "2024-01-01",
    ];
    knowing(&place, &[&past[..], &early].concat()).check(2, &["is not after"]);
    let unknown = "00000000-0000-5000-8000-000000000000";
    let remove = ["mute", "remove", unknown, "--owner", "o", "--reason", "r"];
    knowing(&place, &remove).check(1, &["there is no mute"]);
    let one = with(&early);
    one.check(0, &[]);
    // Said again it is the same mute, and not another.
    assert_eq!(with(&early).out, one.out);
    let whole = place.read("known.ndjson");
    assert_eq!(whole.lines().count(), 1);
    place.write(
        "known.ndjson",
        format!("nonsense\n{whole}{}", &whole[..20]).as_bytes(),
    );
    let listed = knowing(&place, &["mute", "list"]);
    listed.check(
        0,
        &["known.ndjson:1: no record", "the last line was cut off"],
    );
    assert_eq!(listed.out.lines().count(), 2);
    let few = [
        ("INSIGHTD_KNOWLEDGE__PATH", "known.ndjson"),
        ("INSIGHTD_KNOWLEDGE__RECORDS_MAX", "1"),
    ];
    let more = [&add[..], &["--region", "q"]].concat();
    place
        .run_with(&more, &few)
        .check(1, &["knowledge.records_max"]);
    place
        .run_with(&add, &[("INSIGHTD_KNOWLEDGE__RECORDS_MAX", "0")])
        .check(4, &["records_max"]);
}

/// Feedback that is recorded on the command line is heeded by a replay, and the same when exported.
#[test]
fn feedback_is_recorded_and_heeded() {
    let place = deployment();
    let replay = ["replay", "--format", "rates", "in.csv"];
    let all = knowing(&place, &replay);
    let id = starts_of(&all.out, "CreateTags");
    let say = |more: &[&str]| {
        let who = [
            "feedback", "--id", &id, "--owner", "maria", "--reason", "known",
        ];
        knowing(&place, &[&who[..], more].concat())
    };
    say(&["--verdict", "maybe"]).check(2, &["new-normal"]);
    say(&["--verdict", "expected"]).check(2, &["--until"]);
    say(&["--verdict", "true", "--until", "1d"]).check(2, &["belongs to"]);
    knowing(&place, &["feedback", "--verdict", "true"]).check(2, &["--id"]);
    let from = time(START + 54 * 3600);
    let said = say(&["--verdict", "new-normal", "--from", &from]);
    said.check(0, &[]);
    let told = knowing(&place, &replay);
    told.check(0, &["feedback   1 of 1 heeded"]);
    assert_eq!(told.out, all.out, "nothing more happens in this input");
    let listed = knowing(&place, &["feedback", "list"]);
    let row = format!(
        "{}\t{from}\t{id}\tnew-normal\t\tmaria\tknown",
        said.out.trim()
    );
    assert_eq!(listed.out.lines().nth(1), Some(row.as_str()));
    let exported = knowing(&place, &["feedback", "list", "--export"]);
    assert_eq!(exported.out, place.read("known.ndjson"));
    // What is not known, or not yet, waits.
    let early = ["replay", "--format", "rates", "in.csv", "--until", &from];
    knowing(&place, &early).check(0, &["feedback   0 of 1 heeded"]);
}

/// With the configuration of a service what people know is kept by the service: without a broker
/// that is said, and nothing is taken for recorded.
#[cfg(feature = "kafka")]
#[test]
fn knowledge_of_a_service_needs_its_brokers() {
    // It listens, and nobody ever answers.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let config = format!("[kafka]\nbrokers = [\"{address}\"]\ninput_topics = [\"audit\"]\n");
    let place = Place::with(&[("service.toml", config.as_bytes())]);
    let why = ["--owner", "maria", "--reason", "planned"];
    let mute = [
        "mute",
        "add",
        "-c",
        "service.toml",
        "--account",
        "1",
        "--until",
        "1d",
    ];
    let run = place.run(&[&mute[..], &why].concat());
    run.check(1, &["no answer from", &address]);
    assert_eq!(run.out, "", "no id is printed");
    let wrong = ["mute", "add", "-c", "service.toml", "--until", "1d"];
    place
        .run(&[&wrong[..], &why].concat())
        .check(2, &["name at least one part"]);
    // A file is no part of it.
    let config = format!("{config}[knowledge]\npath = \"known.ndjson\"\n");
    place.write("both.toml", config.as_bytes());
    let mute = [
        "mute",
        "add",
        "-c",
        "both.toml",
        "--account",
        "1",
        "--until",
        "1d",
    ];
    place.run(&[&mute[..], &why].concat()).check(0, &[]);
    assert!(place.path("known.ndjson").exists());
    place
        .run(&["run", "-c", "both.toml"])
        .check(4, &["knowledge.path", "leave this out"]);
}
