//! What is counted: one series per (account, region, event source, event name, insight type
//! and, for error rates, error code), and the 128-bit fingerprint that names it between stages.

use std::fmt;
use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};

/// Number of fixed shards that series are spread over by [`SeriesRef::shard`].
pub const SHARDS: u32 = 1024;

/// Which rate a series counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InsightType {
    /// Calls per minute of one API.
    ApiCallRate,
    /// Errors per minute of one API and one error code.
    ApiErrorRate,
}

/// Category of the events behind a series. It is a property, not a part of the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceCategory {
    #[default]
    Management,
    Data,
}

/// 128-bit name of a series, the same in every process and version.
///
/// SipHash-1-3 with fixed keys over the length-prefixed parts of the key. Two different keys
/// share one with probability about n^2 / 2^129: 1.5e-27 at a million series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u128);

/// The parts of a series key, borrowed. Ordered as the textual KEY is read, left to right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesRef<'a> {
    pub account: &'a str,
    pub region: &'a str,
    pub event_source: &'a str,
    pub event_name: &'a str,
    pub insight_type: InsightType,
    /// Empty for call rates, never empty for error rates.
    pub error_code: &'a str,
}

/// The parts of a series key, owned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesKey {
    pub account: Box<str>,
    pub region: Box<str>,
    pub event_source: Box<str>,
    pub event_name: Box<str>,
    pub insight_type: InsightType,
    /// Empty for call rates, never empty for error rates.
    pub error_code: Box<str>,
}

impl InsightType {
    /// CloudTrail's name of the type.
    pub fn name(self) -> &'static str {
        match self {
            InsightType::ApiCallRate => "ApiCallRateInsight",
            InsightType::ApiErrorRate => "ApiErrorRateInsight",
        }
    }

    /// The type with this CloudTrail name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "ApiCallRateInsight" => Some(InsightType::ApiCallRate),
            "ApiErrorRateInsight" => Some(InsightType::ApiErrorRate),
            _ => None,
        }
    }
}

impl<'a> SeriesRef<'a> {
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hasher = SipHasher13::new_with_keys(0x696e_7369_6768_7464, 0x7365_7269_6573_3031);
        let insight_type = match self.insight_type {
            InsightType::ApiCallRate => 0,
            InsightType::ApiErrorRate => 1,
        };
        // One write of all bytes costs less than a write for each part: every event pays it.
        let mut bytes = [0; 256];
        if let Some(length) = self.fill(&mut bytes, insight_type) {
            hasher.write(&bytes[..length]);
        } else {
            self.write_api(&mut hasher);
            hasher.write_u8(insight_type);
            hasher.write(self.error_code.as_bytes());
        }
        Fingerprint(hasher.finish128().as_u128())
    }

    /// Writes what [`Self::fingerprint`] hashes to the front of `bytes`, if there is room.
    fn fill(&self, bytes: &mut [u8; 256], insight_type: u8) -> Option<usize> {
        let parts = [
            self.account,
            self.region,
            self.event_source,
            self.event_name,
        ];
        let mut end = 0;
        for part in parts {
            let text = end + 4;
            bytes
                .get_mut(end..text)?
                .copy_from_slice(&(part.len() as u32).to_le_bytes());
            end = text + part.len();
            bytes.get_mut(text..end)?.copy_from_slice(part.as_bytes());
        }
        *bytes.get_mut(end)? = insight_type;
        let text = end + 1;
        end = text + self.error_code.len();
        bytes
            .get_mut(text..end)?
            .copy_from_slice(self.error_code.as_bytes());
        Some(end)
    }

    /// The fixed shard, `0 .. SHARDS`, shared by the call and error series of one API.
    pub fn shard(&self) -> u32 {
        let mut hasher = SipHasher13::new_with_keys(0x696e_7369_6768_7464, 0x7368_6172_6473_3031);
        self.write_api(&mut hasher);
        (hasher.finish128().h1 % u64::from(SHARDS)) as u32
    }

    pub fn to_key(&self) -> SeriesKey {
        SeriesKey {
            account: self.account.into(),
            region: self.region.into(),
            event_source: self.event_source.into(),
            event_name: self.event_name.into(),
            insight_type: self.insight_type,
            error_code: self.error_code.into(),
        }
    }

    fn write_api(&self, hasher: &mut SipHasher13) {
        for part in [
            self.account,
            self.region,
            self.event_source,
            self.event_name,
        ] {
            hasher.write(&(part.len() as u32).to_le_bytes());
            hasher.write(part.as_bytes());
        }
    }
}

