//! What is stored beside a committed offset: text that people can read in any Kafka tool.
//!
//! `v1;name=value;...` with less than 256 bytes. Absent or unknown metadata means that nothing is
//! known; some brokers lose it.

use std::fmt;

use crate::model::EventTime;

/// Beside an offset of an input topic: what the next owner needs to go on counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IngestMetadata {
    pub watermark: EventTime,
    /// Highest event time so far.
    pub highest: Option<EventTime>,
    /// Offset from which events may still be met again within the deduplication horizon.
    pub dedup_from: u64,
}

/// Beside an offset of the rates log: the detector's state when it had applied all before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DetectMetadata {
    pub logic_version: u32,
    pub digest: u64,
    /// The engine had begun before its log began, so that nobody can make this state again.
    pub is_rebuilt: bool,
}

impl fmt::Display for IngestMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let watermark = self.watermark.seconds();
        write!(f, "v1;wm={watermark};dedup={}", self.dedup_from)?;
        match self.highest {
            Some(highest) => write!(f, ";high={}", highest.seconds()),
            None => Ok(()),
        }
    }
}

impl fmt::Display for DetectMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "v1;logic={};digest={:016x}",
            self.logic_version, self.digest
        )?;
        if self.is_rebuilt {
            f.write_str(";rebuilt=1")?;
        }
        Ok(())
    }
}

impl IngestMetadata {
    pub fn parse(text: &str) -> Option<Self> {
        let time = |name| {
            let seconds = field(text, name)?.parse().ok()?;
            EventTime::from_seconds(seconds)
        };
        Some(IngestMetadata {
            watermark: time("wm")?,
            highest: time("high"),
            dedup_from: field(text, "dedup")?.parse().ok()?,
        })
    }
}

impl DetectMetadata {
    pub fn parse(text: &str) -> Option<Self> {
        Some(DetectMetadata {
            logic_version: field(text, "logic")?.parse().ok()?,
            digest: u64::from_str_radix(field(text, "digest")?, 16).ok()?,
            is_rebuilt: field(text, "rebuilt") == Some("1"),
        })
    }
}

/// The value of a field of metadata of version 1.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let fields = text.strip_prefix("v1;")?;
    fields
        .split(';')
        .filter_map(|field| field.split_once('='))
        .find(|(other, _)| *other == name)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_comes_back() {
        let time = |seconds| EventTime::from_seconds(seconds).unwrap();
        for highest in [None, Some(time(1_700_000_060))] {
            let metadata = IngestMetadata {
                watermark: time(1_700_000_000),
                highest,
                dedup_from: 17,
            };
            assert_eq!(IngestMetadata::parse(&metadata.to_string()), Some(metadata));
        }
        for is_rebuilt in [false, true] {
            let metadata = DetectMetadata {
                logic_version: 2,
                digest: 0xfe,
                is_rebuilt,
            };
            assert_eq!(DetectMetadata::parse(&metadata.to_string()), Some(metadata));
        }
        for foreign in ["", "v2;wm=1;dedup=1", "v1;wm=x;dedup=1", "v1;dedup=1", "42"] {
            assert_eq!(IngestMetadata::parse(foreign), None, "{foreign}");
            assert_eq!(DetectMetadata::parse(foreign), None, "{foreign}");
        }
    }
}
