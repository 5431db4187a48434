//! Keeps the rates of a run beside detection, so that some series can be looked at again.

use crate::config::Settings;
use crate::detect::Engine;
use crate::model::{Fingerprint, LogRecord, Minute, Rates, RatesBuilder, SeriesKey};
use crate::tuning::part_run::Constant;
use crate::tuning::sweep::{SettingRun, fixed_z};
use crate::tuning::{KeptRates, TooMuch};

/// Takes records as detection takes them. Over its limit it lets go of all of them.
pub struct Recorder {
    kept: Result<KeptRates, TooMuch>,
    /// The only series that is wanted.
    only: Option<Fingerprint>,
}

/// What a run left to look at again.
pub struct Recorded {
    pub kept: KeptRates,
    pub origin: Minute,
    /// First minute that did not close.
    pub closed: Minute,
    /// The thresholds that were in force.
    pub run: SettingRun,
}

impl Recorder {
    /// Keeps the rates of `only` one series, or of all, within the limit of the settings.
    pub fn new(settings: &Settings, only: Option<&SeriesKey>) -> Self {
        Recorder {
            kept: Ok(KeptRates::new(settings.kept_rates_bytes_max)),
            only: only.map(|series| series.as_ref().fingerprint()),
        }
    }

    pub(super) fn see(&mut self, record: &LogRecord) {
        let Ok(kept) = &mut self.kept else { return };
        let pushed = match (record, self.only) {
            (LogRecord::Rates(rates), Some(only)) => kept.push(&counts_of(rates, only)),
            (record, _) => kept.push(record),
        };
        if let Err(too_much) = pushed {
            self.kept = Err(too_much);
        }
    }

    /// All that was kept, with what `engine` noted; `Ok(None)` where no minute with a count closed.
    pub fn finish(self, engine: &Engine, settings: &Settings) -> Result<Option<Recorded>, TooMuch> {
        let mut kept = self.kept?;
        kept.finish();
        let stats = engine.stats();
        let (Some(origin), Some(closed)) = (stats.origin, stats.closed) else {
            return Ok(None);
        };
        let in_force = match fixed_z(&settings.detect) {
            Some(z) => {
                let by_scope = vec![z; settings.detect.budgets.len() + 1];
                vec![(0, Constant::new(&by_scope).thresholds)]
            }
            None => {
                let noted = engine.thresholds_noted().iter();
                let since_origin = noted.map(|(hour, at)| (hour - origin.hour(), at.clone()));
                since_origin.collect()
            }
        };
        Ok(Some(Recorded {
            kept,
            origin,
            closed,
            run: SettingRun {
                in_force,
                scopes: settings.detect.budgets.clone(),
                ..SettingRun::default()
            },
        }))
    }
}

/// The counts of one series, without its attributions, which no decision depends on.
fn counts_of(rates: &Rates, only: Fingerprint) -> LogRecord {
    let mut builder = RatesBuilder::default();
    for entry in rates.entries() {
        if rates.fingerprint(entry.key) == only {
            let category = rates.category(entry.key);
            let key = builder.add_key_with(rates.key(entry.key), category, only);
            builder.add_entry(key, entry.minute, entry.count, &[]);
        }
    }
    LogRecord::Rates(builder.finish(rates.source, rates.positions))
}
