//! What detect hands on: insights in their order, and score rows when they are asked for.
//!
//! Identifiers are derived from what they name, so a repeated emission is recognised anywhere.

use uuid::Uuid;

use crate::model::{Direction, Edge, InsightEvent, Minute, ScoreRow, SeriesRef};

/// Namespace of all identifiers, drawn once at random and fixed for ever.
pub const NAMESPACE: Uuid = Uuid::from_u128(0x6f1c_2a5e_8d43_4b7a_9e05_c3b8_71d2_46fa);

/// What an engine has decided since the caller last emptied this.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// In the order (decided at, series key, End before Start).
    pub insights: Vec<InsightEvent>,
    /// One row for each judged (series, minute) with a count or a surprise, by time, then series;
    /// `None` when nobody wants them.
    pub scores: Option<Vec<ScoreRow>>,
}

impl Output {
    /// An output that collects score rows too.
    pub fn with_scores() -> Self {
        Output {
            insights: Vec::new(),
            scores: Some(Vec::new()),
        }
    }
}

/// Identifier of a pair: UUIDv5 of its series, direction and the minute its Start was decided.
///
/// The name is the six parts of the key and the direction, each as `LENGTH:TEXT`, then the minute
/// since the epoch in decimal.
pub fn shared_event_id(series: SeriesRef<'_>, direction: Direction, decided_at: Minute) -> Uuid {
    let parts = [
        series.account,
        series.region,
        series.event_source,
        series.event_name,
        series.insight_type.name(),
        series.error_code,
        direction.name(),
    ];
    let mut name = String::new();
    for part in parts {
        name.push_str(&part.len().to_string());
        name.push(':');
        name.push_str(part);
    }
    name.push_str(&decided_at.0.to_string());
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// Identifier of a record: UUIDv5 of its edge in the namespace of its pair.
pub fn event_id(shared_event_id: Uuid, edge: Edge) -> Uuid {
    let edge: &[u8] = match edge {
        Edge::Start => b"Start",
        Edge::End => b"End",
    };
    Uuid::new_v5(&shared_event_id, edge)
}
