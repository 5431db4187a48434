#!/usr/bin/env python3
"""The Kafka service as people, brokers and other programs meet it: `insightd run` from the outside.

Against a real Kafka with TLS, passwords and rights: every mistake of a new user and what is said
about it; each way to log in; what kcat reads of insights and dead letters; what silence, a stage
that stands still and a stopped broker lead to; and what Prometheus makes of it with the alerts of
`deploy/`. Prints a line for each fact; ends with exit code 3 when one does not hold. With
INSIGHTD_BENCH_SIZE=long the broker is stopped for ten minutes.

    python tests/judges/kafka_outside.py [NAME...]     # parts by name: see PARTS at the end
"""

import argparse
import base64
import collections
import concurrent.futures
import contextlib
import dataclasses
import gzip
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
import threading
import time
import urllib.parse
import urllib.request
import uuid

import yaml
from kafka import KafkaProducer
from kafka.errors import KafkaError

import common
import kafka_cluster
import service
from facts import SECONDS, comes, fact, part, problems, skip, skipped

HOUR = 60
ACCOUNT = "111122223333"
# A series is judged from its 49th hour; with a few more a drop is told within ten minutes.
HISTORY_MINUTES = 54 * HOUR
# Calls in each minute, of each API.
ORDINARY = 12
LATENESS_SECONDS = 60
# Longer than the pauses of the traffic, which would be silence.
DELAY_SECONDS = 15
# What the watermark may lie behind now while traffic flows: lateness, the minute that is not full,
# and what commits, probes and this machine need.
BEHIND_SECONDS = LATENESS_SECONDS + 60 + 20
# Long enough for a minute to end, whatever the second.
STILL_SECONDS = 75
MOMENT_SECONDS = 4
SCRAPE_SECONDS = 0.5
PROFILE = "compat"
WRONG_PASSWORD = "not-the-password-7c1f"
KEY_PASSWORD = "not-for-the-eyes-of-logs-93ab"
SCRAM = "SCRAM-SHA-512"
# What the client tells of itself reaches the service at all moments, also at bad ones.
FREQUENT_STATISTICS = {"statistics.interval.ms": 100}


# --- the service ------------------------------------------------------------------------------


class Instance(service.Service):
    """A process of `insightd run` whose clock is compared with that of this machine."""

    def log_tail(self, lines=25):
        """The end of the log, without what only the chattiest level tells."""
        said = [line for line in self.log_text().splitlines() if " TRACE " not in line]
        return "\n".join(said[-lines:])

    def watermark(self):
        """Event time (seconds) that every partition of the rates log has reached; else None."""
        times = [value for labels, value in self.samples("insightd_watermark_timestamp_seconds")
                 if labels.get("stage") == "detect"]
        return min(times) if len(times) == self.settings["kafka"]["rates_partitions"] else None

    def is_up_to_date(self, seconds=BEHIND_SECONDS):
        watermark = self.watermark()
        return watermark is not None and time.time() - watermark <= seconds


def settings_of(name, topic, *changes):
    """A small deployment that believes silence soon: here events are delivered at once."""
    return service.merged(service.deployment(name), {
        "kafka": {"input_topics": [topic], "rates_partitions": 2, "session_timeout": "6s"},
        "ingest": {"idle_probe": "1s"},
        "silence": {"delivery_delay": f"{DELAY_SECONDS}s"},
        "counting": {"lateness": f"{LATENESS_SECONDS}s"},
        "detector": {"profile": PROFILE},
    }, *changes)


def login(cluster, protocol, mechanism=None, brokers=None, **changes):
    """Brokers and [kafka.security] for a listener of the cluster; None takes a key away."""
    security = {"protocol": protocol}
    if protocol.endswith("ssl"):
        security["ca"] = str(cluster.certificates.ca)
    if mechanism:
        password_file = cluster.folder / "password"
        password_file.write_text(cluster.password + "\n")
        security |= {"mechanism": mechanism, "username": cluster.user,
                     "password_file": str(password_file)}
    own = {"plaintext": cluster.bootstrap, "ssl": cluster.bootstrap_tls,
           "sasl_plaintext": cluster.bootstrap_sasl, "sasl_ssl": cluster.bootstrap_sasl_tls}
    security = {key: value for key, value in (security | changes).items() if value is not None}
    return {"kafka": {"brokers": brokers or own[protocol]}, "kafka.security": security}


def mutual_login(cluster, certificate="client", **changes):
    """The same for the listener that wants a certificate."""
    files = {"certificate": f"{certificate}.pem", "key": f"{certificate}.key"}
    paths = {key: str(cluster.certificates.folder / name) for key, name in files.items()}
    return login(cluster, "ssl", brokers=cluster.bootstrap_mtls, **(paths | changes))


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

    def ordinary_minute(self, name, minute):
        """One message with the events of an ordinary minute."""
        return json.dumps({"Records": self.events(name, minute, ORDINARY)}).encode()


def producer(cluster, **options):
    options = {"compression_type": "lz4", "linger_ms": 20, "batch_size": 1 << 19,
               "max_request_size": 4 << 20} | options
    return KafkaProducer(bootstrap_servers=cluster.bootstrap.split(","), **options)


def this_minute():
    return int(time.time()) // 60


def send_history(cluster, topic, partitions, minutes, traffic, in_transaction=False):
    """Ordinary traffic of some minutes, an API of its own in each partition."""
    options = {"transactional_id": topic} if in_transaction else {}
    with contextlib.closing(producer(cluster, **options)) as out:
        if in_transaction:
            out.init_transactions()
            out.begin_transaction()
        for minute in minutes:
            for partition in range(partitions):
                value = traffic.ordinary_minute(f"Call{partition}", minute)
                out.send(topic, value, partition=partition)
        if in_transaction:
            out.commit_transaction()


