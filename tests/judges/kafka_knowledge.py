#!/usr/bin/env python3
"""Whether a service on a real Kafka heeds mutes and feedback, and as a replay heeds them.

Two instances read events with planted surges. Over the command line insights of one API are muted,
and one of another is called the new normal; the instance that coordinates is killed while a muted
incident is open, and a request comes while nobody coordinates. What is published has to be, byte
for byte, what a replay writes that is given the exported knowledge. A difference ends with exit
code 3; the folder is then kept.
"""

import collections
import datetime
import json
import logging
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import common
import kafka_cluster
import records
import service
from service import Feeder, Service, ServiceError

BEGIN = datetime.datetime(2024, 1, 1)
PARTITIONS = 2
END = 57 * 60
DONE_SECONDS = 60
# One for each thing that is said here; what is over it is refused.
RECORDS_MAX = 4
# First and last minute of each surge, by API; nothing is judged before the 49th hour.
SURGES = {
    "Renewed": [(49 * 60 + 10, 49 * 60 + 20), (53 * 60, 53 * 60 + 10)],
    "Muted": [(50 * 60 + 40, 50 * 60 + 50), (55 * 60, 55 * 60 + 10)],
    "Loud": [(50 * 60 + 45, 50 * 60 + 55), (53 * 60 + 5, 53 * 60 + 15)],
}


def say(text):
    print(text, flush=True)


def time_at(minute, second=0):
    moment = BEGIN + datetime.timedelta(minutes=minute, seconds=second)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


# --- traffic ----------------------------------------------------------------------------------


def event(name, minute, number):
    identifier = f"{minute:08x}-0000-4000-8000-{sum(name.encode()):06x}{number:06x}"
    return json.dumps({
        "eventVersion": "1.11", "eventTime": time_at(minute, number % 60),
        "eventSource": "judge.amazonaws.com", "eventName": name, "awsRegion": "us-east-1",
        "eventID": identifier, "readOnly": False, "eventType": "AwsApiCall",
        "managementEvent": True, "recipientAccountId": "111122223333",
        "eventCategory": "Management"})


class Traffic:
    """Two calls of every API a minute, forty in a surge; partitions take the events in turns."""

    def __init__(self, folder):
        self.path = folder / "events.ndjson"
        # Lines before each minute.
        self.before = []
        lines = []
        for minute in range(END):
            self.before.append(len(lines))
            for name, surges in SURGES.items():
                is_surge = any(first <= minute < last for first, last in surges)
                lines += [event(name, minute, call) for call in range(40 if is_surge else 2)]
        self.path.write_text("".join(line + "\n" for line in lines))
        self.parts = service.split(self.path, folder, PARTITIONS, "badly",
                                   lambda part: event("Last", END + 15, part))


# --- the deployment ---------------------------------------------------------------------------


class Deployment:
    """Two instances, and the command line of whoever knows something."""

    def __init__(self, folder, cluster):
        self.folder = folder
        self.cluster = cluster
        self.settings = service.merged(service.deployment("known", detector={"fixed_z": 3.0}), {
            "kafka": {"input_topics": ["audit"], "rates_partitions": 4},
            "knowledge": {"records_max": RECORDS_MAX},
        })
        self.traffic = Traffic(folder)
        cluster.create_topic("audit", PARTITIONS)
        self.feeder = Feeder(cluster, "audit", self.traffic.parts)
        self.services = [Service(cluster, folder, name, self.settings) for name in ("one", "two")]

    def feed(self, minute=None):
        """Feeds what is before a minute, or all, and waits until all of it is judged."""
        self.feeder.feed(None if minute is None else self.traffic.before[minute])
        living = [one for one in self.services if one.is_running()]
        service.wait_until_done(self.cluster, self.settings, living, DONE_SECONDS)

    def command(self, *arguments, code=0, says=""):
        """Runs the command line with an instance's configuration; what it prints."""
        configuration = ["-c", self.services[0].configuration]
        done = common.run(*arguments, *configuration, check=False)
        if done.returncode != code or says not in done.stderr:
            raise ServiceError(f"{arguments} ended with {done.returncode}: {done.stderr}")
        return done.stdout.strip()

    def why(self, reason):
        return ["--owner", "the judge", "--reason", reason]

    def output(self):
        found = service.read_output(self.cluster, self.settings["kafka"]["output_topic"])
        return [record.value for record in found]

    def starts(self):
        """Starts published so far, by API, as (minute, sharedEventID)."""
        starts = collections.defaultdict(list)
        for value in self.output():
            record = json.loads(value)
            if record["insightDetails"]["state"] == "Start":
                name = record["insightDetails"]["eventName"]
                starts[name].append((record["eventTime"], record["sharedEventID"]))
        return starts

    def coordinator(self):
        leading = [one for one in self.services if one.metric("insightd_coordinator") == 1]
        return leading[0] if len(leading) == 1 else None


def require(is_right, what):
    if not is_right:
        raise ServiceError(what)


def write_garbage(deployment):
    """What claims to be a request and is none."""
    subprocess.run(["kcat", "-P", "-b", deployment.cluster.bootstrap, "-K", ":", "-p", "0",
                    "-t", deployment.settings["kafka"]["coordination_topic"]],
                   input=b"request:no request at all\n", check=True, capture_output=True)


# --- what is compared -------------------------------------------------------------------------


