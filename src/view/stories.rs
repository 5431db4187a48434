//! Insights grouped because one cause may explain them: Starts of one account close in time.
//!
//! A story begins with a Start that no open story of its account takes in; it takes in every Start
//! of the account decided less than `within` minutes after its first one. The span counts from
//! the first Start and not from the last, so that a story has an end that is known when it begins,
//! however restless its account is. Stories stand beside the records and never in them: nothing
//! that is decided or written depends on them.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use uuid::Uuid;

use crate::model::{Direction, Edge, InsightEvent, Minute, roll_up_in_words};

/// How Starts are grouped, and what a story holds at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorySettings {
    /// Minutes from a story's first Start in which others join it, that minute included.
    pub within: u32,
    /// Stories open at once; over it the oldest ends early.
    pub open_max: u32,
    /// Insights listed in one story; over it they are only counted.
    pub insights_max: u32,
}

/// Starts of one account that belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Story {
    /// UUIDv5 of `Story` in the namespace of the first Start's shared event id.
    pub story_id: Uuid,
    pub account: String,
    /// Earliest first unusual minute of its insights.
    #[serde(serialize_with = "time")]
    pub event_time: Minute,
    /// When its first and its last Start so far were decided.
    #[serde(serialize_with = "time")]
    pub first_decided_at: Minute,
    #[serde(serialize_with = "time")]
    pub last_decided_at: Minute,
    /// Starts of it, listed or not.
    pub starts: u64,
    /// Starts of each API, as `eventSource:eventName`; as many APIs as insights are listed.
    pub apis: BTreeMap<String, u64>,
    /// In the order in which they were decided, the first `insights_max` of them.
    pub insights: Vec<StoryInsight>,
    /// Time went past it, so that it takes in no more.
    pub is_complete: bool,
}

/// One Start of a story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoryInsight {
    #[serde(rename = "sharedEventID")]
    pub shared_event_id: Uuid,
    pub series: String,
    #[serde(serialize_with = "direction")]
    pub direction: Direction,
    #[serde(serialize_with = "time")]
    pub decided_at: Minute,
}

/// Groups insights, taken in the order in which they were decided.
#[derive(Clone, Debug)]
pub struct Stories {
    settings: StorySettings,
    /// By first decision; each with its account in `by_account` while it is open.
    open: VecDeque<Story>,
    /// Number of the story that is open for an account, counted from the first of all.
    by_account: BTreeMap<String, u64>,
    /// Stories that are not open any more.
    ended: u64,
    /// Stories ended early because too many were open.
    cut_short: u64,
    /// Starts that were counted and not listed.
    unlisted: u64,
}

impl Default for StorySettings {
    fn default() -> Self {
        StorySettings {
            within: 10,
            open_max: 10_000,
            insights_max: 1_000,
        }
    }
}

impl Stories {
    pub fn new(settings: StorySettings) -> Self {
        Stories {
            settings,
            open: VecDeque::new(),
            by_account: BTreeMap::new(),
            ended: 0,
            cut_short: 0,
            unlisted: 0,
        }
    }

    /// Takes in insights; stories that end are added to `ended`, in the order of their beginnings.
    pub fn take(&mut self, insights: &[InsightEvent], ended: &mut Vec<Story>) {
        for event in insights.iter().filter(|event| event.edge == Edge::Start) {
            self.pass(event.decided_at, ended);
            self.add(event);
            if self.open.len() > self.settings.open_max as usize {
                self.cut_short += 1;
                let oldest = self.end_first(false);
                ended.push(oldest);
            }
        }
    }

    /// Ends the stories that no Start decided at `now` or later can join.
    pub fn pass(&mut self, now: Minute, ended: &mut Vec<Story>) {
        let within = self.settings.within;
        while let Some(first) = self.open.front() {
            if now.0 < first.first_decided_at.0.saturating_add(within) {
                return;
            }
            let first = self.end_first(true);
            ended.push(first);
        }
    }

