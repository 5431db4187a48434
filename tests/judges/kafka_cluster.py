#!/usr/bin/env python3
"""A real Apache Kafka on free ports of this machine, for judges and for trying things by hand.

`Cluster` runs one or three nodes, each broker and controller, that can be killed, stopped, paused
and started again one by one, with listeners for TLS, client certificates and passwords. The jars
are those of `tests/kafka/install`, or the folder in INSIGHTD_KAFKA_JARS. By hand:

    python tests/judges/kafka_cluster.py [--brokers 3] [--tls] [--scram] [--acl]
"""

import argparse
import base64
import concurrent.futures
import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import time

import common

READY_SECONDS = 60
READY_MARK = b"Kafka Server started"
PORT_TAKEN_MARK = b"Address already in use"
STOP_SECONDS = 10
POLL_SECONDS = 0.05
ARCHIVE = "classes.jsa"

# Small and quick rather than fast: tests share two cores and want failures noticed in seconds.
PROPERTIES = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",
    "controller.socket.timeout.ms": "4000",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "log.cleaner.dedupe.buffer.size": str(8 << 20),
    "log.segment.bytes": str(64 << 20),
    "message.max.bytes": str(8 << 20),
    "num.io.threads": "2",
    "num.network.threads": "1",
    "offsets.topic.num.partitions": "4",
    "replica.fetch.max.bytes": str(8 << 20),
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "transaction.state.log.num.partitions": "4",
}

JAVA_OPTIONS = [
    "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaConfig=warn",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config=warn",
]

# Listener by name: the protocol that Kafka knows it by.
PROTOCOLS = {
    "PLAINTEXT": "PLAINTEXT",
    "TLS": "SSL",
    "MTLS": "SSL",
    "SASL": "SASL_PLAINTEXT",
    "SASL_TLS": "SASL_SSL",
    "CONTROLLER": "PLAINTEXT",
}
SCRAM_MECHANISMS = ["SCRAM-SHA-256", "SCRAM-SHA-512"]

OPENSSL_CONFIGURATION = """
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1
[client]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
"""

# A JVM must die with this process even when it is killed. Linux binds that to the thread that
# started the child, so all are started from one thread that lives as long as the process.
STARTER = concurrent.futures.ThreadPoolExecutor(max_workers=1)


class ClusterError(Exception):
    """The cluster cannot be had, or does not do what it was asked to."""


class PortTaken(ClusterError):
    """Somebody else bound a port between our choice and the start of the server."""