class Shipper(service.Background):
    """Sends what happens now, as many calls as ever, of each API to the partition of its history.

    It first fills the time since the history. While it is held it gathers, as a shipper does that
    cannot reach its broker.
    """

    interval = 60 // ORDINARY

    def __init__(self, cluster, topic, partitions, since_minute):
        super().__init__()
        self._cluster = cluster
        self._topic = topic
        self._partitions = list(partitions)
        self._traffic = Traffic(seed=2)
        self._next = since_minute * 60
        self._waiting = collections.deque()
        self._is_held = threading.Event()

    def hold(self):
        self._is_held.set()

    def release(self):
        """Lets it send again, and waits until it has sent everything."""
        self._is_held.clear()
        return comes(lambda: not self._waiting)

    def run(self):
        while not self._is_ended.wait(0.1):
            self._gather()
            if self._waiting and not self._is_held.is_set():
                # What may have arrived is sent again after a failure: ids tell it apart.
                with contextlib.suppress(KafkaError):
                    self._send()

    def _gather(self):
        while self._next <= time.time():
            for partition in self._partitions:
                event = self._traffic.event(f"Call{partition}", self._next)
                self._waiting.append((partition, json.dumps(event).encode()))
            self._next += self.interval

    def _send(self):
        with contextlib.closing(producer(self._cluster, linger_ms=0)) as out:
            while not self._is_held.is_set() and not self._is_ended.is_set():
                sent = [out.send(self._topic, value, partition=partition)
                        for partition, value in self._waiting]
                for one in sent:
                    one.get(timeout=10)
                    self._waiting.popleft()
                self._is_ended.wait(max(0.1, self._next - time.time()))
                self._gather()


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
    """Those that are CloudTrail records, as (API, state, first unusual minute)."""
    records = [message.json() for message in messages
               if message.headers.get("ce_type", "").startswith("insightd.insight.")]
    return sorted((record["insightDetails"]["eventName"], record["insightDetails"]["state"],
                   record["eventTime"]) for record in records)


def notices(messages):
    return [message for message in messages
            if message.headers.get("ce_type") == "insightd.pipeline_silent"]


def utc(minute):
    return time.strftime("%Y-%m-%dT%H:%M:00Z", time.gmtime(minute * 60))


# --- errors -----------------------------------------------------------------------------------


@dataclasses.dataclass
class Mistake:
    """What somebody did wrong, and what must be said: an exit code and words."""

    what: str
    settings: dict
    code: int
    words: list


def mistakes_of_place(cluster):
    """Brokers, topics, files and addresses that are not what was written."""
    closed = f"127.0.0.1:{kafka_cluster.free_ports(1)[0]}"

    def wrong(what, code, words, **kafka):
        return Mistake(what, {"kafka": kafka}, code, words)
    return [
        wrong("a broker's port that is closed", 1, [closed, "refused", "check kafka.brokers"],
              brokers=closed),
        wrong("a broker's name that does not exist", 1, ["kafka.invalid", "check kafka.brokers"],
              brokers="kafka.invalid:9092"),
        wrong("an input topic that does not exist", 1,
              ["`cloudtrial`", "kafka.input_topics", "make it, or correct the name"],
              input_topics=["cloudtrial"]),
        wrong("no input topic", 4, ["kafka.input_topics", "name the topics"], input_topics=[]),
        wrong("a rates topic with another number of partitions", 4,
              ["kafka.rates_partitions", "three-partitions has 3", "not 4", "write 3"],
              rates_topic="three-partitions", rates_partitions=4),
        wrong("a coordination topic with three partitions", 4,
              ["kafka.coordination_topic", "must have one", "another name"],
              coordination_topic="three-partitions"),
        wrong("rates partitions that do not divide the shards", 4,
              ["kafka.rates_partitions", "use 1, 2, 4"], rates_partitions=3),
        wrong("more replicas than brokers", 1, ["cannot be made", "kafka.replication"],
              replication=3),
        wrong("a format that does not exist", 4, ["kafka.format", "there are", "ocsf"],
              format="ocfs"),
        wrong("a key that does not exist", 4, ["kafka.broker:", "`kafka.brokers`"], broker="x"),
        Mistake("a checkpoint directory that cannot be made",
                {"checkpoint": {"path": "/dev/null/checkpoints"}}, 4,
                ["checkpoint.path", "/dev/null/checkpoints"]),
        Mistake("an address for HTTP that is taken", {"http": {"listen": cluster.bootstrap}}, 4,
                ["http.listen", cluster.bootstrap, "in use"]),
    ]


def mistakes_of_property():
    def wrong(name, value, *words):
        return Mistake(f"kafka.properties: {name} = {value}", {"kafka.properties": {name: value}},
                       4, [f"kafka.properties.{name}", *words])
    return [
        wrong("socket.timeout", 1000, "No such configuration property"),
        wrong("socket.timeout.ms", "soon", "`soon`"),
        wrong("socket.timeout.ms", 1, "`1`"),
        wrong("enable.auto.commit", True, "not yours to set", "remove it"),
        wrong("group.id", "mine", "use kafka.group"),
        wrong("sasl.password", WRONG_PASSWORD, "use kafka.security.password_file"),
    ]


def mistakes_of_password(cluster):
    wrong_file = cluster.folder / "wrong-password"
    wrong_file.write_text(WRONG_PASSWORD)
    credentials = ["check kafka.security.username", "password", "kafka.security.mechanism"]
    return [
        *(Mistake(f"a wrong password ({mechanism}, {protocol})",
                  login(cluster, protocol, mechanism, password_file=str(wrong_file)), 1,
                  credentials)
          for protocol, mechanism in [("sasl_plaintext", "PLAIN"), ("sasl_ssl", SCRAM)]),
        Mistake("a user that does not exist", login(cluster, "sasl_ssl", SCRAM, username="nobody"),
                1, credentials),
        Mistake("a mechanism that the broker has not",
                login(cluster, "sasl_plaintext", "SCRAM-SHA-256"), 1,
                ["SCRAM-SHA-256", "kafka.security.mechanism"]),
        Mistake("a mechanism that does not exist", login(cluster, "sasl_ssl", "SCRAM-SHA-1"), 4,
                ["kafka.security.mechanism", SCRAM]),
        Mistake("a password file that is missing",
                login(cluster, "sasl_ssl", SCRAM, password_file="/nowhere/password"), 4,
                ["kafka.security.password_file", "/nowhere/password", "cannot be read"]),
        Mistake("no password", login(cluster, "sasl_ssl", SCRAM, password_file=None), 4,
                ["kafka.security.password_file", "INSIGHTD_KAFKA__SECURITY__PASSWORD"]),
    ]


