#!/usr/bin/env python3
"""Checkpoints in an object store: a service with a real Kafka and moto's S3.

The binary has to be built with feature "s3". Prints a line for each fact; ends with exit code 3 when
one does not hold.
"""

import contextlib
import logging
import os
import pathlib
import random
import re
import signal
import sys
import tempfile
import time

import boto3

import facts
import kafka_cluster
import planted
from facts import comes, fact, part
from kafka_cluster import wait_until
from kafka_failures import PARTITIONS, RATES_PARTITIONS, Deployment, Judge, has_restored

BUCKET, PREFIX = "checkpoints", "team/a"
ACCESS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
          "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true"}


class Store:
    """A process of moto's S3, whose log tells every request."""

    def __init__(self, folder):
        self._log = pathlib.Path(folder) / "moto.log"
        with self._log.open("wb") as log:
            command = [sys.executable, "-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
            self.process = kafka_cluster.spawn(command, stdout=log, stderr=log)
        address = wait_until(lambda: re.search(r"http://127\.0\.0\.1:[1-9]\d*", self.log()),
                             "the object store", 60)
        self.environment = ACCESS | {"AWS_ENDPOINT_URL": address.group()}
        self._client = boto3.client(
            "s3", endpoint_url=address.group(), region_name=ACCESS["AWS_REGION"],
            aws_access_key_id="key", aws_secret_access_key="secret")
        self._client.create_bucket(Bucket=BUCKET)

    def log(self):
        return self._log.read_text()

    def partitions(self):
        """Partitions with a checkpoint."""
        listed = self._client.list_objects_v2(Bucket=BUCKET, Prefix=PREFIX)
        names = [one["Key"] for one in listed.get("Contents", [])]
        return {name.split("/")[-2] for name in names if name.endswith(".checkpoint")}

    def reads(self):
        """Checkpoints that were read so far."""
        return len(re.findall(r'"GET \S+\.checkpoint HTTP/1.1" 200', self.log()))

    def signal(self, number):
        self.process.send_signal(number)


@contextlib.contextmanager
def store_in(folder):
    store = Store(folder)
    try:
        yield store
    finally:
        store.process.kill()
        store.process.wait()


def check_restored(judge, store):
    """State is saved to the bucket, and a process that was killed goes on from there."""
    place = {"checkpoint": {"path": f"s3://{BUCKET}/{PREFIX}"}}
    with Deployment(judge, "s3", place) as deployment:
        one = deployment.start("one", environment=store.environment)
        deployment.feed(planted.WARM_UP_HOURS)
        deployment.wait_until_done()
        saved = deployment.feed_until(lambda: len(store.partitions()) == RATES_PARTITIONS,
                                      range(planted.WARM_UP_HOURS + 1, 53))
        fact("checkpoints of all partitions are in the bucket", saved, store.partitions(),
             one.log_tail(), store.log()[-2000:])
        one.kill()
        before = store.reads()
        one.start()
        fact("after a kill all is restored from the bucket",
             comes(lambda: has_restored(one)) and store.reads() - before >= RATES_PARTITIONS,
             store.reads() - before, one.log_tail())
        check_hung(deployment, store, one)
        deployment.feed()
        deployment.settle("checkpoints in a bucket")


def check_hung(deployment, store, one):
    """A store that takes requests and does not answer holds nobody up who has his state, and whoever
    needs one waits, and is alive."""
    deployment.feed(54)
    store.signal(signal.SIGSTOP)
    deployment.feed(56)
    deployment.wait_until_done()
    made = [value for value in deployment.expected() if planted.hour_of(value) < 54]
    fact("the store hangs: detection goes on", set(made) <= set(deployment.values()),
         one.log_tail())
    one.kill()
    one.start()
    is_waiting = comes(lambda: "restoring" in one.page("/ready")[1], 30)
    fact("the store hangs at a start: not ready, and why", is_waiting, one.page("/ready"))
    youngest = comes(lambda: one.value("insightd_poll_age_seconds", stage="detect") is not None)
    ages = [one.value("insightd_poll_age_seconds", stage="detect") for _ in range(50)]
    fact("the store hangs at a start: no loop waits for it",
         youngest and max(ages) < 1 and one.page("/live")[0] == 200, ages, one.page("/live"))
    store.signal(signal.SIGCONT)
    fact("the store answers again: all is restored", comes(lambda: has_restored(one), 90),
         one.page("/ready"), one.log_tail())


def main():
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    folder = pathlib.Path(tempfile.mkdtemp(dir=os.environ.get("INSIGHTD_SCRATCH")))
    started = time.monotonic()
    seed = random.randrange(1 << 31)
    print(f"seed {seed}", flush=True)
    events = planted.Planted(folder, PARTITIONS, seed)
    with kafka_cluster.Cluster(folder / "kafka") as cluster, store_in(folder) as store:
        judge = Judge(folder, cluster, events, seed)
        with part("s3"):
            check_restored(judge, store)
    facts.end("kafka_s3", folder, started)


if __name__ == "__main__":
    main()