    /// No more insights come: gives the stories that are still open.
    pub fn finish(&mut self, ended: &mut Vec<Story>) {
        while !self.open.is_empty() {
            let first = self.end_first(false);
            ended.push(first);
        }
    }

    /// Stories that began so far.
    pub fn begun(&self) -> u64 {
        self.ended + self.open.len() as u64
    }

    /// Stories that ended early because more than `open_max` were open.
    pub fn cut_short(&self) -> u64 {
        self.cut_short
    }

    /// Starts that stories count and do not list.
    pub fn unlisted(&self) -> u64 {
        self.unlisted
    }

    fn add(&mut self, event: &InsightEvent) {
        let series = &event.series;
        let number = match self.by_account.get(&*series.account) {
            Some(number) => *number,
            None => {
                let number = self.begun();
                self.by_account.insert(series.account.to_string(), number);
                self.open.push_back(Story::new(event));
                number
            }
        };
        let story = &mut self.open[(number - self.ended) as usize];
        story.starts += 1;
        story.event_time = story.event_time.min(event.minute);
        story.last_decided_at = event.decided_at;
        let insights_max = self.settings.insights_max as usize;
        let api = format!("{}:{}", series.event_source, series.event_name);
        if let Some(starts) = story.apis.get_mut(&api) {
            *starts += 1;
        } else if story.apis.len() < insights_max {
            story.apis.insert(api, 1);
        }
        if story.insights.len() >= insights_max {
            self.unlisted += 1;
            return;
        }
        story.insights.push(StoryInsight {
            shared_event_id: event.shared_event_id,
            series: series.to_string(),
            direction: event.direction,
            decided_at: event.decided_at,
        });
    }

    fn end_first(&mut self, is_complete: bool) -> Story {
        let mut story = self.open.pop_front().expect("a story is open");
        self.by_account.remove(&story.account);
        self.ended += 1;
        story.is_complete = is_complete;
        story
    }
}

impl Story {
    fn new(event: &InsightEvent) -> Self {
        Story {
            story_id: Uuid::new_v5(&event.shared_event_id, b"Story"),
            account: event.series.account.to_string(),
            event_time: event.minute,
            first_decided_at: event.decided_at,
            last_decided_at: event.decided_at,
            starts: 0,
            apis: BTreeMap::new(),
            insights: Vec::new(),
            is_complete: false,
        }
    }

    /// APIs with most Starts first, at most `count`, as one line.
    pub fn main_apis(&self, count: usize) -> String {
        let mut apis: Vec<(&String, &u64)> = self.apis.iter().collect();
        apis.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let more = apis.len().saturating_sub(count);
        let names: Vec<String> = apis
            .into_iter()
            .take(count)
            .map(|(api, starts)| match starts {
                1 => self.in_words(api),
                starts => format!("{} ({starts})", self.in_words(api)),
            })
            .collect();
        match more {
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
    }

    /// A name of [`Self::apis`]; what a roll-up adds up over is said.
    fn in_words(&self, api: &str) -> String {
        let (source, name) = api.split_once(':').unwrap_or(("", api));
        roll_up_in_words(&self.account, source, name).unwrap_or_else(|| api.to_string())
    }
}

/// The stories with most Starts, of all that were seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LargestStories {
    count_max: usize,
    /// Most Starts first, then in the order of their beginnings.
    stories: Vec<Story>,
}

impl LargestStories {
    pub fn new(count_max: usize) -> Self {
        LargestStories {
            count_max,
            stories: Vec::new(),
        }
    }

    pub fn see(&mut self, story: &Story) {
        let place = self
            .stories
            .partition_point(|other| other.starts >= story.starts);
        if place < self.count_max {
            self.stories.insert(place, story.clone());
            self.stories.truncate(self.count_max);
        }
    }

    pub fn stories(&self) -> &[Story] {
        &self.stories
    }
}

fn time<S: serde::Serializer>(minute: &Minute, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(minute)
}

fn direction<S: serde::Serializer>(value: &Direction, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(value.name())
}

#[cfg(test)]
#[path = "stories_tests.rs"]
mod tests;
