//! `insightd run`: the two stages as a Kafka consumer service.
//!
//! A thread for each stage polls, asks its protocol machine and does what that says; one more reads
//! what all agree on and, where it was elected, decides it. Threads share nothing but channels, the
//! clock and what is watched. The first that cannot go on ends the service.

mod checkpoint_ages;
mod checkpointing;
mod clients;
mod clock;
mod complaints;
mod coordinator;
mod decoding;
mod detect_commit;
mod detect_loop;
mod detect_watch;
mod ingest_commit;
mod ingest_loop;
mod ingest_watch;
mod knowledge_topic;
mod look_up;
mod output;
mod prober;
mod producers;
mod startup;
mod to_find;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::config::{KafkaSettings, Role, Settings};
use crate::detect::FleetScope;
use crate::formats::Format;
use crate::sink::kafka_lines::KafkaLines;
use crate::telemetry::LogLines;
pub use checkpointing::{Checkpointing, LoadResult, Loading};
use clock::ServiceClock;
pub use knowledge_topic::{Asked, KnowledgeTopic};
use watch::Watch;

/// Why the service cannot run, or go on.
#[derive(Debug, Error)]
pub enum RunError {
    #[error("{key}: {problem}")]
    Config { key: String, problem: String },
    #[error("kafka: {0}")]
    Kafka(String),
    #[error("{0}")]
    Failed(String),
    #[error(
        "another instance runs as `{name}`: kafka.instance must be different for each; this one \
         ends"
    )]
    Replaced { name: String },
}

/// What all threads of the service know.
pub struct Shared {
    pub settings: Settings,
    pub properties: BTreeMap<String, String>,
    pub format: Format,
    /// Name of this instance in transactional ids.
    pub instance: String,
    pub stop: Arc<AtomicBool>,
    pub clock: ServiceClock,
    pub watch: Watch,
}

impl Shared {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// A name of a group or of a producer.
    fn name(&self, part: &str) -> String {
        format!("{}-{part}", self.settings.service.kafka.group)
    }
}

/// Time that threads have to end, of the 30 s that whoever stops a service waits as a rule.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// How often threads are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Runs the service until `stop`; then all that was counted is committed and all state is saved.
pub fn run(
    settings: Settings,
    format: Format,
    stop: Arc<AtomicBool>,
    log_lines: LogLines,
) -> Result<(), RunError> {
    let mut settings = settings;
    settings.detect.fleet = FleetScope::Part;
    let service = &settings.service;
    settings
        .check_to_run()
        .map_err(|(key, problem)| RunError::Config { key, problem })?;
    let properties = clients::client_properties(&service.kafka)?;
    startup::prepare(&properties, service)?;
    let instance = service.kafka.instance.clone();
    let role = service.role;
    let shared = Arc::new(Shared {
        instance: instance.unwrap_or_else(made_up_name),
        properties,
        format,
        stop,
        clock: ServiceClock::start(),
        watch: Watch::new(&service.http, log_lines)?,
        settings,
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| RunError::Failed(format!("cannot start threads: {error}")))?;
    let listen = shared.settings.service.http.listen;
    let serving = shared.watch.serve(listen, &shared, runtime.handle())?;
    tracing::info!(instance = shared.instance, role = ?role, "started");
    let mut stages: Vec<JoinHandle<Result<(), RunError>>> = Vec::new();
    let mut listeners = Vec::new();
    // Until a stage says of itself how it is.
    let no_group = || Some("this instance is in no group yet".to_string());
    if role != Role::Detect {
        shared.watch.unready("ingest_group", no_group());
        let (listener, records) = channel();
        listeners.push(listener);
        stages.push(spawn("ingest", &shared, move |shared| {
            ingest_loop::run(shared, &records)
        })?);
    }
    if role != Role::Ingest {
        shared.watch.unready("detect_group", no_group());
        let (listener, records) = channel();
        listeners.push(listener);
        let handle = runtime.handle().clone();
        stages.push(spawn("detect", &shared, move |shared| {
            detect_loop::run(shared, &records, handle)
        })?);
    }
    let coordinator = spawn("coordinator", &shared, move |shared| {
        coordinator::run(shared, &listeners)
    })?;
    shared.watch.started();
    let result = join_all(&shared, stages, coordinator);
    drop(serving);
    runtime.shutdown_background();
    result
}

/// A topic to send lines to, with the brokers and the identity of `kafka`.
pub fn open_topic(
    kafka: &KafkaSettings,
    topic: &str,
    per_second: Option<u32>,
) -> Result<KafkaLines, RunError> {
    let properties = clients::client_properties(kafka)?;
    startup::find_topic(&properties, &kafka.group, topic, "topic")?;
    KafkaLines::begin(&properties, topic, per_second)
        .map_err(|error| RunError::Kafka(clients::explain("cannot send", &error, None)))
}

/// A thread of the service; when it ends, all do.
fn spawn<F>(
    name: &str,
    shared: &Arc<Shared>,
    work: F,
) -> Result<JoinHandle<Result<(), RunError>>, RunError>
where
    F: FnOnce(&Arc<Shared>) -> Result<(), RunError> + Send + 'static,
{
    /// Ends the service when a thread ends, in whatever way.
    struct StopAll(Arc<AtomicBool>);
    impl Drop for StopAll {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let shared = Arc::clone(shared);
    let thread = std::thread::Builder::new().name(name.to_string());
    let handle = thread.spawn(move || {
        let _stop_all = StopAll(Arc::clone(&shared.stop));
        work(&shared)
    });
    handle.map_err(|error| RunError::Failed(format!("cannot start a thread: {error}")))
}

/// Waits for the stages, then for the coordinator; the first failure. Once all are to end, one that
/// waits for brokers is waited for only so long: what it has not committed is the next owner's.
fn join_all(
    shared: &Shared,
    stages: Vec<JoinHandle<Result<(), RunError>>>,
    coordinator: JoinHandle<Result<(), RunError>>,
) -> Result<(), RunError> {
    let mut result = Ok(());
    let mut deadline = None;
    for thread in stages.into_iter().chain([coordinator]) {
        let name = thread.thread().name().unwrap_or("a thread").to_string();
        while !thread.is_finished() && deadline.is_none_or(|deadline| Instant::now() < deadline) {
            if shared.is_stopped() {
                deadline.get_or_insert_with(|| Instant::now() + STOP_TIMEOUT);
            }
            std::thread::park_timeout(LOOK);
        }
        if !thread.is_finished() {
            tracing::warn!("{name} still waits for brokers and is left behind");
            continue;
        }
        let ended = thread.join().unwrap_or_else(|_| {
            Err(RunError::Failed(format!(
                "{name} met a bug and stopped; please report it"
            )))
        });
        result = result.and(ended);
    }
    tracing::info!(instance = shared.instance, "stopped");
    result
}

/// A name that nobody else has.
fn made_up_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() {
        "host"
    } else {
        host.trim()
    };
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = since.map_or(0, |since| since.as_nanos());
    format!("{host}-{}-{:x}", std::process::id(), nanos & 0xffff_ffff)
}
