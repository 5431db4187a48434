#!/usr/bin/env python3
"""Whether the service on a real Kafka says what a replay of the same events says, byte for byte.

Events with planted incidents are replayed, which gives the insights to be expected. Then services
read them from Kafka: undisturbed; killed, stopped and cut off from a broker that is killed, at
random moments; as one, two and four processes; and from a topic whose events are spread without
any rule. Each time the records of the output topic must be the expected ones, none lost, none
doubled. A difference ends with exit code 3; the folder is then kept, and the seed told.

    kafka_exactly_once.py [--part a|b|c|d ...] [--seed N] [--rounds N]

With INSIGHTD_BENCH_SIZE=long there are 100 rounds of failures, and 2 million events.
"""

import argparse
import collections
import concurrent.futures
import csv
import datetime
import functools
import json
import logging
import os
import pathlib
import random
import re
import shutil
import signal
import sys
import tempfile
import time

import common
import kafka_cluster
import records
import service
from service import Feeder, Service, ServiceError

BEGIN = datetime.datetime(2024, 1, 1)
LATENESS = datetime.timedelta(minutes=10)
# Nothing is judged before a series has two days of history.
WARM_UP_HOURS = 48
DAYS, SERIES, ROUNDS, RATES_PARTITIONS = (16, 260, 100, 64) if common.IS_LONG else (3, 100, 5, 8)
PARTITIONS = 4
# One broker that is its own controller forgets marks of transactions when it is killed and started
# again (it finds no leader while it is shut out as its own predecessor); of three none is needed.
BROKERS = 3
SESSION_SECONDS = 4
# What an operator may expect of a takeover, beside the session timeout, and what this machine
# needs for the work that is left.
TAKEOVER_SECONDS = 5
WORK_SECONDS = 10
DONE_SECONDS = 1200 if common.IS_LONG else 90

PROFILES = {
    "compat": {"profile": "compat"},
    # So many that the threshold of the fleet moves with its hours, and incidents pass it.
    "default": {"profile": "default", "budget_per_week": 2000.0},
}


def say(text):
    print(text, flush=True)


def utc(time_):
    return time_.strftime("%Y-%m-%dT%H:%M:%SZ")


# --- traffic ----------------------------------------------------------------------------------


class Traffic:
    """Events as a file, with and without those that come twice, and what a replay says of them."""

    end = BEGIN + datetime.timedelta(days=DAYS)

    def __init__(self, folder, seed):
        self.folder = folder
        self.path = folder / "events.ndjson"
        self.unique = folder / "unique.ndjson"
        base = ["simulate", "--days", DAYS, "--series", SERIES, "--seed", seed,
                "--start", utc(BEGIN)]
        common.run(*base, "--format", "rates", "--out", folder / "rates.csv")
        self._plan(random.Random(seed))
        common.run(*base, "--inject", folder / "plan.csv", "--out", self.path)
        self.doubles = self._drop_doubles()

    def expected(self, profile, path):
        """Records that a replay writes until the end."""
        name = f"{path.stem}-{profile}"
        configuration = self.folder / f"{name}.toml"
        service.write_toml(settings_of("replay", profile), configuration)
        out = self.folder / f"{name}.out"
        done = common.run("replay", "-c", configuration, "--until", utc(self.end), "--out", out,
                          path)
        if re.search(r"\b[0-9]+ late\b", done.stderr):
            raise ServiceError(f"late events make the order of partitions matter:\n{done.stderr}")
        return out.read_bytes().splitlines()

    @functools.cache
    def parts(self, path, keyed_by):
        return service.split(path, self.folder, PARTITIONS, keyed_by, self.last_line)

    def last_line(self, part):
        """An event that closes all minutes of its partition before the end, and no more."""
        return json.dumps({
            "eventVersion": "1.11", "eventTime": utc(self.end + LATENESS),
            "eventSource": "judge.amazonaws.com", "eventName": "CloseMinutes",
            "awsRegion": "us-east-1", "eventID": f"00000000-0000-4000-8000-{part:012}",
            "readOnly": False, "eventType": "AwsApiCall", "managementEvent": True,
            "recipientAccountId": "111122223333", "eventCategory": "Management",
        })

    def _plan(self, rng):
        """Plants an incident or two in every series, after its warm-up."""
        totals = collections.Counter()
        with open(self.folder / "rates.csv", newline="") as rows:
            for row in csv.DictReader(rows):
                key = [row[name] for name in (
                    "account", "region", "event_source", "event_name", "error_code")]
                totals[tuple(key)] += int(row["count"])
        lines = []
        for *names, error in sorted(totals):
            is_busy = totals[(*names, error)] > 3 * 60 * 24 * DAYS
            for _ in range(rng.randint(1, 2)):
                begin = rng.randint((WARM_UP_HOURS - 8) * 60, (DAYS * 24 - 1) * 60)
                begin = BEGIN + datetime.timedelta(minutes=begin)
                end = begin + datetime.timedelta(minutes=rng.randint(5, 20))
                burst = f"burst {rng.randint(12, 30)}"
                kind = rng.choice(["drop 0", "surge 4"]) if is_busy else burst
                insight = "ApiErrorRateInsight" if error else "ApiCallRateInsight"
                lines.append([*names, insight, error, utc(begin), utc(end), kind])
        plan = "".join(",".join(line) + "\n" for line in lines)
        (self.folder / "plan.csv").write_text(plan)

    def _drop_doubles(self):
        seen = set()
        doubles = 0
        with open(self.path, "rb") as lines, open(self.unique, "wb") as unique:
            for line in lines:
                event = re.search(rb'"eventID":"([^"]*)"', line).group(1)
                doubles += event in seen
                if event not in seen:
                    unique.write(line)
                seen.add(event)
        return doubles


