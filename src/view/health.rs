//! Is the process well, and may it be given work?
//!
//! Live: every watched poll loop has turned within its limit; what is not live should be restarted.
//! Ready: no cause stands against it; what is not ready waits for something, such as an assignment
//! or a restore, and a restart would not help. A thread that meets a bug ends the whole process.
//!
//! Times are milliseconds of any clock that does not go back, handed in by the caller.

use std::collections::BTreeMap;

use serde::Serialize;

/// What every [`Health`] begins with: nobody has said yet that the service has started.
pub const STARTING: &str = "starting";

/// Poll loops and causes, as they were told last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    poll_loops: BTreeMap<&'static str, PollLoop>,
    unready: BTreeMap<&'static str, String>,
}

/// One reason against an answer of "ok".
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HealthReason {
    /// From a closed set, for programs.
    pub cause: &'static str,
    /// A sentence for people.
    pub detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PollLoop {
    limit_ms: u64,
    turned_at_ms: u64,
}

impl Default for Health {
    /// Live, and not ready because of [`STARTING`].
    fn default() -> Self {
        let detail = "the service has not started yet".to_owned();
        Health {
            poll_loops: BTreeMap::new(),
            unready: BTreeMap::from([(STARTING, detail)]),
        }
    }
}

impl Health {
    /// Watches a poll loop from now on: it must turn again within every `limit_ms`.
    pub fn watch_loop(&mut self, name: &'static str, limit_ms: u64, now_ms: u64) {
        let turned_at_ms = now_ms;
        self.poll_loops.insert(
            name,
            PollLoop {
                limit_ms,
                turned_at_ms,
            },
        );
    }

    /// A watched loop has turned.
    pub fn tick(&mut self, name: &'static str, now_ms: u64) {
        let Some(poll_loop) = self.poll_loops.get_mut(name) else {
            panic!("poll loop {name} is not watched");
        };
        poll_loop.turned_at_ms = poll_loop.turned_at_ms.max(now_ms);
    }

    /// Time since a watched loop turned last; `None` when it is not watched.
    pub fn loop_age_ms(&self, name: &str, now_ms: u64) -> Option<u64> {
        let poll_loop = self.poll_loops.get(name)?;
        Some(now_ms.saturating_sub(poll_loop.turned_at_ms))
    }

    /// States a cause for not being ready; stated again, the new detail counts.
    pub fn set_cause(&mut self, cause: &'static str, detail: impl Into<String>) {
        self.unready.insert(cause, detail.into());
    }

    /// Takes a cause back.
    pub fn clear_cause(&mut self, cause: &'static str) {
        self.unready.remove(cause);
    }

    /// Live, or what speaks against it.
    pub fn live(&self, now_ms: u64) -> Result<(), Vec<HealthReason>> {
        let mut reasons = Vec::new();
        for (name, poll_loop) in &self.poll_loops {
            let age_ms = now_ms.saturating_sub(poll_loop.turned_at_ms);
            if age_ms > poll_loop.limit_ms {
                reasons.push(HealthReason {
                    cause: "poll_loop_stuck",
                    detail: format!(
                        "poll loop {name} last turned {age_ms} ms ago, limit {} ms",
                        poll_loop.limit_ms
                    ),
                });
            }
        }
        ok_without(reasons)
    }

    /// Ready, or every cause against it in the order of their names.
    pub fn ready(&self) -> Result<(), Vec<HealthReason>> {
        let reasons = self.unready.iter().map(|(cause, detail)| HealthReason {
            cause,
            detail: detail.clone(),
        });
        ok_without(reasons.collect())
    }
}

fn ok_without(reasons: Vec<HealthReason>) -> Result<(), Vec<HealthReason>> {
    if reasons.is_empty() {
        return Ok(());
    }
    Err(reasons)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reasons as lines, or `ok`.
    fn told(answer: Result<(), Vec<HealthReason>>) -> String {
        let Err(reasons) = answer else {
            return "ok".to_owned();
        };
        let lines = reasons.iter().map(|r| format!("{}: {}", r.cause, r.detail));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_poll_loop_may_be_as_old_as_its_limit() {
        let mut health = Health::default();
        assert_eq!(told(health.live(0)), "ok");
        health.watch_loop("ingest", 1_000, 500);
        health.watch_loop("detect", 9_000, 500);
        assert_eq!(told(health.live(1_500)), "ok");
        assert_eq!(
            told(health.live(1_501)),
            "poll_loop_stuck: poll loop ingest last turned 1001 ms ago, limit 1000 ms"
        );
        health.tick("ingest", 1_501);
        assert_eq!(told(health.live(2_501)), "ok");
        assert_eq!(health.loop_age_ms("ingest", 2_501), Some(1_000));
        assert_eq!(health.loop_age_ms("sink", 2_501), None);
    }

    #[test]
    fn every_loop_is_judged_by_its_own_limit() {
        let mut health = Health::default();
        health.watch_loop("ingest", 10, 0);
        health.watch_loop("detect", 20, 0);
        assert_eq!(
            told(health.live(21)),
            "poll_loop_stuck: poll loop detect last turned 21 ms ago, limit 20 ms\n\
             poll_loop_stuck: poll loop ingest last turned 21 ms ago, limit 10 ms"
        );
        health.tick("detect", 21);
        health.tick("ingest", 21);
        assert_eq!(told(health.live(21)), "ok");
    }

    #[test]
    fn times_that_come_in_the_wrong_order_do_no_harm() {
        let mut health = Health::default();
        health.watch_loop("ingest", 10, 100);
        health.tick("ingest", 90);
        assert_eq!(told(health.live(50)), "ok");
        assert_eq!(health.loop_age_ms("ingest", 105), Some(5));
    }

    #[test]
    fn ready_is_the_absence_of_causes() {
        let mut health = Health::default();
        assert_eq!(
            told(health.ready()),
            "starting: the service has not started yet"
        );
        health.set_cause("restoring", "partition 3: 10 % read");
        health.clear_cause(STARTING);
        health.set_cause("restoring", "partition 3: 90 % read");
        health.set_cause("no_coordinator", "nobody coordinates");
        assert_eq!(
            told(health.ready()),
            "no_coordinator: nobody coordinates\nrestoring: partition 3: 90 % read"
        );
        health.clear_cause("restoring");
        health.clear_cause("no_coordinator");
        assert_eq!(told(health.ready()), "ok");
        assert_eq!(told(health.live(0)), "ok");
    }
}
