"""Sixty hours of small traffic with planted incidents, for judges that bring it into Kafka often.

Eight busy APIs surge and stop once each, twelve rare ones burst, all after the warm-up; every
record that a replay of the file makes is the expectation. Event times are in order, so nothing is
late, and lie in 2024, so that no clock enters.
"""

import datetime
import json
import random

import common
import service

BEGIN = datetime.datetime(2024, 1, 1)
HOURS = 60
# Nothing is judged before a series has two days of history.
WARM_UP_HOURS = 49
LATENESS_MINUTES = 10
BUSY, RARE = 8, 12
ACCOUNT = "111122223333"
END_MINUTE = HOURS * 60


def utc(minute):
    return (BEGIN + datetime.timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%SZ")


def event(name, minute, number, second=0):
    """A record as CloudTrail writes it, with what counting looks at."""
    time = BEGIN + datetime.timedelta(minutes=minute, seconds=second)
    return {
        "eventVersion": "1.11", "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": "planted.amazonaws.com", "eventName": name, "awsRegion": "us-east-1",
        "eventID": f"00000000-0000-4000-8000-{number:012x}", "readOnly": False,
        "eventType": "AwsApiCall", "managementEvent": True, "recipientAccountId": ACCOUNT,
        "eventCategory": "Management", "userAgent": f"agent-{number % 3}",
    }


def line(record):
    # Without blanks: `service.series_of` reads it so.
    return json.dumps(record, separators=(",", ":"))


class Planted:
    """The events as a file, and in parts for the partitions of a topic."""

    def __init__(self, folder, partitions, seed):
        self.folder = folder
        self.path = folder / "events.ndjson"
        self._random = random.Random(seed)
        self._numbers = iter(range(1, 1 << 32))
        # Lines before each hour.
        self._hours = [0]
        with self.path.open("w") as out:
            self._write(out)
        self.parts = service.split(self.path, folder, partitions, "series", self.last_line)

    def lines_before(self, hour):
        return self._hours[hour]

    def first_line(self, part):
        """An event in the first minute, of an API that nothing is planted on."""
        return line(event("CloseMinutes", 0, (1 << 41) + part))

    def last_line(self, part):
        """An event that closes all minutes of its partition before the end, and no more."""
        return line(event("CloseMinutes", END_MINUTE + LATENESS_MINUTES, (1 << 40) + part))

    def expected(self, settings):
        """Records that a replay with these settings writes until the end."""
        name = settings["kafka"]["group"]
        configuration, out = self.folder / f"{name}.toml", self.folder / f"{name}.out"
        service.write_toml(settings, configuration)
        common.run("replay", "-c", configuration, "--until", utc(END_MINUTE), "--out", out,
                   self.path)
        return out.read_bytes().splitlines()

    def _write(self, out):
        plan = self._plan()
        lines = 0
        for minute in range(END_MINUTE):
            events = []
            for name, ordinary in self._ordinary():
                count = self._count(plan[name], minute, ordinary)
                events += [(self._random.randrange(60), name) for _ in range(count)]
            for second, name in sorted(events):
                out.write(line(event(name, minute, next(self._numbers), second)) + "\n")
            lines += len(events)
            if minute % 60 == 59:
                self._hours.append(lines)

    def _ordinary(self):
        busy = [(f"Busy{index}", self._random.randint(1, 3)) for index in range(BUSY)]
        return busy + [(f"Rare{index}", self._random.random() < 1 / 40) for index in range(RARE)]

    def _count(self, incidents, minute, ordinary):
        for begin, end, count in incidents:
            if begin <= minute < end:
                return count
        return int(ordinary)

    def _plan(self):
        """Incidents by API: first minute, the minute after, calls in each."""
        plan = {}
        first, last = WARM_UP_HOURS * 60 + 10, END_MINUTE - 60
        middle = (first + last) // 2
        for index in range(BUSY):
            surge = self._random.randrange(first, middle - 60)
            stop = self._random.randrange(middle, last)
            plan[f"Busy{index}"] = [(surge, surge + 8, 20), (stop, stop + 25, 0)]
        for index in range(RARE):
            burst = self._random.randrange(first, last)
            plan[f"Rare{index}"] = [(burst, burst + 5, 25)]
        return plan


def hour_of(record):
    """Hours from the begin of the traffic to the decision of a record."""
    decided = json.loads(record)["insightd"]["decidedAt"]
    decided = datetime.datetime.strptime(decided, "%Y-%m-%dT%H:%M:%SZ")
    return (decided - BEGIN).total_seconds() / 3600
