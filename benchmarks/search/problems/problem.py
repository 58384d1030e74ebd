"""What a problem is: a space, what a training of a config shows, and what the config is truly worth."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from optuna.trial import BaseTrial

from tao_automl.search.space import SearchSpace
from tao_automl.tao.metric import Direction, Metric

Values = Mapping[str, Any]

REFERENCE_DRAWS = 200


@dataclass(frozen=True)
class Outcome:
    """What one training shows: the metric of each epoch, None where it reports nothing.

    `failure` is 'memory' (it has not begun) or 'diverged' (from the first None on), else None.
    """

    values: tuple[float | None, ...]
    failure: str | None = None


@dataclass(frozen=True)
class Problem:
    """`train(values, seed)` is one training; `mean(values)` is the metric by epoch without noise.

    `optimum` is the best of `mean` over the space (known, or the best that is known); `reference` that of the median
    random config. `raw` is the space of somebody who takes a schema's bounds as they are. `best` is a config that
    reaches the optimum, where it is known. `centre(seed)` moves the centre of the space.
    """

    name: str
    family: str
    space: SearchSpace
    epochs: int
    direction: Direction
    train: Callable[[Values, int], Outcome]
    mean: Callable[[Values], Sequence[float]]
    optimum: float
    reference: float
    epoch_s: Callable[[Values], float] = lambda _values: 1.0
    raw: SearchSpace | None = None
    best: Values | None = None
    centre: Callable[[int], Values] | None = field(default=None)

    @property
    def metric(self) -> Metric:
        return Metric("score", self.direction)

    def regret(self, value: float) -> float:
        """Where a value lies between the optimum (0) and the median random config (1), or worse (1, too)."""
        return min(1.0, max(0.0, (self.optimum - value) / (self.optimum - self.reference)))

    def worth(self, values: Values) -> float:
        """The best epoch of a config, without noise."""
        pick = max if self.direction is Direction.MAXIMIZE else min
        return float(pick(self.mean(values)))


class Draw:
    """Stands for a trial: each parameter is drawn by itself, uniformly in its scale."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def suggest_float(
        self, _name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        if step:
            return float(low + step * self._rng.integers(round((high - low) / step) + 1))
        return float(np.exp(self._rng.uniform(np.log(low), np.log(high))) if log else self._rng.uniform(low, high))

    def suggest_int(self, _name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        if log:
            return int(min(high, np.floor(np.exp(self._rng.uniform(np.log(low), np.log(high + 1))))))
        return int(low + step * self._rng.integers((high - low) // step + 1))

    def suggest_categorical(self, _name: str, choices: Sequence[Any]) -> Any:
        return choices[int(self._rng.integers(len(choices)))]


def draw(space: SearchSpace, rng: np.random.Generator) -> dict[str, Any]:
    """A random config of a space."""
    return space.suggest(cast("BaseTrial", Draw(rng)))


def reference(space: SearchSpace, worth: Callable[[Values], float]) -> float:
    """What the median random config is worth."""
    rng = stream("reference")
    return float(np.median([worth(draw(space, rng)) for _ in range(REFERENCE_DRAWS)]))


def stream(*words: object) -> np.random.Generator:
    """Random numbers that depend on the words alone: the same in each process."""
    return np.random.default_rng(zlib.crc32("/".join(map(str, words)).encode()))
