//! What the owner of the coordination topic decides for all: sources, origin, thresholds, settings,
//! and what of that which people ask for is known.
//!
//! It looks at what the topic says and answers with what is to be added. Its answers follow from
//! the topic and the settings alone, but for sources, which brokers name.

use super::coordination::Coordination;
use super::coordination_record::{CoordinationRecord, SourceName};
use crate::detect::DetectSettings;
use crate::detect::fleet::{FORCE_DELAY_HOURS, Fleet};
use crate::formats::write_knowledge;
use crate::model::{KnowledgeLimits, LogRecord, Minute};

/// Requests answered in one transaction.
const ANSWERS_MAX: usize = 16;

/// The owner of the coordination topic.
#[derive(Clone, Debug)]
pub struct Leader {
    settings: DetectSettings,
    canonical: String,
    /// Partitions of the rates log.
    partitions: u32,
    limits: KnowledgeLimits,
}

impl Leader {
    pub fn new(
        settings: DetectSettings,
        canonical: String,
        partitions: u32,
        limits: KnowledgeLimits,
    ) -> Self {
        Leader {
            settings,
            canonical,
            partitions,
            limits,
        }
    }

    /// Settings that have to be written into every partition of the rates log and then here, in one
    /// transaction, because those in force are others.
    pub fn new_settings(&self, coordination: &Coordination) -> Option<CoordinationRecord> {
        let differs = coordination.settings() != Some(&self.canonical);
        differs.then(|| CoordinationRecord::Settings {
            canonical: self.canonical.clone(),
        })
    }

    /// Sources among `found` that are not named yet, in an order of their own.
    pub fn new_sources(
        &self,
        coordination: &Coordination,
        found: &[SourceName],
    ) -> Option<CoordinationRecord> {
        let mut names: Vec<SourceName> = found
            .iter()
            .filter(|name| coordination.index_of(name).is_none())
            .cloned()
            .collect();
        names.sort();
        names.dedup();
        (!names.is_empty()).then_some(CoordinationRecord::Sources { names })
    }

    /// Answers to requests. What they say to every partition of the rates log ([`relayed`]) has to
    /// be written there and then they themselves here, in one transaction.
    pub fn answers(&self, coordination: &Coordination) -> Vec<CoordinationRecord> {
        let mut records = coordination.known().len();
        let mut bytes = coordination.known_bytes();
        let mut answers = Vec::new();
        for record in coordination.requests().iter().take(ANSWERS_MAX) {
            let with_it = bytes + write_knowledge(record).len() as u64;
            let refusal = if records >= self.limits.records_max {
                let limit = self.limits.records_max;
                Some(format!("knowledge.records_max ({limit}) records are known"))
            } else if with_it > self.limits.bytes_max {
                let limit = self.limits.bytes_max;
                let text = format!("knowledge.bytes_max ({limit}) leaves no room for one more");
                Some(text)
            } else {
                None
            };
            answers.push(match refusal {
                Some(reason) => CoordinationRecord::Refused {
                    id: record.id.as_u128(),
                    reason,
                },
                None => {
                    let number = records as u32;
                    (records, bytes) = (records + 1, with_it);
                    CoordinationRecord::Known {
                        number,
                        record: record.clone(),
                    }
                }
            });
        }
        answers
    }

    /// Origin and thresholds that can be said now.
    pub fn decide(&self, coordination: &Coordination) -> Vec<CoordinationRecord> {
        if coordination.origin().is_none() {
            return self.origin(coordination).into_iter().collect();
        }
        let mut decided = Vec::new();
        let mut fleet = coordination.fleet().cloned();
        let fleet = fleet.get_or_insert_with(|| Fleet::new(&self.settings));
        fleet.reconfigure(&self.settings);
        let origin = coordination.origin().map_or(0, Minute::hour);
        loop {
            let hour = fleet.next_hour();
            let Some(reported) = coordination.reported(origin + hour) else {
                break;
            };
            if (reported.partitions.len() as u32) < self.partitions {
                break;
            }
            fleet.report(hour, &reported.sum);
            let in_force = hour + FORCE_DELAY_HOURS;
            decided.push(CoordinationRecord::Thresholds {
                hour: origin + in_force,
                thresholds: fleet.thresholds_for(in_force),
                fleet: Box::new(fleet.clone()),
            });
        }
        decided
    }

    /// The first minute with a count, once no partition can still name an earlier one.
    fn origin(&self, coordination: &Coordination) -> Option<CoordinationRecord> {
        let first = coordination.first_candidate()?;
        let candidates = coordination.candidates();
        let mut partitions = 0..self.partitions;
        let is_earliest = partitions.all(|partition| {
            candidates.get(&partition).is_some_and(|candidate| {
                candidate.first.is_some_and(|own| own >= first) || candidate.passed > first
            })
        });
        is_earliest.then(|| CoordinationRecord::Origin {
            minute: first.0 - first.0 % Minute::PER_HOUR,
        })
    }
}

/// What answers to requests say to every partition of the rates log.
pub fn relayed(answers: &[CoordinationRecord]) -> Vec<LogRecord> {
    let known = answers.iter().filter_map(|answer| match answer {
        CoordinationRecord::Known { number, record } => Some(LogRecord::Knowledge {
            number: *number,
            record: record.clone(),
        }),
        _ => None,
    });
    known.collect()
}

#[cfg(test)]
#[path = "leader_tests.rs"]
mod tests;
