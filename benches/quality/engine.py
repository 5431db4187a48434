"""insightd on a file of rates: its Starts, through its command line as anybody would call it."""

import concurrent.futures
import json
import os
import subprocess
import sys

import common
import corpora

# One for each core that benches may rely on.
WORKERS = 2


def records(rates, settings, *more):
    """The insights of a replay; settings are {SECTION__KEY: value} as the environment has them."""
    environment = dict(os.environ) | {f"INSIGHTD_{key.upper()}": str(value)
                                      for key, value in settings.items()}
    done = subprocess.run([common.BINARY, "replay", "--quiet", "--format", "rates", *more, rates],
                          capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        sys.exit(f"{rates}: {done.stderr[-2000:]}")
    return map(json.loads, done.stdout.splitlines())


def starts(rates, count, settings):
    """[seconds at which each Start was decided], for each of `count` series, in order."""
    found = [[] for _ in range(count)]
    for record in records(rates, settings):
        if record["insightDetails"]["state"] == "Start":
            place = int(record["insightDetails"]["eventName"])
            found[place].append(corpora.seconds(record["insightd"]["decidedAt"]))
    return [sorted(times) for times in found]


def sweep(rates, count, several_settings):
    """`starts` for each of several settings, two replays at a time."""
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(lambda settings: starts(rates, count, settings), several_settings))


def version():
    return subprocess.run([common.BINARY, "--version"], capture_output=True,
                          text=True).stdout.strip()
