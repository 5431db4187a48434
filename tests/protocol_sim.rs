//! The protocol against a broker that fails in every way it can: crashes between any two steps, lost
//! answers, zombies, rebalances, torn and lost checkpoints. Whatever happens, the output is that of
//! one engine that saw everything in peace.
//!
//! A seed determines a whole run. `INSIGHTD_SIM_SEEDS=FROM..TO` chooses them (0..200 by default), so
//! one that fails is seen again by itself.

#[path = "protocol_sim/broker.rs"]
mod broker;
#[path = "protocol_sim/commits.rs"]
mod commits;
#[path = "protocol_sim/failures/mod.rs"]
mod failures;
#[path = "protocol_sim/instance.rs"]
mod instance;
#[path = "protocol_sim/knowing.rs"]
mod knowing;
#[path = "protocol_sim/random.rs"]
mod random;
#[path = "protocol_sim/traffic.rs"]
mod traffic;

use std::collections::VecDeque;
use std::sync::Arc;

use insightd::detect::{Engine, FleetScope, Output};
use insightd::formats::write_insight;
use insightd::ingest::Ingest;
use insightd::model::{EventBatch, Feedback, InsightEvent, Knowledge, LogRecord, Mute, RollUps};
use insightd::protocol::CoordinationRecord;

use broker::{Broker, DETECT, INGEST};
use instance::{CommitFate, Instance, World, canonical, context, settings};
use random::Random;

/// Steps that a run may take before it counts as stuck.
const STEPS_MAX: u64 = 400_000;

/// What one engine says that sees every source to its end.
fn in_peace(world: &World) -> Vec<Vec<u8>> {
    in_peace_knowing(world, &[])
}

/// The same where somebody knows better than the data.
fn in_peace_knowing(world: &World, knowledge: &[Knowledge]) -> Vec<Vec<u8>> {
    let mutes = Mute::all(knowledge);
    let context = context(&canonical(&world.settings));
    let mut lines = Vec::new();
    for event in &decided_in_peace(world, knowledge) {
        if mutes.iter().any(|mute| mute.hides(event)) {
            continue;
        }
        let mut line = Vec::new();
        write_insight(event, &context, &mut line);
        line.pop();
        lines.push(line);
    }
    lines
}

fn decided_in_peace(world: &World, knowledge: &[Knowledge]) -> Vec<InsightEvent> {
    let mut whole = world.settings.clone();
    whole.fleet = FleetScope::Whole;
    whole.feedback = Feedback::all(knowledge).into();
    let mut engine = Engine::new(whole);
    let mut output = Output::default();
    let mut records = Vec::new();
    engine.apply(&LogRecord::Sources(world.sources.len() as u32), &mut output);
    let mut sources: Vec<(Ingest, &[traffic::Event])> = world
        .sources
        .iter()
        .enumerate()
        .map(|(index, events)| {
            (
                Ingest::new(world.ingest_settings(), index as u32),
                events.as_slice(),
            )
        })
        .collect();
    loop {
        // The source that is furthest behind goes on.
        let next = sources.iter_mut().filter(|(_, rest)| !rest.is_empty());
        let Some((ingest, rest)) = next.min_by_key(|(_, rest)| rest[0].time) else {
            break;
        };
        let mut batch = EventBatch::default();
        traffic::push(&mut batch, &rest[0]);
        *rest = &rest[1..];
        ingest.push(&batch, 0..1, &mut records);
        for record in records.drain(..) {
            engine.apply(&record, &mut output);
        }
    }
    output.insights
}

