//! The naive engine: keeps every count, recomputes everything, visits every series every bucket.
//!
//! It shares the kernel (one series' state) and the fleet's fit with the engine, and nothing
//! else: no window, no days, no wheel, no ids, no laziness.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use insightd::detect::budget::{Class, Place};
use insightd::detect::calendar::Calendar;
use insightd::detect::fleet::{Cell, Fleet, HourReport, Thresholds};
use insightd::detect::series_state::SeriesState;
use insightd::detect::settings::Tuning;
use insightd::detect::verdict::{Change, Context, History, Needed, Phase};
use insightd::detect::{CalendarNow, DetectSettings, InForce, event_id, shared_event_id};
use insightd::model::{
    Attribution, AttributionValue, Dimension, Direction, Edge, IncidentKind, InsightEvent, Minute,
    ScoreRow, ScoreState, SeriesKey,
};

use super::streams::{Entry, Step, category};

type Values = BTreeMap<(Dimension, String), u64>;

/// One series with all it ever counted, by bucket (first minute).
struct Series {
    key: Arc<SeriesKey>,
    place: Place,
    state: SeriesState,
    counts: BTreeMap<u32, u64>,
    /// Attribution counts that the limit of values kept.
    kept: BTreeMap<u32, Values>,
    excess: BTreeMap<u32, u64>,
    /// Values kept by day.
    admitted: BTreeMap<(u32, Dimension), BTreeSet<String>>,
    open: Option<InsightEvent>,
    ended: Option<uuid::Uuid>,
}

struct Counts<'a> {
    counts: &'a BTreeMap<u32, u64>,
    origin: u32,
    width: u32,
}

impl History for Counts<'_> {
    fn counts(&self, from: i64, out: &mut [u64]) {
        for (index, count) in out.iter_mut().enumerate() {
            let t = from + index as i64;
            let minute = i64::from(self.origin) + t * i64::from(self.width);
            let found = self.counts.get(&(minute.max(0) as u32));
            *count = if t < 0 {
                0
            } else {
                found.copied().unwrap_or(0)
            };
        }
    }
    fn is_silent(&self, from: i64, to: i64) -> bool {
        let mut counts = vec![0; (to - from).max(0) as usize];
        self.counts(from, &mut counts);
        counts.iter().all(|count| *count == 0)
    }
    fn has_count_before(&self, t: u32) -> bool {
        self.counts
            .range(..self.origin + t * self.width)
            .next()
            .is_some()
    }
}

pub struct Oracle {
    settings: DetectSettings,
    tuning: Tuning,
    series: BTreeMap<SeriesKey, Series>,
    /// Never counts; what a forgotten series becomes again.
    silent: SeriesState,
    waiting: Vec<Entry>,
    origin: Option<u32>,
    closed: Option<u32>,
    t: u32,
    fleet: Fleet,
    reports: BTreeMap<u32, HourReport>,
    thresholds: Option<Thresholds>,
    pub insights: Vec<InsightEvent>,
    pub scores: Vec<ScoreRow>,
}

impl Oracle {
    pub fn new(settings: DetectSettings, keys: &[SeriesKey]) -> Self {
        let series = keys
            .iter()
            .map(|key| (key.clone(), Series::new(key, &settings)));
        Oracle {
            tuning: Tuning::new(&settings),
            series: series.collect(),
            silent: SeriesState::silent(),
            waiting: Vec::new(),
            origin: None,
            closed: None,
            t: 0,
            fleet: Fleet::new(&settings),
            reports: BTreeMap::new(),
            thresholds: None,
            insights: Vec::new(),
            scores: Vec::new(),
            settings,
        }
    }

    pub fn feed(&mut self, step: &Step) {
        match step {
            Step::Rates(entries) => self.waiting.extend_from_slice(entries),
            Step::Advance(to) => self.advance(to - to % self.width()),
        }
    }

    fn width(&self) -> u32 {
        self.settings.bucket_minutes
    }

    fn advance(&mut self, to: u32) {
        if self.closed.is_some_and(|closed| to <= closed) {
            return;
        }
        let width = self.width();
        let closed = self.closed.unwrap_or(0);
        let waiting = std::mem::take(&mut self.waiting);
        let mut minutes: BTreeMap<u32, BTreeMap<SeriesKey, (u64, Values)>> = BTreeMap::new();
        for entry in &waiting {
            let bucket = entry.minute - entry.minute % width;
            if bucket >= to {
                self.waiting.push(entry.clone());
                continue;
            }
            let sum = minutes
                .entry(bucket)
                .or_default()
                .entry(entry.key.clone())
                .or_default();
            sum.0 += entry.count;
            for (dimension, value, count) in &entry.deltas {
                *sum.1.entry((*dimension, value.clone())).or_default() += count;
            }
        }
        let late: Vec<u32> = minutes.range(..closed).map(|(minute, _)| *minute).collect();
        for minute in late {
            for (key, (count, values)) in minutes.remove(&minute).expect("it was just seen") {
                self.correct(&key, minute, count, &values);
            }
        }
        if self.origin.is_none() {
            self.origin = minutes.keys().next().map(|first| first - first % 60);
        }
        while let Some(origin) = self.origin {
            let minute = origin + self.t * width;
            if minute >= to {
                break;
            }
            self.close(minute, minutes.remove(&minute).unwrap_or_default());
        }
        self.closed = Some(to);
    }

