//! The one clock, and how far it is believed.
//!
//! Wall clocks are set by people and programs. Time that has passed is measured by a clock that
//! only goes forward; the wall clock says where that began. Where both part, the wall clock is not
//! followed, and the difference is counted: idle proof must not close minutes early because
//! somebody set a clock.

/// Milliseconds by which the wall clock may be corrected at a time.
const CORRECTION_MAX_MS: u64 = 2_000;

/// Wall time in milliseconds since 1970, protected against jumps.
#[derive(Clone, Copy, Debug)]
pub struct BelievedClock {
    wall_ms: u64,
    monotonic_ms: u64,
    jumps: u64,
    is_apart: bool,
}

impl BelievedClock {
    /// Begins with a wall clock that is right, and any clock that only goes forward.
    pub fn new(wall_ms: u64, monotonic_ms: u64) -> Self {
        BelievedClock {
            wall_ms,
            monotonic_ms,
            jumps: 0,
            is_apart: false,
        }
    }

    /// The time, given what both clocks say. Never goes back.
    pub fn now(&mut self, wall_ms: u64, monotonic_ms: u64) -> u64 {
        let passed = monotonic_ms.saturating_sub(self.monotonic_ms);
        let expected = self.wall_ms + passed;
        let is_apart = wall_ms.abs_diff(expected) > CORRECTION_MAX_MS;
        if is_apart && !self.is_apart {
            self.jumps += 1;
        }
        self.is_apart = is_apart;
        let believed = if is_apart { expected } else { wall_ms };
        self.wall_ms = self.wall_ms.max(believed);
        self.monotonic_ms = self.monotonic_ms.max(monotonic_ms);
        self.wall_ms
    }

    /// Times that the wall clock was found to have jumped.
    pub fn jumps(&self) -> u64 {
        self.jumps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_moves_nothing() {
        let mut clock = BelievedClock::new(1_000_000, 0);
        assert_eq!(clock.now(1_010_000, 10_000), 1_010_000);
        // An hour ahead, then an hour back, then right again.
        assert_eq!(clock.now(4_611_000, 11_000), 1_011_000);
        assert_eq!(clock.now(4_612_000, 12_000), 1_012_000);
        assert_eq!(clock.jumps(), 1);
        assert_eq!(clock.now(1_013_400, 13_000), 1_013_400);
        assert_eq!(clock.now(0, 14_000), 1_014_400);
        assert_eq!(clock.jumps(), 2);
    }
}
