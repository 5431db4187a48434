//! Which file of its stream an event came from, told by the event's index in the stream.
//!
//! An event whose time is not believed is rejected only when the next one is known, and that one
//! may come from a later file. Files whose events are all settled are forgotten.

use std::collections::VecDeque;
use std::sync::Arc;

/// The files of one stream whose events may still be asked for.
#[derive(Debug, Default)]
pub(super) struct StreamFiles {
    /// Files with the index of their first event.
    files: VecDeque<(u64, Arc<str>)>,
    events: u64,
}

impl StreamFiles {
    /// Takes in that the next `events` events come from `file`. Of those before only the last
    /// may still be unsettled.
    pub fn add(&mut self, file: Arc<str>, events: usize) {
        let unsettled = self.events.saturating_sub(1);
        while self
            .files
            .get(1)
            .is_some_and(|(first, _)| *first <= unsettled)
        {
            self.files.pop_front();
        }
        if self.files.back().is_none_or(|(_, last)| *last != file) {
            self.files.push_back((self.events, file));
        }
        self.events += events as u64;
    }

    pub fn file_of(&self, event_index: u64) -> &str {
        let mut files = self.files.iter().rev();
        let found = files.find(|(first, _)| *first <= event_index);
        found.map_or("", |(_, file)| file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_event_of_a_file_is_known_after_empty_files() {
        let mut files = StreamFiles::default();
        for (file, events) in [("a", 2), ("a", 1), ("b", 0), ("c", 0), ("d", 2)] {
            files.add(file.into(), events);
        }
        assert_eq!(files.file_of(2), "a");
        assert_eq!(files.file_of(3), "d");
        files.add("e".into(), 1);
        assert_eq!(files.files.len(), 2);
        assert_eq!(files.file_of(4), "d");
        assert_eq!(files.file_of(5), "e");
    }
}
