//! When to look at a silent series again.
//!
//! A ring of buckets, each the head of a list through its series. A series is in one list at
//! most: a later due time leaves it where it is (it is moved on when it fires), an earlier one
//! moves it. So a series that counts rarely touches the ring, and its memory never grows.

use serde::{Deserialize, Serialize};

use super::invariants::{Frame, require};

/// No due time, not in the ring, or the end of a list.
pub const NEVER: u32 = u32::MAX;

/// Buckets the ring reaches ahead; a power of two.
const SLOTS: u32 = 2048;

/// Due buckets of all series.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Wheel {
    rows: Vec<Row>,
    /// First series of each bucket's list.
    #[serde(skip)]
    slots: Vec<u32>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Row {
    /// First bucket at which the series must be looked at.
    due: u32,
    /// Bucket whose list it is in.
    armed: u32,
    #[serde(skip)]
    next: u32,
    #[serde(skip)]
    previous: u32,
}

const UNARMED: Row = Row {
    due: NEVER,
    armed: NEVER,
    next: NEVER,
    previous: NEVER,
};

impl Wheel {
    pub fn new() -> Self {
        Wheel {
            rows: Vec::new(),
            slots: vec![NEVER; SLOTS as usize],
        }
    }

    /// Makes room for `id`, with nothing due.
    pub fn admit(&mut self, id: u32) {
        let length = self.rows.len().max(id as usize + 1);
        self.rows.resize(length, UNARMED);
        self.forget(id);
    }

    pub fn forget(&mut self, id: u32) {
        self.unlink(id);
        self.rows[id as usize] = UNARMED;
    }

    /// Sets the next bucket, after `now`, at which `id` is due; [`NEVER`] for none.
    pub fn set(&mut self, id: u32, due: u32, now: u32) {
        assert!(due > now, "series {id} is due at {due}, after {now}");
        let row = &mut self.rows[id as usize];
        row.due = due;
        let at = due.min(now + (SLOTS - 1));
        if due != NEVER && at < row.armed {
            self.unlink(id);
            self.link(id, at);
        }
    }

    /// Appends the ids due at bucket `now` to `ids`, in no order. Called once for each bucket.
    pub fn fire(&mut self, now: u32, ids: &mut Vec<u32>) {
        let slot = (now % SLOTS) as usize;
        let mut id = std::mem::replace(&mut self.slots[slot], NEVER);
        while id != NEVER {
            let row = &mut self.rows[id as usize];
            assert_eq!(row.armed, now, "series {id} is in the list of its bucket");
            let (due, next) = (row.due, row.next);
            row.armed = NEVER;
            if due <= now {
                ids.push(id);
            } else if due != NEVER {
                self.link(id, due.min(now + (SLOTS - 1)));
            }
            id = next;
        }
    }

    /// Checks a wheel that was read.
    pub fn check(&self, frame: &Frame<'_>) -> Result<(), String> {
        require(
            self.rows.len() == frame.ids,
            "rows",
            "there is one for each id",
        )?;
        let t = frame.t;
        for (id, row) in self.rows.iter().enumerate() {
            let is_right = if frame.is_live(id as u32) {
                let ahead = row.armed.checked_sub(t);
                ahead.is_some_and(|ahead| ahead < SLOTS - 1)
                    && (row.armed..=t + 2 * frame.tuning.day).contains(&row.due)
            } else {
                (row.due, row.armed) == (NEVER, NEVER)
            };
            require(
                is_right,
                "rows",
                "live series, and no others, are due within a day",
            )?;
        }
        Ok(())
    }

    /// Builds what a snapshot leaves out.
    pub fn rebuild(&mut self) {
        self.slots = vec![NEVER; SLOTS as usize];
        for id in 0..self.rows.len() as u32 {
            let at = self.rows[id as usize].armed;
            if at != NEVER {
                self.link(id, at);
            }
        }
    }

    pub fn memory_bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Row>() + SLOTS as usize * 4
    }

    /// Puts a series at the head of a bucket's list.
    fn link(&mut self, id: u32, at: u32) {
        let head = std::mem::replace(&mut self.slots[(at % SLOTS) as usize], id);
        if head != NEVER {
            self.rows[head as usize].previous = id;
        }
        let row = &mut self.rows[id as usize];
        row.armed = at;
        row.next = head;
        row.previous = NEVER;
    }

    fn unlink(&mut self, id: u32) {
        let Row {
            armed,
            next,
            previous,
            ..
        } = self.rows[id as usize];
        if armed == NEVER {
            return;
        }
        if previous == NEVER {
            self.slots[(armed % SLOTS) as usize] = next;
        } else {
            self.rows[previous as usize].next = next;
        }
        if next != NEVER {
            self.rows[next as usize].previous = previous;
        }
        self.rows[id as usize].armed = NEVER;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sweep over all series in every bucket is the oracle.
    #[test]
    fn it_fires_exactly_when_a_sweep_would() {
        let mut wheel = Wheel::new();
        let mut due = [NEVER; 50];
        (0..50).for_each(|id| wheel.admit(id));
        let mut random = 7u64;
        for now in 0..20_000u32 {
            let mut fired = Vec::new();
            wheel.fire(now, &mut fired);
            fired.sort_unstable();
            let expected: Vec<u32> = (0..50).filter(|id| due[*id as usize] == now).collect();
            assert_eq!(fired, expected, "bucket {now}");
            for id in 0..50u32 {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let is_touched = (random >> 33).is_multiple_of(40);
                if is_touched || due[id as usize] == now {
                    let next = match (random >> 40) % 4 {
                        0 => NEVER,
                        1 => now + 1,
                        2 => now + 1 + (random >> 45) as u32 % 500,
                        _ => now + 1 + (random >> 45) as u32 % 9000,
                    };
                    due[id as usize] = next;
                    wheel.set(id, next, now);
                }
            }
            if now % 997 == 0 {
                wheel.rebuild();
            }
        }
    }
}
