//! One process of the service: the machines, with a simulated broker where the shell would be.

use std::collections::{BTreeMap, BTreeSet};

use insightd::detect::{DetectSettings, Engine, FleetScope};
use insightd::formats::{RecordContext, rates_record};
use insightd::ingest::IngestSettings;
use insightd::model::{KnowledgeLimits, LogRecord, RollUps};
use insightd::protocol::{
    CheckpointName, Coordination, CoordinationRecord, DetectAction, DetectMember, DetectNote,
    DetectSetup, Found, IngestAction, IngestMember, IngestSetup, Leader, Restored, Retirement,
    Sighting, SourceFound, SourceName, relayed,
};

use super::broker::{Broker, DETECT, INGEST, Saved};
use super::random::Random;
use super::traffic::{Event, messages};

/// Milliseconds of simulated time between two commits.
const COMMIT_MS: u64 = 10;
/// How long time waits for a source that is absent.
pub const RETIRE_AFTER_MS: u64 = 600_000;

/// What the world of a seed looks like.
#[derive(Clone)]
pub struct World {
    pub partitions: u32,
    pub sources: Vec<Vec<Event>>,
    pub settings: DetectSettings,
    pub roll_ups: RollUps,
    /// Messages that were written later are not there yet; seconds since 1970.
    pub until: i64,
    pub delivery_delay_seconds: u64,
    pub fails_on_gap: bool,
    /// Sources whose topic was deleted, or is configured no longer.
    pub absent: BTreeSet<u32>,
    /// Marks of transactions behind the last message of every source.
    pub marks: u64,
    /// Records of people's knowledge that leaders accept.
    pub known_max: usize,
}

impl World {
    /// Nobody is ever proven idle, and all messages are there from the beginning.
    pub fn new(partitions: u32, sources: Vec<Vec<Event>>, settings: DetectSettings) -> Self {
        World {
            partitions,
            sources,
            settings,
            roll_ups: RollUps::default(),
            until: i64::MAX,
            delivery_delay_seconds: u64::MAX / 2000,
            fails_on_gap: false,
            absent: BTreeSet::new(),
            marks: 0,
            known_max: 1000,
        }
    }

    /// How the events of every source are counted.
    pub fn ingest_settings(&self) -> IngestSettings {
        IngestSettings {
            roll_ups: self.roll_ups,
            ..IngestSettings::default()
        }
    }

    /// The offset after the newest message of a source.
    pub fn end(&self, source: u32) -> u64 {
        let events = &self.sources[source as usize];
        events.partition_point(|event| event.sent <= self.until) as u64
    }
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
    pub ingest: IngestMember,
    pub detect: DetectMember,
    coordination: Coordination,
    coordination_offset: u64,
    retirement: Retirement,
    /// Offset that a leader has to have read to before it decides; none if it leads no more.
    leads_from: Option<u64>,
    /// Generation of each group that this member knows.
    pub(super) generations: [u64; 2],
    owned: [Vec<u32>; 2],
    read_from: [BTreeMap<u32, u64>; 2],
    paused: [BTreeSet<u32>; 2],
    pub(super) told: Vec<CoordinationRecord>,
    /// Partitions to ask the store about, once it is there again.
    to_find: Vec<(u32, u64)>,
    /// Answers of brokers and store that are under way, if they take their time.
    pub late_answers: Option<Vec<Answer>>,
    /// Moments at which this process could have died, and at which of them it does.
    pub moments: u64,
    pub dies_at: Option<u64>,
    /// Commits tried by stage, and how one of them goes.
    pub(super) commits: [u64; 2],
    pub fated: Option<(usize, u64, CommitFate)>,
    /// Commits that a newer generation kept out.
    pub refused: u64,
    pub notes: Vec<DetectNote>,
    pub failed: BTreeMap<u32, String>,
    pub mismatches: u64,
    pub is_dead: bool,
}

/// What brokers or store said when they were asked.
pub enum Answer {
    Found(u32, u64, Found),
    Loaded(u32, u64, Result<Restored, String>),
    /// It was saved, which nobody waits for.
    Stored(u32, CheckpointName, Saved),
}

