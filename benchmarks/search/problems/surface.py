"""Response surfaces with learning curves, whose best config is known by construction.

A config costs a *penalty*: the sum over parameters of how far each lies from the best config, in its scale, square
where it is near and linear where it is far, and of ridges, where two parameters have to fit each other. The metric at
the last epoch falls with the exponential of the penalty; the best config has none. How fast a curve gets there
depends on the config, too, so curves cross. Above its cliff a learning rate diverges.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.search.problems.problem import Outcome, Values, stream
from benchmarks.search.problems.unit import is_set, place
from tao_automl.search.parameter import Parameter
from tao_automl.search.space import SearchSpace
from tao_automl.tao.metric import Direction

_CLIFF_WIDTH = 0.04  # of the learning rate's range: a tenth of a decade or so
_COLLAPSED = 0.002  # what a detector that has diverged still scores


@dataclass(frozen=True)
class Slope:
    """What leaving the best value of a parameter costs: `weight` at the distance `width`, a part of its range."""

    weight: float
    width: float


@dataclass(frozen=True)
class Ridge:
    """Two parameters that make up for each other: the cost of leaving the line where they do."""

    a: str
    b: str
    slope: float
    weight: float


@dataclass(frozen=True)
class Curve:
    """The way to the last epoch.

    `tau` is the part of the epochs that the best config needs for two thirds of its way; `slower` says by what
    exponent each parameter changes that, over its whole range. `jump` is what the drop of the learning rate gives,
    at the part `drop_at` of the epochs. `overfit` is lost after the middle where the parameter named is too low.
    """

    tau: float = 0.3
    slower: Mapping[str, float] = field(default_factory=dict)
    jump: float = 0.0
    drop_at: float = 0.8
    overfit: tuple[str, float] | None = None


@dataclass(frozen=True)
class Memory:
    """A training needs more memory than there is where the sum of logarithms, each times its power, exceeds `limit`."""

    powers: Mapping[str, float]
    limit: float

    def need(self, values: Values) -> float:
        return sum(power * math.log(values[path]) for path, power in self.powers.items())


@dataclass(frozen=True)
class Surface:
    """One instance of a family. `cost` is how an epoch's time grows with each parameter, over its range."""

    name: str
    space: SearchSpace
    best: Mapping[str, Any]
    slopes: Mapping[str, Slope]
    epochs: int
    top: float = 0.8
    direction: Direction = Direction.MAXIMIZE
    ridges: tuple[Ridge, ...] = ()
    choices: Mapping[str, Mapping[Any, float]] = field(default_factory=dict)
    curve: Curve = Curve()
    noise: float = 0.003
    cliff: float = 0.25  # above the best learning rate, a part of its range
    rate: str | None = None  # the learning rate
    memory: Memory | None = None
    silent: bool = False  # a diverged training reports nothing more, instead of next to nothing
    cost: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def _parameters(self) -> Mapping[str, Parameter]:
        return {parameter.path: parameter for parameter in self.space.parameters}

    def distance(self, path: str, values: Values) -> float:
        """How far a config is above the best value, in parts of the range; 0 where it lacks the parameter."""
        parameter = self._parameters[path]
        found, best = place(parameter, values), place(parameter, self.best)
        return 0.0 if found is None or best is None else found - best

    def penalty(self, values: Values) -> float:
        """0 for the best config."""
        total = 0.0
        for path, slope in self.slopes.items():
            total += slope.weight * _bowl(self.distance(path, values) / slope.width)
        for ridge in self.ridges:
            a, b = self.distance(ridge.a, values), self.distance(ridge.b, values)
            total += ridge.weight * _bowl(4 * (a - ridge.slope * b))
        for path, costs in self.choices.items():
            total += costs.get(values.get(path), 0.0)
        return total

    def mean(self, values: Values) -> Sequence[float]:
        """The metric by epoch without noise, had the training not diverged."""
        way = self._way(values)
        penalty = self.penalty(values)
        if self.direction is Direction.MINIMIZE:
            final = self.top * math.exp(min(penalty, 5.0))
            start = 20 * self.top
            return [final + max(0.0, start - final) * (1 - part) for part in way]
        return [self.top * math.exp(-penalty) * part for part in way]

    def train(self, values: Values, seed: int) -> Outcome:
        """One training: noise of the run and of each epoch, larger where the config is worse."""
        if self.memory is not None and self.memory.need(values) > self.memory.limit:
            return Outcome((None,) * self.epochs, "memory")
        rng = stream(self.name, seed)
        sd = self.noise * (1 + 3 * min(self.penalty(values), 1.0))
        if self.direction is Direction.MINIMIZE:
            sd *= math.exp(min(self.penalty(values), 5.0))
        run, jitter = rng.normal() * sd, rng.normal(size=self.epochs) * sd / 2
        shown = [max(0.0, value + run + wobble) for value, wobble in zip(self.mean(values), jitter, strict=True)]
        if rng.random() >= self._chance_to_diverge(values):
            return Outcome(tuple(shown))
        from_epoch = int(rng.integers(0, max(1, self.epochs // 3)))
        if self.silent:
            return Outcome(tuple(shown[:from_epoch]) + (None,) * (self.epochs - from_epoch), "diverged")
        gone = _COLLAPSED if self.direction is Direction.MAXIMIZE else 40 * self.top
        rest = [gone * rng.uniform(0.5, 1.5) for _ in range(self.epochs - from_epoch)]
        return Outcome((*shown[:from_epoch], *rest))

    def scaled(self, factor: float) -> Surface:
        """The same surface with every penalty times `factor`."""
        return replace(
            self,
            slopes={path: Slope(slope.weight * factor, slope.width) for path, slope in self.slopes.items()},
            ridges=tuple(replace(ridge, weight=ridge.weight * factor) for ridge in self.ridges),
            choices={
                path: {choice: cost * factor for choice, cost in costs.items()} for path, costs in self.choices.items()
            },
        )

    def epoch_s(self, values: Values) -> float:
        """Seconds an epoch takes: a minute for the best config."""
        grown = sum(power * self.distance(path, values) for path, power in self.cost.items())
        return 60.0 * math.exp(min(grown, 3.0))

    def _way(self, values: Values) -> list[float]:
        """The part of its last value that a training has at each epoch; 1 at the last one."""
        curve = self.curve
        slower = sum(power * self.distance(path, values) for path, power in curve.slower.items())
        tau = min(max(curve.tau * math.exp(slower), 0.03), 3.0)
        end = 1 - math.exp(-1 / tau)
        parts = [(1 - math.exp(-(epoch + 1) / (tau * self.epochs))) / end for epoch in range(self.epochs)]
        drop = round(curve.drop_at * self.epochs)
        parts = [part * (1 - curve.jump) if epoch < drop else part for epoch, part in enumerate(parts)]
        if curve.overfit is not None:
            path, loss = curve.overfit
            lost = loss * max(0.0, -self.distance(path, values))
            parts = [part * (1 - lost * max(0.0, (i + 1) / self.epochs - 0.5)) for i, part in enumerate(parts)]
        return parts

    def _chance_to_diverge(self, values: Values) -> float:
        if self.rate is None:
            return 0.0
        above = self.distance(self.rate, values) - self.cliff
        return 1 / (1 + math.exp(-min(max(above / _CLIFF_WIDTH, -50.0), 50.0)))


def slopes(
    space: SearchSpace, first: Sequence[str], total: float, decay: float, rng: np.random.Generator
) -> dict[str, Slope]:
    """Few parameters matter much, most little: weights fall by `decay` from rank to rank, `first` lead the ranks."""
    rest = [item.path for item in space.parameters if item.path not in first and not is_set(item)]
    order = [*first, *rng.permutation(rest)]
    weights = np.array([decay**rank for rank in range(len(order))])
    weights *= total / weights.sum()
    return {
        str(path): Slope(float(weight), float(rng.uniform(0.2, 0.35)))
        for path, weight in zip(order, weights, strict=True)
    }


def _bowl(z: float) -> float:
    return z * z if abs(z) <= 2 else 4 * abs(z) - 4
