//! The house rules as a test: arrows between rooms, purity, sizes, and what may not be committed.
//!
//! Every check is a function from a file's path and text to complaints, and every check is shown
//! to complain about a bad sample, so that none of them can rot into silence.

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms from the outside in; a room may import rooms of later layers only.
const LAYERS: [&[&str]; 7] = [
    &["main"],
    &["cli"],
    &["service"],
    &["source", "sink", "rateslog", "store", "http", "telemetry"],
    &["config"],
    &["protocol", "tuning"],
    &["ingest", "detect", "formats", "view", "synth"],
];
/// The innermost room: everybody may import it, it imports nobody.
const INNERMOST: &str = "model";
const PURE: [&str; 8] = [
    "model", "formats", "ingest", "detect", "protocol", "view", "synth", "tuning",
];

/// What a pure room may not touch, and what to do instead.
const IMPURE: [(&str, &str); 15] = [
    ("std::fs", "let the shell read it and pass bytes"),
    ("std::net", "let the shell talk to the network"),
    ("std::env", "pass the value as a setting"),
    ("std::process", "return an error value"),
    ("std::thread", "let the shell own threads"),
    ("Instant", "pass event time"),
    ("SystemTime", "pass event time"),
    ("Timestamp::now", "pass event time"),
    ("Zoned::now", "pass event time"),
    ("tokio", "keep async in the shell"),
    ("tracing::", "return values the shell can log"),
    ("println!", "return text"),
    ("eprintln!", "return text"),
    ("stdout()", "return text"),
    ("stdin()", "take bytes"),
];

/// Folders that are never committed, below `fuzz/`.
const GENERATED: [&str; 4] = ["artifacts", "corpus", "coverage", "target"];

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_COLUMNS_MAX: usize = 100;
const DECISION_LINES_MAX: usize = 70;
const TRACKED_BYTES_MAX: u64 = 1 << 20;

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut complaints = Vec::new();
    for path in files_below(&root.join("src"), "rs") {
        let name = relative(root, &path);
        let text = fs::read_to_string(&path).expect("source is UTF-8");
        complaints.extend(check_source(&name, &text));
    }
    for folder in [
        "src", "tests", "benches", "docs", "config", "fuzz", "deploy", ".ci",
    ] {
        for path in files_below(&root.join(folder), "") {
            complaints.extend(check_any(&relative(root, &path), &path));
        }
    }
    for file in ["README.md", "CHANGELOG.md", "Cargo.toml"] {
        complaints.extend(check_any(file, &root.join(file)));
    }
    for path in files_below(&root.join("docs/decisions"), "md") {
        let text = fs::read_to_string(&path).expect("docs are UTF-8");
        complaints.extend(check_decision(&relative(root, &path), &text));
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

fn check_source(name: &str, text: &str) -> Vec<String> {
    let is_test = name.ends_with("tests.rs") || name.contains("/tests/");
    let code = if is_test { "" } else { without_tests(text) };
    let mut complaints = check_arrows(name, code);
    complaints.extend(check_purity(name, code));
    complaints.extend(check_head(name, text));
    complaints.extend(check_lengths(name, code, text));
    complaints.extend(check_words(name, text, is_test));
    complaints
}

/// The part of a file before its inline test module; one that is only declared ends nothing.
fn without_tests(text: &str) -> &str {
    let is_inline = |at: usize| {
        text[at + 1..]
            .lines()
            .nth(1)
            .is_some_and(|l| l.ends_with('{'))
    };
    text.match_indices("\n#[cfg(test)]\nmod ")
        .map(|(at, _)| at)
        .find(|at| is_inline(*at))
        .map_or(text, |end| &text[..end])
}

fn room_of(name: &str) -> &str {
    let inside = name.strip_prefix("src/").unwrap_or(name);
    inside
        .split('/')
        .next()
        .unwrap_or(inside)
        .trim_end_matches(".rs")
}

fn layer_of(room: &str) -> Option<usize> {
    LAYERS.iter().position(|rooms| rooms.contains(&room))
}

fn check_arrows(name: &str, code: &str) -> Vec<String> {
    let room = room_of(name);
    if room == "lib" {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for (number, line) in code.lines().enumerate() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        if line.contains("crate::{") {
            let number = number + 1;
            complaints.push(format!(
                "{name}:{number}: rooms in a group: name each by itself"
            ));
        }
        for target in imported_rooms(line) {
            let allowed = target == room
                || target == INNERMOST
                || match (layer_of(room), layer_of(target)) {
                    (Some(from), Some(to)) => from < to,
                    _ => false,
                };
            if !allowed {
                complaints.push(format!("{name}:{}: arrow {room} -> {target}", number + 1));
            }
        }
    }
    complaints
}

/// Rooms named by `crate::ROOM` (or `insightd::ROOM` in the binary, or by way of the parents) on
/// one line.
fn imported_rooms(line: &str) -> Vec<&str> {
    let mut rooms = Vec::new();
    for prefix in ["crate::", "insightd::", "super::super::"] {
        for (at, _) in line.match_indices(prefix) {
            let rest = line[at + prefix.len()..].trim_start_matches("super::");
            let end = rest
                .find(|c: char| !c.is_ascii_lowercase())
                .unwrap_or(rest.len());
            let room = &rest[..end];
            if layer_of(room).is_some() || room == INNERMOST {
                rooms.push(room);
            }
        }
    }
    rooms
}

fn check_purity(name: &str, code: &str) -> Vec<String> {
    if !PURE.contains(&room_of(name)) {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for (number, line) in code.lines().enumerate() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for (word, instead) in IMPURE {
            if contains_word(line, word) {
                let line = number + 1;
                complaints.push(format!("{name}:{line}: `{word}` in a pure room: {instead}"));
            }
        }
    }
    complaints
}

/// `word` stands in `line` and is not the tail of a longer name.
fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !(joins(before) || word.chars().all(char::is_alphanumeric) && joins(after))
    })
}

