//! Transactions of stage 2: insights, notices and offsets of the rates log, all or nothing.

use std::time::Instant;

use super::RunError;
use super::detect_loop::DetectLoop;
use super::output::outgoing;
use crate::protocol::{DetectAction, DetectTransaction};
use crate::sink::kafka::{OutgoingRecord, TransactionEnd};
use crate::telemetry::metrics::Stage;

impl DetectLoop<'_> {
    pub(super) fn commit(
        &mut self,
        transaction: &DetectTransaction,
    ) -> Result<Vec<DetectAction>, RunError> {
        let now_ms = self.shared.clock.now_ms();
        if std::mem::take(&mut self.has_told)
            && let Err(reason) = self.teller.flush()
        {
            self.member.aborted(now_ms);
            self.lose_teller(&reason)?;
            return Ok(Vec::new());
        }
        let Some(group) = self.consumer.group() else {
            self.member.aborted(now_ms);
            return Ok(Vec::new());
        };
        let kafka = &self.shared.settings.service.kafka;
        let keys: Vec<String> = transaction
            .outputs
            .iter()
            .map(super::output::key_of)
            .collect();
        let records: Vec<OutgoingRecord<'_>> = transaction
            .outputs
            .iter()
            .zip(&keys)
            .map(|(output, key)| outgoing(output, key, &kafka.output_topic, &kafka.group))
            .collect();
        let positions: Vec<_> = transaction
            .offsets
            .iter()
            .map(|(partition, offset, metadata)| {
                (self.topic.as_str(), *partition, *offset, metadata.as_str())
            })
            .collect();
        let began = Instant::now();
        let end = self.producer.write(&records, &positions, Some(&group))?;
        self.shared
            .watch
            .transaction_ended(Stage::Detect, &end, began.elapsed());
        Ok(match end {
            TransactionEnd::Committed => {
                self.count_insights(transaction);
                self.member.committed(transaction, now_ms)
            }
            TransactionEnd::Aborted { reason, .. } => {
                tracing::warn!("detect: a transaction was given up: {reason}; trying again");
                self.member.aborted(now_ms);
                Vec::new()
            }
            TransactionEnd::Lost { .. } => {
                self.member.aborted(now_ms);
                Vec::new()
            }
        })
    }

    /// Commits what was decided and saves all state.
    pub(super) fn drain(&mut self) -> Result<(), RunError> {
        if self.producer.can_end()
            && let Some(transaction) = self.member.prepare()
        {
            let actions = self.commit(&transaction)?;
            self.perform(actions)?;
        }
        let actions = self.member.save_all();
        self.perform(actions)?;
        self.checkpoints.finish();
        Ok(())
    }

    pub(super) fn place(&self, partition: u32) -> (String, u32) {
        (self.topic.clone(), partition)
    }
}
