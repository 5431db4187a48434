#!/usr/bin/env python3
"""Whether the Kafka that the tests start does what they rely on; prints one line for each fact.

One broker with TLS, passwords and rights: transactions, each listener from the outside with kcat
or kafka-python, who is turned away, and data that outlives a killed broker. Then three brokers of
which the leader is killed. Ends with exit code 1 at the first fact that does not hold.
"""

import logging
import subprocess
import sys
import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

import common
import kafka_cluster

SECONDS = 30
EXPECTED = [b"one", b"two", b"three"]
NO_RIGHT = b"Topic authorization failed"


def fact(text, holds=True):
    print(f"{'ok' if holds else 'WRONG'}: {text}", flush=True)
    if not holds:
        sys.exit(1)


def produce_transaction(bootstrap, topic, transactional_id, values, is_committed=True):
    producer = KafkaProducer(bootstrap_servers=bootstrap.split(","),
                             transactional_id=transactional_id)
    try:
        producer.init_transactions()
        producer.begin_transaction()
        sent = [producer.send(topic, value, partition=0) for value in values]
        for future in sent:
            future.get(timeout=SECONDS)
        if is_committed:
            producer.commit_transaction()
        else:
            producer.abort_transaction()
    finally:
        producer.close(timeout=SECONDS)


