"""Numbers over many runs: curves of regret, ratios and how sure they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.search.loop import Run

RESAMPLES = 2000
LEVEL = 0.95

Grid = Mapping[str, Mapping[int, float]]  # a number for each problem and seed


@dataclass(frozen=True)
class Estimate:
    """A number with its bootstrap interval at 95 %."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


def grid(runs: Sequence[Run], method: str, measure: Callable[[Run], float]) -> dict[str, dict[int, float]]:
    """What is measured of a method's runs, by problem and seed."""
    found: dict[str, dict[int, float]] = {}
    for run in runs:
        if run.task.method == method:
            found.setdefault(run.task.problem, {})[run.task.seed] = measure(run)
    return found


def mean(found: Grid) -> float:
    """The mean over problems of the mean over seeds, so that every problem counts the same."""
    return float(np.mean([np.mean(list(seeds.values())) for seeds in found.values()]))


def ratio(found: Grid, base: Grid) -> Estimate:
    """The mean of one method over that of another, on the problems and seeds that both have.

    The interval is that of a bootstrap over problems, and over the seeds of each.
    """
    names = sorted(set(found) & set(base))
    pairs = []
    for name in names:
        seeds = sorted(set(found[name]) & set(base[name]))
        pairs.append(np.array([[found[name][seed], base[name][seed]] for seed in seeds]))
    rng = np.random.default_rng(0)
    value = _ratio(pairs)
    drawn = []
    for _ in range(RESAMPLES):
        chosen = [pairs[index] for index in rng.integers(len(pairs), size=len(pairs))]
        drawn.append(_ratio([pair[rng.integers(len(pair), size=len(pair))] for pair in chosen]))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))


def behind(found: Grid, base: Grid, margin: float) -> float:
    """The share of runs, by problem and seed, in which a method is behind another by more than `margin`."""
    lost = [
        found[name][seed] - base[name][seed] > margin
        for name in set(found) & set(base)
        for seed in set(found[name]) & set(base[name])
    ]
    return float(np.mean(lost))


def _ratio(pairs: Sequence[np.ndarray[Any, np.dtype[np.float64]]]) -> float:
    means = np.mean([pair.mean(axis=0) for pair in pairs], axis=0)
    return float(means[0] / max(means[1], 1e-12))
