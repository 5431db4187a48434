#!/usr/bin/env python3
"""What fails around the service on a real Kafka, row by row of docs/failures.md.

Each row is a function that makes one thing go wrong and looks at what must come of it; the records
of the output topic are always compared with those of a replay of the same events. Rows that need
no broker are the simulator's, rows that `kafka_exactly_once.py` and `kafka_outside.py` prove are
not repeated; the page says which is where. Prints a line for each fact; ends with exit code 3 when
one does not hold.

    kafka_failures.py [--row N ...] [--seed N]
"""

import argparse
import collections
import concurrent.futures
import contextlib
import functools
import json
import logging
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zlib

from kafka import KafkaProducer, TopicPartition
from kafka.record.util import calc_crc32c

import facts
import kafka_cluster
import planted
import records
import service
from facts import comes, fact, part
from kafka_cluster import wait_until
from planted import WARM_UP_HOURS

PARTITIONS = 4
RATES_PARTITIONS = 4
SESSION_SECONDS = 3
DONE_SECONDS = 60
# What an operator gives a process to end before it is killed.
GRACE_SECONDS = 10
# Readers wait so long for the open transaction of a process that stands still.
TRANSACTION_SECONDS = 15
# Rows at a time: most of a row is waiting.
WORKERS = 4
PROFILES = {
    "compat": {"profile": "compat"},
    "default": {"profile": "default", "budget_per_week": 2000.0},
}


def settings_of(group, topic, *changes, profile="compat"):
    return service.merged(service.deployment(group, detector=PROFILES[profile]), {
        "kafka": {"input_topics": [topic], "rates_partitions": RATES_PARTITIONS,
                  "session_timeout": f"{SESSION_SECONDS}s"},
        "kafka.properties": {"topic.metadata.refresh.interval.ms": 1000},
        "checkpoint": {"interval": "1s"},
    }, *changes)


class Judge:
    """What the rows share: the cluster, the events, and what a service says of them in peace."""

    def __init__(self, folder, cluster, events, seed):
        self.folder = folder
        self.cluster = cluster
        self.events = events
        self.seed = seed
        self._partitions = {}
        self.cpu_seconds = None

    def look_at_peace(self):
        """Nothing fails: which partition of the rates log each API is in, and what it costs."""
        with Deployment(self, "peace") as peace:
            peace.feed()
            one = peace.start("one")
            peace.wait_until_done()
            self.cpu_seconds = cpu_seconds(one)
            peace.settle("nothing fails")
            for found in peace.output():
                partition = int(found.headers["insightd_partition"])
                self._partitions[api_of(found.value)] = partition
        fact(f"nothing fails: {len(self._partitions)} APIs in {RATES_PARTITIONS} partitions",
             set(self._partitions.values()) == set(range(RATES_PARTITIONS)))

    def partition_of(self, value):
        """The partition of the rates log that a record comes from."""
        return self._partitions[api_of(value)]


class Deployment:
    """Services that work together on a topic of their own; all are killed at the end."""

    def __init__(self, judge, name, *changes, profile="compat", topic=None, parts=None,
                 partitions=PARTITIONS):
        self.judge = judge
        self.cluster = judge.cluster
        self.name = name
        self.topic = topic or f"audit-{name}"
        self.settings = settings_of(name, self.topic, *changes, profile=profile)
        self.folder = judge.folder / name
        self.checkpoints = self.folder / "checkpoints" / name
        self.services = []
        self._parts = parts or judge.events.parts
        self._partitions = partitions
        self._feeder = None

    def __enter__(self):
        if self.topic not in self.cluster.topics():
            self.cluster.create_topic(self.topic, self._partitions)
            self._feeder = service.Feeder(self.cluster, self.topic, self._parts)
        return self

    def __exit__(self, *_):
        for one in self.services:
            one.end()

    def feed(self, hour=None):
        """Until the topic holds all events before an hour, or all."""
        self._feeder.feed(None if hour is None else self.judge.events.lines_before(hour))

    def feed_lines(self, lines):
        self._feeder.feed(lines)

    def add(self, name, *changes, environment=None):
        """A service that is not started."""
        settings = service.merged(self.settings, *changes)
        one = service.Service(self.cluster, self.folder, name, settings, environment)
        self.services.append(one)
        return one

    def start(self, name, *changes, environment=None):
        return self.add(name, *changes, environment=environment).start()

    def running(self):
        return [one for one in self.services if one.is_running()]

    def wait_until_done(self, seconds=DONE_SECONDS):
        if not self.running():
            raise service.ServiceError(f"{self.name}: no service runs any more")
        return service.wait_until_done(self.cluster, self.settings, self.running(), seconds)

    def feed_until(self, condition, hours):
        """Feeds hour by hour, so that there is always something to commit, until a condition holds;
        whether it came to hold."""
        for hour in hours:
            if condition():
                return True
            self.feed(hour)
            self.wait_until_done()
        return comes(condition, 5)

    def output(self):
        return service.read_output(self.cluster, self.settings["kafka"]["output_topic"])

    def values(self):
        return [record.value for record in self.output()]

    def expected(self):
        return self.judge.events.expected(self.settings)

    def committed(self, stage="detect"):
        """Offsets by partition of what a stage reads."""
        known = service.committed(self.cluster, f"{self.name}-{stage}")
        return {partition: offset for (_, partition), offset in known.items()}

    def owners(self, stage="detect"):
        """Partitions by the name of the service that owns them; nothing while the group is
        changing."""
        members, state = service.members(self.cluster, f"{self.name}-{stage}")
        return {name: len(owned) for name, owned in members.items()} if state == "Stable" else {}

    def are_owned_by(self, *names):
        """Whether just these services own all partitions, and each some."""
        counts = {"ingest": PARTITIONS, "detect": RATES_PARTITIONS}
        for stage, count in counts.items():
            owners = {name: owned for name, owned in self.owners(stage).items() if owned}
            if set(owners) != set(names) or sum(owners.values()) != count:
                return False
        return True

    def saved(self, partition):
        """Files of the checkpoints of a partition, the newest last."""
        return sorted((self.checkpoints / f"{partition:04}").glob("*.checkpoint"))

    def check_output(self, what, expected=None):
        """The output topic holds what is expected, none lost, none doubled."""
        expected = self.expected() if expected is None else expected
        output = self.values()
        wanted, found = collections.Counter(expected), collections.Counter(output)
        missing, surplus = wanted - found, found - wanted
        fact(f"{what}: {len(expected)} records, as a replay", not missing and not surplus,
             f"{len(output)} found, {missing.total()} missing, {surplus.total()} too many",
             "\n".join(records.differences(missing, surplus)),
             *(f"{one.name}:\n{one.log_tail()}" for one in self.services))

    def check_health(self, what):
        """Those that run live, none complained of a bug, and counters of bugs are 0."""
        for one in self.services:
            alarms = one.alarms()
            fact(f"{what}: {one.name} met no bug", not alarms, *alarms)
        for one in self.running():
            values = {name: one.metric(name) for name in service.COUNTERS_AT_REST}
            fact(f"{what}: {one.name} counts no bug", not any(values.values()), values)

    def settle(self, what, expected=None):
        """All is done, as it has to be; services end when they are told to."""
        self.wait_until_done()
        self.check_output(what, expected)
        self.check_health(what)
        for one in self.running():
            code, seconds = one.end_by(signal.SIGTERM)
            fact(f"{what}: {one.name} ends with {code} in {seconds:.1f} s",
                 code == 0 and seconds <= GRACE_SECONDS, one.log_tail())


