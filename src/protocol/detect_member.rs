//! A member of the group that reads the rates log: records in; insights, offsets, checkpoints out.
//!
//! It never says anything twice: what records before the committed offset lead to is not said
//! again, and what later ones lead to is published in one transaction with the offset behind them.
//! Where an engine needs to be told something first, its records wait.

use std::collections::BTreeMap;

use super::detect_actions::{DetectAction, DetectNote, DetectTransaction, Restored};
use super::detect_partition::{Beginning, Found, Partition, Phase};
use super::detect_steps::SPEAKER;
use super::{Coordination, CoordinationRecord, Heard};
use crate::detect::{Continuity, DetectSettings, Engine, EngineStats, Output};
use crate::formats::RecordContext;
use crate::model::{LogRecord, Minute};

/// Pause after a transaction that was given up.
const RETRY_MS: u64 = 100;

/// What does not change while a member runs.
pub struct DetectSetup {
    /// Settings of a log that begins with none.
    pub settings: DetectSettings,
    pub canonical: String,
    /// Settings of detection out of canonical text.
    pub parse: fn(&str) -> Option<DetectSettings>,
    /// What records say of the settings that they were decided by, of canonical text.
    pub context: fn(&str) -> RecordContext,
    pub commit_interval_ms: u64,
    pub checkpoint_interval_ms: u64,
    /// A partition whose log lacks what it needs fails, and is not begun anew.
    pub fails_on_gap: bool,
}

/// The member.
pub struct DetectMember {
    pub(super) setup: DetectSetup,
    pub(super) coordination: Coordination,
    pub(super) partitions: BTreeMap<u32, Partition>,
    generation: u64,
    next_commit_ms: u64,
    /// A transaction was handed out and not answered.
    is_committing: bool,
    pub(super) out: Output,
    pub(super) notes: Vec<DetectNote>,
    pub(super) replayed: u64,
}

impl DetectMember {
    pub fn new(setup: DetectSetup) -> Self {
        DetectMember {
            setup,
            coordination: Coordination::default(),
            partitions: BTreeMap::new(),
            generation: 0,
            next_commit_ms: 0,
            is_committing: false,
            out: Output::default(),
            notes: Vec::new(),
            replayed: 0,
        }
    }

    /// Partitions were given to this member.
    pub fn assigned(&mut self, partitions: &[u32]) -> Vec<DetectAction> {
        let mut actions = Vec::new();
        for partition in partitions {
            self.generation += 1;
            let generation = self.generation;
            self.partitions
                .insert(*partition, Partition::new(generation));
            actions.push(DetectAction::Find {
                partition: *partition,
                generation,
            });
        }
        actions
    }

    /// Partitions were taken away: what was not committed is the next owner's to say.
    pub fn revoked(&mut self, partitions: &[u32]) {
        for partition in partitions {
            self.partitions.remove(partition);
        }
    }

    /// The answer to [`DetectAction::Find`].
    pub fn found(&mut self, partition: u32, generation: u64, found: Found) -> Vec<DetectAction> {
        let Some(state) = self.at(partition, generation, Phase::Finding) else {
            return Vec::new();
        };
        state.found = found;
        state.settle();
        self.begin(partition)
    }

    /// The answer to [`DetectAction::Load`]: what it holds, or why the checkpoint cannot be used.
    pub fn loaded(
        &mut self,
        partition: u32,
        generation: u64,
        result: Result<Restored, String>,
    ) -> Vec<DetectAction> {
        let Some(state) = self.partitions.get_mut(&partition) else {
            return Vec::new();
        };
        let Phase::Loading(checkpoint) = state.phase else {
            return Vec::new();
        };
        if state.generation != generation {
            return Vec::new();
        }
        match result {
            Ok(restored) => {
                state.take(checkpoint, restored);
                self.start_named()
            }
            Err(reason) => {
                state.found.checkpoints.retain(|other| *other != checkpoint);
                // What was committed does not change with the checkpoint that is gone.
                if state.found.committed.is_none() {
                    let text = String::new();
                    state.found.committed = state.committed.map(|offset| (offset, text));
                }
                self.notes.push(DetectNote::Unusable {
                    partition,
                    checkpoint,
                    reason,
                });
                self.begin(partition)
            }
        }
    }

