//! What the brokers are still to be asked about.
//!
//! All at once, as a rule. A single partition whose offset is not settled makes such a question run
//! into its time-out; after that they are asked for one by one, so that it holds up nobody else.

use std::collections::VecDeque;

/// Pause before the brokers are asked again.
const RETRY_MS: u64 = 500;

/// Things to ask about, in turn.
pub struct ToFind<T> {
    wanted: VecDeque<T>,
    not_before_ms: u64,
    is_singly: bool,
}

impl<T> ToFind<T> {
    pub fn new() -> Self {
        ToFind {
            wanted: VecDeque::new(),
            not_before_ms: 0,
            is_singly: false,
        }
    }

    pub fn push(&mut self, one: T) {
        self.wanted.push_back(one);
    }

    pub fn clear(&mut self) {
        self.wanted.clear();
    }

    pub fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        self.wanted.retain(keep);
    }

    /// What to ask about now.
    pub fn due(&mut self, now_ms: u64) -> Vec<T> {
        if now_ms < self.not_before_ms {
            return Vec::new();
        }
        self.is_singly &= !self.wanted.is_empty();
        let most = if self.is_singly { 1 } else { self.wanted.len() };
        self.wanted.drain(..most).collect()
    }

    /// There was no answer about these.
    pub fn failed(&mut self, these: impl IntoIterator<Item = T>, now_ms: u64) {
        let before = self.wanted.len();
        self.wanted.extend(these);
        self.is_singly |= self.wanted.len() > 1;
        // The others have their turn at once.
        if before == 0 || !self.is_singly {
            self.not_before_ms = now_ms + RETRY_MS;
        }
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
        assert_eq!(to_find.due(RETRY_MS), [0]);
        to_find.failed([0], RETRY_MS);
        assert!(to_find.due(RETRY_MS + 1).is_empty());
    }
}
