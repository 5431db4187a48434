//! Checkpoints as objects: one each, written whole, named by position and digest.
//!
//! An object holds a header that people can read, the engine's snapshot and a checksum. The names
//! alone say which checkpoint to take, so there is no pointer that could be torn. A checkpoint that
//! cannot be read is no loss but of time.

use std::path::Path;
use std::sync::Arc;

use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::runtime::Handle;

use crate::protocol::Heard;

const MAGIC: &[u8] = b"insightd checkpoint 1\n";
/// Length of the header, and checksum.
const FIXED_BYTES: usize = MAGIC.len() + 4 + 4;

/// Why checkpoints cannot be read or written.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error("{place}: {problem}; check checkpoint.path")]
    Place { place: String, problem: String },
    #[error("{0}")]
    Store(#[from] object_store::Error),
    #[error("{name}: {reason}")]
    Damaged { name: String, reason: String },
}

impl StoreError {
    /// Whether the store cannot be reached, or does not answer: the same may work later.
    pub fn is_passing(&self) -> bool {
        match self {
            StoreError::Store(object_store::Error::NotFound { .. }) => false,
            StoreError::Store(_) => true,
            StoreError::Place { .. } | StoreError::Damaged { .. } => false,
        }
    }
}

/// What a checkpoint holds.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedCheckpoint {
    pub partition: u32,
    /// Next record of the partition to apply, and the state's digest there.
    pub offset: u64,
    pub digest: u64,
    pub is_rebuilt: bool,
    /// Settings in force, as canonical text.
    pub canonical: String,
    /// What the partition had heard of what people know.
    pub heard: Heard,
    pub snapshot: Vec<u8>,
}

/// What stands before the snapshot.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    engine_version: String,
    partition: u32,
    offset: u64,
    digest: String,
    is_rebuilt: bool,
    settings: String,
    /// Of a state that was saved before there was any, nothing.
    #[serde(default)]
    heard: Heard,
}

/// The checkpoints of one service.
#[derive(Clone)]
pub struct CheckpointStore {
    store: Arc<dyn ObjectStore>,
    prefix: String,
    runtime: Handle,
}

impl CheckpointStore {
    /// Opens `place`, a directory that is made when absent, or `s3://BUCKET/PREFIX`. `scope` parts
    /// services that share a place. Calls are made from threads outside the runtime.
    pub fn open(place: &str, scope: &str, runtime: Handle) -> Result<Self, StoreError> {
        let problem = |problem: String| StoreError::Place {
            place: place.to_string(),
            problem,
        };
        let (store, prefix): (Arc<dyn ObjectStore>, String) = match place.split_once("://") {
            None => {
                let path = Path::new(place);
                std::fs::create_dir_all(path).map_err(|error| problem(error.to_string()))?;
                let store = LocalFileSystem::new_with_prefix(path);
                let store = store.map_err(|error| problem(error.to_string()))?;
                (Arc::new(store), scope.to_string())
            }
            Some(("s3", rest)) => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                let prefix = prefix.trim_matches('/');
                let prefix = [prefix, scope].join("/");
                (open_s3(bucket).map_err(problem)?, prefix)
            }
            Some((scheme, _)) => {
                let text = format!("`{scheme}` is no kind of store; write a directory or s3://...");
                return Err(problem(text));
            }
        };
        Ok(CheckpointStore {
            store,
            prefix: prefix.trim_start_matches('/').to_string(),
            runtime,
        })
    }

    /// Positions and digests of a partition's checkpoints, in any order.
    pub fn list(&self, partition: u32) -> Result<Vec<(u64, u64)>, StoreError> {
        let folder = self.folder(partition);
        let listed = self.store.list_with_delimiter(Some(&folder));
        let listed = self.runtime.block_on(listed)?;
        let names = listed.objects.iter();
        let names = names.filter_map(|object| parse_name(object.location.filename()?));
        Ok(names.collect())
    }

    /// Reads one checkpoint and checks that it is whole.
    pub fn read(
        &self,
        partition: u32,
        offset: u64,
        digest: u64,
    ) -> Result<SavedCheckpoint, StoreError> {
        let path = self.path(partition, offset, digest);
        let bytes = self.runtime.block_on(async {
            let object = self.store.get(&path).await?;
            object.bytes().await
        })?;
        let damaged = |reason: String| StoreError::Damaged {
            name: path.to_string(),
            reason,
        };
        let saved = parse(&bytes).map_err(damaged)?;
        if (saved.partition, saved.offset, saved.digest) != (partition, offset, digest) {
            return Err(damaged("its header does not fit its name".to_string()));
        }
        Ok(saved)
    }

    /// Writes a checkpoint; how many bytes it has.
    pub fn write(&self, saved: &SavedCheckpoint) -> Result<usize, StoreError> {
        let path = self.path(saved.partition, saved.offset, saved.digest);
        let bytes = to_bytes(saved);
        let length = bytes.len();
        let put = self.store.put(&path, PutPayload::from(bytes));
        self.runtime.block_on(put)?;
        Ok(length)
    }

    /// Removes all checkpoints of a partition but the newest `keep`.
    pub fn prune(&self, partition: u32, keep: usize) -> Result<(), StoreError> {
        let mut names = self.list(partition)?;
        names.sort_unstable();
        let surplus = names.len().saturating_sub(keep);
        for (offset, digest) in &names[..surplus] {
            let path = self.path(partition, *offset, *digest);
            self.runtime.block_on(self.store.delete(&path))?;
        }
        Ok(())
    }

    fn folder(&self, partition: u32) -> ObjectPath {
        ObjectPath::from(format!("{}/{partition:04}", self.prefix))
    }

    fn path(&self, partition: u32, offset: u64, digest: u64) -> ObjectPath {
        let folder = self.folder(partition);
        ObjectPath::from(format!("{folder}/{offset:020}-{digest:016x}.checkpoint"))
    }
}

