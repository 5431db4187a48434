#!/usr/bin/env python3
"""CPU of a whole replay, detection and attributions on, against DuckDB's GROUP BY minute and API.

Both read the same NDJSON file (`insightd simulate --profile bench --seed 1`: 2 GB, 14 days,
1,000 call series and their errors) in turn, each on one thread, start-up included. Prints the
CPU seconds of every round and the median ratio; exits 3 when it is above the bar.

  run.py [--rounds N] [--file FILE]    the short run uses a stream of two days
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/judges"))
import common

BAR = 1.3

QUERY = """
import duckdb, sys
db = duckdb.connect()
db.execute("SET threads = 1")
columns = {k: "VARCHAR" for k in ("eventTime", "recipientAccountId", "awsRegion", "eventSource",
                                   "eventName", "errorCode")} | {"managementEvent": "BOOLEAN"}
rows = db.execute(
    "SELECT count(*), sum(n) FROM (SELECT substr(eventTime, 1, 16) AS m, recipientAccountId, "
    "awsRegion, eventSource, eventName, errorCode, count(*) AS n "
    f"FROM read_json(?, format = 'newline_delimited', columns = {columns}) "
    "WHERE managementEvent GROUP BY ALL)", [sys.argv[1]]).fetchall()
print(rows)
"""


def bench_file(folder):
    """The bench stream, or two days of it in the short run; made once and kept in the cache."""
    kept = pathlib.Path(os.environ.get("INSIGHTD_CACHE", folder))
    version = subprocess.run([common.BINARY, "--version"], capture_output=True, text=True).stdout
    days = "14" if common.IS_LONG else "2"
    path = kept / f"bench-{version.split()[-1]}-{days}d.ndjson"
    if not path.exists():
        part = path.with_suffix(".part")
        common.run("simulate", "--profile", "bench", "--seed", "1", "--days", days, "--out", part)
        part.rename(path)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--file", type=pathlib.Path)
    arguments = parser.parse_args()
    with common.scratch() as folder:
        path = arguments.file or bench_file(folder)
        path.read_bytes()[:1]
        ours = [common.BINARY, "replay", "--threads", "1", "--out", os.devnull, path]
        theirs = [sys.executable, "-c", QUERY, str(path)]
        rows = []
        for number in range(arguments.rounds):
            pair = common.cpu_seconds(ours), common.cpu_seconds(theirs)
            rows.append(pair)
            print(f"round {number + 1}: insightd {pair[0]:.2f} s, DuckDB {pair[1]:.2f} s, "
                  f"ratio {pair[0] / pair[1]:.2f}", flush=True)
    ratio = statistics.median(a / b for a, b in rows)
    size = path.stat().st_size
    print(f"{path.name}: {size / 1e9:.2f} GB; median CPU insightd "
          f"{statistics.median(a for a, _ in rows):.2f} s, DuckDB "
          f"{statistics.median(b for _, b in rows):.2f} s; ratio {ratio:.2f} (bar {BAR})")
    sys.exit(3 if ratio > BAR else 0)


if __name__ == "__main__":
    main()