def mistakes_of_listener(cluster):
    untrusted = ["certificate", "kafka.security.ca"]
    wanted = ["kafka.security.certificate"]
    listener = ["check kafka.security.protocol"]
    wrong_ca = str(cluster.certificates.wrong_ca)
    plain, tls, sasl = cluster.bootstrap, cluster.bootstrap_tls, cluster.bootstrap_sasl
    return [
        Mistake("an authority that did not sign", login(cluster, "ssl", ca=wrong_ca), 1, untrusted),
        Mistake("no authority", login(cluster, "ssl", ca=None), 1, untrusted),
        Mistake("a file for the authority that is missing", login(cluster, "ssl", ca="/nowhere/ca"),
                4, ["kafka.security.ca", "/nowhere/ca", "cannot be read"]),
        Mistake("no client certificate where one is wanted",
                login(cluster, "ssl", brokers=cluster.bootstrap_mtls), 1, wanted),
        Mistake("a client certificate of another authority",
                mutual_login(cluster, "wrong-client"), 1, wanted),
        Mistake("TLS to a plaintext listener", login(cluster, "ssl", brokers=plain), 1, listener),
        Mistake("plaintext to a TLS listener", login(cluster, "plaintext", brokers=tls), 1,
                listener),
        Mistake("plaintext to a SASL listener", login(cluster, "plaintext", brokers=sasl), 1,
                listener),
        Mistake("SASL to a plaintext listener",
                login(cluster, "sasl_plaintext", SCRAM, brokers=plain), 1, listener),
    ]


def check_mistake(cluster, folder, name, mistake):
    settings = service.merged(settings_of(name, "empty"), mistake.settings)
    started = time.monotonic()
    with Instance(cluster, folder, name, settings) as one:
        try:
            code = one.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            code = "it runs on"
    seconds = time.monotonic() - started
    said = one.log_text()
    last = said.strip().splitlines()[-1] if said.strip() else ""
    missing = [word for word in mistake.words if word not in last]
    fact(f"{mistake.what}: {code} after {seconds:.0f} s, {last}",
         not missing and code == mistake.code and "panicked" not in said,
         f"expected {mistake.code}; not said: {missing}", said)
    if WRONG_PASSWORD in said:
        fact(f"{mistake.what}: the password is not told", False, said)


def check_errors(cluster, folder):
    """All mistakes, some at a time: most of them wait for an answer."""
    cluster.create_topic("three-partitions", 3)
    mistakes = [*mistakes_of_password(cluster), *mistakes_of_listener(cluster),
                *mistakes_of_place(cluster), *mistakes_of_property()]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        done = [pool.submit(check_mistake, cluster, folder, f"mistake-{number}", mistake)
                for number, mistake in enumerate(mistakes)]
    for one in done:
        one.result()


# --- rights -----------------------------------------------------------------------------------


def grant_by_prefix(cluster, kind, prefix, *operations, principal=None):
    from kafka.admin import (ACL, ACLOperation, ACLPermissionType, ACLResourcePatternType,
                             ResourcePattern, ResourceType)
    pattern = ResourcePattern(ResourceType[kind], prefix, ACLResourcePatternType.PREFIXED)
    rights = [ACL(principal or f"User:{cluster.user}", "*", ACLOperation[operation],
                  ACLPermissionType.ALLOW, pattern) for operation in operations]
    with cluster.admin() as admin:
        failed = admin.create_acls(rights)["failed"]
    if failed:
        raise kafka_cluster.ClusterError(f"cannot grant {operations} on {kind} {prefix}: {failed}")


def grant_all(cluster, prefix, principal=None):
    """The rights that config/kafka.toml names, for a group that begins with `prefix`."""
    for kind, operations in [("TOPIC", ["READ", "WRITE", "DESCRIBE", "CREATE"]),
                             ("GROUP", ["READ", "DESCRIBE"]),
                             ("TRANSACTIONAL_ID", ["WRITE", "DESCRIBE"])]:
        grant_by_prefix(cluster, kind, prefix, *operations, principal=principal)


def check_rights(cluster, folder):
    """One right after another: what is missing is said, and a service that runs goes on when it
    is given."""
    kafka = {"rates_partitions": 1}
    settings = service.merged(settings_of("rights", "guarded"),
                              login(cluster, "sasl_ssl", SCRAM), {"kafka": kafka})
    cluster.create_topic("guarded", 1)

    def refused(number, what, *words):
        name = f"rights-{number}"
        check_mistake(cluster, folder, name, Mistake(what, settings, 1, words))
    refused(1, "no right on the input topic", "topic guarded", "grant this user Read")
    cluster.grant("TOPIC", "guarded", "READ", "DESCRIBE")
    refused(2, "no right on the topics of the service", "topic rights-rates", "grant this user")
    grant_by_prefix(cluster, "TOPIC", "rights", "READ", "WRITE", "DESCRIBE")
    refused(3, "no right to make topics", "rights-rates is absent and cannot be made", "Create")
    grant_by_prefix(cluster, "TOPIC", "rights", "CREATE")
    with Instance(cluster, folder, "rights", settings) as one:
        told = comes(lambda: "grant this user Read on groups" in one.log_text(), 20)
        fact("no right on groups: it is said, and the service waits", told and one.is_running(),
             one.log_tail())
        fact("no right on groups: not ready", comes(lambda: one.page("/ready")[0] == 503, 10),
             one.page("/ready"))
        grant_by_prefix(cluster, "GROUP", "rights", "READ", "DESCRIBE")
        told = comes(lambda: "Write and Describe on transactional ids" in one.log_text(), 20)
        fact("no right on transactional ids: it is said, and the service waits",
             told and one.is_running(), one.log_tail())
        grant_by_prefix(cluster, "TRANSACTIONAL_ID", "rights", "WRITE", "DESCRIBE")
        fact("with all rights of config/kafka.toml the running service goes on, and is ready",
             comes(lambda: "counting" in one.log_text(), 30)
             and comes(lambda: one.page("/ready")[0] == 200, 30),
             one.log_tail(), one.page("/ready"))
        lines = one.log_text().count("\n")
        fact(f"all that was said in {lines} lines", lines < 60, one.log_tail(60))


# --- signals ----------------------------------------------------------------------------------


