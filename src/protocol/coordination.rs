//! What the coordination topic says, read from its beginning: sources, origin, thresholds.
//!
//! Every reader that has come equally far holds the same. Whatever is said twice counts once, and
//! the first to be said stays: a leader that was replaced without knowing may repeat what the next
//! one said, never contradict it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use super::coordination_record::{CoordinationRecord, SourceName};
use crate::detect::fleet::{Fleet, HourReport, Thresholds};
use crate::formats::write_knowledge;
use crate::model::{Knowledge, Minute};

/// Requests that may wait for an answer; what is asked beyond it is not heard.
pub const REQUESTS_MAX: usize = 1000;

/// The state of the coordination topic.
#[derive(Clone, Debug, Default)]
pub struct Coordination {
    settings: Option<String>,
    /// Sources that were ever named.
    named: u32,
    /// Those of them that are not retired.
    index: HashMap<SourceName, u32>,
    retired: Vec<u32>,
    /// Sources of the first announcement, without which time does not begin.
    first_sources: Option<u32>,
    candidates: BTreeMap<u32, Candidate>,
    origin: Option<Minute>,
    /// Reports of hours without thresholds made of them, by hour.
    reports: BTreeMap<u32, Reported>,
    thresholds: BTreeMap<u32, Thresholds>,
    fleet: Option<Fleet>,
    /// What is known, by number.
    known: Vec<Arc<Knowledge>>,
    known_ids: BTreeSet<Uuid>,
    /// Bytes of all that is known, as lines.
    known_bytes: u64,
    /// What somebody asks to be known and nobody has answered.
    requests: Vec<Arc<Knowledge>>,
}

/// What a partition said of its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub first: Option<Minute>,
    pub passed: Minute,
}

/// Reports of one hour so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Reported {
    pub partitions: BTreeSet<u32>,
    pub sum: HourReport,
}

impl Coordination {
    /// Takes the next record.
    pub fn apply(&mut self, record: &CoordinationRecord) {
        match record {
            CoordinationRecord::Settings { canonical } => self.settings = Some(canonical.clone()),
            CoordinationRecord::Sources { names } => self.add_sources(names),
            CoordinationRecord::Candidate {
                partition,
                first,
                passed,
            } => self.add_candidate(*partition, first.map(Minute), Minute(*passed)),
            CoordinationRecord::Origin { minute } => {
                self.origin.get_or_insert(Minute(*minute));
            }
            CoordinationRecord::Report {
                partition,
                hour,
                report,
            } => {
                if *hour < self.next_hour().unwrap_or(0) {
                    return;
                }
                let reported = self.reports.entry(*hour).or_default();
                if reported.partitions.insert(*partition) {
                    report.add_to(&mut reported.sum);
                }
            }
            CoordinationRecord::Thresholds {
                hour,
                thresholds,
                fleet,
            } => {
                // One that leaves out an hour would leave those who wait for it waiting for ever.
                let next = self.fleet.as_ref().map_or(0, Fleet::next_hour);
                if self.thresholds.contains_key(hour) || fleet.next_hour() != next + 1 {
                    return;
                }
                self.thresholds.insert(*hour, thresholds.clone());
                self.fleet = Some(fleet.as_ref().clone());
                let next = self.next_hour().unwrap_or(0);
                self.reports = self.reports.split_off(&next);
            }
            CoordinationRecord::Retired { names } => {
                self.retired
                    .extend(names.iter().filter_map(|name| self.index.remove(name)));
            }
            CoordinationRecord::Leader { .. } => {}
            CoordinationRecord::Request { record } => self.add_request(record),
            CoordinationRecord::Known { number, record } => {
                if self.known.len() == *number as usize && self.known_ids.insert(record.id) {
                    self.known_bytes += write_knowledge(record).len() as u64;
                    self.known.push(Arc::clone(record));
                }
                self.requests.retain(|request| request.id != record.id);
            }
            CoordinationRecord::Refused { id, .. } => {
                self.requests.retain(|request| request.id.as_u128() != *id);
            }
        }
    }

    /// Settings in force, as canonical text.
    pub fn settings(&self) -> Option<&str> {
        self.settings.as_deref()
    }

    /// Sources that time waits for, in no order.
    pub fn sources(&self) -> impl Iterator<Item = &SourceName> {
        self.index.keys()
    }

    /// Indices of sources that were retired.
    pub fn retired(&self) -> &[u32] {
        &self.retired
    }

    pub fn index_of(&self, source: &SourceName) -> Option<u32> {
        self.index.get(source).copied()
    }

    /// Sources that have to report before time begins.
    pub fn first_sources(&self) -> Option<u32> {
        self.first_sources
    }

    pub fn origin(&self) -> Option<Minute> {
        self.origin
    }

    /// The earliest first minute that a partition has named.
    pub fn first_candidate(&self) -> Option<Minute> {
        self.candidates.values().filter_map(|one| one.first).min()
    }

    pub fn thresholds(&self, hour: u32) -> Option<&Thresholds> {
        self.thresholds.get(&hour)
    }

    /// Thresholds from an hour since 1970 on.
    pub fn thresholds_from(&self, hour: u32) -> impl Iterator<Item = (u32, &Thresholds)> {
        self.thresholds
            .range(hour..)
            .map(|(hour, one)| (*hour, one))
    }

    /// The hour, since 1970, that the next sum of reports is for.
    pub fn next_hour(&self) -> Option<u32> {
        let origin = self.origin?.hour();
        Some(origin + self.fleet.as_ref().map_or(0, Fleet::next_hour))
    }

    /// Whether a partition has reported an hour, or nobody waits for its report.
    pub fn has_report(&self, partition: u32, hour: u32) -> bool {
        self.next_hour().is_some_and(|next| hour < next)
            || self
                .reports
                .get(&hour)
                .is_some_and(|reported| reported.partitions.contains(&partition))
    }

    /// What people know, in the order of its numbers.
    pub fn known(&self) -> &[Arc<Knowledge>] {
        &self.known
    }

    /// Bytes of what is known, as lines.
    pub fn known_bytes(&self) -> u64 {
        self.known_bytes
    }

    pub fn is_known(&self, id: Uuid) -> bool {
        self.known_ids.contains(&id)
    }

    /// Requests that nobody has answered, in their order.
    pub fn requests(&self) -> &[Arc<Knowledge>] {
        &self.requests
    }

    pub(super) fn reported(&self, hour: u32) -> Option<&Reported> {
        self.reports.get(&hour)
    }

    pub(super) fn candidates(&self) -> &BTreeMap<u32, Candidate> {
        &self.candidates
    }

    pub(super) fn fleet(&self) -> Option<&Fleet> {
        self.fleet.as_ref()
    }

    fn add_sources(&mut self, names: &[SourceName]) {
        for name in names {
            if !self.index.contains_key(name) {
                self.index.insert(name.clone(), self.named);
                self.named += 1;
            }
        }
        self.first_sources.get_or_insert(self.named);
    }

    fn add_request(&mut self, record: &Arc<Knowledge>) {
        let is_asked = self.requests.iter().any(|request| request.id == record.id);
        if !is_asked && !self.is_known(record.id) && self.requests.len() < REQUESTS_MAX {
            self.requests.push(Arc::clone(record));
        }
    }

    fn add_candidate(&mut self, partition: u32, first: Option<Minute>, passed: Minute) {
        let candidate = self.candidates.entry(partition).or_insert(Candidate {
            first: None,
            passed,
        });
        candidate.first = candidate.first.or(first);
        candidate.passed = candidate.passed.max(passed);
    }
}