def settings_of(group, profile, topic="audit", **more):
    return service.merged(service.deployment(group, detector=PROFILES[profile]), {
        "kafka": {"input_topics": [topic], "rates_partitions": RATES_PARTITIONS,
                  "session_timeout": f"{SESSION_SECONDS}s"},
    }, more)


# --- what is compared -------------------------------------------------------------------------


class Judge:
    """What the parts share: the cluster, the traffic, and the random moments."""

    def __init__(self, folder, cluster, traffic, arguments):
        self.folder = folder
        self.cluster = cluster
        self.traffic = traffic
        self.rng = random.Random(arguments.seed)
        self.rounds = arguments.rounds

    def topic(self, name, path, keyed_by):
        """A feeder for a new topic."""
        parts = self.traffic.parts(path, keyed_by)
        self.cluster.create_topic(name, PARTITIONS)
        return Feeder(self.cluster, name, parts), parts

    def services(self, settings, names):
        """Services by name and role, started."""
        folder = self.folder / settings["kafka"]["group"]
        return [Service(self.cluster, folder, name,
                        service.merged(settings, {"": {"role": role}})).start()
                for name, role in names]

    def settle(self, what, settings, services, expected, seconds=DONE_SECONDS):
        """Waits until all is done, compares, and ends the services; the seconds until done."""
        took = service.wait_until_done(self.cluster, settings, services, seconds)
        self.compare(what, settings, expected)
        check_health(services)
        for one in services:
            if (code := one.terminate()) != 0:
                raise ServiceError(f"{one.name} ended with {code} after SIGTERM")
        self.compare(f"{what}, after the end", settings, expected)
        return took

    def compare(self, what, settings, expected):
        """Ends with the first records that differ, if any do; all are then left in files."""
        output = service.read_output(self.cluster, settings["kafka"]["output_topic"])
        wanted = collections.Counter(expected)
        found = collections.Counter(record.value for record in output)
        missing, surplus = wanted - found, found - wanted
        if not missing and not surplus:
            return
        doubled = sum(value in wanted for value in surplus)
        say(f"WRONG: {what}: {len(expected)} records expected, {len(output)} found, "
            f"{missing.total()} missing, {surplus.total()} too many, {doubled} of them doubled")
        for line in records.differences(missing, surplus):
            say(f"  {line}")
        folder = self.folder / settings["kafka"]["group"]
        lines = {"expected": expected, "found": [record.value for record in output]}
        for name, values in lines.items():
            (folder / f"{name}.ndjson").write_bytes(b"".join(value + b"\n" for value in values))
        places = [{name: value.decode() for name, value in record.headers.items()}
                  for record in output]
        (folder / "headers.json").write_text(json.dumps(places, indent=1))
        raise ServiceError(f"{what}: the records differ; they are in {folder}")


def check_health(services):
    """Whether all live, none complained of a bug, and counters of bugs are 0."""
    for one in services:
        one.require_alive()
        if alarms := one.alarms():
            raise ServiceError(f"{one.name}: {alarms[0]}")
        for counter in service.COUNTERS_AT_REST:
            if one.metric(counter) not in (None, 0):
                raise ServiceError(f"{one.name}: {counter} is {one.metric(counter)}")


# --- a: undisturbed ---------------------------------------------------------------------------


def judge_undisturbed(judge):
    feeder, parts = judge.topic("audit", judge.traffic.path, "series")
    feeder.feed()
    for profile in PROFILES:
        expected = judge.traffic.expected(profile, judge.traffic.path)
        settings = settings_of(f"undisturbed-{profile}", profile)
        services = judge.services(settings, [("one", "all")])
        took = judge.settle(f"undisturbed, {profile}", settings, services, expected)
        say(f"a: undisturbed, {profile}: {parts.lines} events in {took:.1f} s, "
            f"{len(expected)} records as expected")


