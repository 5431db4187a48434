"""Random Cut Forest: Amazon's own library, driven by `forest/CutForest.java`."""

import pathlib
import re
import subprocess
import sys

import numpy

HERE = pathlib.Path(__file__).resolve().parent / "forest"


def version():
    return re.search("<forest.version>(.*)</", (HERE / "pom.xml").read_text())[1]


def install():
    """Class path of the forest, or None where it cannot be had."""
    done = subprocess.run([HERE / "install"], stdout=subprocess.PIPE, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def scores(class_path, several, folder):
    """([score of every step], [grade of every step]) of each series."""
    asked, answered = folder / "forest-counts", folder / "forest-scores"
    with open(asked, "wb") as out:
        for series in several:
            out.write(len(series.counts).to_bytes(4, "big"))
            out.write(series.counts.astype(">f8").tobytes())
    done = subprocess.run(["java", "-cp", class_path, "CutForest", asked, answered],
                          stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"the forest failed: {done.stderr[-2000:]}")
    found = ([], [])
    with open(answered, "rb") as lines:
        for series in several:
            count = int.from_bytes(lines.read(4), "big")
            assert count == len(series.counts), (series.name, count)
            for rows in found:
                rows.append(numpy.frombuffer(lines.read(8 * count), ">f8").astype(float))
    return found
