//! How a member applies records: what is said of them, what waits, and what happens on arrival at
//! the committed offset.

use super::detect_actions::{Checkpoint, DetectAction, DetectNote, OutputContent, OutputRecord};
use super::detect_member::DetectMember;
use super::detect_partition::{CheckpointName, Partition, Phase};
use super::{CoordinationRecord, SparseReport};
use crate::detect::{DetectSettings, Engine, Need};
use crate::formats::write_insight;
use crate::model::LogRecord;

/// Records of one partition that may wait in memory while its engine waits.
const QUEUE_MAX: usize = 256;
/// The partition that speaks for all where one has to.
pub(super) const SPEAKER: u32 = 0;

impl DetectMember {
    /// The origin is known: partitions that have come further without a count go through the time
    /// since.
    pub(super) fn begin_time(&mut self) -> Vec<DetectAction> {
        let Some(origin) = self.coordination.origin() else {
            return Vec::new();
        };
        let mut actions = Vec::new();
        let partitions: Vec<u32> = self.partitions.keys().copied().collect();
        for partition in partitions {
            let Some(state) = self.partitions.get_mut(&partition) else {
                continue;
            };
            let Some(engine) = state.engine.as_mut().filter(|_| !state.is_rebuilt) else {
                continue;
            };
            engine.set_origin(origin);
            if state.phase != Phase::Running || state.blocked.is_some() || engine.has_begun() {
                continue;
            }
            if state.position > state.current {
                state.blocked = engine.resume(&mut self.out);
                actions.extend(self.after_step(partition));
            }
        }
        actions
    }

    /// Tries every blocked partition again.
    pub(super) fn go_on(&mut self) -> Vec<DetectAction> {
        let blocked = self
            .partitions
            .iter()
            .filter(|(_, state)| state.blocked.is_some());
        let blocked: Vec<u32> = blocked.map(|(partition, _)| *partition).collect();
        let mut actions = Vec::new();
        for partition in blocked {
            actions.extend(self.unblock(partition));
        }
        actions
    }

    pub(super) fn unblock(&mut self, partition: u32) -> Vec<DetectAction> {
        let mut actions = Vec::new();
        while let Some(state) = self.partitions.get_mut(&partition)
            && let (Some(engine), Some(need)) = (&mut state.engine, state.blocked)
        {
            let is_met = match need {
                Need::Origin { first } if state.is_rebuilt => {
                    engine.set_origin(first);
                    true
                }
                Need::Origin { .. } => {
                    let origin = self.coordination.origin();
                    origin
                        .inspect(|origin| engine.set_origin(*origin))
                        .is_some()
                }
                Need::Threshold { hour } => {
                    let known = self.coordination.thresholds(hour);
                    if let Some(all) = known {
                        engine.know_thresholds(hour, all.clone());
                    }
                    known.is_some()
                }
            };
            if !is_met {
                return actions;
            }
            state.blocked = engine.resume(&mut self.out);
            actions.extend(self.after_step(partition));
            if let Need::Origin { first } = need {
                actions.extend(self.report_absence(partition, first.hour()));
            }
        }
        while let Some(state) = self.partitions.get_mut(&partition)
            && state.blocked.is_none()
            && let Some((offset, record)) = state.queue.pop_front()
        {
            actions.extend(self.apply(partition, offset, &record));
        }
        let Some(state) = self.partitions.get_mut(&partition) else {
            return actions;
        };
        if state.is_paused && state.blocked.is_none() {
            state.is_paused = false;
            actions.push(DetectAction::Resume { partition });
        }
        actions
    }

    /// The next record of a partition, or why its bytes are none.
    pub fn record(
        &mut self,
        partition: u32,
        offset: u64,
        record: Result<LogRecord, String>,
    ) -> Vec<DetectAction> {
        let Some(state) = self.partitions.get_mut(&partition) else {
            return Vec::new();
        };
        let expected = state
            .queue
            .back()
            .map_or(state.position, |(last, _)| last + 1);
        if state.phase != Phase::Running || offset < expected {
            return Vec::new();
        }
        let record = match record {
            Ok(record) => record,
            Err(reason) => {
                let reason = format!(
                    "offset {offset} of the rates log cannot be read: {reason}; it was written by \
                     another version or is damaged: run the version that wrote it, or delete the \
                     records of this partition up to it, with checkpoint.on_gap = \"gap\""
                );
                return self.fail(partition, reason);
            }
        };
        if state.blocked.is_none() {
            return self.apply(partition, offset, &record);
        }
        state.queue.push_back((offset, record));
        if state.queue.len() >= QUEUE_MAX && !state.is_paused {
            state.is_paused = true;
            return vec![DetectAction::Pause { partition }];
        }
        Vec::new()
    }

