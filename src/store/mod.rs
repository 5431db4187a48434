//! Where detector state is kept: a directory or an object store.

mod checkpoints;

pub use checkpoints::{CheckpointStore, SavedCheckpoint, StoreError};
