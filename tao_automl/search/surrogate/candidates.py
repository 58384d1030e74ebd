"""Where to look for the next config: points of a cube, drawn in several ways."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from tao_automl.search.surrogate.axes import Cube, Points

_STAY = 0.6  # how often a set without order keeps the centre's choice near the centre
_SPREAD = 0.75  # of points near the centre, from it


def uniform(cube: Cube, rng: np.random.Generator, count: int) -> Points:
    """Anywhere."""
    points = rng.random((count, len(cube)))
    for index in np.flatnonzero(cube.sets):
        points[:, index] = rng.integers(cube.axes[index].choices, size=count)
    return cube.snapped(points)


def near_centre(cube: Cube, rng: np.random.Generator, count: int) -> Points:
    """Around the centre, spread evenly on each axis (a Latin hypercube through a truncated normal).

    The more axes, the less far on each, so that points lie as far from the centre in any space.
    """
    points = np.empty((count, len(cube)))
    centre, spread = cube.centre(), _SPREAD / math.sqrt(len(cube))
    for index, axis in enumerate(cube.axes):
        if axis.choices:
            moved = rng.random(count) > _STAY
            points[:, index] = np.where(moved, rng.integers(axis.choices, size=count), centre[index])
        else:
            share = (rng.permutation(count) + rng.random(count)) / count
            points[:, index] = _normal(float(centre[index]), share, spread)
    return cube.snapped(points)


def spread_out(cube: Cube, rng: np.random.Generator, count: int) -> Points:
    """Anywhere, spread evenly on each axis (a Latin hypercube)."""
    points = np.empty((count, len(cube)))
    for index, axis in enumerate(cube.axes):
        share = (rng.permutation(count) + rng.random(count)) / count
        points[:, index] = np.floor(share * axis.choices) if axis.choices else share
    return cube.snapped(points)


def varied(cube: Cube, rng: np.random.Generator, base: Points, scale: NDArray[np.float64], moves: float) -> Points:
    """Each row with `moves` of its axes changed on average, one at least; `scale` is how far, row by row.

    A number on a grid moves by a step at least.
    """
    count, axes = base.shape
    moved = rng.random((count, axes)) < min(1.0, moves / axes)
    idle = np.flatnonzero(~moved.any(axis=1))
    moved[idle, rng.integers(axes, size=len(idle))] = True
    step = rng.normal(size=(count, axes)) * scale[:, None]
    least = cube.least_step
    step = np.where(np.abs(step) < least, np.copysign(least, step), step)
    points = np.abs(base + step)
    points = np.where(points > 1, np.maximum(2 - points, 0.0), points)
    for index in np.flatnonzero(cube.sets):
        points[:, index] = rng.integers(cube.axes[index].choices, size=count)
    return cube.snapped(np.where(moved, points, base))


def _normal(centre: float, share: NDArray[np.float64], spread: float) -> NDArray[np.float64]:
    low, high = ndtr(-centre / spread), ndtr((1 - centre) / spread)
    return np.asarray(centre + spread * ndtri(low + share * (high - low)))