    /// Applies a record to an engine that waits for nothing.
    pub(super) fn apply(
        &mut self,
        partition: u32,
        offset: u64,
        record: &LogRecord,
    ) -> Vec<DetectAction> {
        let parse = self.setup.parse;
        if let Some(actions) = self.open(partition, offset, record) {
            return actions;
        }
        let Some(state) = self.partitions.get_mut(&partition) else {
            return Vec::new();
        };
        if !state.has_arrived && state.committed.is_some_and(|committed| offset >= committed) {
            self.arrive(partition);
        }
        let Some(state) = self.partitions.get_mut(&partition) else {
            return Vec::new();
        };
        state.current = offset;
        if state.was_published(offset) {
            self.replayed += 1;
        }
        if let LogRecord::Knowledge { number, record } = record
            && let Some(actions) = self.hear(partition, *number, record)
        {
            return actions;
        }
        let Some(state) = self.partitions.get_mut(&partition) else {
            return Vec::new();
        };
        let Some(engine) = &mut state.engine else {
            return Vec::new();
        };
        if let LogRecord::Settings(canonical) = record {
            let settings = parse(canonical);
            let feedback = engine.settings().feedback.clone();
            let changed = settings.map(|settings| {
                engine.reconfigure(DetectSettings {
                    feedback,
                    ..settings
                })
            });
            match changed {
                Some(Ok(())) => state.canonical.clone_from(canonical),
                Some(Err(refusal)) => return self.fail(partition, refusal.to_string()),
                None => {
                    let reason = "settings in the rates log that this version does not know";
                    return self.fail(partition, reason.to_string());
                }
            }
        }
        state.blocked = engine.apply(record, &mut self.out);
        let mut actions = self.after_step(partition);
        if self
            .partitions
            .get(&partition)
            .is_some_and(|state| state.blocked.is_some())
        {
            actions.extend(self.unblock(partition));
        }
        actions
    }

    /// At the first record of a log that was taken for whole, looks whether it is: a topic that was
    /// deleted and made again begins in the middle.
    fn open(
        &mut self,
        partition: u32,
        offset: u64,
        record: &LogRecord,
    ) -> Option<Vec<DetectAction>> {
        let state = self.partitions.get_mut(&partition)?;
        let is_whole = matches!(record, LogRecord::Settings(_));
        if !std::mem::take(&mut state.must_open) || is_whole {
            return None;
        }
        if self.setup.fails_on_gap {
            let reason = "the rates log does not begin with settings: its topic was deleted and \
                          made again; begin anew with another kafka.rates_topic, \
                          kafka.coordination_topic and kafka.group";
            return Some(self.fail(partition, reason.to_string()));
        }
        let mut engine = Engine::new(self.setup.settings.clone());
        let sources = self.coordination.first_sources().unwrap_or(0);
        engine.apply(&LogRecord::Sources(sources), &mut self.out);
        state.engine = Some(engine);
        state.is_rebuilt = true;
        state.is_estranged = true;
        state.retire(self.coordination.retired());
        state.to_hear = None;
        state.hear_before(self.coordination.known());
        self.notes.push(DetectNote::Gap {
            partition,
            oldest: offset,
            needed: 0,
        });
        None
    }

    /// Takes what an engine said; finishes its record if it waits for nothing.
    fn after_step(&mut self, partition: u32) -> Vec<DetectAction> {
        let mut actions = self.collect(partition);
        let Some(state) = self.partitions.get_mut(&partition) else {
            return actions;
        };
        match state.blocked {
            None => {
                state.finish_record();
                let has_arrived = state.has_arrived || !state.has_caught_up();
                actions.extend(self.tell_passed(partition));
                if !has_arrived {
                    self.arrive(partition);
                }
            }
            Some(Need::Origin { first }) => {
                if state.told.is_none() && !state.is_rebuilt {
                    state.told = Some(u32::MAX);
                    actions.push(DetectAction::Tell(CoordinationRecord::Candidate {
                        partition,
                        first: Some(first.0),
                        passed: first.0,
                    }));
                }
            }
            Some(Need::Threshold { .. }) => {}
        }
        actions
    }

    /// Takes insights and reports out of an engine; those that were published vanish.
    fn collect(&mut self, partition: u32) -> Vec<DetectAction> {
        let Some(state) = self.partitions.get_mut(&partition) else {
            return Vec::new();
        };
        let Some(engine) = &mut state.engine else {
            return Vec::new();
        };
        let offset = state.current;
        let reports = engine.take_reports();
        let insights = std::mem::take(&mut self.out.insights);
        let is_silent = partition == SPEAKER && engine.is_silent();
        // Before time begins there is nothing to be silent in.
        let since = engine.closed();
        let is_silent = is_silent && since.is_some();
        let becomes_silent = is_silent && !state.is_silent;
        state.is_silent = is_silent;
        if state.was_published(offset) {
            return Vec::new();
        }
        if !insights.is_empty() {
            // Settings in force are those of the log, whatever this process was started with.
            let context = (self.setup.context)(&state.canonical);
            for event in insights {
                if state.mute(&event) {
                    continue;
                }
                let mut value = Vec::new();
                write_insight(&event, &context, &mut value);
                value.pop();
                state.push_output(partition, OutputContent::Insight(Box::new(event)), value);
            }
        }
        if let Some(since) = since.filter(|_| becomes_silent) {
            let value = format!("{{\"since\":\"{since}\"}}").into_bytes();
            state.push_output(partition, OutputContent::PipelineSilent { since }, value);
            self.notes.push(DetectNote::Silent { since });
        }
        let tell = |(hour, report)| {
            DetectAction::Tell(CoordinationRecord::Report {
                partition,
                hour,
                report: SparseReport::from(&report),
            })
        };
        reports.into_iter().map(tell).collect()
    }

