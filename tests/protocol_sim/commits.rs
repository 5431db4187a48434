//! How an instance commits: step by step, so that it can die between any two of them, and with
//! every fate that a commit can meet.

use insightd::formats::rates_record;
use insightd::protocol::{DetectAction, DetectTransaction, IngestAction, IngestTransaction};

use super::broker::{Broker, DETECT, INGEST, Log};
use super::instance::{CommitFate, Instance};

impl Instance {
    /// Commits what is due.
    pub fn tick(&mut self, broker: &mut Broker, now_ms: u64, fate: CommitFate) {
        self.find_again(broker);
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
        let sources = transaction.sources.iter();
        let partitions: Vec<u32> = sources.map(|part| part.source.partition).collect();
        let may = broker.may_commit(INGEST, self.id, self.generations[0], &partitions);
        let fate = self.fate(0, fate);
        let Some(is_applied) = self.is_applied(may, fate) else {
            return;
        };
        if self.dies_writing(&transaction, broker) {
            return;
        }
        if is_applied {
            for part in transaction.sources {
                for (partition, record) in &part.records {
                    let mut bytes = Vec::new();
                    rates_record::encode(record, &mut bytes);
                    broker.rates[*partition as usize].append(bytes);
                }
                broker.dead_letters.extend(part.dead_letters);
                let committed = (part.offset, part.metadata);
                let group = broker.group(INGEST);
                group.committed.insert(part.source.partition, committed);
            }
            broker.rates.iter_mut().for_each(Log::mark);
        }
        if self.dies() {
            return;
        }
        match fate {
            CommitFate::DiesAfter => self.is_dead = true,
            CommitFate::AnswerLost => self.begin_again(0, broker),
            _ if is_applied => self.ingest.committed(),
            _ => self.ingest.aborted(now_ms),
        }
    }

    /// Whether this process dies before one of the records, before the offsets, or before the
    /// commit itself.
    fn dies_writing(&mut self, transaction: &IngestTransaction, broker: &mut Broker) -> bool {
        let mut written = Vec::new();
        for (partition, _) in transaction.sources.iter().flat_map(|part| &part.records) {
            if self.dies() {
                broker.give_up(&written);
                return true;
            }
            written.push(*partition);
        }
        if self.dies() || self.dies() {
            broker.give_up(&written);
        }
        self.is_dead
    }

    fn commit_detect(
        &mut self,
        transaction: &DetectTransaction,
        broker: &mut Broker,
        now_ms: u64,
        fate: CommitFate,
    ) {
        // What was told has to be there first.
        for record in std::mem::take(&mut self.told) {
            if self.dies() {
                return;
            }
            broker.coordination.append(record);
        }
        let fate = self.fate(1, fate);
        let may = self.may_publish(transaction, broker);
        let Some(is_applied) = self.is_applied(may, fate) else {
            return;
        };
        if self.dies() {
            return;
        }
        if is_applied {
            publish(transaction, broker);
        }
        if self.dies() {
            return;
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

    /// Whether the group lets this member commit a transaction.
    pub fn may_publish(&self, transaction: &DetectTransaction, broker: &Broker) -> bool {
        let partitions: Vec<u32> = transaction.offsets.iter().map(|one| one.0).collect();
        broker.may_commit(DETECT, self.id, self.generations[1], &partitions)
    }

    /// How the next commit of a stage goes, unless it was said before.
    fn fate(&mut self, stage: usize, otherwise: CommitFate) -> CommitFate {
        let number = self.commits[stage];
        self.commits[stage] += 1;
        match self.fated {
            Some((of, at, fate)) if (of, at) == (stage, number) => fate,
            _ => otherwise,
        }
    }

    /// Whether a transaction is applied; `None` if this process died before.
    fn is_applied(&mut self, may_commit: bool, fate: CommitFate) -> Option<bool> {
        self.refused += u64::from(!may_commit);
        match fate {
            CommitFate::DiesBefore => {
                self.is_dead = true;
                None
            }
            CommitFate::Refused => Some(false),
            _ => Some(may_commit),
        }
    }
}

/// A transaction of the detecting stage is there, all of it.
pub fn publish(transaction: &DetectTransaction, broker: &mut Broker) {
    let outputs = transaction.outputs.iter();
    broker
        .outputs
        .extend(outputs.map(|output| output.value.clone()));
    broker.muted.extend(transaction.muted.iter().cloned());
    for (partition, offset, metadata) in &transaction.offsets {
        let committed = (*offset, metadata.clone());
        broker.group(DETECT).committed.insert(*partition, committed);
    }
}
