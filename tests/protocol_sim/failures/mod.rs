//! The failures that the protocol has to bear, one by one, each as a named test.
//!
//! Two processes, one that counts and one that judges, live in a small world whose clock the test
//! moves. Whatever fails, the oracle is the same: one whole engine that saw everything in peace.
//! The numbers of the rows are those of the failure table (reference streaming, 6.7).

mod checkpoints;
mod crashes;
mod knowledge;
mod rates;
mod rebalances;
mod scenes;
mod sources;
mod time;

use insightd::protocol::{BelievedClock, DetectNote};

use super::broker::{Broker, DETECT, INGEST};
use super::instance::{CommitFate, Instance, World};
use super::traffic::START;

/// Place of the process that counts, and coordinates, and of the one that judges.
pub const COUNTS: usize = 0;
pub const JUDGES: usize = 1;

/// Rounds that one step of time may take before it counts as stuck.
const ROUNDS_MAX: u32 = 20_000;

/// Messages or records of one partition that are read at a time.
const READS_MAX: u64 = 100;
/// How the notice begins that all is silent.
const NOTICE: &str = "{\"since\":";

/// A world with a clock, and the two processes in it.
pub struct Live {
    pub world: World,
    pub broker: Broker,
    pub members: [Instance; 2],
    /// A process that sleeps does nothing, and hears of nothing.
    pub sleeps: [bool; 2],
    /// A process that holds its commits does everything else.
    pub holds_commits: [bool; 2],
    /// Messages are there and are not read.
    pub holds_messages: bool,
    /// Whether brokers are asked where sources end, and whether they answer.
    pub probes: Option<bool>,
    /// The clock of the process that counts, and by how much it was set wrong.
    pub clock: BelievedClock,
    pub wall_error_ms: i64,
    /// Newest checkpoints of every partition that are lost with a process that dies.
    pub checkpoints_lost: usize,
    pub deaths: u64,
    pub mismatches: u64,
    pub now_ms: u64,
    next_id: u32,
}

impl Live {
    /// At the beginning of time, with two processes.
    pub fn new(world: World) -> Self {
        let broker = Broker::new(world.partitions);
        Live::with(world, broker, START as u64 * 1000)
    }

    /// New processes where others left off.
    pub fn resumed(from: &Live) -> Self {
        Live::with(from.world.clone(), from.broker.clone(), from.now_ms)
    }

    fn with(world: World, broker: Broker, now_ms: u64) -> Self {
        let next_id = broker.groups[INGEST].generation as u32 * 10;
        let members = [0, 1].map(|one| Instance::new(next_id + one, &world));
        let mut live = Live {
            world,
            broker,
            members,
            sleeps: [false; 2],
            holds_commits: [false; 2],
            holds_messages: false,
            probes: Some(true),
            clock: BelievedClock::new(now_ms, now_ms),
            wall_error_ms: 0,
            checkpoints_lost: 0,
            deaths: 0,
            mismatches: 0,
            now_ms,
            next_id: next_id + 2,
        };
        live.assign();
        live
    }

    /// Gives each process all partitions of its stage.
    pub fn assign(&mut self) {
        let sizes = [self.world.sources.len() as u32, self.world.partitions];
        for (stage, name) in [INGEST, DETECT].into_iter().enumerate() {
            let owner = self.members[stage].id;
            let group = self.broker.group(name);
            group.generation += 1;
            for partition in 0..sizes[stage] {
                group.give(partition, owner);
            }
        }
    }

    /// Another process in the place of one, which is returned as it was.
    pub fn replace(&mut self, stage: usize) -> Instance {
        let new = Instance::new(self.next_id, &self.world);
        self.next_id += 1;
        if stage == COUNTS {
            self.clock = BelievedClock::new(self.now_ms, self.now_ms);
        }
        let old = std::mem::replace(&mut self.members[stage], new);
        self.mismatches += old.mismatches;
        self.assign();
        old
    }

    /// The process of a stage, and the broker that it talks to.
    pub fn member(&mut self, stage: usize) -> (&mut Instance, &mut Broker) {
        (&mut self.members[stage], &mut self.broker)
    }