    fn correct(&mut self, key: &SeriesKey, minute: u32, count: u64, values: &Values) {
        let Some(origin) = self.origin else { return };
        let width = self.width();
        let longest = self.tuning.windows[3] * width;
        let reach = 10_143.max(10_080 + longest + 3 * width) / width;
        if minute < origin + self.t.saturating_sub(reach) * width {
            return;
        }
        let calendar = self.in_force(key, self.t.saturating_sub(1));
        let ctx = Context {
            calendar: calendar.as_ref().map(|(one, now)| InForce {
                calendar: one,
                now: *now,
            }),
            ..ctx_of(&self.tuning, origin / 60, Needed::both(f64::INFINITY))
        };
        let series = self.series.get_mut(key).expect("all keys are known");
        series.enter(minute, count, values, &self.settings);
        series.state.correct((minute - origin) / width, count, &ctx);
    }

    fn needed(&self, place: Place) -> Needed {
        let z = |class: Class| {
            let thresholds = self.thresholds.as_ref();
            let from_fleet = thresholds.map(|all| all.all()[usize::from(class.0)].z);
            self.tuning.fixed_z.or(from_fleet).unwrap_or(f64::INFINITY)
        };
        Needed {
            up: z(place.up),
            down: z(place.down),
            missed: z(place.missed),
        }
    }

    /// The calendar of a series, and what it says of bucket `t`, bucket by bucket.
    fn in_force(&self, key: &SeriesKey, t: u32) -> Option<(Calendar, CalendarNow)> {
        let mut calendars = self.settings.calendars.iter();
        let calendar = calendars.find(|one| one.scope.covers(key.as_ref()))?;
        let (origin, width) = (self.origin?, self.width());
        let is_maintained = |t: u32| calendar.is_maintained(Minute(origin + t * width));
        let remembered = (t.saturating_sub(63)..t).rev();
        let window = remembered.take_while(|t| is_maintained(*t)).last();
        let now = CalendarNow {
            is_maintained: is_maintained(t),
            forgets_from: window.filter(|_| !is_maintained(t)),
            is_plain_day: true,
        };
        Some((calendar.clone(), now))
    }

    fn begin_hour(&mut self, minute: u32) {
        let hour = self.t / self.tuning.hour;
        let live = |series: &&Series| {
            series
                .counts
                .range(minute.saturating_sub(10_080)..)
                .next()
                .is_some()
        };
        let mut live_classes = vec![0; self.settings.classes()];
        let mut live_all = 0;
        for series in self.series.values().filter(live) {
            let classes = BTreeSet::from([series.place.up, series.place.down]);
            classes
                .iter()
                .for_each(|class| live_classes[usize::from(class.0)] += 1);
            live_all += 1;
        }
        let silent = self.silent.clone();
        for series in self.series.values_mut() {
            let is_silent = series
                .counts
                .last_key_value()
                .is_some_and(|(last, _)| minute - last - self.settings.bucket_minutes >= 11_600);
            if is_silent && series.open.is_none() {
                *series = Series::new(&series.key, &self.settings);
                series.state = silent.clone();
            }
        }
        if hour > 0 {
            let report = self.reports.entry(hour - 1).or_default();
            report.live_series = live_all;
            for (class, live) in live_classes.into_iter().enumerate() {
                report.class_mut(Class(class as u8)).live_series = live;
            }
        }
        if hour > 1 {
            let report = self.reports.remove(&(hour - 2)).unwrap_or_default();
            self.fleet.report(hour - 2, &report);
        }
        self.thresholds = Some(self.fleet.thresholds_for(hour));
    }

