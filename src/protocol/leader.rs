//! What the owner of the coordination topic decides for all: sources, origin, thresholds, settings.
//!
//! It looks at what the topic says and answers with what is to be added. Its answers follow from
//! the topic and the settings alone, but for sources, which brokers name.

use super::coordination::Coordination;
use super::coordination_record::{CoordinationRecord, SourceName};
use crate::detect::DetectSettings;
use crate::detect::fleet::{FORCE_DELAY_HOURS, Fleet};
use crate::model::Minute;

/// The owner of the coordination topic.
#[derive(Clone, Debug)]
pub struct Leader {
    settings: DetectSettings,
    canonical: String,
    /// Partitions of the rates log.
    partitions: u32,
}

impl Leader {
    pub fn new(settings: DetectSettings, canonical: String, partitions: u32) -> Self {
        Leader {
            settings,
            canonical,
            partitions,
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
