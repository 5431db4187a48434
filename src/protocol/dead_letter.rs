//! A message, or a record in one, that could not be used.

/// Reason of an event too far after its message's timestamp.
pub const REJECT_FUTURE: &str = "future";

/// What goes to the dead-letter topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    pub topic: String,
    pub partition: u32,
    pub offset: u64,
    /// Why, as a name from a closed set.
    pub reason: &'static str,
    /// Why, for people.
    pub detail: String,
    /// The record as read, cut to `limits.reject_bytes_max`.
    pub record: Vec<u8>,
}
