#!/usr/bin/env python3
"""Counts of real logs against DuckDB: same files, same rules written in SQL, same rows.

For every CloudTrail corpus of the reference data, `insightd replay --rates` writes its counts per
(minute, account, region, event source, event name, error code), roll-ups of services and accounts
included; DuckDB counts the same files.
Any difference is printed and ends with exit code 3.
"""

import csv
import pathlib
import sys

import duckdb

import common

CORPORA = ["sans504", "invictus", "stratus", "cartographer", "opensearch-catalog"]

CONFIG = """
[counting]
read_calls = true
rollups = ["service", "account"]
"""

# One record a row, whatever the file's shape.
RECORDS = """
CREATE OR REPLACE TABLE record AS
WITH value AS (
    SELECT json FROM read_json_objects(?, format = 'auto', maximum_object_size = 268435456)
), element AS (
    SELECT unnest(CASE WHEN json_type(json) = 'ARRAY' THEN json_extract(json, '$[*]')
                       ELSE [json] END) AS json FROM value
)
SELECT unnest(CASE WHEN json_type(json, '$.Records') = 'ARRAY'
                   THEN json_extract(json, '$.Records[*]')
                   ELSE [coalesce(json_extract(json, '$.aws.cloudtrail'), json)] END) AS r
FROM element
"""

# The counting rules of the reference: management events, no re-reports, one of each event id.
COUNTS = """
WITH field AS (
    SELECT r ->> '$.eventTime' AS time,
        coalesce(r ->> '$.recipientAccountId', r ->> '$.userIdentity.accountId', '') AS account,
        coalesce(r ->> '$.awsRegion', '') AS region,
        r ->> '$.eventSource' AS event_source, r ->> '$.eventName' AS event_name,
        coalesce(r ->> '$.errorCode', '') AS error_code, r ->> '$.eventID' AS event_id,
        coalesce(r ->> '$.eventCategory',
            CASE r ->> '$.managementEvent' WHEN 'false' THEN 'Data' ELSE 'Management' END)
            AS category,
        coalesce(r ->> '$.addendum.reason', '') AS reason
    FROM record
), event AS (
    SELECT DISTINCT ON (coalesce(account || '/' || event_id, random()::VARCHAR)) *
    FROM field
    WHERE category = 'Management' AND reason <> 'UPDATED_DATA'
        AND time IS NOT NULL AND event_source IS NOT NULL AND event_name IS NOT NULL
), counted AS (
    SELECT time, account, region, event_source, event_name, '' AS error_code FROM event
    UNION ALL
    SELECT time, account, region, event_source, event_name, error_code FROM event
    WHERE error_code <> ''
), with_roll_ups AS (
    SELECT * FROM counted
    UNION ALL
    SELECT time, account, region, event_source, '*', error_code FROM counted
    UNION ALL
    SELECT time, account, '*', '*', '*', error_code FROM counted
)
SELECT substr(time, 1, 16) || ':00Z' AS minute, account, region, event_source, event_name,
    error_code, count(*) FROM with_roll_ups GROUP BY ALL
"""


def is_json(path):
    """DuckDB refuses a broken file whole; such a file can have no second opinion."""
    try:
        duckdb.connect().execute(RECORDS, [[str(path)]])
    except duckdb.Error as error:
        print(f"left out, DuckDB cannot read it: {path.name}: {str(error)[:120]}")
        return False
    return True


def duckdb_counts(files):
    database = duckdb.connect()
    database.execute(RECORDS, [[str(path) for path in files]])
    rows = database.execute(COUNTS).fetchall()
    records = database.execute("SELECT count(*) FROM record").fetchone()[0]
    return {row[:6]: row[6] for row in rows}, records


def our_counts(folder, files):
    config = pathlib.Path(folder) / "insightd.toml"
    config.write_text(CONFIG)
    rates = pathlib.Path(folder) / "rates.csv"
    done = common.run("replay", "-c", config, "--rates", rates, "--out", "/dev/null", *files)
    counts = {}
    with open(rates, newline="") as lines:
        for row in csv.DictReader(lines):
            key = tuple(row[name] for name in (
                "time", "account", "region", "event_source", "event_name", "error_code"))
            counts[key] = counts.get(key, 0) + int(row["count"])
    return counts, done.stderr


def judge(name):
    archive = common.require_data(f"cloudtrail-{name}") / f"{name}.tar.xz"
    with common.scratch() as folder:
        common.unpack(archive, folder)
        files = sorted(p for p in pathlib.Path(folder).rglob("*.json*") if p.is_file())
        if name == "opensearch-catalog":
            files = [path for path in files if is_json(path)]
        theirs, records = duckdb_counts(files)
        ours, summary = our_counts(folder, files)
    wrong = [key for key in theirs.keys() | ours.keys() if theirs.get(key) != ours.get(key)]
    print(f"{name}: {len(files)} files, {records} records, {len(theirs)} rows, "
          f"{sum(theirs.values())} counted, {len(wrong)} rows differ")
    for key in sorted(wrong)[:10]:
        print(f"  {key}: DuckDB {theirs.get(key)}, insightd {ours.get(key)}")
    if wrong:
        print(summary)
    return not wrong


def main():
    results = [judge(name) for name in CORPORA]
    sys.exit(0 if all(results) else 3)


if __name__ == "__main__":
    main()
