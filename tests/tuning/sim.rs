//! The simulated brokers and processes of `tests/protocol_sim`, here for the detecting stage alone.
#![allow(dead_code)]

#[path = "../protocol_sim/broker.rs"]
pub mod broker;
#[path = "../protocol_sim/commits.rs"]
mod commits;
#[path = "../protocol_sim/instance.rs"]
pub mod instance;
#[path = "../protocol_sim/random.rs"]
pub mod random;
#[path = "../protocol_sim/traffic.rs"]
mod traffic;