def cpu_seconds(one):
    """CPU seconds that a running service has taken."""
    text = pathlib.Path(f"/proc/{one.process.pid}/stat").read_text()
    user, system = text.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def api_of(value):
    return json.loads(value)["insightDetails"]["eventName"]


def count(one, name, **labels):
    return one.value(name, **labels) or 0


def has_restored(one):
    """Whether a service judges all partitions of the rates log."""
    restored = count(one, "insightd_restore_duration_seconds_count")
    return restored >= RATES_PARTITIONS and one.page("/ready")[0] == 200


# --- processes --------------------------------------------------------------------------------


def row_04_a_process_stopped_past_its_session_says_nothing(judge):
    """Stopped in the middle of work, replaced, and gone on: it has lost everything and joins anew.
    """
    with (Deployment(judge, "row-04") as deployment,
          concurrent.futures.ThreadPoolExecutor(1) as pool):
        deployment.feed(WARM_UP_HOURS)
        zombie, other = deployment.start("zombie"), deployment.start("other")
        wait_until(lambda: deployment.are_owned_by("zombie", "other"), "two owners", DONE_SECONDS)
        deployment.wait_until_done()
        before = count(zombie, "insightd_messages_consumed_total", stage="detect")
        feeding = pool.submit(deployment.feed, 54)
        comes(lambda: count(zombie, "insightd_messages_consumed_total", stage="detect") > before)
        zombie.pause()
        feeding.result()
        taken = comes(lambda: deployment.are_owned_by("other"), SESSION_SECONDS + 20)
        fact("row 4: a process is stopped past its session: the other takes all over", taken,
             deployment.owners(), other.log_tail())
        service.wait_until_done(judge.cluster, deployment.settings, [other], DONE_SECONDS)
        said = len(deployment.output())
        zombie.resume()
        joined = comes(lambda: deployment.are_owned_by("zombie", "other"), 40)
        fact("row 4: it goes on: it joins anew, and gets partitions", joined,
             deployment.owners("ingest"), deployment.owners("detect"), zombie.log_tail())
        lost = count(zombie, "insightd_rebalances_total", kind="lost")
        fact(f"row 4: it has noticed: {lost:.0f} times told that its partitions are others'",
             lost >= 1, zombie.samples("insightd_rebalances_total"))
        fact("row 4: of what it had in hand nothing is said", len(deployment.output()) == said)
        deployment.feed()
        deployment.settle("row 4: a zombie")


def row_05_of_two_processes_with_one_name_the_older_ends(judge):
    """Two processes with the same kafka.instance: no ping-pong, and nothing is lost or doubled."""
    name = {"kafka": {"instance": "twin"}}
    with Deployment(judge, "row-05") as deployment:
        deployment.feed(WARM_UP_HOURS)
        older = deployment.start("older", name)
        deployment.wait_until_done()
        younger = deployment.start("younger", name)
        younger.wait_for_log("partitions assigned")
        # It learns that it was shut out when it commits.
        for hour in range(WARM_UP_HOURS + 1, 55):
            if older.is_running():
                deployment.feed(hour)
                comes(lambda: not older.is_running(), 3)
        code = older.process.wait(GRACE_SECONDS) if not older.is_running() else None
        said = older.log_text().strip().splitlines()[-1]
        fact(f"row 5: two processes with one name: the older ends with {code}, {said}",
             code == 1 and "another instance runs as" in said and "kafka.instance" in said,
             older.log_tail())
        deployment.feed()
        deployment.settle("row 5: two processes with one name")
        again = [line for line in younger.log_text().splitlines() if "beginning another" in line]
        fact("row 5: the younger was never shut out in turn", not again, *again)


def row_17_members_that_come_and_go_lose_and_double_nothing(judge):
    """For a minute a second member comes or goes every two seconds, in order or not."""
    with Deployment(judge, "row-17") as deployment:
        deployment.feed(WARM_UP_HOURS)
        deployment.start("steady")
        with Progress(deployment) as progress:
            changes = come_and_go(judge, deployment)
            deployment.wait_until_done()
        # A killed member is missed after its session, and its transaction may have to time out.
        bound = 2 * SESSION_SECONDS + TRANSACTION_SECONDS
        longest = max(progress.stretches.values())
        fact(f"row 17: {changes} changes in a minute: no partition with something to read waited "
             f"for longer than {longest:.1f} s", longest <= bound, progress.stretches)
        deployment.settle("row 17: members come and go")


def come_and_go(judge, deployment):
    """Starts, ends and kills a guest until all is fed; how often."""
    chance = random.Random(judge.seed)
    guest = deployment.add("guest")
    changes = 0
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        feeding = pool.submit(feed_for_a_minute, deployment)
        while not feeding.done():
            if not guest.is_running():
                guest.start()
            elif chance.random() < 0.5:
                guest.kill()
            else:
                code, _ = guest.end_by(signal.SIGTERM)
                fact(f"row 17: the guest ends with {code}", code == 0, guest.log_tail())
            changes += 1
            concurrent.futures.wait([feeding], 2)
        feeding.result()
    guest.end()
    return changes


def feed_for_a_minute(deployment):
    steps = range(WARM_UP_HOURS, planted.HOURS)
    pause = 60 / len(steps)
    began = time.monotonic()
    for index, hour in enumerate(steps):
        deployment.feed(hour)
        # The pace of the input, not a wait for something.
        time.sleep(max(0, began + pause * (index + 1) - time.monotonic()))
    deployment.feed()