def check_signals(cluster, folder):
    """A topic without a record, and the ends of a service that has nothing to do."""
    for number, name in [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")]:
        with Instance(cluster, folder, f"end-{name}", settings_of("end", "empty")) as one:
            runs = comes(lambda: "counting" in one.log_text(), 30)
            fact("a topic without a record: the service runs and says that it waits",
                 runs and comes(lambda: re.search("wait", one.log_text()), 20), one.log_tail())
            fact("a topic without a record: ready", comes(lambda: one.page("/ready")[0] == 200, 20),
                 one.page("/ready"))
            code, seconds = one.end_by(number)
            fact(f"{name} ends it with {code} in {seconds:.1f} s", code == 0 and seconds < 10,
                 one.log_tail())


# --- one topic with all that may be in one ----------------------------------------------------


BURST = "Call0"
BURST_EACH = 10
GARBAGE_BYTES = 1 << 20
CODECS = [None, "gzip", "zstd", "lz4", "snappy"]


@dataclasses.dataclass
class Audit:
    """What the topic `audit` holds, with the answers."""

    end_minute: int
    burst_minute: int
    burst_count: int
    poison: dict


def envelopes(traffic, minute):
    """As many events in each form in which they may come as messages, by name."""
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
    """Every envelope, compressed by each codec in turn, and one message once more. The number of
    events."""
    sent = envelopes(traffic, minute)
    sent["a log file again"] = sent["a log file"]
    for index, messages in enumerate(sent.values()):
        codec = CODECS[index % len(CODECS)]
        if codec == "snappy":
            subprocess.run(["kcat", "-P", "-b", cluster.bootstrap, "-t", "audit", "-p", "0", "-z",
                            codec], input=b"\n".join(messages), check=True, timeout=SECONDS)
            continue
        with contextlib.closing(producer(cluster, compression_type=codec)) as out:
            for message in messages:
                out.send("audit", message, partition=0)
    return BURST_EACH * (len(sent) - 1)


def poison_messages(traffic, minute):
    """Messages that cannot be used, by the reason that must be given."""
    event = json.dumps(traffic.event("Broken", minute * 60))
    return {
        "future": json.dumps(traffic.event("Future", time.time() + 3600)).encode(),
        "invalid_json": event.replace(": ", ":: ", 1).encode(),
        "truncated": event[:-40].encode(),
        "not_json": random.Random(7).randbytes(GARBAGE_BYTES),
    }


def prepare_audit(cluster):
    """Two days of history that ended a quarter of an hour ago, with a burst two minutes before its
    end, and poison."""
    traffic = Traffic()
    end_minute = this_minute() - 15
    burst_minute = end_minute - 2
    cluster.create_topic("audit", 2)
    history = range(burst_minute - HISTORY_MINUTES, burst_minute)
    send_history(cluster, "audit", 2, history, traffic)
    poison = poison_messages(traffic, burst_minute - 1)
    with contextlib.closing(producer(cluster)) as out:
        for value in poison.values():
            out.send("audit", value, partition=0)
        # What a deletion looks like, and a message without anything.
        out.send("audit", None, key=b"gone", partition=0)
        out.send("audit", b"", partition=0)
    send_history(cluster, "audit", 2, [burst_minute], traffic)
    count = ORDINARY + send_burst(cluster, traffic, burst_minute)
    send_history(cluster, "audit", 2, range(burst_minute + 1, end_minute), traffic)
    return Audit(end_minute, burst_minute, count, poison)


# --- records ----------------------------------------------------------------------------------


def expected_of(audit):
    """The insights that the topic `audit` leads to, once its silence is believed."""
    burst, end = utc(audit.burst_minute), utc(audit.end_minute)
    return {("Call0", "Start", burst), ("Call0", "End", utc(audit.burst_minute + 1)),
            ("Call0", "Start", end), ("Call1", "Start", end)}


def check_headers(cluster, group, messages):
    """CloudEvents by their Kafka binding, binary mode; beside them the place in the rates log."""
    ids = [message.headers["ce_id"] for message in messages]
    fact(f"{len(ids)} records have ids of their own", len(ids) == len(set(ids)), ids)
    for message in messages:
        record, headers = message.json(), message.headers
        details = record["insightDetails"]
        series = ",".join([record["recipientAccountId"], record["awsRegion"],
                           details["eventSource"], details["eventName"], details["insightType"],
                           ""])
        expected = {
            "ce_specversion": "1.0", "ce_id": record["eventID"], "ce_source": f"/insightd/{group}",
            "ce_type": f"insightd.insight.{details['state'].lower()}", "ce_subject": series,
            "ce_time": record["insightd"]["decidedAt"], "content-type": "application/json",
            "ce_partitionkey": record["sharedEventID"],
        }
        wrong = {name: headers.get(name) for name, value in expected.items()
                 if headers.get(name) != value}
        fact(f"{details['eventName']} {details['state']}: key and headers are a CloudEvent's",
             not wrong and message.key == record["sharedEventID"], wrong, message)
        names = ("insightd_partition", "insightd_offset", "insightd_ordinal")
        fact(f"{details['eventName']} {details['state']}: its place in the rates log",
             all(headers.get(name, "").isdigit() for name in names), headers)


def check_burst(audit, messages):
    """Every event of every envelope was counted once."""
    starts = [message.json()["insightDetails"] for message in messages
              if message.json()["eventTime"] == utc(audit.burst_minute)]
    averages = [details["insightContext"]["statistics"]["insight"]["average"]
                for details in starts if details["state"] == "Start"]
    fact(f"eleven envelopes, five codecs, one twice: {audit.burst_count} events in the minute",
         averages == [audit.burst_count], starts)


def check_dead_letters(letters, audit):
    """One for each message that cannot be used, but of garbage for each piece of it."""
    names = ("topic", "partition", "offset", "reason", "stage", "exception.message", "version")
    places = {}
    for letter in letters:
        headers = {name: letter.headers.get(f"insightd.errors.{name}") for name in names}
        if not (all(headers.values()) and headers["topic"] == "audit"
                and headers["partition"] == "0" and headers["offset"].isdigit()):
            fact("a dead letter has all its headers", False, letter.headers)
        places.setdefault(headers["offset"], []).append((headers["reason"], letter.value))
    *single, garbage = [places[offset] for offset in sorted(places, key=int)] or [[]]
    fact(f"dead letters say why, with place and version: {names}",
         [[reason for reason, _ in one] for one in single]
         == [[reason] for reason in list(audit.poison)[:-1]], single)
    kept = {reason: value for one in single for reason, value in one}
    for reason, value in list(audit.poison.items())[:-1]:
        fact(f"dead letter {reason}: the record as it came", kept.get(reason) == value.decode(),
             kept.get(reason))
    sizes = sum(len(value) for _, value in garbage)
    fact(f"a megabyte of garbage makes {len(garbage)} dead letters with {sizes} characters",
         0 < len(garbage) <= 1000 and sizes <= GARBAGE_BYTES
         and max(len(value) for _, value in garbage) <= 1 << 16)


def check_records(cluster, folder, audit):
    """What the output topic and the dead-letter topic hold for others."""
    with Instance(cluster, folder, "records", settings_of("records", "audit")) as one:
        comes(lambda: one.is_up_to_date(60 + DELAY_SECONDS + 20))
        # What is decided is not yet committed.
        comes(lambda: notices(read_topic(cluster, "records-insights")), 20)
        messages = read_topic(cluster, "records-insights")
        letters = read_topic(cluster, "records-dead-letters")
        made = [message for message in messages if message not in notices(messages)]
        expected = expected_of(audit)
        fact(f"the insights are {sorted(expected)}", set(insights(made)) == expected,
             insights(made), one.log_tail())
        check_headers(cluster, "records", made)
        check_burst(audit, made)
        check_dead_letters(letters, audit)
        rejected = one.value("insightd_events_rejected_total")
        fact(f"metrics: {rejected} records rejected, as many dead letters",
             rejected == len(letters) == one.value("insightd_dead_letters_total", outcome="sent"),
             one.samples("insightd_events_rejected_total"))
        early = [message for message in made if message.timestamp_ms < 1000 * (
            DELAY_SECONDS + 60 + decided(message))]
        fact("no insight comes before its minute can be complete", not early, early)
        check_late(one)
        check_silence(cluster, one, messages)
        check_restart_in_silence(cluster, one, messages)


def check_letters(cluster, folder):
    """A dead letter that its topic does not take is counted as dropped, and holds nothing up."""
    cluster.create_topic("letters", 1)
    cluster.create_topic("letters-dead-letters", 1, config={"max.message.bytes": 20_000})
    traffic, minute = Traffic(), this_minute() - 5
    with contextlib.closing(producer(cluster)) as out:
        out.send("letters", random.Random(7).randbytes(60_000).translate(None, b"\n{"))
        out.send("letters", b"not a record")
        out.send("letters", traffic.ordinary_minute("Call0", minute))
    with Instance(cluster, folder, "letters", settings_of("letters", "letters")) as one:
        def is_counted():
            return one.value("insightd_events_total", outcome="counted") == ORDINARY
        goes_on = comes(lambda: is_counted() and one.value(
            "insightd_sources", state="idle_proven") == 1 and not service.lag(
                cluster, "letters-ingest", "letters"), 30)
        fact("a dead letter is refused by its topic: all else goes on", goes_on, one.log_tail(),
             one.samples("insightd_poll_age_seconds"))
        if goes_on:
            letters = [letter.value for letter in read_topic(cluster, "letters-dead-letters")]
            dropped = one.value("insightd_dead_letters_total", outcome="dropped")
            fact(f"a dead letter is refused by its topic: dropped and counted, {dropped}",
                 dropped >= 1, letters, one.log_tail())


def decided(message):
    """Seconds since 1970 of the minute in which an insight was decided."""
    text = message.json()["insightd"]["decidedAt"]
    return time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone


# --- silence ----------------------------------------------------------------------------------


def check_silence(cluster, one, messages):
    """All sources have nothing more: drops are judged, and one notice stands beside them."""
    found = notices(messages)
    fact("all sources silent: one notice", len(found) == 1, found, one.log_tail())
    fact("all sources silent: it is in the log", "pipeline is silent" in one.log_text(),
         one.log_tail())
    fact("all sources silent: the metric says so", one.value("insightd_pipeline_silent") == 1)
    for notice in found:
        fact(f"the notice is a CloudEvent: {notice.value} {notice.headers}",
             notice.headers.get("ce_specversion") == "1.0" and "since" in notice.json()
             and notice.headers.get("ce_time") == notice.json()["since"])


def check_restart_in_silence(cluster, one, messages):
    """A restart while nothing comes: all sources are proven idle again, and nothing is said twice.
    """
    code = one.terminate()
    one.start()
    fact(f"started again in silence (it ended with {code}): all sources are proven idle, ready",
         comes(lambda: one.value("insightd_sources", state="idle_proven") == 2
               and one.page("/ready")[0] == 200, 30), one.log_tail(), one.page("/ready"))
    again = read_topic(cluster, "records-insights")
    fact("started again in silence: nothing is said twice", again == messages,
         [message.headers for message in again[len(messages):]])


def check_hold(cluster, folder, audit):
    """`silence.all = "hold"` keeps drops back, and nothing else."""
    settings = settings_of("hold", "audit", {"silence": {"all": "hold"},
                                             "kafka.properties": FREQUENT_STATISTICS})
    with Instance(cluster, folder, "hold", settings) as one:
        comes(lambda: one.is_up_to_date(60 + DELAY_SECONDS + 10))
        # What is decided is not yet committed.
        comes(lambda: notices(read_topic(cluster, "hold-insights")), 20)
        messages = read_topic(cluster, "hold-insights")
        burst = {found for found in expected_of(audit) if found[2] != utc(audit.end_minute)}
        fact("silence.all = \"hold\": no drop is told", set(insights(messages)) == burst,
             insights(messages), one.log_tail())
        fact("silence.all = \"hold\": one notice", len(notices(messages)) == 1, messages)
        check_late(one)


def check_late(one):
    """No event came behind a proof that there is none."""
    late = one.value("insightd_events_late_total", reason="idle")
    fact(f"{one.name}: no event is late because its source was believed to be idle", late == 0,
         late, one.samples("insightd_events_total"), one.log_tail())


def prepare_live(cluster, topic, partitions):
    """Two days of history up to this minute, whose number is returned."""
    cluster.create_topic(topic, partitions)
    minute = this_minute()
    send_history(cluster, topic, partitions, range(minute - HISTORY_MINUTES, minute), Traffic())
    return minute


def watch_watermark(one, seconds):
    """Watermarks seen within some seconds, with the times when each was seen first and last."""
    seen = {}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        watermark, now = one.watermark(), time.time()
        first, _ = seen.get(watermark, (now, now))
        seen[watermark] = (first, now)
        time.sleep(SCRAPE_SECONDS)
    return seen


def stood_still(seen):
    """Whether no watermark is new after a moment, in which what was committed before is read.

    None is none: who loses its group gives its partitions up.
    """
    begin = min(first for first, _ in seen.values())
    return all(first <= begin + MOMENT_SECONDS for watermark, (first, _) in seen.items()
               if watermark is not None)


def wait_for_commit():
    """Until services that read from a shipper have something to commit."""
    comes(lambda: 0.3 <= time.time() % Shipper.interval < 0.4)


def check_idle_partition(cluster, folder):
    """One partition has been idle for half an hour, the other is busy: minutes close in time. Both
    begin with a transaction, whose mark stands behind the last message."""
    cluster.create_topic("uneven", 2)
    minute, traffic = this_minute(), Traffic()
    end = minute - 30
    send_history(cluster, "uneven", 2, range(minute - HISTORY_MINUTES, end), traffic,
                 in_transaction=True)
    with (Shipper(cluster, "uneven", [1], end),
          Instance(cluster, folder, "uneven", settings_of("uneven", "uneven")) as one):
        fact("one partition idle: caught up", comes(one.is_up_to_date), one.log_tail(),
             one.watermark())
        seen = watch_watermark(one, STILL_SECONDS)
        behind = max(last - (watermark or 0) for watermark, (_, last) in seen.items())
        fact(f"one partition idle: {len(seen)} minutes closed, at most {behind:.0f} s behind",
             len(seen) >= 2 and behind <= BEHIND_SECONDS, seen)
        messages = read_topic(cluster, "uneven-insights")
        fact("one partition idle: the API that stopped is told, and nothing else",
             insights(messages) == [("Call0", "Start", utc(end))] and not notices(messages),
             insights(messages), notices(messages), one.log_tail())
        states = one.samples("insightd_sources")
        fact(f"one partition idle: metrics say so, {states}",
             one.value("insightd_sources", state="idle_proven") == 1
             and one.value("insightd_sources", state="active") == 1)


def check_paused_ingest(cluster, folder):
    """Ingest stands still: that is no silence."""
    minute = prepare_live(cluster, "paused", 2)
    names = {role: settings_of("paused", "paused", {"": {"role": role}})
             for role in ("ingest", "detect")}
    with (Shipper(cluster, "paused", [0, 1], minute),
          Instance(cluster, folder, "paused-ingest", names["ingest"]) as ingest,
          Instance(cluster, folder, "paused-detect", names["detect"]) as detect):
        fact("ingest and detect as two processes: caught up", comes(detect.is_up_to_date),
             ingest.log_tail(), detect.log_tail())
        wait_for_commit()
        ingest.pause()
        seen = watch_watermark(detect, STILL_SECONDS)
        fact("ingest stands still: time stands still", stood_still(seen) and None not in seen, seen)
        fact("ingest stands still: that is not told as silence",
             detect.value("insightd_pipeline_silent") == 0)
        ingest.resume()
        fact("ingest goes on: caught up again", comes(detect.is_up_to_date), ingest.log_tail(),
             detect.watermark(), ingest.samples("insightd_poll_age_seconds"))
        messages = read_topic(cluster, "paused-insights")
        fact("ingest stood still: nothing was told, then or later", not messages,
             [message.headers for message in messages])
        check_late(ingest)


# --- logins -----------------------------------------------------------------------------------


def logins(cluster):
    """Ways to log in by name: settings and environment."""
    folder = cluster.certificates.folder
    encrypted = folder / "encrypted.key"
    subprocess.run(["openssl", "ec", "-in", folder / "client.key", "-aes256", "-out", encrypted,
                    "-passout", f"pass:{KEY_PASSWORD}"], check=True, capture_output=True)
    key_password_file = folder / "encrypted.password"
    key_password_file.write_text(KEY_PASSWORD)
    by_environment = login(cluster, "sasl_ssl", SCRAM, password_file=None)
    password = {"INSIGHTD_KAFKA__SECURITY__PASSWORD": cluster.password}
    return {
        "tls": (login(cluster, "ssl"), {}),
        "mutual-tls": (mutual_login(cluster, key=str(encrypted),
                                    key_password_file=str(key_password_file)), {}),
        "plain": (login(cluster, "sasl_plaintext", "PLAIN"), {}),
        "plain-tls": (login(cluster, "sasl_ssl", "PLAIN"), {}),
        "scram-256-tls": (login(cluster, "sasl_ssl", "SCRAM-SHA-256"), {}),
        "scram-512-tls": (by_environment, password),
    }


def check_secrets(cluster, one, environment):
    """Nothing that the service writes holds a password."""
    shown = subprocess.run([str(common.BINARY), "config", "show", "-c", str(one.configuration)],
                           capture_output=True, text=True, env=os.environ | environment)
    command = pathlib.Path(f"/proc/{one.process.pid}/cmdline").read_text()
    group = one.settings["kafka"]["group"]
    told = {"log": one.log_text(), "config show": shown.stdout + shown.stderr,
            "command line": command, "coordination topic": str(
                read_topic(cluster, f"{group}-coordination"))}
    told |= {path: one.page(path)[1] for path in ("/metrics", "/ready", "/live", "/")}
    plain = f"\0{cluster.user}\0{cluster.password}".encode()
    secrets = [cluster.password, KEY_PASSWORD, base64.b64encode(plain).decode()]
    found = [where for where, text in told.items() if any(secret in text for secret in secrets)]
    fact(f"{one.name}: no password in {', '.join(told)}",
         not found and shown.returncode == 0 and len(told["log"]) > 10_000,
         found, shown.stderr, len(told["log"]))


def check_login(cluster, folder, audit, name, settings, environment):
    name = f"login-{name}"
    chatty = {"debug": "security,broker,conf"} | FREQUENT_STATISTICS
    settings = settings_of(name, "audit", settings, {"kafka.properties": chatty})
    environment = {"INSIGHTD_LOG": "trace"} | environment
    with Instance(cluster, folder, name, settings, environment) as one:
        expected = expected_of(audit)
        comes(lambda: set(insights(read_topic(cluster, f"{name}-insights"))) >= expected, 40)
        found = insights(read_topic(cluster, f"{name}-insights"))
        fact(f"{name}: from the first event to the last insight", set(found) == expected, found,
             one.log_tail())
        check_late(one)
        check_secrets(cluster, one, environment)
        code = one.terminate()
        fact(f"{name}: ends with {code}", code == 0)


def check_logins(cluster, folder, audit):
    for principal in (None, "User:CN=insightd"):
        cluster.grant("TOPIC", "audit", "READ", "DESCRIBE", principal=principal)
        grant_all(cluster, "login", principal)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        done = [pool.submit(check_login, cluster, folder, audit, name, *how)
                for name, how in logins(cluster).items()]
    for one in done:
        one.result()


# --- a broker that is gone, and what Prometheus makes of it -----------------------------------


ALERT = "InsightdWatermarkStalled"
# In the ordinary run the broker is gone for as long as it takes to see what becomes of that, and
# the rules are run so much faster: what takes five minutes then takes little more than the minute in
# which the watermark moves once. In the long run it is gone for ten minutes, and the rules are as
# shipped.
FASTER, OUTAGE_SECONDS = (1, 600) if common.IS_LONG else (4, 0)


def faster(text):
    """The same durations, divided."""
    seconds = {"s": 1, "m": 60, "h": 3600}
    return re.sub(r"\b(\d+)([smh])\b",
                  lambda found: f"{int(found[1]) * seconds[found[2]] // FASTER}s", text)


def find_promtool():
    """promtool, with prometheus beside it; None when they cannot be had."""
    tool = os.environ.get("INSIGHTD_PROMTOOL") or shutil.which("promtool")
    if not tool:
        done = subprocess.run([str(common.ROOT / "tests/kafka/install")], capture_output=True,
                              text=True)
        found = re.search(r"^promtool (.+)$", done.stdout, re.M)
        tool = found and found[1]
    return pathlib.Path(tool) if tool else None


class Prometheus:
    """A real one that scrapes one service every second, with a faster copy of the shipped rules."""

    def __init__(self, binary, folder, target):
        self._binary = binary
        self._folder = pathlib.Path(folder)
        self._folder.mkdir()
        self._address = f"127.0.0.1:{kafka_cluster.free_ports(1)[0]}"
        self._process = None
        rules = yaml.safe_load((common.ROOT / "deploy/prometheus/alerts.yaml").read_text())
        for group in rules["groups"]:
            group["interval"] = "1s"
            for rule in group["rules"]:
                rule["expr"] = faster(rule["expr"])
                rule["for"] = faster(rule.get("for", "0s"))
        configuration = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [{"job_name": "insightd", "static_configs": [{"targets": [target]}]}],
        }
        (self._folder / "rules.yaml").write_text(yaml.safe_dump(rules))
        (self._folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))

    def __enter__(self):
        with (self._folder / "log").open("wb") as log:
            self._process = kafka_cluster.spawn(
                [str(self._binary), f"--config.file={self._folder}/prometheus.yaml",
                 f"--storage.tsdb.path={self._folder}/data",
                 f"--web.listen-address={self._address}"], stdout=log, stderr=log)
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()

    def ask(self, query):
        """Labels and value of each result; none while it does not answer."""
        url = f"http://{self._address}/api/v1/query?" + urllib.parse.urlencode({"query": query})
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                found = json.load(answer)["data"]["result"]
        except OSError:
            return []
        return [(one["metric"], float(one["value"][1])) for one in found]

    def firing(self):
        """Names of the alerts that fire."""
        return sorted({labels["alertname"]
                       for labels, _ in self.ask('ALERTS{alertstate="firing"}')})

    def log(self):
        return (self._folder / "log").read_text()


