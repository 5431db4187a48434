//! Transactions of stage 1: counts, dead letters and the input's offsets, all or nothing.

use std::time::Duration;

use super::RunError;
use super::ingest_loop::IngestLoop;
use super::output::dead_letter;
use crate::rateslog::kafka::to_message;
use crate::sink::kafka::{OutgoingRecord, TransactionEnd};
use crate::telemetry::metrics::{DeadLetterOutcome, Stage};

/// Transactions that dead letters may fail, unless brokers refuse them, before they are dropped.
const LETTER_TRIES: u32 = 3;

impl<'scope, 'a: 'scope> IngestLoop<'scope, 'a> {
    pub(super) fn commit(&mut self) -> Result<(), RunError> {
        let Some(transaction) = self.member.transaction() else {
            return Ok(());
        };
        let Some(group) = self.consumer.group() else {
            self.member.aborted(self.shared.clock.now_ms());
            return Ok(());
        };
        let kafka = &self.shared.settings.service.kafka;
        let mut values = Vec::new();
        let mut positions = Vec::new();
        let mut records = Vec::new();
        for part in &transaction.sources {
            values.extend(
                part.records
                    .iter()
                    .map(|(partition, record)| (*partition, to_message(record))),
            );
            let source = &part.source;
            let position = (source.topic.as_str(), source.partition, part.offset);
            positions.push((position.0, position.1, position.2, part.metadata.as_str()));
            let letters = part.dead_letters.iter();
            records.extend(letters.map(|letter| dead_letter(&kafka.dead_letter_topic, letter)));
        }
        records.extend(values.iter().map(|(partition, value)| OutgoingRecord {
            topic: &kafka.rates_topic,
            partition: Some(*partition),
            key: None,
            value,
            headers: Vec::new(),
        }));
        let began = std::time::Instant::now();
        let end = self.producer.write(&records, &positions, Some(&group))?;
        self.shared
            .watch
            .transaction_ended(Stage::Ingest, &end, began.elapsed());
        if end == TransactionEnd::Committed {
            let letters = transaction
                .sources
                .iter()
                .map(|part| part.dead_letters.len() as u64);
            let dead = &self.shared.watch.metrics.events.dead_letters;
            dead.add(DeadLetterOutcome::Sent, letters.sum());
        }
        let now_ms = self.shared.clock.now_ms();
        match end {
            TransactionEnd::Committed => {
                self.letters_not_taken = 0;
                self.member.committed();
            }
            TransactionEnd::Aborted {
                reason,
                topic,
                is_refused,
                ..
            } => {
                let text = format!("ingest: a transaction was given up: {reason}; trying again");
                self.complaints.warn(&text);
                if topic.as_ref() == Some(&kafka.dead_letter_topic) {
                    self.letters_were_not_taken(is_refused);
                }
                self.member.aborted(now_ms);
            }
            TransactionEnd::Lost { .. } => self.member.aborted(now_ms),
        }
        Ok(())
    }

    /// Drops dead letters that brokers refuse, or did not take again and again: counting must not
    /// wait for what could not be counted anyway.
    fn letters_were_not_taken(&mut self, is_refused: bool) {
        self.letters_not_taken += 1;
        if is_refused || self.letters_not_taken >= LETTER_TRIES {
            self.letters_not_taken = 0;
            let dropped = self.member.drop_dead_letters();
            let dead = &self.shared.watch.metrics.events.dead_letters;
            dead.add(DeadLetterOutcome::Dropped, dropped);
        }
    }

    /// Takes in what was read and commits it; what was only polled is the next owner's.
    pub(super) fn drain(&mut self) -> Result<(), RunError> {
        self.take_read(Duration::from_millis(200))?;
        if self.producer.can_end() && self.member.prepare() {
            self.commit()?;
        }
        Ok(())
    }
}
