"""Configs as points: each parameter is an axis of the unit cube, on the scale on which it is searched.

Numbers lie between 0 and 1, ordered choices by their place (so do choices that are numbers and rise or fall), sets
without order by the index of the choice. What a trial does not have (a parameter that a condition switches off)
counts as its centre.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

Points = NDArray[np.float64]

_FINE = 4096  # an axis with more places than this is as good as continuous


@dataclass(frozen=True)
class Axis:
    """One parameter. `centre` is its place on the axis, None where nothing is known of it.

    `grows`: a larger value takes more memory.
    """

    name: str
    distribution: BaseDistribution
    centre: float | None = None
    grows: bool = False

    @cached_property
    def choices(self) -> int:
        """How many choices a set without order has; 0 for a number."""
        known = self.distribution
        return len(known.choices) if isinstance(known, CategoricalDistribution) and not _have_order(known) else 0

    @property
    def places(self) -> int:
        """How many different values there are; 0 if they are as good as continuous."""
        known = self.distribution
        if isinstance(known, CategoricalDistribution):
            return len(known.choices)
        if isinstance(known, IntDistribution):
            count = (known.high - known.low) // known.step + 1
        elif isinstance(known, FloatDistribution) and known.step:
            count = round((known.high - known.low) / known.step) + 1
        else:
            return 1 if self.distribution.single() else 0
        return int(count) if count <= _FINE else 0

    def place(self, code: Any) -> float:
        """Where a code lies; a number outside its range lies at the nearer end."""
        return float(self.places_of([code])[0])

    def places_of(self, codes: Sequence[Any]) -> Points:
        """Where each code lies."""
        known = self.distribution
        if isinstance(known, CategoricalDistribution):
            found = [known.choices.index(code) if code in known.choices else 0 for code in codes]
            return np.array(found, dtype=float) / (1 if self.choices else len(known.choices) - 1)
        assert isinstance(known, (IntDistribution, FloatDistribution))
        low, high = self._ends()
        if high <= low:
            return np.full(len(codes), 0.5)
        inside = np.clip(np.array(codes, dtype=float), known.low, known.high)
        return np.asarray(((np.log(inside) if self._log else inside) - low) / (high - low))

    def code(self, place: float) -> Any:
        """The code that lies nearest."""
        known = self.distribution
        if isinstance(known, CategoricalDistribution):
            index = place if self.choices else place * (len(known.choices) - 1)
            return known.choices[int(min(max(round(index), 0), len(known.choices) - 1))]
        assert isinstance(known, (IntDistribution, FloatDistribution))
        low, high = self._ends()
        value = low + min(max(place, 0.0), 1.0) * (high - low)
        value = math.exp(value) if self._log else value
        if known.step:
            value = known.low + round((value - known.low) / known.step) * known.step
        value = min(max(value, known.low), known.high)
        return int(value) if isinstance(known, IntDistribution) else value

    @property
    def _log(self) -> bool:
        return bool(getattr(self.distribution, "log", False))

    def _ends(self) -> tuple[float, float]:
        known = self.distribution
        assert isinstance(known, (IntDistribution, FloatDistribution))
        return self._scaled(float(known.low)), self._scaled(float(known.high))

    def _scaled(self, value: float) -> float:
        return math.log(value) if self._log else value


@dataclass(frozen=True)
class Cube:
    """All axes of a space."""

    axes: tuple[Axis, ...]

    def __len__(self) -> int:
        return len(self.axes)

    @cached_property
    def sets(self) -> NDArray[np.bool_]:
        """Which axes are sets without order."""
        return np.array([axis.choices > 0 for axis in self.axes], dtype=bool)

    @cached_property
    def growing(self) -> NDArray[np.bool_]:
        """Which axes take more memory the further one goes."""
        return np.array([axis.grows for axis in self.axes], dtype=bool)

    @cached_property
    def least_step(self) -> Points:
        """How far one must go on each axis to come to another value; 0 where any distance will do."""
        grids = self.grids
        return np.array([0.0 if grid is None or len(grid) < 2 else float(np.diff(grid).max()) for grid in grids])

    def centre(self) -> Points:
        """The launched values; the middle (of a set: its first choice) where there is none."""
        middle = [0.0 if axis.choices else 0.5 for axis in self.axes]
        return np.array([m if axis.centre is None else axis.centre for axis, m in zip(self.axes, middle, strict=True)])

    @property
    def has_centre(self) -> bool:
        """False if nothing is known of any axis' centre."""
        return any(axis.centre is not None for axis in self.axes)

    def point(self, params: Mapping[str, Any]) -> Points:
        """A trial's params; what it lacks is at its centre."""
        return np.asarray(self.points([params])[0])

    def points(self, many: Sequence[Mapping[str, Any]]) -> Points:
        """One row each."""
        found = np.tile(self.centre(), (len(many), 1))
        for index, axis in enumerate(self.axes):
            rows = [row for row, params in enumerate(many) if axis.name in params]
            found[rows, index] = axis.places_of([many[row][axis.name] for row in rows])
        return found

    def params(self, point: Points) -> dict[str, Any]:
        """The codes nearest to a point."""
        return {axis.name: axis.code(float(place)) for axis, place in zip(self.axes, point, strict=True)}

    def snapped(self, points: Points) -> Points:
        """Each row moved to the nearest places that exist."""
        known = np.clip(points, 0.0, None)
        for index, axis in enumerate(self.axes):
            if axis.choices:
                known[:, index] = np.clip(np.round(known[:, index]), 0, axis.choices - 1)
            elif (grid := self.grids[index]) is not None:
                halves = (grid[1:] + grid[:-1]) / 2
                known[:, index] = grid[np.searchsorted(halves, known[:, index])]
            else:
                known[:, index] = np.minimum(known[:, index], 1.0)
        return known

    @cached_property
    def grids(self) -> tuple[Points | None, ...]:
        """The places that exist on each axis; None if they are as good as continuous, or without order."""
        return tuple(_grid(axis) for axis in self.axes)


def _grid(axis: Axis) -> Points | None:
    known = axis.distribution
    if axis.choices or not axis.places:
        return None
    if isinstance(known, CategoricalDistribution):
        return np.linspace(0, 1, axis.places)
    assert isinstance(known, (IntDistribution, FloatDistribution))
    step = known.step or 0
    return axis.places_of([known.low + index * step for index in range(axis.places)])


def _have_order(known: CategoricalDistribution) -> bool:
    """Whether choices are numbers that rise or fall."""
    numbers = [each for each in known.choices if isinstance(each, (int, float)) and not isinstance(each, bool)]
    rising = sorted(set(numbers))
    return len(rising) == len(known.choices) > 1 and numbers in (rising, rising[::-1])
