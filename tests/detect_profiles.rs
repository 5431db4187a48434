//! What each profile must say: the compat profile fires on every sample that AWS documents.

use insightd::detect::series_state::SeriesState;
use insightd::detect::settings::{DetectSettings, Profile, Tuning};
use insightd::detect::verdict::{Change, Context, History, Needed};
use insightd::model::{Direction, Explanation};

const ORIGIN_HOUR: u32 = 490_896;

struct Counts(Vec<u64>);

impl History for Counts {
    fn counts(&self, from: i64, out: &mut [u64]) {
        for (i, count) in out.iter_mut().enumerate() {
            let t = usize::try_from(from + i as i64).ok();
            *count = t.and_then(|t| self.0.get(t)).copied().unwrap_or(0);
        }
    }

    fn is_silent(&self, from: i64, to: i64) -> bool {
        (from.max(0)..to).all(|t| self.0.get(t as usize).is_none_or(|count| *count == 0))
    }

    fn has_count_before(&self, t: u32) -> bool {
        !self.is_silent(0, i64::from(t))
    }
}

/// A rate a minute, unevenly spread, for so many days.
fn usual(rate: f64, days: usize) -> Vec<u64> {
    let mut carried = 0.0;
    let mut dice = 12_345_u64;
    (0..days * 1440)
        .map(|_| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let uniform = (dice >> 11) as f64 / (1u64 << 53) as f64;
            carried += rate * (0.6 + 0.8 * uniform);
            let count = carried.floor();
            carried -= count;
            count as u64
        })
        .collect()
}

/// The Starts of one series, with their buckets.
fn starts(counts: &[u64], settings: &DetectSettings) -> Vec<(usize, Direction, Explanation)> {
    let tuning = Tuning::new(settings);
    let threshold = tuning.fixed_z.expect("the profile or the test fixes z");
    let ctx = Context {
        tuning: &tuning,
        origin_hour: ORIGIN_HOUR,
        needed: Needed::both(threshold),
        withholds_drops: false,
        calendar: None,
    };
    let history = Counts(counts.to_vec());
    let mut state = SeriesState::silent();
    let mut starts = Vec::new();
    let mut visit = 0;
    for (t, count) in counts.iter().enumerate() {
        if *count == 0 && t < visit {
            continue;
        }
        let judged = state.minute(t as u32, *count, &ctx, &history);
        visit = state.next_visit(&ctx) as usize;
        if let Some(Change::Start {
            direction,
            explanation,
            ..
        }) = judged.change
        {
            starts.push((t, direction, explanation));
        }
    }
    starts
}

/// The rows of the reference (cloudtrail-insights, 2.3): calls a minute before, and the minutes of
/// what AWS reported.
#[test]
fn compat_fires_on_every_documented_sample() {
    let rows: [(f64, &[u64]); 8] = [
        (0.0, &[2]),
        (0.0, &[1, 1, 2, 1, 1]),
        (0.000_088_214_5, &[1, 0, 1, 0, 1]),
        (0.0017, &[18]),
        (0.0442, &[3, 3, 3, 3, 3]),
        (0.001_785_714_3, &[4]),
        (1.756, &[50]),
        (85.42, &[664]),
    ];
    let settings = DetectSettings {
        profile: Profile::Compat,
        ..Default::default()
    };
    for (rate, surge) in rows {
        let mut counts = usual(rate, 10);
        let from = counts.len();
        counts.extend(surge);
        let starts = starts(&counts, &settings);
        let (at, direction, _) = starts.last().expect("a Start");
        assert!(
            *at >= from && *direction == Direction::Up,
            "baseline {rate}: {starts:#?}"
        );
        // Busy series may have fired before: the profile is that loose.
        assert!(
            starts.len() == 1 || rate > 10.0,
            "baseline {rate}: {starts:#?}"
        );
    }
}

/// A single first call is not worth a word, not even to the compat profile.
#[test]
fn compat_does_not_fire_on_one_call() {
    let settings = DetectSettings {
        profile: Profile::Compat,
        ..Default::default()
    };
    let mut counts = usual(0.0, 10);
    counts.push(1);
    assert!(starts(&counts, &settings).is_empty());
}

