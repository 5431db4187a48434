//! What commands share that read or record what people know.

use std::path::Path;
use std::sync::Arc;

use super::arguments::parse_time;
use super::{CliError, Exit};
#[cfg(feature = "kafka")]
use crate::config::KafkaSettings;
use crate::config::{Seconds, Settings};
use crate::formats::{KnowledgeRead, OWNER_BYTES_MAX, REASON_BYTES_MAX, check_text};
use crate::model::{EventTime, Feedback, Knowledge, Minute};
#[cfg(feature = "kafka")]
use crate::service::run::{Asked, KnowledgeTopic, RunError};
use crate::sink::Target;
use crate::store::KnowledgeFile;

/// What the settings' file of knowledge holds; nothing without one.
pub fn load(settings: &Settings) -> Result<Arc<[Knowledge]>, CliError> {
    match file(settings) {
        None => Ok(Arc::default()),
        Some(file) => Ok(read(&file, settings)?.into()),
    }
}

/// What the settings' file holds, and the detector heeds it.
pub fn heed(settings: &mut Settings) -> Result<Arc<[Knowledge]>, CliError> {
    let knowledge = load(settings)?;
    give(settings, &knowledge);
    Ok(knowledge)
}

/// Has the detector heed what is known.
pub fn give(settings: &mut Settings, knowledge: &[Knowledge]) {
    settings.detect.feedback = Feedback::all(knowledge).into();
}

/// The records of a file, with a warning for what is none.
fn read(file: &KnowledgeFile, settings: &Settings) -> Result<Vec<Knowledge>, CliError> {
    let KnowledgeRead {
        records,
        broken,
        is_torn,
    } = file.read()?;
    let path = settings.knowledge.path.as_deref().unwrap_or_default();
    for (line, problem) in &broken {
        tracing::warn!("{path}:{line}: no record, passed over: {problem}");
    }
    if is_torn {
        tracing::warn!("{path}: the last line was cut off while it was written, passed over");
    }
    Ok(records)
}

/// The file that the settings name.
fn file(settings: &Settings) -> Option<KnowledgeFile> {
    let path = settings.knowledge.path.as_deref()?;
    let limits = settings.knowledge.limits();
    Some(KnowledgeFile::new(Path::new(path), limits))
}

/// Where people's knowledge is kept: a file, or what a service's instances agree on.
pub enum KnowledgePlace {
    File(KnowledgeFile),
    #[cfg(feature = "kafka")]
    Topic(Box<KafkaSettings>),
}

impl KnowledgePlace {
    /// The place that the settings name: the file, or with input topics and no file the topic.
    pub fn of(settings: &Settings) -> Result<Self, CliError> {
        if let Some(file) = file(settings) {
            return Ok(KnowledgePlace::File(file));
        }
        #[cfg(feature = "kafka")]
        if !settings.service.kafka.input_topics.is_empty() {
            let kafka = settings.service.kafka.clone();
            return Ok(KnowledgePlace::Topic(Box::new(kafka)));
        }
        Err(CliError::Usage(
            "knowledge.path is not set: name the file that knowledge is kept in, in the \
             configuration or as INSIGHTD_KNOWLEDGE__PATH; or give the configuration of a service, \
             with kafka.input_topics"
                .to_string(),
        ))
    }

    /// What is known, in its order.
    pub fn read(&self, settings: &Settings) -> Result<Vec<Knowledge>, CliError> {
        match self {
            KnowledgePlace::File(file) => read(file, settings),
            #[cfg(feature = "kafka")]
            KnowledgePlace::Topic(kafka) => {
                let topic = KnowledgeTopic::read(kafka).map_err(failed)?;
                let waiting = topic.requests().len();
                if waiting > 0 {
                    tracing::warn!(
                        "{waiting} more wait for an instance of the service, and are not listed"
                    );
                }
                Ok(topic.known())
            }
        }
    }

    /// Records what is known from now on, unless that is done; what is known already, or asked
    /// for, is given to `check` first, which may refuse.
    pub fn add(
        self,
        record: &Knowledge,
        check: impl FnOnce(&[Knowledge]) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        match self {
            KnowledgePlace::File(file) => file.append(record, check).map(|_| ()),
            #[cfg(feature = "kafka")]
            KnowledgePlace::Topic(kafka) => {
                let mut topic = KnowledgeTopic::read(&kafka).map_err(failed)?;
                let mut held = topic.known();
                held.extend(topic.requests());
                if !held.iter().any(|one| one.id == record.id) {
                    check(&held)?;
                }
                match topic.ask(record).map_err(failed)? {
                    Asked::Known => {}
                    Asked::Refused(reason) => {
                        return Err(CliError::Failure(format!("refused: {reason}")));
                    }
                    Asked::Waits => tracing::warn!(
                        "no instance of the service has answered: the request stands on the \
                         coordination topic and is heeded when one runs"
                    ),
                }
                Ok(())
            }
        }
    }
}

#[cfg(feature = "kafka")]
fn failed(error: RunError) -> CliError {
    CliError::Failure(error.to_string())
}

/// A time of the command line, or a span from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeOrSpan {
    Time(EventTime),
    Span(Seconds),
}

impl TimeOrSpan {
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Ok(span) = text.parse() {
            return Ok(TimeOrSpan::Span(span));
        }
        parse_time(text)
            .map(TimeOrSpan::Time)
            .map_err(|problem| format!("{problem}, or a span of time, 14d"))
    }

    /// The first whole minute at or after it, counted from `from`.
    pub fn after(self, from: Minute) -> Minute {
        match self {
            TimeOrSpan::Time(time) => first_minute_from(time),
            TimeOrSpan::Span(span) => {
                let minutes = span.0.div_ceil(60).min(u64::from(Minute::LAST.0)) as u32;
                Minute(from.0.saturating_add(minutes)).min(Minute::LAST)
            }
        }
    }
}

/// The first whole minute at or after `time`.
pub fn first_minute_from(time: EventTime) -> Minute {
    let minute = time.minute();
    Minute(minute.0 + u32::from(minute.start() < time))
}

/// The first minute in which a record is in force: as asked, or the one that begins next.
pub fn in_force_from(asked: Option<EventTime>) -> Minute {
    match asked {
        Some(time) => first_minute_from(time),
        None => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            let seconds = now.map_or(0, |since| since.as_secs());
            Minute((seconds / 60 + 1) as u32)
        }
    }
}

/// Data to standard output.
pub fn print(bytes: &[u8]) -> Result<Exit, CliError> {
    let mut target = Target::stdout();
    target.write(bytes)?;
    target.flush()?;
    Ok(Exit::Done)
}

pub fn parse_owner(text: &str) -> Result<String, String> {
    check_text("it", text, OWNER_BYTES_MAX).map(|()| text.to_string())
}

pub fn parse_reason(text: &str) -> Result<String, String> {
    check_text("it", text, REASON_BYTES_MAX).map(|()| text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_a_time_or_a_span() {
        let check = |text: &str, minute: u32| {
            let parsed = TimeOrSpan::parse(text).map(|one| one.after(Minute(100)).0);
            assert_eq!(parsed, Ok(minute), "{text}");
        };
        check("2h", 220);
        check("90s", 102);
        check("1970-01-01T02:00:01Z", 121);
        check("1970-01-02", 1440);
        assert!(TimeOrSpan::parse("soon").is_err());
    }
}
