#!/usr/bin/env python3
"""How long the partitions of an instance that is killed stay without an owner that goes on.

A topic of a real Kafka holds the dedup horizon at 2,000 events a second and goes on so; event time
is now. Two instances share it, and one is killed: between two transactions, or while one is open,
which then holds back all who read the rates log until the broker gives it up. Told is the time
until the other has committed, in both stages, more than there was at that moment, what the log of
the other says of it, and how much of it was reading the dedup horizon again. Exits 3 when it takes
longer than the session timeout, 5 s and the reading together.

  takeover.py [--session N ...] [--horizon MINUTES] [--repeat N]
"""

import argparse
import contextlib
import datetime
import pathlib
import random
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/judges"))
import common
import kafka_cluster
import service

RATE = 2000
PARTITIONS = 4
RATES_PARTITIONS = 64
# What an operator may expect beside the session timeout and the reading.
TAKEOVER_SECONDS = 5
# Times that the live stream is written each second.
BEATS = 20
# How long what is open stays open, of a process that stands still.
STANDS_STILL = 0.3
SECONDS = 180
# History before the horizon, so that there are minutes to close.
MORE_MINUTES = 3
TOPIC = "audit"

EVENT = (
    '{"eventVersion":"1.11","eventTime":"%s","eventSource":"ec2.amazonaws.com",'
    '"eventName":"Call%d","awsRegion":"us-east-1",'
    '"eventID":"00000000-0000-4000-8000-%012x","readOnly":false,"eventType":"AwsApiCall",'
    '"managementEvent":true,"recipientAccountId":"1111222233%02d",'
    '"eventCategory":"Management","userAgent":"aws-cli/2.15.1",'
    '"userIdentity":{"type":"AssumedRole","accountId":"111122223333",'
    '"arn":"arn:aws:sts::111122223333:assumed-role/Role%d/session"}}\n')

PHASES = {
    "sources assigned": "sources given",
    "reading again": "reading again",
    "counting": "counting",
    "partitions assigned": "partitions given",
    "this instance coordinates": "coordinates",
    "was given up": "transaction given up",
}


class Stream(service.Background):
    """Events as they happen, beginning so many minutes ago."""

    def __init__(self, cluster, minutes):
        super().__init__()
        self._next = int(time.time()) - 60 * minutes
        self._number = 0
        self._out = subprocess.Popen(
            ["kcat", "-P", "-b", cluster.bootstrap, "-t", TOPIC, "-z", "lz4", "-X",
             "linger.ms=5"], stdin=subprocess.PIPE)
        while self._next < time.time() - 1:
            self._write(RATE)
            self._next += 1
        self._out.stdin.flush()

    def __exit__(self, *_):
        super().__exit__()
        self._out.stdin.close()
        self._out.wait()

    def run(self):
        while not self._is_ended.is_set():
            for beat in range(BEATS):
                self._is_ended.wait(max(0, self._next + beat / BEATS - time.time()))
                self._write(RATE // BEATS)
                self._out.stdin.flush()
            self._next += 1

    def _write(self, count):
        second = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._next))
        lines = [EVENT % (second, number * 7919 % 500, number, number % 10, number % 37)
                 for number in range(self._number, self._number + count)]
        self._number += count
        self._out.stdin.write("".join(lines).encode())


def settings_of(group, session, horizon):
    return service.merged(service.deployment(group), {
        "kafka": {"input_topics": [TOPIC], "rates_partitions": RATES_PARTITIONS,
                  "session_timeout": f"{session}s"},
        # Nothing is committed before the first minute closes.
        "counting": {"lateness": "1m", "dedup_horizon": f"{horizon}m"},
        "checkpoint": {"interval": "60s"},
    })


def is_up_to_date(cluster, settings, seconds=2):
    behind = service.lag(cluster, f"{settings['kafka']['group']}-ingest", TOPIC)
    return behind < seconds * RATE


def owned_by(cluster, settings, name):
    """(group, topic, partition) of all that an instance owns, once the groups are at rest."""
    groups = [f"{settings['kafka']['group']}-{stage}" for stage in ("ingest", "detect")]

    def settled():
        owned = []
        for group in groups:
            members, state = service.members(cluster, group)
            if state != "Stable" or len(members) != 2:
                return None
            owned += [(group, *place) for place in members[name]]
        return owned
    return kafka_cluster.wait_until(settled, "two members in each group", SECONDS)


