"""What the judges share: where the binary and the reference data are, and how a command is run."""

import os
import pathlib
import resource
import subprocess
import sys
import tarfile
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("INSIGHTD_BINARY", ROOT / "target/release/insightd"))
DATA = pathlib.Path(os.environ.get("INSIGHTD_DATA", ROOT / "../shared/data"))
IS_LONG = os.environ.get("INSIGHTD_BENCH_SIZE") == "long"


def scratch():
    """A fresh directory that is removed with the object returned."""
    return tempfile.TemporaryDirectory(dir=os.environ.get("INSIGHTD_SCRATCH"))


class Report:
    """Lines for the terminal and the results file, and what was missed."""

    def __init__(self):
        self.lines, self.missed = [], []

    def say(self, line=""):
        print(line, flush=True)
        self.lines.append(line)


def require_data(name):
    """Path of a part of the reference data; ends the judge with success when it is absent."""
    path = DATA / name
    if path.exists():
        return path
    print(f"SKIPPED: reference data `{name}` is not at {path}")
    sys.exit(0)


def unpack(archive, folder):
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")


def run(*arguments, check=True):
    """Runs the binary; returns the finished process with text output."""
    done = subprocess.run([str(BINARY), *map(str, arguments)], capture_output=True, text=True)
    if check and done.returncode != 0:
        print(done.stderr[-4000:])
        sys.exit(f"insightd {' '.join(map(str, arguments))} ended with {done.returncode}")
    return done


def cpu_seconds(command):
    """CPU seconds (user and system) of a command run to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
