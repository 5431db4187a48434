//! Where each series belongs: its class in either direction and the group of its account.
//!
//! A column by series id that follows from keys and settings, so no snapshot holds it.

use super::budget::{Class, Place, ScopedBudget};
use super::registry::Registry;
use crate::model::SeriesRef;

/// Places by series id.
#[derive(Clone, Debug, Default)]
pub struct Places(Vec<Place>);

/// Live series, over all and by class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveSeries {
    pub all: u64,
    pub classes: Vec<u64>,
}

impl Places {
    /// Notes where a series belongs that is tracked from now on.
    pub fn admit(&mut self, id: u32, key: SeriesRef<'_>, budgets: &[ScopedBudget]) {
        let length = self.0.len().max(id as usize + 1);
        self.0.resize(length, Place::default());
        self.0[id as usize] = Place::new(key, budgets);
    }

    pub fn of(&self, id: u32) -> Place {
        self.0[id as usize]
    }

    /// Finds all places anew: after a snapshot, or with other budgets.
    pub fn rebuild(&mut self, registry: &Registry, budgets: &[ScopedBudget]) {
        self.0.clear();
        for id in registry.live_ids() {
            self.admit(id, registry.key(id), budgets);
        }
    }
}

impl LiveSeries {
    pub fn new(classes: usize) -> Self {
        LiveSeries {
            all: 0,
            classes: vec![0; classes],
        }
    }

    pub fn add(&mut self, place: Place) {
        let mut add = |class: Class| self.classes[usize::from(class.0)] += 1;
        add(place.up);
        if place.down != place.up {
            add(place.down);
        }
        self.all += 1;
    }
}