    fn begin(&mut self, partition: u32) -> Vec<DetectAction> {
        let Some(state) = self.partitions.get_mut(&partition) else {
            return Vec::new();
        };
        let generation = state.generation;
        match state.beginning() {
            Beginning::Load(checkpoint) => {
                state.phase = Phase::Loading(checkpoint);
                vec![DetectAction::Load {
                    partition,
                    generation,
                    checkpoint,
                }]
            }
            Beginning::Anew { from, is_whole } => self.begin_anew(partition, from, is_whole),
            Beginning::Gap { oldest, needed } if self.setup.fails_on_gap => {
                let reason = format!(
                    "the rates log begins at offset {oldest} and {needed} is needed: it was kept \
                     for too short a time, or the service was down for too long; set \
                     checkpoint.on_gap = \"gap\" to begin this partition anew"
                );
                self.fail(partition, reason)
            }
            Beginning::Gap { oldest, needed } => {
                self.notes.push(DetectNote::Gap {
                    partition,
                    oldest,
                    needed,
                });
                self.begin_anew(partition, oldest, false)
            }
            Beginning::Shrunk { end, committed } => {
                let reason = format!(
                    "the rates log ends at offset {end}, before what was committed, {committed}: \
                     the topic was deleted or made again; choose another kafka.group, and another \
                     checkpoint.path"
                );
                self.fail(partition, reason)
            }
        }
    }

    fn begin_anew(&mut self, partition: u32, from: u64, is_whole: bool) -> Vec<DetectAction> {
        let settings = self.setup.settings.clone();
        let canonical = self.setup.canonical.clone();
        let Some(state) = self.partitions.get_mut(&partition) else {
            return Vec::new();
        };
        state.engine = Some(Engine::new(settings));
        state.canonical = canonical;
        state.position = from;
        state.is_rebuilt = !is_whole;
        state.is_estranged = !is_whole;
        state.must_open = is_whole;
        state.to_hear = is_whole.then(Heard::default);
        state.phase = Phase::Unnamed;
        self.start_named()
    }

    pub(super) fn fail(&mut self, partition: u32, reason: String) -> Vec<DetectAction> {
        let Some(state) = self.partitions.get_mut(&partition) else {
            return Vec::new();
        };
        state.phase = Phase::Failed;
        state.engine = None;
        state.queue.clear();
        self.notes.push(DetectNote::Failed { partition, reason });
        vec![DetectAction::Pause { partition }]
    }

    /// Has partitions read that wait for nothing but the names of the sources.
    fn start_named(&mut self) -> Vec<DetectAction> {
        let Some(sources) = self.coordination.first_sources() else {
            return Vec::new();
        };
        let origin = self.coordination.origin();
        let retired = self.coordination.retired();
        let known = self.coordination.known();
        let mut actions = Vec::new();
        let mut started = Vec::new();
        for (partition, state) in &mut self.partitions {
            if state.phase != Phase::Unnamed || !state.can_hear(known) {
                continue;
            }
            let Some(engine) = state.engine.as_mut() else {
                continue;
            };
            // Whoever committed knew the origin.
            if state.committed.is_some() && origin.is_none() && !state.is_rebuilt {
                continue;
            }
            engine.apply(&LogRecord::Sources(sources), &mut self.out);
            if let Some(origin) = origin.filter(|_| !state.is_rebuilt) {
                engine.set_origin(origin);
            }
            state.phase = Phase::Running;
            state.retire(retired);
            state.hear_before(known);
            actions.push(DetectAction::Read {
                partition: *partition,
                from: state.position,
            });
            let to = state.committed.unwrap_or(state.position);
            if state.position < to {
                self.notes.push(DetectNote::Restoring {
                    partition: *partition,
                    from: state.position,
                    to,
                });
            }
            started.push(*partition);
        }
        for partition in started {
            if self
                .partitions
                .get(&partition)
                .is_some_and(Partition::has_caught_up)
            {
                self.arrive(partition);
            }
        }
        actions
    }

