//! One partition of the rates log: from assignment through restore and silent replay to judging.
//!
//! State is a pure function of the partition and the coordination topic, so any checkpoint at or
//! before the committed offset will do; what lies between is applied again without a word. At the
//! committed offset the state must be the one that was committed, which the digest shows.

use std::collections::VecDeque;

use super::detect_actions::{Muted, OutputRecord};
use super::heard::{Heard, Hearing};
use super::offset_metadata::DetectMetadata;
use crate::detect::{Continuity, Engine, LOGIC_VERSION, Need};
use crate::model::LogRecord;

/// A checkpoint, as its name in the store tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CheckpointName {
    /// Next record to apply.
    pub offset: u64,
    pub digest: u64,
}

/// What brokers and store say of a partition.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Offset and metadata of the last commit.
    pub committed: Option<(u64, String)>,
    /// Oldest offset that is kept, and the one after the newest.
    pub ends: (u64, u64),
    /// Checkpoints, in any order.
    pub checkpoints: Vec<CheckpointName>,
}

/// Where a partition stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Brokers and store are asked.
    Finding,
    /// A checkpoint is read.
    Loading(CheckpointName),
    /// The sources are not known yet.
    Unnamed,
    Running,
    /// It cannot go on; others can.
    Failed,
}

/// How a partition begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    Load(CheckpointName),
    /// With an empty engine, from the oldest record; `is_whole` if nothing came before it.
    Anew {
        from: u64,
        is_whole: bool,
    },
    /// The log does not hold what is needed.
    Gap {
        oldest: u64,
        needed: u64,
    },
    /// The log ends before what was committed.
    Shrunk {
        end: u64,
        committed: u64,
    },
}

/// One partition.
#[derive(Debug)]
pub(super) struct Partition {
    pub generation: u64,
    pub phase: Phase,
    pub found: Found,
    pub engine: Option<Engine>,
    /// Next record to apply; everything before is in the engine, and nothing after unless a record
    /// is in progress.
    pub position: u64,
    /// Offset of the record that is applied, until it is in full.
    pub current: u64,
    /// The committed offset was reached, and what is to be done there is done.
    pub has_arrived: bool,
    /// Records before this were published by whoever committed it.
    pub committed: Option<u64>,
    /// State at the committed offset, until it is reached.
    pub expected: Option<DetectMetadata>,
    /// The engine did not begin where its log did, or judges by other rules than what was
    /// committed: its open incidents are not those that were published.
    pub is_estranged: bool,
    /// The engine began after its log; its origin is its own.
    pub is_rebuilt: bool,
    /// The next record is the first of a log that is taken for whole: it has to be settings, with
    /// which every log is opened.
    pub must_open: bool,
    /// What the checkpoint said of batches before it.
    pub continuity_before: Continuity,
    /// Digest when all before `position` was applied.
    pub digest: u64,
    /// What the engine needs to finish the record in progress.
    pub blocked: Option<Need>,
    /// Records that came while it was blocked.
    pub queue: VecDeque<(u64, LogRecord)>,
    pub is_paused: bool,
    /// What was decided and is not committed, with the offset of the record that led to it.
    pub outputs: VecDeque<OutputRecord>,
    /// Passed minute that was told to the leader.
    pub told: Option<u32>,
    /// Hour for which nothing was reported because the partition has failed, or not begun.
    pub absent_hour: Option<u32>,
    pub checkpoint: Option<u64>,
    pub checkpoint_due_ms: u64,
    /// Settings in force, as canonical text.
    pub canonical: String,
    pub is_silent: bool,
    /// What people know that its log has said, or that a checkpoint has heard.
    pub hearing: Hearing,
    /// What it is to know before it goes on; all there is, if it lacks the beginning of its log.
    pub to_hear: Option<Heard>,
    /// What was decided and is hidden, and is not committed.
    pub muted: VecDeque<Muted>,
}

