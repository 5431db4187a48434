//! Threads that read and write checkpoints, so that detection does not wait for the store.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::RunError;
use super::checkpoint_ages::CheckpointAges;
use super::complaints::Complaints;
use crate::config::Settings;
use crate::detect::{DetectSettings, Engine, FleetScope};
use crate::protocol::{Checkpoint, CheckpointName, Found, Restored};
use crate::store::{CheckpointStore, SavedCheckpoint, StoreError};
use crate::telemetry::metrics::{CheckpointFailure, CheckpointMetrics};

/// Threads that read checkpoints.
const LOADERS: usize = 2;
/// Time that the last checkpoints may take.
const FINISH_TIMEOUT: Duration = Duration::from_secs(10);
/// Reads of a checkpoint, in a store that answers, after which it counts as no good.
const READS_MAX: u32 = 20;
/// Pause before a store that is away is asked again.
const RETRY: Duration = Duration::from_millis(500);

/// What a checkpoint holds, or why it cannot be used.
pub type LoadResult = Result<Restored, String>;

/// A partition of which all is known but its checkpoints.
pub struct Finding {
    pub partition: u32,
    pub generation: u64,
    pub found: Found,
}

/// A partition with the names of its checkpoints, or why they cannot be had.
pub type Listed = (Finding, Option<String>);

/// A question to the store.
enum Order {
    List(Finding),
    Load(u32, u64, CheckpointName),
}

/// A checkpoint that was read.
pub struct Loading {
    pub partition: u32,
    pub generation: u64,
    /// Position that it reflects.
    pub offset: u64,
    pub result: LoadResult,
}

/// The threads.
pub struct Checkpointing {
    writer: Option<(Sender<u32>, JoinHandle<()>)>,
    waiting: Waiting,
    orders: Vec<Sender<Order>>,
    loaders: Vec<JoinHandle<()>>,
    listed: Receiver<Listed>,
    loaded: Receiver<Loading>,
    /// Questions that are not answered.
    asked: usize,
    written: Receiver<Written>,
    pub ages: CheckpointAges,
    last_bytes: Option<usize>,
}

/// Checkpoints that wait to be written: of each partition the newest.
type Waiting = Arc<Mutex<BTreeMap<u32, Checkpoint>>>;

/// How writing a checkpoint went.
struct Written {
    partition: u32,
    position: u64,
    /// Bytes and time taken, unless it failed.
    result: Option<(usize, Duration)>,
}

impl Checkpointing {
    pub fn start(store: CheckpointStore, keep: usize) -> Result<Self, RunError> {
        let failed = |error| RunError::Failed(format!("cannot start a thread: {error}"));
        let (queue, ordered) = channel();
        let waiting = Waiting::default();
        let (done, written) = channel();
        let for_writer = store.clone();
        let thread = std::thread::Builder::new().name("checkpoints".to_string());
        let of_writer = Arc::clone(&waiting);
        let thread = thread.spawn(move || {
            write_all(&for_writer, &ordered, &of_writer, keep, &done);
        });
        let (found, listed) = channel();
        let (out, loaded) = channel();
        let (mut orders, mut loaders) = (Vec::new(), Vec::new());
        for number in 0..LOADERS {
            let (order, ordered) = channel();
            let (store, found, out) = (store.clone(), found.clone(), out.clone());
            let loader = std::thread::Builder::new().name(format!("loader-{number}"));
            let loader = loader.spawn(move || ask_all(&store, &ordered, &found, &out));
            loaders.push(loader.map_err(failed)?);
            orders.push(order);
        }
        Ok(Checkpointing {
            writer: Some((queue, thread.map_err(failed)?)),
            waiting,
            orders,
            loaders,
            listed,
            loaded,
            asked: 0,
            written,
            ages: CheckpointAges::default(),
            last_bytes: None,
        })
    }

    /// Whether a thread has ended, which none does by itself.
    pub fn has_failed(&self) -> bool {
        let writer = self.writer.iter().map(|(_, thread)| thread);
        writer.chain(&self.loaders).any(JoinHandle::is_finished)
    }

    /// Has the checkpoints of a partition listed.
    pub fn list(&mut self, finding: Finding) {
        self.ask(finding.partition, Order::List(finding));
    }

    pub fn load(&mut self, partition: u32, generation: u64, checkpoint: CheckpointName) {
        self.ask(partition, Order::Load(partition, generation, checkpoint));
    }

    fn ask(&mut self, partition: u32, order: Order) {
        let loader = partition as usize % self.orders.len();
        self.asked += 1;
        // A loader ends only with this value.
        let _ = self.orders[loader].send(order);
    }

    /// Whether the store was asked something that it has not answered.
    pub fn is_asking(&self) -> bool {
        self.asked > 0
    }

    /// Partitions whose checkpoints were listed since the last call, or could not be.
    pub fn listed(&mut self) -> Vec<Listed> {
        let listed: Vec<_> = self.listed.try_iter().collect();
        self.asked -= listed.len();
        listed
    }

    /// Checkpoints that were read since the last call.
    pub fn loaded(&mut self) -> Vec<Loading> {
        let loaded: Vec<Loading> = self.loaded.try_iter().collect();
        self.asked -= loaded.len();
        for one in loaded.iter().filter(|one| one.result.is_ok()) {
            self.ages.read(one.partition, one.offset);
        }
        loaded
    }

