"""Scores that take minutes to make, kept in the cache outside the tree for the next run.

The name of what is kept comes from all that it was made of: the counts, and the text of the files
that made it, pins of packages included.
"""

import hashlib
import os
import pathlib

import numpy

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent


def folder():
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    cache = pathlib.Path(os.environ.get("INSIGHTD_CACHE") or pathlib.Path(home) / "insightd")
    (cache / "quality-scores").mkdir(parents=True, exist_ok=True)
    return cache / "quality-scores"


def remembered(name, several, made_by, make):
    """What `make()` returned for these series: lists of an array for each of them."""
    digest = hashlib.sha256()
    for path in [*(HERE / file for file in made_by), ROOT / "tests/requirements.txt"]:
        digest.update(path.read_bytes())
    for series in several:
        digest.update(f"{series.step},{len(series.counts)}\n".encode())
        digest.update(series.counts.astype("<i8").tobytes())
    path = folder() / f"{name}-{digest.hexdigest()[:16]}.npz"
    if not path.exists():
        lists = make()
        partial = path.with_suffix(".partial.npz")
        numpy.savez_compressed(partial, *(numpy.concatenate(own).astype("f4") for own in lists))
        partial.replace(path)
    ends = numpy.cumsum([len(series.counts) for series in several])[:-1]
    with numpy.load(path) as kept:
        return [numpy.split(kept[key].astype(float), ends) for key in kept.files]
