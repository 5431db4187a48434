//! Insights records: written to the byte as CloudTrail does, and in words.

use uuid::Uuid;

use super::*;
use crate::formats::InsightRecord;
use crate::model::{Direction, EventTime, Explanation, IncidentKind, Minute, SeriesKey};

fn minute(text: &str) -> Minute {
    EventTime::parse(text).unwrap().minute()
}

fn attribution(dimension: Dimension, value: &str, count: u64) -> Attribution {
    Attribution {
        dimension,
        insight: vec![AttributionValue {
            value: value.into(),
            count,
        }],
        baseline: Vec::new(),
    }
}

/// Pair A of the reference, section 1.4: the newest form that AWS has documented.
fn pair_a(edge: Edge) -> InsightEvent {
    let agent = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 \
                 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";
    let (minute_text, id, insight_minutes) = match edge {
        Edge::Start => (
            "2024-12-11T16:52:00Z",
            "18378b1e-3653-433d-ba1e-aa11a5958f0c",
            5,
        ),
        Edge::End => (
            "2024-12-11T16:53:00Z",
            "b32f10a0-f039-419a-bad7-e95468930a4f",
            1,
        ),
    };
    InsightEvent {
        series: SeriesKey::parse(
            "888888888888,us-east-1,cloudtrail.amazonaws.com,DescribeQuery,ApiErrorRateInsight,\
             QueryIdNotFoundException",
        )
        .unwrap(),
        category: SourceCategory::Management,
        edge,
        direction: Direction::Up,
        shared_event_id: Uuid::parse_str("fccb064f-dd07-4822-97c0-11115d8b91d4").unwrap(),
        event_id: Uuid::parse_str(id).unwrap(),
        minute: minute(minute_text),
        decided_at: minute("2024-12-11T16:56:00Z"),
        start_decided_at: minute("2024-12-11T16:56:00Z"),
        baseline_count: 0,
        baseline_minutes: 11_092,
        insight_count: 6,
        insight_minutes,
        attributions: vec![
            attribution(
                Dimension::UserIdentityArn,
                "arn:aws:sts::888888888888:assumed-role/Admin",
                6,
            ),
            attribution(Dimension::UserAgent, agent, 6),
        ],
        attribution_truncated: 0,
        continues: None,
        reason: (edge == Edge::End).then_some(EndReason::Calm),
        explanation: Explanation {
            kind: IncidentKind::Minutes,
            window_minutes: 5,
            observed: 6.0,
            expected: 0.00025,
            expected_low: 0.0,
            expected_high: 0.0,
            surprise_raw: 20.5,
            surprise: 19.123_456,
            z: 8.25,
            z_threshold: 4.5,
            budget_per_week: Some(1.0),
            budget_scope: None,
            expected_per_week: Some(0.000_012),
            closest: Innocent::Baseline,
            count_to_fire: Some(3),
        },
    }
}

