//! Recorded knowledge as JSON, one object a line, and back.
//!
//! A file of them is only ever appended to. What a crash left of a last line, and lines that are
//! no records, are passed over and told; the rest stands.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::model::{Direction, EventTime, Knowledge, Known, Minute, Said, Scope};

/// Bytes of an owner and of a reason.
pub const OWNER_BYTES_MAX: usize = 256;
pub const REASON_BYTES_MAX: usize = 4096;

/// What a file of knowledge holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnowledgeRead {
    /// In the order of the file; of equal ones the first.
    pub records: Vec<Knowledge>,
    /// Lines, counted from 1, that are no records, and why.
    pub broken: Vec<(usize, String)>,
    /// The last line has no end and is no record: a writer was cut off.
    pub is_torn: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    kind: String,
    id: Uuid,
    from: String,
    owner: String,
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<ScopeObject>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mute: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    insight: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verdict: Option<String>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ScopeObject {
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    insight_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<String>,
}

/// Reads a file of knowledge.
pub fn read_knowledge(bytes: &[u8]) -> KnowledgeRead {
    let mut read = KnowledgeRead::default();
    let mut seen = std::collections::BTreeSet::new();
    let has_end = bytes.last() == Some(&b'\n');
    let mut lines = bytes.split(|byte| *byte == b'\n').enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        let is_last = lines.peek().is_none();
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match parse_knowledge(line) {
            Ok(record) => {
                if seen.insert(record.id) {
                    read.records.push(record);
                }
            }
            Err(_) if is_last && !has_end => read.is_torn = true,
            Err(problem) => read.broken.push((index + 1, problem)),
        }
    }
    read
}

/// One record, or what is wrong with it.
pub fn parse_knowledge(line: &[u8]) -> Result<Knowledge, String> {
    let value: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let line: Line = serde_json::from_value(value).map_err(|error| error.to_string())?;
    check_text("owner", &line.owner, OWNER_BYTES_MAX)?;
    check_text("reason", &line.reason, REASON_BYTES_MAX)?;
    let from = minute("from", &line.from)?;
    let what = line.what(from)?;
    let record = Knowledge::new(from, &line.owner, &line.reason, what);
    if record.id != line.id {
        return Err(format!(
            "id {} does not belong to this content, {} would: it was changed by hand",
            line.id, record.id
        ));
    }
    Ok(record)
}

/// The record as a line with its end.
pub fn write_knowledge(record: &Knowledge) -> Vec<u8> {
    let mut line = Line {
        kind: String::new(),
        id: record.id,
        from: record.from.to_string(),
        owner: record.owner.clone(),
        reason: record.reason.clone(),
        until: None,
        scope: None,
        mute: None,
        insight: None,
        verdict: None,
    };
    match &record.what {
        Known::Mute { scope, until } => {
            line.kind = "mute".to_string();
            line.until = Some(until.to_string());
            line.scope = Some(ScopeObject::new(scope));
        }
        Known::Unmute { mute } => {
            line.kind = "unmute".to_string();
            line.mute = Some(*mute);
        }
        Known::Feedback { insight, said } => {
            line.kind = "feedback".to_string();
            line.insight = Some(*insight);
            line.verdict = Some(said.name().to_string());
            if let Said::Expected { until } = said {
                line.until = Some(until.to_string());
            }
        }
    }
    let mut bytes = serde_json::to_vec(&line).expect("a record is plain text");
    bytes.push(b'\n');
    bytes
}

/// Refuses what is empty or long.
pub fn check_text(field: &str, text: &str, bytes_max: usize) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err(format!("{field} is empty"));
    }
    if text.len() > bytes_max {
        return Err(format!("{field} is longer than {bytes_max} bytes"));
    }
    Ok(())
}

fn minute(field: &str, text: &str) -> Result<Minute, String> {
    let time = EventTime::parse(text).ok_or_else(|| format!("{field} `{text}` is no time"))?;
    if time.minute().start() != time {
        return Err(format!("{field} `{text}` is no whole minute"));
    }
    Ok(time.minute())
}

impl Line {
    /// What is known from a minute on.
    fn what(&self, from: Minute) -> Result<Known, String> {
        let until = match &self.until {
            None => None,
            Some(text) => Some(minute("until", text)?),
        };
        if let Some(until) = until.filter(|until| *until <= from) {
            return Err(format!("until {until} is not after from {from}"));
        }
        let own = (&self.scope, self.mute, self.insight, &self.verdict);
        Ok(match (self.kind.as_str(), own, until) {
            ("mute", (Some(scope), None, None, None), Some(until)) => Known::Mute {
                scope: Box::new(scope.parse()?),
                until,
            },
            ("unmute", (None, Some(mute), None, None), None) => Known::Unmute { mute },
            ("feedback", (None, None, Some(insight), Some(verdict)), until) => {
                let said = match (verdict.as_str(), until) {
                    ("true", None) => Said::True,
                    ("expected", Some(until)) => Said::Expected { until },
                    ("false", None) => Said::False,
                    ("new-normal", None) => Said::NewNormal,
                    (verdict, _) => {
                        return Err(format!(
                            "verdict `{verdict}` is none of true, false, new-normal and, with \
                             until, expected"
                        ));
                    }
                };
                Known::Feedback { insight, said }
            }
            (kind @ ("mute" | "unmute" | "feedback"), ..) => {
                return Err(format!("it is no {kind}: fields are missing or too many"));
            }
            (kind, ..) => return Err(format!("kind `{kind}` is not known to this version")),
        })
    }
}