def check_metrics(promtool, pages):
    """promtool finds nothing, and what is served is what docs/metrics.md lists."""
    catalogue = (common.ROOT / "docs/metrics.md").read_text()
    documented = set(re.findall(r"^\| `(insightd_\w+)`", catalogue, re.M))
    served = set(re.findall(r"^# TYPE (insightd_\w+)", "".join(pages), re.M))
    fact(f"{len(served)} metrics: those of docs/metrics.md", served == documented,
         f"not served: {documented - served}; not documented: {served - documented}")
    if not promtool or not promtool.exists():
        skip("promtool is absent (set INSIGHTD_PROMTOOL): it did not check the metrics")
        return
    for page in (pages[0], pages[len(pages) // 2], pages[-1]):
        done = subprocess.run([str(promtool), "check", "metrics"], input=page, text=True,
                              capture_output=True)
        told = done.stdout + done.stderr
        fact(f"promtool check metrics: {len(page.splitlines())} lines, nothing found",
             done.returncode == 0 and not told and len(page) > 1000, told)


def pages_under_load(one):
    """Metrics pages while two days of history are read, and for a few seconds after."""
    pages = []
    comes(one.address)
    while not one.is_up_to_date() and len(pages) < 2 * SECONDS:
        pages.append(one.page("/metrics")[1])
        time.sleep(SCRAPE_SECONDS)
    fact("live traffic: caught up", one.is_up_to_date(), one.log_tail(), one.watermark())
    # These need statistics of the client, and a first checkpoint.
    late = ("insightd_kafka_consumer_lag_seconds", "insightd_checkpoint_bytes")
    comes(lambda: all(one.samples(name) for name in late))
    return [page for page in pages if page] + [one.page("/metrics")[1]]


def check_ends_without_broker(victims):
    """SIGTERM, and one that is repeated, while nobody answers."""
    wanted = [((signal.SIGTERM,), 0, service.END_SECONDS - 5),
              ((signal.SIGTERM, signal.SIGTERM), 143, 1), ((signal.SIGINT, signal.SIGINT), 130, 1)]
    with concurrent.futures.ThreadPoolExecutor(len(wanted)) as pool:
        ends = [pool.submit(one.end_by, *numbers)
                for one, (numbers, _, _) in zip(victims, wanted)]
    for one, end, (numbers, expected, seconds_max) in zip(victims, ends, wanted):
        code, seconds = end.result()
        names = ", ".join(signal.Signals(number).name for number in numbers)
        # A process that drains quickly is gone before the second signal.
        codes = {0, expected}
        fact(f"no broker, {names}: {code} in {seconds:.1f} s",
             code in codes and seconds <= seconds_max, one.log_tail())


def check_outage(cluster, one, prometheus, shipper, victims):
    """The broker is killed: time stands still, nothing is told, an alert fires; then it is back."""
    before = read_topic(cluster, "stall-insights")
    wait_for_commit()
    began = time.monotonic()
    cluster.kill(0)
    shipper.hold()
    ending = threading.Thread(target=check_ends_without_broker, args=[victims])
    ending.start()
    seen = watch_watermark(one, STILL_SECONDS)
    fact("broker gone: time stands still", stood_still(seen), seen)
    ages = one.samples("insightd_poll_age_seconds")
    fact(f"broker gone: live, the poll loops turn, {ages}",
         one.page("/live")[0] == 200 and max(age for _, age in ages) < 30, one.page("/live"))
    code, reasons = one.page("/ready")
    fact(f"broker gone: not ready, {reasons}", code == 503 and "broker" in reasons)
    fact("broker gone: not told as silence", one.value("insightd_pipeline_silent") == 0)
    if prometheus:
        fact(f"broker gone: {ALERT} fires",
             comes(lambda: ALERT in prometheus.firing(), max(SECONDS, OUTAGE_SECONDS)),
             prometheus.firing(), prometheus.log())
        firing = set(prometheus.firing())
        fact(f"broker gone: what fires is {sorted(firing)}",
             firing <= {ALERT, "InsightdNotReady", "InsightdCheckpointOld"})
    time.sleep(max(0, began + OUTAGE_SECONDS - time.monotonic()))
    fact(f"broker gone for {time.monotonic() - began:.0f} s: live, not told as silence",
         one.page("/live")[0] == 200 and one.value("insightd_pipeline_silent") == 0)
    lines = one.log_text().count("\n")
    ending.join()
    fact(f"broker gone: {lines} lines in the log", lines < 200, one.log_tail(40))
    # The events of the outage are all there when the service looks again: nobody could tell those
    # that come later than `silence.delivery_delay` from events that never were.
    one.pause()
    cluster.start(0)
    shipper.release()
    one.resume()
    fact("broker back: caught up again", comes(one.is_up_to_date), one.log_tail(), one.watermark())
    fact("broker back: ready", comes(lambda: one.page("/ready")[0] == 200), one.page("/ready"))
    after = read_topic(cluster, "stall-insights")
    fact("broker back: nothing was told, then or later", after == before == [],
         [message.headers for message in after])
    check_late(one)
    if prometheus:
        fact(f"broker back: {ALERT} fires no more", comes(lambda: ALERT not in prometheus.firing()),
             prometheus.firing())


def check_stall(cluster, folder, others_are_done):
    """A service under live traffic, scraped; when all else is done its broker goes."""
    minute = prepare_live(cluster, "stall", 2)
    promtool = find_promtool()
    prometheus = None
    # The default profile shows a threshold.
    profile = {"detector": {"profile": "default"}}
    with contextlib.ExitStack() as stack:
        shipper = stack.enter_context(Shipper(cluster, "stall", [0, 1], minute))
        one = stack.enter_context(Instance(cluster, folder, "stall",
                                           settings_of("stall", "stall", profile)))
        pages = pages_under_load(one)
        if promtool and (promtool.parent / "prometheus").exists():
            prometheus = stack.enter_context(
                Prometheus(promtool.parent / "prometheus", folder / "prometheus", one.address()))
        else:
            skip("prometheus is absent: the alerts were not run against the service")
        check_metrics(promtool, pages)
        victims = [stack.enter_context(Instance(cluster, folder, f"victim-{number}",
                                                settings_of(f"victim-{number}", "stall")))
                   for number in range(3)]
        others_are_done()
        if prometheus:
            has_scraped = comes(
                lambda: prometheus.ask("count_over_time(insightd_ready[10m]) > 20"))
            fired = prometheus.ask('count_over_time(ALERTS{alertstate="firing"}[10m])')
            fact("live traffic: Prometheus scrapes, and no alert has fired",
                 has_scraped and not fired, fired, prometheus.log())
        fact("three more services are caught up",
             all(comes(victim.is_up_to_date) for victim in victims))
        check_outage(cluster, one, prometheus, shipper, victims)
        check_counters(one)


def check_counters(one):
    for name in ("duplicate_batches", "gap_batches", "determinism_mismatch"):
        fact(f"insightd_{name}_total is 0", one.value(f"insightd_{name}_total") == 0)


# --- all --------------------------------------------------------------------------------------


# Parts that share the topic `audit`, in this order.
OF_AUDIT = {"records": check_records, "hold": check_hold, "logins": check_logins}
# Parts that mostly wait, beside them.
ALONGSIDE = {"idle-partition": check_idle_partition, "paused-ingest": check_paused_ingest,
             "errors": check_errors}
# Parts that need nothing.
AFTER = {"letters": check_letters, "signals": check_signals, "rights": check_rights}
PARTS = [*OF_AUDIT, *ALONGSIDE, *AFTER, "stall"]


def run_part(name, check, *arguments):
    with part(name):
        check(*arguments)


def run_parts(cluster, folder, names):
    cluster.create_topic("empty", 2)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        done = []
        finished = threading.Event()

        def others_are_done():
            finished.wait()
        stall = []
        if "stall" in names:
            stall = [pool.submit(run_part, "stall", check_stall, cluster, folder, others_are_done)]
        done += [pool.submit(run_part, name, check, cluster, folder)
                 for name, check in ALONGSIDE.items() if name in names]
        try:
            if OF_AUDIT.keys() & names:
                audit = prepare_audit(cluster)
                for name, check in OF_AUDIT.items():
                    if name in names:
                        run_part(name, check, cluster, folder, audit)
            for name, check in AFTER.items():
                if name in names:
                    run_part(name, check, cluster, folder)
            concurrent.futures.wait(done)
        finally:
            finished.set()
        concurrent.futures.wait(stall)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="NAME", help=", ".join(PARTS))
    names = set(parser.parse_args().parts) or set(PARTS)
    if names - set(PARTS):
        parser.error(f"there are {', '.join(PARTS)}")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    properties = {"listener.name.sasl.sasl.enabled.mechanisms": f"PLAIN,{SCRAM}"}
    started = time.monotonic()
    with common.scratch() as scratch:
        folder = pathlib.Path(scratch)
        with kafka_cluster.Cluster(folder / "kafka", tls=True, scram=True, acl=True,
                                   properties=properties) as cluster:
            run_parts(cluster, folder, names)
    print(f"kafka_outside: {len(problems)} problems, {len(skipped)} skipped, "
          f"{time.monotonic() - started:.0f} s")
    sys.exit(3 if problems else 0)


if __name__ == "__main__":
    main()
