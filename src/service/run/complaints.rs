//! Troubles that go on are told once, and again from time to time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How often the same trouble is told.
const AGAIN: Duration = Duration::from_secs(60);
/// Different troubles remembered.
const TROUBLES_MAX: usize = 64;

/// What was complained of, and when last.
#[derive(Default)]
pub struct Complaints(BTreeMap<String, Instant>);

impl Complaints {
    /// Warns of a trouble, unless that was done a short while ago.
    pub fn warn(&mut self, text: &str) {
        let now = Instant::now();
        if self
            .0
            .get(text)
            .is_some_and(|told| now.duration_since(*told) < AGAIN)
        {
            return;
        }
        if self.0.len() >= TROUBLES_MAX {
            self.0.clear();
        }
        self.0.insert(text.to_string(), now);
        tracing::warn!("{text}");
    }

    /// Things are well again: the next trouble is told at once.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}
