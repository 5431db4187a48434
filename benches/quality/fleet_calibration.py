"""Insights asked for against insights seen, on recorded series of five corpora as one fleet.

The fleet layer learns from series that live at the same time, and these were recorded in different
years and for 11 to 215 days. So every series is cut into pieces of 25 days, the length that most
series of the largest corpus have (what is left is a piece of its own if it has 11 days), and all
pieces begin in the same hour, at their own time of day. A piece shorter than 25 days goes on with
its own last week, again and again, so that the fleet does not see it die; nothing is judged there.
Judged is what the engine itself judges: from 48 hours after a piece's beginning to its last row.
"""

import dataclasses
import math

import alarms
import corpora
import engine
import numpy
import recorded

DAY = 24 * corpora.HOUR
PIECE_DAYS, PIECE_DAYS_MIN = 25, 11
REQUESTS = (1.0, 0.3, 0.1, 0.03, 0.01)
# At these the observed rate of all insights must be within a factor of two.
JUDGED_REQUESTS = (1.0, 0.3)
FACTOR_MAX = 2.0


@dataclasses.dataclass
class Piece:
    series: recorded.Series
    continued: recorded.Series


def pieces(series):
    """The pieces of a series, each moved to where the series begins."""
    steps = PIECE_DAYS * DAY // series.step
    found = []
    for at in range(0, len(series.counts), steps):
        counts = series.counts[at:at + steps]
        if len(counts) * series.step < PIECE_DAYS_MIN * DAY:
            break
        moved = at * series.step
        incidents = [(start - moved, end - moved) for start, end in series.incidents]
        week = counts[-(corpora.WEEK // series.step):]
        more = math.ceil(max(0, steps - len(counts)) / len(week))
        continued = numpy.concatenate([counts, *([week] * more)])[:steps]
        found.append(Piece(series.with_counts(counts, incidents),
                           series.with_counts(continued, [])))
    return found


def observe(piece, starts):
    """(insights, those outside labels, weeks, weeks outside labels) of one piece."""
    series = piece.series
    first = series.first // corpora.HOUR * corpora.HOUR + recorded.WARM_UP_SECONDS
    spans = [(max(first, start), min(series.end, end + alarms.GRACE_SECONDS))
             for start, end in series.incidents if end > first and start < series.end]
    all_insights = outside = 0
    last = -math.inf
    for at in starts:
        if first <= at < series.end and at - last >= alarms.APART_SECONDS:
            last = at
            all_insights += 1
            outside += not any(start <= at < end for start, end in spans)
    seconds = max(0, series.end - first)
    labelled = sum(end - start for start, end in spans)
    return numpy.array([all_insights, outside, seconds / corpora.WEEK,
                        (seconds - labelled) / corpora.WEEK])


def row(name, request, total):
    """One line of the table, and whether the rate of all insights is within the factor."""
    insights, outside, weeks, weeks_outside = total
    cells = []
    for count, exposure in ((insights, weeks), (outside, weeks_outside)):
        low, high = alarms.poisson_interval(count, exposure)
        cells.append(f"{count:.0f} | {count / exposure:.3f} ({low:.3f} to {high:.3f})")
    factor = insights / weeks / request
    is_kept = 1 / FACTOR_MAX <= factor <= FACTOR_MAX
    return (f"| {name} | {request:g} | {weeks:.1f} | {cells[0]} | {factor:.2f} | {cells[1]} |",
            is_kept)


def fleet(report, folder, name, several, is_judged):
    """All requests of one fleet."""
    rates = recorded.write_rates(folder / "fleet", [piece.continued for piece in several])
    asked = [{"detector__budget_per_week": request * len(several)} for request in REQUESTS]
    for request, starts in zip(REQUESTS, engine.sweep(rates, len(several), asked)):
        total = sum(observe(piece, times) for piece, times in zip(several, starts))
        line, is_kept = row(f"{name}, {len(several)} pieces", request, total)
        if is_judged and request in JUDGED_REQUESTS:
            line += f" {'ok' if is_kept else 'MISSED'} |"
            if not is_kept:
                report.missed.append(f"calibration of {name} at {request:g}")
        else:
            line += " |"
        report.say(line)


def section(report, folder, series):
    """The tables; series of all corpora that take part."""
    report.say("| fleet | asked | series-weeks | insights | per series-week (90 %) | times asked | "
               "outside labels | per series-week (90 %) | 0.5 to 2 |")
    report.say("|---" * 9 + "|")
    by_corpus = {}
    for one in series:
        by_corpus.setdefault(one.corpus, []).extend(pieces(one))
    fleet(report, folder, "**all as one**", sum(by_corpus.values(), []), True)
    for name, several in by_corpus.items():
        fleet(report, folder, name, several, False)
