//! What the service answers over HTTP to who runs it: is it alive, is it ready, its metrics.
//!
//! The room reads values that others keep and decides nothing. It does not trust its clients: a
//! connection is bounded in time and bytes, and so is their number.

mod connection;
mod pages;
mod server;

#[cfg(test)]
mod tests;

pub use connection::ConnectionLimits;
pub use pages::{BeforeScrape, Pages};
pub use server::Server;
