//! What the threads of the service let others see: metrics, and whether all is well.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus::Registry;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::{RunError, Shared};
use crate::config::HttpSettings;
use crate::detect::LOGIC_VERSION;
use crate::http::{Pages, Server};
use crate::sink::kafka::TransactionEnd;
use crate::source::kafka::Rebalance;
use crate::telemetry::metrics::{RebalanceKind, Stage, TransactionOutcome};
use crate::telemetry::{LogLines, Metrics, MetricsSettings};
use crate::view::{Health, STARTING};

/// A poll loop that does not turn for so long is stuck: half of what the group allows.
const LOOP_LIMIT_MS: u64 = 150_000;
/// How often gauges are set.
const GAUGES_EVERY: Duration = Duration::from_secs(1);

/// Metrics and health.
#[derive(Clone)]
pub struct Watch {
    pub metrics: Arc<Metrics>,
    registry: Registry,
    health: Arc<Mutex<Health>>,
}

/// Tells when it is time to set gauges.
pub struct GaugeClock(Option<Instant>);

/// The server, until it is dropped.
pub struct Serving {
    stop: Option<oneshot::Sender<()>>,
}

impl Watch {
    pub fn new(http: &HttpSettings, log_lines: LogLines) -> Result<Self, RunError> {
        let registry = Registry::new();
        let settings = MetricsSettings {
            partition_labels: http.partition_metrics,
            logic_version: LOGIC_VERSION,
            log_lines,
        };
        let metrics = Metrics::register(&registry, settings);
        let metrics = metrics.map_err(|error| RunError::Failed(format!("metrics: {error}")))?;
        Ok(Watch {
            metrics,
            registry,
            health: Arc::new(Mutex::new(Health::default())),
        })
    }

    /// Answers over HTTP from here on.
    pub fn serve(
        &self,
        listen: SocketAddr,
        shared: &Arc<Shared>,
        runtime: &Handle,
    ) -> Result<Serving, RunError> {
        let server = Server::bind(listen).map_err(|error| RunError::Config {
            key: "http.listen".to_string(),
            problem: error.to_string(),
        })?;
        tracing::info!(address = %server.address(), "listening");
        let clock = Arc::clone(shared);
        let metrics = Arc::clone(&self.metrics);
        let pages = Pages {
            registry: self.registry.clone(),
            health: Arc::clone(&self.health),
            now_ms: Arc::new(move || clock.clock.now_ms()),
            before_scrape: Arc::new(move |health, now_ms| {
                metrics.service.show_health(health, now_ms)
            }),
        };
        let (stop, stopped) = oneshot::channel();
        runtime.spawn(async move {
            let ended = server.serve(pages, async {
                // Dropped or sent, both mean that the service ends.
                let _ = stopped.await;
            });
            if let Err(error) = ended.await {
                tracing::error!("the HTTP server stopped: {error}");
            }
        });
        Ok(Serving { stop: Some(stop) })
    }

    /// All threads run.
    pub fn started(&self) {
        self.health().clear_cause(STARTING);
    }

    /// Watches the poll loop of a stage from here on.
    pub fn watch_loop(&self, stage: Stage, now_ms: u64) {
        self.health()
            .watch_loop(stage.name(), LOOP_LIMIT_MS, now_ms);
    }

    /// The poll loop of a stage has turned.
    pub fn turned(&self, stage: Stage, now_ms: u64) {
        self.health().tick(stage.name(), now_ms);
    }

    /// States or takes back a cause for not being ready.
    pub fn unready(&self, cause: &'static str, detail: Option<String>) {
        let mut health = self.health();
        match detail {
            Some(detail) => health.set_cause(cause, detail),
            None => health.clear_cause(cause),
        }
    }

    pub fn rebalanced(&self, stage: Stage, change: &Rebalance, owned: usize) {
        let kind = match change {
            Rebalance::Assigned(_) => RebalanceKind::Assign,
            Rebalance::Revoked(_) => RebalanceKind::Revoke,
            Rebalance::Lost(_) => RebalanceKind::Lost,
        };
        self.metrics.kafka.rebalances.add((stage, kind), 1);
        self.metrics
            .kafka
            .assigned_partitions
            .set(stage, owned as f64);
    }

    pub fn transaction_ended(&self, stage: Stage, end: &TransactionEnd, took: Duration) {
        let outcome = match end {
            TransactionEnd::Committed => TransactionOutcome::Committed,
            TransactionEnd::Aborted {
                is_out_of_group: false,
                ..
            } => TransactionOutcome::Aborted,
            _ => TransactionOutcome::Fenced,
        };
        self.metrics.kafka.transactions.add((stage, outcome), 1);
        self.metrics.kafka.transaction_duration.record(stage, took);
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GaugeClock {
    pub fn start() -> Self {
        GaugeClock(None)
    }

    pub fn is_due(&mut self) -> bool {
        let is_due = self.0.is_none_or(|last| last.elapsed() >= GAUGES_EVERY);
        if is_due {
            self.0 = Some(Instant::now());
        }
        is_due
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // A server that has ended needs no telling.
            let _ = stop.send(());
        }
    }
}
