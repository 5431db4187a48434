//! What the engine keeps of each series beside its history: state, first and last count.
//!
//! Columns by series id. The sweep over the last counts, once an hour, is the one place that
//! touches all series; it reads four bytes of each.

use serde::{Deserialize, Serialize};

use super::invariants::{Frame, require, within};
use super::series_state::SeriesState;
use crate::model::{Minute, prefetch_whole};

/// Silent minutes after which a series is forgotten (design, section 3).
pub const FORGET_MINUTES: u32 = 11_600;

/// No count yet, or no series.
const NONE: u32 = u32::MAX;

/// States and times by series id.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SeriesTable {
    states: Vec<Option<Box<SeriesState>>>,
    /// First and last bucket with a count.
    first: Vec<u32>,
    last: Vec<u32>,
}

impl SeriesTable {
    pub fn holds(&self, id: u32) -> bool {
        self.states.get(id as usize).is_some_and(Option::is_some)
    }

    pub fn admit(&mut self, id: u32, state: SeriesState) {
        let length = self.states.len().max(id as usize + 1);
        self.states.resize_with(length, || None);
        self.first.resize(length, NONE);
        self.last.resize(length, NONE);
        self.states[id as usize] = Some(Box::new(state));
    }

    pub fn forget(&mut self, id: u32) {
        self.states[id as usize] = None;
        self.first[id as usize] = NONE;
        self.last[id as usize] = NONE;
    }

    /// Notes a count in bucket `t`.
    pub fn note(&mut self, id: u32, t: u32) {
        let (first, last) = (&mut self.first[id as usize], &mut self.last[id as usize]);
        *first = (*first).min(t);
        *last = if *last == NONE { t } else { (*last).max(t) };
    }

    /// First bucket with a count.
    pub fn first(&self, id: u32) -> u32 {
        self.first[id as usize]
    }

    pub fn get_mut(&mut self, id: u32) -> &mut SeriesState {
        let state = self.states[id as usize].as_deref_mut();
        state.expect("a series that counted or is due has a state")
    }

    /// Fetches a state ahead of its use.
    pub fn prefetch(&self, id: u32) {
        if let Some(Some(state)) = self.states.get(id as usize) {
            prefetch_whole(&**state);
        }
    }

    /// Fetches what a state refers to; the state itself was fetched before.
    pub fn prefetch_parts(&self, id: u32) {
        if let Some(Some(state)) = self.states.get(id as usize) {
            state.prefetch_parts();
        }
    }

    /// Tells the series with a count in the seven days before bucket `t`; appends those to forget.
    pub fn sweep(&self, t: u32, width: u32, forgotten: &mut Vec<u32>, mut live: impl FnMut(u32)) {
        let week = 7 * Minute::PER_DAY / width;
        let silent_max = FORGET_MINUTES.div_ceil(width);
        for (id, last) in self.last.iter().enumerate() {
            if *last == NONE {
                continue;
            }
            if t - last <= week {
                live(id as u32);
            }
            if t - last > silent_max {
                forgotten.push(id as u32);
            }
        }
    }

    /// Checks a table that was read.
    pub fn check(&self, frame: &Frame<'_>) -> Result<(), String> {
        let lengths = [self.states.len(), self.first.len(), self.last.len()];
        let are_whole = lengths.iter().all(|length| *length == frame.ids);
        require(are_whole, "states", "there is one for each id")?;
        for (id, state) in self.states.iter().enumerate() {
            let (first, last) = (self.first[id], self.last[id]);
            let is_live = frame.is_live(id as u32);
            require(state.is_some() == is_live, "states", "live series have one")?;
            let Some(state) = state else {
                let are_none = (first, last) == (NONE, NONE);
                require(are_none, "first", "a series without a state has no time")?;
                continue;
            };
            let are_times = first <= last && last < frame.t;
            require(
                are_times,
                "first",
                "the first count is no later than the last",
            )?;
            within("states", state.check(frame))?;
            within("states", state.check_visits(frame))?;
        }
        Ok(())
    }

    /// The state of a live series.
    pub fn get(&self, id: u32) -> Option<&SeriesState> {
        self.states.get(id as usize)?.as_deref()
    }

    pub fn memory_bytes(&self) -> usize {
        let boxed = size_of::<SeriesState>() + 16;
        let states = self.states.iter().flatten();
        states
            .map(|state| boxed + state.heap_bytes())
            .sum::<usize>()
            + self.states.capacity() * 8
            + (self.first.capacity() + self.last.capacity()) * 4
    }
}
