//! The consumer's protocol: who owns what, from where to read, what to commit, when to speak.
//!
//! State machines without I/O: the shell tells what happened and does what they answer, and so does
//! the simulator that tests them. `IngestMember` turns messages into transactions on the rates log,
//! `DetectMember` turns partitions of it into insights, `Leader` decides what all have to agree on.
//! A transaction holds everything a step made together with the positions it was made from, so a
//! crash at any point loses and repeats nothing.

mod believed_clock;
mod coordination;
mod coordination_record;
mod dead_letter;
mod dedup_window;
mod detect_actions;
mod detect_knowledge;
mod detect_member;
mod detect_partition;
mod detect_steps;
mod heard;
mod ingest_actions;
mod ingest_member;
mod ingest_source;
mod leader;
mod offset_metadata;
mod outbox;
mod retirement;

pub use believed_clock::BelievedClock;
pub use coordination::{Coordination, REQUESTS_MAX};
pub use coordination_record::{
    CoordinationError, CoordinationRecord, REQUEST_KIND, SourceName, SparseReport,
};
pub use dead_letter::{DeadLetter, REJECT_FUTURE};
pub use detect_actions::{
    Checkpoint, DetectAction, DetectNote, DetectTransaction, Muted, OutputContent, OutputRecord,
    Restored,
};
pub use detect_member::{DetectMember, DetectSetup};
pub use detect_partition::{CheckpointName, Found};
pub use heard::Heard;
pub use ingest_actions::{IngestAction, IngestNote};
pub use ingest_member::{IngestMember, IngestSetup, IngestTransaction};
pub use ingest_source::{MessageEnd, Messages, SourceFound, SourceTransaction};
pub use leader::{Leader, relayed};
pub use offset_metadata::{DetectMetadata, IngestMetadata};
pub use outbox::{partition_of, split};
pub use retirement::{Retirement, Sighting};