class Ends:
    """Where partitions end, for who reads all and for who waits for transactions."""

    def __init__(self, cluster, topics):
        from kafka import KafkaConsumer, TopicPartition
        self._consumers = [
            KafkaConsumer(bootstrap_servers=cluster.bootstrap.split(","), group_id=None,
                          isolation_level=level)
            for level in ("read_uncommitted", "read_committed")]
        self.places = [TopicPartition(topic, partition) for topic, count in topics.items()
                       for partition in range(count)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for consumer in self._consumers:
            consumer.close()

    def all(self):
        return dict(self._consumers[0].end_offsets(self.places))

    def held_back(self):
        """Partitions with an open transaction, and where it begins."""
        stable = self._consumers[1].end_offsets(self.places)
        ends = self.all()
        return {place: stable[place] for place in self.places if stable[place] < ends[place]}


def kill(victim, rates, is_within):
    """Kills at a random moment, or at one when a transaction of the victim is open."""
    deadline = time.monotonic() + SECONDS
    while is_within:
        time.sleep(random.uniform(0, 0.05))
        victim.pause()
        held = rates.held_back()
        if held:
            time.sleep(STANDS_STILL)
            later = rates.held_back()
            if any(later.get(place) == offset for place, offset in held.items()):
                break
        victim.resume()
        if time.monotonic() > deadline:
            sys.exit("no transaction was ever open")
    if not is_within:
        time.sleep(random.uniform(0, 1))
        while rates.held_back():
            pass
    victim.kill()
    return time.time()


def take_over(cluster, folder, number, settings, is_within):
    """One takeover; whether it came in time."""
    folder = pathlib.Path(folder) / str(number)
    instances = [service.Service(cluster, folder, f"{number}-{index}", settings)
                 for index in range(2)]
    with contextlib.ExitStack() as stack:
        for one in instances:
            stack.callback(one.end)
            one.start()
        kafka_cluster.wait_until(lambda: is_up_to_date(cluster, settings), "the present", SECONDS)
        victim, other = instances
        owned = owned_by(cluster, settings, victim.name)
        time.sleep(3)
        rates = {settings["kafka"]["rates_topic"]: RATES_PARTITIONS}
        with Ends(cluster, rates) as of_rates, Ends(cluster, {TOPIC: PARTITIONS} | rates) as of_all:
            killed = kill(victim, of_rates, is_within)
            ends = of_all.all()
            times = watch(cluster, owned, ends, killed, of_rates)
        return report(settings, is_within, owned, times, other, killed)


def watch(cluster, owned, ends, killed, rates):
    """Seconds after the kill when each group has committed what there was, and when no
    transaction held the rates log back any more."""
    groups = {group for group, *_ in owned}
    wanted = {group: {place for place in ends for owner, topic, partition in owned
                      if owner == group and (place.topic, place.partition) == (topic, partition)}
              for group in groups}
    times = {}
    held = rates.held_back()
    with cluster.admin() as admin:
        while times.keys() != groups | {"released"}:
            if time.time() - killed > SECONDS:
                sys.exit(f"no takeover within {SECONDS} s: {times}")
            for group in groups - times.keys():
                offsets = admin.list_group_offsets(group)[group]
                if all(place in offsets and offsets[place].offset > ends[place]
                       for place in wanted[group]):
                    times[group] = time.time() - killed
            if "released" not in times:
                now = rates.held_back()
                if not any(now.get(place) == offset for place, offset in held.items()):
                    times["released"] = time.time() - killed
            time.sleep(kafka_cluster.POLL_SECONDS)
    return times


def report(settings, is_within, owned, times, other, killed):
    released = times.pop("released")
    session = int(settings["kafka"]["session_timeout"].rstrip("s"))
    reading, phases = read_log(other, killed)
    allowed = session + TAKEOVER_SECONDS + reading
    took = max(times.values())
    places = {stage: sum(group.endswith(stage) for group, *_ in owned)
              for stage in ("ingest", "detect")}
    when = "within a transaction" if is_within else "between transactions"
    print(f"session {session} s, killed {when}, {places['ingest']} sources and "
          f"{places['detect']} partitions: consumed again after {took:.1f} s, allowed "
          f"{allowed:.1f} s, of which reading again {reading:.1f} s")
    stages = ", ".join(f"{group.rsplit('-', 1)[1]} {seconds:.1f} s"
                       for group, seconds in sorted(times.items()))
    print(f"  {stages}; rates log held back for {released:.1f} s\n  {phases}", flush=True)
    return took <= allowed


def read_log(other, killed):
    """Seconds of reading again, and what else happened when, after the kill."""
    told = {}
    for line in other.log_text().splitlines():
        stamp = line.split(maxsplit=1)[0]
        with contextlib.suppress(ValueError):
            at = datetime.datetime.fromisoformat(stamp).timestamp() - killed
            for mark, phase in PHASES.items():
                if at > 0 and mark in line:
                    told.setdefault(phase, []).append(at)
    begun, counting = told.get("reading again"), told.get("counting")
    reading = max(counting) - min(begun) if begun and counting else 0
    phases = "; ".join(f"{phase} {min(at):.1f}" + f" to {max(at):.1f}" * (len(at) > 1)
                       for phase, at in told.items())
    return reading, phases


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--session", type=int, action="append")
    parser.add_argument("--horizon", type=int, default=30 if common.IS_LONG else 5)
    parser.add_argument("--repeat", type=int, default=1)
    arguments = parser.parse_args()
    is_late = False
    with common.scratch() as folder, kafka_cluster.Cluster(pathlib.Path(folder) / "k") as cluster:
        cluster.create_topic(TOPIC, PARTITIONS)
        with Stream(cluster, arguments.horizon + MORE_MINUTES):
            number = 0
            for session in arguments.session or [4, 15]:
                for is_within in [False, True] * arguments.repeat:
                    number += 1
                    settings = settings_of(f"takeover-{number}", session, arguments.horizon)
                    is_late |= not take_over(cluster, folder, number, settings, is_within)
    sys.exit(3 if is_late else 0)


if __name__ == "__main__":
    main()