/// A world in which things go wrong.
struct Chaos {
    world: World,
    broker: Broker,
    instances: Vec<Instance>,
    random: Random,
    now_ms: u64,
    next_id: u32,
    leader: u32,
    mismatches: u64,
    steps: u64,
    /// What people will ask to be known, and what they have asked.
    to_ask: VecDeque<Arc<Knowledge>>,
    asked: Vec<Arc<Knowledge>>,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let sources = random.between(1, 5) as usize;
        let partitions = [1, 2, 4, 8][random.below(4) as usize];
        let settings = match random.below(3) {
            0 => settings(1.0, Some(3.0)),
            _ => settings(2000.0, None),
        };
        let sources = traffic::sources(&mut random, sources);
        let mut world = World::new(partitions, sources, settings);
        // Every second world also counts what its APIs add up to.
        world.roll_ups = RollUps {
            service: seed % 2 == 1,
            account: seed % 2 == 1,
        };
        let decided = decided_in_peace(&world, &[]);
        let to_ask: VecDeque<_> = knowing::draw(&mut random, &decided).into();
        if random.happens(20) {
            world.known_max = to_ask.len() / 2;
        }
        let mut chaos = Chaos {
            broker: Broker::new(partitions),
            world,
            instances: Vec::new(),
            random,
            now_ms: 0,
            next_id: 0,
            leader: 0,
            mismatches: 0,
            steps: 0,
            to_ask,
            asked: Vec::new(),
        };
        // Half of them know it all beforehand, so that it is in force everywhere in time.
        if chaos.random.happens(50) {
            while !chaos.to_ask.is_empty() {
                chaos.request();
            }
        }
        let count = chaos.random.between(1, 4);
        for _ in 0..count {
            chaos.join();
        }
        chaos.rebalance();
        chaos
    }

    fn join(&mut self) {
        self.instances
            .push(Instance::new(self.next_id, &self.world));
        self.next_id += 1;
    }

    /// Spreads all partitions anew, over whoever lives.
    fn rebalance(&mut self) {
        let living: Vec<u32> = self.instances.iter().map(|one| one.id).collect();
        let sizes = [
            (INGEST, self.world.sources.len() as u32),
            (DETECT, self.world.partitions),
        ];
        for (name, size) in sizes {
            let random = &mut self.random;
            let group = self.broker.group(name);
            group.generation += 1;
            for partition in 0..size {
                // Partitions mostly stay where they are.
                let owner = group
                    .owners
                    .get(&partition)
                    .filter(|one| living.contains(one));
                if owner.is_none() || random.happens(20) {
                    let owner = living[random.below(living.len() as u64) as usize];
                    group.give(partition, owner);
                }
            }
        }
        self.leader = living[self.random.below(living.len() as u64) as usize];
    }

    /// Somebody asks for something to be known, or for what was asked before once more.
    fn request(&mut self) {
        let again = self.random.below(self.asked.len() as u64 + 1) as usize;
        let again = self.asked.get(again).filter(|_| self.random.happens(30));
        let record = match again {
            Some(record) => record.clone(),
            None => match self.to_ask.pop_front() {
                Some(record) => {
                    self.asked.push(record.clone());
                    record
                }
                None => return,
            },
        };
        let request = CoordinationRecord::Request { record };
        self.broker.coordination.append(request);
    }

    /// Something goes wrong, or a member comes or goes.
    fn disturb(&mut self) {
        let victim = self.random.below(self.instances.len() as u64) as usize;
        match self.random.below(5) {
            0 => {
                self.mismatches += self.instances.remove(victim).mismatches;
                self.join();
                self.rebalance();
            }
            1 if self.instances.len() < 4 => {
                self.join();
                self.rebalance();
            }
            2 => self.rebalance(),
            3 => {
                // The newest checkpoint of a partition is torn, or all are gone.
                let partition = self.random.below(u64::from(self.world.partitions)) as u32;
                let kept = self.broker.store.entry(partition).or_default();
                match self.random.below(3) {
                    0 => kept.clear(),
                    1 => {
                        if let Some(mut newest) = kept.last_entry() {
                            newest.get_mut().snapshot.truncate(40);
                        }
                    }
                    _ => {
                        if let Some(mut newest) = kept.last_entry() {
                            let middle = newest.get().snapshot.len() / 2;
                            newest.get_mut().snapshot[middle] ^= 4;
                        }
                    }
                }
            }
            _ => {}
        }
    }

    fn fate(&mut self) -> CommitFate {
        match self.random.below(60) {
            0 => CommitFate::Refused,
            1 => CommitFate::AnswerLost,
            2 => CommitFate::DiesBefore,
            3 => CommitFate::DiesAfter,
            _ => CommitFate::Fine,
        }
    }

    fn step(&mut self, is_troubled: bool) {
        self.steps += 1;
        if is_troubled && self.random.below(200) == 0 {
            self.request();
        }
        let index = self.random.below(self.instances.len() as u64) as usize;
        let fate = if is_troubled {
            self.fate()
        } else {
            CommitFate::Fine
        };
        let Chaos {
            world,
            broker,
            instances,
            random,
            ..
        } = self;
        let instance = &mut instances[index];
        // A zombie goes on for a while before it hears of anything.
        if !is_troubled || random.happens(80) {
            instance.hear(broker);
        }
        match random.below(6) {
            0 => instance.read_messages(world, random, 400),
            1 => instance.read_rates(broker, random, 60),
            2 => {
                let most = random.between(1, 60);
                instance.read_coordination(broker, most);
            }
            3 => instance.deliver_told(broker),
            4 if instance.id == self.leader || (instance.leads() && random.happens(50)) => {
                let now_ms = self.now_ms;
                instance.lead(broker, world, world.sources.len() as u32, now_ms);
                // Its producer is lost, or it does not learn how the transaction ended.
                if is_troubled && random.happens(5) {
                    instance.lead_no_more();
                }
            }
            4 => instance.lead_no_more(),
            _ => {
                self.now_ms += 5;
                instance.tick(broker, self.now_ms, fate);
            }
        }
        let failed = &self.instances[index].failed;
        assert!(failed.is_empty(), "{failed:?}");
        if self.instances[index].is_dead {
            self.mismatches += self.instances.remove(index).mismatches;
            self.join();
            self.rebalance();
        }
    }

    fn is_done(&self) -> bool {
        let committed = &self.broker.groups[INGEST].committed;
        let sources = self.world.sources.iter().enumerate();
        let mut sources = sources.map(|(one, events)| {
            committed
                .get(&(one as u32))
                .is_some_and(|(to, _)| *to == events.len() as u64)
        });
        let judged = &self.broker.groups[DETECT].committed;
        let mut logs = self.broker.rates.iter().enumerate();
        sources.all(|done| done)
            && logs.all(|(one, log)| {
                judged
                    .get(&(one as u32))
                    .is_some_and(|(to, _)| log.next(*to).is_none())
            })
            && self
                .instances
                .iter()
                .all(|one| one.is_done(&self.world, &self.broker))
    }

    fn describe(&self) -> String {
        let ingest = &self.broker.groups[INGEST].committed;
        let detect = &self.broker.groups[DETECT].committed;
        let ends: Vec<u64> = self.broker.rates.iter().map(|log| log.end).collect();
        let mut text = format!("ingest {ingest:?}\ndetect {detect:?}\nends {ends:?}\n");
        text += &format!("coordination ends at {}\n", self.broker.coordination.end);
        for (offset, record) in &self.broker.coordination.records {
            text += &format!("{offset}: {record:?}\n");
        }
        for instance in &self.instances {
            text += &instance.describe();
        }
        text
    }

    fn run(&mut self) {
        let troubles = self.random.between(5, 60);
        for _ in 0..troubles {
            for _ in 0..self.random.between(1, 400) {
                self.step(true);
            }
            self.disturb();
        }
        while !self.to_ask.is_empty() {
            self.request();
        }
        while !self.is_done() {
            self.step(false);
            if self.steps >= STEPS_MAX {
                panic!("it does not come to an end:\n{}", self.describe());
            }
        }
        self.mismatches += self.instances.iter().map(|one| one.mismatches).sum::<u64>();
    }
}