    fn close(&mut self, minute: u32, counts: BTreeMap<SeriesKey, (u64, Values)>) {
        if self.t.is_multiple_of(self.tuning.hour) {
            self.begin_hour(minute);
        }
        let origin_hour = self.origin.unwrap_or(0) / 60;
        let mut changes = Vec::new();
        let places: Vec<Place> = self.series.values().map(|series| series.place).collect();
        let needed: Vec<Needed> = places.iter().map(|place| self.needed(*place)).collect();
        let (width, t) = (self.width(), self.t);
        let keys = self.series.keys();
        let calendars: Vec<_> = keys.map(|key| self.in_force(key, t)).collect();
        let of_series = needed.into_iter().zip(&calendars);
        for (series, (needed, calendar)) in self.series.values_mut().zip(of_series) {
            let ctx = Context {
                calendar: calendar.as_ref().map(|(one, now)| InForce {
                    calendar: one,
                    now: *now,
                }),
                ..ctx_of(&self.tuning, origin_hour, needed)
            };
            let (count, values) = counts.get(&*series.key).cloned().unwrap_or_default();
            if count > 0 {
                series.enter(minute, count, &values, &self.settings);
            }
            let history = Counts {
                counts: &series.counts,
                origin: self.origin.expect("a minute closes"),
                width,
            };
            let judged = series.state.minute(t, count, &ctx, &history);
            if let Some(ended) = judged.episode_ended {
                let report = self.reports.entry(ended.hour).or_default();
                report.add(Cell {
                    ago: ended.hours.min(5) as u8,
                    class: series.place.class(ended.direction),
                    account: series.place.account,
                    bin: ended.bin,
                });
            }
            if let Some(bin) = judged.missed {
                let report = self.reports.entry(t / self.tuning.hour).or_default();
                report.add(Cell {
                    ago: 0,
                    class: series.place.missed,
                    account: series.place.account,
                    bin,
                });
            }
            let verdict = judged.verdict;
            let (low, high) = verdict.expected_range();
            self.scores.push(ScoreRow {
                key: series.key.clone(),
                minute: Minute(minute),
                count,
                expected: verdict.expected,
                low,
                high,
                surprise: verdict.surprise,
                z: verdict.z,
                state: match verdict.phase {
                    Phase::WarmUp => ScoreState::Warmup,
                    Phase::New => ScoreState::New,
                    Phase::Calm => ScoreState::None,
                    Phase::Incident(Direction::Up) => ScoreState::Up,
                    Phase::Incident(Direction::Down) => ScoreState::Down,
                },
            });
            if let Some(change) = judged.change {
                changes.push((series.key.clone(), change));
            }
        }
        let origin = self.origin.expect("a minute closes");
        let ctx = ctx_of(&self.tuning, origin_hour, Needed::both(f64::INFINITY));
        self.silent.minute(
            t,
            0,
            &ctx,
            &Counts {
                counts: &BTreeMap::new(),
                origin,
                width,
            },
        );
        for (key, change) in changes {
            self.decide(&key, minute, change);
        }
        self.t += 1;
    }

    fn decide(&mut self, key: &SeriesKey, minute: u32, change: Change) {
        let origin = self.origin.expect("a minute closes");
        let width = self.width();
        let is_fleet = self.tuning.fixed_z.is_none();
        let fleet = self.thresholds.as_ref().filter(|_| is_fleet);
        let budgets = self.settings.budgets();
        let names = self.settings.scope_names();
        let series = self.series.get_mut(key).expect("it changed");
        let event = match change {
            Change::Start {
                onset,
                direction,
                mut explanation,
                continues,
            } => {
                let onset = origin + onset * width;
                let midnight = (onset / 1440 - 7) * 1440;
                let id = shared_event_id(key.as_ref(), direction, Minute(minute));
                let is_missed = explanation.kind == IncidentKind::Missed;
                let class = match is_missed {
                    true => series.place.missed,
                    false => series.place.class(direction),
                };
                let threshold = fleet.and_then(|all| all.of(class));
                let scope = class.scope();
                explanation.budget_per_week = threshold.map(|_| budgets[scope]);
                if is_fleet && scope > 0 {
                    explanation.budget_scope = Some(names[scope - 1].as_str().into());
                }
                let fitted = threshold.filter(|_| !is_missed);
                explanation.expected_per_week =
                    fitted.map(|threshold| threshold.expected_per_week(explanation.z));
                let end = minute + width;
                InsightEvent {
                    series: key.clone(),
                    category: category(key),
                    edge: Edge::Start,
                    direction,
                    shared_event_id: id,
                    event_id: event_id(id, Edge::Start),
                    minute: Minute(onset),
                    decided_at: Minute(minute),
                    start_decided_at: Minute(minute),
                    baseline_count: series.count(midnight, onset),
                    baseline_minutes: onset - midnight,
                    insight_count: series.count(onset, end),
                    insight_minutes: end - onset,
                    attribution_truncated: series.excess(midnight, end),
                    attributions: attributions(
                        &series.top(onset, end),
                        &series.top(midnight, onset),
                    ),
                    continues: series.ended.filter(|_| continues),
                    reason: None,
                    explanation,
                }
            }
            Change::End { end, reason } => {
                let end = origin + end * width;
                let start = series.open.take().expect("an incident is open");
                let onset = start.minute.0;
                let baseline_excess = start.attribution_truncated;
                series.ended = Some(start.shared_event_id);
                let baseline: Vec<Vec<AttributionValue>> = Dimension::ALL
                    .iter()
                    .map(|dimension| {
                        let mut blocks = start.attributions.iter();
                        let block = blocks.find(|block| block.dimension == *dimension);
                        block.map_or_else(Vec::new, |block| block.baseline.clone())
                    })
                    .collect();
                InsightEvent {
                    edge: Edge::End,
                    event_id: event_id(start.shared_event_id, Edge::End),
                    minute: Minute(end),
                    decided_at: Minute(minute),
                    insight_count: series.count(onset, end),
                    insight_minutes: end - onset,
                    attribution_truncated: baseline_excess + series.excess(onset, end),
                    attributions: attributions(&series.top(onset, end), &baseline),
                    reason: Some(reason),
                    ..start
                }
            }
        };
        if event.edge == Edge::Start {
            // From here on the open event's truncated count is that of the baseline alone.
            let baseline_excess =
                series.excess(event.minute.0 - event.baseline_minutes, event.minute.0);
            series.open = Some(InsightEvent {
                attribution_truncated: baseline_excess,
                ..event.clone()
            });
        }
        self.insights.push(event);
    }
}

