//! One process of the service: the machines, with a simulated broker where the shell would be.

use insightd::detect::{DetectSettings, Engine, FleetScope};
use insightd::formats::{RecordContext, rates_record};
use insightd::ingest::IngestSettings;
use insightd::model::LogRecord;
use insightd::protocol::{
    Coordination, DetectAction, DetectMember, DetectNote, DetectSetup, Found, IngestAction,
    IngestMember, IngestSetup, Leader, SourceFound, SourceName,
};

use super::broker::{Broker, DETECT, INGEST};
use super::random::Random;
use super::traffic::{Event, messages};

/// Milliseconds of simulated time between two commits.
const COMMIT_MS: u64 = 10;

/// What the world of a seed looks like.
pub struct World {
    pub partitions: u32,
    pub sources: Vec<Vec<Event>>,
    pub settings: DetectSettings,
}

/// How a commit goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum CommitFate {
    Fine,
    /// Nothing is applied, and the client is told.
    Refused,
    /// Everything is applied, and the answer is lost: the producer has to be begun again.
    AnswerLost,
    /// The process dies before or after it is applied.
    DiesBefore,
    DiesAfter,
}

pub struct Instance {
    pub id: u32,
    ingest: IngestMember,
    detect: DetectMember,
    coordination: Coordination,
    coordination_offset: u64,
    /// Generation of each group that this member knows.
    generations: [u64; 2],
    owned: [Vec<u32>; 2],
    read_from: [std::collections::BTreeMap<u32, u64>; 2],
    paused: [std::collections::BTreeSet<u32>; 2],
    told: Vec<insightd::protocol::CoordinationRecord>,
    pub mismatches: u64,
    pub is_dead: bool,
}

pub fn settings(budget_per_week: f64, fixed_z: Option<f64>) -> DetectSettings {
    DetectSettings {
        budget_per_week,
        fixed_z,
        fleet: FleetScope::Part,
        ..DetectSettings::default()
    }
}

pub fn context() -> RecordContext {
    RecordContext {
        engine_version: "0".to_string(),
        settings_hash: "0".to_string(),
        include_extension: true,
    }
}

pub fn source_name(partition: u32) -> SourceName {
    SourceName {
        topic: "audit".to_string(),
        partition,
    }
}

/// The settings of the simulation are written as the budget and the fixed threshold.
fn parse(canonical: &str) -> Option<DetectSettings> {
    let (budget, fixed) = canonical.split_once(' ')?;
    Some(settings(budget.parse().ok()?, fixed.parse().ok()))
}

pub fn canonical(settings: &DetectSettings) -> String {
    let fixed = settings
        .fixed_z
        .map_or("none".to_string(), |z| z.to_string());
    format!("{} {fixed}", settings.budget_per_week)
}

impl Instance {
    pub fn new(id: u32, world: &World) -> Self {
        Instance {
            id,
            ingest: IngestMember::new(IngestSetup {
                settings: IngestSettings::default(),
                partitions: world.partitions,
                starts_at_end: false,
                future_max_seconds: 300,
                ahead_max_seconds: 3600,
                delivery_delay_seconds: u64::MAX / 2000,
                commit_interval_ms: COMMIT_MS,
                commit_bytes_max: 1 << 20,
            }),
            detect: DetectMember::new(DetectSetup {
                settings: world.settings.clone(),
                canonical: canonical(&world.settings),
                parse,
                context: context(),
                commit_interval_ms: COMMIT_MS,
                checkpoint_interval_ms: 3 * COMMIT_MS,
                fails_on_gap: false,
            }),
            coordination: Coordination::default(),
            coordination_offset: 0,
            generations: [0; 2],
            owned: Default::default(),
            read_from: Default::default(),
            paused: Default::default(),
            told: Vec::new(),
            mismatches: 0,
            is_dead: false,
        }
    }

    /// Hears of a rebalance, as a poll would.
    pub fn hear(&mut self, broker: &mut Broker) {
        for (index, name) in [INGEST, DETECT].into_iter().enumerate() {
            let group = broker.group(name);
            if group.generation == self.generations[index] {
                continue;
            }
            self.generations[index] = group.generation;
            let owners = group.owners.iter();
            let now: Vec<u32> = owners
                .filter(|(_, owner)| **owner == self.id)
                .map(|(one, _)| *one)
                .collect();
            let before = std::mem::replace(&mut self.owned[index], now.clone());
            let lost: Vec<u32> = before
                .iter()
                .filter(|one| !now.contains(one))
                .copied()
                .collect();
            let won: Vec<u32> = now
                .iter()
                .filter(|one| !before.contains(one))
                .copied()
                .collect();
            for partition in &lost {
                self.read_from[index].remove(partition);
                self.paused[index].remove(partition);
            }
            self.reassign(index, &lost, &won, broker);
        }
    }

