//! Who makes synthetic calls: all ten kinds of CloudTrail user identities, a few of them in
//! every account, with the program each calls with.

use super::calendar::stream;
use super::catalogue::{AGENTS, PEOPLE, ROLES, SERVICES};
use super::random::Random;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdentityKind {
    AssumedRole,
    AwsService,
    IamUser,
    Root,
    FederatedUser,
    AwsAccount,
    WebIdentityUser,
    SamlUser,
    IdentityCenterUser,
    Unknown,
}

/// One who calls: an identity with a program and an address.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub kind: IdentityKind,
    pub account: Box<str>,
    /// Role, user, service or provider.
    pub name: Box<str>,
    /// Session of a role, or the person behind it.
    pub session: Box<str>,
    /// Unique part of principal and access-key ids.
    pub id: Box<str>,
    pub agent: Box<str>,
    pub address: Box<str>,
    pub is_console: bool,
}

/// Callers of one account, and with which weight a series has each.
const KINDS: [(IdentityKind, u32); 16] = [
    (IdentityKind::AssumedRole, 12),
    (IdentityKind::AssumedRole, 11),
    (IdentityKind::AssumedRole, 11),
    (IdentityKind::AssumedRole, 10),
    (IdentityKind::AssumedRole, 9),
    (IdentityKind::AwsService, 12),
    (IdentityKind::AwsService, 10),
    (IdentityKind::AwsService, 8),
    (IdentityKind::IamUser, 5),
    (IdentityKind::Root, 1),
    (IdentityKind::FederatedUser, 2),
    (IdentityKind::AwsAccount, 3),
    (IdentityKind::WebIdentityUser, 2),
    (IdentityKind::SamlUser, 1),
    (IdentityKind::IdentityCenterUser, 2),
    (IdentityKind::Unknown, 1),
];

/// Number of callers of every account.
pub(super) const CALLERS: u32 = KINDS.len() as u32;

/// The callers of one account.
pub(super) fn cast(seed: u64, account: &str) -> Vec<Caller> {
    let number = account.parse().unwrap_or(0);
    let mut random = Random::keyed(seed, &[stream::CAST, number]);
    KINDS
        .iter()
        .enumerate()
        .map(|(index, (kind, _))| caller(*kind, index, account, &mut random))
        .collect()
}

/// One to three callers of the account for a series, as numbers below [`CALLERS`].
pub(super) fn choose(random: &mut Random) -> Vec<u32> {
    let total: u32 = KINDS.iter().map(|(_, weight)| weight).sum();
    let mut chosen = Vec::new();
    for _ in 0..random.within(1, 3) {
        let mut rest = random.below(total);
        for (index, (_, weight)) in KINDS.iter().enumerate() {
            if rest < *weight {
                chosen.push(index as u32);
                break;
            }
            rest -= weight;
        }
    }
    chosen
}

/// The caller behind something planted: an assumed role of this name with a program of its own.
pub(super) fn planted(seed: u64, account: &str, role: &str, agent: &str) -> Caller {
    let mut random = Random::keyed(seed, &[stream::CAST, account.parse().unwrap_or(0), 1]);
    Caller {
        kind: IdentityKind::AssumedRole,
        account: account.into(),
        name: role.into(),
        session: "planted-session".into(),
        id: identifier(&mut random).into(),
        agent: agent.into(),
        address: "198.51.100.23".into(),
        is_console: false,
    }
}

fn caller(kind: IdentityKind, index: usize, account: &str, random: &mut Random) -> Caller {
    let person = PEOPLE[(index + random.below(8) as usize) % 8];
    let role = ROLES[(index * 2 + random.below(2) as usize) % 12];
    let service = SERVICES[(index + random.below(8) as usize) % 8];
    let (name, session) = match kind {
        IdentityKind::AssumedRole if role.contains("SSO") => {
            (role, format!("{person}@example.com"))
        }
        IdentityKind::AssumedRole => (role, format!("i-0{:016x}", random.bits())),
        IdentityKind::AwsService => (service, String::new()),
        IdentityKind::WebIdentityUser => ("accounts.example.com", person.to_string()),
        IdentityKind::SamlUser => ("idp.example.com", person.to_string()),
        _ => (person, String::new()),
    };
    let is_service = kind == IdentityKind::AwsService;
    let agent = if is_service {
        service
    } else {
        AGENTS[random.below(AGENTS.len() as u32) as usize]
    };
    let address = if is_service {
        service.to_string()
    } else {
        format!("203.0.{}.{}", random.below(114), random.within(1, 254))
    };
    Caller {
        kind,
        account: account.into(),
        name: name.into(),
        session: session.into(),
        id: identifier(random).into(),
        agent: agent.into(),
        address: address.into(),
        is_console: agent.starts_with("Mozilla"),
    }
}

/// Sixteen characters as in unique ids of IAM.
fn identifier(random: &mut Random) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    (0..16)
        .map(|_| char::from(LETTERS[random.below(32) as usize]))
        .collect()
}
