//! Looks closely at some series: every bucket of a span, and what its verdict was made of.
//!
//! A watched series is judged at every bucket of the span, silent or not. To judge a bucket in vain
//! changes no decision, so watching changes none. A watch is no part of an engine's state.

use std::collections::HashMap;
use std::ops::Range;

use super::clock::Clock;
use super::engine::Engine;
use super::fleet::Thresholds;
use super::registry::Registry;
use super::score_rows::score_state;
use super::verdict::Verdict;
use crate::model::{Fingerprint, Judgement, Minute, Reasons};

/// What is asked of one series.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Spans in which every minute is wanted, in any order.
    pub spans: Vec<Range<Minute>>,
    /// Minutes of them that are wanted with their reasons.
    pub with_reasons: Vec<Minute>,
}

/// Who is watched, and what was seen.
#[derive(Debug, Default)]
pub struct Watch {
    asked: HashMap<Fingerprint, Asked>,
    seen: Vec<(Fingerprint, Judgement)>,
    /// Thresholds by hour since 1970; `None` where nobody wants them.
    in_force: Option<Vec<(u32, Thresholds)>>,
}

/// The watch on one series at one bucket, if there is any.
pub struct Watched<'a>(Option<Watching<'a>>);

struct Watching<'a> {
    asked: &'a Asked,
    seen: &'a mut Vec<(Fingerprint, Judgement)>,
    fingerprint: Fingerprint,
    clock: Clock,
    reasons: Option<Box<Reasons>>,
}

impl Watch {
    /// The watch on a series at bucket `t`.
    pub fn of(&mut self, id: u32, keys: &Registry, clock: Clock, t: u32) -> Watched<'_> {
        if self.asked.is_empty() {
            return Watched(None);
        }
        let fingerprint = keys.fingerprint(id);
        let watching = self.asked.get(&fingerprint).map(|asked| Watching {
            asked,
            seen: &mut self.seen,
            fingerprint,
            clock,
            reasons: asked
                .with_reasons
                .contains(&clock.minute(t))
                .then(Box::default),
        });
        Watched(watching)
    }

    /// An hour begins, counted since 1970.
    pub fn begin(&mut self, hour: u32, thresholds: Option<&Thresholds>) {
        if let Some(in_force) = &mut self.in_force {
            in_force.extend(thresholds.map(|thresholds| (hour, thresholds.clone())));
        }
    }
}

impl Watched<'_> {
    /// Where the reasons of this bucket are wanted.
    pub fn reasons(&mut self) -> Option<&mut Reasons> {
        self.0.as_mut()?.reasons.as_deref_mut()
    }

    /// Notes the verdict. Returns when the series is to be judged next, where it is due at `due`.
    pub fn see(self, verdict: &Verdict, due: u32) -> u32 {
        self.0.map_or(due, |watching| watching.see(verdict, due))
    }
}

impl Watching<'_> {
    fn see(self, verdict: &Verdict, due: u32) -> u32 {
        let minute = self.clock.minute(verdict.t);
        let spans = &self.asked.spans;
        if spans.iter().any(|span| span.contains(&minute)) {
            let (low, high) = verdict.expected_range();
            let judgement = Judgement {
                minute,
                count: verdict.count,
                expected: verdict.expected,
                low,
                high,
                surprise: verdict.surprise,
                z: verdict.z,
                state: score_state(verdict.phase),
                reasons: self.reasons,
            };
            self.seen.push((self.fingerprint, judgement));
        }
        let next = self.clock.minute(verdict.t + 1);
        let ahead = spans.iter().filter(|span| span.end > next);
        let first = ahead.map(|span| span.start.max(next)).min();
        first.map_or(due, |first| due.min(self.clock.bucket(first)))
    }
}

impl Engine {
    /// Watches a series from now on, whether it is known already or not.
    pub fn watch(&mut self, series: Fingerprint, asked: Asked) {
        self.watch.asked.insert(series, asked);
    }

    /// What was seen of the watched series since the last call, by minute.
    pub fn take_judgements(&mut self) -> Vec<(Fingerprint, Judgement)> {
        std::mem::take(&mut self.watch.seen)
    }

    /// Remembers the thresholds from now on.
    pub fn note_thresholds(&mut self) {
        self.watch.in_force = Some(Vec::new());
    }

    /// Thresholds that were in force, by hour since 1970, oldest first; none where it is fixed.
    pub fn thresholds_noted(&self) -> &[(u32, Thresholds)] {
        self.watch.in_force.as_deref().unwrap_or_default()
    }
}
