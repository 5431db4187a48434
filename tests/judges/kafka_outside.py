#!/usr/bin/env python3
"""The Kafka service as people, brokers and other programs meet it: `insightd run` from the outside.

Against a real Kafka with TLS, passwords and rights: every mistake of a new user and what is said
about it; each way to log in; what kcat reads of insights and dead letters; what silence, a stalled
stage and a stopped broker lead to; and what Prometheus makes of it with the alerts of `deploy/`.
Prints one line for each fact; ends with exit code 3 when one does not hold.

    python tests/judges/kafka_outside.py [errors|logins|records|silence|stall ...]
"""

import argparse
import base64
import collections
import concurrent.futures
import contextlib
import dataclasses
import gzip
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid

from kafka import KafkaProducer

import common
import kafka_cluster
from kafka_cluster import wait_until

HOUR = 60
ACCOUNT = "111122223333"
# A series is judged from its 49th hour.
HISTORY_MINUTES = 54 * HOUR
SECONDS = 60
# What a group needs to see that a member is gone.
SESSION_SECONDS = 6
DELAY_SECONDS = 5
WRONG_PASSWORD = "not-the-password-7c1f"
KEY_PASSWORD = "not-for-the-eyes-of-logs-93ab"

problems = []
skipped = []
printing = threading.Lock()


def fact(text, holds, *details):
    """Tells whether something holds; what does not is remembered, and told with its details."""
    with printing:
        print(f"{'ok' if holds else 'WRONG'}: {text}", flush=True)
        if not holds:
            problems.append(text)
            for detail in details:
                print("    " + str(detail)[-3000:].replace("\n", "\n    "), flush=True)
    return holds


def skip(text):
    with printing:
        print("*" * 72 + f"\nSKIPPED: {text}\n" + "*" * 72, flush=True)
    skipped.append(text)


# --- the service ------------------------------------------------------------------------------


