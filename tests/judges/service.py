"""`insightd run` on a real Kafka, for judges: processes that can be killed, stopped and asked.

`Service` is one process with a configuration of its own; `deployment` names what processes that
work together share. `split` and `Feeder` bring a file of events into a topic, each line exactly
once and at a place that follows from the file alone, whatever becomes of the broker meanwhile. The
rest reads what the service wrote and committed.
"""

import collections
import concurrent.futures
import contextlib
import itertools
import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
import zlib

import common
import kafka_cluster
from kafka_cluster import POLL_SECONDS, wait_until

START_SECONDS = 30
END_SECONDS = 30
# What a broker that was just started may need until it knows all partitions.
ANSWER_SECONDS = 60
# As `message.max.bytes` of the brokers.
MESSAGE_BYTES_MAX = 8 << 20
ADDRESS = re.compile(r"\baddress=\"?([0-9.]+:[0-9]+)")
ASSIGNED = re.compile(r"(partitions|sources) (assigned|taken away) \1=([0-9]+)")
# Counters that must stay 0, whatever was done to the service.
COUNTERS_AT_REST = [
    "insightd_duplicate_batches_total", "insightd_gap_batches_total",
    "insightd_determinism_mismatch_total", "insightd_watermark_regressions_total",
]
# A line with one of these is always a bug, whatever was done to the service.
ALARMS = ("panicked", "met a bug", "led to another state")

SETTINGS = {
    "kafka": {"input_topics": ["audit"], "rates_partitions": 8, "session_timeout": "4s"},
    "counting": {"lateness": "10m"},
    # Longer ago than 1970: the clock of this machine never enters.
    "silence": {"delivery_delay": "36500d"},
    "checkpoint": {"interval": "2s"},
    "http": {"listen": "127.0.0.1:0"},
}

Output = collections.namedtuple("Output", "headers key value")


class ServiceError(Exception):
    """A service, or what it wrote, is not as it has to be."""


# --- processes --------------------------------------------------------------------------------


def merged(*settings):
    """Settings by section; what comes later wins key by key."""
    result = {}
    for one in settings:
        for section, keys in one.items():
            result[section] = result.get(section, {}) | keys
    return result


def deployment(group, **settings):
    """Settings that all processes of a deployment share; topics and groups begin with `group`."""
    names = {"group": group} | {
        f"{what}_topic": f"{group}-{name}" for what, name in (
            ("rates", "rates"), ("coordination", "coordination"), ("output", "insights"),
            ("dead_letter", "dead-letters"))}
    return merged(SETTINGS, {"kafka": names}, settings)


def write_toml(settings, path):
    """Writes settings; of TOML's values JSON has text, numbers, booleans and lists."""
    lines = []
    # Keys without a section come first.
    for section, keys in sorted(settings.items()):
        lines += [f"[{section}]"] if section else []
        lines += [f"{json.dumps(key)} = {json.dumps(value)}" for key, value in keys.items()]
    path.write_text("\n".join(lines) + "\n")


class Background(threading.Thread):
    """A thread that runs within a `with`; its `run` goes on until `_is_ended` is set."""

    def __init__(self):
        super().__init__(daemon=True)
        self._is_ended = threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._is_ended.set()
        self.join()


