"""When a study has had enough. Counted from stored trials only, never from memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from optuna.trial import FrozenTrial, TrialState

from tao_automl.search.attributes import INFEASIBLE, PARKED_S, REASON

# An end that the user asked for says nothing about the configuration.
_BY_THE_USER = "cancelled"

Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Budget:
    """What a study may use; None = without limit. `max_failures` counts failed trials in a row.

    A config that cannot run is the search's to learn from, and no failure.
    """

    trials: int | None = None
    time_s: float | None = None
    max_failures: int | None = None


@dataclass(frozen=True)
class Spent:
    """What a study has used. `time_s` is the time in which at least one trial ran, in seconds."""

    finished: int
    running: int
    time_s: float
    failures_in_a_row: int


@dataclass(frozen=True)
class Past:
    """What finished trials have used, which only changes when another one is finished.

    `spans` are the times in which at least one ran: in order, and none touches another.
    """

    finished: int = 0
    failures_in_a_row: int = 0
    spans: tuple[Span, ...] = ()
    time_s: float = 0.0


def past(trials: Iterable[FrozenTrial]) -> Past:
    """What the finished ones of the stored trials have used."""
    done = [trial for trial in trials if trial.state.is_finished()]
    spans = _union(
        (trial.datetime_start, trial.datetime_complete)
        for trial in done
        if trial.datetime_start is not None and trial.datetime_complete is not None
    )
    return Past(len(done), _failures_in_a_row(done), tuple(spans), _length_s(spans))


def spent(trials: Iterable[FrozenTrial], now: datetime, known: Past | None = None) -> Spent:
    """What the stored trials have used until `now` (local time without a zone, as Optuna stores it).

    With the `past` of the finished ones, `trials` need only have those that run.
    """
    trials = list(trials)
    known = past(trials) if known is None else known
    running = [trial for trial in trials if trial.state == TrialState.RUNNING]
    spans = [(trial.datetime_start, _end(trial) or now) for trial in running if trial.datetime_start is not None]
    first = min((start for start, _ in spans), default=now)
    recent = list(takewhile(lambda span: span[1] > first, reversed(known.spans)))
    time_s = known.time_s - _length_s(recent) + _length_s(_union([*recent, *spans]))
    return Spent(known.finished, len(running), time_s, known.failures_in_a_row)


def exhausted(budget: Budget, used: Spent) -> str | None:
    """Why no further trial may start, or None. Trials that run count as started: they are let finish."""
    if budget.trials is not None and used.finished + used.running >= budget.trials:
        return used_up(budget.trials)
    if budget.time_s is not None and used.time_s >= budget.time_s:
        return f"the budget of {_duration(budget.time_s)} is used"
    if budget.max_failures is not None and used.failures_in_a_row >= budget.max_failures:
        return f"{_count(used.failures_in_a_row, 'trial')} failed in a row"
    return None


def used_up(trials: int) -> str:
    """What is said when so many trials are all there are to be."""
    return f"the budget of {_count(trials, 'trial')} is used"


def _end(trial: FrozenTrial) -> datetime | None:
    """When a trial ended, or stopped to wait for `resume`; None while it runs."""
    parked_s = trial.user_attrs.get(PARKED_S)
    if trial.datetime_complete is None and parked_s:
        return datetime.fromtimestamp(parked_s)
    return trial.datetime_complete


def _union(spans: Iterable[Span]) -> list[Span]:
    """The same time without overlaps, so that two trials side by side are not counted twice."""
    merged: list[Span] = []
    for start, stop in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
        else:
            merged.append((start, max(start, stop)))
    return merged


def _length_s(spans: Iterable[Span]) -> float:
    return sum((stop - start).total_seconds() for start, stop in spans)


def _failures_in_a_row(done: Iterable[FrozenTrial]) -> int:
    """Failed trials since the last one that went well. An infeasible one is neither."""
    judged = [
        trial for trial in done if trial.user_attrs.get(REASON) != _BY_THE_USER and not trial.user_attrs.get(INFEASIBLE)
    ]
    judged.sort(key=lambda trial: (trial.datetime_complete or datetime.min, trial.number))
    count = 0
    for trial in reversed(judged):
        if trial.state != TrialState.FAIL:
            break
        count += 1
    return count


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _duration(time_s: float) -> str:
    minutes, seconds = divmod(round(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (seconds, "s")]
    return " ".join(f"{value} {unit}" for value, unit in parts if value) or f"{time_s:g} s"
