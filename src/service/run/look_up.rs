//! Which sources there are: what brokers say of the input topics, and what is committed of sources
//! that are not among them.

use std::collections::{BTreeMap, BTreeSet};

use super::clients::explain;
use super::complaints::Complaints;
use crate::protocol::{Coordination, Sighting, SourceName};
use crate::source::kafka::{Committed, GroupConsumer, Place, is_unknown_topic};

/// What brokers said of the input topics.
pub struct LookUp {
    /// Partitions of topics that are there.
    pub found: BTreeSet<SourceName>,
    /// Topics of which they did not say whether they are there.
    unanswered: BTreeSet<String>,
}

impl LookUp {
    pub fn new(client: &GroupConsumer, topics: &[String], complaints: &mut Complaints) -> Self {
        let mut look = LookUp {
            found: BTreeSet::new(),
            unanswered: BTreeSet::new(),
        };
        for topic in topics {
            match client.partitions(topic) {
                Ok(partitions) => {
                    look.found
                        .extend(partitions.into_iter().map(|partition| SourceName {
                            topic: topic.clone(),
                            partition,
                        }));
                }
                Err(error) => {
                    if !is_unknown_topic(&error) {
                        look.unanswered.insert(topic.clone());
                    }
                    complaints.warn(&explain(&format!("topic {topic}"), &error, None));
                }
            }
        }
        look
    }

    /// What this shows of all sources that time waits for. `client` asks for committed offsets as
    /// the group that reads the input topics.
    pub fn sightings(
        &self,
        client: &GroupConsumer,
        coordination: &Coordination,
        complaints: &mut Complaints,
    ) -> impl Fn(&SourceName) -> Sighting {
        let absent = coordination
            .sources()
            .filter(|name| !self.found.contains(name) && !self.unanswered.contains(&name.topic));
        let mut by_topic: BTreeMap<&str, Vec<Place>> = BTreeMap::new();
        for name in absent {
            let places = by_topic.entry(&name.topic).or_default();
            places.push((name.topic.clone(), name.partition));
        }
        let mut committed: BTreeMap<Place, Committed> = BTreeMap::new();
        for (topic, places) in by_topic {
            match client.committed(&places) {
                Ok(found) => committed.extend(found),
                // Nothing is known of them, and time waits on.
                Err(error) => {
                    let doing = format!("whether topic {topic} is still read");
                    complaints.warn(&explain(&doing, &error, None));
                }
            }
        }
        move |name| {
            if self.found.contains(name) {
                return Sighting::Present;
            }
            let committed = committed.get(&(name.topic.clone(), name.partition));
            committed.map_or(Sighting::Unknown, |committed| Sighting::Absent {
                committed: committed.clone(),
            })
        }
    }
}
