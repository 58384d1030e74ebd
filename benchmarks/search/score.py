"""Numbers over many runs: means that count every problem the same, and how sure they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.search.loop import Run, Task

RESAMPLES = 1000
LEVEL = 0.95

Array = np.ndarray[Any, np.dtype[np.float64]]
Cell = Mapping[str, Any]  # what was measured of one problem with one seed: numbers, or arrays of them, by name


@dataclass(frozen=True)
class Estimate:
    """A number with its bootstrap interval at 95 %."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


class Results:
    """Runs by what they are runs of."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = {self._key(run.task): run for run in runs}

    def run(self, method: str, problem: str, seed: int, workers: int = 1) -> Run:
        """Raises:
        KeyError: there is no such run.
        """
        return self._runs[method, problem, seed, workers]

    def has(self, method: str, problem: str, workers: int = 1) -> bool:
        """Whether a method was tried on a problem."""
        return any(key[:2] == (method, problem) and key[3] == workers for key in self._runs)

    def cells(self, problems: Sequence[str], seeds: int, measure: Callable[[str, int], Cell]) -> list[list[Cell]]:
        """What is measured of every problem with every seed."""
        return [[measure(problem, seed) for seed in range(seeds)] for problem in problems]

    @staticmethod
    def _key(task: Task) -> tuple[str, str, int, int]:
        return task.method, task.problem, task.seed, task.workers


def estimate(cells: Sequence[Sequence[Cell]], statistic: Callable[[dict[str, Array]], float]) -> Estimate:
    """A statistic of the means over problems and seeds.

    Its interval is that of a bootstrap over problems, and over the seeds of each, so it says what other problems of
    this kind would have given.
    """
    stacked = {name: np.array([[cell[name] for cell in row] for row in cells], dtype=float) for name in cells[0][0]}
    problems, seeds = len(cells), len(cells[0])
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(RESAMPLES):
        rows = rng.integers(problems, size=problems)[:, None]
        columns = rng.integers(seeds, size=(problems, seeds))
        drawn.append(statistic({name: array[rows, columns].mean(axis=(0, 1)) for name, array in stacked.items()}))
    value = statistic({name: array.mean(axis=(0, 1)) for name, array in stacked.items()})
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(value), float(low), float(high))


def quotient(means: Mapping[str, Array]) -> float:
    """`own` over `base`."""
    return float(means["own"] / max(float(means["base"]), 1e-12))


def first(curve: Array, level: float) -> int:
    """At which place, counted from 1, a curve first is at most `level`; one more than it has stands for never."""
    reached = np.flatnonzero(curve <= level + 1e-12)
    return int(reached[0]) + 1 if reached.size else len(curve) + 1