    /// Has a checkpoint written, in place of an older one of the partition that waits: while the
    /// store is behind, the newest will do.
    pub fn save(&mut self, checkpoint: Checkpoint) {
        let Some((queue, _)) = &self.writer else {
            return;
        };
        let partition = checkpoint.partition;
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.insert(partition, checkpoint).is_some() {
            tracing::warn!(
                partition,
                "a checkpoint was left out: the store is slow or away"
            );
        } else {
            // The writer ends only with this value.
            let _ = queue.send(partition);
        }
    }

    /// Sets what the metrics show of checkpoints written since the last call.
    pub fn show(&mut self, metrics: &CheckpointMetrics) {
        for written in self.written.try_iter() {
            match written.result {
                Some((bytes, took)) => {
                    let (partition, position) = (written.partition, written.position);
                    self.ages.written(partition, position, Instant::now());
                    self.last_bytes = Some(bytes);
                    metrics.duration.record((), took);
                }
                None => metrics.failures.add(CheckpointFailure::Store, 1),
            }
        }
        if let Some(bytes) = self.last_bytes {
            metrics.bytes.set(bytes as f64);
        }
    }

    /// Waits until all are written, but not for a store that is away: a checkpoint saves time only.
    pub fn finish(&mut self) {
        if let Some((queue, thread)) = self.writer.take() {
            drop(queue);
            let deadline = Instant::now() + FINISH_TIMEOUT;
            while !thread.is_finished() && Instant::now() < deadline {
                std::thread::park_timeout(Duration::from_millis(10));
            }
            if !thread.is_finished() {
                tracing::warn!("checkpoints were left out at the end: the store is slow or away");
            }
        }
    }
}

fn write_all(
    store: &CheckpointStore,
    partitions: &Receiver<u32>,
    waiting: &Waiting,
    keep: usize,
    done: &Sender<Written>,
) {
    while let Ok(partition) = partitions.recv() {
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(checkpoint) = waiting.remove(&partition) else {
            continue;
        };
        drop(waiting);
        let began = Instant::now();
        let saved = SavedCheckpoint {
            partition: checkpoint.partition,
            offset: checkpoint.name.offset,
            digest: checkpoint.name.digest,
            is_rebuilt: checkpoint.is_rebuilt,
            canonical: checkpoint.canonical,
            heard: checkpoint.heard,
            snapshot: checkpoint.snapshot,
        };
        let written = store.write(&saved).and_then(|bytes| {
            store.prune(saved.partition, keep)?;
            Ok(bytes)
        });
        let result = written.as_ref().ok().map(|bytes| (*bytes, began.elapsed()));
        // Nobody may want to know any more.
        let _ = done.send(Written {
            partition: saved.partition,
            position: saved.offset,
            result,
        });
        match written {
            Ok(bytes) => tracing::debug!(partition = saved.partition, bytes, "saved"),
            Err(error) => tracing::warn!(
                partition = saved.partition,
                "a checkpoint could not be written: {error}; detection goes on"
            ),
        }
    }
}

/// Answers questions to the store, one after the other.
fn ask_all(
    store: &CheckpointStore,
    orders: &Receiver<Order>,
    listed: &Sender<Listed>,
    loaded: &Sender<Loading>,
) {
    let mut complaints = Complaints::default();
    while let Ok(order) = orders.recv() {
        let is_heard = match order {
            Order::List(finding) => listed.send(list(store, finding)).is_ok(),
            Order::Load(partition, generation, name) => {
                let saved = load(store, partition, name, &mut complaints);
                let saved = saved.map_err(|error| error.to_string());
                let loading = Loading {
                    partition,
                    generation,
                    offset: name.offset,
                    result: saved.and_then(restore),
                };
                loaded.send(loading).is_ok()
            }
        };
        if !is_heard {
            return;
        }
    }
}

fn list(store: &CheckpointStore, mut finding: Finding) -> Listed {
    match store.list(finding.partition) {
        Ok(names) => {
            let names = names.into_iter();
            let names = names.map(|(offset, digest)| CheckpointName { offset, digest });
            finding.found.checkpoints = names.collect();
            (finding, None)
        }
        Err(error) => (finding, Some(error.to_string())),
    }
}

/// Reads a checkpoint, and waits for a store that is away: that says nothing of the checkpoint.
fn load(
    store: &CheckpointStore,
    partition: u32,
    name: CheckpointName,
    complaints: &mut Complaints,
) -> Result<SavedCheckpoint, StoreError> {
    let mut reads = 0;
    loop {
        reads += 1;
        match store.read(partition, name.offset, name.digest) {
            Err(error) if reads >= READS_MAX && store.list(partition).is_ok() => {
                return Err(error);
            }
            Err(error) if error.is_passing() => {
                complaints.warn(&format!(
                    "checkpoints cannot be read: {error}; trying again"
                ));
                std::thread::park_timeout(RETRY);
            }
            other => return other,
        }
    }
}

fn restore(saved: SavedCheckpoint) -> LoadResult {
    let settings = Settings::from_canonical(&saved.canonical);
    let settings = settings.map_err(|error| format!("its settings are none: {error}"))?;
    let settings = DetectSettings {
        fleet: FleetScope::Part,
        ..settings.detect
    };
    let engine = Engine::restore(settings, &saved.snapshot).map_err(|error| error.to_string())?;
    Ok(Restored {
        engine: Box::new(engine),
        is_rebuilt: saved.is_rebuilt,
        canonical: saved.canonical,
        heard: saved.heard,
    })
}