    /// The coordination topic went on, by all that has come of it.
    pub fn coordinate(&mut self, records: &[CoordinationRecord]) -> Vec<DetectAction> {
        let (mut may_start, mut may_begin, mut may_go_on) = (false, false, false);
        for record in records {
            self.coordination.apply(record);
            match record {
                CoordinationRecord::Sources { .. } | CoordinationRecord::Known { .. } => {
                    may_start = true;
                }
                CoordinationRecord::Origin { .. } => (may_start, may_begin) = (true, true),
                CoordinationRecord::Thresholds { .. } => may_go_on = true,
                CoordinationRecord::Retired { .. }
                | CoordinationRecord::Candidate { .. }
                | CoordinationRecord::Settings { .. }
                | CoordinationRecord::Report { .. }
                | CoordinationRecord::Leader { .. }
                | CoordinationRecord::Request { .. }
                | CoordinationRecord::Refused { .. } => {}
            }
        }
        for state in self.partitions.values_mut() {
            state.retire(self.coordination.retired());
        }
        let mut actions = Vec::new();
        if may_start {
            actions.extend(self.start_named());
        }
        if may_begin {
            actions.extend(self.begin_time());
        }
        if may_begin || may_go_on {
            actions.extend(self.go_on());
        }
        let partitions: Vec<u32> = self.partitions.keys().copied().collect();
        for partition in partitions {
            actions.extend(self.tell_passed(partition));
        }
        actions
    }

    /// Time has passed: what is due.
    pub fn tick(&mut self, now_ms: u64) -> Vec<DetectAction> {
        let mut actions = self.report_absent();
        if now_ms >= self.next_commit_ms
            && let Some(transaction) = self.prepare()
        {
            self.next_commit_ms = now_ms + self.setup.commit_interval_ms;
            actions.push(DetectAction::Commit(transaction));
        }
        actions
    }

    /// The transaction that is to be committed now, whatever the time.
    pub fn prepare(&mut self) -> Option<DetectTransaction> {
        if self.is_committing {
            return None;
        }
        // Where time begins for a partition depends on when it hears of the origin; from then on
        // its state follows from its log alone.
        let has_origin = self.coordination.origin().is_some();
        let mut transaction = DetectTransaction::default();
        for (partition, state) in &self.partitions {
            let is_new = state
                .committed
                .is_none_or(|committed| state.position > committed);
            // What a partition decided before it failed is published, too.
            let has_failed = state.phase == Phase::Failed && state.has_arrived;
            let may_speak = state.phase == Phase::Running || has_failed;
            if !may_speak || !is_new || !state.has_caught_up() {
                continue;
            }
            let waits_to_begin = state.committed.is_none() && state.blocked.is_some();
            if waits_to_begin || (!has_origin && !state.is_rebuilt) {
                continue;
            }
            if state.committed.is_none() && state.position == state.found.ends.0 {
                continue;
            }
            let done = state
                .outputs
                .iter()
                .take_while(|output| output.offset < state.position);
            transaction.outputs.extend(done.cloned());
            let muted = state.muted.iter();
            let muted = muted.take_while(|muted| muted.offset < state.position);
            transaction.muted.extend(muted.cloned());
            let metadata = state.metadata().to_string();
            transaction
                .offsets
                .push((*partition, state.position, metadata));
        }
        self.is_committing = !transaction.offsets.is_empty();
        self.is_committing.then_some(transaction)
    }

