//! Stories against a plain grouping that sees all Starts at once, and at their bounds.

use proptest::prelude::*;

use super::{LargestStories, Stories, Story, StorySettings};
use crate::model::{Edge, InsightEvent};

/// (account, decided at) of a Start; the first unusual minute is two before.
fn start(account: u32, at: u32) -> InsightEvent {
    let key = format!("{account},r,s,n{at},ApiCallRateInsight,");
    InsightEvent::sample(&key, Edge::Start, at - 2, at)
}

fn group(settings: StorySettings, events: &[InsightEvent]) -> (Stories, Vec<Story>) {
    let mut stories = Stories::new(settings);
    let mut ended = Vec::new();
    for event in events {
        stories.take(std::slice::from_ref(event), &mut ended);
    }
    stories.finish(&mut ended);
    (stories, ended)
}

/// Stories as `account first-last xSTARTS`.
fn check(settings: StorySettings, starts: &[(u32, u32)], expected: &[&str]) {
    let events: Vec<InsightEvent> = starts.iter().map(|(one, at)| start(*one, *at)).collect();
    let (_, ended) = group(settings, &events);
    let shown: Vec<String> = ended
        .iter()
        .map(|story| {
            let (first, last) = (story.first_decided_at.0, story.last_decided_at.0);
            format!("{} {first}-{last} x{}", story.account, story.starts)
        })
        .collect();
    assert_eq!(shown, expected);
}

#[test]
fn the_span_counts_from_the_first_start() {
    let starts = [
        (1, 10),
        (1, 15),
        (2, 16),
        (1, 19),
        (1, 20),
        (2, 25),
        (1, 29),
    ];
    check(
        StorySettings::default(),
        &starts,
        &["1 10-19 x3", "2 16-25 x2", "1 20-29 x2"],
    );
}

#[test]
fn too_many_open_stories_end_the_oldest() {
    let settings = StorySettings {
        open_max: 2,
        ..StorySettings::default()
    };
    let starts = [(1, 10), (2, 11), (3, 12), (1, 13)];
    check(
        settings,
        &starts,
        &["1 10-10 x1", "2 11-11 x1", "3 12-12 x1", "1 13-13 x1"],
    );
    let events: Vec<InsightEvent> = starts.iter().map(|(one, at)| start(*one, *at)).collect();
    assert_eq!(group(settings, &events).0.cut_short(), 2);
}

#[test]
fn a_long_story_counts_what_it_does_not_list() {
    let settings = StorySettings {
        insights_max: 2,
        ..StorySettings::default()
    };
    let events: Vec<InsightEvent> = (10..15).map(|at| start(1, at)).collect();
    let (stories, ended) = group(settings, &events);
    assert_eq!((stories.begun(), stories.unlisted()), (1, 3));
    let story = &ended[0];
    assert_eq!((story.starts, story.insights.len()), (5, 2));
    assert_eq!(story.main_apis(1), "s:n10 and 1 more");
    assert_eq!(story.event_time.0, 8);
}

#[test]
fn roll_ups_belong_to_the_story_of_their_account() {
    let keys = ["7,r,s,n", "7,r,s,*", "7,*,*,*"];
    let events = keys
        .map(|key| InsightEvent::sample(&format!("{key},ApiCallRateInsight,"), Edge::Start, 8, 10));
    let (stories, ended) = group(StorySettings::default(), &events);
    assert_eq!(stories.begun(), 1);
    let named = "all APIs of account 7, all APIs of s, s:n";
    assert_eq!(ended[0].main_apis(3), named);
}

#[test]
fn ends_belong_to_no_story_and_largest_come_first() {
    let end = InsightEvent::sample("1,r,s,n,ApiCallRateInsight,", Edge::End, 5, 10);
    let (stories, ended) = group(StorySettings::default(), &[end]);
    assert!(ended.is_empty() && stories.begun() == 0);
    let starts = [(1, 10), (2, 10), (2, 11), (3, 12), (3, 13)];
    let events: Vec<InsightEvent> = starts.iter().map(|(one, at)| start(*one, *at)).collect();
    let mut largest = LargestStories::new(2);
    for story in group(StorySettings::default(), &events).1 {
        largest.see(&story);
    }
    let accounts: Vec<&str> = largest.stories().iter().map(|one| &*one.account).collect();
    assert_eq!(accounts, ["2", "3"]);
}

proptest! {
    /// The plain way: for each account by itself, cut its sorted Starts into stories.
    #[test]
    fn stories_are_those_of_each_account_by_itself(
        steps in proptest::collection::vec((0u32..4, 0u32..7), 1..80),
        within in 1u32..15,
        cut in 1usize..80,
    ) {
        let mut at = 100;
        let mut events = Vec::new();
        for (account, step) in &steps {
            at += step;
            events.push(start(*account, at));
        }
        let mut expected = Vec::new();
        for account in 0..4u32 {
            let mut first = None;
            for (_, event) in events.iter().enumerate().filter(|(index, _)| {
                steps[*index].0 == account
            }) {
                let at = event.decided_at.0;
                match first {
                    Some(begun) if at < begun + within => {
                        let story: &mut (u32, u32, u64) = expected.last_mut().unwrap();
                        story.2 += 1;
                    }
                    _ => {
                        first = Some(at);
                        expected.push((account, at, 1u64));
                    }
                }
            }
        }
        let settings = StorySettings { within, ..StorySettings::default() };
        let mut stories = Stories::new(settings);
        let mut ended = Vec::new();
        let cut = cut.min(events.len());
        stories.take(&events[..cut], &mut ended);
        stories.take(&events[cut..], &mut ended);
        prop_assert_eq!(stories.begun(), expected.len() as u64);
        stories.finish(&mut ended);
        let firsts: Vec<u32> = ended.iter().map(|one| one.first_decided_at.0).collect();
        let in_order = firsts.is_sorted();
        prop_assert!(in_order);
        let mut shown: Vec<(u32, u32, u64)> = ended
            .iter()
            .map(|one| (one.account.parse().unwrap(), one.first_decided_at.0, one.starts))
            .collect();
        shown.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(shown, expected);
    }
}
