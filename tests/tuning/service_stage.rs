//! What the service makes of rates: its log split over partitions, two members that judge them, one
//! of which coordinates.

use std::sync::Arc;

use insightd::detect::{DetectSettings, FleetScope};
use insightd::formats::rates_record;
use insightd::model::{Knowledge, LogRecord};
use insightd::protocol::{CoordinationRecord, Muted, split};

use super::sim::broker::{Broker, DETECT, INGEST};
use super::sim::instance::{CommitFate, Instance, World};
use super::sim::random::Random;

/// Steps after which it counts as stuck.
const STEPS_MAX: u64 = 1_000_000;

/// Records as they are published, in no order, and what mutes hid.
pub fn run(
    records: &[LogRecord],
    settings: &DetectSettings,
    partitions: u32,
    knowledge: &[Knowledge],
    seed: u64,
) -> (Vec<Vec<u8>>, Vec<Muted>) {
    let mut random = Random(seed);
    let settings = DetectSettings {
        fleet: FleetScope::Part,
        feedback: Arc::default(),
        ..settings.clone()
    };
    // Its one source is counted elsewhere.
    let world = World::new(partitions, vec![Vec::new()], settings);
    let mut broker = Broker::new(partitions);
    let mut members = [0, 1].map(|id| Instance::new(id, &world));
    for partition in 0..partitions {
        let owner = random.below(2) as u32;
        broker.group(DETECT).give(partition, owner);
    }
    for group in [DETECT, INGEST] {
        broker.group(group).generation += 1;
    }
    for record in knowledge {
        let record = Arc::new(record.clone());
        let request = CoordinationRecord::Request { record };
        broker.coordination.append(request);
    }
    // What is known stands in every log before the first count.
    while members[0].coordination().known().len() < knowledge.len()
        || members[0].coordination().first_sources().is_none()
    {
        members[0].lead(&mut broker, &world, 1, 0);
        members[0].read_coordination(&mut broker, u64::MAX);
    }
    write(records, partitions, &mut broker, &mut random);
    let mut now_ms = 0;
    for step in 0..STEPS_MAX {
        let member = &mut members[random.below(2) as usize];
        member.hear(&mut broker);
        match random.below(5) {
            0 => member.read_rates(&mut broker, &mut random, 60),
            1 => member.read_coordination(&mut broker, random.between(1, 60)),
            2 => member.deliver_told(&mut broker),
            3 if member.id == 0 => member.lead(&mut broker, &world, 1, now_ms),
            _ => {
                now_ms += 5;
                member.tick(&mut broker, now_ms, CommitFate::Fine);
            }
        }
        assert!(member.failed.is_empty(), "{:?}", member.failed);
        if step % 100 == 0 && is_done(&broker) {
            return (broker.outputs, broker.muted);
        }
    }
    panic!("it does not come to an end");
}

/// Writes the records as ingest does, several minutes at a time.
fn write(records: &[LogRecord], partitions: u32, broker: &mut Broker, random: &mut Random) {
    let (mut minutes, mut waiting, mut from) = (0, Vec::new(), 0);
    let last = records.len() - 1;
    for (index, record) in records.iter().enumerate() {
        if matches!(record, LogRecord::Settings(_) | LogRecord::Sources(_)) {
            continue;
        }
        waiting.push(record.clone());
        let LogRecord::Progress(progress) = record else {
            continue;
        };
        minutes += 1;
        if index < last && minutes < random.between(1, 90) {
            continue;
        }
        let parts = split(std::mem::take(&mut waiting), from, progress, partitions);
        for (partition, record) in parts {
            let mut bytes = Vec::new();
            rates_record::encode(&record, &mut bytes);
            broker.rates[partition as usize].append(bytes);
        }
        (minutes, from) = (0, progress.position);
    }
}

fn is_done(broker: &Broker) -> bool {
    let committed = &broker.groups[DETECT].committed;
    let mut logs = broker.rates.iter().enumerate();
    logs.all(|(partition, log)| {
        let committed = committed.get(&(partition as u32));
        committed.is_some_and(|(to, _)| log.next(*to).is_none())
    })
}
