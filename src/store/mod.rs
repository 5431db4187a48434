//! What is kept between runs: detector state in a directory or an object store, and what people
//! know.

#[cfg(feature = "kafka")]
mod checkpoints;
mod knowledge_file;

#[cfg(feature = "kafka")]
pub use checkpoints::{CheckpointStore, SavedCheckpoint, StoreError};
pub use knowledge_file::{KnowledgeError, KnowledgeFile};
