//! How a partition comes to know what people know, and what it hides for it.
//!
//! What its log says it hears at that place. What a checkpoint had heard, and what stood in a part
//! of the log that is no more, comes from the coordination topic.

use std::sync::Arc;

use super::detect_actions::{DetectAction, Muted, Restored};
use super::detect_member::DetectMember;
use super::detect_partition::{CheckpointName, Partition, Phase};
use super::heard::{Heard, Hearing};
use crate::model::{InsightEvent, Knowledge};

impl DetectMember {
    /// The log of a partition says what is known under a number; actions if it cannot go on.
    pub(super) fn hear(
        &mut self,
        partition: u32,
        number: u32,
        record: &Arc<Knowledge>,
    ) -> Option<Vec<DetectAction>> {
        let known = self.coordination.known();
        let state = self.partitions.get_mut(&partition)?;
        // A partition that lacks the beginning of its log may have heard of it before, or lack
        // what stood in between.
        while state.hearing.heard().count < number {
            let Some(missing) = known.get(state.hearing.heard().count as usize) else {
                let reason = format!(
                    "knowledge {} is not in the rates log, and {number} is: it was written by \
                     another service, or is damaged",
                    state.hearing.heard().count
                );
                return Some(self.fail(partition, reason));
            };
            state.hear(missing);
        }
        if state.hearing.heard().count == number {
            // Partitions share what the topic says of it already.
            let shared = known.get(number as usize).filter(|known| *known == record);
            state.hear(shared.unwrap_or(record));
        }
        None
    }
}

impl Partition {
    /// Takes what a checkpoint holds.
    pub fn take(&mut self, checkpoint: CheckpointName, restored: Restored) {
        let Restored {
            engine,
            is_rebuilt,
            canonical,
            heard,
        } = restored;
        self.position = checkpoint.offset;
        self.checkpoint = Some(checkpoint.offset);
        self.digest = engine.digest();
        self.continuity_before = engine.continuity();
        self.engine = Some(*engine);
        self.canonical = canonical;
        self.is_rebuilt = is_rebuilt;
        self.to_hear = Some(heard);
        self.phase = Phase::Unnamed;
    }

    /// Whether all that it has to know before it goes on is known.
    pub fn can_hear(&self, known: &[Arc<Knowledge>]) -> bool {
        let to_hear = self.to_hear.as_ref();
        to_hear.is_none_or(|heard| heard.count as usize <= known.len())
    }

    /// Hears what it has to know before it goes on.
    pub fn hear_before(&mut self, known: &[Arc<Knowledge>]) {
        let heard = self.to_hear.take().unwrap_or_else(|| Heard {
            count: known.len() as u32,
            late: Vec::new(),
        });
        let (hearing, feedback) = Hearing::restored(&heard, known);
        self.hearing = hearing;
        if let Some(engine) = &mut self.engine {
            feedback.into_iter().for_each(|one| engine.hear(one));
        }
    }

    fn hear(&mut self, record: &Arc<Knowledge>) {
        let closed = self.engine.as_ref().and_then(|engine| engine.closed());
        let feedback = self.hearing.hear(record, closed);
        if let (Some(feedback), Some(engine)) = (feedback, &mut self.engine) {
            engine.hear(feedback);
        }
    }

    /// Whether an insight that the record at `current` led to is hidden.
    pub fn mute(&mut self, event: &InsightEvent) -> bool {
        let Some(mute) = self.hearing.mute_of(event) else {
            return false;
        };
        self.muted.push_back(Muted {
            offset: self.current,
            mute,
            insight: event.shared_event_id,
            insight_type: event.series.insight_type,
            edge: event.edge,
        });
        true
    }
}