    /// A transaction was committed; what is to be saved now.
    pub fn committed(&mut self, transaction: &DetectTransaction, now_ms: u64) -> Vec<DetectAction> {
        self.is_committing = false;
        let interval = self.setup.checkpoint_interval_ms;
        let mut actions = Vec::new();
        for (partition, offset, _) in &transaction.offsets {
            let Some(state) = self.partitions.get_mut(partition) else {
                continue;
            };
            state.committed = Some(*offset);
            while state
                .outputs
                .front()
                .is_some_and(|output| output.offset < *offset)
            {
                state.outputs.pop_front();
            }
            while state
                .muted
                .front()
                .is_some_and(|muted| muted.offset < *offset)
            {
                state.muted.pop_front();
            }
            let is_due = now_ms >= state.checkpoint_due_ms;
            let is_clean = state.blocked.is_none() && state.position == *offset;
            if is_due && is_clean && state.checkpoint != Some(*offset) {
                // Partitions take turns, so that not all are saved at once.
                let turn = u64::from(*partition) * interval / 64 % interval.max(1);
                let is_first = state.checkpoint_due_ms == 0;
                state.checkpoint_due_ms = now_ms + if is_first { turn } else { interval };
                if !is_first {
                    actions.extend(state.save(*partition).map(DetectAction::Store));
                }
            }
        }
        actions
    }

    /// A transaction was not committed: its content is offered again.
    pub fn aborted(&mut self, now_ms: u64) {
        self.is_committing = false;
        self.next_commit_ms = now_ms + RETRY_MS;
    }

    /// Checkpoints of all partitions as they were committed, before the member leaves.
    pub fn save_all(&mut self) -> Vec<DetectAction> {
        let mut actions = Vec::new();
        for (partition, state) in &mut self.partitions {
            let is_clean = state.blocked.is_none() && state.committed == Some(state.position);
            if state.phase == Phase::Running && is_clean && state.checkpoint != state.committed {
                actions.extend(state.save(*partition).map(DetectAction::Store));
            }
        }
        actions
    }

    /// What happened since the last call.
    pub fn take_notes(&mut self) -> Vec<DetectNote> {
        std::mem::take(&mut self.notes)
    }

    /// Partitions that do not judge yet, or cannot.
    pub fn waiting(&self) -> usize {
        let waits = |state: &&Partition| state.phase != Phase::Running || !state.has_caught_up();
        self.partitions.values().filter(waits).count()
    }

    /// Whether an engine waits to be told something.
    pub fn is_blocked(&self) -> bool {
        self.partitions
            .values()
            .any(|state| state.blocked.is_some())
    }

    /// Records applied without output.
    pub fn replayed(&self) -> u64 {
        self.replayed
    }

    /// Each partition with its position, the first minute that is not closed, and its engine.
    pub fn states(&self) -> impl Iterator<Item = (u32, u64, Option<Minute>, Option<EngineStats>)> {
        self.partitions.iter().map(|(partition, state)| {
            let engine = state.engine.as_ref();
            let closed = engine.and_then(Engine::closed);
            (
                *partition,
                state.position,
                closed,
                engine.map(Engine::stats),
            )
        })
    }

    /// How batches of all partitions followed each other since they were loaded.
    pub fn continuity(&self) -> Continuity {
        let mut sum = Continuity::default();
        for state in self.partitions.values() {
            let Some(engine) = &state.engine else {
                continue;
            };
            let (now, before) = (engine.continuity(), state.continuity_before);
            sum.duplicate_batches += now.duplicate_batches - before.duplicate_batches;
            sum.gap_batches += now.gap_batches - before.gap_batches;
        }
        sum
    }

    /// Whether every source is proven idle, as far as this member speaks for all.
    pub fn is_silent(&self) -> bool {
        self.partitions
            .get(&SPEAKER)
            .is_some_and(|state| state.is_silent)
    }

    pub fn coordination(&self) -> &Coordination {
        &self.coordination
    }

    fn at(&mut self, partition: u32, generation: u64, phase: Phase) -> Option<&mut Partition> {
        let state = self.partitions.get_mut(&partition)?;
        (state.generation == generation && state.phase == phase).then_some(state)
    }
}
