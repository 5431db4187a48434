//! The pages there are, each made from values that others keep.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus::{Registry, TEXT_FORMAT, TextEncoder};
use serde::Serialize;

use crate::view::{Health, HealthReason};

const PATHS: [&str; 4] = ["/", "/live", "/metrics", "/ready"];

const FRONT_PAGE: &str = "\
insightd

/live     200 while the process is well; otherwise restart it
/ready    200 while it may be given work
/metrics  Prometheus text format
";

/// Told the health and the time of its clock in milliseconds.
pub type BeforeScrape = dyn Fn(&Health, u64) + Send + Sync;

/// What the pages are made from.
#[derive(Clone)]
pub struct Pages {
    pub registry: Registry,
    pub health: Arc<Mutex<Health>>,
    /// The clock that `health` is kept by, in milliseconds.
    pub now_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Called before each scrape, to set what is only looked up then: readiness and ages.
    pub before_scrape: Arc<BeforeScrape>,
}

#[derive(Serialize)]
struct Verdict {
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<HealthReason>,
}

#[derive(Serialize)]
struct Refusal {
    error: &'static str,
    paths: [&'static str; 4],
}

impl Pages {
    /// All pages, and answers for what is none.
    pub(super) fn router(self) -> Router {
        Router::new()
            .route("/", get(async || FRONT_PAGE))
            .route("/live", get(live))
            .route("/ready", get(ready))
            .route("/metrics", get(metrics))
            .fallback(async || refusal(StatusCode::NOT_FOUND, "no such path"))
            .method_not_allowed_fallback(async || {
                refusal(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD")
            })
            .with_state(Arc::new(self))
            .layer(map_response(close_behind))
    }

    /// A thread that panicked while it told its health has left it readable.
    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request a connection: that makes its deadline the request's.
async fn close_behind(mut response: Response) -> Response {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

async fn live(State(pages): State<Arc<Pages>>) -> Response {
    let now_ms = (pages.now_ms)();
    verdict(pages.health().live(now_ms))
}

async fn ready(State(pages): State<Arc<Pages>>) -> Response {
    verdict(pages.health().ready())
}

async fn metrics(State(pages): State<Arc<Pages>>) -> Response {
    let now_ms = (pages.now_ms)();
    (pages.before_scrape)(&pages.health(), now_ms);
    match TextEncoder::new().encode_to_string(&pages.registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics could not be shown");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn verdict(answer: Result<(), Vec<HealthReason>>) -> Response {
    let (code, status, reasons) = match answer {
        Ok(()) => (StatusCode::OK, "ok", Vec::new()),
        Err(reasons) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", reasons),
    };
    (code, Json(Verdict { status, reasons })).into_response()
}

fn refusal(code: StatusCode, error: &'static str) -> Response {
    let paths = PATHS;
    (code, Json(Refusal { error, paths })).into_response()
}