    /// Gives a process back what another had in the meantime.
    pub fn give_back(&mut self, stage: usize, process: Instance) -> Instance {
        let other = std::mem::replace(&mut self.members[stage], process);
        self.assign();
        other
    }

    /// Kills a process, and begins another.
    pub fn restart(&mut self, stage: usize) {
        self.replace(stage);
        self.deaths += 1;
        for kept in self.broker.store.values_mut() {
            for _ in 0..self.checkpoints_lost {
                kept.pop_last();
            }
        }
    }

    /// Two days of history, all of it counted, judged, committed and saved; what happens is still
    /// to come.
    pub fn begun(world: World) -> Self {
        let mut live = Live::new(world);
        for hours in 46..=49 {
            live.run_to(hours * 60);
        }
        for kept in live.broker.store.values() {
            assert_eq!(kept.len(), 3, "checkpoints");
        }
        live
    }

    /// Moves the clock to a minute since the beginning and lets all processes work until nothing
    /// moves any more.
    pub fn run_to(&mut self, minute: i64) {
        self.world.until = START + minute * 60;
        self.now_ms = self.now_ms.max(self.world.until as u64 * 1000);
        self.settle();
    }

    /// The time of a minute comes, and no message with it.
    pub fn wait_until(&mut self, minute: i64) {
        self.now_ms = self.now_ms.max((START + minute * 60) as u64 * 1000);
        self.settle();
    }

