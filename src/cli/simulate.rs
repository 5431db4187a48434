//! `insightd simulate`: labelled traffic as CloudTrail NDJSON or rates CSV.
//!
//! Equal arguments give equal bytes. Memory stays that of one day's counts and ten minutes of
//! events, so the length of the output does not matter.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::{Args, ValueEnum};

#[cfg(feature = "kafka")]
use super::arguments::ConfigArgument;
use super::interrupt::Interrupt;
use super::{CliError, Exit};
use crate::model::{EventTime, Minute};
#[cfg(feature = "kafka")]
use crate::service::run::open_topic;
use crate::synth::{
    Arrivals, Fleet, FleetSettings, Profile, RateRows, START, parse_labels, write_labels,
    write_neutral,
};
#[cfg(feature = "kafka")]
use crate::telemetry::say;

/// Bytes gathered before they are written.
const CHUNK: usize = 1 << 20;

/// Make labelled traffic with known answers
#[derive(Args, Clone, Debug)]
pub struct SimulateArgs {
    /// Days to make [default: fleet 28, others 14]
    #[arg(long)]
    pub days: Option<u32>,
    /// Series to make [default: fleet 600, bench 1000, others 160]
    #[arg(long)]
    pub series: Option<u32>,
    /// The same seed gives the same bytes
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// What kind of traffic
    #[arg(long, value_enum, default_value_t = ProfileArg::Demo)]
    pub profile: ProfileArg,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = FormatArg::Cloudtrail)]
    pub format: FormatArg,
    /// Plant what this labels file says, in place of the profile's own incidents
    #[arg(long, value_name = "FILE")]
    pub inject: Option<PathBuf>,
    /// Write what is planted: account,...,start,end,kind
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// Write the hours in which the traffic itself does something unprecedented
    #[arg(long, value_name = "FILE")]
    pub neutral: Option<PathBuf>,
    /// Write the same traffic with nothing planted, in the same format
    #[arg(long, value_name = "FILE")]
    pub clean: Option<PathBuf>,
    /// First minute, on a whole UTC hour [default: 2026-01-05T00:00:00Z]
    #[arg(long, value_name = "TIME", value_parser = parse_start)]
    pub start: Option<Minute>,
    /// Write here instead of to stdout
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Send each record to this topic instead; without --start the traffic then ends now
    #[cfg(feature = "kafka")]
    #[arg(long, value_name = "TOPIC", conflicts_with = "out")]
    pub to_kafka: Option<String>,
    /// Records sent a second at most [default: as fast as possible]
    #[cfg(feature = "kafka")]
    #[arg(long, value_name = "N", requires = "to_kafka")]
    pub rate: Option<u32>,
    /// Where the brokers are: [kafka] of this configuration
    #[cfg(feature = "kafka")]
    #[command(flatten)]
    pub config: ConfigArgument,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProfileArg {
    /// Eight classes at full volume with three incidents a series: the detection bench
    Fleet,
    /// Ordinary traffic at low volume with a few named incidents
    Demo,
    /// Zipf rates with errors and large records: the throughput bench, 2 GB
    Bench,
    /// Ordinary traffic with the three textbook cases
    Textbook,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// Records as CloudTrail writes them, one a line, in order of arrival
    Cloudtrail,
    /// Counts per minute as CSV
    Rates,
}

/// Runs the command; a signal ends it between two minutes of traffic.
pub fn run(arguments: &SimulateArgs) -> Result<Exit, CliError> {
    let interrupt = Interrupt::install()?;
    simulate(arguments, &interrupt).map_err(|error| CliError::Failure(format!("{error:#}")))?;
    Ok(interrupt.exit().unwrap_or(Exit::Done))
}

