//! Made reports for the tests of pages: of every part something, and as many insights as asked.

use insightd::tuning::diff::Mark;
use insightd::tuning::report::{
    InjectionsView, InputView, KindView, LabelView, Recommendation, RivalView, ScopeView,
    ScoredView, SettingView, SmallestView, SpenderView, StoriesView, StoryView, TuneReport,
};
use insightd::tuning::timeline::{
    AttributionView, BudgetView, ChartView, DirectionView, Fact, MarkView, SeriesView,
    TimelineInsight, TimelineReport,
};

/// 2026-01-05T00:00:00Z.
const FIRST: i64 = 1_767_571_200;
const DAY: i64 = 86_400;
const CALLS: [(&str, &str, &str); 8] = [
    ("iam.amazonaws.com", "GetRole", ""),
    ("ec2.amazonaws.com", "DescribeInstances", ""),
    (
        "secretsmanager.amazonaws.com",
        "GetSecretValue",
        "AccessDenied",
    ),
    ("s3.amazonaws.com", "PutBucketLifecycle", ""),
    (
        "ec2.amazonaws.com",
        "RunInstances",
        "Client.RequestLimitExceeded",
    ),
    ("ssm.amazonaws.com", "UpdateInstanceInformation", ""),
    ("ecr.amazonaws.com", "BatchCheckLayerAvailability", ""),
    ("kms.amazonaws.com", "Decrypt", "ThrottlingException"),
];

/// Numbers that look like chance and are always the same.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Chance(seed.wrapping_mul(2) + 1)
    }

    /// From 0 to 1, by Knuth's linear congruential generator (MMIX).
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / (1_u64 << 24) as f64
    }
}

pub fn timeline(insights: usize, is_diff: bool) -> TimelineReport {
    let mut chance = Chance::new(7);
    TimelineReport {
        title: if is_diff {
            "insightd diff"
        } else {
            "insightd replay"
        }
        .to_string(),
        engine_version: "0.1.0".to_string(),
        facts: vec![
            fact("records", "454 374"),
            fact("series", "156"),
            fact("settings", "6bb36220745d"),
        ],
        first: FIRST,
        last: FIRST + 21 * DAY,
        warm_up_end: Some(FIRST + 7 * DAY),
        budget: Some(BudgetView {
            requested_per_week: 1.0,
            spent_per_week: 3.684,
            spent_per_week_90: (1.998, 6.249),
            weeks: 2.714,
        }),
        notes: vec!["part of the time lies in the engine's first week".to_string()],
        insights: (0..insights)
            .map(|number| insight(number, is_diff, &mut chance))
            .collect(),
    }
}

fn fact(name: &str, value: &str) -> Fact {
    Fact {
        name: name.to_string(),
        value: value.to_string(),
    }
}

fn insight(number: usize, is_diff: bool, chance: &mut Chance) -> TimelineInsight {
    let (event_source, event_name, error_code) = CALLS[number % CALLS.len()];
    let account = 111_122_223_333 + (chance.next() * chance.next() * 12.0) as u64;
    let onset = FIRST + ((2.0 + 18.9 * chance.next()) * DAY as f64) as i64 / 60 * 60;
    let minutes = (3.0 + 400.0 * chance.next() * chance.next() * chance.next()) as i64;
    let is_down = chance.next() < 0.25;
    let marks = [Mark::Gained, Mark::Lost, Mark::Moved];
    TimelineInsight {
        id: format!("a1b2c3d4-0000-4000-8000-{number:012}"),
        series: SeriesView {
            account: account.to_string(),
            region: "us-east-1".to_string(),
            event_source: event_source.to_string(),
            event_name: event_name.to_string(),
            insight_type: "ApiCallRateInsight".to_string(),
            error_code: error_code.to_string(),
        },
        direction: if is_down {
            DirectionView::Down
        } else {
            DirectionView::Up
        },
        onset,
        end: (number % 40 != 39).then_some(onset + minutes * 60),
        decided_at: onset + 240,
        sentences: vec![format!(
            "{event_name} was called 18.3 times a minute in account {account}, where 3.1 were \
             expected."
        )],
        facts: vec![
            fact("seen", "91 in 5 min"),
            fact("expected", "15.51, usually 4 to 29"),
            fact("z", "8.41, threshold 6.14"),
        ],
        attributions: attributions(),
        mark: is_diff.then(|| MarkView {
            mark: marks[number % 3],
            reason: "z of 6.3 is below the threshold of 8.6".to_string(),
        }),
        coarse: Some(chart(
            onset - 7 * DAY,
            900,
            700,
            (onset, minutes, is_down),
            chance,
        )),
        fine: Some(chart(
            onset - 5_400,
            60,
            240,
            (onset, minutes, is_down),
            chance,
        )),
    }
}