/// Windows of 30, 60 and 240 minutes: a level that doubles for two hours is enough.
#[test]
fn watch_fires_on_five_minute_buckets() {
    let settings = DetectSettings {
        profile: Profile::Watch,
        bucket_minutes: Profile::Watch.bucket_minutes(),
        ..Default::default()
    };
    let mut counts = usual(100.0, 5)[..5 * 288].to_vec();
    for count in &mut counts[4 * 288..4 * 288 + 24] {
        *count *= 2;
    }
    let starts = starts(&counts, &settings);
    assert_eq!(starts.len(), 1, "{starts:#?}");
    assert!((4 * 288..4 * 288 + 6).contains(&starts[0].0), "{starts:#?}");
    assert!([30, 60, 240].contains(&starts[0].2.window_minutes));
}

/// Five minutes at twice the usual are lost in half an hour, which is the least that `watch` judges.
#[test]
fn watch_is_silent_on_one_bucket() {
    let settings = DetectSettings {
        profile: Profile::Watch,
        bucket_minutes: 5,
        ..Default::default()
    };
    let mut counts = usual(100.0, 5)[..5 * 288].to_vec();
    counts[4 * 288] *= 2;
    let starts = starts(&counts, &settings);
    assert!(starts.is_empty(), "{starts:#?}");
}

/// What the explanation says would have been enough is enough, and one call less is not.
#[test]
fn the_count_to_fire_fires() {
    let settings = DetectSettings {
        fixed_z: Some(6.0),
        ..Default::default()
    };
    for (rate, surge) in [(20.0, 150), (0.0, 30), (0.5, 40), (300.0, 2000)] {
        let mut counts = usual(rate, 9);
        let at = counts.len();
        counts.push(surge);
        let first = starts(&counts, &settings);
        let explanation = &first.last().expect("a Start").2;
        assert_eq!(
            explanation.observed, surge as f64,
            "the window is that one minute"
        );
        assert_eq!(explanation.z_threshold, 6.0);
        assert!(explanation.expected_low <= explanation.expected);
        assert!(explanation.expected <= explanation.expected_high.max(1.0));
        let enough = explanation.count_to_fire.expect("fewer calls would do");
        assert!(
            enough > 1 && enough < surge,
            "rate {rate}: {enough} of {surge}"
        );
        for (count, fires) in [(enough, true), (enough - 1, false)] {
            counts[at] = count;
            assert_eq!(
                !starts(&counts, &settings).is_empty(),
                fires,
                "rate {rate}: {count}"
            );
        }
    }
}

/// A drop names the most calls at which it would still have fired.
#[test]
fn a_drop_has_a_count_to_fire_above_what_came() {
    let settings = DetectSettings {
        fixed_z: Some(6.0),
        ..Default::default()
    };
    let mut counts = usual(20.0, 9);
    counts.extend([0; 20]);
    let starts = starts(&counts, &settings);
    let (_, direction, explanation) = starts.last().expect("a Start");
    assert_eq!(*direction, Direction::Down);
    let enough = explanation.count_to_fire.expect("more calls would do") as f64;
    assert!(
        (explanation.observed..explanation.expected).contains(&enough),
        "{explanation:?}"
    );
}

/// Bytes of a series, struct and heap: the figures that capacity planning rests on.
#[test]
fn states_stay_small() {
    let tuning = Tuning::new(&DetectSettings::default());
    let ctx = Context {
        tuning: &tuning,
        origin_hour: ORIGIN_HOUR,
        needed: Needed::both(6.0),
        withholds_drops: false,
        calendar: None,
    };
    for (rate, bytes_max) in [(0.0, 450), (0.005, 1080), (20.0, 2800)] {
        let history = Counts(usual(rate, 20));
        let mut state = SeriesState::silent();
        let mut largest = 0;
        for (t, count) in history.0.iter().enumerate() {
            if *count > 0 || t as u32 >= state.next_visit(&ctx) {
                state.minute(t as u32, *count, &ctx, &history);
            }
            // An hour after its last count a sparse series is as small as it gets.
            if rate > 1.0 || state.now() + 64 < t as u32 {
                state.skip_to(t as u32, &ctx);
                largest = largest.max(size_of::<SeriesState>() + state.heap_bytes());
            }
        }
        assert!(largest <= bytes_max, "rate {rate}: {largest} bytes");
    }
}