def consume(bootstrap, topic, count, **settings):
    """The first values of partition 0, of committed transactions only."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap.split(","), auto_offset_reset="earliest",
                             isolation_level="read_committed", **settings)
    values = []
    try:
        consumer.assign([TopicPartition(topic, 0)])
        deadline = time.monotonic() + SECONDS
        while len(values) < count and time.monotonic() < deadline:
            for records in consumer.poll(timeout_ms=200).values():
                values += [record.value for record in records]
    finally:
        consumer.close()
    return values


def kcat(bootstrap, settings, *arguments):
    options = [f"-X{name}={value}" for name, value in settings.items()]
    return subprocess.run(["kcat", "-b", bootstrap, *options, *arguments], capture_output=True,
                          timeout=SECONDS)


def reads(bootstrap, settings):
    """Whether kcat reads all that the topic has."""
    done = kcat(bootstrap, settings, "-C", "-t", "audit", "-o", "beginning", "-e", "-q")
    return done.returncode == 0 and done.stdout.split() == EXPECTED


def is_refused(bootstrap, settings, reason):
    """Whether kcat gets no metadata of the topic for this reason."""
    done = kcat(bootstrap, settings, "-L", "-t", "audit", "-m", "1")
    return reason in done.stdout + done.stderr


def check_transactions(cluster):
    produce_transaction(cluster.bootstrap, "audit", "check", [b"one", b"two"])
    produce_transaction(cluster.bootstrap, "audit", "check", [b"gone"], is_committed=False)
    produce_transaction(cluster.bootstrap, "audit", "check", [b"three"])
    values = consume(cluster.bootstrap, "audit", 3)
    fact("committed transactions are read, an aborted one is not", values == EXPECTED)


def check_tls(cluster):
    files = cluster.certificates
    tls = {"security.protocol": "ssl", "ssl.ca.location": files.ca}
    wrong = {"security.protocol": "ssl", "ssl.ca.location": files.wrong_ca}
    client = tls | {"ssl.certificate.location": files.client_cert,
                    "ssl.key.location": files.client_key}
    wrong_client = tls | {"ssl.certificate.location": files.wrong_client_cert,
                          "ssl.key.location": files.wrong_client_key}
    fact("TLS: kcat reads", reads(cluster.bootstrap_tls, tls))
    fact("TLS: the wrong authority is noticed",
         is_refused(cluster.bootstrap_tls, wrong, b"certificate verify failed"))
    mtls = cluster.bootstrap_mtls
    fact("client certificate: has no right yet", is_refused(mtls, client, NO_RIGHT))
    cluster.grant("TOPIC", "audit", "READ", principal="User:CN=insightd")
    fact("client certificate: kcat reads", reads(mtls, client))
    fact("client certificate: turned away without",
         is_refused(mtls, tls, b"alert bad certificate"))
    fact("client certificate: turned away with one of the wrong authority",
         is_refused(mtls, wrong_client, b"alert certificate unknown"))


def check_passwords(cluster):
    plain = {"security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN",
             "sasl.username": cluster.user, "sasl.password": cluster.password}
    wrong = plain | {"sasl.password": "wrong"}
    sasl = cluster.bootstrap_sasl
    fact("PLAIN: has no right yet", is_refused(sasl, plain, NO_RIGHT))
    cluster.grant("TOPIC", "audit", "READ")
    fact("PLAIN: kcat reads", reads(sasl, plain))
    fact("PLAIN: a wrong password is turned away",
         is_refused(sasl, wrong, b"Invalid username or password"))
    for mechanism in kafka_cluster.SCRAM_MECHANISMS:
        check_scram(cluster, mechanism)
    cluster.revoke("TOPIC", "audit", "READ")
    fact("PLAIN: a right taken back is gone", is_refused(sasl, plain, NO_RIGHT))


def check_scram(cluster, mechanism):
    """With kafka-python: librdkafka before 2.6.1, which kcat may have, cannot do SCRAM right."""
    scram = {"sasl_mechanism": mechanism, "sasl_plain_username": cluster.user,
             "sasl_plain_password": cluster.password}
    values = consume(cluster.bootstrap_sasl, "audit", 3, security_protocol="SASL_PLAINTEXT",
                     **scram)
    fact(f"{mechanism}: kafka-python reads", values == EXPECTED)
    values = consume(cluster.bootstrap_sasl_tls, "audit", 3, security_protocol="SASL_SSL",
                     ssl_cafile=str(cluster.certificates.ca), **scram)
    fact(f"{mechanism} over TLS: kafka-python reads", values == EXPECTED)


def check_failures(cluster):
    started = time.monotonic()
    cluster.kill(0)
    cluster.start(0)
    fact(f"killed and started again in {time.monotonic() - started:.1f} s")
    fact("data outlives a killed broker", consume(cluster.bootstrap, "audit", 3) == EXPECTED)
    cluster.pause(0)
    fact("a paused broker does not answer", not answers(cluster))
    cluster.resume(0)
    fact("a resumed broker answers", answers(cluster))
    cluster.add_partitions("audit", 4)
    fact("partitions are added", cluster.leader("audit", 3) == 0)
    cluster.delete_topic("audit")
    fact("a topic is deleted", "audit" not in cluster.topics())


def answers(cluster):
    return kcat(cluster.bootstrap, {}, "-L", "-m", "1").returncode == 0


def check_replication(cluster):
    cluster.create_topic("audit", 1)
    produce_transaction(cluster.bootstrap, "audit", "check", [b"one", b"two"])
    leader = cluster.leader("audit")
    started = time.monotonic()
    cluster.kill(leader)
    cluster.wait_for_leaders()
    fact(f"another leads {time.monotonic() - started:.1f} s after the leader was killed",
         cluster.leader("audit") != leader)
    produce_transaction(cluster.bootstrap, "audit", "check", [b"three"])
    fact("a transaction is committed and read without the killed broker",
         consume(cluster.bootstrap, "audit", 3) == EXPECTED)
    cluster.start(leader)
    cluster.wait_in_sync()
    fact("the killed broker is in sync again")


def main():
    # Clients complain about brokers that are killed; the facts say what came of it.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    kafka_cluster.kafka_jars()
    started = time.monotonic()
    with (
        common.scratch() as folder,
        kafka_cluster.Cluster(folder, tls=True, scram=True, acl=True) as cluster,
    ):
        fact(f"one broker is up in {time.monotonic() - started:.1f} s")
        cluster.create_topic("audit", 2)
        check_transactions(cluster)
        check_tls(cluster)
        check_passwords(cluster)
        check_failures(cluster)
    started = time.monotonic()
    with common.scratch() as folder, kafka_cluster.Cluster(folder, brokers=3) as cluster:
        fact(f"three brokers are up in {time.monotonic() - started:.1f} s")
        check_replication(cluster)


if __name__ == "__main__":
    main()
