//! What one partition of the rates log has heard of what people know, and what that hides.
//!
//! A partition hears of each record at a place of its log, so that what it does with it follows
//! from the log. Records are numbered through and stand on the coordination topic in that order:
//! the number heard so far names them all, and is what a checkpoint holds. Nothing that was decided
//! is opened again: a record that comes late is in force from the first minute that is not closed.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::{Feedback, InsightEvent, Knowledge, Known, Minute, Scope};

/// What a partition has heard, as a checkpoint holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The first so many of the records on the coordination topic.
    pub count: u32,
    /// Number of each mute or removal that came late, and the minute from which it is in force.
    pub late: Vec<(u32, u32)>,
}

/// What a partition has heard, with what is needed of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Hearing {
    heard: Heard,
    mutes: Vec<HeardMute>,
}

/// A mute in force in one partition.
#[derive(Clone, Debug)]
struct HeardMute {
    record: Arc<Knowledge>,
    span: Range<Minute>,
}

impl HeardMute {
    fn scope(&self) -> Option<&Scope> {
        match &self.record.what {
            Known::Mute { scope, .. } => Some(scope),
            Known::Unmute { .. } | Known::Feedback { .. } => None,
        }
    }

    /// Start and End both go by when the Start was decided.
    fn hides(&self, event: &InsightEvent) -> bool {
        self.span.contains(&event.start_decided_at)
            && self
                .scope()
                .is_some_and(|scope| scope.matches(event.series.as_ref(), event.direction))
    }
}

impl Hearing {
    /// What a partition knows that had heard so much of `known`; with the feedback among it, which
    /// is its engine's.
    pub fn restored(heard: &Heard, known: &[Arc<Knowledge>]) -> (Self, Vec<Feedback>) {
        let mut hearing = Hearing::default();
        let mut feedback = Vec::new();
        let mut late = heard.late.iter().copied().peekable();
        for record in known.iter().take(heard.count as usize) {
            let number = hearing.heard.count;
            let closed = late.next_if(|(of, _)| *of == number).map(|(_, from)| from);
            feedback.extend(hearing.hear(record, closed.map(Minute)));
        }
        (hearing, feedback)
    }

    /// Hears the next record; `closed` is the first minute that is not closed. What it says as
    /// feedback, if it is some.
    pub fn hear(&mut self, record: &Arc<Knowledge>, closed: Option<Minute>) -> Option<Feedback> {
        let number = self.heard.count;
        self.heard.count += 1;
        let from = record.from.max(closed.unwrap_or_default());
        match &record.what {
            Known::Mute { until, .. } => self.mutes.push(HeardMute {
                record: Arc::clone(record),
                span: from..*until,
            }),
            Known::Unmute { mute } => {
                for other in self.mutes.iter_mut().filter(|one| one.record.id == *mute) {
                    let end = from.max(other.span.start);
                    other.span.end = other.span.end.min(end);
                }
            }
            // The engine heeds it when an hour begins, so it cannot come late.
            Known::Feedback { .. } => return Feedback::of(record),
        }
        if from > record.from {
            self.heard.late.push((number, from.0));
        }
        None
    }

    pub fn heard(&self) -> &Heard {
        &self.heard
    }