pub fn settings(budget_per_week: f64, fixed_z: Option<f64>) -> DetectSettings {
    DetectSettings {
        budget_per_week,
        fixed_z,
        fleet: FleetScope::Part,
        ..DetectSettings::default()
    }
}

/// Records of the simulation name the whole text of the settings that they were decided by.
pub fn context(canonical: &str) -> RecordContext {
    RecordContext {
        engine_version: "0".to_string(),
        settings_hash: canonical.to_string(),
        include_extension: true,
    }
}

pub fn source_name(partition: u32) -> SourceName {
    SourceName {
        topic: "audit".to_string(),
        partition,
    }
}

/// The settings of the simulation are written as the budget, the fixed threshold and whether drops
/// are held while all is silent.
fn parse(canonical: &str) -> Option<DetectSettings> {
    let mut words = canonical.split(' ');
    let budget = words.next()?.parse().ok()?;
    let fixed = words.next()?.parse().ok();
    Some(DetectSettings {
        holds_drops: words.next()? == "hold",
        ..settings(budget, fixed)
    })
}

/// As [`parse`], of text that this simulation wrote.
fn parsed(canonical: &str) -> DetectSettings {
    parse(canonical).expect("settings of the simulation")
}

pub fn canonical(settings: &DetectSettings) -> String {
    let fixed = settings
        .fixed_z
        .map_or("none".to_string(), |z| z.to_string());
    let drops = if settings.holds_drops { "hold" } else { "tell" };
    format!("{} {fixed} {drops}", settings.budget_per_week)
}

