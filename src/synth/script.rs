//! The named incidents of the demo and the textbook cases: which series, when, by whom.
//!
//! Their series are no part of the ordinary catalogue, so nothing else shares their keys.

use super::calendar::{Calendar, DAY};
use super::label::PlantKind;
use super::random::Random;
use super::recipe::{self, TrafficClass, Volume};
use super::spec::Errors;
use super::traffic::Traffic;

/// Traffic on which something is planted by name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    /// A flat rate with this many calls a minute and this dispersion.
    Flat(f64, f64),
    Class(TrafficClass),
    Silent,
}

/// A series that plays a part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub api: (&'static str, &'static str),
    pub region: &'static str,
    /// Empty for a call rate.
    pub error_code: &'static str,
    pub stage: Stage,
}

/// What happens to a part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene {
    /// Number of the part.
    pub part: u32,
    pub title: &'static str,
    pub kind: PlantKind,
    pub minutes: u32,
    /// Days since the start between which it begins.
    pub days: (f64, f64),
    pub role: &'static str,
    pub agent: &'static str,
}

pub(super) const ACCOUNT: &str = "111122223333";

const CREATE_TAGS: (&str, &str) = ("ec2.amazonaws.com", "CreateTags");
const HEARTBEAT: (&str, &str) = ("ssm.amazonaws.com", "UpdateInstanceInformation");
const GET_SECRET: (&str, &str) = ("secretsmanager.amazonaws.com", "GetSecretValue");
const RUN_INSTANCES: (&str, &str) = ("ec2.amazonaws.com", "RunInstances");
const CREATE_KEY: (&str, &str) = ("iam.amazonaws.com", "CreateAccessKey");
const DESCRIBE_INSTANCES: (&str, &str) = ("ec2.amazonaws.com", "DescribeInstances");

const fn part(
    api: (&'static str, &'static str),
    region: &'static str,
    error_code: &'static str,
    stage: Stage,
) -> Part {
    Part {
        api,
        region,
        error_code,
        stage,
    }
}

/// The first four are the textbook's, all are the demo's.
pub(super) const PARTS: [Part; 7] = [
    part(CREATE_TAGS, "us-east-1", "", Stage::Flat(20.0, 1.3)),
    part(HEARTBEAT, "us-east-1", "", Stage::Flat(20.0, 1.3)),
    part(GET_SECRET, "us-east-1", "", Stage::Flat(3.0, 1.2)),
    part(GET_SECRET, "us-east-1", "AccessDenied", Stage::Silent),
    part(RUN_INSTANCES, "sa-east-1", "", Stage::Silent),
    part(
        CREATE_KEY,
        "us-east-1",
        "",
        Stage::Class(TrafficClass::Human),
    ),
    part(
        DESCRIBE_INSTANCES,
        "eu-west-1",
        "Client.RequestLimitExceeded",
        Stage::Flat(0.4, 1.5),
    ),
];
pub(super) const TEXTBOOK_PARTS: usize = 4;

/// The three textbook cases, then what only the demo shows.
pub(super) const SCENES: [Scene; 6] = [
    Scene {
        part: 0,
        title: "a script tags everything again: 20 calls a minute become 100",
        kind: PlantKind::Rate(100.0),
        minutes: 20,
        days: (8.2, 9.8),
        role: "planted-migration",
        agent: "Boto3/1.34.69 planted-retag/0.3",
    },
    Scene {
        part: 1,
        title: "the fleet's heartbeat stops for ten minutes: 20 calls a minute become none",
        kind: PlantKind::Drop(0.0),
        minutes: 10,
        days: (10.2, 11.8),
        role: "planted-none",
        agent: "none",
    },
    Scene {
        part: 3,
        title: "an error not seen in seven days: access denied, 12 times a minute",
        kind: PlantKind::Novel(12.0),
        minutes: 15,
        days: (12.2, 13.4),
        role: "planted-intruder",
        agent: "aws-cli/2.15.30 planted-probe/1.0",
    },
    Scene {
        part: 4,
        title: "instances in a region nobody uses: 6 calls a minute for 40 minutes",
        kind: PlantKind::Novel(6.0),
        minutes: 40,
        days: (9.9, 10.1),
        role: "planted-miner",
        agent: "planted-miner/2.1",
    },
    Scene {
        part: 5,
        title: "access keys made by the dozen: 8 calls a minute where a few a day are usual",
        kind: PlantKind::Burst(8.0),
        minutes: 12,
        days: (11.9, 12.1),
        role: "planted-persistence",
        agent: "aws-cli/2.15.30 planted-keys/1.0",
    },
    Scene {
        part: 6,
        title: "throttled: a known error comes 15 times a minute instead of every other",
        kind: PlantKind::Rate(15.0),
        minutes: 30,
        days: (13.5, 13.8),
        role: "planted-hotloop",
        agent: "planted-hotloop/0.1",
    },
];
pub(super) const TEXTBOOK_SCENES: usize = 3;

impl Part {
    pub fn traffic(&self, calendar: &Calendar, series: u32) -> Traffic {
        match self.stage {
            Stage::Silent => recipe::silent(calendar, series),
            Stage::Class(class) => recipe::traffic(calendar, series, class, Volume::Light),
            Stage::Flat(rate, dispersion) => {
                recipe::steady_rate(calendar, series, rate, 0.0, dispersion)
            }
        }
    }

    pub fn errors(&self) -> Errors {
        if self.error_code.is_empty() {
            Errors::None
        } else {
            Errors::Always(self.error_code.into())
        }
    }
}

impl Scene {
    /// First minute, drawn inside the scene's days.
    pub fn start(&self, random: &mut Random) -> u32 {
        (random.between(self.days.0, self.days.1) * f64::from(DAY)) as u32
    }
}