fn simulate(arguments: &SimulateArgs, interrupt: &Interrupt) -> Result<()> {
    let settings = settings(arguments)?;
    let fleet = plan(&settings)?;
    if let Some(path) = &arguments.labels {
        let mut text = Vec::new();
        write_labels(&fleet.labels(), &mut text);
        write_file(path, &text)?;
    }
    if let Some(path) = &arguments.neutral {
        let mut text = Vec::new();
        write_neutral(&fleet.neutral(), &mut text);
        write_file(path, &text)?;
    }
    if let Some(path) = &arguments.clean {
        let file = create(path)?;
        write_traffic(plan(&settings)?.clean(), arguments.format, interrupt, file)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    #[cfg(feature = "kafka")]
    if let Some(topic) = &arguments.to_kafka {
        return send_traffic(fleet, topic, arguments, interrupt);
    }
    match &arguments.out {
        Some(path) => write_traffic(fleet, arguments.format, interrupt, create(path)?)
            .with_context(|| format!("cannot write {}", path.display())),
        None => match write_traffic(fleet, arguments.format, interrupt, io::stdout().lock()) {
            // Whoever reads has seen enough, as `head` has.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result.context("cannot write to stdout"),
        },
    }
}

#[cfg(feature = "kafka")]
fn send_traffic(
    fleet: Fleet,
    topic: &str,
    arguments: &SimulateArgs,
    interrupt: &Interrupt,
) -> Result<()> {
    let settings = arguments
        .config
        .load()
        .map_err(|error| anyhow!("{error}"))?;
    let kafka = &settings.service.kafka;
    let mut lines = open_topic(kafka, topic, arguments.rate)?;
    write_traffic(fleet, arguments.format, interrupt, &mut lines)
        .with_context(|| format!("cannot send to topic {topic}"))?;
    say(format_args!(
        "sent {} records to topic {topic}",
        lines.lines()
    ));
    Ok(())
}

/// The start that has traffic of `days` end in the hour that runs.
#[cfg(feature = "kafka")]
fn start_to_end_now(days: u32) -> Option<Minute> {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .ok()?;
    let now = EventTime::from_seconds(now.as_secs() as i64)?.minute();
    let hour = now.0 - now.0 % Minute::PER_HOUR;
    hour.checked_sub(days * Minute::PER_DAY).map(Minute)
}

fn settings(arguments: &SimulateArgs) -> Result<FleetSettings> {
    let profile = match arguments.profile {
        ProfileArg::Fleet => Profile::Fleet,
        ProfileArg::Demo => Profile::Demo,
        ProfileArg::Bench => Profile::Bench,
        ProfileArg::Textbook => Profile::Textbook,
    };
    let inject = match &arguments.inject {
        Some(path) => {
            let text = fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let labels = parse_labels(&text).map_err(|why| anyhow!("{}: {why}", path.display()))?;
            Some(labels)
        }
        None => None,
    };
    let (days, series) = profile.defaults();
    let days = arguments.days.unwrap_or(days);
    let start = arguments.start;
    #[cfg(feature = "kafka")]
    let start = start.or_else(|| {
        arguments
            .to_kafka
            .as_ref()
            .and_then(|_| start_to_end_now(days))
    });
    Ok(FleetSettings {
        profile,
        days,
        series: arguments.series.unwrap_or(series),
        seed: arguments.seed,
        start: start.unwrap_or(START),
        inject,
    })
}

fn plan(settings: &FleetSettings) -> Result<Fleet> {
    Fleet::new(settings).map_err(|why| anyhow!(why))
}

fn write_traffic(
    fleet: Fleet,
    format: FormatArg,
    interrupt: &Interrupt,
    out: impl Write,
) -> io::Result<()> {
    match format {
        FormatArg::Cloudtrail => {
            let mut arrivals = Arrivals::new(fleet);
            pump(out, interrupt, |bytes| arrivals.next_minute(bytes))
        }
        FormatArg::Rates => {
            let mut rows = RateRows::new(fleet);
            pump(out, interrupt, |bytes| rows.next_minute(bytes))
        }
    }
}

/// Writes what `next` appends, until it is done or shall be.
fn pump(
    mut out: impl Write,
    interrupt: &Interrupt,
    mut next: impl FnMut(&mut Vec<u8>) -> bool,
) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(2 * CHUNK);
    while interrupt.exit().is_none() && next(&mut bytes) {
        if bytes.len() >= CHUNK {
            out.write_all(&bytes)?;
            bytes.clear();
        }
    }
    out.write_all(&bytes)?;
    out.flush()
}

fn create(path: &Path) -> Result<BufWriter<File>> {
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    Ok(BufWriter::new(file))
}

fn write_file(path: &Path, text: &[u8]) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn parse_start(text: &str) -> Result<Minute, String> {
    let time = EventTime::parse(text).ok_or_else(|| format!("`{text}` is not RFC 3339"))?;
    let minute = time.minute();
    if minute.start() == time && minute.0.is_multiple_of(60) {
        Ok(minute)
    } else {
        Err(format!("`{text}` is not on a whole hour"))
    }
}
