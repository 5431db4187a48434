//! From what ingest says of one source to records of the partitions of the rates log.
//!
//! Counts go to the partition of their series' shard, Progress to every partition. Progress that
//! nothing late follows is left out for the next one: closing several minutes at once decides the
//! same as closing them one by one, as long as no late count stands between.

use std::collections::HashMap;

use crate::model::{
    AttributionDelta, Fingerprint, LogRecord, Progress, Rates, RatesBuilder, RatesEntry, SHARDS,
    SeriesRef,
};

/// Bytes of text and entries after which a batch is sent; far below what brokers take.
const BATCH_BYTES: usize = 256 << 10;
/// Bytes that an entry and a delta take, about.
const ENTRY_BYTES: usize = 8;

/// The partition, of `partitions`, that holds a series. `partitions` divides [`SHARDS`].
pub fn partition_of(series: &SeriesRef<'_>, partitions: u32) -> u32 {
    series.shard() / (SHARDS / partitions)
}

/// Splits what ingest made of one source from position `from` to that of `now`, in its order, into
/// records of the partitions, in theirs.
pub fn split(
    records: Vec<LogRecord>,
    from: u64,
    now: &Progress,
    partitions: u32,
) -> Vec<(u32, LogRecord)> {
    let mut outbox = Outbox {
        source: now.source,
        positions: (from, now.position),
        partitions,
        batches: (0..partitions).map(|_| Batch::default()).collect(),
        out: Vec::new(),
    };
    let mut held: Option<Progress> = None;
    for record in records {
        match record {
            LogRecord::Rates(rates) => {
                if let Some(progress) = held.take_if(|progress| is_late(&rates, progress)) {
                    outbox.send_progress(&progress, from);
                }
                outbox.add(&rates);
            }
            LogRecord::Progress(progress) => held = Some(progress),
            other => {
                let everywhere = (0..partitions).map(|partition| (partition, other.clone()));
                outbox.out.extend(everywhere);
            }
        }
    }
    outbox.send_batches();
    if held.is_some() || from != now.position {
        outbox.send_progress(now, now.position);
    }
    outbox.out
}

/// Whether counts lie behind a watermark.
fn is_late(rates: &Rates, progress: &Progress) -> bool {
    let open = progress.watermark.minute();
    rates.entries().iter().any(|entry| entry.minute < open)
}

struct Outbox {
    source: u32,
    positions: (u64, u64),
    partitions: u32,
    batches: Vec<Batch>,
    out: Vec<(u32, LogRecord)>,
}

/// Counts on their way to one partition.
#[derive(Default)]
struct Batch {
    builder: RatesBuilder,
    keys: HashMap<Fingerprint, u32>,
    bytes: usize,
    deltas: Vec<AttributionDelta>,
}

impl Outbox {
    fn add(&mut self, rates: &Rates) {
        let of_key: Vec<u32> = (0..rates.keys_len() as u32)
            .map(|key| partition_of(&rates.key(key), self.partitions))
            .collect();
        for entry in rates.entries() {
            let partition = of_key[entry.key as usize];
            self.add_entry(partition, rates, entry);
        }
    }

    /// Adds one entry; one that is too large for a batch goes on in the next with a count of 0.
    fn add_entry(&mut self, partition: u32, rates: &Rates, entry: &RatesEntry) {
        let mut count = entry.count;
        let mut deltas = rates.deltas(entry);
        loop {
            let batch = &mut self.batches[partition as usize];
            deltas = batch.add(rates, entry, count, deltas);
            if batch.bytes >= BATCH_BYTES {
                self.send(partition);
            }
            if deltas.is_empty() {
                return;
            }
            count = 0;
        }
    }

    fn send(&mut self, partition: u32) {
        let batch = &mut self.batches[partition as usize];
        let Some(rates) = batch.take(self.source, self.positions) else {
            return;
        };
        self.out.push((partition, LogRecord::Rates(rates)));
    }

    fn send_batches(&mut self) {
        for partition in 0..self.partitions {
            self.send(partition);
        }
    }

    fn send_progress(&mut self, progress: &Progress, position: u64) {
        self.send_batches();
        for partition in 0..self.partitions {
            let progress = Progress {
                position,
                ..progress.clone()
            };
            self.out.push((partition, LogRecord::Progress(progress)));
        }
    }
}

impl Batch {
    /// Adds the count and as many of the deltas as there is room for; the rest of them.
    fn add<'r>(
        &mut self,
        rates: &Rates,
        entry: &RatesEntry,
        count: u64,
        deltas: &'r [AttributionDelta],
    ) -> &'r [AttributionDelta] {
        let fingerprint = rates.fingerprint(entry.key);
        let key = match self.keys.get(&fingerprint) {
            Some(key) => *key,
            None => {
                let series = rates.key(entry.key);
                self.bytes += series.event_name.len() + series.event_source.len() + 64;
                let category = rates.category(entry.key);
                let key = self.builder.add_key_with(series, category, fingerprint);
                self.keys.insert(fingerprint, key);
                key
            }
        };
        self.deltas.clear();
        let mut taken = 0;
        for delta in deltas {
            if self.bytes >= BATCH_BYTES {
                break;
            }
            let text = rates.value(delta.value);
            let values = self.builder.values_len();
            let value = self.builder.value(text);
            if self.builder.values_len() > values {
                self.bytes += text.len();
            }
            self.bytes += ENTRY_BYTES;
            self.deltas.push(AttributionDelta { value, ..*delta });
            taken += 1;
        }
        self.bytes += ENTRY_BYTES;
        self.builder
            .add_entry(key, entry.minute, count, &self.deltas);
        &deltas[taken..]
    }

    fn take(&mut self, source: u32, positions: (u64, u64)) -> Option<Rates> {
        if self.builder.is_empty() {
            return None;
        }
        self.keys.clear();
        self.bytes = 0;
        Some(self.builder.finish(source, positions))
    }
}
