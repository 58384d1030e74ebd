"""One search on one problem, on a simulated clock: everything is real but the cluster.

Trials of different length run side by side on the workers; each epoch's end is an event, in the order of time. A
search ends when it has spent the epochs of `trials` full trainings.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.search.methods import Begin, Method, Session, timed_ask
from benchmarks.search.problems import build
from benchmarks.search.problems.centres import recentred
from benchmarks.search.problems.problem import Outcome, Problem

_SEEDS = 100_003


@dataclass(frozen=True)
class Task:
    """What one run is: everything that its result depends on, but the code."""

    method: str
    problem: str
    seed: int
    trials: int
    workers: int = 1


@dataclass(frozen=True)
class Row:
    """One trial: its best epoch and the value seen there, None without one; times are in simulated seconds."""

    number: int
    config: Mapping[str, Any]
    ending: str
    epochs: int
    best_epoch: int | None
    value: float | None
    start_s: float
    end_s: float
    ask_s: float


@dataclass(frozen=True)
class Point:
    """What a search would recommend after a trial has ended."""

    trials: int
    epochs: int
    end_s: float
    regret: float


@dataclass(frozen=True)
class Run:
    """The trials of a search in the order in which they ended, and what it recommended after each."""

    task: Task
    epochs: int
    rows: tuple[Row, ...]
    points: tuple[Point, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Run:
        rows = tuple(Row(**row) for row in found["rows"])
        points = tuple(Point(**point) for point in found["points"])
        return cls(Task(**found["task"]), found["epochs"], rows, points)

    def after(self, trials: int) -> float:
        """The regret after so many trials, or the last one's."""
        return self._last(lambda point: point.trials <= trials)

    def within(self, epochs: float) -> float:
        """The regret when so many epochs were spent."""
        return self._last(lambda point: point.epochs <= epochs)

    def by(self, end_s: float) -> float:
        """The regret at a time of the simulated clock."""
        return self._last(lambda point: point.end_s <= end_s)

    def _last(self, holds: Any) -> float:
        found = [point.regret for point in self.points if holds(point)]
        return found[-1] if found else 1.0


@dataclass
class _Training:
    begin: Begin
    outcome: Outcome
    start_s: float
    epoch_s: float
    ask_s: float
    shown: dict[int, float] = field(default_factory=dict)

    @property
    def to_do(self) -> int:
        """Epochs that are left, if it is not stopped."""
        return self.begin.last - self.begin.first - len(self.shown)


def run(task: Task) -> Run:
    """A search from its first trial to the end of its budget."""
    problem = build(task.problem)
    method = Method.parse(task.method)
    space = problem.space if problem.centre is None else recentred(problem.space, problem.centre(task.seed))
    session = method.open(problem, space, task.seed, task.trials * problem.epochs)
    rows = tuple(_Clock(task, problem, session).rows())
    return Run(task, problem.epochs, rows, tuple(_points(problem, rows)))


class _Clock:
    """The workers and what they are doing."""

    def __init__(self, task: Task, problem: Problem, session: Session) -> None:
        self._task, self._problem, self._session = task, problem, session
        self._events: list[tuple[float, int, int]] = []  # when, which trial, which epoch has ended
        self._running: dict[int, _Training] = {}
        self._spent = 0

    def rows(self) -> Iterator[Row]:
        """The trials in the order in which they end."""
        self._start(0.0)
        while self._events:
            now_s, number, epoch = heapq.heappop(self._events)
            training = self._running[number]
            ending = self._epoch(training, epoch)
            self._spent += 1
            if ending is None:
                heapq.heappush(self._events, (now_s + training.epoch_s, number, epoch + 1))
                continue
            best = self._problem.metric.best(dict(training.shown)) if ending in ("complete", "pruned") else None
            self._session.tell(number, ending, best)
            yield _row(self._running.pop(number), ending, best, now_s)
            self._start(now_s)

    def _start(self, now_s: float) -> None:
        """Give every free worker a trial, as far as the budget goes and the search has one."""
        task, problem = self._task, self._problem
        while len(self._running) < task.workers:
            to_do = sum(training.to_do for training in self._running.values())
            if self._spent + to_do >= task.trials * problem.epochs:
                return
            begin, ask_s = timed_ask(self._session)
            if begin is None:
                return
            # What goes on from another trial is the same training: it has that one's noise.
            outcome = problem.train(begin.config, task.seed * _SEEDS + begin.origin)
            epoch_s = problem.epoch_s(begin.config)
            self._running[begin.number] = _Training(begin, outcome, now_s, epoch_s, ask_s)
            heapq.heappush(self._events, (now_s + epoch_s, begin.number, begin.first))

    def _epoch(self, training: _Training, epoch: int) -> str | None:
        """Report an epoch; how the trial ends with it, or None."""
        value = training.outcome.values[epoch]
        if value is None:
            return training.outcome.failure
        training.shown[epoch] = value
        stop = self._session.report(training.begin.number, epoch, value)
        if epoch + 1 == training.begin.last:
            return "complete"
        return "pruned" if stop else None


def _row(training: _Training, ending: str, best: tuple[int, float] | None, now_s: float) -> Row:
    return Row(
        number=training.begin.number,
        config=training.begin.config,
        ending=ending,
        epochs=len(training.shown) + (ending in ("memory", "diverged")),
        best_epoch=best[0] if best else None,
        value=best[1] if best else None,
        start_s=training.start_s,
        end_s=now_s,
        ask_s=training.ask_s,
    )


def _points(problem: Problem, rows: tuple[Row, ...]) -> Iterator[Point]:
    """The recommended trial is the one with the best value seen, as in `best`; it is judged by its true mean."""
    best: Row | None = None
    epochs, regret = 0, 1.0
    for count, row in enumerate(rows, start=1):
        epochs += row.epochs
        if row.value is not None and problem.metric.better(row.value, best.value if best else None):
            assert row.best_epoch is not None
            best, regret = row, problem.regret(problem.mean(row.config)[row.best_epoch])
        yield Point(count, epochs, row.end_s, regret)
