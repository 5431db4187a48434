//! Starts with their Ends, as a run says them, up to a limit.

use std::collections::HashMap;

use uuid::Uuid;

use super::ExplainedPair;
use crate::model::{Edge, InsightEvent};

/// Pairs in the order of their Starts.
#[derive(Clone, Debug, Default)]
pub struct InsightPairs {
    pairs: Vec<ExplainedPair>,
    places: HashMap<Uuid, usize>,
    pairs_max: usize,
    left_out: u64,
}

impl InsightPairs {
    /// Keeps the first `pairs_max`.
    pub fn new(pairs_max: u64) -> Self {
        InsightPairs {
            pairs_max: usize::try_from(pairs_max).unwrap_or(usize::MAX),
            ..InsightPairs::default()
        }
    }

    pub fn see(&mut self, events: &[InsightEvent]) {
        for event in events {
            match event.edge {
                Edge::Start if self.pairs.len() >= self.pairs_max => self.left_out += 1,
                Edge::Start => {
                    self.places.insert(event.shared_event_id, self.pairs.len());
                    self.pairs.push(ExplainedPair {
                        start: event.clone(),
                        end: None,
                    });
                }
                Edge::End => {
                    if let Some(place) = self.places.get(&event.shared_event_id) {
                        self.pairs[*place].end = Some(event.clone());
                    }
                }
            }
        }
    }

    pub fn pairs(&self) -> &[ExplainedPair] {
        &self.pairs
    }

    /// The pair with this shared identifier.
    pub fn find(&self, shared_event_id: Uuid) -> Option<&ExplainedPair> {
        let place = self.places.get(&shared_event_id)?;
        self.pairs.get(*place)
    }

    /// Starts over the limit.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}
