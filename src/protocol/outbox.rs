//! From what ingest says of one source to records of the partitions of the rates log.
//!
//! Counts go to the partition of their series' shard, Progress to every partition. Progress that
//! nothing late follows is left out for the next one: closing several minutes at once decides the
//! same as closing them one by one, as long as no late count stands between.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

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
        batches: (0..partitions).map(|_| Batch::new()).collect(),
        places: HashMap::default(),
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
    places: HashMap<Fingerprint, Place, BuildHasherDefault<FingerprintHasher>>,
    out: Vec<(u32, LogRecord)>,
}

/// Where a series goes.
#[derive(Clone, Copy)]
struct Place {
    partition: u32,
    /// Batch of the partition that has the key, and its index there; no batch has number 0.
    batch: u32,
    key: u32,
}

/// Where a value of the counts at hand stands in the batch that took it last.
#[derive(Clone, Copy, Default)]
struct KnownValue {
    partition: u32,
    batch: u32,
    value: u32,
}

/// Counts on their way to one partition.
struct Batch {
    /// Its number among the batches of the partition, from 1.
    number: u32,
    builder: RatesBuilder,
    bytes: usize,
    deltas: Vec<AttributionDelta>,
}

/// A fingerprint is a hash already.
#[derive(Default)]
struct FingerprintHasher(u64);

impl Hasher for FingerprintHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, fingerprint: u128) {
        self.0 = fingerprint as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Outbox {
    /// Adds counts, one partition after the other, so that each value is looked up once for each.
    fn add(&mut self, rates: &Rates) {
        let mut places: Vec<Place> = (0..rates.keys_len() as u32)
            .map(|key| self.place(rates, key))
            .collect();
        let mut entries: Vec<&RatesEntry> = rates.entries().iter().collect();
        entries.sort_by_key(|entry| places[entry.key as usize].partition);
        let mut values = vec![KnownValue::default(); rates.values_len()];
        for entry in entries {
            let place = &mut places[entry.key as usize];
            self.add_entry(place, rates, entry, &mut values);
        }
        for (key, place) in places.into_iter().enumerate() {
            self.places.insert(rates.fingerprint(key as u32), place);
        }
    }

    fn place(&self, rates: &Rates, key: u32) -> Place {
        let known = self.places.get(&rates.fingerprint(key));
        known.copied().unwrap_or_else(|| Place {
            partition: partition_of(&rates.key(key), self.partitions),
            batch: 0,
            key: 0,
        })
    }

    /// Adds one entry; one that is too large for a batch goes on in the next with a count of 0.
    fn add_entry(
        &mut self,
        place: &mut Place,
        rates: &Rates,
        entry: &RatesEntry,
        values: &mut [KnownValue],
    ) {
        let mut count = entry.count;
        let mut deltas = rates.deltas(entry);
        loop {
            let batch = &mut self.batches[place.partition as usize];
            deltas = batch.add(place, rates, (entry, count), deltas, values);
            if batch.bytes >= BATCH_BYTES {
                self.send(place.partition);
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
    fn new() -> Self {
        Batch {
            number: 1,
            builder: RatesBuilder::default(),
            bytes: 0,
            deltas: Vec::new(),
        }
    }

    /// Adds an entry's count and as many of the deltas as there is room for; the rest of them.
    fn add<'r>(
        &mut self,
        place: &mut Place,
        rates: &Rates,
        (entry, count): (&RatesEntry, u64),
        deltas: &'r [AttributionDelta],
        values: &mut [KnownValue],
    ) -> &'r [AttributionDelta] {
        if place.batch != self.number {
            let series = rates.key(entry.key);
            self.bytes += series.event_name.len() + series.event_source.len() + 64;
            let category = rates.category(entry.key);
            let fingerprint = rates.fingerprint(entry.key);
            place.key = self.builder.add_key_with(series, category, fingerprint);
            place.batch = self.number;
        }
        self.deltas.clear();
        let mut taken = 0;
        for delta in deltas {
            if self.bytes >= BATCH_BYTES {
                break;
            }
            let known = &mut values[delta.value as usize];
            if (known.partition, known.batch) != (place.partition, self.number) {
                let text = rates.value(delta.value);
                let len = self.builder.values_len();
                *known = KnownValue {
                    partition: place.partition,
                    batch: self.number,
                    value: self.builder.value(text),
                };
                if self.builder.values_len() > len {
                    self.bytes += text.len();
                }
            }
            self.bytes += ENTRY_BYTES;
            self.deltas.push(AttributionDelta {
                value: known.value,
                ..*delta
            });
            taken += 1;
        }
        self.bytes += ENTRY_BYTES;
        self.builder
            .add_entry(place.key, entry.minute, count, &self.deltas);
        &deltas[taken..]
    }

    fn take(&mut self, source: u32, positions: (u64, u64)) -> Option<Rates> {
        if self.builder.is_empty() {
            return None;
        }
        self.number += 1;
        self.bytes = 0;
        Some(self.builder.finish(source, positions))
    }
}
