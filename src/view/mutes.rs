//! Mutes at work: which insights are hidden, and what each mute hid.
//!
//! A muted insight is decided as always; only writing it is left out. Whether it is muted follows
//! from the insight itself, so nothing has to be remembered between a Start and its End.

use std::fmt;

use crate::model::{Edge, InsightEvent, Knowledge, Mute};

/// What is muted, and what that hid so far.
#[derive(Clone, Debug, Default)]
pub struct Mutes(Vec<MuteView>);

/// A mute with what it hid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MuteView {
    pub mute: Mute,
    pub starts: u64,
    pub ends: u64,
}

impl Mutes {
    pub fn new(knowledge: &[Knowledge]) -> Self {
        let mutes = Mute::all(knowledge).into_iter();
        let views = mutes.map(|mute| MuteView {
            mute,
            starts: 0,
            ends: 0,
        });
        Mutes(views.collect())
    }

    /// Whether an insight is hidden; of several mutes the first to be recorded counts it.
    pub fn hide(&mut self, event: &InsightEvent) -> bool {
        let Some(view) = self.0.iter_mut().find(|view| view.mute.hides(event)) else {
            return false;
        };
        match event.edge {
            Edge::Start => view.starts += 1,
            Edge::End => view.ends += 1,
        }
        true
    }

    /// All mutes, in the order in which they were recorded.
    pub fn views(&self) -> &[MuteView] {
        &self.0
    }
}

impl fmt::Display for MuteView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mute = &self.mute;
        write!(
            f,
            "{} {}: {} Start, {} End; until {}, by {}: {}",
            mute.id,
            mute.scope.name(),
            self.starts,
            self.ends,
            mute.until,
            mute.owner,
            mute.reason
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Direction, Known, Minute, Scope};

    const KEY: &str = "1,r,s,n,ApiCallRateInsight,";

    fn mute(account: &str, from: u32, until: u32) -> Knowledge {
        let scope = Scope::parse([Some(account), None, None, None, None, None], None).unwrap();
        let (scope, until) = (Box::new(scope), Minute(until));
        Knowledge::new(Minute(from), "me", "why", Known::Mute { scope, until })
    }

    fn unmute(of: &Knowledge, from: u32) -> Knowledge {
        let what = Known::Unmute { mute: of.id };
        Knowledge::new(Minute(from), "me", "why", what)
    }

    /// What is written of one pair for each minute at which the Start may be decided, as the first
    /// and last minute whose Start is hidden.
    fn check(knowledge: &[Knowledge], hidden: std::ops::Range<u32>) {
        let mut mutes = Mutes::new(knowledge);
        for at in 0..100 {
            let mut start = InsightEvent::sample(KEY, Edge::Start, at, at);
            start.start_decided_at = Minute(at);
            let mut end = InsightEvent::sample(KEY, Edge::End, at + 50, at + 55);
            end.start_decided_at = Minute(at);
            assert_eq!(mutes.hide(&start), hidden.contains(&at), "{at}");
            assert_eq!(mutes.hide(&end), hidden.contains(&at), "{at}");
        }
        let sums = mutes.views().iter();
        let (starts, ends) = sums.fold((0, 0), |sum, one| (sum.0 + one.starts, sum.1 + one.ends));
        assert_eq!((starts, ends), (hidden.len() as u64, hidden.len() as u64));
    }

    #[test]
    fn a_start_in_the_span_is_hidden_and_its_end_goes_with_it() {
        check(&[mute("1", 10, 20)], 10..20);
        check(&[mute("2", 10, 20)], 0..0);
    }

    #[test]
    fn a_removal_ends_a_mute_and_never_begins_one() {
        let one = mute("*", 10, 20);
        check(&[one.clone(), unmute(&one, 15)], 10..15);
        check(&[one.clone(), unmute(&one, 5)], 0..0);
        check(&[one.clone(), unmute(&one, 30)], 10..20);
        check(&[one.clone(), unmute(&mute("*", 1, 2), 15)], 10..20);
    }

    #[test]
    fn the_first_of_several_mutes_counts() {
        let knowledge = [mute("1", 10, 20), mute("*", 15, 25)];
        check(&knowledge, 10..25);
        let mut mutes = Mutes::new(&knowledge);
        let mut start = InsightEvent::sample(KEY, Edge::Start, 16, 16);
        start.start_decided_at = Minute(16);
        start.direction = Direction::Down;
        assert!(mutes.hide(&start));
        let starts: Vec<u64> = mutes.views().iter().map(|one| one.starts).collect();
        assert_eq!(starts, [1, 0]);
    }
}
