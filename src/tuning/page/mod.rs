//! Reports as single HTML files: readable without JavaScript and without a network.
//!
//! Names in them come from hostile logs. Templates escape all text, data for charts holds numbers
//! only, and a content security policy names the hash of each script and style, so that even what
//! slipped through could neither run nor load anything.

mod explain;
mod lanes;
mod scatter;
pub(super) mod text;
mod timeline;
mod tune;

pub use explain::explain;
pub use timeline::timeline;
pub use tune::tune;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// uPlot 1.6.32, MIT; its licence is beside it.
const CHART_STYLE: &str = include_str!("uplot/uPlot.min.css");
const CHART_SCRIPT: &str = include_str!("uplot/uPlot.iife.min.js");

/// What all pages have around their content.
struct Frame<'a> {
    title: &'a str,
    engine_version: &'a str,
    /// Identifier of the part that a keyboard can jump to.
    skip_to: &'static str,
    style: String,
    scripts: Vec<&'static str>,
    policy: String,
}

impl<'a> Frame<'a> {
    fn new(title: &'a str, engine_version: &'a str, skip_to: &'static str, charts: bool) -> Self {
        let (style, scripts) = match charts {
            true => (
                format!("{CHART_STYLE}\n{STYLE}"),
                vec![CHART_SCRIPT, SCRIPT],
            ),
            false => (STYLE.to_string(), vec![SCRIPT]),
        };
        let sources: Vec<String> = scripts.iter().map(|script| source_hash(script)).collect();
        let policy = format!(
            "default-src 'none'; img-src data:; style-src {}; script-src {}",
            source_hash(&style),
            sources.join(" ")
        );
        Frame {
            title: if title.is_empty() { "insightd" } else { title },
            engine_version,
            skip_to,
            style,
            scripts,
            policy,
        }
    }
}

/// A script or style as a content security policy names it.
fn source_hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}
