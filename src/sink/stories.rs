//! Stories, one line of JSON each.

use super::{SinkError, Target};
use crate::view::Story;

/// Writes stories.
pub struct StorySink {
    target: Target,
}

impl StorySink {
    pub fn new(target: Target) -> Self {
        StorySink { target }
    }

    /// Stories are as rare as insights and are not held back.
    pub fn write(&mut self, stories: &[Story]) -> Result<(), SinkError> {
        for story in stories {
            let mut line = serde_json::to_vec(story).expect("a story is plain text and numbers");
            line.push(b'\n');
            self.target.write(&line)?;
        }
        self.target.flush()
    }
}