impl Instance {
    pub fn new(id: u32, world: &World) -> Self {
        Instance {
            id,
            ingest: IngestMember::new(IngestSetup {
                settings: world.ingest_settings(),
                partitions: world.partitions,
                starts_at_end: false,
                future_max_seconds: 300,
                ahead_max_seconds: 3600,
                delivery_delay_seconds: world.delivery_delay_seconds,
                commit_interval_ms: COMMIT_MS,
                commit_bytes_max: 1 << 20,
            }),
            detect: DetectMember::new(DetectSetup {
                settings: world.settings.clone(),
                canonical: canonical(&world.settings),
                parse,
                context,
                commit_interval_ms: COMMIT_MS,
                checkpoint_interval_ms: 3 * COMMIT_MS,
                fails_on_gap: world.fails_on_gap,
            }),
            coordination: Coordination::default(),
            coordination_offset: 0,
            retirement: Retirement::new(RETIRE_AFTER_MS),
            leads_from: None,
            generations: [0; 2],
            owned: Default::default(),
            read_from: Default::default(),
            paused: Default::default(),
            told: Vec::new(),
            to_find: Vec::new(),
            late_answers: None,
            moments: 0,
            dies_at: None,
            commits: [0; 2],
            fated: None,
            refused: 0,
            notes: Vec::new(),
            failed: BTreeMap::new(),
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
            let known = std::mem::replace(&mut self.generations[index], group.generation);
            let owners = group.owners.iter();
            let now: Vec<u32> = owners
                .filter(|(_, owner)| **owner == self.id)
                .map(|(one, _)| *one)
                .collect();
            let before = std::mem::replace(&mut self.owned[index], now.clone());
            let kept = |one: &u32| now.contains(one) && group.is_kept_since(*one, known);
            let (kept, lost): (Vec<u32>, Vec<u32>) = before.iter().partition(|one| kept(one));
            let won: Vec<u32> = now
                .iter()
                .filter(|one| !kept.contains(one))
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

    /// A moment passes; whether this process dies in it, or has before.
    pub fn dies(&mut self) -> bool {
        self.moments += 1;
        self.is_dead |= self.dies_at == Some(self.moments);
        self.is_dead
    }

    /// The producer of a stage was lost: everything owned is found anew.
    pub(super) fn begin_again(&mut self, index: usize, broker: &mut Broker) {
        let owned = self.owned[index].clone();
        self.read_from[index].clear();
        self.paused[index].clear();
        self.reassign(index, &owned, &owned, broker);
    }

    /// Reads the coordination topic on, up to `most` records.
    pub fn read_coordination(&mut self, broker: &mut Broker, most: u64) {
        let mut records = Vec::new();
        while (records.len() as u64) < most
            && let Some((offset, record)) = broker.coordination.next(self.coordination_offset)
        {
            self.coordination_offset = offset + 1;
            self.coordination.apply(record);
            records.push(record.clone());
        }
        if records.is_empty() {
            return;
        }
        let actions = self.ingest.coordinate(&records);
        self.do_ingest(actions, broker);
        let actions = self.detect.coordinate(&records);
        self.do_detect(actions, broker);
    }

    /// Partitions of a stage that may be read.
    pub fn readable(&self, stage: usize) -> Vec<u32> {
        let readable = self.read_from[stage].keys();
        readable
            .filter(|one| !self.paused[stage].contains(one))
            .copied()
            .collect()
    }

    /// Reads messages of a random source.
    pub fn read_messages(&mut self, world: &World, random: &mut Random, most: u64) {
        let readable = self.readable(0);
        if readable.is_empty() {
            return;
        }
        let source = readable[random.below(readable.len() as u64) as usize];
        self.read_source(world, source, random.between(1, most));
    }

    /// Reads a source on, up to so many messages.
    pub fn read_source(&mut self, world: &World, source: u32, most: u64) {
        let from = self.read_from[0][&source];
        let to = (from + most).min(world.end(source)).max(from);
        let events = &world.sources[source as usize];
        let batch = messages(&events[from as usize..to as usize], from);
        let name = source_name(source);
        if let Some(generation) = self.ingest.generation_of(&name) {
            let actions = self.ingest.take(&name, generation, batch);
            self.take_ingest_actions(actions);
        }
        self.read_from[0].insert(source, to);
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
        let partitions: Vec<u32> = self.read_from[1].keys().copied().collect();
        if partitions.is_empty() {
            return;
        }
        let partition = partitions[random.below(partitions.len() as u64) as usize];
        self.read_partition(broker, partition, random.between(1, most));
    }

    /// Reads a partition of the rates log on, up to so many records.
    pub fn read_partition(&mut self, broker: &mut Broker, partition: u32, most: u64) {
        for _ in 0..most {
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

    /// As the owner of the coordination topic: takes the name of its producer and says so, then
    /// decides on what this instance has read.
    pub fn lead(&mut self, broker: &mut Broker, world: &World, sources: u32, now_ms: u64) {
        let Some(from) = self.leads_from else {
            broker.coordinator = Some(self.id);
            let record = CoordinationRecord::Leader {
                instance: self.id.to_string(),
                token: now_ms,
            };
            self.say(broker, vec![record], &[]);
            return;
        };
        if self.coordination_offset < from {
            return;
        }
        let limits = KnowledgeLimits {
            bytes_max: 1 << 20,
            records_max: world.known_max,
        };
        let leader = Leader::new(
            world.settings.clone(),
            canonical(&world.settings),
            world.partitions,
            limits,
        );
        if let Some(settings) = leader.new_settings(&self.coordination) {
            let everywhere = LogRecord::Settings(canonical(&world.settings));
            self.say(broker, vec![settings], &[everywhere]);
            return;
        }
        let found = (0..sources).filter(|one| !world.absent.contains(one));
        let found: Vec<SourceName> = found.map(source_name).collect();
        if let Some(record) = leader.new_sources(&self.coordination, &found) {
            self.say(broker, vec![record], &[]);
            return;
        }
        if let Some((record, everywhere)) = self.look_for_absent(broker, &found, now_ms) {
            self.say(broker, vec![record], &everywhere);
            return;
        }
        let decided = leader.decide(&self.coordination);
        if !decided.is_empty() {
            for record in decided {
                broker.coordination.append(record);
            }
            return;
        }
        let answers = leader.answers(&self.coordination);
        if !answers.is_empty() {
            let everywhere = relayed(&answers);
            self.say(broker, answers, &everywhere);
        }
    }

    /// Whether this process takes itself for the leader.
    pub fn leads(&self) -> bool {
        self.leads_from.is_some()
    }

    /// It was told that it leads no more, or cannot know how its transaction ended.
    pub fn lead_no_more(&mut self) {
        self.leads_from = None;
    }

    /// A transaction of the leader: all of it is there at once, or nothing if another has taken
    /// the name of its producer.
    fn say(
        &mut self,
        broker: &mut Broker,
        records: Vec<CoordinationRecord>,
        everywhere: &[LogRecord],
    ) {
        if broker.coordinator != Some(self.id) {
            self.leads_from = None;
            return;
        }
        for record in everywhere {
            let mut bytes = Vec::new();
            rates_record::encode(record, &mut bytes);
            let logs = broker.rates.iter_mut();
            logs.for_each(|log| log.append(bytes.clone()));
        }
        for record in records {
            broker.coordination.append(record);
        }
        self.leads_from = Some(broker.coordination.end);
    }

    /// Retires sources that are gone, everywhere where time waits for them.
    fn look_for_absent(
        &mut self,
        broker: &Broker,
        found: &[SourceName],
        now_ms: u64,
    ) -> Option<(CoordinationRecord, Vec<LogRecord>)> {
        let committed = &broker.groups[INGEST].committed;
        let seen = |name: &SourceName| match found.contains(name) {
            true => Sighting::Present,
            false => Sighting::Absent {
                committed: committed.get(&name.partition).cloned(),
            },
        };
        let record = self.retirement.look(&self.coordination, seen, now_ms)?;
        let CoordinationRecord::Retired { names } = &record else {
            panic!("{record:?} retires nobody");
        };
        let indices = names
            .iter()
            .filter_map(|name| self.coordination.index_of(name));
        let everywhere = indices.map(LogRecord::Retired).collect();
        Some((record, everywhere))
    }

    /// Appends what was told, as a producer does in its own time.
    pub fn deliver_told(&mut self, broker: &mut Broker) {
        for record in std::mem::take(&mut self.told) {
            broker.coordination.append(record);
        }
    }

    pub(super) fn do_ingest(&mut self, actions: Vec<IngestAction>, broker: &mut Broker) {
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
                IngestAction::Stop { source } => {
                    self.read_from[0].remove(&source.partition);
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

    pub(super) fn do_detect(&mut self, actions: Vec<DetectAction>, broker: &mut Broker) {
        for action in actions {
            match action {
                DetectAction::Find {
                    partition,
                    generation,
                } => {
                    if broker.store_is_away {
                        self.to_find.push((partition, generation));
                    } else {
                        let found = broker.found(partition);
                        self.answer(Answer::Found(partition, generation, found), broker);
                    }
                }
                DetectAction::Load {
                    partition,
                    generation,
                    checkpoint,
                } => {
                    let saved = &broker.store[&partition][&checkpoint];
                    let result = Engine::restore(parsed(&saved.canonical), &saved.snapshot)
                        .map(|engine| Restored {
                            engine: Box::new(engine),
                            is_rebuilt: saved.is_rebuilt,
                            canonical: saved.canonical.clone(),
                            heard: saved.heard.clone(),
                        })
                        .map_err(|error| error.to_string());
                    self.answer(Answer::Loaded(partition, generation, result), broker);
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
                DetectAction::Store(_) if self.dies() || broker.store_is_away => {}
                DetectAction::Store(checkpoint) => {
                    let saved = Saved {
                        canonical: checkpoint.canonical,
                        is_rebuilt: checkpoint.is_rebuilt,
                        heard: checkpoint.heard,
                        snapshot: checkpoint.snapshot,
                    };
                    let (partition, name) = (checkpoint.partition, checkpoint.name);
                    self.answer(Answer::Stored(partition, name, saved), broker);
                }
            }
        }
        for note in self.detect.take_notes() {
            match &note {
                DetectNote::Mismatch { .. } => self.mismatches += 1,
                DetectNote::Failed { partition, reason } => {
                    self.failed.insert(*partition, reason.clone());
                }
                _ => {}
            }
            self.notes.push(note);
        }
    }

    /// What brokers and store answer is heard at once, unless they take their time.
    fn answer(&mut self, answer: Answer, broker: &mut Broker) {
        match &mut self.late_answers {
            Some(late) => late.push(answer),
            None => self.hear_answer(answer, broker),
        }
    }

    pub fn hear_answer(&mut self, answer: Answer, broker: &mut Broker) {
        let actions = match answer {
            Answer::Found(partition, generation, found) => {
                self.detect.found(partition, generation, found)
            }
            Answer::Loaded(partition, generation, result) => {
                self.detect.loaded(partition, generation, result)
            }
            Answer::Stored(partition, name, saved) => {
                let kept = broker.store.entry(partition).or_default();
                kept.insert(name, saved);
                while kept.len() > 3 {
                    kept.pop_first();
                }
                Vec::new()
            }
        };
        self.do_detect(actions, broker);
    }

    /// What is under way; what is asked from now on will be so, too.
    pub fn take_late_answers(&mut self) -> Vec<Answer> {
        self.late_answers.replace(Vec::new()).unwrap_or_default()
    }

    /// All that is under way comes, and what is asked from now on is answered at once.
    pub fn hear_all_late(&mut self, broker: &mut Broker) {
        for answer in self.late_answers.take().unwrap_or_default() {
            self.hear_answer(answer, broker);
        }
    }

    /// Asks again for what the store could not say.
    pub(super) fn find_again(&mut self, broker: &mut Broker) {
        for (partition, generation) in std::mem::take(&mut self.to_find) {
            let find = DetectAction::Find {
                partition,
                generation,
            };
            self.do_detect(vec![find], broker);
        }
    }

    /// A broker says where the sources end, or none does.
    pub fn probe(&mut self, world: &World, at_ms: u64, has_answer: bool) {
        for source in &self.owned[0] {
            let name = source_name(*source);
            let Some(generation) = self.ingest.generation_of(&name) else {
                continue;
            };
            if has_answer {
                let end = world.end(*source);
                let ends = (end + world.marks, (world.marks > 0).then_some(end));
                self.ingest.ended(&name, generation, ends, at_ms);
            } else {
                self.ingest.unproven(&name, generation);
            }
        }
    }

    /// What has been read, as a number that grows with every record.
    pub fn read_so_far(&self) -> u64 {
        let read = self.read_from.iter().flat_map(BTreeMap::values);
        self.coordination_offset + read.sum::<u64>()
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
            "instance {} failed {:?} coordination {} (origin {:?}, next hour {:?}) ingest {ingest:?} detect \
             {detect:?} blocked {} paused {:?} waiting {} {}\n",
            self.id,
            self.failed,
            self.coordination_offset,
            self.coordination.origin(),
            self.coordination.next_hour(),
            self.detect.is_blocked(),
            self.paused,
            self.ingest.waiting(),
            self.detect.waiting(),
        )
    }

    pub fn coordination(&self) -> &Coordination {
        &self.coordination
    }

    pub fn continuity(&self) -> (u64, u64) {
        let continuity = self.detect.continuity();
        (continuity.duplicate_batches, continuity.gap_batches)
    }

    /// Whether everything was read, judged and committed.
    pub fn is_done(&self, world: &World, broker: &Broker) -> bool {
        let read = self.read_from[0].iter();
        let mut read = read.map(|(one, from)| *from >= world.end(*one));
        let mut rates = self.read_from[1].iter();
        let all = rates.all(|(one, from)| broker.rates[*one as usize].next(*from).is_none());
        let has_heard = broker.coordination.next(self.coordination_offset).is_none()
            && self.coordination.requests().is_empty();
        let is_idle = self.told.is_empty() && !self.detect.is_blocked();
        read.all(|done| done) && all && is_idle && has_heard
    }
}
