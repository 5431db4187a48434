"""A recorded series as every detector gets it: counts at equal steps, and what is labelled.

The step is the commonest distance of a file's rows. What nobody measured (a step without a row, or
a row without a value) is filled along a straight line between its neighbours: the corpora write
zeros where nothing came and label nearly all of them, and have no label where a value is missing,
so that to call it zero would make a drop that nobody saw. All series are moved by whole hours so
that they begin in the same hour.
"""

import collections
import dataclasses

import corpora
import labels
import numpy

# Every detector is quiet for two days, and until it has seen as many counts as a week has hours:
# on hourly series a day has 24 of them, and no detector knows a series after 48.
WARM_UP_SECONDS = 48 * corpora.HOUR
WARM_UP_STEPS = 168


@dataclasses.dataclass
class Series:
    """Times are seconds since 1970; incidents are (start, end), the end exclusive."""

    corpus: str
    name: str
    first: int
    step: int
    counts: numpy.ndarray
    incidents: list

    @property
    def end(self):
        """End of the last step."""
        return self.first + self.step * len(self.counts)

    @property
    def judged_from(self):
        hour = self.first // corpora.HOUR * corpora.HOUR
        return hour + max(WARM_UP_SECONDS, WARM_UP_STEPS * self.step)

    @property
    def judged_weeks(self):
        return max(0, self.end - self.judged_from) / corpora.WEEK

    @property
    def judged_incidents(self):
        return [(start, end) for start, end in self.incidents if start >= self.judged_from]

    @property
    def times(self):
        return self.first + self.step * numpy.arange(len(self.counts))

    def rows(self):
        """[(second, count)] of the steps with a count."""
        return [(self.first + self.step * int(i), int(self.counts[i]))
                for i in numpy.flatnonzero(self.counts)]

    def with_counts(self, counts, incidents):
        return dataclasses.replace(self, counts=counts, incidents=incidents)


def series_of(corpus, name, rows, moved, labelled, is_filled):
    """One series from its rows, moved back by `moved` seconds."""
    step = collections.Counter(
        later - sooner for (sooner, _), (later, _) in zip(rows, rows[1:])).most_common(1)[0][0]
    first = rows[0][0]
    counts = numpy.zeros((rows[-1][0] - first) // step + 1, numpy.int64)
    is_measured = numpy.zeros(len(counts), bool)
    for second, count in rows:
        counts[(second - first) // step] += count
        is_measured[(second - first) // step] = True
    if is_filled:
        at = numpy.arange(len(counts))
        counts = numpy.rint(numpy.interp(at, at[is_measured], counts[is_measured])).astype("i8")
    incidents = [(start - moved, end + step - moved) for start, end in labelled]
    return Series(corpus, name, first - moved, step, counts, incidents)


def load(data, names, is_filled=True):
    """The series of several corpora, all beginning in the hour in which the first of all does;
    unfilled, what nobody measured is zero."""
    read = {name: corpora.CORPORA[name](data) for name in names}
    origin = min(rows[0][0] for corpus in read.values() for rows in corpus.values())
    origin = origin // corpora.HOUR * corpora.HOUR
    found = []
    for corpus, files in read.items():
        labelled = labels.LABELS[corpus](data)
        for name, rows in files.items():
            moved = rows[0][0] // corpora.HOUR * corpora.HOUR - origin
            found.append(series_of(corpus, name, rows, moved, labelled.get(name, []),
                                   is_filled))
    return found


def write_rates(path, several):
    """A file for `--format rates`; a series' event name is its place in the list."""
    return corpora.write_rates(path, {place: series.rows()
                                      for place, series in enumerate(several)})
