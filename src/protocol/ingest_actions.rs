//! What a member of the ingesting group asks of the shell, and what it tells.

use super::SourceName;

/// What the shell is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IngestAction {
    /// Ask for the committed offset and the ends, and answer with [`super::IngestMember::found`].
    Find {
        source: SourceName,
        generation: u64,
    },
    /// Read no further until it is said from where.
    Stop {
        source: SourceName,
    },
    /// Read on from an offset.
    Read {
        source: SourceName,
        from: u64,
    },
    Pause {
        source: SourceName,
    },
    Resume {
        source: SourceName,
    },
    /// Commit [`super::IngestMember::transaction`] and answer with
    /// [`super::IngestMember::committed`] or [`super::IngestMember::aborted`].
    Commit,
}

/// What an operator may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IngestNote {
    /// Messages were deleted before they were read.
    Lost {
        source: SourceName,
        messages: u64,
    },
    /// Messages that were counted are no more at the end of the source.
    CutOff {
        source: SourceName,
        messages: u64,
    },
    /// Reading again for event ids begins.
    Warming {
        source: SourceName,
        messages: u64,
    },
    Running {
        source: SourceName,
        from: u64,
    },
}