fn sorted(mut lines: Vec<Vec<u8>>) -> Vec<String> {
    lines.sort();
    lines
        .into_iter()
        .map(|line| String::from_utf8(line).expect("JSON is text"))
        .collect()
}

/// What a seed showed.
#[derive(Default)]
struct Seen {
    insights: u64,
    hidden: u64,
    /// Whether what was known was in force everywhere in time, and changed something.
    is_as_replayed: bool,
    came_late: bool,
}

fn check(seed: u64) -> Seen {
    let mut chaos = Chaos::new(seed);
    let silent = sorted(in_peace(&chaos.world));
    chaos.run();
    let known = knowing::check_answers(&chaos.broker, &chaos.asked, chaos.world.known_max);
    let told = knowing::told_by_logs(&chaos.broker, &chaos.world);
    let expected = sorted(told.lines);
    if told.is_in_time {
        let peace = sorted(in_peace_knowing(&chaos.world, &known));
        assert_eq!(peace, expected, "seed {seed}: a replay that knows it all");
    }
    let found = sorted(std::mem::take(&mut chaos.broker.outputs));
    let mut hidden = told.hidden;
    hidden.sort();
    let muted = chaos.broker.muted.iter();
    let mut muted: Vec<_> = muted.map(|one| (one.mute, one.insight, one.edge)).collect();
    muted.sort();
    assert_eq!(muted, hidden, "seed {seed}: what is counted as muted");
    let again = format!(
        "INSIGHTD_SIM_SEEDS={seed}..{} cargo test --test protocol_sim",
        seed + 1
    );
    assert_eq!(expected, found, "seed {seed}; {again}");
    assert_eq!(chaos.mismatches, 0, "seed {seed}: states differ; {again}");
    for instance in &chaos.instances {
        let heard = instance.coordination().known().iter();
        assert!(
            heard.map(|one| &**one).eq(known.iter()),
            "seed {seed}: everybody knows"
        );
        assert_eq!(
            instance.continuity(),
            (0, 0),
            "seed {seed}: batches; {again}"
        );
    }
    Seen {
        insights: found.len() as u64,
        hidden: hidden.len() as u64,
        is_as_replayed: told.is_in_time && found != silent,
        came_late: !told.is_in_time,
    }
}

#[test]
fn whatever_fails_nothing_is_lost_and_nothing_is_said_twice() {
    let range = std::env::var("INSIGHTD_SIM_SEEDS").unwrap_or_else(|_| "0..200".to_string());
    let (from, to) = range
        .split_once("..")
        .expect("INSIGHTD_SIM_SEEDS is FROM..TO");
    let seeds: std::ops::Range<u64> =
        from.parse().expect("a number")..to.parse().expect("a number");
    let (mut insights, mut hidden, mut in_time, mut late) = (0, 0, 0, 0);
    for seen in seeds.clone().map(check) {
        insights += seen.insights;
        hidden += seen.hidden;
        in_time += u64::from(seen.is_as_replayed);
        late += u64::from(seen.came_late);
    }
    let count = seeds.end - seeds.start;
    println!(
        "{count} seeds, {insights} insights, each as in peace; {hidden} hidden; knowledge changed \
         {in_time} seeds as it does a replay, and came late in {late}"
    );
    assert!(insights > count, "traffic without incidents proves nothing");
    if count >= 100 {
        let least = insights.min(hidden).min(10 * in_time).min(10 * late);
        assert!(
            least > count,
            "what people know has to show, in time and late"
        );
    }
}
