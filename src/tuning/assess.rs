//! From runs to what a report says of a setting: costs, finds, spenders, why labels were missed.

use std::collections::BTreeMap;
use std::ops::Range;

use super::intervals::poisson_90;
use super::report::{
    KindView, LabelView, ScopeView, SettingView, SpenderView, StoriesView, StoryView,
};
use super::scoring::{KindScore, Label, LabelOutcome, by_kind, outcomes, separate, true_among};
use super::sweep::SettingRun;
use crate::detect::budget::{Class, Place, STRATA, ScopedBudget};
use crate::detect::fleet::Threshold;
use crate::model::{Direction, IncidentKind, InsightEvent, Minute, Mute, ScoreRow, ScoreState};
use crate::view::{LargestStories, Stories, StorySettings};

/// Series that are named as spending the budget.
const SPENDERS_MAX: usize = 10;
/// Stories that are named, and APIs of each.
const STORIES_MAX: usize = 10;
const APIS_MAX: usize = 3;
const WEEK: f64 = 7.0 * Minute::PER_DAY as f64;

/// What one setting's run is judged by.
#[derive(Clone, Debug)]
pub struct Assessment<'a> {
    pub run: &'a SettingRun,
    pub scored: Range<Minute>,
    pub labels: &'a [Label],
    /// Its own budget; `None` where the threshold is fixed.
    pub budget_per_week: Option<f64>,
    pub stories: StorySettings,
    pub mutes: &'a [Mute],
}

/// A setting's figures, with what recommendations rest on.
#[derive(Clone, Debug)]
pub struct Assessed {
    pub view: SettingView,
    pub unlabelled: u64,
    /// By label.
    pub outcomes: Vec<LabelOutcome>,
}

/// Length of some minutes in weeks.
pub fn weeks(minutes: &Range<Minute>) -> f64 {
    f64::from(minutes.end.0.saturating_sub(minutes.start.0)) / WEEK
}

impl Assessment<'_> {
    pub fn assess(&self) -> Assessed {
        let weeks = weeks(&self.scored);
        let insights = separate(&self.run.insights, &self.scored);
        let labelled = true_among(&insights, self.labels) as u64;
        let unlabelled = insights.len() as u64 - labelled;
        let outcomes = outcomes(self.labels, &self.run.insights);
        let per_week = |count: u64| count as f64 / weeks;
        let interval = |count: u64| {
            let (low, high) = poisson_90(count);
            (low / weeks, high / weeks)
        };
        let threshold = |class| Some(self.run.in_force.last()?.1.of(Class(class))?.z);
        let hits = outcomes.iter().filter(|outcome| outcome.hit.is_some());
        let hits = hits.count() as f64;
        let has_labels = !self.labels.is_empty();
        let view = SettingView {
            budget_per_week: self.budget_per_week,
            threshold: threshold(0),
            threshold_errors: threshold(1),
            scopes: self.scopes(&insights),
            insights: insights.len() as u64,
            insights_per_week: per_week(insights.len() as u64),
            insights_per_week_90: interval(insights.len() as u64),
            labelled,
            unlabelled_per_week: per_week(unlabelled),
            unlabelled_per_week_90: interval(unlabelled),
            budget_spent: self
                .budget_per_week
                .map(|budget| per_week(unlabelled) / budget),
            label_kinds: kinds(&by_kind(&outcomes)),
            precision: (has_labels && !insights.is_empty())
                .then(|| labelled as f64 / insights.len() as f64),
            recall: has_labels.then(|| hits / self.labels.len() as f64),
            spenders: spenders(&insights, self.labels),
            stories: self.stories(),
            muted: insights.iter().filter(|one| self.is_muted(one)).count() as u64,
            ..SettingView::default()
        };
        Assessed {
            view,
            unlabelled,
            outcomes,
        }
    }
}

impl Assessment<'_> {
    fn is_muted(&self, event: &InsightEvent) -> bool {
        self.mutes.iter().any(|mute| mute.hides(event))
    }

    fn stories(&self) -> StoriesView {
        let mut stories = Stories::new(self.stories);
        let (mut largest, mut ended) = (LargestStories::new(STORIES_MAX), Vec::new());
        let mut starts = 0;
        let scored = |start: &&InsightEvent| self.scored.contains(&start.decided_at);
        for start in self.run.starts().filter(scored) {
            if self.is_muted(start) {
                continue;
            }
            starts += 1;
            stories.take(std::slice::from_ref(start), &mut ended);
        }
        stories.finish(&mut ended);
        ended.iter().for_each(|story| largest.see(story));
        let many = largest.stories().iter().filter(|story| story.starts > 1);
        StoriesView {
            starts,
            stories: stories.begun(),
            largest: many
                .map(|story| StoryView {
                    account: story.account.clone(),
                    start: story.event_time.to_string(),
                    starts: story.starts,
                    apis: story.main_apis(APIS_MAX),
                })
                .collect(),
        }
    }

    /// What each scope's budget bought; nothing where there are none, or no budgets.
    fn scopes(&self, insights: &[InsightEvent]) -> Vec<ScopeView> {
        let scopes = &self.run.scopes;
        let last = self.run.in_force.last();
        let Some((_, thresholds)) = last.filter(|_| self.budget_per_week.is_some()) else {
            return Vec::new();
        };
        if scopes.is_empty() {
            return Vec::new();
        }
        let mut unlabelled = vec![0; scopes.len() + 1];
        for event in insights {
            let place = Place::new(event.series.as_ref(), scopes);
            if true_among(std::slice::from_ref(event), self.labels) == 0 {
                let class = place.class_of(event.explanation.kind, event.direction);
                unlabelled[class.scope()] += 1;
            }
        }
        let names = std::iter::once("the rest".to_string());
        let names = names.chain(scopes.iter().map(ScopedBudget::name));
        let of_scopes = thresholds.all().chunks(STRATA).zip(unlabelled);
        let view = |(name, (of_scope, unlabelled)): (String, (&[Threshold], u64))| {
            let budget = of_scope[0].budget_per_week;
            let per_week = unlabelled as f64 / weeks(&self.scored);
            ScopeView {
                name,
                budget_per_week: budget,
                threshold: of_scope[0].z,
                threshold_errors: of_scope[1].z,
                unlabelled_per_week: per_week,
                budget_spent: per_week / budget,
            }
        };
        names.zip(of_scopes).map(view).collect()
    }
}