#[cfg(feature = "s3")]
fn open_s3(bucket: &str) -> Result<Arc<dyn ObjectStore>, String> {
    // Whoever asks tries again by itself, and says meanwhile that the store is away.
    let retry = object_store::RetryConfig {
        max_retries: 2,
        retry_timeout: std::time::Duration::from_secs(30),
        ..object_store::RetryConfig::default()
    };
    let builder = object_store::aws::AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_retry(retry);
    let store = builder.build().map_err(|error| error.to_string())?;
    Ok(Arc::new(store))
}

#[cfg(not(feature = "s3"))]
fn open_s3(_bucket: &str) -> Result<Arc<dyn ObjectStore>, String> {
    Err("this build has no feature \"s3\"".to_string())
}

fn parse_name(name: &str) -> Option<(u64, u64)> {
    let (offset, digest) = name.strip_suffix(".checkpoint")?.split_once('-')?;
    Some((offset.parse().ok()?, u64::from_str_radix(digest, 16).ok()?))
}

fn to_bytes(saved: &SavedCheckpoint) -> Vec<u8> {
    let header = Header {
        engine_version: env!("CARGO_PKG_VERSION").to_string(),
        partition: saved.partition,
        offset: saved.offset,
        digest: format!("{:016x}", saved.digest),
        is_rebuilt: saved.is_rebuilt,
        settings: saved.canonical.clone(),
        heard: saved.heard.clone(),
    };
    let header = serde_json::to_vec(&header).expect("plain values become JSON");
    let mut bytes = Vec::with_capacity(FIXED_BYTES + header.len() + saved.snapshot.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(&saved.snapshot);
    let sum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

fn parse(bytes: &[u8]) -> Result<SavedCheckpoint, String> {
    if bytes.len() < FIXED_BYTES || !bytes.starts_with(MAGIC) {
        return Err("it does not begin as a checkpoint of this version".to_string());
    }
    let (body, sum) = bytes.split_at(bytes.len() - 4);
    if crc32c::crc32c(body).to_le_bytes() != sum {
        return Err("its checksum is wrong: it is damaged or cut off".to_string());
    }
    let (length, rest) = body[MAGIC.len()..].split_at(4);
    let length = u32::from_le_bytes(length.try_into().expect("four bytes were split off"));
    let Some((header, snapshot)) = rest.split_at_checked(length as usize) else {
        return Err("its header is longer than the object".to_string());
    };
    let header: Header = serde_json::from_slice(header).map_err(|error| error.to_string())?;
    Ok(SavedCheckpoint {
        partition: header.partition,
        offset: header.offset,
        digest: u64::from_str_radix(&header.digest, 16).map_err(|error| error.to_string())?,
        is_rebuilt: header.is_rebuilt,
        canonical: header.settings,
        heard: header.heard,
        snapshot: snapshot.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(offset: u64) -> SavedCheckpoint {
        SavedCheckpoint {
            partition: 7,
            offset,
            digest: 0xfeed + offset,
            is_rebuilt: false,
            canonical: "a = 1\n".to_string(),
            heard: Heard {
                count: 3,
                late: vec![(1, 29_000_000)],
            },
            snapshot: vec![1, 2, 3],
        }
    }

    #[test]
    fn checkpoints_come_back_and_the_newest_stay() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("new").display().to_string();
        let store = CheckpointStore::open(&place, "group", runtime.handle().clone()).unwrap();
        assert_eq!(store.list(7).unwrap(), []);
        for offset in [3, 11, 5, 100] {
            store.write(&saved(offset)).unwrap();
        }
        assert_eq!(store.read(7, 11, 0xfeed + 11).unwrap(), saved(11));
        store.prune(7, 2).unwrap();
        let mut left = store.list(7).unwrap();
        left.sort_unstable();
        assert_eq!(left, [(11, 0xfeed + 11), (100, 0xfeed + 100)]);
        assert!(store.read(7, 3, 0xfeed + 3).is_err());
    }

    /// A store that was away while checkpoints were read made them all count as unusable, and state
    /// was lost.
    #[test]
    fn a_store_that_does_not_answer_is_told_from_checkpoints_that_are_no_good() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().display().to_string();
        let store = CheckpointStore::open(&place, "group", runtime.handle().clone()).unwrap();
        let read = || store.read(7, 3, 0xfeed + 3).unwrap_err();
        assert!(!read().is_passing(), "absent");
        store.write(&saved(3)).unwrap();
        let folder = directory.path().join("group/0007");
        let file = std::fs::read_dir(&folder).unwrap().next().unwrap();
        let file = file.unwrap().path();
        std::fs::write(&file, "cut off").unwrap();
        assert!(!read().is_passing(), "damaged");
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::write(&folder, "no folder").unwrap();
        assert!(read().is_passing(), "unreadable: {}", read());
    }

    #[test]
    fn damage_is_noticed() {
        let bytes = to_bytes(&saved(3));
        assert_eq!(parse(&bytes), Ok(saved(3)));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(parse(&damaged).is_err(), "byte {at}");
            assert!(parse(&bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
