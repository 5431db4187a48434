//! What people know better than the data, as recorded events.
//!
//! Every record names who said it and why, and the event time from which it is in force, so that
//! the same input with the same knowledge says the same insights whenever it is read.

use uuid::Uuid;

use super::{InsightEvent, Minute, Scope};

/// Namespace of identifiers of recorded knowledge, drawn once at random and fixed for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x2be9_4c1d_70a6_4f0e_8b3d_5c19_e2a7_4d86);

/// One recorded event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knowledge {
    /// UUIDv5 of all the rest.
    pub id: Uuid,
    /// First minute of event time in which it is in force.
    pub from: Minute,
    pub owner: String,
    pub reason: String,
    pub what: Known,
}

/// What is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Insights of a scope are decided and not written.
    Mute {
        scope: Box<Scope>,
        /// First minute in which they are written again.
        until: Minute,
    },
    /// A mute is in force no longer.
    Unmute { mute: Uuid },
    /// What an insight was, by the identifier that its Start and End share.
    Feedback { insight: Uuid, said: Said },
}

/// What somebody says of an insight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It was an incident.
    True,
    /// It was planned or known, and the like is excused until a minute.
    Expected { until: Minute },
    /// It was chance.
    False,
    /// It is how things are from now on.
    NewNormal,
}

impl Said {
    /// The word in records and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Said::True => "true",
            Said::Expected { .. } => "expected",
            Said::False => "false",
            Said::NewNormal => "new-normal",
        }
    }
}

impl Knowledge {
    /// A record with the identifier that follows from its content.
    pub fn new(from: Minute, owner: &str, reason: &str, what: Known) -> Self {
        let mut parts = vec![owner.to_string(), reason.to_string(), from.0.to_string()];
        match &what {
            Known::Mute { scope, until } => {
                parts.extend(["mute".to_string(), until.0.to_string()]);
                let patterns = scope.patterns().into_iter();
                parts.extend(
                    patterns.map(|one| one.map_or("any".to_string(), |one| format!("={one}"))),
                );
                parts.extend(scope.direction.map(|one| one.name().to_string()));
            }
            Known::Unmute { mute } => parts.extend(["unmute".to_string(), mute.to_string()]),
            Known::Feedback { insight, said } => {
                let until = match said {
                    Said::Expected { until } => until.0,
                    _ => 0,
                };
                parts.extend(["feedback".to_string(), insight.to_string()]);
                parts.extend([said.name().to_string(), until.to_string()]);
            }
        }
        // Lengths keep what one part ends with from what the next begins with.
        let named = parts.iter().map(|part| format!("{}:{part}", part.len()));
        let name: String = named.collect();
        Knowledge {
            id: Uuid::new_v5(&NAMESPACE, name.as_bytes()),
            from,
            owner: owner.to_string(),
            reason: reason.to_string(),
            what,
        }
    }
}

/// How much may be known; what is over it is refused, and never taken in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnowledgeLimits {
    /// Of all records as lines.
    pub bytes_max: u64,
    pub records_max: usize,
}

/// A mute with the span that is left of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mute {
    pub id: Uuid,
    pub scope: Scope,
    pub from: Minute,
    /// First minute in which it is in force no longer, by expiry or removal.
    pub until: Minute,
    pub owner: String,
    pub reason: String,
}

impl Mute {
    /// The mutes among what is known, in the order in which they were recorded.
    pub fn all(knowledge: &[Knowledge]) -> Vec<Mute> {
        let mut mutes: Vec<Mute> = Vec::new();
        for one in knowledge {
            match &one.what {
                Known::Mute { scope, until } => mutes.push(Mute {
                    id: one.id,
                    scope: scope.as_ref().clone(),
                    from: one.from,
                    until: *until,
                    owner: one.owner.clone(),
                    reason: one.reason.clone(),
                }),
                Known::Unmute { mute } => {
                    for other in mutes.iter_mut().filter(|other| other.id == *mute) {
                        other.until = other.until.min(one.from.max(other.from));
                    }
                }
                Known::Feedback { .. } => {}
            }
        }
        mutes
    }

    /// Whether it hides an insight: Start and End both go by when the Start was decided.
    pub fn hides(&self, event: &InsightEvent) -> bool {
        (self.from..self.until).contains(&event.start_decided_at)
            && self.scope.matches(event.series.as_ref(), event.direction)
    }
}

/// What is said of an insight, as the detector takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feedback {
    pub id: u128,
    /// Shared event id.
    pub insight: u128,
    /// First minute in which it is in force.
    pub from: Minute,
    pub said: Said,
}

impl Feedback {
    /// The feedback among what is known, in the order in which it was recorded.
    pub fn all(knowledge: &[Knowledge]) -> Vec<Feedback> {
        knowledge.iter().filter_map(Feedback::of).collect()
    }

    /// What a record says as feedback, if it is some.
    pub fn of(record: &Knowledge) -> Option<Feedback> {
        let Known::Feedback { insight, said } = &record.what else {
            return None;
        };
        Some(Feedback {
            id: record.id.as_u128(),
            insight: insight.as_u128(),
            from: record.from,
            said: *said,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two mutes once had one name where a pattern held what separates patterns in a scope's name.
    #[test]
    fn what_differs_has_another_identifier() {
        let mute = |patterns| {
            let scope = Box::new(Scope::parse(patterns, None).unwrap());
            let until = Minute(9);
            Knowledge::new(Minute(1), "me", "why", Known::Mute { scope, until }).id
        };
        let one = mute([Some("1,region=x"), None, None, None, None, None]);
        let other = mute([Some("1"), Some("x"), None, None, None, None]);
        assert_ne!(one, other);
        assert_eq!(
            one,
            mute([Some("1,region=x"), None, None, None, None, None])
        );
    }
}
