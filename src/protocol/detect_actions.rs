//! What a member of the detecting group asks of the shell, and what it tells.

use super::{CheckpointName, CoordinationRecord};
use crate::model::{InsightEvent, Minute};

/// What the shell is to do.
#[derive(Debug, PartialEq)]
pub enum DetectAction {
    /// Ask brokers and store, and answer with [`DetectMember::found`].
    Find {
        partition: u32,
        generation: u64,
    },
    /// Read a checkpoint, and answer with [`DetectMember::loaded`].
    Load {
        partition: u32,
        generation: u64,
        checkpoint: CheckpointName,
    },
    /// Read on from an offset.
    Read {
        partition: u32,
        from: u64,
    },
    Pause {
        partition: u32,
    },
    Resume {
        partition: u32,
    },
    /// Append to the coordination topic. It must be there before the next commit.
    Tell(CoordinationRecord),
    /// Commit the transaction and answer with [`DetectMember::committed`] or
    /// [`DetectMember::aborted`].
    Commit(DetectTransaction),
    /// Save a checkpoint.
    Store(Checkpoint),
}

/// Outputs with the offsets behind what led to them.
#[derive(Debug, Default, PartialEq)]
pub struct DetectTransaction {
    pub outputs: Vec<OutputRecord>,
    /// Partition, next record to read, metadata.
    pub offsets: Vec<(u32, u64, String)>,
}

/// One record of the output topic.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputRecord {
    pub partition: u32,
    /// Offset of the record of the rates log that led to it, and its place among those.
    pub offset: u64,
    pub ordinal: u32,
    pub content: OutputContent,
    /// The record as it is published, without a line break.
    pub value: Vec<u8>,
}

/// What an output says.
#[derive(Clone, Debug, PartialEq)]
pub enum OutputContent {
    Insight(Box<InsightEvent>),
    /// Every source is proven idle since a minute.
    PipelineSilent {
        since: Minute,
    },
}

/// A partition's state, saved.
#[derive(Debug, PartialEq)]
pub struct Checkpoint {
    pub partition: u32,
    pub generation: u64,
    pub name: CheckpointName,
    pub is_rebuilt: bool,
    pub canonical: String,
    pub snapshot: Vec<u8>,
}

/// What an operator may want to know.
#[derive(Clone, Debug, PartialEq)]
pub enum DetectNote {
    /// Replay from the checkpoint to what was committed begins.
    Restoring {
        partition: u32,
        from: u64,
        to: u64,
    },
    Running {
        partition: u32,
        replayed: u64,
    },
    /// A checkpoint cannot be used.
    Unusable {
        partition: u32,
        checkpoint: CheckpointName,
        reason: String,
    },
    /// The log lacks records; the partition begins anew.
    Gap {
        partition: u32,
        oldest: u64,
        needed: u64,
    },
    /// The replay led to another state than was committed.
    Mismatch {
        partition: u32,
    },
    /// Incidents were dropped, because what was published of them cannot be gone on with.
    Abandoned {
        partition: u32,
        incidents: u64,
    },
    Failed {
        partition: u32,
        reason: String,
    },
    Silent {
        since: Minute,
    },
}