/// Scores as a report shows them.
pub fn kinds(scores: &BTreeMap<String, KindScore>) -> Vec<KindView> {
    let view = |(kind, score): (&String, &KindScore)| KindView {
        kind: kind.clone(),
        incidents: score.labels,
        found: score.hits,
        delay_median: score.delay(0.5),
        delay_90: score.delay(0.9),
    };
    scores.iter().map(view).collect()
}

/// Mean over kinds of the share that was found; `None` without any.
pub fn mean_detection(kinds: &[KindView]) -> Option<f64> {
    let share = |kind: &KindView| f64::from(kind.found) / f64::from(kind.incidents.max(1));
    let sum: f64 = kinds.iter().map(share).sum();
    (!kinds.is_empty()).then(|| sum / kinds.len() as f64)
}

/// The series with the most insights outside labels.
fn spenders(insights: &[InsightEvent], labels: &[Label]) -> Vec<SpenderView> {
    let mut by_series: BTreeMap<String, u64> = BTreeMap::new();
    for event in insights {
        if true_among(std::slice::from_ref(event), labels) == 0 {
            *by_series.entry(event.series.to_string()).or_default() += 1;
        }
    }
    let all: u64 = by_series.values().sum();
    let mut spenders: Vec<SpenderView> = by_series
        .into_iter()
        .map(|(series, insights)| SpenderView {
            series,
            insights,
            share: insights as f64 / all as f64,
        })
        .collect();
    spenders.sort_by(|a, b| b.insights.cmp(&a.insights).then(a.series.cmp(&b.series)));
    spenders.truncate(SPENDERS_MAX);
    spenders
}

/// What became of each label. `rows` are the scored minutes of labelled series.
pub fn label_views(
    outcomes: &[LabelOutcome],
    rows: &[ScoreRow],
    run: &SettingRun,
    origin: Minute,
) -> Vec<LabelView> {
    let mut by_series: BTreeMap<String, Vec<&ScoreRow>> = BTreeMap::new();
    for row in rows {
        by_series.entry(row.key.to_string()).or_default().push(row);
    }
    let view = |outcome: &LabelOutcome| {
        let label = &outcome.label;
        let series = label.series.to_string();
        let why = WhyMissed {
            label,
            rows: by_series.get(&series).map(Vec::as_slice),
            run,
            origin,
        };
        LabelView {
            start: label.start.to_string(),
            end: label.end.to_string(),
            kind: label.kind.clone(),
            is_hit: outcome.hit.is_some(),
            delay: outcome.hit.map(|hit| hit.0 + 1 - label.start.0),
            why_missed: outcome.hit.is_none().then(|| why.text()),
            series,
        }
    };
    outcomes.iter().map(view).collect()
}

/// Looks for the reason why a label was missed.
struct WhyMissed<'a> {
    label: &'a Label,
    rows: Option<&'a [&'a ScoreRow]>,
    run: &'a SettingRun,
    origin: Minute,
}

impl WhyMissed<'_> {
    fn text(&self) -> String {
        let Some(rows) = self.rows else {
            return "the input has no such series with these settings".to_string();
        };
        let range = self.label.hit_range();
        let before = self
            .run
            .starts()
            .filter(|start| start.series == self.label.series && start.decided_at < range.start);
        let of_label: Vec<&&ScoreRow> = rows
            .iter()
            .filter(|row| range.contains(&row.minute))
            .collect();
        let Some(highest) = of_label.iter().max_by(|a, b| {
            (a.z, a.surprise)
                .partial_cmp(&(b.z, b.surprise))
                .expect("not NaN")
        }) else {
            return "nothing was surprising in its time, and nothing was counted".to_string();
        };
        let is_open = of_label
            .first()
            .is_some_and(|row| matches!(row.state, ScoreState::Up | ScoreState::Down));
        if let (true, Some(start)) = (is_open, before.last()) {
            return format!(
                "an incident was open already, since {} (decided {})",
                start.minute, start.decided_at
            );
        }
        match highest.state {
            ScoreState::Warmup => {
                return "in the first 48 hours of the engine or of the series' new life, when \
                        nothing starts"
                    .to_string();
            }
            ScoreState::New => {
                return "the series had no count before, in the engine's first week".to_string();
            }
            ScoreState::None | ScoreState::Up | ScoreState::Down => {}
        }
        let direction = if highest.count as f64 >= highest.expected {
            Direction::Up
        } else {
            Direction::Down
        };
        let series = self.label.series.as_ref();
        let run = self.run;
        let threshold = run.threshold_at(
            self.origin,
            highest.minute,
            series,
            (IncidentKind::Minutes, direction),
        );
        format!(
            "highest score {:.2} at {}, where {:.2} was needed: {} seen where {:.2} was expected, \
             surprise {:.1} decades",
            highest.z,
            highest.minute,
            threshold.map_or(f64::INFINITY, |threshold| threshold.z),
            highest.count,
            highest.expected,
            highest.surprise
        )
    }
}
