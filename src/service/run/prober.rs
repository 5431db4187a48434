//! Asks brokers where sources end: the proof behind every advance of time on silence.
//!
//! It has a client and a thread of its own, since a broker that does not answer must not hold up
//! anything else; no answer is no proof.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaResult;
use rdkafka::producer::{BaseProducer, Producer};

use crate::protocol::SourceName;

/// Time in which a broker has to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Sources to be asked about, and when that was said.
#[derive(Debug)]
pub struct Question {
    pub sources: Vec<(SourceName, u64)>,
    /// Milliseconds since 1970.
    pub at_ms: u64,
}

/// What a broker said of one source.
#[derive(Debug)]
pub struct Answer {
    pub source: SourceName,
    pub generation: u64,
    /// The offset after the newest; `None` if nobody could say.
    pub end: Option<u64>,
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
    pub fn start(properties: &BTreeMap<String, String>) -> KafkaResult<Self> {
        let mut config = ClientConfig::new();
        for (name, value) in properties {
            config.set(name, value);
        }
        config.set("allow.auto.create.topics", "false");
        // Whoever only asks needs no group, which a consumer would have to name.
        let client: BaseProducer = config.create()?;
        let (questions, asked) = channel::<Question>();
        let (answer, answers) = channel();
        let thread = std::thread::spawn(move || {
            while let Ok(question) = asked.recv() {
                if answer.send(ask(&client, question)).is_err() {
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

fn ask(client: &BaseProducer, question: Question) -> Vec<Answer> {
    // Takes in what the client says beside answers.
    client.poll(Duration::ZERO);
    let mut is_lost = false;
    let mut answers = Vec::new();
    for (source, generation) in question.sources {
        // One broker that does not answer is enough to know; the others are asked the next time.
        let partition = source.partition as i32;
        let ends = (!is_lost)
            .then(|| {
                client
                    .client()
                    .fetch_watermarks(&source.topic, partition, ANSWER_TIMEOUT)
            })
            .and_then(Result::ok);
        is_lost |= ends.is_none();
        answers.push(Answer {
            source,
            generation,
            end: ends.map(|(_, end)| end.max(0) as u64),
            at_ms: question.at_ms,
        });
    }
    answers
}