    /// Tells the leader that a partition has passed the earliest candidate without a count.
    pub(super) fn tell_passed(&mut self, partition: u32) -> Vec<DetectAction> {
        let candidate = self.coordination.first_candidate();
        let (None, Some(first)) = (self.coordination.origin(), candidate) else {
            return Vec::new();
        };
        let Some(state) = self.partitions.get_mut(&partition) else {
            return Vec::new();
        };
        let passed = state.engine.as_ref().and_then(Engine::watermark);
        let Some(passed) = passed.filter(|passed| *passed > first) else {
            return Vec::new();
        };
        if state.is_rebuilt || state.told.is_some_and(|told| told > first.0) {
            return Vec::new();
        }
        state.told = Some(passed.0);
        vec![DetectAction::Tell(CoordinationRecord::Candidate {
            partition,
            first: None,
            passed: passed.0,
        })]
    }

    /// Reports nothing for the hours that a partition which began anew will not report.
    fn report_absence(&mut self, partition: u32, own_origin: u32) -> Vec<DetectAction> {
        let is_rebuilt = self
            .partitions
            .get(&partition)
            .is_some_and(|state| state.is_rebuilt);
        let next = self.coordination.next_hour().filter(|_| is_rebuilt);
        let from = next.unwrap_or(own_origin);
        let missing =
            (from..own_origin).filter(|hour| !self.coordination.has_report(partition, *hour));
        missing.map(|hour| nothing_in(partition, hour)).collect()
    }

    /// Reports nothing of partitions that have failed, or began anew and have met no count yet, for
    /// the hour that all wait for once another has reported it: the threshold of the others must
    /// not wait for somebody to look at them, or for a count.
    pub(super) fn report_absent(&mut self) -> Vec<DetectAction> {
        let coordination = &self.coordination;
        let next = coordination.next_hour();
        let Some(hour) = next.filter(|hour| coordination.reported(*hour).is_some()) else {
            return Vec::new();
        };
        let mut actions = Vec::new();
        for (partition, state) in &mut self.partitions {
            let is_told = state.absent_hour == Some(hour);
            if (state.phase == Phase::Failed || state.has_nothing_in(hour))
                && !is_told
                && !coordination.has_report(*partition, hour)
            {
                state.absent_hour = Some(hour);
                actions.push(nothing_in(*partition, hour));
            }
        }
        actions
    }

    /// At the committed offset, looks whether the state is what was committed.
    pub(super) fn arrive(&mut self, partition: u32) {
        let Some(state) = self.partitions.get_mut(&partition) else {
            return;
        };
        state.has_arrived = true;
        // A silence that goes on was told by whoever committed.
        let engine = state.engine.as_ref();
        let was_silent = engine.is_some_and(|engine| engine.is_silent() && engine.has_begun());
        state.is_silent = was_silent && partition == SPEAKER && state.committed.is_some();
        if state.differs_from_committed() {
            self.notes.push(DetectNote::Mismatch { partition });
            state.is_estranged = true;
        }
        if state.is_estranged
            && let Some(engine) = &mut state.engine
        {
            state.is_estranged = false;
            let incidents = engine.abandon_incidents();
            if incidents > 0 {
                self.notes.push(DetectNote::Abandoned {
                    partition,
                    incidents,
                });
            }
        }
        let from = state.checkpoint.unwrap_or(state.found.ends.0);
        self.notes.push(DetectNote::Running {
            partition,
            replayed: state.position.saturating_sub(from),
        });
    }
}

/// A partition's report of an hour in which it had nothing.
fn nothing_in(partition: u32, hour: u32) -> DetectAction {
    DetectAction::Tell(CoordinationRecord::Report {
        partition,
        hour,
        report: SparseReport::default(),
    })
}

impl Partition {
    fn push_output(&mut self, partition: u32, content: OutputContent, value: Vec<u8>) {
        let before = self
            .outputs
            .iter()
            .rev()
            .take_while(|other| other.offset == self.current);
        let ordinal = before.count() as u32;
        self.outputs.push_back(OutputRecord {
            partition,
            offset: self.current,
            ordinal,
            content,
            value,
        });
    }

    pub(super) fn save(&mut self, partition: u32) -> Option<Checkpoint> {
        let engine = self.engine.as_ref()?;
        self.checkpoint = Some(self.position);
        Some(Checkpoint {
            partition,
            generation: self.generation,
            name: CheckpointName {
                offset: self.position,
                digest: self.digest,
            },
            is_rebuilt: self.is_rebuilt,
            canonical: self.canonical.clone(),
            heard: self.hearing.heard().clone(),
            snapshot: engine.snapshot(),
        })
    }
}