def replayed(deployment, export, name):
    """Records that a replay writes that knows what was exported."""
    configuration = deployment.folder / f"{name}.toml"
    settings = {key: keys for key, keys in deployment.settings.items() if key != "knowledge"}
    knowledge = deployment.folder / f"{name}.ndjson"
    knowledge.write_text(export)
    service.write_toml(
        service.merged(settings, {"knowledge": {"path": str(knowledge)}}), configuration)
    out = deployment.folder / f"{name}.out"
    common.run("replay", "-c", configuration, "--until", time_at(END), "--out", out,
               deployment.traffic.path)
    return out.read_bytes().splitlines()


def compare(deployment, expected):
    wanted, found = collections.Counter(expected), collections.Counter(deployment.output())
    missing, surplus = wanted - found, found - wanted
    if missing or surplus:
        for line in records.differences(missing, surplus):
            say(f"  {line}")
        raise ServiceError(f"{missing.total()} records are missing, {surplus.total()} too many")


def tell(deployment):
    """Mutes one API and calls the level of another normal; the mute."""
    renewed = deployment.starts()["Renewed"]
    require(len(renewed) == 1, f"one surge so far: {renewed}")
    moment = ["--from", time_at(50 * 60 + 30)]
    mute = deployment.command("mute", "add", "--event-name", "Muted", *moment, "--until", "30d",
                              *deployment.why("a migration"))
    deployment.command("feedback", "--id", renewed[0][1], "--verdict", "new-normal", *moment,
                       *deployment.why("the new level"))
    write_garbage(deployment)
    require(mute in deployment.command("mute", "list"), "the mute is listed")
    return mute


def fail_over(deployment):
    """Kills the instance that coordinates while a muted incident is open; a request comes before
    another takes over."""
    leader = kafka_cluster.wait_until(deployment.coordinator, "a coordinator", DONE_SECONDS)
    leader.kill()
    started = time.monotonic()
    other = deployment.command("mute", "add", "--event-name", "Nobody", "--from",
                               time_at(52 * 60), "--until", "30d", *deployment.why("in between"))
    took = time.monotonic() - started
    leader.start()
    require(other in deployment.command("mute", "list"), "what was asked in between is known")
    return took


def judge(deployment):
    deployment.command("mute", "list", code=1, says="which the service makes when it first runs")
    for one in deployment.services:
        one.start()
    deployment.feed(50 * 60)
    mute = tell(deployment)
    deployment.feed(50 * 60 + 58)
    took = fail_over(deployment)
    deployment.feed(54 * 60)
    starts = deployment.starts()
    require("Muted" not in starts and len(starts["Loud"]) == 2, f"hidden and told: {starts}")
    require(len(starts["Renewed"]) == 1, f"a new normal: {starts}")
    for _ in ("said", "and said again, which changes nothing"):
        deployment.command("mute", "remove", mute, "--from", time_at(54 * 60 + 30),
                           *deployment.why("it is done"))
    deployment.command("mute", "add", "--account", "*", "--until", "30d", *deployment.why("more"),
                       code=1, says="knowledge.records_max")
    deployment.feed()
    require(len(deployment.starts()["Muted"]) == 1, "what comes after the removal is told")
    export = deployment.command("mute", "list", "--export") + "\n"
    require(export == deployment.command("feedback", "list", "--export") + "\n", "one export")
    expected = replayed(deployment, export, "knowing")
    compare(deployment, expected)
    innocent = len(replayed(deployment, "", "innocent"))
    require(innocent > len(expected), "without knowledge more is told")
    check_counts(deployment)
    say(f"{deployment.traffic.parts.lines} events, {len(expected)} records as a replay writes "
        f"that knows what was said, of {innocent}; an answer {took:.1f} s after the coordinator "
        f"was killed")
    wait_in_vain(deployment)


def check_counts(deployment):
    for one in deployment.services:
        one.require_alive()
        require(not one.alarms(), f"{one.name}: {one.alarms()}")
        for counter in service.COUNTERS_AT_REST:
            require(one.metric(counter) in (None, 0), f"{one.name}: {counter}")
        answers = {labels["outcome"]: value for labels, value in
                   one.samples("insightd_knowledge_requests_total")}
        require(answers == {"known": RECORDS_MAX, "refused": 1, "unreadable": 1},
                f"{one.name} has read {answers}")
    muted = sum("an insight is muted" in line for one in deployment.services
                for line in one.log_text(is_whole=True).splitlines())
    require(muted >= 2, f"both ends of the muted pair are in the logs, not {muted}")


def wait_in_vain(deployment):
    """A request that no instance answers stands there until one runs."""
    for one in deployment.services:
        require(one.terminate() == 0, f"{one.name} ended in peace")
    deployment.command("mute", "add", "--event-name", "Nobody", "--until", "9d",
                       *deployment.why("in vain"), says="is heeded when one runs")
    deployment.command("mute", "list", says="1 more wait")
    first = deployment.services[0].start()
    kafka_cluster.wait_until(
        lambda: first.value("insightd_knowledge_requests_total", outcome="refused") == 2,
        "answer to what was asked while nobody ran", DONE_SECONDS)


def main():
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    kafka_cluster.kafka_jars()
    started = time.monotonic()
    folder = pathlib.Path(tempfile.mkdtemp(dir=os.environ.get("INSIGHTD_SCRATCH")))
    try:
        with kafka_cluster.Cluster(folder / "kafka") as cluster:
            deployment = Deployment(folder, cluster)
            try:
                judge(deployment)
            finally:
                for one in deployment.services:
                    one.end()
    except (ServiceError, kafka_cluster.ClusterError) as error:
        say(f"WRONG: {error}\nall is kept in {folder}")
        sys.exit(3)
    shutil.rmtree(folder)
    say(f"all as expected, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
