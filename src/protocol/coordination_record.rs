//! What stands on the coordination topic, and its bytes.
//!
//! A record is a version byte, postcard's encoding and a CRC-32C. Reports and candidates come from
//! whoever holds a partition and are the same whoever that is; everything else comes from the one
//! leader.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::detect::budget::{Class, SCOPES_MAX, STRATA};
use crate::detect::fleet::{BINS, Cell, ConfirmedCell, Fleet, HourReport, Thresholds};
use crate::model::Knowledge;

const VERSION: u8 = 2;
const CHECKSUM_BYTES: usize = 4;
/// Kind of requests. They come from people's machines, so whoever reads passes over what claims to
/// be one and cannot be read.
pub const REQUEST_KIND: &str = "request";
/// Classes that settings can have.
const CLASSES_MAX: usize = (SCOPES_MAX + 1) * STRATA;

/// One partition of an input topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceName {
    pub topic: String,
    pub partition: u32,
}

/// A record of the coordination topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CoordinationRecord {
    /// Settings that change decisions, in force in the rates log from where they stand there.
    Settings { canonical: String },
    /// Sources that are new; a source's index is its place among all that were ever named.
    Sources { names: Vec<SourceName> },
    /// The first minute with a count of a partition, or that it has passed a minute without one.
    Candidate {
        partition: u32,
        first: Option<u32>,
        passed: u32,
    },
    /// Origin of the fleet.
    Origin { minute: u32 },
    /// One partition's report of an hour, counted since 1970.
    Report {
        partition: u32,
        hour: u32,
        report: SparseReport,
    },
    /// The thresholds in force in an hour since 1970, and the fleet that they came from, for the
    /// leader after this one.
    Thresholds {
        hour: u32,
        thresholds: Thresholds,
        fleet: Box<Fleet>,
    },
    /// A leader begins; once it reads this, it has read all that was said before.
    Leader { instance: String, token: u64 },
    /// Sources that time waits for no longer. Named again, each is a new source.
    Retired { names: Vec<SourceName> },
    /// What somebody asks to be known; whoever may write to the topic may ask.
    Request {
        #[serde(with = "knowledge_line")]
        record: Arc<Knowledge>,
    },
    /// It is known, under this number, counted from 0: every partition of the rates log says so
    /// since the transaction that this is of.
    Known {
        number: u32,
        #[serde(with = "knowledge_line")]
        record: Arc<Knowledge>,
    },
    /// A request, by the identifier of its record, that is not heeded, and why.
    Refused { id: u128, reason: String },
}

/// Knowledge as the line that it is in a file.
mod knowledge_line {
    use std::sync::Arc;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::formats::{parse_knowledge, write_knowledge};
    use crate::model::Knowledge;

    pub fn serialize<S: Serializer>(record: &Knowledge, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&write_knowledge(record))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Knowledge>, D::Error> {
        let line = <&[u8]>::deserialize(from)?;
        parse_knowledge(line)
            .map(Arc::new)
            .map_err(D::Error::custom)
    }
}

/// An [`HourReport`] without its empty bins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SparseReport {
    live_series: u64,
    /// By class: bins with episodes that count each for itself, and live series.
    classes: Vec<(Vec<(u8, u32)>, u64)>,
    cells: Vec<(Cell, u32)>,
    confirmed: Vec<(ConfirmedCell, u32)>,
}

/// Why bytes are no record of the coordination topic.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CoordinationError {
    #[error("shorter than a record can be")]
    TooShort,
    #[error("checksum differs")]
    Checksum,
    #[error("version {0} is not known to this build")]
    Version(u8),
    #[error("{0}")]
    Malformed(String),
}

