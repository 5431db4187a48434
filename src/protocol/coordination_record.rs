//! What stands on the coordination topic, and its bytes.
//!
//! A record is a version byte, postcard's encoding and a CRC-32C. Reports and candidates come from
//! whoever holds a partition and are the same whoever that is; everything else comes from the one
//! leader.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::detect::fleet::{BINS, Fleet, HourReport, Threshold};

const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 4;

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
    /// The threshold in force in an hour since 1970, and the fleet that it came from, for the
    /// leader after this one.
    Threshold {
        hour: u32,
        threshold: Threshold,
        fleet: Box<Fleet>,
    },
    /// A leader begins; once it reads this, it has read all that was said before.
    Leader { instance: String, token: u64 },
    /// Sources that time waits for no longer. Named again, each is a new source.
    Retired { names: Vec<SourceName> },
}

/// An [`HourReport`] without its empty bins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SparseReport {
    episodes: Vec<(u8, u32)>,
    live_series: u64,
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
            CoordinationRecord::Threshold { .. } => "threshold",
            CoordinationRecord::Leader { .. } => "leader",
            CoordinationRecord::Retired { .. } => "retired",
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
        let bins = report.episodes.iter().enumerate();
        SparseReport {
            episodes: bins
                .filter(|(_, count)| **count > 0)
                .map(|(bin, count)| (bin as u8, *count))
                .collect(),
            live_series: report.live_series,
        }
    }
}

impl SparseReport {
    /// Adds these episodes and series to a sum over partitions.
    pub fn add_to(&self, sum: &mut HourReport) {
        for (bin, count) in &self.episodes {
            if usize::from(*bin) < BINS {
                sum.episodes[usize::from(*bin)] += count;
            }
        }
        sum.live_series += self.live_series;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_and_damage_is_noticed() {
        let mut report = HourReport::default();
        report.episodes[84] = 3;
        report.live_series = 17;
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
