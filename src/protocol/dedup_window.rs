//! From where a source has to be read again, so that duplicates are still recognised.
//!
//! Offsets come in order, event times nearly so. Runs of messages are remembered with the highest
//! event time in them; a run whose highest lies before the horizon holds no id that still matters.

use std::collections::VecDeque;

use crate::model::EventTime;

/// Messages in a run.
const RUN_MESSAGES: u64 = 256;

#[derive(Clone, Debug, Default)]
pub(super) struct DedupWindow {
    /// First offset of each run and the highest event time in it.
    runs: VecDeque<(u64, EventTime)>,
}

impl DedupWindow {
    /// Takes in a message with the highest time of its events.
    pub fn add(&mut self, offset: u64, highest: EventTime) {
        match self.runs.back_mut() {
            Some((first, time)) if offset - *first < RUN_MESSAGES => *time = (*time).max(highest),
            _ => self.runs.push_back((offset, highest)),
        }
    }

    /// Forgets runs without an event at or after `horizon`; the offset to read from again, at most
    /// `next`.
    pub fn from(&mut self, horizon: EventTime, next: u64) -> u64 {
        while self.runs.front().is_some_and(|(_, time)| *time < horizon) {
            self.runs.pop_front();
        }
        self.runs.front().map_or(next, |(first, _)| *first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_before_the_horizon_is_not_read_again() {
        let time = |seconds| EventTime::from_seconds(1_700_000_000 + seconds).unwrap();
        let mut window = DedupWindow::default();
        for offset in 0..10_000u64 {
            // One message a second, a few of them late.
            let late = if offset % 7 == 0 { 5 } else { 0 };
            window.add(offset, time(offset as i64 - late));
        }
        let from = window.from(time(9_000), 10_000);
        assert!((9_000 - 2 * RUN_MESSAGES..=9_000).contains(&from), "{from}");
        assert_eq!(window.from(time(20_000), 10_000), 10_000);
    }
}
