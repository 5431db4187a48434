//! JSON at the level of bytes: finding members and values without building anything.
//!
//! The [`Scanner`] walks over one object and skips what nobody asked for 64 bytes at a time; the
//! [`Grammar`] checks text of unknown shape byte by byte and finds its end, over any number of
//! pieces; [`unescape`] makes text of a string. Nothing here knows what an audit record is.

mod block;
mod container;
mod grammar;
mod scanner;
mod text;

pub use grammar::{Fault, Grammar, Progress};
pub use scanner::{Kind, Scanner, Stop, Value};
pub use text::unescape;