fn check_head(name: &str, text: &str) -> Vec<String> {
    let lines = text
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .count();
    let bounds = if name == "src/lib.rs" { 2..=40 } else { 1..=14 };
    if bounds.contains(&lines) || name.ends_with("tests.rs") && lines >= 1 {
        return Vec::new();
    }
    vec![format!(
        "{name}: opens with {lines} lines of `//!`, not {bounds:?}"
    )]
}

fn check_lengths(name: &str, code: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let length = code.lines().count();
    if length > FILE_LINES_MAX {
        complaints.push(format!("{name}: {length} lines, at most {FILE_LINES_MAX}"));
    }
    for (number, line) in text.lines().enumerate() {
        let columns = line.chars().count();
        if columns > LINE_COLUMNS_MAX {
            complaints.push(format!("{name}:{}: {columns} columns", number + 1));
        }
    }
    for (line, function, length) in functions(code) {
        if length > FUNCTION_LINES_MAX {
            complaints.push(format!("{name}:{line}: `{function}` has {length} lines"));
        }
    }
    complaints
}

/// (line, name, length) of each function of rustfmt-formatted code.
fn functions(code: &str) -> Vec<(usize, String, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let Some(name) = function_name(line.trim_start()) else {
            continue;
        };
        let closing = format!("{}}}", " ".repeat(indent));
        let body = lines[start..].iter().position(|line| **line == closing);
        let one_liner = lines[start..].iter().position(|line| line.ends_with(';'));
        match (body, one_liner) {
            (Some(end), Some(semicolon)) if semicolon < end && !line.ends_with('{') => {
                let opens = lines[start..start + semicolon]
                    .iter()
                    .any(|l| l.ends_with('{'));
                if opens {
                    found.push((start + 1, name, end + 1));
                }
            }
            (Some(end), _) => found.push((start + 1, name, end + 1)),
            _ => {}
        }
    }
    found
}

fn function_name(line: &str) -> Option<String> {
    let words = [
        "pub ",
        "pub(crate) ",
        "pub(super) ",
        "const ",
        "unsafe ",
        "async ",
    ];
    let mut rest = line;
    while let Some(next) = words.iter().find_map(|word| rest.strip_prefix(word)) {
        rest = next;
    }
    let name = rest.strip_prefix("fn ")?;
    Some(
        name.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect(),
    )
}

