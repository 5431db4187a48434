//! The server over real connections, with a client of a few lines.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::{IntGauge, Registry};
use tokio::sync::oneshot;

use super::*;
use crate::view::{Health, STARTING};

/// Longer than any answer takes; only a failing test waits that long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server in a thread of its own, which ends with the value.
struct Running {
    address: SocketAddr,
    health: Arc<Mutex<Health>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<std::io::Result<()>>>,
}

impl Running {
    fn start(limits: ConnectionLimits) -> Running {
        let server = Server::bind(any_port()).expect("a free port");
        let server = server.with_limits(limits);
        let (address, health) = (server.address(), Arc::default());
        let pages = pages(&health);
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()?;
            runtime.block_on(server.serve(pages, async {
                let _ = stopped.await;
            }))
        });
        Running {
            address,
            health,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn health(&self, change: impl FnOnce(&mut Health)) {
        change(&mut self.health.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("somebody listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        stream
    }

    /// The whole answer to a request line.
    fn ask(&self, request: &str) -> String {
        let mut stream = self.connect();
        let request = format!("{request} HTTP/1.1\r\nHost: insightd\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        answer(stream)
    }

    /// Stops in order and says how it ended.
    fn stop(&mut self) -> Option<std::io::Result<()>> {
        drop(self.stop.take());
        let thread = self.thread.take()?;
        Some(thread.join().expect("the server does not panic"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Pages at 5,000 ms of their clock, with one metric that a scrape sets.
fn pages(health: &Arc<Mutex<Health>>) -> Pages {
    let registry = Registry::new();
    let ready = IntGauge::new("a_ready", "Says a.").expect("a valid name");
    let registered = registry.register(Box::new(ready.clone()));
    registered.expect("a new name");
    Pages {
        registry,
        health: health.clone(),
        now_ms: Arc::new(|| 5_000),
        before_scrape: Arc::new(move |health, now_ms| {
            assert_eq!(now_ms, 5_000);
            ready.set(i64::from(health.ready().is_ok()));
        }),
    }
}

/// Everything until the server closes the connection.
fn answer(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an end in time");
    text
}

/// A status, a content type, and the body behind the headers.
fn check(answer: &str, status: &str, content_type: &str, body: &str) {
    let (head, shown) = answer.split_once("\r\n\r\n").expect("headers and a body");
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with(&format!("http/1.1 {status}")), "{answer}");
    let content_type = format!("content-type: {content_type}\r\n");
    assert!(head.contains(&content_type), "{answer}");
    assert!(head.contains("connection: close"), "{answer}");
    assert_eq!(shown, body);
}

fn unavailable(reasons: &[(&str, &str)]) -> String {
    let reason = |(cause, detail)| format!(r#"{{"cause":"{cause}","detail":"{detail}"}}"#);
    let reasons: Vec<String> = reasons.iter().copied().map(reason).collect();
    let reasons = reasons.join(",");
    format!(r#"{{"status":"unavailable","reasons":[{reasons}]}}"#)
}

fn within(connections_max: usize, time: Duration, request_bytes_max: usize) -> ConnectionLimits {
    ConnectionLimits {
        connections_max,
        connection_time_max: time,
        request_bytes_max,
    }
}

#[test]
fn live_until_a_loop_stands() {
    let server = Running::start(ConnectionLimits::default());
    let ok = r#"{"status":"ok"}"#;
    check(&server.ask("GET /live"), "200", "application/json", ok);
    server.health(|health| health.watch_loop("ingest", 1_000, 4_000));
    check(&server.ask("GET /live"), "200", "application/json", ok);
    server.health(|health| health.watch_loop("ingest", 1_000, 3_999));
    check(
        &server.ask("GET /live"),
        "503",
        "application/json",
        &unavailable(&[(
            "poll_loop_stuck",
            "poll loop ingest last turned 1001 ms ago, limit 1000 ms",
        )]),
    );
}

#[test]
fn ready_when_no_cause_is_left() {
    let server = Running::start(ConnectionLimits::default());
    check(
        &server.ask("GET /ready"),
        "503",
        "application/json",
        &unavailable(&[("starting", "the service has not started yet")]),
    );
    server.health(|health| health.clear_cause(STARTING));
    let ok = r#"{"status":"ok"}"#;
    check(&server.ask("GET /ready"), "200", "application/json", ok);
}

#[test]
fn metrics_are_as_new_as_the_scrape() {
    let server = Running::start(ConnectionLimits::default());
    let text = |ready| format!("# HELP a_ready Says a.\n# TYPE a_ready gauge\na_ready {ready}\n");
    let content_type = "text/plain; version=0.0.4";
    check(&server.ask("GET /metrics"), "200", content_type, &text(0));
    server.health(|health| health.clear_cause(STARTING));
    check(&server.ask("GET /metrics"), "200", content_type, &text(1));
}

#[test]
fn what_is_no_page_is_told_what_there_is() {
    let server = Running::start(ConnectionLimits::default());
    let front = server.ask("GET /");
    for path in ["/live", "/ready", "/metrics"] {
        assert!(front.contains(path), "{front}");
    }
    check(
        &server.ask("GET /favicon.ico"),
        "404",
        "application/json",
        r#"{"error":"no such path","paths":["/","/live","/metrics","/ready"]}"#,
    );
    for path in ["/", "/live", "/ready", "/metrics"] {
        let answer = server.ask(&format!("DELETE {path}"));
        let body = r#"{"error":"only GET and HEAD","paths":["/","/live","/metrics","/ready"]}"#;
        check(&answer, "405", "application/json", body);
        assert!(
            answer.to_ascii_lowercase().contains("allow: get,head"),
            "{answer}"
        );
    }
    let head = server.ask("HEAD /live");
    check(&head, "200", "application/json", "");
}

#[test]
fn a_client_that_does_not_finish_is_let_go() {
    let limits = within(8, Duration::from_millis(50), 16 << 10);
    let server = Running::start(limits);
    for beginning in ["", "GET /live HTTP/1.1\r\nHost: insi"] {
        let mut stream = server.connect();
        stream.write_all(beginning.as_bytes()).expect("it reads");
        let mut rest = Vec::new();
        let ended = stream.read_to_end(&mut rest);
        let in_time = ended.map_err(|error| error.kind()) != Err(ErrorKind::WouldBlock);
        assert!(in_time && rest.is_empty(), "{beginning:?}: {rest:?}");
    }
}

#[test]
fn a_request_may_have_as_many_bytes_as_the_limit() {
    let server = Running::start(within(8, PATIENCE, 1_000));
    let request = |padding: usize| {
        let padding = "x".repeat(padding);
        format!("GET /live HTTP/1.1\r\nHost: insightd\r\nPadding: {padding}\r\n\r\n")
    };
    let fits = request(1_000 - request(0).len());
    let mut stream = server.connect();
    stream.write_all(fits.as_bytes()).expect("it reads");
    assert!(answer(stream).starts_with("HTTP/1.1 200 OK"));
    let mut stream = server.connect();
    stream
        .write_all(request(1_000).as_bytes())
        .expect("it reads");
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
}

#[test]
fn a_connection_above_the_limit_waits_for_its_turn() {
    let server = Running::start(within(1, PATIENCE, 16 << 10));
    // The kernel hands connections over in their order, so the first has the only place.
    let mut first = server.connect();
    first.write_all(b"GET /live HT").expect("it reads");
    let mut second = server.connect();
    let request = b"GET /ready HTTP/1.1\r\nHost: insightd\r\n\r\n";
    second.write_all(request).expect("the system takes it");
    let soon = Some(Duration::from_millis(50));
    second.set_read_timeout(soon).expect("not zero");
    let early = second.read(&mut [0; 1]).map_err(|error| error.kind());
    assert_eq!(early, Err(ErrorKind::WouldBlock));
    second.set_read_timeout(Some(PATIENCE)).expect("not zero");
    first
        .write_all(b"TP/1.1\r\nHost: insightd\r\n\r\n")
        .expect("it reads");
    assert!(answer(first).starts_with("HTTP/1.1 200 OK"));
    assert!(answer(second).starts_with("HTTP/1.1 503 Service Unavailable"));
}

#[test]
fn it_stops_when_told_and_gives_the_address_back() {
    let mut server = Running::start(ConnectionLimits::default());
    server.ask("GET /live");
    let ended = server.stop();
    assert!(matches!(ended, Some(Ok(()))), "{ended:?}");
    assert!(TcpStream::connect(server.address).is_err());
}

#[test]
fn an_address_in_use_is_an_error_that_says_what_to_do() {
    let taken = TcpListener::bind(any_port()).expect("a free port");
    let address = taken.local_addr().expect("it is bound");
    let error = Server::bind(address).expect_err("it is taken");
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("cannot listen on {address}: ")),
        "{text}"
    );
    assert!(
        text.ends_with("or set http.listen to a free port"),
        "{text}"
    );
}