# --- b: failures at random moments ------------------------------------------------------------


class Chaos:
    """Rounds of failures while events come in."""

    def __init__(self, judge):
        self.judge = judge
        self.rng = judge.rng
        self.feeder, self.parts = judge.topic("audit-chaos", judge.traffic.path, "series")
        self.settings = settings_of("chaos", "default", "audit-chaos")
        self.services = judge.services(self.settings, [
            ("ingest-0", "ingest"), ("ingest-1", "ingest"),
            ("detect-0", "detect"), ("detect-1", "detect")])
        self.failures = [
            ("ingest killed", lambda: self.kill(self.one_of("ingest"))),
            ("detect killed", lambda: self.kill(self.one_of("detect"))),
            ("broker killed", self.kill_broker),
            ("ingest stopped", lambda: self.stop(self.one_of("ingest"))),
            ("detect stopped", lambda: self.stop(self.one_of("detect"))),
        ]
        self.ends = [
            ("ingest ended", lambda: self.terminate(self.one_of("ingest"))),
            ("detect ended", lambda: self.terminate(self.one_of("detect"))),
        ]

    def run(self):
        # The history before the first verdict comes in peace, but for the first round.
        lines = self.parts.lines
        first = int(lines * (WARM_UP_HOURS - 1) / 24 / DAYS)
        # Each failure once, then again and again, with orderly ends among them.
        kinds = self.rng.sample(self.failures, len(self.failures))
        while len(kinds) < self.judge.rounds:
            more = self.failures + self.ends
            kinds += self.rng.sample(more, len(more))
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            feeding = pool.submit(self.feeder.feed, first)
            for index, (name, failure) in enumerate(kinds[:self.judge.rounds]):
                moment = self.rng.uniform(0, 3)
                self.watch(moment)
                told = failure()
                say(f"b: round {index + 1}: {name} after {moment:.2f} s{told}")
                feeding.result()
                share = (index + 1) / self.judge.rounds
                feeding = pool.submit(self.feeder.feed, first + int((lines - first) * share))
            feeding.result()

    def one_of(self, role):
        return self.rng.choice([one for one in self.services if one.name.startswith(role)])

    def kill(self, one):
        one.kill()
        # At once, as a supervisor does; or so late that others have taken over.
        pause = self.rng.choice([0, self.rng.uniform(0, 2 * SESSION_SECONDS)])
        self.watch(pause, without=one)
        one.start()
        return f": {one.name}, started again after {pause:.1f} s"

    def terminate(self, one):
        if (code := one.terminate()) != 0:
            raise ServiceError(f"{one.name} ended with {code} after SIGTERM")
        one.start()
        return f": {one.name}, started again"

    def stop(self, one):
        """A zombie: others take over, then it goes on as if nothing had happened."""
        one.pause()
        pause = SESSION_SECONDS + self.rng.uniform(0.5, 10)
        self.watch(pause)
        one.resume()
        return f": {one.name}, for {pause:.1f} s"

    def kill_broker(self):
        pause = self.rng.uniform(0, 6)
        index = self.rng.randrange(BROKERS)
        self.judge.cluster.wait_in_sync()
        self.judge.cluster.kill(index)
        self.watch(pause)
        self.judge.cluster.start(index)
        return f": broker {index}, started again after {pause:.1f} s"

    def watch(self, seconds, without=None):
        """Lets time pass; whoever ends meanwhile does so on its own."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for one in self.services:
                if one is not without:
                    one.require_alive()
            time.sleep(min(kafka_cluster.POLL_SECONDS, max(0, until - time.monotonic())))


def judge_chaos(judge):
    expected = judge.traffic.expected("default", judge.traffic.path)
    chaos = Chaos(judge)
    started = time.monotonic()
    try:
        chaos.run()
        took = judge.settle("failures", chaos.settings, chaos.services, expected)
    finally:
        for one in chaos.services:
            one.end()
    say(f"b: {judge.rounds} rounds of failures, {chaos.parts.lines} events, "
        f"{time.monotonic() - started:.0f} s, the last {took:.1f} s in peace: "
        f"{len(expected)} records as expected")


# --- c: more instances ------------------------------------------------------------------------


def judge_scale_out(judge):
    if "audit" not in judge.cluster.topics():
        judge.topic("audit", judge.traffic.path, "series")[0].feed()
    expected = judge.traffic.expected("default", judge.traffic.path)
    # One instance is what part a has.
    settings = settings_of("scale-2", "default")
    services = judge.services(settings, [(f"scale-2-{index}", "all") for index in range(2)])
    took = judge.settle("2 instances", settings, services, expected)
    say(f"c: 2 instances: done in {took:.1f} s, {len(expected)} records as expected")
    judge_takeover(judge, expected)


def judge_takeover(judge, expected):
    feeder, parts = judge.topic("audit-live", judge.traffic.path, "series")
    settings = settings_of("scale-4", "default", "audit-live")
    services = judge.services(settings, [(f"scale-4-{index}", "all") for index in range(4)])
    feeder.feed(parts.lines * 49 // 50)
    service.wait_until_done(judge.cluster, settings, services, DONE_SECONDS)
    before = ownership(judge, settings, [one.name for one in services])
    killed = services.pop(judge.rng.randrange(len(services)))
    killed.kill()
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        feeding = pool.submit(feeder.feed)
        after = ownership(judge, settings, [one.name for one in services])
        owned = time.monotonic() - started
        feeding.result()
    if owned > SESSION_SECONDS + TAKEOVER_SECONDS:
        raise ServiceError(f"partitions of {killed.name} were taken over after {owned:.1f} s only")
    for stage, members in after.items():
        for name, places in members.items():
            if moved := set(before[stage].get(name, [])) - set(places):
                raise ServiceError(f"{stage}: {name}, which lived, lost {sorted(moved)}")
    most = SESSION_SECONDS + TAKEOVER_SECONDS + WORK_SECONDS
    service.wait_until_done(judge.cluster, settings, services, most)
    took = time.monotonic() - started
    if took > most:
        raise ServiceError(f"the rest was done {took:.1f} s after a kill only")
    judge.settle("4 instances, one killed", settings, services, expected)
    moved = {stage: len(members.get(killed.name, [])) for stage, members in before.items()}
    say(f"c: 4 instances, one killed: only its {moved} moved, within {owned:.1f} s; done with the "
        f"rest after {took:.1f} s, {len(expected)} records as expected")


def ownership(judge, settings, names):
    """Who owns what in both groups, once exactly `names` are members and own everything."""
    kafka = settings["kafka"]
    counts = {"ingest": PARTITIONS, "detect": RATES_PARTITIONS}

    def settled():
        found = {}
        for stage, count in counts.items():
            members, state = service.members(judge.cluster, f"{kafka['group']}-{stage}")
            owned = sum(map(len, members.values()))
            if state != "Stable" or owned != count or not set(members) <= set(names):
                return None
            found[stage] = members
        return found
    return kafka_cluster.wait_until(settled, f"ownership of all by {names}",
                                    kafka_cluster.READY_SECONDS)


# --- d: a topic without an order --------------------------------------------------------------


def judge_badly_keyed(judge):
    expected = judge.traffic.expected("default", judge.traffic.unique)
    feeder, parts = judge.topic("audit-badly", judge.traffic.unique, "badly")
    feeder.feed()
    settings = settings_of("badly", "default", "audit-badly")
    services = judge.services(settings, [("badly-0", "all")])
    took = judge.settle("badly keyed", settings, services, expected)
    say(f"d: keyed badly: {parts.lines} events without {judge.traffic.doubles} that came twice, "
        f"in {took:.1f} s, {len(expected)} records as expected")


PARTS = {"a": judge_undisturbed, "c": judge_scale_out, "d": judge_badly_keyed, "b": judge_chaos}


def judge_all(folder, arguments):
    started = time.monotonic()
    traffic_folder = folder / "traffic"
    traffic_folder.mkdir()
    traffic = Traffic(traffic_folder, arguments.seed)
    say(f"traffic of {DAYS} days made in {time.monotonic() - started:.1f} s")
    for brokers, parts in ((1, "acd"), (BROKERS, "b")):
        wanted = [part for part in PARTS if part in parts and part in (arguments.part or PARTS)]
        if not wanted:
            continue
        with kafka_cluster.Cluster(folder / f"kafka-{brokers}", brokers) as cluster:
            for part in wanted:
                PARTS[part](Judge(folder, cluster, traffic, arguments))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", action="append", choices=sorted(PARTS))
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    kafka_cluster.kafka_jars()
    say(f"seed {arguments.seed}")
    started = time.monotonic()
    folder = pathlib.Path(tempfile.mkdtemp(dir=os.environ.get("INSIGHTD_SCRATCH")))
    try:
        judge_all(folder, arguments)
    except (ServiceError, kafka_cluster.ClusterError) as error:
        say(f"WRONG: {error}\nseed {arguments.seed}; all is kept in {folder}")
        sys.exit(3)
    shutil.rmtree(folder)
    say(f"all as expected, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