fn check_words(name: &str, text: &str, is_test: bool) -> Vec<String> {
    let mut banned = vec![
        "todo!(",
        "unimplemented!(",
        "dbg!(",
        "#[ignore",
        "#[should_panic",
    ];
    banned.extend(["FIXME", "XXX", "HACK", "thread::sleep"]);
    if !is_test {
        banned.push("#[allow(clippy::too_many_lines");
    }
    let mut complaints = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for word in &banned {
            if line.contains(word) {
                complaints.push(format!("{name}:{}: `{word}`", number + 1));
            }
        }
    }
    complaints
}

/// Checks on every committed file: its size, and that it names no machine and no registry host.
fn check_any(name: &str, path: &Path) -> Vec<String> {
    let Ok(metadata) = fs::metadata(path) else {
        return vec![format!("{name}: is missing")];
    };
    let mut complaints = Vec::new();
    if metadata.len() > TRACKED_BYTES_MAX {
        complaints.push(format!(
            "{name}: {} bytes, at most a megabyte",
            metadata.len()
        ));
    }
    if let Ok(text) = fs::read_to_string(path)
        && name != "tests/tidy.rs"
    {
        complaints.extend(check_places(name, &text));
    }
    complaints
}

fn check_places(name: &str, text: &str) -> Vec<String> {
    let banned = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        "/home/",
        "://crates.io",
        "://pypi.org",
        "registry.npmjs",
        "repo1.maven",
        "proxy.golang.org",
        "deb.debian.org",
    ];
    let mut complaints = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for word in banned {
            if line.contains(word) {
                complaints.push(format!("{name}:{}: names `{word}`", number + 1));
            }
        }
    }
    complaints
}

fn check_decision(name: &str, text: &str) -> Vec<String> {
    let lines = text.lines().count();
    let titled = text.starts_with("# ");
    if titled && lines <= DECISION_LINES_MAX {
        return Vec::new();
    }
    vec![format!(
        "{name}: a decision has a `# ` title and at most {DECISION_LINES_MAX} lines"
    )]
}

/// Files below `folder` with this extension (all when empty), in name order.
fn files_below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir()
            && path
                .file_name()
                .is_some_and(|name| GENERATED.iter().any(|g| name == *g))
        {
            continue;
        }
        if path.is_dir() {
            found.extend(files_below(&path, extension));
        } else if extension.is_empty() || path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .expect("below the root")
        .to_string_lossy()
        .replace('\\', "/")
}

#[test]
fn every_check_can_fail() {
    let long_function = format!("fn long() {{\n{}}}\n", "    step();\n".repeat(80));
    let declared_above = format!("//! x\n\n#[cfg(test)]\nmod tests;\n\n{long_function}");
    let samples: [(&str, Vec<String>); 12] = [
        (
            "arrow",
            check_arrows("src/detect/a.rs", "use crate::ingest::Ingest;"),
        ),
        (
            "outward arrow",
            check_arrows("src/model/a.rs", "use crate::detect::Engine;"),
        ),
        (
            "arrow in a group",
            check_arrows("src/detect/a.rs", "use crate::{ingest::Ingest};"),
        ),
        (
            "arrow by way of the parent",
            check_arrows("src/detect/a.rs", "use super::super::ingest::Ingest;"),
        ),
        (
            "function below a declared test module",
            check_source("src/detect/a.rs", &declared_above),
        ),
        (
            "purity",
            check_purity("src/detect/a.rs", "let now = std::time::Instant::now();"),
        ),
        ("head", check_head("src/detect/a.rs", "use x;\n")),
        ("function", check_lengths("a", &long_function, "")),
        ("line", check_lengths("a", "", &"x".repeat(101))),
        ("word", check_words("a", "    todo!()", false)),
        ("place", check_places("a", concat!("cd /wo", "rk/x"))),
        ("decision", check_decision("a", "no title")),
    ];
    for (name, complaints) in samples {
        assert_eq!(complaints.len(), 1, "{name}: {complaints:?}");
    }
    assert!(check_arrows("src/config/mod.rs", "use crate::detect::Engine;").is_empty());
    assert!(check_purity("src/cli/a.rs", "std::time::Instant::now()").is_empty());
}