    fn reassign(&mut self, index: usize, lost: &[u32], won: &[u32], broker: &mut Broker) {
        if index == 0 {
            let names: Vec<SourceName> = lost.iter().map(|one| source_name(*one)).collect();
            self.ingest.revoked(&names);
            let names = won.iter().map(|one| source_name(*one)).collect();
            let actions = self.ingest.assigned(names);
            self.do_ingest(actions, broker);
        } else {
            self.detect.revoked(lost);
            let actions = self.detect.assigned(won);
            self.do_detect(actions, broker);
        }
    }

    /// The producer of a stage was lost: everything owned is found anew.
    fn begin_again(&mut self, index: usize, broker: &mut Broker) {
        let owned = self.owned[index].clone();
        self.read_from[index].clear();
        self.paused[index].clear();
        self.reassign(index, &owned, &owned, broker);
    }

    /// Reads the coordination topic on, up to `most` records.
    pub fn read_coordination(&mut self, broker: &mut Broker, most: u64) {
        for _ in 0..most {
            let Some((offset, record)) = broker.coordination.next(self.coordination_offset) else {
                return;
            };
            let record = record.clone();
            self.coordination_offset = offset + 1;
            self.coordination.apply(&record);
            let actions = self.ingest.coordinate(&record);
            self.do_ingest(actions, broker);
            let actions = self.detect.coordinate(&record);
            self.do_detect(actions, broker);
        }
    }

    /// Reads messages of a random source.
    pub fn read_messages(&mut self, world: &World, random: &mut Random, most: u64) {
        let readable: Vec<u32> = self.read_from[0].keys().copied().collect();
        let readable: Vec<u32> = readable
            .into_iter()
            .filter(|one| !self.paused[0].contains(one))
            .collect();
        if readable.is_empty() {
            return;
        }
        let partition = readable[random.below(readable.len() as u64) as usize];
        let from = self.read_from[0][&partition];
        let events = &world.sources[partition as usize];
        let to = (from + random.between(1, most)).min(events.len() as u64);
        let batch = messages(&events[from as usize..to as usize], from);
        let name = source_name(partition);
        if let Some(generation) = self.ingest.generation_of(&name) {
            let actions = self.ingest.take(&name, generation, batch);
            self.take_ingest_actions(actions);
        }
        self.read_from[0].insert(partition, to);
    }

    /// Pauses and resumes, which need no broker.
    fn take_ingest_actions(&mut self, actions: Vec<IngestAction>) {
        for action in actions {
            match action {
                IngestAction::Pause { source } => self.paused[0].insert(source.partition),
                IngestAction::Resume { source } => self.paused[0].remove(&source.partition),
                other => panic!("{other:?} after messages"),
            };
        }
    }

    /// Reads records of a random partition of the rates log.
    pub fn read_rates(&mut self, broker: &mut Broker, random: &mut Random, most: u64) {
        let readable: Vec<u32> = self.read_from[1].keys().copied().collect();
        if readable.is_empty() {
            return;
        }
        let partition = readable[random.below(readable.len() as u64) as usize];
        for _ in 0..random.between(1, most) {
            if self.paused[1].contains(&partition) {
                return;
            }
            let Some(from) = self.read_from[1].get(&partition).copied() else {
                return;
            };
            let Some((offset, bytes)) = broker.rates[partition as usize].next(from) else {
                return;
            };
            let record = rates_record::decode(bytes).map_err(|error| error.to_string());
            self.read_from[1].insert(partition, offset + 1);
            let actions = self.detect.record(partition, offset, record);
            self.do_detect(actions, broker);
        }
    }

    /// Commits what is due.
    pub fn tick(&mut self, broker: &mut Broker, now_ms: u64, fate: CommitFate) {
        let actions = self.ingest.tick(now_ms);
        let commits = actions.contains(&IngestAction::Commit);
        self.do_ingest(actions, broker);
        if commits {
            self.commit_ingest(broker, now_ms, fate);
        }
        if self.is_dead {
            return;
        }
        for action in self.detect.tick(now_ms) {
            let DetectAction::Commit(transaction) = action else {
                self.do_detect(vec![action], broker);
                continue;
            };
            self.commit_detect(&transaction, broker, now_ms, fate);
        }
    }

