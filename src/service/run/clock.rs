//! The service's one clock.

use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::protocol::BelievedClock;

/// Wall time as far as it is believed.
pub struct ServiceClock {
    started: Instant,
    believed: Mutex<BelievedClock>,
}

impl ServiceClock {
    pub fn start() -> Self {
        ServiceClock {
            started: Instant::now(),
            believed: Mutex::new(BelievedClock::new(wall_ms(), 0)),
        }
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        let passed = self.started.elapsed().as_millis() as u64;
        let mut believed = self.believed.lock().unwrap_or_else(PoisonError::into_inner);
        believed.now(wall_ms(), passed)
    }

    /// Times that the wall clock was set under way.
    pub fn jumps(&self) -> u64 {
        self.believed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .jumps()
    }
}

fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
