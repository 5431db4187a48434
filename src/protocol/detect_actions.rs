//! What a member of the detecting group asks of the shell, and what it tells.

use uuid::Uuid;

use super::{CheckpointName, CoordinationRecord, Heard};
use crate::detect::Engine;
use crate::model::{Edge, InsightEvent, InsightType, Minute};

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
    /// What was decided and is not published.
    pub muted: Vec<Muted>,
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

/// An insight that a mute hides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Muted {
    /// Offset of the record of the rates log that led to it.
    pub offset: u64,
    pub mute: Uuid,
    /// The identifier that Start and End share.
    pub insight: Uuid,
    pub insight_type: InsightType,
    pub edge: Edge,
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
    pub heard: Heard,
    pub snapshot: Vec<u8>,
}

/// What a checkpoint holds, read back.
#[derive(Debug)]
pub struct Restored {
    pub engine: Box<Engine>,
    /// The engine began after its log.
    pub is_rebuilt: bool,
    /// Settings in force, as canonical text.
    pub canonical: String,
    pub heard: Heard,
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