impl ScopeObject {
    fn new(scope: &Scope) -> Self {
        let [
            account,
            region,
            event_source,
            event_name,
            insight_type,
            error_code,
        ] = scope.patterns().map(|text| text.map(str::to_string));
        ScopeObject {
            account,
            region,
            event_source,
            event_name,
            insight_type,
            error_code,
            direction: scope.direction.map(|one| one.name().to_string()),
        }
    }

    fn parse(&self) -> Result<Scope, String> {
        let direction = match self.direction.as_deref() {
            None => None,
            Some("up") => Some(Direction::Up),
            Some("down") => Some(Direction::Down),
            Some(other) => return Err(format!("direction `{other}` is neither up nor down")),
        };
        let patterns = [
            &self.account,
            &self.region,
            &self.event_source,
            &self.event_name,
            &self.insight_type,
            &self.error_code,
        ];
        Scope::parse(patterns.map(Option::as_deref), direction)
            .map_err(|(field, problem)| format!("scope.{field}: {problem}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mute(from: u32, until: u32, account: &str) -> Knowledge {
        let scope = Scope::parse(
            [Some(account), None, None, None, None, Some("")],
            Some(Direction::Down),
        );
        let what = Known::Mute {
            scope: Box::new(scope.unwrap()),
            until: Minute(until),
        };
        Knowledge::new(Minute(from), "ops \"team\"", "line\nbreak", what)
    }

    #[test]
    fn a_torn_last_line_and_broken_lines_are_passed_over() {
        let (first, second) = (mute(1, 2, "1"), mute(3, 4, "2"));
        let mut bytes = write_knowledge(&first);
        bytes.extend_from_slice(b"{\"kind\":\"mute\"}\n\n");
        bytes.extend(write_knowledge(&second));
        bytes.extend(write_knowledge(&first));
        let whole = bytes.len();
        bytes.extend(&write_knowledge(&mute(5, 6, "3"))[..40]);
        let read = read_knowledge(&bytes);
        assert_eq!(read.records, [first.clone(), second.clone()]);
        assert!(read.is_torn);
        assert_eq!(read.broken.len(), 1);
        assert_eq!(read.broken[0].0, 2);
        assert!(!read_knowledge(&bytes[..whole]).is_torn);
        // A record that lost nothing but the end of its line is whole.
        let read = read_knowledge(&bytes[..whole - 1]);
        assert!(!read.is_torn && read.records.len() == 2);
    }

    #[test]
    fn what_is_no_record_is_refused_with_a_reason() {
        let whole = String::from_utf8(write_knowledge(&mute(60, 120, "1"))).unwrap();
        let check = |from: &str, to: &str, words: &str| {
            let text = whole.replacen(from, to, 1);
            assert_ne!(text, whole, "{from}");
            let problem = parse_knowledge(text.as_bytes()).unwrap_err();
            assert!(problem.contains(words), "{problem}");
        };
        check("\"mute\"", "\"mutes\"", "not known to this version");
        check("ops", "dev", "changed by hand");
        check("01:00:00", "01:00:01", "no whole minute");
        check("02:00:00", "01:00:00", "is not after");
        check("\"down\"", "\"downwards\"", "neither up nor down");
        check("\"1\"", "\"[\"", "scope.account");
        check("\"owner\"", "\"ovner\"", "ovner");
        check("ops \\\"team\\\"", " ", "owner is empty");
        check("\"until\"", "\"mute\"", "UUID");
    }

    proptest! {
        #[test]
        fn records_come_back(
            from in 0u32..1000, span in 1u32..1000, account in "[a-z0-9?]{0,6}[*]?",
            owner in "\\PC{0,20}x", cut in 0usize..400,
        ) {
            let mute = Knowledge { owner, ..mute(from, from + span, &account) };
            let mute = Knowledge::new(mute.from, &mute.owner, &mute.reason, mute.what);
            let unmute = Knowledge::new(
                Minute(from), "a", "b", Known::Unmute { mute: mute.id },
            );
            let said = [Said::True, Said::False, Said::NewNormal, Said::Expected {
                until: Minute(from + span),
            }][cut % 4];
            let said = Known::Feedback { insight: mute.id, said };
            let said = Knowledge::new(Minute(from), "a", "b", said);
            prop_assert_eq!(parse_knowledge(&write_knowledge(&said)), Ok(said));
            let mut bytes = write_knowledge(&mute);
            let first = bytes.len();
            bytes.extend(write_knowledge(&unmute));
            let read = read_knowledge(&bytes);
            prop_assert_eq!(&read.records, &[mute.clone(), unmute]);
            // Cut anywhere, what was whole before stands.
            let cut = first + cut.min(bytes.len() - first);
            let read = read_knowledge(&bytes[..cut]);
            prop_assert_eq!(&read.records[0], &mute);
            prop_assert!(read.broken.is_empty());
        }
    }
}