fn attributions() -> Vec<AttributionView> {
    [
        (
            "userIdentityArn",
            "arn:aws:sts::111122223333:assumed-role/ci-deployer/build",
            15.2,
            0.2,
        ),
        (
            "userIdentityArn",
            "arn:aws:iam::111122223333:user/backup",
            3.1,
            2.9,
        ),
        (
            "userAgent",
            "aws-cli/2.15.0 Python/3.11.6 Linux/6.1 exe/x86_64.amzn.2023",
            15.2,
            0.0,
        ),
        ("errorCode", "null", 18.3, 3.1),
    ]
    .map(
        |(dimension, value, insight_average, baseline_average)| AttributionView {
            dimension: dimension.to_string(),
            value: value.to_string(),
            insight_average,
            baseline_average,
        },
    )
    .to_vec()
}

fn chart(
    start: i64,
    step: i64,
    steps: i64,
    incident: (i64, i64, bool),
    chance: &mut Chance,
) -> ChartView {
    let (onset, minutes, is_down) = incident;
    let mut view = ChartView {
        start,
        step_seconds: step,
        ..ChartView::default()
    };
    for place in 0..steps {
        let time = start + place * step;
        let of_day = (time % DAY) as f64 / DAY as f64;
        let expected = 6.0 + 4.0 * (of_day * std::f64::consts::TAU).sin();
        let is_inside = (onset..onset + minutes * 60).contains(&time);
        let factor = match (is_inside, is_down) {
            (true, true) => 0.05,
            (true, false) => 5.0,
            _ => 1.0,
        };
        let is_known = place > steps / 20;
        view.seen
            .push(Some(expected * factor * (0.6 + 0.8 * chance.next())));
        view.expected.push(is_known.then_some(expected));
        view.low.push(is_known.then_some(expected * 0.5));
        view.high.push(is_known.then_some(expected * 1.6));
    }
    view
}

pub fn tune() -> TuneReport {
    let budgets = [1.0, 0.1, 0.3, 2.0, 3.0, 10.0, 30.0];
    let found = [0.585, 0.400, 0.472, 0.595, 0.603, 0.651, 0.736];
    let made = [3.684, 3.316, 3.316, 4.053, 4.421, 9.579, 21.0];
    let settings = (0..budgets.len())
        .map(|place| setting(place, budgets[place], found[place], made[place]))
        .collect();
    TuneReport {
        engine_version: "0.1.0".to_string(),
        input: InputView {
            files: 1,
            records: 454_374,
            counted: 908_748,
            rejected: 12,
            series: 156,
            counts: 454_374,
            first: Some("2026-01-05T00:00:00Z".to_string()),
            last: Some("2026-01-25T23:59:00Z".to_string()),
        },
        scored: Some(ScoredView {
            from: "2026-01-07T00:00:00Z".to_string(),
            to: "2026-01-26T00:00:00Z".to_string(),
            weeks: 2.714,
            settled_weeks: 2.0,
        }),
        budget_per_week: 1.0,
        settings,
        rivals: rivals(),
        injections: InjectionsView {
            planted: 925,
            series: 156,
            why_none: None,
        },
        recommendation: Recommendation {
            setting: Some(3),
            reasons: vec![
                "it keeps its budget, and finds one planted incident in a hundred more".to_string(),
                "the recording is too short to support a larger budget".to_string(),
            ],
            toml: "[detector]\nbudget_per_week = 2.0\n".to_string(),
        },
        smallest: smallest(),
        labels: labels(),
        notes: vec!["part of the time that is judged lies in the first week".to_string()],
    }
}

