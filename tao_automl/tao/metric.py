"""The number a study tunes: its names in TAO's status files, and which direction is better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Direction(str, Enum):
    """Stated for each metric, never guessed from its name."""

    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"


@dataclass(frozen=True)
class Metric:
    """A metric as training reports it. `evaluate` is its name in the status file of the evaluate action.

    `needs` has the values of the train spec, by key path, without which it is not reported. No value is below `low`
    or above `high`, as far as that is known.
    """

    name: str
    direction: Direction
    aliases: tuple[str, ...] = ()
    evaluate: str | None = None
    needs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    low: float | None = None
    high: float | None = None

    @property
    def maximizes(self) -> bool:
        return self.direction is Direction.MAXIMIZE

    def value(self, kpi: Mapping[str, Any] | None) -> float | None:
        """The metric in one kpi of a training; None if it is absent, no number, NaN or infinite.

        TAO writes some metrics as text: `"val_mAP": "0.1"`.
        """
        return _first(kpi, (self.name, *self.aliases))

    def evaluated(self, kpi: Mapping[str, Any] | None) -> float | None:
        """The same metric in the kpi of an evaluate action."""
        names = (self.evaluate,) if self.evaluate else ()
        return _first(kpi, (*names, self.name, *self.aliases))

    def better(self, a: float | None, b: float | None) -> bool:
        """True if `a` is strictly better than `b`; any value is better than none."""
        if a is None or b is None:
            return a is not None
        return a > b if self.maximizes else a < b

    def best(self, points: Mapping[int, float | None]) -> tuple[int, float] | None:
        """The best (epoch, value); of equal values the earliest epoch. None if no epoch has a value."""
        best: tuple[int, float] | None = None
        for epoch in sorted(points):
            value = points[epoch]
            if value is not None and math.isfinite(value) and (best is None or self.better(value, best[1])):
                best = (epoch, value)
        return best


def _first(kpi: Mapping[str, Any] | None, names: tuple[str, ...]) -> float | None:
    for name in names:
        value = _number(kpi.get(name)) if kpi else None
        if value is not None:
            return value
    return None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
