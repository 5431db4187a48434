//! A broker as the protocol sees it: logs, groups with generations, transactions, a store.
//!
//! Everything that real brokers do and that matters to exactly-once is here in a few lines: a
//! transaction is there at once or not at all, its commit may be applied and its answer lost, a
//! member of an old generation cannot commit, a producer that was replaced cannot write.

use std::collections::BTreeMap;

use insightd::protocol::{CheckpointName, CoordinationRecord, DeadLetter, Found, Heard, Muted};

/// A group by name of its topic.
pub const INGEST: &str = "ingest";
pub const DETECT: &str = "detect";

/// A consumer group: who owns what, in which generation, and what is committed.
#[derive(Clone, Default)]
pub struct Group {
    pub generation: u64,
    /// Owner of each partition.
    pub owners: BTreeMap<u32, u32>,
    /// Generation from which on it has owned the partition.
    since: BTreeMap<u32, u64>,
    pub committed: BTreeMap<u32, (u64, String)>,
}

impl Group {
    /// Gives a partition to a member, in the generation that begins.
    pub fn give(&mut self, partition: u32, member: u32) {
        if self.owners.insert(partition, member) != Some(member) {
            self.since.insert(partition, self.generation);
        }
    }

    /// Whether a member that owned the partition in `generation` has owned it ever since. Who has
    /// missed that another had it is thrown out, and told that it lost all.
    pub fn is_kept_since(&self, partition: u32, generation: u64) -> bool {
        self.since
            .get(&partition)
            .is_some_and(|since| *since <= generation)
    }
}

/// A log whose offsets have holes where transactions ended.
#[derive(Clone)]
pub struct Log<T> {
    pub records: BTreeMap<u64, T>,
    pub end: u64,
    /// Records before this were deleted.
    pub start: u64,
}

/// A checkpoint as the store keeps it.
#[derive(Clone)]
pub struct Saved {
    pub canonical: String,
    pub is_rebuilt: bool,
    pub heard: Heard,
    pub snapshot: Vec<u8>,
}

#[derive(Clone, Default)]
pub struct Broker {
    pub rates: Vec<Log<Vec<u8>>>,
    pub coordination: Log<CoordinationRecord>,
    pub outputs: Vec<Vec<u8>>,
    /// What is committed and hidden by a mute.
    pub muted: Vec<Muted>,
    /// Who took the name of the coordinator's producer last: nobody else's transactions count.
    pub coordinator: Option<u32>,
    pub groups: BTreeMap<&'static str, Group>,
    pub dead_letters: Vec<DeadLetter>,
    /// Checkpoints by partition.
    pub store: BTreeMap<u32, BTreeMap<CheckpointName, Saved>>,
    pub store_is_away: bool,
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Log {
            records: BTreeMap::new(),
            end: 0,
            start: 0,
        }
    }
}

impl<T> Log<T> {
    pub fn append(&mut self, record: T) {
        self.records.insert(self.end, record);
        self.end += 1;
    }

    /// A mark of a transaction takes an offset.
    pub fn mark(&mut self) {
        self.end += 1;
    }

    /// The first record at or after an offset.
    pub fn next(&self, offset: u64) -> Option<(u64, &T)> {
        let mut from_here = self.records.range(offset..);
        from_here.next().map(|(offset, record)| (*offset, record))
    }
}

impl Broker {
    pub fn new(partitions: u32) -> Self {
        let mut broker = Broker {
            rates: (0..partitions).map(|_| Log::default()).collect(),
            ..Broker::default()
        };
        for name in [INGEST, DETECT] {
            broker.groups.insert(name, Group::default());
        }
        broker
    }

    pub fn group(&mut self, name: &'static str) -> &mut Group {
        self.groups.get_mut(name).expect("both groups were made")
    }

    /// What brokers and store say of a partition of the rates log.
    pub fn found(&self, partition: u32) -> Found {
        let log = &self.rates[partition as usize];
        let kept = self.store.get(&partition);
        Found {
            committed: self.groups[DETECT].committed.get(&partition).cloned(),
            ends: (log.start, log.end),
            checkpoints: kept
                .map(|kept| kept.keys().copied().collect())
                .unwrap_or_default(),
        }
    }

    /// A transaction that wrote these records is given up: they keep their offsets, and nobody
    /// reads them.
    pub fn give_up(&mut self, partitions_written: &[u32]) {
        for partition in partitions_written {
            self.rates[*partition as usize].mark();
        }
        self.rates.iter_mut().for_each(Log::mark);
    }

    /// Whether a member may commit these partitions: only in the generation it knows, and only what
    /// it owns in it.
    pub fn may_commit(
        &self,
        name: &'static str,
        member: u32,
        generation: u64,
        partitions: &[u32],
    ) -> bool {
        let group = &self.groups[name];
        let owns = |partition: &u32| group.owners.get(partition) == Some(&member);
        group.generation == generation && partitions.iter().all(owns)
    }
}