fn setting(place: usize, budget: f64, found: f64, made: f64) -> SettingView {
    let name = match place {
        0 => "present".to_string(),
        _ => format!("budget_per_week = {budget:.1}"),
    };
    SettingView {
        name,
        overrides: vec![("detector.budget_per_week".to_string(), budget.to_string())],
        settings_hash: format!("{place:064x}"),
        budget_per_week: Some(budget),
        threshold: Some(6.14 - libm::log10(budget)),
        threshold_errors: Some(6.9 - libm::log10(budget)),
        scopes: [
            ("the rest", budget),
            ("event_source=iam.*,direction=up", 0.5),
        ]
        .map(|(name, budget_per_week)| ScopeView {
            name: name.to_string(),
            budget_per_week,
            threshold: 6.14 - libm::log10(budget_per_week),
            threshold_errors: 6.9 - libm::log10(budget_per_week),
            unlabelled_per_week: made * 0.2,
            budget_spent: made * 0.2 / budget_per_week,
        })
        .into(),
        insights: (made * 2.714) as u64,
        insights_per_week: made,
        insights_per_week_90: (made * 0.54, made * 1.7),
        labelled: 6,
        unlabelled_per_week: made * 0.4,
        unlabelled_per_week_90: (made * 0.14, made),
        budget_spent: Some(made * 0.4 / budget),
        kinds: kinds(found),
        mean_detection: Some(found),
        label_kinds: Vec::new(),
        precision: Some(0.6),
        recall: Some(1.0),
        spenders: vec![SpenderView {
            series: "111122223334,us-east-1,ec2.amazonaws.com,AuthorizeSecurityGroupIngress,\
                     ApiCallRateInsight,"
                .to_string(),
            insights: 1,
            share: 0.25,
        }],
        stories: StoriesView {
            starts: 10,
            stories: 6,
            largest: vec![StoryView {
                account: "111122223334".to_string(),
                start: "2026-01-14T09:12:00Z".to_string(),
                starts: 4,
                apis: "ec2.amazonaws.com:RunInstances, iam.amazonaws.com:GetRole".to_string(),
            }],
        },
        muted: place as u64,
    }
}

fn kinds(found: f64) -> Vec<KindView> {
    let names = [
        "burst 100",
        "burst 20",
        "burst 5",
        "drop 0",
        "drop 0.3",
        "novel 1",
        "novel 12",
        "novel 3",
        "surge 10",
        "surge 2",
        "surge 3",
        "surge 5",
    ];
    let kind = |(place, name): (usize, &&str)| KindView {
        kind: (*name).to_string(),
        incidents: 300 >> (place / 3),
        found: (f64::from(300_u32 >> (place / 3)) * found * (0.3 + 0.05 * place as f64)) as u32,
        delay_median: (place != 9).then_some(place as u32 * 2 + 1),
        delay_90: (place != 9).then_some(place as u32 * 4 + 3),
    };
    names.iter().enumerate().map(kind).collect()
}

fn rivals() -> Vec<RivalView> {
    let rival = |name: &str, about: &str, alarms_per_week, found, kinds| RivalView {
        name: name.to_string(),
        about: about.to_string(),
        alarms_per_week,
        mean_detection: Some(found),
        kinds,
        recall: Some(found),
    };
    vec![
        rival("do nothing", "never says anything", 0.0, 0.0, Vec::new()),
        rival(
            "always fire",
            "one insight per series and hour",
            26_208.0,
            1.0,
            Vec::new(),
        ),
        rival(
            "7-day ratio",
            "five minutes against seven days",
            3.3,
            0.019,
            kinds(0.02),
        ),
    ]
}

fn smallest() -> Vec<SmallestView> {
    let series = "111122223334,us-east-1,ec2.amazonaws.com,TerminateInstances,ApiCallRateInsight,";
    let view = |usual, surge, stop_minutes, why_unknown: Option<&str>| SmallestView {
        series: series.to_string(),
        usual,
        asked: "2026-01-25T22:00:00Z".to_string(),
        surge,
        stop_minutes,
        why_unknown: why_unknown.map(str::to_string),
    };
    vec![
        view(1_250.0, Some(1_400), Some(6), None),
        view(0.79, Some(3), None, None),
        view(
            0.0027,
            None,
            None,
            Some("the series is younger than two days"),
        ),
    ]
}

fn labels() -> Vec<LabelView> {
    let label = |is_hit, why_missed: Option<&str>| LabelView {
        series: "111122223333,us-east-1,ec2.amazonaws.com,CreateTags,ApiCallRateInsight,"
            .to_string(),
        start: "2026-01-13T17:20:00Z".to_string(),
        end: "2026-01-13T17:40:00Z".to_string(),
        kind: "rate 100".to_string(),
        is_hit,
        delay: Some(1),
        why_missed: why_missed.map(str::to_string),
    };
    vec![
        label(true, None),
        label(false, Some("z reached 5.2 where 6.1 was needed")),
    ]
}