impl SeriesKey {
    pub fn as_ref(&self) -> SeriesRef<'_> {
        SeriesRef {
            account: &self.account,
            region: &self.region,
            event_source: &self.event_source,
            event_name: &self.event_name,
            insight_type: self.insight_type,
            error_code: &self.error_code,
        }
    }

    /// Parses `account,region,event_source,event_name,insight_type,error_code`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.splitn(6, ',').collect();
        let [
            account,
            region,
            event_source,
            event_name,
            insight_type,
            error_code,
        ] = parts[..]
        else {
            return Err(format!(
                "`{text}` has {} of the 6 parts \
                 account,region,event_source,event_name,insight_type,error_code",
                parts.len()
            ));
        };
        let Some(insight_type) = InsightType::from_name(insight_type) else {
            return Err(format!(
                "insight_type is `{insight_type}`, not ApiCallRateInsight or ApiErrorRateInsight"
            ));
        };
        if error_code.is_empty() != (insight_type == InsightType::ApiCallRate) {
            return Err("error_code belongs to ApiErrorRateInsight, and only to it".to_string());
        }
        let key = SeriesRef {
            account,
            region,
            event_source,
            event_name,
            insight_type,
            error_code,
        };
        Ok(key.to_key())
    }
}

impl fmt::Display for SeriesKey {
    /// `account,region,event_source,event_name,insight_type,error_code`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Display for SeriesRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{},{},{},{},{},{}",
            self.account,
            self.region,
            self.event_source,
            self.event_name,
            self.insight_type.name(),
            self.error_code
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_prints_and_parses_back() {
        for text in [
            "111122223333,us-east-1,iam.amazonaws.com,CreateUser,ApiCallRateInsight,",
            "1,r,s,n,ApiErrorRateInsight,Client.With,Comma",
        ] {
            let key = SeriesKey::parse(text).unwrap();
            assert_eq!(key.to_string(), text);
        }
        for bad in ["a,b,c", "1,r,s,n,Other,", "1,r,s,n,ApiCallRateInsight,X"] {
            assert!(SeriesKey::parse(bad).is_err(), "{bad}");
        }
    }

    /// Short keys are hashed in one write, long ones part by part: the same bytes either way.
    #[test]
    fn length_does_not_change_the_way_of_hashing() {
        for length in [0, 1, 7, 100, 220, 227, 228, 229, 300] {
            let name = "n".repeat(length);
            for (insight_type, error_code) in [
                (InsightType::ApiCallRate, ""),
                (InsightType::ApiErrorRate, "Error"),
            ] {
                let key = SeriesRef {
                    account: "1",
                    region: "r",
                    event_source: "s",
                    event_name: &name,
                    insight_type,
                    error_code,
                };
                let mut bytes = Vec::new();
                for part in ["1", "r", "s", &name] {
                    bytes.extend_from_slice(&(part.len() as u32).to_le_bytes());
                    bytes.extend_from_slice(part.as_bytes());
                }
                bytes.push(u8::from(insight_type == InsightType::ApiErrorRate));
                bytes.extend_from_slice(error_code.as_bytes());
                let hash = SipHasher13::new_with_keys(0x696e_7369_6768_7464, 0x7365_7269_6573_3031)
                    .hash(&bytes)
                    .as_u128();
                assert_eq!(key.fingerprint(), Fingerprint(hash), "{length}");
            }
        }
    }

    #[test]
    fn parts_do_not_run_together() {
        let key = |account, region| SeriesRef {
            account,
            region,
            event_source: "s",
            event_name: "n",
            insight_type: InsightType::ApiCallRate,
            error_code: "",
        };
        assert_ne!(key("ab", "c").fingerprint(), key("a", "bc").fingerprint());
        let error = SeriesRef {
            insight_type: InsightType::ApiErrorRate,
            error_code: "E",
            ..key("a", "b")
        };
        assert_eq!(error.shard(), key("a", "b").shard());
        assert_ne!(error.fingerprint(), key("a", "b").fingerprint());
    }
}