class Progress(service.Background):
    """Watches how long input partitions with something to read stand still."""

    def __init__(self, deployment):
        super().__init__()
        self._deployment = deployment
        self._since = {}
        # Longest stretch by partition.
        self.stretches = collections.Counter()

    def run(self):
        while not self._is_ended.wait(kafka_cluster.POLL_SECONDS):
            now = time.monotonic()
            committed = self._deployment.committed("ingest")
            for partition in range(PARTITIONS):
                self._look_at(partition, committed.get(partition, 0), now)

    def _look_at(self, partition, at, now):
        end = service.end_offset(self._deployment.cluster, self._deployment.topic, partition)
        last, started = self._since.get(partition, (None, now))
        if at != last or at == end:
            started = now
        self._since[partition] = (at, started)
        self.stretches[partition] = max(self.stretches[partition], now - started)


def row_18_handing_over_in_the_middle_of_restoring(judge):
    """Each process is started while the one before restores, which then ends or is killed."""
    with Deployment(judge, "row-18") as deployment:
        deployment.feed(WARM_UP_HOURS)
        first = deployment.start("first")
        deployment.wait_until_done()
        first.kill()
        last = deployment.start("heir-0")
        for index in range(1, 7):
            # Without checkpoints there is more to restore.
            shutil.rmtree(deployment.checkpoints, ignore_errors=True)
            last.wait_for_log("partitions assigned")
            heir = deployment.start(f"heir-{index}")
            deployment.feed(WARM_UP_HOURS + index)
            heir.wait_for_log("partitions assigned")
            if index % 2:
                last.kill()
            else:
                code, seconds = last.end_by(signal.SIGTERM)
                fact(f"row 18: a process that hands over ends with {code} in {seconds:.1f} s",
                     code == 0 and seconds <= GRACE_SECONDS, last.log_tail())
            last = heir
        deployment.feed()
        deployment.settle("row 18: handing over while restoring")


def row_23_sigterm_under_load_leaves_nothing_to_replay(judge):
    """In the middle of work: one signal ends in order, two end at once, and nothing is lost."""
    with (Deployment(judge, "row-23") as deployment,
          concurrent.futures.ThreadPoolExecutor(1) as pool):
        deployment.feed(WARM_UP_HOURS)
        one = deployment.start("one")
        deployment.wait_until_done()
        feeding = pool.submit(deployment.feed, 55)
        wait_until_it_counts(one)
        code, seconds = one.end_by(signal.SIGTERM)
        fact(f"row 23: SIGTERM under load: {code} in {seconds:.1f} s",
             code == 0 and seconds <= GRACE_SECONDS, one.log_tail())
        feeding.result()
        one.start()
        fact("row 23: started again, all is restored", comes(lambda: has_restored(one)),
             one.log_tail())
        replayed = one.metric("insightd_replayed_records_total")
        fact(f"row 23: started again, {replayed} records are replayed", replayed == 0,
             one.log_tail())
        deployment.wait_until_done()
        for number, code_expected, hour in ((signal.SIGTERM, 143, 57), (signal.SIGINT, 130, 59)):
            feeding = pool.submit(deployment.feed, hour)
            wait_until_it_counts(one)
            code, seconds = one.end_by(number, number, pause=0.05)
            # Who drains quickly is gone before the second signal.
            fact(f"row 23: {number.name} twice under load: {code} in {seconds:.1f} s",
                 code in (0, code_expected) and seconds <= 1, one.log_tail())
            feeding.result()
            one.start()
        deployment.feed()
        deployment.settle("row 23: ended under load")


def wait_until_it_counts(one):
    before = count(one, "insightd_messages_consumed_total", stage="ingest")
    wait_until(lambda: count(one, "insightd_messages_consumed_total", stage="ingest") > before,
               "work", DONE_SECONDS)


# --- checkpoints ------------------------------------------------------------------------------


def row_06_checkpoints_that_cannot_be_written_hold_nothing_up(judge):
    """The place of checkpoints is no place any more for a while."""
    with Deployment(judge, "row-06") as deployment:
        deployment.feed(WARM_UP_HOURS)
        one = deployment.start("one")
        deployment.wait_until_done()
        saved = deployment.feed_until(
            lambda: all(deployment.saved(partition) for partition in range(RATES_PARTITIONS)),
            range(WARM_UP_HOURS, 52))
        fact("row 6: checkpoints of all partitions are there", saved, one.log_tail())
        aside = put_aside(deployment.checkpoints)
        before = wait_until(lambda: one.value("insightd_checkpoint_age_seconds"), "an age", 10)
        failed = deployment.feed_until(
            lambda: count(one, "insightd_checkpoint_failures_total", kind="store") >= 2,
            range(52, 56))
        fact("row 6: checkpoints cannot be written: it is counted, and told",
             failed and "a checkpoint could not be written" in one.log_text(),
             one.samples("insightd_checkpoint_failures_total"), one.log_tail())
        rises = comes(lambda: count(one, "insightd_checkpoint_age_seconds") > before + 2, 10)
        fact("row 6: checkpoints cannot be written: their age rises", rises, before,
             one.samples("insightd_checkpoint_age_seconds"))
        made = [value for value in deployment.expected() if planted.hour_of(value) < 51]
        fact("row 6: checkpoints cannot be written: detection goes on",
             set(made) <= set(deployment.values()) and one.page("/live")[0] == 200,
             one.page("/live"), one.page("/ready"))
        bring_back(deployment.checkpoints, aside)
        newest = {partition: deployment.saved(partition)[-1]
                  for partition in range(RATES_PARTITIONS)}
        caught_up = deployment.feed_until(
            lambda: all(deployment.saved(partition)[-1] > newest[partition]
                        for partition in newest), range(56, planted.HOURS))
        fact("row 6: the place is back: newer checkpoints of all partitions", caught_up, newest,
             one.log_tail())
        deployment.feed()
        deployment.settle("row 6: checkpoints could not be written")


def put_aside(folder):
    """Makes a folder unusable; where it is now. Whoever runs this may be root, whom rights do not
    stop."""
    aside = folder.with_name("aside")
    folder.rename(aside)
    folder.write_text("no directory")
    return aside


def bring_back(folder, aside):
    folder.unlink()
    aside.rename(folder)


