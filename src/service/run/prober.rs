//! Asks brokers where sources end: the proof behind every advance of time on silence.
//!
//! It has a client and a thread of its own, since a broker that does not answer must not hold up
//! anything else; no answer is no proof. Where a source ends behind what was read of it, and
//! nothing more comes, it is read from there: marks of transactions take offsets, too, and are no
//! messages.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::error::KafkaResult;

use crate::protocol::SourceName;
use crate::source::kafka::{GroupConsumer, Place, Polled};

/// Time in which the beginning of what stands behind a source's last message has to come.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// Of a group that is not joined.
const SESSION: Duration = Duration::from_secs(15);

/// Sources to be asked about, and when that was said.
#[derive(Debug)]
pub struct Question {
    pub sources: Vec<Probed>,
    /// Milliseconds since 1970.
    pub at_ms: u64,
}

/// A source to be asked about.
#[derive(Debug)]
pub struct Probed {
    pub source: SourceName,
    pub generation: u64,
    /// Up to where it was read, if nothing has come of it for a while.
    pub rests_at: Option<u64>,
}

/// What a broker said of one source.
#[derive(Debug)]
pub struct Answer {
    pub source: SourceName,
    pub generation: u64,
    /// The offset after the newest; `None` if nobody could say.
    pub end: Option<u64>,
    /// Offset from which on to `end` there is no message, if that was looked at.
    pub empty_from: Option<u64>,
    /// When the question was put.
    pub at_ms: u64,
}

/// The thread.
pub struct Prober {
    thread: JoinHandle<()>,
    questions: Sender<Question>,
    answers: Receiver<Vec<Answer>>,
    is_asking: bool,
}

impl Prober {
    /// `group` is not joined: a consumer needs the name of one.
    pub fn start(properties: &BTreeMap<String, String>, group: &str) -> KafkaResult<Self> {
        let mut asker = Asker {
            client: GroupConsumer::member(properties, group, SESSION)?,
            empty: BTreeMap::new(),
        };
        let (questions, asked) = channel::<Question>();
        let (answer, answers) = channel();
        let thread = std::thread::spawn(move || {
            while let Ok(question) = asked.recv() {
                if answer.send(asker.ask(question)).is_err() {
                    return;
                }
            }
        });
        Ok(Prober {
            thread,
            questions,
            answers,
            is_asking: false,
        })
    }

    /// Whether the thread has ended, which it does not by itself.
    pub fn has_failed(&self) -> bool {
        self.thread.is_finished()
    }

    /// Asks, unless an earlier question is not answered yet.
    pub fn ask(&mut self, question: Question) {
        if !self.is_asking && !question.sources.is_empty() {
            self.is_asking = self.questions.send(question).is_ok();
        }
    }

    /// Answers that have come.
    pub fn answers(&mut self) -> Vec<Answer> {
        match self.answers.try_recv() {
            Ok(answers) => {
                self.is_asking = false;
                answers
            }
            Err(_) => Vec::new(),
        }
    }
}

/// What the thread has.
struct Asker {
    client: GroupConsumer,
    /// Of each source the stretch without a message that was found last.
    empty: BTreeMap<Place, (u64, u64)>,
}

impl Asker {
    fn ask(&mut self, question: Question) -> Vec<Answer> {
        // Takes in what the client says beside answers, which would pile up.
        while !matches!(self.client.poll(Duration::ZERO), Polled::Nothing) {}
        let mut is_lost = false;
        let mut answers = Vec::new();
        for probed in question.sources {
            // One broker that does not answer is enough to know; the others are asked the next
            // time.
            let place = (probed.source.topic.clone(), probed.source.partition);
            let ends = (!is_lost).then(|| self.client.ends(&place));
            let end = ends.and_then(Result::ok).map(|(_, end)| end);
            is_lost |= end.is_none();
            let rests_at = probed.rests_at.zip(end).filter(|(from, end)| from < end);
            let empty = rests_at.filter(|(from, end)| self.is_empty(&place, *from, *end));
            answers.push(Answer {
                source: probed.source,
                generation: probed.generation,
                end,
                empty_from: empty.map(|(from, _)| from),
                at_ms: question.at_ms,
            });
        }
        answers
    }

    /// Whether there is no message of a source from an offset to an end.
    fn is_empty(&mut self, place: &Place, from: u64, end: u64) -> bool {
        if self.empty.get(place) == Some(&(from, end)) {
            return true;
        }
        let found = self.client.is_empty_from(place, from, ANSWER_TIMEOUT);
        if found == Some(true) {
            self.empty.insert(place.clone(), (from, end));
        }
        found == Some(true)
    }
}
