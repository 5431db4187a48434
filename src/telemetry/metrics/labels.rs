//! The closed sets of values that metrics are labelled by.
//!
//! A family of metrics is made for one of these types and takes no other, so that a wrong label
//! cannot be written, and every value can be shown as 0 from the start.

use crate::model::{Edge, InsightType};

/// Label values of one metric: an enum, or two of them.
pub trait Labels: Copy + Send + Sync + 'static {
    /// How many there are.
    const COUNT: usize;

    /// Names of the labels.
    fn names() -> Vec<&'static str>;

    /// Everything there is, in the order of [`Self::index`].
    fn all() -> Vec<Self>;

    /// Place among all, below [`Self::COUNT`].
    fn index(self) -> usize;

    /// One value for each name.
    fn values(self) -> Vec<&'static str>;
}

impl Labels for () {
    const COUNT: usize = 1;

    fn names() -> Vec<&'static str> {
        Vec::new()
    }

    fn all() -> Vec<Self> {
        vec![()]
    }

    fn index(self) -> usize {
        0
    }

    fn values(self) -> Vec<&'static str> {
        Vec::new()
    }
}

impl<A: Labels, B: Labels> Labels for (A, B) {
    const COUNT: usize = A::COUNT * B::COUNT;

    fn names() -> Vec<&'static str> {
        [A::names(), B::names()].concat()
    }

    fn all() -> Vec<Self> {
        let firsts = A::all().into_iter();
        firsts
            .flat_map(|first| B::all().into_iter().map(move |second| (first, second)))
            .collect()
    }

    fn index(self) -> usize {
        self.0.index() * B::COUNT + self.1.index()
    }

    fn values(self) -> Vec<&'static str> {
        [self.0.values(), self.1.values()].concat()
    }
}

/// Labels of a type that has other purposes too: all variants, in the order of their declaration.
macro_rules! label_values {
    ($type:ident, $label:literal: $($variant:ident => $value:literal),+ $(,)?) => {
        impl Labels for $type {
            const COUNT: usize = [$($value),+].len();

            fn names() -> Vec<&'static str> {
                vec![$label]
            }

            fn all() -> Vec<Self> {
                vec![$($type::$variant),+]
            }

            fn index(self) -> usize {
                self as usize
            }

            fn values(self) -> Vec<&'static str> {
                match self { $($type::$variant => vec![$value],)+ }
            }
        }
    };
}

/// A type that has nothing but its labels.
macro_rules! labels {
    ($($(#[$outer:meta])* $type:ident, $label:literal {
        $($(#[$inner:meta])* $variant:ident => $value:literal,)+
    })+) => {$(
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $type { $($(#[$inner])* $variant,)+ }

        impl $type {
            pub fn name(self) -> &'static str {
                match self { $($type::$variant => $value,)+ }
            }
        }

        label_values!($type, $label: $($variant => $value),+);
    )+};
}

labels! {
    /// One of the two stages of the service.
    Stage, "stage" {
        Ingest => "ingest",
        Detect => "detect",
    }

    /// What became of a dead letter.
    DeadLetterOutcome, "outcome" {
        Sent => "sent",
        /// A limit was reached, or the topic does not take it.
        Dropped => "dropped",
    }

    /// What became of a request for a mute or feedback.
    RequestOutcome, "outcome" {
        Known => "known",
        /// A limit was reached.
        Refused => "refused",
        Unreadable => "unreadable",
    }

    /// What an input partition does.
    SourceActivity, "state" {
        Active => "active",
        /// Empty up to its end, so that time need not wait for it.
        IdleProven => "idle_proven",
        /// There is more, and it cannot be read.
        Blocked => "blocked",
    }

    /// A change of assignment.
    RebalanceKind, "kind" {
        Assign => "assign",
        Revoke => "revoke",
        /// Taken away without being asked.
        Lost => "lost",
    }

    /// How a transaction ended.
    TransactionOutcome, "outcome" {
        Committed => "committed",
        Aborted => "aborted",
        /// Another instance has taken over.
        Fenced => "fenced",
    }

    /// Why a checkpoint is not there.
    CheckpointFailure, "kind" {
        /// The store did not take it or give it.
        Store => "store",
        /// What was read is damaged.
        Corrupt => "corrupt",
    }

    /// What a series is to the detector.
    SeriesState, "state" {
        Tracked => "tracked",
        /// Tracked, and counted in the window.
        Live => "live",
    }
}

label_values!(InsightType, "kind": ApiCallRate => "call_rate", ApiErrorRate => "error_rate");
label_values!(Edge, "edge": End => "end", Start => "start");

#[cfg(test)]
mod tests {
    use super::*;

    fn check<L: Labels>(names: &[&str], values: &[&[&str]]) {
        let all = L::all();
        assert_eq!(L::names(), names);
        assert_eq!(all.len(), L::COUNT);
        for (place, label) in all.iter().enumerate() {
            assert_eq!(label.index(), place);
            assert_eq!(label.values(), values[place]);
        }
    }

    #[test]
    fn labels_know_their_places() {
        check::<()>(&[], &[&[]]);
        check::<Stage>(&["stage"], &[&["ingest"], &["detect"]]);
        check::<Edge>(&["edge"], &[&["end"], &["start"]]);
        check::<InsightType>(&["kind"], &[&["call_rate"], &["error_rate"]]);
        check::<(Stage, RebalanceKind)>(
            &["stage", "kind"],
            &[
                &["ingest", "assign"],
                &["ingest", "revoke"],
                &["ingest", "lost"],
                &["detect", "assign"],
                &["detect", "revoke"],
                &["detect", "lost"],
            ],
        );
        assert_eq!(Stage::Detect.name(), "detect");
    }
}
