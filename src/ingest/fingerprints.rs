//! Fingerprints of event ids and attribution values; they never leave this room.
//!
//! SipHash-1-3 as for series, with keys of their own. Callers influence the text, so the hash
//! has to be one for which nobody knows how to make two texts meet.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};

/// Names (account, event id), which is what makes two records one event.
pub(super) fn event_id_fingerprint(account: &str, event_id: &str) -> u128 {
    let mut hasher = SipHasher13::new_with_keys(0x696e_7369_6768_7464, 0x6576_656e_7469_6473);
    hasher.write_u32(account.len() as u32);
    hasher.write(account.as_bytes());
    hasher.write(event_id.as_bytes());
    hasher.finish128().as_u128()
}

/// Names an attribution value.
pub(super) fn value_fingerprint(text: &str) -> u128 {
    SipHasher13::new_with_keys(0x696e_7369_6768_7464, 0x7661_6c75_6573_3031)
        .hash(text.as_bytes())
        .as_u128()
}