def wait_until(condition, what, seconds):
    """Polls until the condition holds and returns its value; an error tells what never came."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise ClusterError(f"{what} did not happen within {seconds} s")
        time.sleep(POLL_SECONDS)
    return value


@functools.cache
def kafka_jars():
    """The folder of the jars; installs them when they are not there."""
    if folder := os.environ.get("INSIGHTD_KAFKA_JARS"):
        return pathlib.Path(folder)
    done = subprocess.run([str(common.ROOT / "tests/kafka/install")], stdout=subprocess.PIPE,
                          text=True)
    if done.returncode != 0:
        raise ClusterError("tests/kafka/install failed")
    return pathlib.Path(done.stdout.splitlines()[-1])


def java_command(main_class, *arguments, options=()):
    jars = kafka_jars()
    archive = jars / ARCHIVE
    if archive.exists():
        options = [*options, f"-XX:SharedArchiveFile={archive}"]
    path = ":".join(str(jar) for jar in sorted(jars.glob("*.jar")))
    return ["java", *JAVA_OPTIONS, *options, "-cp", path, main_class, *map(str, arguments)]


def spawn(command, **options):
    """Starts a command that is killed when this process ends, however it ends."""
    command = ["setpriv", "--pdeathsig", "KILL", *command]
    return STARTER.submit(subprocess.Popen, command, stdin=subprocess.DEVNULL,
                          start_new_session=True, **options).result()


def free_ports(count):
    """Free loopback ports below those that the system gives to outgoing connections.

    Of those, a client could be given the port of a broker that is down for a moment: the broker
    could not come back, and a client that tries to reach the broker could even reach itself.
    """
    span = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    candidates = range(10_000, max(int(span[0]), 10_000 + 1000 * count))
    with contextlib.ExitStack() as bound:
        ports = []
        while len(ports) < count:
            port = random.choice(candidates)
            server = bound.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                server.bind(("127.0.0.1", port))
                ports.append(port)
        return ports


@dataclasses.dataclass
class Certificates:
    """Paths of PEM files. Brokers do not trust the wrong authority, nor does it vouch for them."""

    folder: pathlib.Path

    def __post_init__(self):
        self.ca = self.folder / "ca.pem"
        self.client_cert = self.folder / "client.pem"
        self.client_key = self.folder / "client.key"
        self.wrong_ca = self.folder / "wrong-ca.pem"
        self.wrong_client_cert = self.folder / "wrong-client.pem"
        self.wrong_client_key = self.folder / "wrong-client.key"
        self.server = self.folder / "server-with-key.pem"

    def make(self):
        self.folder.mkdir()
        (self.folder / "openssl.cnf").write_text(OPENSSL_CONFIGURATION)
        self._issue("ca", "authority", "insightd test authority")
        self._issue("wrong-ca", "authority", "unrelated test authority")
        self._issue("server", "server", "localhost", signed_by="ca")
        self._issue("client", "client", "insightd", signed_by="ca")
        self._issue("wrong-client", "client", "insightd", signed_by="wrong-ca")
        parts = [self.folder / name for name in ("server.key", "server.pem", "ca.pem")]
        self.server.write_text("".join(part.read_text() for part in parts))

    def _issue(self, name, section, common_name, signed_by=None):
        signer = ["-CA", f"{signed_by}.pem", "-CAkey", f"{signed_by}.key"] if signed_by else []
        done = subprocess.run(
            ["openssl", "req", "-x509", "-config", "openssl.cnf", "-extensions", section,
             "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
             "-subj", f"/CN={common_name}", "-keyout", f"{name}.key", "-out", f"{name}.pem",
             *signer], cwd=self.folder, capture_output=True, text=True)
        if done.returncode != 0:
            raise ClusterError(f"openssl cannot make {name}: {done.stderr[-1000:]}")


class Node:
    """One JVM, broker and controller: its configuration, data, log and process."""

    def __init__(self, index, folder, properties):
        self.index = index
        self.folder = folder
        self.configuration = folder / "server.properties"
        self.log = folder / "server.log"
        self.process = None
        self._log_start = 0
        self._is_paused = False
        folder.mkdir(exist_ok=True)
        properties = properties | {"node.id": str(index), "log.dirs": str(folder / "data")}
        lines = [f"{name}={value}\n" for name, value in sorted(properties.items())]
        self.configuration.write_text("".join(lines))

    def launch(self, java_options):
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        command = java_command("kafka.Kafka", self.configuration, options=java_options)
        with self.log.open("ab") as log:
            self.process = spawn(command, stdout=log, stderr=log)

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def is_answering(self):
        return self.is_running() and not self._is_paused

    def is_ready(self):
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            text = log.read()
        if self.is_running():
            return READY_MARK in text
        if PORT_TAKEN_MARK in text:
            raise PortTaken(f"a port of broker {self.index} is taken")
        raise ClusterError(f"broker {self.index} ended on its own")

    def log_tail(self, lines=40):
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def signal(self, number):
        if not self.is_running():
            raise ClusterError(f"broker {self.index} is not running")
        self._is_paused = number == signal.SIGSTOP
        os.killpg(self.process.pid, number)

    def kill(self):
        if self.is_running():
            self.signal(signal.SIGKILL)
            self.process.wait()


class Cluster:
    """A context manager; all its servers are killed at the end, the folder stays with the caller.

    `acl=True` gives every right to who does not log in (PLAINTEXT, and TLS without a client
    certificate) and none to the user of SASL and the client certificate, until `grant`.
    Brokers are named by index from 0, which is their node id too.
    """

    user = "insightd"
    password = "insightd-secret"

    def __init__(self, folder, brokers=1, tls=False, scram=False, acl=False, properties=None,
                 java_options=()):
        if brokers not in (1, 3):
            raise ValueError("a cluster has 1 or 3 brokers")
        self.folder = pathlib.Path(folder).resolve()
        self.certificates = Certificates(self.folder / "certificates") if tls else None
        self.nodes = []
        self._brokers = brokers
        self._acl = acl
        self._properties = properties or {}
        self._java_options = java_options
        self._listeners = ["PLAINTEXT"] + ["TLS", "MTLS"] * tls + ["SASL"] * scram
        self._listeners += ["SASL_TLS"] * (tls and scram)
        self._ports = []

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.certificates:
            self.certificates.make()
        try:
            self._lay_out()
            self._format()
            self._start_on_free_ports()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            node.kill()

    # What clients need.

    bootstrap = property(lambda self: self._addresses("PLAINTEXT"))
    bootstrap_tls = property(lambda self: self._addresses("TLS"))
    bootstrap_mtls = property(lambda self: self._addresses("MTLS"))
    bootstrap_sasl = property(lambda self: self._addresses("SASL"))
    bootstrap_sasl_tls = property(lambda self: self._addresses("SASL_TLS"))

    # Topics and rights.

    def create_topic(self, name, partitions, replication=None, config=None):
        config = {key: str(value) for key, value in (config or {}).items()}
        if replication is None:
            replication = self._brokers
        if replication == 3:
            config.setdefault("min.insync.replicas", "2")
        topic = {"num_partitions": partitions, "replication_factor": replication,
                 "configs": config}
        self._ask(lambda admin: admin.create_topics({name: topic}))
        self._wait_for_partitions(name, partitions)

    def delete_topic(self, name):
        self._ask(lambda admin: admin.delete_topics([name]))
        self._wait_for_partitions(name, 0)

    def add_partitions(self, name, count):
        """Grows a topic to `count` partitions."""
        self._ask(lambda admin: admin.create_partitions({name: count}))
        self._wait_for_partitions(name, count)

    def topics(self, index=None):
        """Topics as a broker sees them, by default the first that answers: name to partitions,
        each with the `leader` (-1 when there is none), `replicas` and `isrs` (those in sync)."""
        answering = [node.index for node in self.nodes if node.is_answering()]
        address = self.bootstrap.split(",")[answering[0] if index is None else index]
        done = subprocess.run(["kcat", "-L", "-J", "-m", "20", "-b", address],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise ClusterError(f"{address} tells no topics: {done.stderr[-1000:]}")
        return {topic["topic"]: {
            partition["partition"]: {
                "leader": partition["leader"],
                "replicas": sorted(replica["id"] for replica in partition["replicas"]),
                "isrs": sorted(replica["id"] for replica in partition["isrs"]),
            } for partition in topic["partitions"]} for topic in json.loads(done.stdout)["topics"]}

    def leader(self, name, partition=0):
        """Index of the broker that leads a partition."""
        return self.topics()[name][partition]["leader"]

    def wait_for_leaders(self, seconds=READY_SECONDS):
        """Waits until brokers that answer lead all partitions, as after the end of a broker."""
        def is_led():
            answering = {node.index for node in self.nodes if node.is_answering()}
            return all(partition["leader"] in answering for index in answering
                       for topic in self.topics(index).values() for partition in topic.values())
        wait_until(is_led, "a leader of each partition", seconds)

    def wait_in_sync(self, seconds=READY_SECONDS):
        """Waits until all replicas are in sync, as after the start of a broker."""
        def is_in_sync():
            return all(partition["isrs"] == partition["replicas"]
                       for topic in self.topics().values() for partition in topic.values())
        wait_until(is_in_sync, "all replicas in sync", seconds)

    def grant(self, kind, name, *operations, principal=None):
        """Allows operations, as in `grant("TOPIC", "audit", "READ", "DESCRIBE")`.

        Kinds are TOPIC, GROUP, TRANSACTIONAL_ID and CLUSTER (whose name is `kafka-cluster`).
        """
        rights = self._rights(kind, name, operations, principal)
        failed = self._ask(lambda admin: admin.create_acls(rights))["failed"]
        if failed:
            raise ClusterError(f"cannot grant {operations} on {kind} {name}: {failed}")
        self._wait_for_rights(rights, are_there=True)

    def revoke(self, kind, name, *operations, principal=None):
        """Takes back what `grant` allowed."""
        rights = self._rights(kind, name, operations, principal)
        self._ask(lambda admin: admin.delete_acls(rights))
        self._wait_for_rights(rights, are_there=False)

    def admin(self):
        """A kafka-python admin client on the brokers that answer, to be used with `with`."""
        from kafka import KafkaAdminClient
        addresses = self.bootstrap.split(",")
        answering = [addresses[node.index] for node in self.nodes if node.is_answering()]
        return KafkaAdminClient(bootstrap_servers=answering, request_timeout_ms=5000)

    # Failures.

    def kill(self, index):
        """SIGKILL, as a machine that dies; the data stays."""
        self.nodes[index].signal(signal.SIGKILL)
        self.nodes[index].process.wait()

    def stop(self, index):
        """SIGTERM and the end of the process; killed when it hangs, as it may without a quorum."""
        self._stop([self.nodes[index]])

    def pause(self, index):
        """SIGSTOP: connections stay open, nothing answers."""
        self.nodes[index].signal(signal.SIGSTOP)

    def resume(self, index):
        self.nodes[index].signal(signal.SIGCONT)

    def start(self, index):
        """Starts a broker again on its ports and data and waits until it is ready."""
        if self.nodes[index].is_running():
            raise ClusterError(f"broker {index} is running already")
        self._start([self.nodes[index]])

    def stop_all(self):
        self._stop([node for node in self.nodes if node.is_running()])

    def start_all(self):
        self._start([node for node in self.nodes if not node.is_running()])

    # How it is done.

    def _addresses(self, listener):
        if listener not in self._listeners:
            raise ClusterError(f"this cluster was made without the listener {listener}")
        return ",".join(f"127.0.0.1:{ports[listener]}" for ports in self._ports)

    def _lay_out(self):
        """New ports, and a configuration of each node with them."""
        names = [*self._listeners, "CONTROLLER"]
        ports = free_ports(self._brokers * len(names))
        self._ports = [dict(zip(names, ports[index::self._brokers]))
                       for index in range(self._brokers)]
        self.nodes = [Node(index, self.folder / f"broker-{index}", self._node_properties(index))
                      for index in range(self._brokers)]

    def _node_properties(self, index):
        def urls(names):
            return ",".join(f"{name}://127.0.0.1:{self._ports[index][name]}" for name in names)
        voters = [f"{voter}@127.0.0.1:{ports['CONTROLLER']}"
                  for voter, ports in enumerate(self._ports)]
        properties = PROPERTIES | {
            "controller.quorum.voters": ",".join(voters),
            "listeners": urls([*self._listeners, "CONTROLLER"]),
            "advertised.listeners": urls(self._listeners),
            "listener.security.protocol.map": ",".join(
                f"{name}:{protocol}" for name, protocol in PROTOCOLS.items()),
        }
        copies = ["default.replication.factor", "offsets.topic.replication.factor",
                  "share.coordinator.state.topic.replication.factor",
                  "transaction.state.log.replication.factor"]
        in_sync = ["min.insync.replicas", "share.coordinator.state.topic.min.isr",
                   "transaction.state.log.min.isr"]
        properties |= {name: str(self._brokers) for name in copies}
        properties |= {name: str(self._brokers // 2 + 1) for name in in_sync}
        return properties | self._security_properties() | self._properties

    def _security_properties(self):
        properties = {}
        if self.certificates:
            properties |= {
                "ssl.keystore.type": "PEM", "ssl.keystore.location": self.certificates.server,
                "ssl.truststore.type": "PEM", "ssl.truststore.location": self.certificates.ca,
                "listener.name.mtls.ssl.client.auth": "required",
            }
        for listener in self._listeners:
            if listener.startswith("SASL"):
                prefix = f"listener.name.{listener.lower()}"
                module = "org.apache.kafka.common.security"
                properties[f"{prefix}.sasl.enabled.mechanisms"] = ",".join(
                    ["PLAIN", *SCRAM_MECHANISMS])
                properties[f"{prefix}.plain.sasl.jaas.config"] = (
                    f"{module}.plain.PlainLoginModule required"
                    f" user_{self.user}=\"{self.password}\";")
                for mechanism in SCRAM_MECHANISMS:
                    properties[f"{prefix}.{mechanism.lower()}.sasl.jaas.config"] = (
                        f"{module}.scram.ScramLoginModule required;")
        if self._acl:
            properties |= {
                "authorizer.class.name":
                    "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users": "User:ANONYMOUS",
            }
        return properties

    def _format(self):
        """Prepares the data folders, with the user's password for SCRAM."""
        # The first byte keeps the text from starting with a dash.
        cluster_id = base64.urlsafe_b64encode(b"i" + os.urandom(15)).decode().rstrip("=")
        arguments = ["format", "--cluster-id", cluster_id]
        for mechanism in SCRAM_MECHANISMS:
            if "SASL" in self._listeners:
                secret = f"[name={self.user},password={self.password}]"
                arguments += ["--add-scram", f"{mechanism}={secret}"]
        processes = [
            spawn(java_command("kafka.tools.StorageTool", *arguments,
                               "--config", node.configuration),
                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for node in self.nodes]
        for process in processes:
            output, _ = process.communicate()
            if process.returncode != 0:
                raise ClusterError(f"cannot format the storage of Kafka:\n{output[-4000:]}")

    def _start_on_free_ports(self):
        for _ in range(4):
            try:
                return self._launch(self.nodes)
            except PortTaken:
                self.__exit__()
                self._lay_out()
        return self._launch(self.nodes)

    def _start(self, nodes):
        """Starts again on the same ports, which clients know."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                return self._launch(nodes)
            except PortTaken:
                if time.monotonic() > deadline:
                    raise

    def _launch(self, nodes):
        for node in nodes:
            if not node.is_running():
                node.launch(self._java_options)
        for node in nodes:
            try:
                wait_until(node.is_ready, f"start of broker {node.index}", READY_SECONDS)
            except PortTaken:
                raise
            except ClusterError as error:
                raise ClusterError(f"{error}; its log ends with\n{node.log_tail()}") from error

    def _stop(self, nodes):
        for node in nodes:
            # A paused process would not see the second signal.
            node.signal(signal.SIGCONT)
            node.signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for node in nodes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                node.process.wait(max(0, deadline - time.monotonic()))
            node.kill()

    def _rights(self, kind, name, operations, principal):
        from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType
        pattern = ResourcePattern(ResourceType[kind], name)
        return [ACL(principal or f"User:{self.user}", "*", ACLOperation[operation],
                    ACLPermissionType.ALLOW, pattern) for operation in operations]

    def _ask(self, action):
        """What the admin client answers; it may first try a broker that is only just gone."""
        from kafka import errors
        lost = (errors.KafkaConnectionError, errors.RequestTimedOutError)
        done = (errors.TopicAlreadyExistsError, errors.UnknownTopicOrPartitionError,
                errors.InvalidPartitionsError)
        deadline = time.monotonic() + READY_SECONDS
        is_first = True
        while True:
            try:
                with self.admin() as admin:
                    return action(admin)
            except lost:
                if time.monotonic() > deadline:
                    raise
            except done:
                # Of a second try it says that the first was carried out, its answer only lost.
                if is_first:
                    raise
                return None
            is_first = False
            time.sleep(POLL_SECONDS)

    def _wait_for_partitions(self, name, count):
        """Waits until every broker that answers knows the leaders of this many partitions."""
        def are_known():
            seen = [self.topics(node.index).get(name, {})
                    for node in self.nodes if node.is_answering()]
            return all(len(partitions) == count for partitions in seen) and all(
                partition["leader"] >= 0 for partitions in seen
                for partition in partitions.values())
        wait_until(are_known, f"{count} partitions of {name}", READY_SECONDS)

    def _wait_for_rights(self, rights, are_there):
        def are_known(admin):
            return all(bool(admin.describe_acls(right)[0]) == are_there for right in rights)
        wait_until(lambda: self._ask(are_known), f"change of {rights}", READY_SECONDS)


def record_archive():
    """Runs a server once to keep its loaded classes, which saves later starts a third of time."""
    archive = kafka_jars() / ARCHIVE
    with common.scratch() as folder:
        with Cluster(folder, java_options=[f"-XX:ArchiveClassesAtExit={archive}"]) as cluster:
            cluster.stop(0)


def main():
    parser = argparse.ArgumentParser(description="Runs an Apache Kafka until Ctrl-C.")
    parser.add_argument("--brokers", type=int, choices=[1, 3], default=1)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--scram", action="store_true")
    parser.add_argument("--acl", action="store_true")
    parser.add_argument("--record-archive", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.record_archive:
        return record_archive()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit())
    with (
        common.scratch() as folder,
        Cluster(folder, arguments.brokers, tls=arguments.tls, scram=arguments.scram,
                acl=arguments.acl) as cluster,
    ):
        print(f"bootstrap {cluster.bootstrap}")
        if arguments.tls:
            print(f"bootstrap-tls {cluster.bootstrap_tls}")
            print(f"bootstrap-mtls {cluster.bootstrap_mtls}")
            print(f"certificates {cluster.certificates.folder}")
        if arguments.scram:
            print(f"bootstrap-sasl {cluster.bootstrap_sasl}")
            print(f"user {cluster.user} password {cluster.password}")
        if arguments.tls and arguments.scram:
            print(f"bootstrap-sasl-tls {cluster.bootstrap_sasl_tls}")
        sys.stdout.flush()
        signal.pause()
    return None


if __name__ == "__main__":
    main()