impl CoordinationRecord {
    /// A name for the kind of record, which becomes the key of its message.
    pub fn kind(&self) -> &'static str {
        match self {
            CoordinationRecord::Settings { .. } => "settings",
            CoordinationRecord::Sources { .. } => "sources",
            CoordinationRecord::Candidate { .. } => "candidate",
            CoordinationRecord::Origin { .. } => "origin",
            CoordinationRecord::Report { .. } => "report",
            CoordinationRecord::Thresholds { .. } => "thresholds",
            CoordinationRecord::Leader { .. } => "leader",
            CoordinationRecord::Retired { .. } => "retired",
            CoordinationRecord::Request { .. } => REQUEST_KIND,
            CoordinationRecord::Known { .. } => "known",
            CoordinationRecord::Refused { .. } => "refused",
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let bytes = postcard::to_extend(self, vec![VERSION]);
        let mut bytes = bytes.expect("a record holds nothing that postcard cannot write");
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, CoordinationError> {
        if bytes.len() < 2 + CHECKSUM_BYTES {
            return Err(CoordinationError::TooShort);
        }
        let (body, checksum) = bytes.split_at(bytes.len() - CHECKSUM_BYTES);
        if crc32c::crc32c(body).to_le_bytes() != checksum {
            return Err(CoordinationError::Checksum);
        }
        if body[0] != VERSION {
            return Err(CoordinationError::Version(body[0]));
        }
        postcard::from_bytes(&body[1..])
            .map_err(|error| CoordinationError::Malformed(error.to_string()))
    }
}

impl From<&HourReport> for SparseReport {
    fn from(report: &HourReport) -> Self {
        let classes = report.classes.iter().map(|one| {
            let bins = one.episodes.iter().enumerate();
            let filled = bins.filter(|(_, count)| **count > 0);
            let filled = filled.map(|(bin, count)| (bin as u8, *count)).collect();
            (filled, one.live_series)
        });
        SparseReport {
            live_series: report.live_series,
            classes: classes.collect(),
            cells: report.cells.iter().map(|(cell, n)| (*cell, *n)).collect(),
            confirmed: report
                .confirmed
                .iter()
                .map(|(cell, count)| (*cell, *count))
                .collect(),
        }
    }
}

impl SparseReport {
    /// Adds these episodes and series to a sum over partitions.
    pub fn add_to(&self, sum: &mut HourReport) {
        sum.live_series += self.live_series;
        for (index, (bins, live_series)) in self.classes.iter().enumerate().take(CLASSES_MAX) {
            let class = sum.class_mut(Class(index as u8));
            class.live_series += live_series;
            for (bin, count) in bins.iter().filter(|(bin, _)| usize::from(*bin) < BINS) {
                class.episodes[usize::from(*bin)] += count;
            }
        }
        for (cell, count) in &self.cells {
            *sum.cells.entry(*cell).or_default() += count;
        }
        for (cell, count) in &self.confirmed {
            *sum.confirmed.entry(*cell).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_and_damage_is_noticed() {
        let mut report = HourReport::new(4);
        report.class_mut(Class(3)).episodes[199] = 3;
        report.class_mut(Class(1)).live_series = 17;
        report.live_series = 17;
        report.add(Cell {
            ago: 5,
            class: Class(2),
            account: 1023,
            bin: 40,
        });
        let confirmed = ConfirmedCell {
            ended_ago: 600,
            began_ago: 603,
            ..ConfirmedCell::default()
        };
        report.confirmed.insert(confirmed, 2);
        let record = CoordinationRecord::Report {
            partition: 63,
            hour: 500_000,
            report: SparseReport::from(&report),
        };
        let bytes = record.encode();
        assert_eq!(CoordinationRecord::decode(&bytes), Ok(record.clone()));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(CoordinationRecord::decode(&damaged).is_err(), "byte {at}");
            assert!(
                CoordinationRecord::decode(&bytes[..at]).is_err(),
                "cut at {at}"
            );
        }
        let CoordinationRecord::Report { report: sparse, .. } = record else {
            panic!("a report");
        };
        let mut sum = HourReport::default();
        sparse.add_to(&mut sum);
        assert_eq!(sum, report);
    }
}