    fn commit_ingest(&mut self, broker: &mut Broker, now_ms: u64, fate: CommitFate) {
        let Some(transaction) = self.ingest.transaction().cloned() else {
            return;
        };
        let partitions: Vec<u32> = transaction
            .sources
            .iter()
            .map(|part| part.source.partition)
            .collect();
        let may = broker.may_commit(INGEST, self.id, self.generations[0], &partitions);
        let Some(is_applied) = self.fate(may, fate) else {
            return;
        };
        if is_applied {
            for part in &transaction.sources {
                for (partition, record) in &part.records {
                    let mut bytes = Vec::new();
                    rates_record::encode(record, &mut bytes);
                    broker.rates[*partition as usize].append(bytes);
                }
                let committed = (part.offset, part.metadata.clone());
                broker
                    .group(INGEST)
                    .committed
                    .insert(part.source.partition, committed);
            }
            broker.rates.iter_mut().for_each(super::broker::Log::mark);
        }
        match fate {
            CommitFate::DiesAfter => self.is_dead = true,
            CommitFate::AnswerLost => self.begin_again(0, broker),
            _ if is_applied => self.ingest.committed(),
            _ => self.ingest.aborted(now_ms),
        }
    }

    fn commit_detect(
        &mut self,
        transaction: &insightd::protocol::DetectTransaction,
        broker: &mut Broker,
        now_ms: u64,
        fate: CommitFate,
    ) {
        // What was told has to be there first.
        for record in std::mem::take(&mut self.told) {
            broker.coordination.append(record);
        }
        let partitions: Vec<u32> = transaction.offsets.iter().map(|one| one.0).collect();
        let may = broker.may_commit(DETECT, self.id, self.generations[1], &partitions);
        let Some(is_applied) = self.fate(may, fate) else {
            return;
        };
        if is_applied {
            broker.outputs.extend(
                transaction
                    .outputs
                    .iter()
                    .map(|output| output.value.clone()),
            );
            for (partition, offset, metadata) in &transaction.offsets {
                let committed = (*offset, metadata.clone());
                broker.group(DETECT).committed.insert(*partition, committed);
            }
        }
        match fate {
            CommitFate::DiesAfter => self.is_dead = true,
            CommitFate::AnswerLost => {
                self.detect.aborted(now_ms);
                self.begin_again(1, broker);
            }
            _ if is_applied => {
                let actions = self.detect.committed(transaction, now_ms);
                self.do_detect(actions, broker);
            }
            _ => self.detect.aborted(now_ms),
        }
    }

    /// Whether a transaction is applied; `None` if this process died before.
    fn fate(&mut self, may_commit: bool, fate: CommitFate) -> Option<bool> {
        match fate {
            CommitFate::DiesBefore => {
                self.is_dead = true;
                None
            }
            CommitFate::Refused => Some(false),
            _ => Some(may_commit),
        }
    }

    /// As the owner of the coordination topic: decides on what this instance has read.
    pub fn lead(&mut self, broker: &mut Broker, world: &World, sources: u32) {
        let leader = Leader::new(
            world.settings.clone(),
            canonical(&world.settings),
            world.partitions,
        );
        if let Some(settings) = leader.new_settings(&self.coordination) {
            let mut bytes = Vec::new();
            rates_record::encode(&LogRecord::Settings(canonical(&world.settings)), &mut bytes);
            broker
                .rates
                .iter_mut()
                .for_each(|log| log.append(bytes.clone()));
            broker.coordination.append(settings);
            return;
        }
        let found: Vec<SourceName> = (0..sources).map(source_name).collect();
        if let Some(record) = leader.new_sources(&self.coordination, &found) {
            broker.coordination.append(record);
            return;
        }
        for record in leader.decide(&self.coordination) {
            broker.coordination.append(record);
        }
    }

    /// Appends what was told, as a producer does in its own time.
    pub fn deliver_told(&mut self, broker: &mut Broker) {
        for record in std::mem::take(&mut self.told) {
            broker.coordination.append(record);
        }
    }

