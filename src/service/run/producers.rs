//! A producer of transactions that is begun again when it is of no more use.
//!
//! A producer is lost when brokers are away for too long, when this process was stopped for too
//! long, or when another one took its name. The first two go by; the third must not, or both would
//! take the name from each other for ever.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::ConsumerGroupMetadata;

use super::clients::explain;
use super::complaints::Complaints;
use super::{RunError, Shared};
use crate::sink::kafka::{CommittedPosition, OutgoingRecord, TransactionEnd, TransactionProducer};

/// Pause between attempts.
const RETRY: Duration = Duration::from_secs(2);
/// Commits in a row that a group may refuse, a tenth of a second apart, before the service ends to
/// be started anew.
const REFUSED_MAX: u32 = 900;
/// A process that did not get on for so long may have been stopped, and then lost its name to the
/// broker's own clock.
const STALL: Duration = Duration::from_secs(4);
/// Time in which a transaction has to end. A broker with settings by default looks every ten
/// seconds for those that did not, so that who reads waits for one that was left open no longer
/// than five seconds beyond the session timeout, less two for what comes then.
const OPEN_LESS_THAN_SESSION: Duration = Duration::from_secs(7);
/// Longer than a stall: who was stopped must know why its transaction is gone.
const OPEN_MIN: Duration = Duration::from_secs(5);
const OPEN_MAX: Duration = Duration::from_secs(10);
/// How long a stall explains that the name was lost.
const STALL_MEMORY: Duration = Duration::from_secs(120);

/// A producer, or the intention to have one.
pub struct Producer {
    name: String,
    /// Whoever the group elects has the name: that another one had it means nothing.
    is_elected: bool,
    complaints: Complaints,
    producer: Option<TransactionProducer>,
    next_try: Instant,
    last_turn: Instant,
    last_stall: Option<Instant>,
    /// One was lost since the owner last asked.
    was_lost: bool,
    /// Commits in a row that the group refused.
    refused: u32,
    /// The last transaction was committed, or there was none.
    gets_through: bool,
}

impl Producer {
    /// A producer whose name no other instance has.
    pub fn new(name: String) -> Self {
        Producer {
            name,
            is_elected: false,
            complaints: Complaints::default(),
            producer: None,
            next_try: Instant::now(),
            last_turn: Instant::now(),
            last_stall: None,
            was_lost: false,
            refused: 0,
            gets_through: true,
        }
    }

    /// A producer whose name goes to whoever was elected.
    pub fn elected(name: String) -> Self {
        Producer {
            is_elected: true,
            ..Self::new(name)
        }
    }

    /// Has a producer, if one can be had now. To be called at every turn.
    pub fn is_ready(&mut self, shared: &Shared) -> bool {
        self.turn();
        if self.producer.is_some() {
            return true;
        }
        if Instant::now() < self.next_try {
            return false;
        }
        let session = shared.settings.service.kafka.session_timeout_seconds;
        let timeout = transaction_timeout(Duration::from_secs(session));
        match TransactionProducer::begin(&shared.properties, &self.name, timeout) {
            Ok(producer) => {
                self.producer = Some(producer);
                self.complaints.clear();
            }
            Err(error) => {
                let text = explain(
                    &format!("producer {} cannot begin", self.name),
                    &error,
                    None,
                );
                self.complaints.warn(&format!("{text}; trying again"));
                self.next_try = Instant::now() + RETRY;
            }
        }
        self.turn();
        self.producer.is_some()
    }

    /// Whether what is left may be committed at the end. Not without a producer, or after a
    /// transaction that did not get through: that may take longer than whoever stops the service
    /// waits.
    pub fn can_end(&self) -> bool {
        self.producer.is_some() && !self.was_lost && self.gets_through
    }

    /// Whether a producer was lost since the last call, so that nobody knows what is committed.
    pub fn take_lost(&mut self) -> bool {
        std::mem::take(&mut self.was_lost)
    }

    /// Begins another producer, as after a loss.
    pub fn give_up(&mut self) {
        self.producer = None;
        self.was_lost = true;
        // Whoever was stopped for a while hears from its group first that it owns nothing any more.
        self.next_try = Instant::now() + RETRY;
    }

    /// Writes a transaction.
    pub fn write(
        &mut self,
        records: &[OutgoingRecord<'_>],
        positions: &[CommittedPosition<'_>],
        group: Option<&Arc<ConsumerGroupMetadata>>,
    ) -> Result<TransactionEnd, RunError> {
        let Some(producer) = &self.producer else {
            return Ok(TransactionEnd::Aborted {
                reason: "there is no producer".to_string(),
                is_out_of_group: false,
                topic: None,
                is_refused: false,
            });
        };
        let end = producer.write(records, positions, group);
        self.gets_through = end == TransactionEnd::Committed;
        if let TransactionEnd::Lost {
            reason,
            is_replaced,
        } = &end
        {
            self.turn();
            let has_stalled = self
                .last_stall
                .is_some_and(|at| at.elapsed() < STALL_MEMORY);
            if *is_replaced && !has_stalled && !self.is_elected {
                return Err(RunError::Replaced {
                    name: self.name.clone(),
                });
            }
            tracing::warn!(
                producer = self.name,
                "lost a producer: {reason}; beginning another"
            );
            self.give_up();
        }
        self.refused = match &end {
            TransactionEnd::Aborted {
                is_out_of_group: true,
                ..
            } => self.refused + 1,
            _ => 0,
        };
        if self.refused >= REFUSED_MAX {
            let text = "the group refuses what this instance commits, and tells it no news";
            return Err(RunError::Failed(text.to_string()));
        }
        Ok(end)
    }

    fn turn(&mut self) {
        let now = Instant::now();
        if now.duration_since(self.last_turn) >= STALL {
            self.last_stall = Some(now);
        }
        self.last_turn = now;
    }
}

/// After how long a broker gives a transaction up that an instance left open when it died.
pub(super) fn transaction_timeout(session: Duration) -> Duration {
    let timeout = session.saturating_sub(OPEN_LESS_THAN_SESSION);
    timeout.clamp(OPEN_MIN, OPEN_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An instance was killed in the middle of a transaction: with a session of 4 s its partitions
    /// were given after 4 s, and not read before the broker gave the transaction up after 10 s.
    #[test]
    fn a_transaction_left_open_does_not_outlast_the_session_by_far() {
        for (session, expected) in [(1, 5), (4, 5), (12, 5), (15, 8), (20, 10), (3600, 10)] {
            let timeout = transaction_timeout(Duration::from_secs(session));
            assert_eq!(timeout.as_secs(), expected, "session {session} s");
            assert!(timeout > STALL, "session {session} s");
        }
    }
}
