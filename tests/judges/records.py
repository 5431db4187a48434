"""Insights that should have been published, and those that were: what differs, for people."""

import json

DIFFERENCES_SHOWN = 5


def differences(missing, surplus):
    """Lines that tell the first records that are not there or should not be; of those that are
    there in another form only the fields that differ."""
    found = {json.loads(value)["eventID"]: json.loads(value) for value in surplus}
    lines = []
    for index, value in enumerate(sorted(missing, key=decided_at)):
        wanted = json.loads(value)
        other = found.pop(wanted["eventID"], None)
        if index >= DIFFERENCES_SHOWN:
            continue
        lines.append(f"{'missing' if other is None else 'other'}: {title(wanted)}")
        if other is not None:
            lines += [f"  {line}" for line in changes(wanted, other)]
    surplus = sorted(found.values(), key=title)[:DIFFERENCES_SHOWN]
    return lines + [f"too many: {title(record)}" for record in surplus]


def changes(wanted, other):
    wanted, other = dict(fields(wanted)), dict(fields(other))
    return [f"{name}: {wanted.get(name)!r}, not {other.get(name)!r}"
            for name in sorted(wanted.keys() | other.keys())
            if wanted.get(name) != other.get(name)]


def fields(value, path=""):
    """Every value of a record with the path to it."""
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from fields(inner, f"{path}.{key}")
    else:
        yield path, value


def title(record):
    details = record["insightDetails"]
    return (f"{record['insightd']['decidedAt']} {details['state']} of {details['eventSource']} "
            f"{details['eventName']} {details['insightType']} {record['sharedEventID']}")


def decided_at(value):
    return json.loads(value)["insightd"]["decidedAt"]