def row_06_a_start_while_checkpoints_cannot_be_read(judge):
    """It waits for them, with few words, and goes on when they are back."""
    with Deployment(judge, "row-06-start") as deployment:
        one = deployment.start("one")
        wait_for_checkpoints(deployment, least=1)
        one.kill()
        aside = put_aside(deployment.checkpoints)
        one.start()
        told = comes(lambda: "cannot be restored yet" in one.log_text(), 20)
        fact("row 6: started while checkpoints cannot be read: it is told", told, one.log_tail())
        fact("row 6: started while checkpoints cannot be read: not ready, and why",
             comes(lambda: "restoring" in one.page("/ready")[1], 10), one.page("/ready"))
        most = 3 * RATES_PARTITIONS
        many = comes(lambda: one.log_text().count("cannot be restored yet") > most, 5)
        fact(f"row 6: started while checkpoints cannot be read: at most {most} lines in five "
             "seconds", not many, one.log_tail(most))
        bring_back(deployment.checkpoints, aside)
        fact("row 6: checkpoints can be read again: all is restored",
             comes(lambda: has_restored(one), 20), one.page("/ready"), one.log_tail())
        deployment.feed()
        deployment.settle("row 6: started while checkpoints could not be read")


def wait_for_checkpoints(deployment, least):
    """Feeds until each partition has so many checkpoints."""
    deployment.feed(WARM_UP_HOURS)
    deployment.wait_until_done()

    def are_there():
        return all(len(deployment.saved(partition)) >= least
                   for partition in range(RATES_PARTITIONS))
    if not deployment.feed_until(are_there, range(WARM_UP_HOURS + 1, 56)):
        raise service.ServiceError(f"not {least} checkpoints of each partition")


def offset_of(path):
    """The position that a checkpoint was taken at."""
    return int(path.name.split("-")[0])


