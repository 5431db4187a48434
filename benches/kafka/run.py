#!/usr/bin/env python3
"""Messages per CPU second of the whole service against a bare consumer, on the same topic.

A real Kafka holds two streams twice, as they are and with zstd. The bare consumer reads a topic and
does nothing; the service consumes, parses, counts, detects and commits. CPU seconds are those of the
whole process, start to end.

Counting costs by the event and detection by the hour of a series, so the ratio depends on how many
events a series has in an hour: hundreds in the busy stream, which the bars are for, and 1.3 in the
sparse one, which is shown beside it. Exits 3 below a bar.

  run.py [--rounds N]
"""

import argparse
import itertools
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/judges"))
import common
import kafka_cluster

BARS = {"none": 0.25, "zstd": 0.45}
# Arguments of `insightd simulate`, with the days of the short run and of the long.
STREAMS = {
    "busy": (["--profile", "fleet", "--series", "40"], "1", "2"),
    "sparse": (["--profile", "bench"], "4", "14"),
}
PARTITIONS = 4
SECONDS = 300


def children_cpu():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def configuration(cluster, topic, folder, number):
    """A configuration of its own for every run, so that each begins at the beginning."""
    return f"""
[kafka]
brokers = "{cluster.bootstrap}"
input_topics = ["{topic}"]
group = "bench-{number}"
rates_topic = "rates-{number}"
rates_partitions = 8
coordination_topic = "coordination-{number}"
output_topic = "insights-{number}"
dead_letter_topic = "dead-{number}"
[silence]
delivery_delay = "36500d"
[checkpoint]
path = "{folder}/checkpoints-{number}"
[http]
listen = "127.0.0.1:0"
"""


def committed(cluster, group):
    with cluster.admin() as admin:
        offsets = admin.list_group_offsets(group)[group]
    return sum(max(0, place.offset) for place in offsets.values())


def bare(cluster, topic, messages):
    """CPU seconds of the bare consumer."""
    environment = os.environ | {
        "INSIGHTD_BENCH_BROKERS": cluster.bootstrap,
        "INSIGHTD_BENCH_TOPIC": topic,
        "INSIGHTD_BENCH_PARTITIONS": str(PARTITIONS),
        "INSIGHTD_BENCH_MESSAGES": str(messages),
    }
    before = children_cpu()
    subprocess.run([consumer_binary()], check=True, env=environment, stdout=subprocess.DEVNULL)
    return children_cpu() - before


def consumer_binary():
    found = sorted(common.ROOT.glob("target/release/deps/kafka_consumer-*"),
                   key=lambda path: path.stat().st_mtime)
    return next(path for path in reversed(found) if not path.suffix)


def service(cluster, topic, messages, folder, number):
    """CPU seconds of the service until all messages are counted and judged."""
    path = pathlib.Path(folder) / f"{number}.toml"
    path.write_text(configuration(cluster, topic, folder, number))
    with open(path.with_suffix(".log"), "w") as log:
        process = subprocess.Popen([common.BINARY, "run", "-c", path], stderr=log)
        deadline = time.monotonic() + SECONDS
        try:
            while committed(cluster, f"bench-{number}-ingest") < messages:
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"the service did not get through: {path.with_suffix('.log')}")
                time.sleep(0.2)
        finally:
            process.terminate()
            _, _, usage = os.wait4(process.pid, 0)
    return usage.ru_utime + usage.ru_stime


def fill(cluster, topic, stream, compression, folder):
    """Puts a stream on a topic; the number of messages."""
    cluster.create_topic(topic, PARTITIONS)
    path = pathlib.Path(folder) / f"{topic}.toml"
    path.write_text(f'[kafka]\nbrokers = "{cluster.bootstrap}"\n[kafka.properties]\n'
                    f'"compression.type" = "{compression}"\n')
    arguments, short, long = STREAMS[stream]
    done = common.run("simulate", *arguments, "--seed", "1",
                      "--days", long if common.IS_LONG else short,
                      "--start", "2026-01-05T00:00:00Z", "--to-kafka", topic, "-c", path)
    return int(done.stderr.split()[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    is_below = False
    with common.scratch() as folder, kafka_cluster.Cluster(pathlib.Path(folder) / "k") as cluster:
        number = 0
        for stream, (compression, bar) in itertools.product(STREAMS, BARS.items()):
            topic = f"{stream}-{compression}"
            messages = fill(cluster, topic, stream, compression, folder)
            ratios = []
            for _ in range(arguments.rounds):
                number += 1
                theirs = bare(cluster, topic, messages)
                ours = service(cluster, topic, messages, folder, number)
                ratios.append(theirs / ours)
                print(f"{topic:12} {messages} messages: bare {theirs:.2f} s, "
                      f"service {ours:.2f} s, ratio {theirs / ours:.3f}", flush=True)
            median = statistics.median(ratios)
            if stream == "busy":
                is_below |= median < bar
            print(f"{topic:12} median {median:.3f}, bar of the busy stream {bar}")
    sys.exit(3 if is_below else 0)


if __name__ == "__main__":
    main()