impl Partition {
    pub fn new(generation: u64) -> Self {
        Partition {
            generation,
            phase: Phase::Finding,
            found: Found::default(),
            engine: None,
            position: 0,
            current: 0,
            has_arrived: false,
            committed: None,
            expected: None,
            is_estranged: false,
            is_rebuilt: false,
            must_open: false,
            continuity_before: Continuity::default(),
            digest: 0,
            blocked: None,
            queue: VecDeque::new(),
            is_paused: false,
            outputs: VecDeque::new(),
            told: None,
            absent_hour: None,
            checkpoint: None,
            checkpoint_due_ms: 0,
            canonical: String::new(),
            is_silent: false,
            hearing: Hearing::default(),
            to_hear: None,
            muted: VecDeque::new(),
        }
    }

    /// Has an engine that began after its log wait for none of these sources: that they are retired
    /// may stand before its beginning. From its first minute on the log itself says who is.
    pub fn retire(&mut self, sources: &[u32]) {
        let is_rebuilt = self.is_rebuilt;
        if let Some(engine) = self.engine.as_mut()
            && is_rebuilt
            && !engine.has_begun()
        {
            sources.iter().for_each(|source| engine.retire(*source));
        }
    }

    /// Whether an engine that began after its log has passed an hour without a count since.
    pub fn has_nothing_in(&self, hour: u32) -> bool {
        let waiting = self.engine.as_ref().filter(|engine| {
            self.is_rebuilt && self.phase == Phase::Running && !engine.has_begun()
        });
        let passed = waiting.and_then(Engine::watermark);
        self.blocked.is_none() && passed.is_some_and(|passed| passed.hour() > hour)
    }

    /// How to begin, with what was found.
    pub fn beginning(&self) -> Beginning {
        let Found {
            committed,
            ends: (oldest, end),
            checkpoints,
        } = &self.found;
        // A group that lost its offsets went on from its newest checkpoint, at least.
        let newest = checkpoints.iter().max().map(|newest| newest.offset);
        let committed = committed.as_ref().map(|(offset, _)| *offset).or(newest);
        let Some(committed) = committed else {
            return Beginning::Anew {
                from: *oldest,
                is_whole: *oldest == 0,
            };
        };
        if *end < committed {
            return Beginning::Shrunk {
                end: *end,
                committed,
            };
        }
        let usable = checkpoints.iter().filter(|one| one.offset <= committed);
        match usable.max() {
            Some(newest) if newest.offset >= *oldest => Beginning::Load(*newest),
            _ if *oldest == 0 => Beginning::Anew {
                from: 0,
                is_whole: true,
            },
            newest => Beginning::Gap {
                oldest: *oldest,
                needed: newest.map_or(0, |newest| newest.offset),
            },
        }
    }

    /// Takes in what was committed.
    pub fn settle(&mut self) {
        let newest = self.found.checkpoints.iter().max();
        let newest = newest.map(|newest| newest.offset);
        let committed = self.found.committed.as_ref();
        self.committed = committed.map(|(offset, _)| *offset).or(newest);
        self.expected = committed.and_then(|(_, text)| DetectMetadata::parse(text));
    }

    /// Whether what the record at `offset` leads to was published before.
    pub fn was_published(&self, offset: u64) -> bool {
        self.committed.is_some_and(|committed| offset < committed)
    }

    /// Whether everything up to the committed offset is in the engine.
    pub fn has_caught_up(&self) -> bool {
        self.committed
            .is_none_or(|committed| self.position >= committed)
    }

    /// The record at `current` is applied in full.
    pub fn finish_record(&mut self) {
        self.position = self.current + 1;
        self.digest = self.engine.as_ref().map_or(0, Engine::digest);
    }

    /// At the committed offset: whether the state is another than was committed though it should
    /// be the same.
    pub fn differs_from_committed(&mut self) -> bool {
        let Some(expected) = self.expected.take() else {
            return false;
        };
        if expected.logic_version != LOGIC_VERSION || self.is_rebuilt != expected.is_rebuilt {
            self.is_estranged = true;
        }
        !self.is_estranged && expected.digest != self.digest
    }

    /// What is to be stored beside the offset.
    pub fn metadata(&self) -> DetectMetadata {
        DetectMetadata {
            logic_version: LOGIC_VERSION,
            digest: self.digest,
            is_rebuilt: self.is_rebuilt,
        }
    }
}
