"""Facts that a judge looks at: each is a line, those that do not hold are remembered.

A judge goes on after one that does not hold, and ends with exit code 3 when there were any.
"""

import contextlib
import logging
import shutil
import sys
import threading
import time

import kafka_cluster

SECONDS = 60

problems = []
skipped = []
printing = threading.Lock()


def fact(text, holds, *details):
    """Tells whether something holds; what does not is remembered, and told with its details."""
    with printing:
        print(f"{'ok' if holds else 'WRONG'}: {text}", flush=True)
        if not holds:
            problems.append(text)
            for detail in details:
                print("    " + str(detail)[-3000:].replace("\n", "\n    "), flush=True)
    return bool(holds)


def skip(text):
    with printing:
        print(f"{'*' * 72}\n** SKIPPED: {text}\n{'*' * 72}", flush=True)
    skipped.append(text)


def end(name, folder, started):
    """Tells how a judge came out, keeps what it made where something does not hold, and ends."""
    if problems:
        print(f"all is kept in {folder}")
    else:
        shutil.rmtree(folder)
    print(f"{name}: {len(problems)} problems, {time.monotonic() - started:.0f} s")
    sys.exit(3 if problems else 0)


def comes(condition, seconds=SECONDS):
    """Whether a condition comes to hold in time; polled."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(kafka_cluster.POLL_SECONDS)
    return True


@contextlib.contextmanager
def part(name):
    """A part that breaks is a problem like any other; the rest goes on."""
    started = time.monotonic()
    try:
        yield
    except Exception as error:
        logging.exception("%s", name)
        fact(f"{name} could be run to its end", False, repr(error))
    with printing:
        print(f"== {name}: {time.monotonic() - started:.0f} s", flush=True)
