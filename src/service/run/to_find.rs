//! What the brokers are still to be asked about.
//!
//! All at once, as a rule. A single partition whose offset is not settled makes such a question run
//! into its time-out; after that they are asked for one by one, so that it holds up nobody else.

use std::collections::VecDeque;

/// Pause before the brokers are asked again.
const RETRY_MS: u64 = 500;

/// Things to ask about, in turn.
pub struct ToFind<T> {
    /// Each with the time before which it is not asked about.
    wanted: VecDeque<(u64, T)>,
    is_singly: bool,
}

impl<T> ToFind<T> {
    pub fn new() -> Self {
        ToFind {
            wanted: VecDeque::new(),
            is_singly: false,
        }
    }

    pub fn push(&mut self, one: T) {
        self.wanted.push_back((0, one));
    }

    pub fn clear(&mut self) {
        self.wanted.clear();
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.wanted.retain(|(_, one)| keep(one));
    }

    /// What to ask about now.
    pub fn due(&mut self, now_ms: u64) -> Vec<T> {
        self.is_singly &= !self.wanted.is_empty();
        let most = if self.is_singly { 1 } else { usize::MAX };
        let (mut due, mut later) = (Vec::new(), VecDeque::new());
        for (not_before_ms, one) in self.wanted.drain(..) {
            if not_before_ms <= now_ms && due.len() < most {
                due.push(one);
            } else {
                later.push_back((not_before_ms, one));
            }
        }
        self.wanted = later;
        due
    }

    /// There was no answer about these.
    pub fn failed(&mut self, these: impl IntoIterator<Item = T>, now_ms: u64) {
        let again = these.into_iter().map(|one| (now_ms + RETRY_MS, one));
        self.wanted.extend(again);
        self.is_singly |= self.wanted.len() > 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_without_an_answer_holds_up_nobody() {
        let mut to_find = ToFind::new();
        for one in 0..3 {
            to_find.push(one);
        }
        let all = to_find.due(0);
        assert_eq!(all, [0, 1, 2]);
        to_find.failed(all, 0);
        assert!(to_find.due(RETRY_MS - 1).is_empty());
        assert_eq!(to_find.due(RETRY_MS), [0]);
        to_find.failed([0], RETRY_MS);
        assert_eq!(to_find.due(RETRY_MS), [1]);
        assert_eq!(to_find.due(RETRY_MS), [2]);
        assert!(to_find.due(2 * RETRY_MS - 1).is_empty());
        assert_eq!(to_find.due(2 * RETRY_MS), [0]);
    }

    /// Two partitions whose checkpoints could not be read were asked about without a pause, and
    /// wrote dozens of warnings a second.
    #[test]
    fn several_without_an_answer_wait_before_they_are_asked_about_again() {
        let mut to_find = ToFind::new();
        to_find.push('a');
        to_find.push('b');
        let all = to_find.due(0);
        to_find.failed(all, 0);
        let mut asked = 0;
        for now_ms in 0..10 * RETRY_MS {
            let due = to_find.due(now_ms);
            asked += due.len();
            to_find.failed(due, now_ms);
        }
        assert!((10..=20).contains(&asked), "{asked}");
    }
}