    fn settle(&mut self) {
        let mut idle = 0;
        for _ in 0..ROUNDS_MAX {
            let before = self.progress();
            self.round();
            let is_idle = before == self.progress();
            idle = if is_idle { idle + 1 } else { 0 };
            // What was given up is tried again after a while.
            self.now_ms += if is_idle { 200 } else { 10 };
            if idle == 2 {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    /// As [`Self::run_to`], in steps of so many minutes.
    pub fn run_in_steps(&mut self, from: i64, to: i64, minutes: usize) {
        for minute in (from..=to).step_by(minutes) {
            self.run_to(minute);
        }
    }

    fn round(&mut self) {
        for stage in [COUNTS, JUDGES] {
            if !self.sleeps[stage] {
                self.turn(stage);
            }
            if self.members[stage].is_dead {
                self.restart(stage);
            }
        }
    }

    /// A process does everything once, unless it dies in between.
    fn turn(&mut self, stage: usize) {
        let (holds_commits, holds_messages) = (self.holds_commits[stage], self.holds_messages);
        let Live {
            world,
            broker,
            members,
            ..
        } = self;
        let member = &mut members[stage];
        for work in 0..8 {
            if member.dies() {
                return;
            }
            match work {
                0 => member.hear(broker),
                1 => member.read_coordination(broker, u64::MAX),
                2 if stage == COUNTS => {
                    let sources = world.sources.len() as u32;
                    member.lead(broker, world, sources, self.now_ms);
                }
                3 if !holds_messages => {
                    for source in member.readable(COUNTS) {
                        member.read_source(world, source, READS_MAX);
                    }
                }
                4 if stage == COUNTS => {
                    let wall_ms = self.now_ms.saturating_add_signed(self.wall_error_ms);
                    let at_ms = self.clock.now(wall_ms, self.now_ms);
                    if let Some(has_answer) = self.probes {
                        member.probe(world, at_ms, has_answer);
                    }
                }
                5 => member.deliver_told(broker),
                6 => {
                    for partition in member.readable(JUDGES) {
                        member.read_partition(broker, partition, READS_MAX);
                    }
                }
                7 if !holds_commits => member.tick(broker, self.now_ms, CommitFate::Fine),
                _ => {}
            }
        }
    }

    /// A number that changes with whatever moves.
    fn progress(&self) -> (u64, u64, u64) {
        let broker = &self.broker;
        let written = broker.rates.iter().map(|log| log.end).sum::<u64>();
        let groups = broker.groups.values();
        let committed = groups.flat_map(|group| group.committed.values());
        let committed = committed.map(|(offset, _)| offset).sum::<u64>();
        let members = self.members.iter();
        let read = members.map(Instance::read_so_far).sum::<u64>();
        let of_brokers = written + broker.coordination.end + committed;
        (of_brokers, read, self.deaths)
    }

    /// Every insight that was published, in an order of its own.
    pub fn said(&self) -> Vec<String> {
        let mut said = crate::sorted(self.broker.outputs.clone());
        said.retain(|line| !line.starts_with(NOTICE));
        said
    }

    /// Notices that all is silent.
    pub fn notices(&self) -> usize {
        let outputs = self.broker.outputs.iter();
        outputs
            .filter(|line| line.starts_with(NOTICE.as_bytes()))
            .count()
    }

    /// Insights published so far.
    pub fn insights(&self) -> Vec<serde_json::Value> {
        insights_of(&self.said())
    }

    pub fn notes(&self) -> &[DetectNote] {
        &self.members[JUDGES].notes
    }

    /// First minute that is not closed, since the beginning; of the partition that is furthest.
    pub fn closed(&self) -> Option<i64> {
        let states = self.members[JUDGES].detect.states();
        let closed = states.filter_map(|(_, _, closed, _)| closed).max();
        closed.map(|minute| i64::from(minute.0) - START / 60)
    }

    /// Checks that everything was said as in peace, and that no state, batch or partition is amiss.
    pub fn check(&self, context: &str) {
        self.check_said(&in_peace(&self.world), context);
    }

    pub fn check_said(&self, expected: &[String], context: &str) {
        let said = self.said();
        let differ: Vec<_> = expected
            .iter()
            .filter(|line| !said.contains(line))
            .collect();
        assert!(differ.is_empty(), "{context}: not said: {differ:#?}");
        assert_eq!(
            expected.len(),
            said.len(),
            "{context}: said too much: {said:#?}"
        );
        let members = self.members.iter();
        let mismatches = self.mismatches + members.map(|one| one.mismatches).sum::<u64>();
        assert_eq!(
            mismatches, 0,
            "{context}: states differ from what was committed"
        );
        let judge = &self.members[JUDGES];
        assert_eq!(judge.continuity(), (0, 0), "{context}: batches");
        assert!(judge.failed.is_empty(), "{context}: {:?}", judge.failed);
    }
}

/// What one engine says that sees every source to its end, in an order of its own.
pub fn in_peace(world: &World) -> Vec<String> {
    crate::sorted(crate::in_peace(world))
}

/// Insights as values, by time.
pub fn insights_of(said: &[String]) -> Vec<serde_json::Value> {
    let values = said.iter().map(|line| serde_json::from_str(line));
    let mut insights: Vec<serde_json::Value> = values.map(|value| value.expect("JSON")).collect();
    insights.sort_by_key(|value| value["eventTime"].to_string());
    insights
}

/// State (`Start` or `End`) of each insight, and the API that it is about.
pub fn edges(insights: &[serde_json::Value]) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_string();
    let edges = insights.iter().map(|insight| {
        let details = &insight["insightDetails"];
        (text(&details["state"]), text(&details["eventName"]))
    });
    edges.collect()
}

/// The lines among these that are about an API.
pub fn about(said: &[String], name: &str) -> Vec<String> {
    let name = format!("\"eventName\":\"{name}\"");
    let lines = said.iter().filter(|line| line.contains(&name));
    lines.cloned().collect()
}

/// Checks that every End has its Start, and every Start one End but for so many.
pub fn check_pairs(insights: &[serde_json::Value], starts_without_end: usize) {
    let ids = |state: &str| -> Vec<String> {
        let of_state = insights
            .iter()
            .filter(|one| one["insightDetails"]["state"] == state);
        of_state
            .map(|one| one["sharedEventID"].to_string())
            .collect()
    };
    let (starts, ends) = (ids("Start"), ids("End"));
    for (index, end) in ends.iter().enumerate() {
        assert!(starts.contains(end), "an End without Start: {end}");
        assert!(!ends[..index].contains(end), "two Ends: {end}");
    }
    for (index, start) in starts.iter().enumerate() {
        assert!(!starts[..index].contains(start), "two Starts: {start}");
    }
    assert_eq!(starts.len() - ends.len(), starts_without_end);
}