    /// The mute that hides an insight; of several the first to be recorded.
    pub fn mute_of(&self, event: &InsightEvent) -> Option<Uuid> {
        let mute = self.mutes.iter().find(|mute| mute.hides(event));
        mute.map(|mute| mute.record.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Edge, Mute, Said};

    const KEY: &str = "1,r,s,n,ApiCallRateInsight,";

    fn mute(account: &str, from: u32, until: u32) -> Arc<Knowledge> {
        let scope = Scope::parse([Some(account), None, None, None, None, None], None).unwrap();
        let (scope, until) = (Box::new(scope), Minute(until));
        let what = Known::Mute { scope, until };
        Arc::new(Knowledge::new(Minute(from), "me", "why", what))
    }

    fn unmute(of: &Knowledge, from: u32) -> Arc<Knowledge> {
        let what = Known::Unmute { mute: of.id };
        Arc::new(Knowledge::new(Minute(from), "me", "why", what))
    }

    /// Both ends of an insight whose Start was decided in a minute.
    fn pair(at: u32) -> [InsightEvent; 2] {
        [(Edge::Start, at), (Edge::End, at + 50)].map(|(edge, decided)| {
            let mut event = InsightEvent::sample(KEY, edge, at, decided);
            event.start_decided_at = Minute(at);
            event
        })
    }

    /// Which Starts are hidden by records heard each with a first minute that is not closed.
    fn hidden(records: &[(Arc<Knowledge>, Option<u32>)]) -> Vec<u32> {
        let mut hearing = Hearing::default();
        for (record, closed) in records {
            hearing.hear(record, closed.map(Minute));
        }
        let hides = |hearing: &Hearing, at: u32| {
            let [start, end] = pair(at);
            assert_eq!(hearing.mute_of(&start), hearing.mute_of(&end), "{at}");
            hearing.mute_of(&start).is_some()
        };
        // Whoever takes the partition over knows the same.
        let known: Vec<_> = records.iter().map(|(record, _)| record.clone()).collect();
        let (restored, _) = Hearing::restored(hearing.heard(), &known);
        assert_eq!(restored.heard(), hearing.heard());
        for at in 0..100 {
            assert_eq!(hides(&restored, at), hides(&hearing, at), "{at}");
        }
        (0..100).filter(|at| hides(&hearing, *at)).collect()
    }

    fn range(range: Range<u32>) -> Vec<u32> {
        range.collect()
    }

    #[test]
    fn what_is_heard_in_time_hides_what_a_replay_would_hide() {
        let one = mute("1", 10, 20);
        let cases = [
            vec![one.clone()],
            vec![one.clone(), unmute(&one, 15)],
            vec![one.clone(), unmute(&one, 5)],
            vec![one.clone(), unmute(&one, 30), mute("*", 40, 45)],
            vec![mute("2", 10, 20)],
        ];
        for records in cases {
            let mutes = Mute::all(
                &records
                    .iter()
                    .map(|one| (**one).clone())
                    .collect::<Vec<_>>(),
            );
            let by_replay = (0..100).filter(|at| {
                let [start, _] = pair(*at);
                mutes.iter().any(|mute| mute.hides(&start))
            });
            let by_replay: Vec<u32> = by_replay.collect();
            let heard: Vec<_> = records.into_iter().map(|one| (one, Some(3))).collect();
            assert_eq!(hidden(&heard), by_replay);
        }
    }

    /// Nothing that was published or hidden is half a pair: what comes late counts from the first
    /// minute that is not closed.
    #[test]
    fn what_comes_late_opens_no_decision_again() {
        let one = mute("1", 10, 40);
        assert_eq!(hidden(&[(one.clone(), None)]), range(10..40));
        assert_eq!(hidden(&[(one.clone(), Some(25))]), range(25..40));
        assert!(hidden(&[(one.clone(), Some(60))]).is_empty());
        let late_removal = [(one.clone(), Some(0)), (unmute(&one, 15), Some(30))];
        assert_eq!(hidden(&late_removal), range(10..30));
        let both_late = [(one.clone(), Some(20)), (unmute(&one, 15), Some(20))];
        assert!(hidden(&both_late).is_empty());
    }

    #[test]
    fn feedback_is_handed_on_in_its_order() {
        let said = |number: u128| {
            let insight = Uuid::from_u128(number);
            let what = Known::Feedback {
                insight,
                said: Said::True,
            };
            Arc::new(Knowledge::new(Minute(1), "me", "why", what))
        };
        let known = [said(1), mute("1", 1, 2), said(2), said(3)];
        let heard = Heard {
            count: 3,
            late: Vec::new(),
        };
        let (_, feedback) = Hearing::restored(&heard, &known);
        let insights: Vec<u128> = feedback.iter().map(|one| one.insight).collect();
        assert_eq!(insights, [1, 2]);
    }
}