def row_07_a_damaged_checkpoint_is_passed_over(judge):
    """While the service is down its newest checkpoints are cut off, or have a bit flipped."""
    with Deployment(judge, "row-07") as deployment:
        one = deployment.start("one", environment={"INSIGHTD_LOG": "debug"})
        wait_for_checkpoints(deployment, least=2)
        one.kill()
        wanted = {}
        for partition in range(RATES_PARTITIONS):
            previous, newest = deployment.saved(partition)[-2:]
            data = bytearray(newest.read_bytes())
            if partition % 2:
                data[len(data) // 2] ^= 1
            else:
                data = data[:len(data) * 2 // 3]
            newest.write_bytes(data)
            wanted[partition] = offset_of(previous)
        one.start()
        fact("row 7: the newest checkpoints are damaged: all is restored",
             comes(lambda: has_restored(one)), one.log_tail())
        corrupt = one.value("insightd_checkpoint_failures_total", kind="corrupt")
        fact(f"row 7: the newest checkpoints are damaged: {corrupt} counted, and told",
             corrupt == RATES_PARTITIONS
             and one.log_text().count("an older one is taken") == RATES_PARTITIONS, one.log_tail())
        found = re.findall(r"replaying what was published.*", one.log_text())
        begun = {int(re.search(r"partition=(\d+)", line)[1]): int(re.search(r"from=(\d+)", line)[1])
                 for line in found}
        fact("row 7: the newest checkpoints are damaged: those before are taken",
             begun.items() <= wanted.items() and begun, begun, wanted, one.log_tail())
        deployment.feed()
        deployment.settle("row 7: damaged checkpoints")


def row_08_without_checkpoints_all_is_made_again(judge):
    """All checkpoints are deleted while the service is down."""
    with Deployment(judge, "row-08", profile="default") as deployment:
        one = deployment.start("one")
        wait_for_checkpoints(deployment, least=1)
        one.kill()
        shutil.rmtree(deployment.checkpoints)
        said = deployment.values()
        one.start()
        fact("row 8: no checkpoints: all is restored", comes(lambda: has_restored(one)),
             one.log_tail())
        replayed = one.metric("insightd_replayed_records_total")
        fact(f"row 8: no checkpoints: {replayed:.0f} records are applied again, and nothing is "
             "said again", replayed > 0 and deployment.values() == said)
        deployment.feed()
        deployment.settle("row 8: no checkpoints")


def row_09_a_rates_log_that_was_kept_too_short(judge):
    """What one partition needs is deleted while the service is down: it stops or begins anew, as
    checkpoint.on_gap says, and the others do not care."""
    gone = 0
    with Deployment(judge, "row-09") as deployment:
        one = deployment.start("one")
        wait_for_checkpoints(deployment, least=2)
        one.kill()
        before = deployment.values()
        for newer in deployment.saved(gone)[1:]:
            newer.unlink()
        place = TopicPartition(deployment.settings["kafka"]["rates_topic"], gone)
        needed = deployment.committed()[gone]
        service.ask(judge.cluster, lambda admin: admin.delete_records({place: needed}))
        check_gap_fails(deployment, gone)
        check_gap_begins_anew(judge, deployment, gone, before)


def check_not_ready(what, one):
    """A partition that failed is the reason."""
    told = comes(lambda: "partition_failed" in one.page("/ready")[1], 10)
    status, detail = one.page("/ready")
    fact(f"{what}: not ready, {detail}", told and status == 503, one.log_tail())


def check_gap_fails(deployment, gone):
    strict = deployment.start("strict", {"checkpoint": {"on_gap": "fail"}})
    told = comes(lambda: "a partition cannot go on" in strict.log_text(), 30)
    line = [line for line in strict.log_text().splitlines() if "cannot go on" in line]
    fact(f"row 9, \"fail\": the partition stops, {line}",
         told and f"partition={gone}" in line[0] and "checkpoint.on_gap" in line[0],
         strict.log_tail())
    check_not_ready("row 9, \"fail\"", strict)
    # docs/service.md: the others go on, so the process does.
    fact("row 9, \"fail\": the process goes on for the others", strict.is_running())
    strict.terminate()


def check_gap_begins_anew(judge, deployment, gone, before):
    one = deployment.start("one-anew", {"checkpoint": {"on_gap": "gap"}})
    told = comes(lambda: "the rates log lacks what this partition needs" in one.log_text(), 30)
    fact("row 9, \"gap\": it is told, with the partition",
         told and re.search(rf"begins anew.*partition={gone}\b", one.log_text()), one.log_tail())
    comes(lambda: has_restored(one) or not one.is_running())
    if not fact("row 9, \"gap\": ready", one.is_running() and has_restored(one), one.log_tail()):
        return
    deployment.feed()
    expected = deployment.expected()
    # It is silent until it has warmed up, which is long after the end of the events.
    remaining = [value for value in expected
                 if judge.partition_of(value) != gone or value in before]
    deployment.settle(f"row 9, \"gap\": all but {len(expected) - len(remaining)} of the partition "
                      "that begins anew", remaining)


def row_09_topics_whose_oldest_records_are_gone(judge):
    """As of any topic that is older than it is kept; nothing is gone that is needed."""
    starts = 6
    with Deployment(judge, "row-09-old") as deployment:
        one = deployment.start("one")
        wait_for_checkpoints(deployment, least=1)
        one.terminate()
        rates = deployment.settings["kafka"]["rates_topic"]
        old = {TopicPartition(rates, partition): offset_of(deployment.saved(partition)[-1])
               for partition in range(RATES_PARTITIONS)}
        # Of the last thousand messages ids are read again.
        old |= {TopicPartition(deployment.topic, partition): offset - 1000
                for partition, offset in deployment.committed("ingest").items()}
        service.ask(judge.cluster, lambda admin: admin.delete_records(old))
        for number in range(starts):
            one.start()
            comes(lambda: has_restored(one) or not one.is_running(), 20)
            restored = one.is_running() and has_restored(one)
            fact(f"row 9: topics have lost their oldest records: start {number + 1}, all is there",
                 restored, one.log_tail(12))
            if one.is_running() and number + 1 < starts:
                one.terminate()
        if not one.is_running():
            one.start()
        deployment.feed()
        deployment.settle("row 9: topics have lost their oldest records")


def row_09_an_input_topic_that_was_kept_too_short(judge):
    """Messages are deleted that were not read: it is told how many, and all else is read."""
    gone = 1
    with Deployment(judge, "row-09-input") as deployment:
        deployment.feed(WARM_UP_HOURS)
        one = deployment.start("one")
        deployment.wait_until_done()
        one.kill()
        read = deployment.committed("ingest")[gone]
        deployment.feed(55)
        kept = judge.events.parts.counts_at(judge.events.lines_before(55))[gone] - 100
        place = TopicPartition(deployment.topic, gone)
        service.ask(judge.cluster, lambda admin: admin.delete_records({place: kept}))
        one.start()
        deployment.feed()
        deployment.wait_until_done()
        told = [line for line in one.log_text().splitlines() if "deleted before they" in line]
        fact(f"row 9: {kept - read} messages of an input topic are deleted unread: {told}",
             len(told) == 1 and f"messages={kept - read}" in told[0]
             and f"partition={gone}" in told[0], one.log_tail())
        fact("row 9: messages are deleted unread: the rest is read, ready",
             comes(lambda: has_restored(one)), one.page("/ready"))


# --- records that are none --------------------------------------------------------------------


POISON_MARK = '{"poison":'
# Every so many lines.
POISON_EVERY = 500
HUGE_BYTES = service.MESSAGE_BYTES_MAX - 10_000
REJECT_BYTES_MAX = 65_536


def poison(number, minute):
    """A message that cannot be read, and the reason that must be given."""
    record = planted.event("Poison", minute, (1 << 41) + number)
    good = POISON_MARK + "1," + planted.line(record)[1:]
    # All but the first few are small: they cost the brokers more than the service.
    long_bytes = HUGE_BYTES if number < 12 else 2000
    deep = 100_000 if number < 40 else 1000
    return [
        ("invalid_json", good.replace('"eventVersion":', '"eventVersion"::')),
        ("nested_too_deep", good[:-1] + ',"a":' + '{"a":' * deep + "1" + "}" * deep + "}"),
        ("key_too_long", good.replace('"Poison"', f'"{"P" * long_bytes}"')),
        ("truncated", good[:-20]),
    ][number % 4]


class Poisoned:
    """The planted events with poison among them, in parts, and where it stands."""

    def __init__(self, events, folder):
        folder.mkdir()
        path = folder / "poisoned.ndjson"
        reasons = []
        with path.open("w") as out, events.path.open() as lines:
            for index, line in enumerate(lines):
                out.write(line)
                if index % POISON_EVERY == 0:
                    minute = index * planted.END_MINUTE // events.parts.lines
                    reason, text = poison(len(reasons), minute)
                    reasons.append(reason)
                    out.write(text + "\n")
        # A value that is cut is no poison: the event counts.
        with path.open("a") as out:
            vast = planted.event("Vast", planted.END_MINUTE - 1, 1 << 42)
            out.write(planted.line(vast | {"userAgent": "v" * HUGE_BYTES}) + "\n")
        self.parts = service.split(path, folder, PARTITIONS, "series", events.last_line)
        # Reason by partition and offset.
        self.reasons = {}
        for part, part_path in enumerate(self.parts.paths):
            with part_path.open() as lines:
                for offset, line in enumerate(lines):
                    if line.startswith(POISON_MARK):
                        self.reasons[part, offset] = reason_of(line)


def reason_of(line):
    """Why a line of poison cannot be read."""
    if '"eventVersion"::' in line:
        return "invalid_json"
    if '{"a":{"a":' in line:
        return "nested_too_deep"
    return "key_too_long" if '"PPP' in line else "truncated"


def row_15_poison_is_a_dead_letter_exactly_once(judge):
    """Poison among the events, and kills among the transactions that hold its dead letters."""
    poisoned = Poisoned(judge.events, judge.folder / "poisoned")
    with Deployment(judge, "row-15", parts=poisoned.parts) as deployment:
        one = deployment.start("one")
        for share in (0.3, 0.6):
            deployment.feed_lines(int(poisoned.parts.lines * share))
            wait_until(lambda: count(one, "insightd_dead_letters_total") > 0, "dead letters",
                       DONE_SECONDS)
            one.kill()
            one.start()
        deployment.feed()
        deployment.settle("row 15: poison")
        check_dead_letters(deployment, poisoned.reasons)
    with Deployment(judge, "row-15-peace", topic="audit-row-15") as deployment:
        one = deployment.start("one")
        deployment.wait_until_done()
        seconds = cpu_seconds(one)
        fact(f"row 15: with {len(poisoned.reasons)} poisoned messages of up to {HUGE_BYTES} bytes "
             f"all takes {seconds:.1f} CPU seconds, {judge.cpu_seconds:.1f} without",
             seconds <= 2 * judge.cpu_seconds + 2)
        one.terminate()


def check_dead_letters(deployment, reasons):
    """One for each poisoned message, with its place and its reason."""
    letters = service.read_output(deployment.cluster,
                                  deployment.settings["kafka"]["dead_letter_topic"])
    found = collections.Counter()
    for letter in letters:
        headers = {name.removeprefix("insightd.errors."): value.decode()
                   for name, value in letter.headers.items()}
        found[int(headers["partition"]), int(headers["offset"]), headers["reason"]] += 1
    wanted = collections.Counter((*place, reason) for place, reason in reasons.items())
    fact(f"row 15: kills among them: {len(letters)} dead letters, one for each message, each with "
         "place and reason", found == wanted, "missing", sorted((wanted - found).elements()),
         "too many", sorted((found - wanted).elements()))
    longest = max((len(letter.value) for letter in letters), default=0)
    fact(f"row 15: the longest dead letter has {longest} bytes", longest <= REJECT_BYTES_MAX)


def spoil(deployment, partition, is_known_version):
    """Writes a record into the rates log that is damaged, or of a version that comes later; its
    offset."""
    body = bytes([1 if is_known_version else 2, 4, 0, 0, 0, 0])
    checksum = calc_crc32c(body) ^ is_known_version
    topic = deployment.settings["kafka"]["rates_topic"]
    with contextlib.closing(KafkaProducer(
            bootstrap_servers=deployment.cluster.bootstrap.split(","))) as out:
        value = body + checksum.to_bytes(4, "little")
        return out.send(topic, value, partition=partition).get(timeout=30).offset


def row_16_a_record_of_the_rates_log_that_is_none(judge, profile="compat"):
    """One is damaged, one of a later version: their partitions stop and say why, the others go
    on."""
    spoiled = {1: True, 2: False}
    what = f"row 16, {profile}"
    with Deployment(judge, f"row-16-{profile}", profile=profile) as deployment:
        deployment.feed(53)
        one = deployment.start("one")
        deployment.wait_until_done()
        before = set(deployment.values())
        offsets = {partition: spoil(deployment, partition, is_known)
                   for partition, is_known in spoiled.items()}
        check_partitions_fail(what, one, offsets)
        deployment.feed()
        expected = deployment.expected()
        others = {value for value in expected
                  if judge.partition_of(value) not in spoiled} | before
        is_alike = functools.partial(are_alike, others, profile)
        goes_on = comes(lambda: is_alike(deployment.values()), 40)
        output = deployment.values()
        fact(f"{what}: the other partitions go on: {len(others)} records", goes_on,
             f"{len(output)} found, {len(others - set(output))} missing, "
             f"{len(set(output) - others)} too many", one.log_tail())
        code = one.terminate()
        fact(f"{what}: ends with {code}", code == 0)
        check_advice(what, deployment, one, offsets)


def are_alike(expected, profile, output):
    """The same records; where all share a threshold, of the same incidents: the threshold is chosen
    without the partitions that stopped, and moves a decision by some minutes."""
    if profile == "compat":
        return collections.Counter(output) == collections.Counter(expected)

    def incidents(values):
        details = [json.loads(value)["insightDetails"] for value in values]
        keys = ("eventSource", "eventName", "insightType", "state")
        return collections.Counter(tuple(one[key] for key in keys) for one in details)
    return incidents(output) == incidents(expected)


def row_16_the_same_with_a_threshold_for_all(judge):
    """The same where partitions wait for each other once an hour."""
    row_16_a_record_of_the_rates_log_that_is_none(judge, profile="default")


def check_partitions_fail(what, one, offsets):
    def told():
        return [line for line in one.log_text().splitlines() if "a partition cannot go on" in line]
    comes(lambda: len(told()) >= len(offsets), 30)
    for partition, offset in offsets.items():
        lines = [line for line in told() if re.search(rf"partition={partition}\b", line)]
        fact(f"{what}: it is told once, with the place and what to do: {lines}",
             len(lines) == 1 and f"offset {offset} " in lines[0] and " ERROR " in lines[0],
             one.log_tail())
    check_not_ready(what, one)
    fact(f"{what}: live, and the metrics say so",
         one.page("/live")[0] == 200 and one.value("insightd_ready") == 0
         and one.value("insightd_log_lines_total", level="error") == len(offsets),
         one.samples("insightd_log_lines_total"))


def check_advice(what, deployment, one, offsets):
    """What the log advises helps: the records up to the one that is none are deleted."""
    topic = deployment.settings["kafka"]["rates_topic"]
    behind = {TopicPartition(topic, partition): offset + 1
              for partition, offset in offsets.items()}
    service.ask(deployment.cluster, lambda admin: admin.delete_records(behind))
    one.start()
    fact(f"{what}: the records up to it are deleted, as advised: all partitions go on",
         comes(lambda: has_restored(one), 15), one.page("/ready"), one.log_tail())


# --- topics -----------------------------------------------------------------------------------


def row_19_an_input_topic_that_grows(judge):
    """Partitions are added while it runs: they are read, and one without a message holds nobody
    up."""
    grown_at = 52
    with Deployment(judge, "row-19", partitions=2) as deployment:
        lines = judge.events.path.read_bytes().splitlines(keepends=True)
        before, after = (lines[:judge.events.lines_before(grown_at)],
                         lines[judge.events.lines_before(grown_at):])
        write_by_series(deployment, before, 2)
        one = deployment.start("one")
        deployment.wait_until_done()
        judge.cluster.add_partitions(deployment.topic, PARTITIONS + 1)
        read = comes(lambda: deployment.owners("ingest") == {"one": PARTITIONS + 1}, 40)
        fact("row 19: partitions are added while it runs: all are read", read,
             deployment.owners("ingest"), one.log_tail())
        # New sources speak first: what comes behind the others would be late.
        write_by_series(deployment, after[:500], PARTITIONS, only=(2, 3))
        deployment.wait_until_done()
        write_by_series(deployment, after[:500], PARTITIONS, only=(0, 1))
        write_by_series(deployment, after[500:], PARTITIONS)
        write_last_lines(judge, deployment)
        deployment.settle("row 19: an input topic that grows, one partition without a message")


def write_by_series(deployment, lines, partitions, only=None):
    """Writes lines to the partitions of their series."""
    parts = collections.defaultdict(list)
    for line in lines:
        parts[zlib.crc32(service.series_of(line)) % partitions].append(line)
    for partition, part_lines in parts.items():
        if only is None or partition in only:
            service.write_lines(deployment.cluster, deployment.topic, partition,
                                b"".join(part_lines))


def write_last_lines(judge, deployment):
    for partition in range(PARTITIONS):
        last = judge.events.last_line(partition).encode() + b"\n"
        service.write_lines(judge.cluster, deployment.topic, partition, last)


def refused(one):
    """Exit code of a service that is to end by itself, None if it runs on, and its last word."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        one.process.wait(10)
    text = one.log_text().strip()
    return one.process.returncode, text.splitlines()[-1] if text else ""


def row_20_another_number_of_rates_partitions(judge):
    """In the configuration of a group that has run, and of the topic itself."""
    with Deployment(judge, "row-20") as deployment:
        deployment.feed(53)
        one = deployment.start("one")
        deployment.wait_until_done()
        one.terminate()
        other = {"kafka": {"rates_partitions": 2 * RATES_PARTITIONS}}
        code, said = refused(deployment.start("other-number", other))
        fact(f"row 20: other rates_partitions than the group began with: {code}, {said}",
             code == 4 and "kafka.rates_partitions" in said and "begin anew" in said)
        judge.cluster.add_partitions(deployment.settings["kafka"]["rates_topic"],
                                     2 * RATES_PARTITIONS)
        code, said = refused(deployment.start("grown"))
        fact(f"row 20: the rates topic has grown: {code}, {said}",
             code == 4 and "kafka.rates_partitions" in said and "begin anew" in said)
        # Series of a partition would be others', without their history.
        code, said = refused(deployment.start("grown-other-number", other))
        fact(f"row 20: the rates topic has grown, and the configuration with it: {code}, {said}",
             code == 4 and "begin anew" in said)


def row_24_topics_that_are_deleted_end_nothing(judge):
    """An input topic is deleted while others are read."""
    with Deployment(judge, "row-24") as deployment:
        extra = "extra-row-24"
        judge.cluster.create_topic(extra, 1)
        last = judge.events.last_line(PARTITIONS).encode() + b"\n"
        service.write_lines(judge.cluster, extra, 0, last)
        deployment.feed(53)
        both = {"kafka": {"input_topics": [deployment.topic, extra]}}
        one = deployment.start("one", both)
        wait_until(lambda: not service.lag(judge.cluster, "row-24-ingest", extra), "the extra",
                   DONE_SECONDS)
        deployment.wait_until_done()
        judge.cluster.delete_topic(extra)
        told = comes(lambda: re.search(rf"(WARN|ERROR).*{extra}", one.log_text()), 30)
        fact("row 24: an input topic is deleted: it is told by name", told, one.log_tail())
        deployment.feed()
        deployment.settle("row 24: an input topic is deleted, the others are read on")


def row_24_an_input_topic_that_holds_time_is_deleted(judge):
    def delete(_, topic):
        judge.cluster.delete_topic(topic)

    take_a_topic_away(judge, "deleted", delete)


def row_24_an_input_topic_is_configured_no_longer(judge):
    def start_without(deployment, _):
        deployment.services[0].end_by(signal.SIGTERM)
        deployment.start("without")

    take_a_topic_away(judge, "configured no longer", start_without)


def take_a_topic_away(judge, what, take_away):
    """A topic has nothing more, and time waits for it until it was gone for long enough."""
    name = f"row-24-{what.split()[0]}"
    with Deployment(judge, name, {"ingest": {"retire_after": "10s"}}) as deployment:
        extra = f"extra-{name}"
        judge.cluster.create_topic(extra, 1)
        first = judge.events.first_line(PARTITIONS).encode() + b"\n"
        service.write_lines(judge.cluster, extra, 0, first)
        deployment.feed()
        one = deployment.start("one", {"kafka": {"input_topics": [deployment.topic, extra]}})
        wait_until(lambda: not service.lag(judge.cluster, f"{name}-ingest", extra), "the extra",
                   DONE_SECONDS)
        fact(f"row 24: a topic that will be {what} has nothing more: time waits for it",
             not deployment.values(), one.log_tail())
        take_away(deployment, extra)
        comes(lambda: len(deployment.values()) >= len(deployment.expected()), 60)
        deployment.settle(f"row 24: a topic is {what}: all is judged without it")


def row_24_an_input_topic_is_made_again(judge):
    """Its offsets begin anew and it is taken for the old one: that is told, once, with what to
    do."""
    made_again_at = 53
    with Deployment(judge, "row-24-again") as deployment:
        deployment.feed(made_again_at)
        one = deployment.start("one")
        deployment.wait_until_done()
        judge.cluster.delete_topic(deployment.topic)
        wait_until(lambda: "sources taken away" in one.log_text(), "loss of the topic", 30)
        judge.cluster.create_topic(deployment.topic, PARTITIONS)
        lines = judge.events.path.read_bytes().splitlines(keepends=True)
        write_by_series(deployment, lines[judge.events.lines_before(made_again_at):], PARTITIONS)
        told = comes(lambda: "made again" in one.log_text(), 30)
        fact("row 24: an input topic is deleted and made again: it is told what is passed over",
             told and one.value("insightd_duplicate_batches_total") > 0, one.log_tail())
        code, seconds = one.end_by(signal.SIGTERM)
        fact(f"row 24: an input topic is made again: ends with {code} in {seconds:.1f} s",
             code == 0)


def row_24_the_output_topic_is_deleted(judge):
    """Nothing passes while it is away; once it is made again all goes on."""
    what = "row 24: the output topic is deleted"
    with Deployment(judge, "row-24-output") as deployment:
        output = deployment.settings["kafka"]["output_topic"]
        deployment.feed(53)
        one = deployment.start("one")
        deployment.wait_until_done()
        before = set(deployment.values())
        judge.cluster.delete_topic(output)
        deployment.feed(56)
        told = comes(lambda: re.search(rf"(WARN|ERROR).*\b{output}\b", one.log_text()), 15)
        fact(f"{what}: it is told by name", told, one.log_tail())
        judge.cluster.create_topic(output, 1)
        deployment.feed()
        deployment.settle(f"{what}, and made again: all that came since",
                          [value for value in deployment.expected() if value not in before])


def row_24_the_coordination_topic_is_lost(judge):
    """What all agreed on is gone: whoever starts says so, and what to do."""
    what = "row 24: the coordination topic is deleted while the service is down"
    with Deployment(judge, "row-24-coordination") as deployment:
        one = deployment.start("one")
        wait_for_checkpoints(deployment, least=1)
        one.terminate()
        judge.cluster.delete_topic(deployment.settings["kafka"]["coordination_topic"])
        one.start()
        told = comes(lambda: re.search(r"kafka\.(coordination_topic|group)", one.log_text())
                     or has_restored(one), 15)
        fact(f"{what}: it is told, with the key, or goes on", told, one.page("/ready"),
             one.log_tail())


def row_24_the_rates_topic_is_deleted_while_it_runs(judge):
    """It does not hang, and the next start says what to do, with checkpoints or without."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda keeps: delete_rates_topic(judge, keeps), (True, False)))


def delete_rates_topic(judge, keeps_checkpoints):
    name = "with" if keeps_checkpoints else "without"
    what = f"row 24, {name} checkpoints: the rates topic is deleted"
    with Deployment(judge, f"row-24-{name}") as deployment:
        rates = deployment.settings["kafka"]["rates_topic"]
        one = deployment.start("one")
        wait_for_checkpoints(deployment, least=1)
        judge.cluster.delete_topic(rates)
        deployment.feed(56)
        told = comes(lambda: re.search(rf"(WARN|ERROR).*\b{rates}\b", one.log_text()), 15)
        fact(f"{what}: it is told by name", told, one.log_tail())
        ended = one.process.poll()
        code, seconds = one.end_by(signal.SIGTERM) if ended is None else (ended, 0)
        fact(f"{what}: it ends with {code} in {seconds:.1f} s",
             code is not None and seconds <= GRACE_SECONDS, one.log_tail())
        if not keeps_checkpoints:
            shutil.rmtree(deployment.checkpoints)
        check_started_without_rates(what, deployment)


def check_started_without_rates(what, deployment):
    """The log of two days is gone: whoever goes on must not take that for two days of silence."""
    one = deployment.start("again")
    told = comes(lambda: "kafka.group" in one.log_text(), 10)
    fact(f"{what}: started again, it says what to do", told, one.log_tail())
    if not one.is_running():
        return
    deployment.feed()
    comes(lambda: not service.lag(deployment.cluster, f"{deployment.name}-ingest",
                                  deployment.topic), 20)
    code, seconds = one.end_by(signal.SIGTERM)
    fact(f"{what}: started again, it ends with {code} in {seconds:.1f} s", code == 0)
    surplus = set(deployment.values()) - set(deployment.expected())
    fact(f"{what}: started again, nothing is said that is not so", not surplus,
         "\n".join(records.differences({}, surplus)))


def row_24_the_rates_topic_is_deleted_while_it_ends(judge):
    with Deployment(judge, "row-24-ending") as deployment:
        deployment.feed(53)
        one = deployment.start("one")
        deployment.wait_until_done()
        deployment.feed(54)
        judge.cluster.delete_topic(deployment.settings["kafka"]["rates_topic"])
        code, seconds = one.end_by(signal.SIGTERM)
        # Its last transactions have to time out; a pod is given 30 seconds.
        fact(f"row 24: the rates topic is deleted while it ends: {code} in {seconds:.1f} s",
             code is not None, one.log_tail())


# --- settings ---------------------------------------------------------------------------------


def row_21_other_settings_while_state_is_restored(judge):
    """Settings change between two runs: the same comes of it whether the first ended in order or
    was killed, with old checkpoints to restore from."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        outputs = pool.map(lambda name: change_settings(judge, name), ("in-order", "killed"))
        in_order, killed = map(collections.Counter, outputs)
    missing, surplus = in_order - killed, killed - in_order
    fact(f"row 21: other settings: {in_order.total()} records, the same after a kill",
         not missing and not surplus, "\n".join(records.differences(missing, surplus)))


def change_settings(judge, name):
    other = {"detector": {"budget_per_week": 20.0}}
    with Deployment(judge, f"row-21-{name}", profile="default") as deployment:
        one = deployment.start("one")
        wait_for_checkpoints(deployment, least=2)
        deployment.feed(56)
        deployment.wait_until_done()
        wait_for_decisions(deployment)
        before = set(deployment.values())
        if name == "killed":
            one.kill()
            for partition in range(RATES_PARTITIONS):
                for newer in deployment.saved(partition)[1:]:
                    newer.unlink()
            check_unchangeable(deployment)
        else:
            one.terminate()
        one = deployment.start("other", other)
        fact(f"row 21, {name}: started with another budget: all is restored",
             comes(lambda: has_restored(one)), one.log_tail())
        deployment.feed()
        deployment.wait_until_done()
        old = set(deployment.expected())
        output = deployment.values()
        now = len(set(output) - old)
        fact(f"row 21, {name}: {len(before)} records by the settings before, {now} by others",
             before <= old and before <= set(output) and now > 0
             and len(output) == len(old), len(output), len(old))
        deployment.check_health(f"row 21, {name}")
        return output


def check_unchangeable(deployment):
    """What the state cannot go on with is refused, and does no harm."""
    for key, change in (("counting.bucket", {"counting": {"bucket": "5m"}}),
                        ("detector.profile", {"detector": {"profile": "compat"}})):
        code, said = refused(deployment.start(f"refused-{key}", change))
        fact(f"row 21: another {key}: {code}, {said}", code == 4 and key in said)
        deployment.services.pop().end()


def wait_for_decisions(deployment):
    """Until the coordinator has said all that it can: the topic has grown no more for a while."""
    topic = deployment.settings["kafka"]["coordination_topic"]
    ends = collections.deque(maxlen=8)

    def is_still():
        ends.append(service.end_offset(deployment.cluster, topic, 0))
        return len(ends) == ends.maxlen and len(set(ends)) == 1
    wait_until(is_still, "all decisions", DONE_SECONDS)


# --- all --------------------------------------------------------------------------------------


def rows():
    """Functions of rows, with their numbers, the long ones first."""
    found = [(int(found[1]), function) for name, function in globals().items()
             if (found := re.match(r"row_(\d\d)_", name))]
    return sorted(found, key=lambda row: (row[0] not in (17, 4), row[0]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    numbers = sorted({number for number, _ in rows()})
    parser.add_argument("--row", action="append", type=int, choices=numbers)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    arguments = parser.parse_args()
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(f"seed {arguments.seed}", flush=True)
    started = time.monotonic()
    folder = pathlib.Path(tempfile.mkdtemp(dir=os.environ.get("INSIGHTD_SCRATCH")))
    events = planted.Planted(folder, PARTITIONS, arguments.seed)
    with kafka_cluster.Cluster(folder / "kafka") as cluster:
        judge = Judge(folder, cluster, events, arguments.seed)
        run_row(judge, Judge.look_at_peace)
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            for number, row in rows():
                if number in (arguments.row or numbers):
                    pool.submit(run_row, judge, row)
    facts.end("kafka_failures", folder, started)


def run_row(judge, row):
    with part(row.__name__):
        row(judge)


if __name__ == "__main__":
    main()