class Service:
    """One process of `insightd run`; its log goes on over restarts.

    `settings` are sections of the configuration, on top of those of `SETTINGS`; section "" has the
    keys without one. Checkpoints are those of the folder, which services that work together
    share.
    """

    def __init__(self, cluster, folder, name, settings=None, environment=None):
        self.name = name
        self.folder = pathlib.Path(folder)
        self.configuration = self.folder / f"{name}.toml"
        self.log = self.folder / f"{name}.log"
        self.process = None
        self.is_paused = False
        self._environment = {"INSIGHTD_LOG": "info"} | (environment or {})
        self._log_start = 0
        own = {
            "kafka": {"brokers": cluster.bootstrap, "instance": name},
            "kafka.properties": {"client.id": name},
            "checkpoint": {"path": str(self.folder / "checkpoints")},
        }
        self.settings = merged(SETTINGS, own, settings or {})
        self.folder.mkdir(parents=True, exist_ok=True)
        write_toml(self.settings, self.configuration)

    def start(self):
        if self.is_running():
            raise ServiceError(f"{self.name} is running already")
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = kafka_cluster.spawn(
                [str(common.BINARY), "run", "-c", str(self.configuration)],
                stdout=log, stderr=log, env=os.environ | self._environment)
        self.is_paused = False
        return self

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """SIGKILL, as a machine that dies."""
        self._signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self, seconds=END_SECONDS):
        """SIGTERM; the exit code, which must come in time."""
        if self.is_paused:
            self.resume()
        self._signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServiceError(
                f"{self.name} did not end {seconds} s after SIGTERM\n{self.log_tail()}") from None

    def pause(self):
        """SIGSTOP: the process stands still and its connections stay open."""
        self._signal(signal.SIGSTOP)
        self.is_paused = True

    def resume(self):
        self._signal(signal.SIGCONT)
        self.is_paused = False

    def end(self):
        """Kills what still runs."""
        if self.is_running():
            self.kill()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.end()

    def end_by(self, *numbers, pause=0.3):
        """Exit code after signals, and the seconds that it took; code None when it ran on."""
        for index, number in enumerate(numbers):
            if index > 0:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(pause)
            if self.is_running():
                self._signal(number)
        started = time.monotonic()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(END_SECONDS), time.monotonic() - started
        return None, END_SECONDS

    def require_alive(self):
        if not self.is_running():
            code = self.process.returncode if self.process else None
            raise ServiceError(f"{self.name} ended on its own with {code}\n{self.log_tail()}")

    def log_text(self, is_whole=False):
        """The log since the last start, or all of it."""
        with self.log.open("rb") as log:
            log.seek(0 if is_whole else self._log_start)
            return log.read().decode(errors="replace")

    def log_tail(self, lines=25):
        return "\n".join(self.log_text(is_whole=True).splitlines()[-lines:])

    def alarms(self):
        """Lines of the log that are always a bug."""
        lines = self.log_text(is_whole=True).splitlines()
        return [line for line in lines if any(alarm in line for alarm in ALARMS)]

    def wait_for_log(self, text, seconds=START_SECONDS):
        def is_there():
            if text in self.log_text():
                return True
            self.require_alive()
            return False
        return wait_until(is_there, f"log line `{text}` of {self.name}", seconds)

    def address(self):
        """Where it answers over HTTP; `None` in a build that does not."""
        found = ADDRESS.search(self.log_text())
        return found and found.group(1)

    def get(self, path):
        """Status and text of a page; `None` when nobody answers."""
        if not self.address():
            return None
        try:
            with urllib.request.urlopen(f"http://{self.address()}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return None

    def metric(self, name):
        """Sum of a metric over its labels; `None` when it cannot be had."""
        answer = self.get("/metrics")
        if answer is None or answer[0] != 200:
            return None
        lines = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", answer[1], re.MULTILINE)
        return sum(map(float, lines)) if lines else None

    def page(self, path):
        """Status and text of a page; status None when nobody answers."""
        return self.get(path) or (None, "")

    def samples(self, name):
        """Labels and value of each sample of a metric."""
        found = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", self.page("/metrics")[1], re.M)
        return [(dict(re.findall(r'(\w+)="([^"]*)"', labels)), float(value))
                for labels, value in found]

    def value(self, name, **labels):
        """Sum of a metric's samples with these labels; None if there is none."""
        values = [value for found, value in self.samples(name) if labels.items() <= found.items()]
        return sum(values) if values else None

    def _signal(self, number):
        self.require_alive()
        os.killpg(self.process.pid, number)


# --- input ------------------------------------------------------------------------------------


class Parts:
    """A file of events as parts, one for each partition of a topic."""

    def __init__(self, paths, owners):
        self.paths = paths
        # The partition of each line, in the order of the file.
        self._owners = owners
        self.lines = len(owners)
        self.counts = self.counts_at(self.lines)

    def counts_at(self, lines):
        """Lines of each part among the first `lines` of the file."""
        return [self._owners.count(part, 0, lines) for part in range(len(self.paths))]


def series_of(line):
    """What joins the events of an API, as text that can be hashed."""
    names = (b"recipientAccountId", b"awsRegion", b"eventSource", b"eventName")
    found = [re.search(rb'"%s":"([^"]*)"' % name, line) for name in names]
    return b"/".join(one.group(1) if one else b"" for one in found)


def split(path, folder, partitions, keyed_by, last_line=None):
    """Splits NDJSON by "series", as producers that know what they send do, or "badly", in turns.

    `last_line` gives the text of one more line for each partition.
    """
    if keyed_by not in ("series", "badly"):
        raise ValueError(f"nothing is keyed by {keyed_by}")
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{keyed_by}-{part}.ndjson" for part in range(partitions)]
    files = [part.open("wb") for part in paths]
    owners = bytearray()
    with open(path, "rb") as lines:
        for index, line in enumerate(lines):
            number = zlib.crc32(series_of(line)) if keyed_by == "series" else index
            owners.append(number % partitions)
            files[owners[-1]].write(line)
    for part, file in enumerate(files):
        if last_line:
            owners.append(part)
            file.write(last_line(part).encode() + b"\n")
        file.close()
    return Parts(paths, bytes(owners))


class Feeder:
    """Brings parts into a topic, as far as it is told; the offset of a line is its index.

    Whoever died or lost an answer: how far it came is asked of the broker, so that no line is
    written twice or left out.
    """

    def __init__(self, cluster, topic, parts):
        self._cluster = cluster
        self._topic = topic
        self._parts = parts
        self._files = [path.open("rb") for path in parts.paths]
        self._nexts = [0] * len(self._files)

    def feed(self, lines=None):
        """Until the topic holds the first `lines` of the file, or all."""
        counts = self._parts.counts_at(self._parts.lines if lines is None else lines)
        with concurrent.futures.ThreadPoolExecutor(len(counts)) as pool:
            list(pool.map(self._feed_part, range(len(counts)), counts))

    def _feed_part(self, part, count):
        deadline = time.monotonic() + 2 * ANSWER_SECONDS
        while (end := end_offset(self._cluster, self._topic, part)) != count:
            if end is not None and end > count:
                raise ServiceError(f"{self._topic}[{part}] holds {end} messages, not {count}")
            if time.monotonic() > deadline:
                raise ServiceError(f"{self._topic}[{part}] cannot be written")
            if end is not None:
                self._write(part, end, count)

    def _write(self, part, start, count):
        if start < self._nexts[part]:
            self._files[part].seek(0)
            self._nexts[part] = 0
        for _ in itertools.islice(self._files[part], start - self._nexts[part]):
            pass
        lines = b"".join(itertools.islice(self._files[part], count - start))
        self._nexts[part] = count
        # One that cannot reach its broker ends by itself; what it left out is seen by the caller.
        write_lines(self._cluster, self._topic, part, lines)


def write_lines(cluster, topic, partition, lines):
    """Writes lines, each as a message, in their order and none twice."""
    subprocess.run(
        ["kcat", "-P", "-b", cluster.bootstrap, "-t", topic, "-p", str(partition), "-z", "lz4",
         "-X", "enable.idempotence=true", "-X", "linger.ms=5",
         "-X", f"message.max.bytes={MESSAGE_BYTES_MAX}"],
        input=lines, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def produce(cluster, topic, path, partitions, keyed_by, folder):
    """Makes a topic with the lines of a file and returns its parts."""
    parts = split(path, folder, partitions, keyed_by)
    cluster.create_topic(topic, partitions)
    Feeder(cluster, topic, parts).feed()
    return parts


def end_offset(cluster, topic, partition):
    """The offset after the newest; `None` while no broker answers."""
    done = subprocess.run(
        ["kcat", "-Q", "-b", cluster.bootstrap, "-t", f"{topic}:{partition}:-1",
         "-X", "socket.timeout.ms=5000"], capture_output=True, text=True)
    found = re.search(r"offset ([0-9]+)", done.stdout)
    return int(found.group(1)) if done.returncode == 0 and found else None


# --- output -----------------------------------------------------------------------------------


def ask(cluster, question):
    """What an admin client answers, as soon as a broker can: one that was just started, or has not
    met a group yet, cannot at once."""
    from kafka import errors

    def answer():
        try:
            with cluster.admin() as admin:
                return question(admin)
        except errors.KafkaError as error:
            if not error.retriable:
                raise
            return None
    return wait_until(answer, "answer of a broker", ANSWER_SECONDS)


def committed(cluster, group):
    """Offsets that a group has committed, by (topic, partition)."""
    found = ask(cluster, lambda admin: admin.list_group_offsets(group))[group]
    return {(place.topic, place.partition): offset.offset for place, offset in found.items()
            if offset.offset >= 0}


def members(cluster, group):
    """What the members of a group own: client id to a sorted list of (topic, partition)."""
    described = ask(cluster, lambda admin: admin.describe_groups([group]))[group]
    owned = collections.defaultdict(list)
    for member in described["members"]:
        assignment = member["member_assignment"] or {}
        for topic in assignment.get("assigned_partitions", []):
            owned[member["client_id"]] += [
                (topic["topic"], partition) for partition in topic["partitions"]]
    return {name: sorted(places) for name, places in owned.items()}, described["group_state"]


def read_committed(cluster, topic, starts=None, count=None):
    """Committed records of a topic up to its present end, at most about `count` of them.

    `starts` gives an offset to begin at by partition; absent ones begin at their oldest.
    """
    from kafka import KafkaConsumer, TopicPartition
    consumer = KafkaConsumer(bootstrap_servers=cluster.bootstrap.split(","),
                             isolation_level="read_committed", auto_offset_reset="earliest",
                             enable_auto_commit=False, group_id=None)
    records = []
    try:
        partitions = wait_until(lambda: consumer.partitions_for_topic(topic),
                                f"partitions of {topic}", ANSWER_SECONDS)
        places = [TopicPartition(topic, partition) for partition in sorted(partitions)]
        consumer.assign(places)
        ends = consumer.end_offsets(places)
        for place in places:
            if starts and place.partition in starts:
                consumer.seek(place, starts[place.partition])
            else:
                consumer.seek_to_beginning(place)
        deadline = time.monotonic() + ANSWER_SECONDS
        while any(consumer.position(place) < ends[place] for place in places):
            for batch in consumer.poll(timeout_ms=200).values():
                records += batch
            if count is not None and len(records) >= count:
                break
            if time.monotonic() > deadline:
                raise ServiceError(f"{topic} cannot be read to its end {ends}")
    finally:
        consumer.close()
    return records


def read_output(cluster, topic):
    """(headers, key, value) of all committed records, by partition and offset."""
    if topic not in cluster.topics():
        return []
    records = read_committed(cluster, topic)
    records.sort(key=lambda record: (record.partition, record.offset))
    return [Output(dict(record.headers), record.key, record.value) for record in records]


def lag(cluster, group, topic):
    """Messages of an input topic that a group has not committed."""
    known = committed(cluster, group)
    ends = {partition: end_offset(cluster, topic, partition)
            for partition in cluster.topics()[topic]}
    return sum(end - known.get((topic, partition), 0) for partition, end in ends.items())


def has_remaining(cluster, group, topic):
    """Whether committed records lie behind what a group has committed; marks of transactions do
    not count, though they have offsets."""
    known = committed(cluster, group)
    starts = {partition: offset for (name, partition), offset in known.items() if name == topic}
    if len(starts) < len(cluster.topics()[topic]):
        return True
    return bool(read_committed(cluster, topic, starts, count=1))


def is_done(cluster, settings):
    """Whether a deployment has committed everything there is, input and rates log."""
    kafka = settings["kafka"]
    topics = cluster.topics()
    if any(lag(cluster, f"{kafka['group']}-ingest", topic) for topic in kafka["input_topics"]):
        return False
    if kafka["rates_topic"] not in topics:
        return False
    return not has_remaining(cluster, f"{kafka['group']}-detect", kafka["rates_topic"])


def wait_until_done(cluster, settings, services, seconds):
    """Waits until a deployment has nothing more to do; the seconds it took.

    Services that should live and do not end the wait.
    """
    started = time.monotonic()
    while not is_done(cluster, settings):
        for service in services:
            service.require_alive()
        if time.monotonic() - started > seconds:
            raise ServiceError(f"not done after {seconds} s: {standing(cluster, settings)}")
        time.sleep(POLL_SECONDS)
    return time.monotonic() - started


def standing(cluster, settings):
    """How far a deployment has come, as text for people."""
    kafka = settings["kafka"]
    lines = []
    for stage, topics in (("ingest", kafka["input_topics"]), ("detect", [kafka["rates_topic"]])):
        known = committed(cluster, f"{kafka['group']}-{stage}")
        for topic in topics:
            places = sorted(cluster.topics().get(topic, {}))
            of_each = ", ".join(f"{known.get((topic, place), '-')}/"
                                f"{end_offset(cluster, topic, place)}" for place in places)
            lines.append(f"{stage} of {topic}, committed/end: {of_each}")
    return "\n".join(lines)