def toml(settings):
    """Settings as TOML: section to key to value. Such values are written in JSON as in TOML."""
    lines = []
    for section, values in settings.items():
        lines.append(f"[{section}]" if section else "")
        lines += [f"{json.dumps(key)} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def merged(settings, changes):
    """Settings with other values; None takes a key away."""
    result = {section: dict(values) for section, values in settings.items()}
    for section, values in changes.items():
        result.setdefault(section, {}).update(values)
    return {section: {key: value for key, value in values.items() if value is not None}
            for section, values in result.items()}


class Service:
    """One `insightd run`: its folder, configuration, log and process."""

    def __init__(self, folder, name, settings, **environment):
        self.name = name
        self.folder = pathlib.Path(folder) / name
        self.folder.mkdir(exist_ok=True)
        self.configuration = self.folder / "insightd.toml"
        self.log_path = self.folder / "log"
        settings = merged({
            "": {},
            "kafka": group_settings(name),
            "http": {"listen": "127.0.0.1:0"},
            "checkpoint": {"path": str(self.folder / "checkpoints"), "interval": "5s"},
        }, settings)
        self.configuration.write_text(toml(settings))
        own = {key: value for key, value in os.environ.items() if not key.startswith("INSIGHTD_")}
        self.environment = own | {"INSIGHTD_LOG": "info"} | environment
        self.process = None
        self._address = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def start(self):
        self._address = None
        command = [str(common.BINARY), "run", "-c", str(self.configuration)]
        with self.log_path.open("wb") as log:
            self.process = kafka_cluster.spawn(command, env=self.environment, stdout=log,
                                               stderr=log)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def log_tail(self, lines=30):
        return "\n".join(self.log().splitlines()[-lines:])

    def is_running(self):
        return self.process.poll() is None

    def wait_for(self, condition, what, seconds=SECONDS):
        """Whether the condition comes to hold while the service runs."""
        deadline = time.monotonic() + seconds
        while self.is_running() and time.monotonic() < deadline:
            if condition():
                return True
            time.sleep(kafka_cluster.POLL_SECONDS)
        if not condition():
            return fact(f"{self.name}: {what} within {seconds} s", False, self.log_tail())
        return True

    def wait_for_log(self, text, seconds=SECONDS):
        return self.wait_for(lambda: text in self.log(), f"`{text}` in the log", seconds)

    def end(self, number=signal.SIGTERM, seconds=30):
        """Exit code after a signal and the seconds it took; None when it did not end."""
        started = time.monotonic()
        self.process.send_signal(number)
        try:
            return self.process.wait(seconds), time.monotonic() - started
        except subprocess.TimeoutExpired:
            return None, seconds

    def address(self):
        """Host and port of its HTTP pages; None until they are there."""
        if self._address is None:
            found = re.search(r"listening.*?(127\.0\.0\.1:[1-9]\d*)", self.log())
            self._address = found and found[1]
        return self._address

    def get(self, path):
        """Code and text of a page; code None when there is no answer."""
        if not self.address():
            return None, ""
        try:
            with urllib.request.urlopen(f"http://{self.address()}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return None, ""

    def metric(self, name, **labels):
        """Sum over the samples of a metric that have these labels; None without any."""
        values = [value for labels_found, value in self.samples(name)
                  if labels.items() <= labels_found.items()]
        return sum(values) if values else None

    def samples(self, name):
        _, text = self.get("/metrics")
        pattern = rf"^{name}(?:\{{(.*)\}})? (\S+)$"
        return [(dict(re.findall(r'(\w+)="([^"]*)"', labels or "")), float(value))
                for labels, value in re.findall(pattern, text, re.MULTILINE)]

    def watermark(self):
        """Event time (seconds) that every detect partition has reached; None if one has none."""
        found = self.samples("insightd_watermark_timestamp_seconds")
        times = [value for labels, value in found if labels.get("stage") == "detect"]
        return min(times) if times else None


def group_settings(name):
    """Groups and topics of a service's own, small and quick."""
    return {
        "group": name, "rates_topic": f"{name}-rates", "rates_partitions": 2,
        "coordination_topic": f"{name}-coordination", "output_topic": f"{name}-insights",
        "dead_letter_topic": f"{name}-dead-letters", "session_timeout": f"{SESSION_SECONDS}s",
        "instance": "judge",
    }


def live_settings(bootstrap, topic, **silence):
    """A service that believes silence soon: events are delivered at once here."""
    return {
        "kafka": {"brokers": bootstrap, "input_topics": [topic]},
        "ingest": {"idle_probe": "1s"},
        "silence": {"delivery_delay": f"{DELAY_SECONDS}s"} | silence,
        "counting": {"lateness": "1m"},
        "detector": {"profile": "compat"},
    }


# --- traffic ----------------------------------------------------------------------------------


class Traffic:
    """Events as CloudTrail records, the same for the same seed."""

    def __init__(self, seed=1):
        self._random = random.Random(seed)

    def event(self, name, seconds):
        arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/judge/session"
        return {
            "eventVersion": "1.11", "eventID": str(uuid.UUID(int=self._random.getrandbits(128))),
            "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)),
            "eventSource": "ec2.amazonaws.com", "eventName": name, "awsRegion": "us-east-1",
            "recipientAccountId": ACCOUNT, "eventType": "AwsApiCall", "readOnly": False,
            "managementEvent": True, "eventCategory": "Management", "userAgent": "judge",
            "userIdentity": {"type": "AssumedRole", "arn": arn, "accountId": ACCOUNT},
        }

    def events(self, name, minute, count):
        return [self.event(name, minute * 60 + 60 * index // count) for index in range(count)]

    def minute(self, name, minute, count):
        """One message with the events of one minute."""
        return json.dumps({"Records": self.events(name, minute, count)}).encode()

    def usual(self):
        """Events in an ordinary minute."""
        return self._random.randint(8, 12)


def producer(cluster, **options):
    options = {"compression_type": "lz4", "linger_ms": 20, "batch_size": 1 << 19,
               "max_request_size": 4 << 20} | options
    return KafkaProducer(bootstrap_servers=cluster.bootstrap.split(","), **options)


def send_history(cluster, topic, partitions, end_minute, traffic):
    """More than two days of ordinary calls up to a minute, an API of its own in each partition."""
    with contextlib.closing(producer(cluster)) as out:
        for minute in range(end_minute - HISTORY_MINUTES, end_minute):
            for partition in range(partitions):
                value = traffic.minute(f"Call{partition}", minute, traffic.usual())
                out.send(topic, value, partition=partition)
        out.flush()


class Shipper(threading.Thread):
    """Sends what happens now, twelve calls a minute of each API, each to the partition of its
    history. While it is held it gathers, as a shipper does that cannot reach its broker."""

    interval = 5

    def __init__(self, cluster, topic, partitions):
        super().__init__(daemon=True)
        self._cluster = cluster
        self._topic = topic
        self._partitions = list(partitions)
        self._traffic = Traffic(seed=2)
        self._waiting = collections.deque()
        self._is_held = threading.Event()
        self._is_ended = threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._is_ended.set()
        self.join()

    def hold(self):
        self._is_held.set()

    def release(self):
        self._is_held.clear()

    def is_up_to_date(self):
        return not self._waiting and not self._is_held.is_set()

    def run(self):
        out = None
        while not self._is_ended.wait(self.interval - time.time() % self.interval):
            for partition in self._partitions:
                value = json.dumps(self._traffic.event(f"Call{partition}", time.time()))
                self._waiting.append((partition, value.encode()))
            if self._is_held.is_set():
                out = None
                continue
            out = out or producer(self._cluster)
            sent = [out.send(self._topic, value, partition=partition)
                    for partition, value in self._waiting]
            for one in sent:
                one.get(timeout=SECONDS)
            self._waiting.clear()


def this_minute():
    return int(time.time()) // 60


def utc(seconds):
    return time.strftime("%H:%M:%S", time.gmtime(seconds))


# --- what others read -------------------------------------------------------------------------


@dataclasses.dataclass
class Message:
    """A record as kcat shows it."""

    key: str
    value: str
    headers: dict
    timestamp_ms: int

    def json(self):
        return json.loads(self.value)


def read_topic(cluster, topic):
    """All that is committed in a topic, read by kcat; nothing when there is no topic."""
    done = subprocess.run(
        ["kcat", "-C", "-b", cluster.bootstrap, "-t", topic, "-o", "beginning", "-e", "-q", "-J"],
        capture_output=True, text=True, errors="replace", timeout=SECONDS)
    messages = []
    for line in done.stdout.split("\n")[:-1]:
        found = json.loads(line, strict=False)
        names = found.get("headers", [])
        headers = dict(zip(names[::2], names[1::2]))
        messages.append(Message(found.get("key"), found["payload"], headers, found["ts"]))
    return messages


def insights(messages):
    """Those that are CloudTrail records, as (API, state, minute of the first unusual one)."""
    records = [message.json() for message in messages
               if message.headers.get("ce_type", "").startswith("insightd.insight.")]
    return [(record["insightDetails"]["eventName"], record["insightDetails"]["state"],
             record["eventTime"]) for record in records]


def silent_notices(messages):
    return [message for message in messages
            if message.headers.get("ce_type") == "insightd.pipeline_silent"]


# --- errors -----------------------------------------------------------------------------------


@dataclasses.dataclass
class Mistake:
    """What somebody did wrong, and what must be said: an exit code and words."""

    what: str
    settings: dict
    code: int
    words: list
    environment: dict = dataclasses.field(default_factory=dict)


def login(cluster, protocol, mechanism=None, **changes):
    """Brokers and [kafka.security] for a listener of the cluster."""
    files = cluster.certificates
    addresses = {"plaintext": cluster.bootstrap, "ssl": cluster.bootstrap_tls,
                 "sasl_plaintext": cluster.bootstrap_sasl, "sasl_ssl": cluster.bootstrap_sasl_tls}
    security = {"protocol": protocol}
    if protocol.endswith("ssl"):
        security["ca"] = str(files.ca)
    if mechanism:
        password_file = cluster.folder / "password"
        password_file.write_text(cluster.password + "\n")
        security |= {"mechanism": mechanism, "username": cluster.user,
                     "password_file": str(password_file)}
    return {"kafka": {"brokers": addresses[protocol]}, "kafka.security": security | changes}


def mutual_login(cluster, certificate="client", **changes):
    files = cluster.certificates.folder
    settings = login(cluster, "ssl", certificate=str(files / f"{certificate}.pem"),
                     key=str(files / f"{certificate}.key"), **changes)
    settings["kafka"]["brokers"] = cluster.bootstrap_mtls
    return settings


def mistakes_of_place(cluster, closed_port):
    """Brokers, topics, files and addresses that are not what was written."""
    plain = login(cluster, "plaintext")
    three = {"kafka": {"rates_topic": "three-partitions", "rates_partitions": 4}}
    two = {"kafka": {"coordination_topic": "three-partitions"}}
    not_a_folder = {"checkpoint": {"path": "/dev/null/checkpoints"}}
    taken = {"http": {"listen": cluster.bootstrap}}
    return [
        Mistake("a broker's port that is closed",
                merged(plain, {"kafka": {"brokers": f"127.0.0.1:{closed_port}"}}), 1,
                [f"127.0.0.1:{closed_port}", "refused", "check kafka.brokers"]),
        Mistake("a broker's name that does not exist",
                merged(plain, {"kafka": {"brokers": "kafka.invalid:9092"}}), 1,
                ["kafka.invalid", "check kafka.brokers"]),
        Mistake("an input topic that does not exist",
                merged(plain, {"kafka": {"input_topics": ["cloudtrial"]}}), 1,
                ["`cloudtrial`", "kafka.input_topics", "make it, or correct the name"]),
        Mistake("no input topic", merged(plain, {"kafka": {"input_topics": []}}), 4,
                ["kafka.input_topics", "name the topics"]),
        Mistake("a rates topic with another number of partitions", merged(plain, three), 4,
                ["kafka.rates_partitions", "three-partitions has 3", "not 4", "write 3"]),
        Mistake("a coordination topic with three partitions", merged(plain, two), 4,
                ["kafka.coordination_topic", "must have one", "another name"]),
        Mistake("rates partitions that do not divide the shards",
                merged(plain, {"kafka": {"rates_partitions": 3}}), 4,
                ["kafka.rates_partitions", "use 1, 2, 4"]),
        Mistake("more replicas than brokers", merged(plain, {"kafka": {"replication": 3}}), 1,
                ["absent and cannot be made", "kafka.replication"]),
        Mistake("a checkpoint directory that cannot be made", merged(plain, not_a_folder), 4,
                ["checkpoint.path", "/dev/null/checkpoints"]),
        Mistake("an address for HTTP that is taken", merged(plain, taken), 4,
                ["http.listen", cluster.bootstrap, "in use"]),
        Mistake("a format that does not exist", merged(plain, {"kafka": {"format": "ocfs"}}), 4,
                ["kafka.format", "there are", "ocsf"]),
    ]


def mistakes_of_property(cluster):
    plain = login(cluster, "plaintext")

    def wrong(name, value, *words):
        settings = merged(plain, {"kafka.properties": {name: value}})
        return Mistake(f"kafka.properties: {name} = {value}", settings, 4,
                       [f"kafka.properties.{name}", *words])
    return [
        wrong("socket.timeout", 1000, "No such configuration property"),
        wrong("socket.timeout.ms", "soon", "`soon`"),
        wrong("socket.timeout.ms", 1, "`1`"),
        wrong("enable.auto.commit", True, "not yours to set", "remove it"),
        wrong("group.id", "mine", "use kafka.group"),
        wrong("sasl.password", WRONG_PASSWORD, "use kafka.security.password_file"),
        Mistake("a key of [kafka] that does not exist",
                merged(plain, {"kafka": {"broker": "127.0.0.1:9092"}}), 4,
                ["kafka.broker", "`kafka.brokers`"]),
    ]


def mistakes_of_login(cluster):
    scram = "SCRAM-SHA-512"
    wrong_file = cluster.folder / "wrong-password"
    wrong_file.write_text(WRONG_PASSWORD)
    credentials = ["check kafka.security.username, the password and the mechanism"]
    listener = ["check kafka.security.protocol"]
    untrusted = ["certificate", "kafka.security.ca"]
    wants = ["kafka.security.certificate"]
    to_plain = merged(login(cluster, "ssl"), {"kafka": {"brokers": cluster.bootstrap}})
    to_tls = merged(login(cluster, "plaintext"), {"kafka": {"brokers": cluster.bootstrap_tls}})
    plain_to_sasl = merged(login(cluster, "plaintext"),
                           {"kafka": {"brokers": cluster.bootstrap_sasl}})
    sasl_to_plain = merged(login(cluster, "sasl_plaintext", scram),
                           {"kafka": {"brokers": cluster.bootstrap}})
    no_certificate = merged(login(cluster, "ssl"), {"kafka": {"brokers": cluster.bootstrap_mtls}})
    wrong_ca = str(cluster.certificates.wrong_ca)
    return [
        *(Mistake(f"a wrong password ({mechanism}, {protocol})",
                  login(cluster, protocol, mechanism, password_file=str(wrong_file)), 1,
                  credentials)
          for protocol, mechanism in [("sasl_plaintext", "PLAIN"), ("sasl_ssl", scram)]),
        Mistake("a user that does not exist", login(cluster, "sasl_ssl", scram, username="nobody"),
                1, credentials),
        Mistake("a mechanism that the broker has not", login(cluster, "sasl_plaintext",
                                                             "SCRAM-SHA-256"), 1,
                ["SCRAM-SHA-256", "kafka.security.mechanism"]),
        Mistake("a mechanism that does not exist", login(cluster, "sasl_ssl", "SCRAM-SHA-1"), 4,
                ["kafka.security.mechanism", "SCRAM-SHA-512"]),
        Mistake("a password file that is missing",
                login(cluster, "sasl_ssl", scram, password_file="/nowhere/password"), 4,
                ["kafka.security.password_file", "/nowhere/password", "cannot be read"]),
        Mistake("no password", login(cluster, "sasl_ssl", scram, password_file=None), 4,
                ["kafka.security.password_file", "INSIGHTD_KAFKA__SECURITY__PASSWORD"]),
        Mistake("an authority that did not sign", login(cluster, "ssl", ca=wrong_ca), 1, untrusted),
        Mistake("no authority", login(cluster, "ssl", ca=None), 1, untrusted),
        Mistake("a file for the authority that is missing", login(cluster, "ssl", ca="/nowhere/ca"),
                4, ["kafka.security.ca", "/nowhere/ca", "cannot be read"]),
        Mistake("no client certificate where one is wanted", no_certificate, 1, wants),
        Mistake("a client certificate of another authority",
                mutual_login(cluster, "wrong-client"), 1, wants),
        Mistake("TLS to a plaintext listener", to_plain, 1, listener),
        Mistake("plaintext to a TLS listener", to_tls, 1, listener),
        Mistake("plaintext to a SASL listener", plain_to_sasl, 1, listener),
        Mistake("SASL to a plaintext listener", sasl_to_plain, 1, listener),
    ]


def check_mistake(folder, number, mistake):
    settings = merged({"kafka": {"input_topics": ["audit"]}}, mistake.settings)
    service = Service(folder, f"mistake-{number}", settings, **mistake.environment)
    started = time.monotonic()
    with service:
        try:
            code = service.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            code = "it runs on"
    seconds = time.monotonic() - started
    said = service.log()
    last = said.strip().splitlines()[-1] if said.strip() else ""
    missing = [word for word in mistake.words if word not in last]
    is_told = not missing and code == mistake.code and "panicked" not in said
    fact(f"{mistake.what}: {code} in {seconds:.0f} s, {last}", is_told,
         f"expected {mistake.code}; not said: {missing}", said)
    if WRONG_PASSWORD in said:
        fact(f"{mistake.what}: the password is not told", False, said)


def check_errors(cluster, folder):
    """The mistakes, some at a time: most of them are waiting for an answer."""
    closed_port = kafka_cluster.free_ports(1)[0]
    cluster.create_topic("three-partitions", 3)
    mistakes = [*mistakes_of_property(cluster), *mistakes_of_login(cluster),
                *mistakes_of_place(cluster, closed_port)]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        done = [pool.submit(check_mistake, folder, number, mistake)
                for number, mistake in enumerate(mistakes)]
    for one in done:
        one.result()


# --- rights -----------------------------------------------------------------------------------


def grant_by_prefix(cluster, kind, prefix, *operations):
    from kafka.admin import (ACL, ACLOperation, ACLPermissionType, ACLResourcePatternType,
                             ResourcePattern, ResourceType)
    pattern = ResourcePattern(ResourceType[kind], prefix, ACLResourcePatternType.PREFIXED)
    rights = [ACL(f"User:{cluster.user}", "*", ACLOperation[operation], ACLPermissionType.ALLOW,
                  pattern) for operation in operations]
    with cluster.admin() as admin:
        failed = admin.create_acls(rights)["failed"]
    fact(f"{operations} on {kind} {prefix}* can be granted", not failed, failed)


def check_rights(cluster, folder):
    """One right after another, those that config/kafka.toml names: what is missing is said, and a
    service that runs goes on when it is given."""
    settings = merged(login(cluster, "sasl_ssl", "SCRAM-SHA-512"),
                      {"kafka": group_settings("rights") | {"input_topics": ["audit"]}})
    check_mistake(folder, "rights-1", Mistake(
        "no right on the input topic", settings, 1,
        ["topic audit", "grant this user Read, Write and Describe"]))
    cluster.grant("TOPIC", "audit", "READ", "DESCRIBE")
    check_mistake(folder, "rights-2", Mistake(
        "no right on the topics of the service", settings, 1,
        ["topic rights-rates", "grant this user Read, Write and Describe"]))
    grant_by_prefix(cluster, "TOPIC", "rights", "READ", "WRITE", "DESCRIBE")
    check_mistake(folder, "rights-3", Mistake(
        "no right to make topics", settings, 1,
        ["topic rights-rates is absent and cannot be made", "grant this user", "Create"]))
    grant_by_prefix(cluster, "TOPIC", "rights", "CREATE")
    with Service(folder, "rights", settings) as service:
        told = service.wait_for_log("grant this user Read on groups that begin with kafka.group",
                                    20)
        fact("no right on groups: it is said, and the service waits",
             told and service.is_running(), service.log_tail())
        grant_by_prefix(cluster, "GROUP", "rights", "READ", "DESCRIBE")
        told = service.wait_for_log("grant this user Write and Describe on transactional ids", 20)
        fact("no right on transactional ids: it is said, and the service waits",
             told and service.is_running(), service.log_tail())
        grant_by_prefix(cluster, "TRANSACTIONAL_ID", "rights", "WRITE", "DESCRIBE")
        fact("with all rights of config/kafka.toml the running service goes on",
             service.wait_for_log("counting", 30), service.log_tail())


# --- one topic with all that may be in one ----------------------------------------------------


BURST = "Call0"
BURST_EACH = 10
GARBAGE_BYTES = 1 << 20


@dataclasses.dataclass
class Audit:
    """What the topic `audit` holds, with the answers."""

    end_minute: int
    burst_minute: int
    burst_events: int
    dead_letters: dict


def envelopes(traffic, minute):
    """The same number of events in each form in which they may come as messages, by name."""
    def events():
        return traffic.events(BURST, minute, BURST_EACH)

    def subscription():
        lines = [{"id": str(index), "timestamp": minute * 60_000, "message": json.dumps(event)}
                 for index, event in enumerate(events())]
        return {"messageType": "DATA_MESSAGE", "owner": ACCOUNT, "logGroup": "trail",
                "logStream": "s", "subscriptionFilters": ["all"], "logEvents": lines}

    def packed():
        return base64.b64encode(gzip.compress(json.dumps(subscription()).encode())).decode()

    def bus(event):
        return {"version": "0", "id": event["eventID"], "account": ACCOUNT, "source": "aws.ec2",
                "detail-type": "AWS API Call via CloudTrail", "time": event["eventTime"],
                "region": event["awsRegion"], "resources": [], "detail": event}

    def notice(message):
        return {"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:us-east-1:1:t",
                "Message": message, "Timestamp": "2026-01-01T00:00:00.000Z"}
    forms = {
        "a log file": [{"Records": events()}],
        "single records": events(),
        "EventBridge": [bus(event) for event in events()],
        "CloudWatch Logs": [subscription()],
        "CloudWatch Logs, gzip and base64": [{"awslogs": {"data": packed()}}],
        "SNS": [notice(json.dumps({"Records": events()}))],
        "SNS with EventBridge": [notice(json.dumps(bus(event))) for event in events()],
        "SQS": [{"Messages": [{"Body": json.dumps(event)} for event in events()]}],
    }
    messages = {name: [json.dumps(value).encode() for value in values]
                for name, values in forms.items()}
    messages["lines"] = ["\n".join(json.dumps(event) for event in events()).encode()]
    messages["base64 of gzip"] = [packed().encode()]
    messages["pretty-printed"] = [json.dumps(events(), indent=2).encode()]
    return messages


def send_burst(cluster, traffic, minute):
    """Every envelope, packed in turn as each codec does; one message twice. The number of events.
    """
    sent = envelopes(traffic, minute)
    codecs = [None, "gzip", "zstd", "lz4", "snappy"]
    for index, messages in enumerate(sent.values()):
        codec = codecs[index % len(codecs)]
        if codec == "snappy":
            subprocess.run(["kcat", "-P", "-b", cluster.bootstrap, "-t", "audit", "-p", "0", "-z",
                            codec], input=b"\n".join(messages), check=True, timeout=SECONDS)
            continue
        with contextlib.closing(producer(cluster, compression_type=codec)) as out:
            for message in messages:
                out.send("audit", message, partition=0)
    with contextlib.closing(producer(cluster)) as out:
        out.send("audit", sent["a log file"][0], partition=0)
    return BURST_EACH * len(sent)


def poison(traffic, minute):
    """Messages that cannot be used, by the reason that must be given: value, and bytes kept."""
    future = json.dumps(traffic.event("Future", time.time() + 3600)).encode()
    broken = json.dumps(traffic.event("Broken", minute * 60)).encode()[:-40]
    garbage = random.Random(7).randbytes(GARBAGE_BYTES).replace(b"\n", b"n").replace(b"{", b"(")
    return {"future": future, "invalid_json": broken, "not_json": garbage}


def prepare_audit(cluster):
    """Two days of history that ended ten minutes ago, a burst two minutes before, and poison."""
    traffic = Traffic()
    end_minute = this_minute() - 10
    burst_minute = end_minute - 2
    send_history(cluster, "audit", 2, burst_minute, traffic)
    dead_letters = poison(traffic, burst_minute - 1)
    with contextlib.closing(producer(cluster)) as out:
        for value in dead_letters.values():
            out.send("audit", value, partition=0)
        # A deletion of a compacted topic, and a message without anything.
        out.send("audit", None, key=b"gone", partition=0)
        out.send("audit", b"", partition=0)
    burst_events = send_burst(cluster, traffic, burst_minute)
    with contextlib.closing(producer(cluster)) as out:
        for minute in range(burst_minute, end_minute):
            for partition in range(2):
                value = traffic.minute(f"Call{partition}", minute, traffic.usual())
                out.send("audit", value, partition=partition)
    return Audit(end_minute, burst_minute, burst_events, dead_letters)


# --- records ----------------------------------------------------------------------------------


def check_records(cluster, folder, audit):
    settings = merged(live_settings(cluster.bootstrap, "audit"), {})
    with Service(folder, "records", settings) as service:
        service.wait_for(lambda: len(insights(read_topic(cluster, "records-insights"))) >= 4,
                         "the burst's Start and End and a Start for each API that stopped")
        messages = read_topic(cluster, "records-insights")
        letters = read_topic(cluster, "records-dead-letters")
        print(service.log_tail(100))
    for m in messages:
        print(m)
    for m in letters:
        print(m.headers, m.key, len(m.value), m.value[:100])
    print(insights(messages), audit.burst_events)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*")
    arguments = parser.parse_args()
    properties = {"listener.name.sasl.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512"}
    with common.scratch() as scratch:
        folder = pathlib.Path(scratch)
        with kafka_cluster.Cluster(folder / "kafka", tls=True, scram=True, acl=True,
                                   properties=properties) as cluster:
            cluster.create_topic("audit", 2)
            if "errors" in arguments.parts:
                check_errors(cluster, folder)
            if "rights" in arguments.parts:
                check_rights(cluster, folder)
            if "records" in arguments.parts:
                audit = prepare_audit(cluster)
                check_records(cluster, folder, audit)
    print(f"kafka_outside: {len(problems)} problems, {len(skipped)} skipped")
    sys.exit(3 if problems else 0)


if __name__ == "__main__":
    main()
