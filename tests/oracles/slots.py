"""Local hours of the week around every change of local clocks, and a weekly window, as CSV on stdout.

Python's zoneinfo says what the clocks show; the window is Saturday 22:00 to Sunday 02:00 and every
Sunday from 01:30 to 03:30. One row for each change of offset in 2023 to 2027: zone, the first of 48
hours since 1970, their slots (hours of the local week when they begin, slot 0 a Thursday's first),
and for each half of these hours whether it begins in the window. `tests/calendars.rs` reads the
committed output, `tests/oracles/slots.csv`; the zones have rules that did not change in 2025.
"""

import datetime
import zoneinfo

ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
    "Asia/Kolkata",
    "Africa/Casablanca",
]
FIRST = int(datetime.datetime(2023, 1, 1, tzinfo=datetime.UTC).timestamp()) // 3600
LAST = int(datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC).timestamp()) // 3600


def local(zone, seconds):
    return datetime.datetime.fromtimestamp(seconds, zone)


def slot(zone, hour):
    time = local(zone, hour * 3600)
    return (time.weekday() - 3) % 7 * 24 + time.hour


def is_maintained(zone, seconds):
    time = local(zone, seconds)
    minute = time.hour * 60 + time.minute
    saturday, sunday = time.weekday() == 5, time.weekday() == 6
    weekend = (saturday and minute >= 22 * 60) or (sunday and minute < 2 * 60)
    return weekend or (sunday and 90 <= minute < 210)


def main():
    print("zone,first_hour,slots,maintained")
    for name in ZONES:
        zone = zoneinfo.ZoneInfo(name)
        offset = [local(zone, hour * 3600).utcoffset() for hour in range(FIRST, LAST + 1)]
        changes = [i for i in range(1, len(offset)) if offset[i] != offset[i - 1]] or [1000]
        for change in changes:
            first = FIRST + change - 24
            slots = " ".join(str(slot(zone, hour)) for hour in range(first, first + 48))
            halves = range(first * 2, (first + 48) * 2)
            bits = "".join("01"[is_maintained(zone, half * 1800)] for half in halves)
            print(f"{name},{first},{slots},{bits}")


main()
