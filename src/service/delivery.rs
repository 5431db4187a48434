//! What becomes of insights after they are decided: they are muted or written, and grouped into
//! stories.
//!
//! Nothing here changes what is decided. Stories are made of the insights that are written.

use crate::config::Settings;
use crate::model::{Edge, InsightEvent, Knowledge, Minute};
use crate::sink::{InsightSink, SinkError, StorySink};
use crate::view::{LargestStories, MuteView, Mutes, Stories, StoriesView, Story};

/// Stories that a summary names.
const LARGEST_MAX: usize = 5;

/// Hands insights on to where they are wanted.
pub struct Delivery {
    insights: InsightSink,
    mutes: Mutes,
    to_stories: Option<StorySink>,
    stories: Stories,
    largest: LargestStories,
    /// Starts that stories are made of.
    starts: u64,
    withheld: u64,
    ended: Vec<Story>,
    written: Vec<InsightEvent>,
}

impl Delivery {
    pub fn new(
        settings: &Settings,
        knowledge: &[Knowledge],
        insights: InsightSink,
        to_stories: Option<StorySink>,
    ) -> Self {
        Delivery {
            insights,
            mutes: Mutes::new(knowledge),
            to_stories,
            stories: Stories::new(settings.stories),
            largest: LargestStories::new(LARGEST_MAX),
            starts: 0,
            withheld: 0,
            ended: Vec::new(),
            written: Vec::new(),
        }
    }

    /// Takes insights in the order in which they were decided.
    pub fn write(&mut self, events: &[InsightEvent]) -> Result<(), SinkError> {
        self.written.clear();
        for event in events {
            if !self.insights.wants(event) {
                self.withheld += 1;
            } else if !self.mutes.hide(event) {
                self.written.push(event.clone());
            }
        }
        let starts = self.written.iter();
        let starts = starts.filter(|event| event.edge == Edge::Start);
        self.starts += starts.count() as u64;
        self.stories.take(&self.written, &mut self.ended);
        self.insights.write(&self.written)?;
        self.write_ended()
    }

    /// No more insights come; `closed` is the first minute that is not decided.
    pub fn finish(&mut self, closed: Option<Minute>) -> Result<(), SinkError> {
        if let Some(closed) = closed {
            self.stories.pass(closed, &mut self.ended);
        }
        self.stories.finish(&mut self.ended);
        self.write_ended()?;
        self.insights.flush()
    }

    /// Insights decided before the minute asked for.
    pub fn withheld(&self) -> u64 {
        self.withheld
    }

    /// What each mute hid, of insights that would have been written.
    pub fn mutes(&self) -> &[MuteView] {
        self.mutes.views()
    }

    /// Stories so far, those that have ended and are largest by name.
    pub fn stories(&self) -> StoriesView {
        StoriesView {
            starts: self.starts,
            stories: self.stories.begun(),
            largest: self.largest.stories().to_vec(),
        }
    }

    /// Bounds of stories that were reached, with how often.
    pub fn limits(&self) -> [(&'static str, u64); 2] {
        [
            ("stories ended early", self.stories.cut_short()),
            ("insights not listed in stories", self.stories.unlisted()),
        ]
    }

    fn write_ended(&mut self) -> Result<(), SinkError> {
        for story in &self.ended {
            self.largest.see(story);
        }
        if let Some(sink) = &mut self.to_stories {
            sink.write(&self.ended)?;
        }
        self.ended.clear();
        Ok(())
    }
}
