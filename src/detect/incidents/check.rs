//! What must hold of open incidents that were read.

use super::super::days::{EXCESS, VALUES};
use super::super::engine::State;
use super::super::invariants::{COUNT_SUM_MAX, Frame, require, within};
use super::{BASELINE_DAYS, Incidents, OpenIncident};
use crate::model::{Explanation, Minute};

impl Incidents {
    pub fn check(&self, frame: &Frame<'_>, state: &State) -> Result<(), String> {
        let is_over =
            |(id, (_, end)): (&u32, &(u128, u32))| (*id as usize) < frame.ids && *end <= frame.t;
        require(self.ended.iter().all(is_over), "ended", "they ended")?;
        let ids = 0..frame.ids as u32;
        let open = ids.filter(|id| state.series.get(*id).is_some_and(|one| one.is_open()));
        let are_same = open.eq(self.open.keys().copied());
        require(are_same, "open", "they are those that the series are in")?;
        for (id, incident) in &self.open {
            within("open", incident.check(*id, state))?;
        }
        Ok(())
    }
}

impl OpenIncident {
    fn check(&self, id: u32, state: &State) -> Result<(), String> {
        let series = state.series.get(id);
        let onset = series.and_then(|series| series.open_incident());
        let is_same = onset == Some((self.onset, self.started, self.direction));
        require(is_same, "onset", "it is that of the series")?;
        let into_day = |minute: Minute| minute.0 % Minute::PER_DAY;
        let onset = state
            .clock
            .map_or(0, |clock| into_day(clock.minute(self.onset)));
        let minutes = BASELINE_DAYS * Minute::PER_DAY + onset;
        let is_its_own = self.baseline_minutes == minutes;
        require(is_its_own, "baseline_minutes", "they lead up to the onset")?;
        let is_count = self.baseline_count <= 8 * COUNT_SUM_MAX;
        require(is_count, "baseline_count", "it is a count")?;
        within("baseline", self.baseline.check())?;
        check_explanation(&self.explanation)?;
        for (value, count) in &self.sums {
            let is_value = match *value {
                VALUES.. => *value % 8 < 4 && state.values.holds(*value / 8 - 1),
                other => (EXCESS..EXCESS + 4).contains(&other),
            };
            require(is_value, "sums", "they are of values that are held")?;
            require(*count <= 8 * COUNT_SUM_MAX, "sums", "they are counts")?;
        }
        let mut shares = super::Sums::new();
        state.recent.add_to(&mut shares, id, self.onset, state.t);
        let mut shares = shares.iter();
        let are_parts =
            shares.all(|(value, count)| self.sums.get(value).is_some_and(|sum| sum >= count));
        require(are_parts, "sums", "the last buckets are a part of them")
    }
}

fn check_explanation(explanation: &Explanation) -> Result<(), String> {
    let numbers = [
        explanation.observed,
        explanation.expected,
        explanation.expected_low,
        explanation.expected_high,
        explanation.surprise_raw,
        explanation.surprise,
        explanation.z,
        explanation.z_threshold,
        explanation.budget_per_week.unwrap_or(0.0),
        explanation.expected_per_week.unwrap_or(0.0),
    ];
    // A score may be below nothing where the budget is larger than the fleet.
    let are_numbers = numbers.iter().all(|number| number.abs() <= 1e300);
    require(are_numbers, "explanation", "it has numbers")?;
    let is_length = (1..=Minute::PER_DAY * 7).contains(&explanation.window_minutes);
    require(is_length, "explanation", "its window has a length")
}
