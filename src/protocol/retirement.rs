//! When a source is gone for good, so that time need not wait for it.
//!
//! A topic may be deleted or taken out of the configuration. Whoever leads looks at all sources
//! that time waits for, again and again; one that has been absent without a break for long enough,
//! and that nobody has committed meanwhile, is retired. What cannot be seen is not absent.

use std::collections::BTreeMap;

use super::coordination::Coordination;
use super::coordination_record::{CoordinationRecord, SourceName};

/// What a look at a source has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sighting {
    Present,
    /// It is no partition of a topic that is to be read. Where it is read by an instance with other
    /// settings, what is committed of it moves.
    Absent {
        committed: Option<(u64, String)>,
    },
    /// Brokers did not say.
    Unknown,
}

/// Sources that are absent, and since when.
#[derive(Clone, Debug)]
pub struct Retirement {
    after_ms: u64,
    absent: BTreeMap<SourceName, Absence>,
}

#[derive(Clone, Debug)]
struct Absence {
    since_ms: u64,
    committed: Option<(u64, String)>,
}

impl Retirement {
    /// Sources are retired after being absent for `after_ms` milliseconds.
    pub fn new(after_ms: u64) -> Self {
        Retirement {
            after_ms,
            absent: BTreeMap::new(),
        }
    }

    /// Takes what was seen at `now_ms`, in milliseconds of a clock that does not go back; the
    /// record that retires whoever is gone.
    pub fn look(
        &mut self,
        coordination: &Coordination,
        seen: impl Fn(&SourceName) -> Sighting,
        now_ms: u64,
    ) -> Option<CoordinationRecord> {
        let mut names = Vec::new();
        let mut absent = BTreeMap::new();
        for name in coordination.sources() {
            let Sighting::Absent { committed } = seen(name) else {
                continue;
            };
            let before = self.absent.get(name);
            let before = before.filter(|before| before.committed == committed);
            let since_ms = before.map_or(now_ms, |before| before.since_ms);
            if now_ms.saturating_sub(since_ms) >= self.after_ms {
                names.push(name.clone());
            }
            absent.insert(
                name.clone(),
                Absence {
                    since_ms,
                    committed,
                },
            );
        }
        self.absent = absent;
        names.sort();
        (!names.is_empty()).then_some(CoordinationRecord::Retired { names })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(partition: u32) -> SourceName {
        SourceName {
            topic: "audit".to_string(),
            partition,
        }
    }

    fn absent_at(offset: u64) -> Sighting {
        Sighting::Absent {
            committed: Some((offset, "m".to_string())),
        }
    }

    /// What is retired of two sources when the second is seen so, at each time.
    fn retired(seen: &[(u64, Sighting)]) -> Vec<u64> {
        let mut coordination = Coordination::default();
        let names = vec![source(0), source(1)];
        coordination.apply(&CoordinationRecord::Sources { names });
        let mut retirement = Retirement::new(600);
        let mut at = Vec::new();
        for (now_ms, sighting) in seen {
            let see = |name: &SourceName| match name.partition {
                0 => Sighting::Present,
                _ => sighting.clone(),
            };
            let record = retirement.look(&coordination, see, *now_ms);
            if let Some(record) = record {
                let names = vec![source(1)];
                assert_eq!(record, CoordinationRecord::Retired { names });
                coordination.apply(&record);
                at.push(*now_ms);
            }
        }
        at
    }

    #[test]
    fn a_source_is_retired_once_after_it_was_absent_for_long_enough() {
        let seen = [0, 300, 599, 600, 900, 1800].map(|ms| (ms, absent_at(7)));
        assert_eq!(retired(&seen), [600]);
    }

    #[test]
    fn whatever_speaks_against_it_begins_the_time_anew() {
        for other in [Sighting::Present, Sighting::Unknown, absent_at(8)] {
            let mut seen = [0, 300, 600, 899, 900, 1200].map(|ms| (ms, absent_at(7)));
            seen[1].1 = other.clone();
            assert_eq!(retired(&seen), [1200], "{other:?}");
        }
    }
}