    fn do_ingest(&mut self, actions: Vec<IngestAction>, broker: &mut Broker) {
        for action in actions {
            match action {
                IngestAction::Find { source, generation } => {
                    let committed = broker
                        .group(INGEST)
                        .committed
                        .get(&source.partition)
                        .cloned();
                    let found = SourceFound {
                        committed,
                        ends: (0, u64::MAX),
                    };
                    let actions = self.ingest.found(&source, generation, &found);
                    self.do_ingest(actions, broker);
                }
                IngestAction::Read { source, from } => {
                    self.read_from[0].insert(source.partition, from);
                }
                IngestAction::Pause { source } => {
                    self.paused[0].insert(source.partition);
                }
                IngestAction::Resume { source } => {
                    self.paused[0].remove(&source.partition);
                }
                IngestAction::Commit => {}
            }
        }
    }

    fn do_detect(&mut self, actions: Vec<DetectAction>, broker: &mut Broker) {
        for action in actions {
            match action {
                DetectAction::Find {
                    partition,
                    generation,
                } => {
                    let log = &broker.rates[partition as usize];
                    let found = Found {
                        ends: (log.start, log.end),
                        committed: broker.groups[DETECT].committed.get(&partition).cloned(),
                        checkpoints: broker
                            .store
                            .get(&partition)
                            .map(|kept| kept.keys().copied().collect())
                            .unwrap_or_default(),
                    };
                    let actions = self.detect.found(partition, generation, found);
                    self.do_detect(actions, broker);
                }
                DetectAction::Load {
                    partition,
                    generation,
                    checkpoint,
                } => {
                    let saved = &broker.store[&partition][&checkpoint];
                    let settings = parse(&saved.canonical).expect("settings of the simulation");
                    let result = Engine::restore(settings, &saved.snapshot)
                        .map(|engine| (Box::new(engine), saved.canonical.clone(), saved.is_rebuilt))
                        .map_err(|error| error.to_string());
                    let actions = self.detect.loaded(partition, generation, result);
                    self.do_detect(actions, broker);
                }
                DetectAction::Read { partition, from } => {
                    self.read_from[1].insert(partition, from);
                }
                DetectAction::Pause { partition } => {
                    self.paused[1].insert(partition);
                }
                DetectAction::Resume { partition } => {
                    self.paused[1].remove(&partition);
                }
                DetectAction::Tell(record) => self.told.push(record),
                DetectAction::Commit(_) => panic!("commits are made by the clock"),
                DetectAction::Store(checkpoint) => {
                    let kept = broker.store.entry(checkpoint.partition).or_default();
                    kept.insert(checkpoint.name, checkpoint);
                    while kept.len() > 3 {
                        kept.pop_first();
                    }
                }
            }
        }
        for note in self.detect.take_notes() {
            match note {
                DetectNote::Mismatch { .. } => self.mismatches += 1,
                DetectNote::Failed { partition, reason } => panic!("{partition}: {reason}"),
                _ => {}
            }
        }
    }

    /// Where it stands, for a run that does not end.
    pub fn describe(&self) -> String {
        let ingest: Vec<_> = self.ingest.states().collect();
        let detect = self.detect.states().map(|(one, position, closed, stats)| {
            let origin = stats.and_then(|stats| stats.origin);
            (
                one,
                position,
                closed.map(|minute| minute.to_string()),
                origin,
            )
        });
        let detect: Vec<_> = detect.collect();
        format!(
            "instance {} coordination {} (origin {:?}, next hour {:?}) ingest {ingest:?} detect \
             {detect:?} blocked {} paused {:?} waiting {} {}\n",
            self.id,
            self.coordination_offset,
            self.coordination.origin(),
            self.coordination.next_hour(),
            self.detect.is_blocked(),
            self.paused,
            self.ingest.waiting(),
            self.detect.waiting(),
        )
    }

    pub fn continuity(&self) -> (u64, u64) {
        let continuity = self.detect.continuity();
        (continuity.duplicate_batches, continuity.gap_batches)
    }

    /// Whether everything was read, judged and committed.
    pub fn is_done(&self, world: &World, broker: &Broker) -> bool {
        let read = self.read_from[0].iter();
        let mut read = read.map(|(one, from)| *from >= world.sources[*one as usize].len() as u64);
        let mut rates = self.read_from[1].iter();
        let all = rates.all(|(one, from)| broker.rates[*one as usize].next(*from).is_none());
        read.all(|done| done) && all && self.told.is_empty() && !self.detect.is_blocked()
    }
}
