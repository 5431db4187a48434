//! CloudTrail records: from the bytes of one record to the fields of one event.
//!
//! [`RawRecord`] holds where the members stand, found in one pass; the [`Interpreter`] applies the
//! rules (which account, which category, read or write, who called) and hands the event on.

mod interpreter;
mod rules;
mod scan;

pub use interpreter::{Interpreter, Verdict, category_from_name};
pub use rules::{is_read_by_name, parse_time, parse_time_number};
pub use scan::RawRecord;