fn write(event: &InsightEvent, include_extension: bool) -> String {
    let context = RecordContext {
        engine_version: "0.1.0".to_string(),
        settings_hash: "abc".to_string(),
        include_extension,
    };
    let mut out = Vec::new();
    write_insight(event, &context, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn the_documented_pair_is_written_to_the_byte() {
    let want = include_str!("testdata/documented_start.json");
    assert_eq!(write(&pair_a(Edge::Start), false), want);
    let end = want
        .replace("Start", "End")
        .replace("16:52", "16:53")
        .replace(
            "18378b1e-3653-433d-ba1e-aa11a5958f0c",
            "b32f10a0-f039-419a-bad7-e95468930a4f",
        )
        .replace("1.2}", "6}")
        .replace(r#""insightDuration":5"#, r#""insightDuration":1"#);
    assert_eq!(write(&pair_a(Edge::End), false), end);
}

#[test]
fn what_we_add_stands_under_one_key_behind() {
    let plain = write(&pair_a(Edge::Start), false);
    let full = write(&pair_a(Edge::Start), true);
    assert!(full.starts_with(plain.trim_end().strip_suffix('}').unwrap()));
    let record: InsightRecord = serde_json::from_str(&full).unwrap();
    let extension = serde_json::Value::Object(record.insightd.clone().unwrap());
    assert_eq!(extension["decidedAt"], "2024-12-11T16:56:00Z");
    assert_eq!(extension["surprise"], 19.1235);
    assert_eq!(extension["countToFire"], 3);
    assert!(extension.get("continues").is_none());
    assert_eq!(
        serde_json::to_value(&record).unwrap(),
        serde_json::from_str::<serde_json::Value>(&full).unwrap()
    );
}

/// Whose budget it was stands beside the budget, in the object and in the sentence.
#[test]
fn a_record_says_which_scope_allowed_it() {
    let mut event = pair_a(Edge::Start);
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let record = parse(&write(&event, true));
    assert!(record["insightd"].get("budgetScope").is_none());
    event.explanation.budget_scope = Some("account=1*,direction=up".into());
    let record = parse(&write(&event, true));
    assert_eq!(record["insightd"]["budgetScope"], "account=1*,direction=up");
    let words = sentence(&event);
    let part = "you accept 1 false ones of account=1*,direction=up.";
    assert!(words.contains(part), "{words}");
}

#[test]
fn numbers_that_json_cannot_hold_are_left_out() {
    let mut event = pair_a(Edge::Start);
    event.explanation.z = f64::INFINITY;
    event.explanation.budget_per_week = None;
    event.series.event_name = "a\"\\\n\u{1}é".into();
    let record: serde_json::Value = serde_json::from_str(&write(&event, true)).unwrap();
    assert!(record["insightd"].get("z").is_none());
    assert!(record["insightd"].get("budgetPerWeek").is_none());
    assert_eq!(record["insightDetails"]["eventName"], "a\"\\\n\u{1}é");
}

#[test]
fn an_insight_in_words() {
    assert_eq!(
        sentence(&pair_a(Edge::Start)),
        "DescribeQuery (cloudtrail.amazonaws.com) failed with QueryIdNotFoundException 1.2 times a \
         minute over the last 5 minutes, where hardly any are usual. At the usual rate the chance \
         of this is about 1 in 10^19. Judging by how often this and the other series surprise, \
         less than 0.01 as strong come in a week, true ones included; you accept 1 false ones. \
         arn:aws:sts::888888888888:assumed-role/Admin made 100 % of it. Neither a shift by some \
         minutes, nor the time of day, nor an earlier episode explains it. Below 3 in those 5 \
         minutes it would have stayed silent."
    );
}

#[test]
fn a_drop_and_its_end_in_words() {
    let mut event = pair_a(Edge::Start);
    event.series = SeriesKey::parse("1,r,s3.amazonaws.com,PutObject,ApiCallRateInsight,").unwrap();
    event.direction = Direction::Down;
    event.explanation = Explanation {
        kind: IncidentKind::Minutes,
        window_minutes: 10,
        observed: 0.0,
        expected: 200.0,
        expected_low: 171.0,
        expected_high: 229.0,
        surprise: 4.5,
        budget_per_week: None,
        budget_scope: None,
        expected_per_week: None,
        closest: Innocent::SamePhase,
        count_to_fire: Some(41),
        ..event.explanation
    };
    assert_eq!(
        sentence(&event),
        "PutObject (s3.amazonaws.com) was called 0 times a minute over the last 10 minutes, where \
         20 is usual (17.1 to 22.9 at this hour). At the usual rate the chance of this is about 1 \
         in 30,000. What happens at this time on other days comes closest to explaining it, and \
         is not enough. Above 41 in those 10 minutes it would have stayed silent."
    );
    event.edge = Edge::End;
    event.insight_count = 3;
    event.insight_minutes = 12;
    event.reason = Some(EndReason::Calm);
    assert_eq!(
        sentence(&event),
        "Back to usual at 2024-12-11T16:52:00Z: PutObject (s3.amazonaws.com) was called 0.25 \
         times a minute for 12 minutes, where 20 is usual (17.1 to 22.9 at this hour)."
    );
    event.reason = Some(EndReason::NewNormal);
    event.insight_minutes = 1440;
    event.insight_count = 0;
    assert_eq!(
        sentence(&event),
        "PutObject (s3.amazonaws.com) was called 0 times a minute for 24 hours, where 20 is usual \
         (17.1 to 22.9 at this hour) before. It has lasted so long that it counts as usual from \
         now on."
    );
    event.reason = Some(EndReason::Calm);
    event.insight_minutes = 1;
    event.insight_count = 1;
    assert_eq!(
        sentence(&event),
        "Back to usual at 2024-12-11T16:52:00Z: PutObject (s3.amazonaws.com) was called once a \
         minute for one minute, where 20 is usual (17.1 to 22.9 at this hour)."
    );
}

#[test]
fn roll_ups_are_said_in_words_and_written_as_stars() {
    let mut event = pair_a(Edge::Start);
    let mut check = |key: &str, subject: &str| {
        event.series = SeriesKey::parse(key).unwrap();
        let sentence = sentence(&event);
        assert!(sentence.starts_with(subject), "{sentence}");
        let record = write(&event, true);
        assert!(record.contains("\"eventName\":\"*\""), "{record}");
    };
    check(
        "1,us-east-1,s3.amazonaws.com,*,ApiCallRateInsight,",
        "All APIs of s3.amazonaws.com together were called 1.2 times a minute",
    );
    check(
        "1,*,*,*,ApiErrorRateInsight,AccessDenied",
        "All APIs of account 1 together failed with AccessDenied 1.2 times a minute",
    );
}