fn ctx_of(tuning: &Tuning, origin_hour: u32, needed: Needed) -> Context<'_> {
    Context {
        tuning,
        origin_hour,
        needed,
        withholds_drops: false,
        calendar: None,
    }
}

impl Series {
    fn new(key: &SeriesKey, settings: &DetectSettings) -> Self {
        Series {
            key: Arc::new(key.clone()),
            place: Place::new(key.as_ref(), &settings.budgets),
            state: SeriesState::silent(),
            counts: BTreeMap::new(),
            kept: BTreeMap::new(),
            excess: BTreeMap::new(),
            admitted: BTreeMap::new(),
            open: None,
            ended: None,
        }
    }

    fn enter(&mut self, minute: u32, count: u64, values: &Values, settings: &DetectSettings) {
        *self.counts.entry(minute).or_default() += count;
        for dimension in Dimension::ALL {
            let admitted = self.admitted.entry((minute / 1440, dimension)).or_default();
            let mut mine: Vec<(u64, &String)> = values
                .iter()
                .filter(|value| value.0.0 == dimension && *value.1 > 0)
                .map(|(key, count)| (*count, &key.1))
                .collect();
            mine.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
            for (count, value) in mine {
                if admitted.contains(value) || admitted.len() < settings.values_max as usize {
                    admitted.insert(value.clone());
                    let kept = self.kept.entry(minute).or_default();
                    *kept.entry((dimension, value.clone())).or_default() += count;
                } else {
                    *self.excess.entry(minute).or_default() += count;
                }
            }
        }
    }

    fn count(&self, from: u32, to: u32) -> u64 {
        self.counts.range(from..to).map(|(_, count)| count).sum()
    }

    fn excess(&self, from: u32, to: u32) -> u64 {
        self.excess.range(from..to).map(|(_, count)| count).sum()
    }

    /// The five largest values of each dimension.
    fn top(&self, from: u32, to: u32) -> Vec<Vec<AttributionValue>> {
        let mut sums = Values::new();
        for (key, count) in self.kept.range(from..to).flat_map(|(_, values)| values) {
            *sums.entry(key.clone()).or_default() += count;
        }
        let of = |dimension: &Dimension| {
            let mine = sums.iter().filter(|sum| sum.0.0 == *dimension);
            let mut mine: Vec<AttributionValue> = mine
                .map(|(key, count)| AttributionValue {
                    value: key.1.as_str().into(),
                    count: *count,
                })
                .collect();
            mine.sort_by(|a, b| b.count.cmp(&a.count).then(a.value.cmp(&b.value)));
            mine.truncate(5);
            mine
        };
        Dimension::ALL.iter().map(of).collect()
    }
}

fn attributions(
    insight: &[Vec<AttributionValue>],
    baseline: &[Vec<AttributionValue>],
) -> Vec<Attribution> {
    let mut blocks = Vec::new();
    for (index, dimension) in Dimension::ALL.into_iter().enumerate() {
        if !insight[index].is_empty() || !baseline[index].is_empty() {
            blocks.push(Attribution {
                dimension,
                insight: insight[index].clone(),
                baseline: baseline[index].clone(),
            });
        }
    }
    blocks
}
