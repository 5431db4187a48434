//! Declared calendars, from text to what the detector understands.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::budgets::scope;
use super::knowledge_written::{WrittenCalendar, WrittenMaintenance};
use super::settings::{Problem, problem};
use crate::detect::calendar::{CALENDARS_MAX, Calendar, Maintenance};
use crate::model::{EventTime, Minute};

/// Windows and holidays of one calendar.
const WINDOWS_MAX: usize = 100;
const HOLIDAYS_MAX: usize = 1000;
const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

/// The calendars, in the order in which they are written.
pub fn check(written: &[WrittenCalendar]) -> Result<Vec<Calendar>, Problem> {
    at_most("calendars", written.len(), CALENDARS_MAX)?;
    let mut calendars = Vec::new();
    for (index, one) in written.iter().enumerate() {
        let key = format!("calendars[{index}]");
        let zone = zone(&format!("{key}.zone"), &one.zone)?;
        at_most(
            &format!("{key}.maintenance"),
            one.maintenance.len(),
            WINDOWS_MAX,
        )?;
        at_most(&format!("{key}.holidays"), one.holidays.len(), HOLIDAYS_MAX)?;
        let mut maintenance = Vec::new();
        for (place, window) in one.maintenance.iter().enumerate() {
            let key = format!("{key}.maintenance[{place}]");
            maintenance.push(window_of(&key, window, &zone)?);
        }
        let holidays = one.holidays.iter().map(|text| {
            let wrong = |_| {
                let text = format!("`{text}` is no date; write for example 2024-12-25");
                problem(&format!("{key}.holidays"), text)
            };
            text.parse::<Date>().map_err(wrong)
        });
        calendars.push(Calendar {
            scope: scope(&format!("{key}.scope"), &one.scope, None)?,
            maintenance,
            holidays: holidays.collect::<Result<_, _>>()?,
            like: weekday(&format!("{key}.like"), &one.like)?,
            zone,
        });
    }
    Ok(calendars)
}

/// The zone of an IANA name, out of the tables that are built in.
fn zone(key: &str, name: &str) -> Result<TimeZone, Problem> {
    let zones = TimeZoneDatabase::bundled();
    zones.get(name).map_err(|_| {
        let nearest = zones
            .available()
            .map(|other| {
                (
                    strsim::jaro_winkler(name, other.as_str()),
                    other.to_string(),
                )
            })
            .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(&a.1)));
        let nearest = nearest.map_or(String::new(), |(_, other)| format!("; is it {other}?"));
        problem(
            key,
            format!("`{name}` is no time zone of the IANA database{nearest}"),
        )
    })
}

fn weekday(key: &str, text: &str) -> Result<Weekday, Problem> {
    let found = WEEKDAYS.iter().find(|(name, _)| *name == text);
    found.map(|(_, day)| *day).ok_or_else(|| {
        problem(
            key,
            format!("`{text}` is no weekday; write monday to sunday in small letters"),
        )
    })
}

fn window_of(
    key: &str,
    written: &WrittenMaintenance,
    zone: &TimeZone,
) -> Result<Maintenance, Problem> {
    let (from, to) = (&written.from, &written.to);
    if let (Some(from), Some(to)) = (minute_of_day(from), minute_of_day(to)) {
        let mut days = [written.days.is_empty(); 7];
        for text in &written.days {
            let day = weekday(&format!("{key}.days"), text)?;
            days[usize::from(day.to_monday_zero_offset() as u8)] = true;
        }
        return Ok(Maintenance::Weekly { days, from, to });
    }
    if !written.days.is_empty() {
        let text =
            "days belong to times of the day, 22:00 for example; a window with dates is once";
        return Err(problem(&format!("{key}.days"), text));
    }
    let from_minute = moment(&format!("{key}.from"), from, zone)?;
    let to_minute = moment(&format!("{key}.to"), to, zone)?;
    if to_minute <= from_minute {
        return Err(problem(
            &format!("{key}.to"),
            format!("{to} is not after {from}"),
        ));
    }
    Ok(Maintenance::Once {
        from: from_minute,
        to: to_minute,
    })
}

/// `HH:MM`; 24:00 is the midnight at the end of the day.
fn minute_of_day(text: &str) -> Option<u16> {
    if text == "24:00" {
        return Some(0);
    }
    if text.len() != 5 {
        return None;
    }
    let time: Time = text.parse().ok()?;
    Some(time.hour() as u16 * 60 + time.minute() as u16)
}

/// A time with an offset, or without one as the zone's clocks show it; of a time that they show
/// twice the first, of one that they skip the one as much later.
fn moment(key: &str, text: &str, zone: &TimeZone) -> Result<Minute, Problem> {
    let wrong = || {
        let text = format!(
            "`{text}` is neither a time of the day (22:00) nor a time (2024-12-24T18:00, or with \
             an offset)"
        );
        problem(key, text)
    };
    let time = match EventTime::parse(text) {
        Some(time) => time,
        None => {
            let local: DateTime = text.parse().map_err(|_| wrong())?;
            let time = zone.to_timestamp(local).map_err(|_| wrong())?;
            EventTime::from_seconds(time.as_second()).ok_or_else(wrong)?
        }
    };
    let minute = time.minute();
    if minute.start() != time {
        return Err(problem(key, format!("`{text}` is no whole minute")));
    }
    Ok(minute)
}

fn at_most(key: &str, count: usize, most: usize) -> Result<(), Problem> {
    if count <= most {
        return Ok(());
    }
    Err(problem(
        key,
        format!("there are {count}, at most {most} are kept"),
    ))
}
