#!/usr/bin/env python3
"""What keeping checkpoints costs of a service's throughput.

A topic of a real Kafka holds events of many series, two days of them. The service takes them in
with checkpoints every 5 s and once a day, which is never; rounds take turns, on the same topic. The
CPU seconds of the threads that take and write snapshots differ by what saving costs. One save of
all partitions in `checkpoint.interval` as by default, 60 s, then takes that part of a core: so
saving is measured often enough to stand out from what else changes between two runs. Told beside it
are the CPU seconds of the whole process. Exits 3 when checkpoints take more than the bar. What
saving a million series costs by itself is told by `benches/restore.rs`.

  checkpoints.py [--series N] [--events N] [--rounds N]
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/judges"))
import common
import kafka_cluster
import service

# Most that checkpoints may take of the throughput.
BAR = 0.05
PARTITIONS = 4
RATES_PARTITIONS = 64
TOPIC = "audit"
SECONDS = 1800
# 2026-01-05T00:00:00Z.
BEGIN = 1_767_571_200
SPAN = 2 * 86_400
BLOCK = 20_000
# A large number without a divisor that the number of series has: no series comes twice in a row.
STEP = 7_368_787
# Threads that detect and take snapshots, and those that write them and files.
THREADS = ("detect", "checkpoints", "tokio-rt-worker")
OFTEN, NEVER = "5s", "1d"
# `checkpoint.interval` by default.
INTERVAL_SECONDS = 60

EVENT = (
    '{"eventVersion":"1.11","eventTime":"%s","eventSource":"ec2.amazonaws.com",'
    '"eventName":"Call%d","awsRegion":"us-east-1",'
    '"eventID":"00000000-0000-4000-8000-%012x","readOnly":false,"eventType":"AwsApiCall",'
    '"managementEvent":true,"recipientAccountId":"%012d",'
    '"eventCategory":"Management","userAgent":"aws-cli/2.15.%d",'
    '"userIdentity":{"type":"AssumedRole","accountId":"111122223333",'
    '"arn":"arn:aws:sts::111122223333:assumed-role/Role%d/session"}}\n')


def fill(cluster, series, events):
    """Puts the events on the topic, in the order of their time."""
    cluster.create_topic(TOPIC, PARTITIONS)
    out = subprocess.Popen(["kcat", "-P", "-b", cluster.bootstrap, "-t", TOPIC, "-z", "lz4"],
                           stdin=subprocess.PIPE)
    for begin in range(0, events, BLOCK):
        seconds = BEGIN + begin * SPAN // events
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
        lines = []
        for number in range(begin, min(begin + BLOCK, events)):
            one = number * STEP % series
            lines.append(EVENT % (moment, one // 1000, number, one % 1000, one % 5, one % 7))
        out.stdin.write("".join(lines).encode())
    out.stdin.close()
    if out.wait() != 0:
        sys.exit("the topic could not be filled")


def settings_of(number, interval):
    return service.merged(service.deployment(f"bench-{number}"), {
        "kafka": {"input_topics": [TOPIC], "rates_partitions": RATES_PARTITIONS},
        "checkpoint": {"interval": interval},
    })


def cpu_seconds(pid, threads=None):
    """CPU seconds of a process, or of threads of it by name."""
    tick = os.sysconf("SC_CLK_TCK")
    if threads is None:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return sum(map(int, fields[11:13])) / tick
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        name, fields = (task / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
        if name in threads:
            total += sum(map(int, fields.split()[11:13]))
    return total / tick


def measure(cluster, folder, number, events, interval):
    """CPU seconds of the service and of the threads that save, wall seconds, saves."""
    settings = settings_of(number, interval)
    one = service.Service(cluster, pathlib.Path(folder) / str(number), "one", settings)
    group = settings["kafka"]["group"]
    started = time.monotonic()
    one.start()
    try:
        while sum(service.committed(cluster, f"{group}-ingest").values()) < events:
            one.require_alive()
            if time.monotonic() - started > SECONDS:
                sys.exit(f"not through after {SECONDS} s: {one.log_tail()}")
            time.sleep(1)
        service.wait_until_done(cluster, settings, [one], SECONDS)
        pid = one.process.pid
        return (cpu_seconds(pid), cpu_seconds(pid, THREADS), time.monotonic() - started,
                int(one.metric("insightd_checkpoint_duration_seconds_count") or 0))
    finally:
        # Without the checkpoints that an orderly end takes.
        one.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    size = (1_000_000, 20_000_000, 3) if common.IS_LONG else (200_000, 4_000_000, 2)
    for name, default in zip(("series", "events", "rounds"), size):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    shares = []
    with common.scratch() as folder, kafka_cluster.Cluster(pathlib.Path(folder) / "k") as cluster:
        fill(cluster, arguments.series, arguments.events)
        print(f"{arguments.series} series, {arguments.events} events, "
              f"{RATES_PARTITIONS} partitions of the rates log", flush=True)
        for number in range(arguments.rounds):
            results = {}
            for interval in (OFTEN, NEVER):
                cpu, saving, wall, saves = measure(
                    cluster, folder, f"{number}-{interval}", arguments.events, interval)
                results[interval] = saving
                print(f"  every {interval}: {cpu:.1f} s CPU, of which {saving:.1f} s detect and "
                      f"save, {wall:.0f} s, {saves} saves of a partition", flush=True)
                if interval == OFTEN:
                    rounds = saves / RATES_PARTITIONS
            shares.append((results[OFTEN] - results[NEVER]) / rounds / INTERVAL_SECONDS)
    share = statistics.median(shares)
    print(f"a save of all every {INTERVAL_SECONDS} s takes {share * 100:.1f} % of a core in the "
          f"median, {min(shares) * 100:.1f} to {max(shares) * 100:.1f} %; bar {BAR * 100:.0f} %")
    sys.exit(3 if share > BAR else 0)


if __name__ == "__main__":
    main()
