//! What people know better than the data, from text to what the pure rooms understand.

use super::knowledge_written::{WrittenKnowledge, WrittenStories};
use super::settings::{Problem, problem};
use crate::model::KnowledgeLimits;
use crate::view::StorySettings;

/// Where knowledge is kept, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnowledgeSettings {
    pub path: Option<String>,
    pub records_max: usize,
    pub bytes_max: u64,
}

impl KnowledgeSettings {
    pub fn limits(&self) -> KnowledgeLimits {
        KnowledgeLimits {
            bytes_max: self.bytes_max,
            records_max: self.records_max,
        }
    }
}

/// Where knowledge is kept.
pub fn place(written: &WrittenKnowledge) -> Result<KnowledgeSettings, Problem> {
    if written.path.as_ref().is_some_and(String::is_empty) {
        let text = "it names no file; leave it out to know nothing";
        return Err(problem("knowledge.path", text));
    }
    if !(1..=1_000_000).contains(&written.records_max) {
        let text = format!("{} is not between 1 and 1000000", written.records_max);
        return Err(problem("knowledge.records_max", text));
    }
    if !(1024..=1 << 30).contains(&written.bytes_max) {
        let text = format!("{} is not between 1024 and {}", written.bytes_max, 1 << 30);
        return Err(problem("knowledge.bytes_max", text));
    }
    Ok(KnowledgeSettings {
        path: written.path.clone(),
        records_max: written.records_max as usize,
        bytes_max: written.bytes_max,
    })
}

/// How insights are grouped.
pub fn stories(stories: &WrittenStories) -> Result<StorySettings, Problem> {
    let within = stories.within;
    if !within.0.is_multiple_of(60) || !(60..=86_400).contains(&within.0) {
        let text = format!("{within} is not a number of whole minutes between 1m and 1d");
        return Err(problem("stories.within", text));
    }
    for (key, value) in [
        ("stories.open_max", stories.open_max),
        ("stories.insights_max", stories.insights_max),
    ] {
        if !(1..=1_000_000).contains(&value) {
            return Err(problem(
                key,
                format!("{value} is not between 1 and 1000000"),
            ));
        }
    }
    Ok(StorySettings {
        within: (within.0 / 60) as u32,
        open_max: stories.open_max,
        insights_max: stories.insights_max,
    })
}
