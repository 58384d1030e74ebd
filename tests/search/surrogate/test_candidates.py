"""Points to choose from."""

from __future__ import annotations

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from tao_automl.search.surrogate import candidates
from tao_automl.search.surrogate.axes import Axis, Cube

CUBE = Cube(
    (
        Axis("rate", FloatDistribution(1e-5, 1e-1, log=True), 0.9),
        Axis("layers", IntDistribution(1, 4), 1 / 3),
        Axis("kind", CategoricalDistribution(("a", "b", "c")), 2.0),
    )
)


def exist(points: np.ndarray) -> bool:
    return bool(np.array_equal(CUBE.snapped(points), points))


def test_every_drawn_point_is_a_config() -> None:
    rng = np.random.default_rng(0)
    for draw in (candidates.uniform, candidates.near_centre, candidates.spread_out):
        points = draw(CUBE, rng, 200)
        assert points.shape == (200, 3)
        assert exist(points)
    assert exist(candidates.varied(CUBE, rng, points, np.full(200, 0.1), 2.0))


def test_what_is_near_the_centre_lies_closer_to_it_than_what_is_anywhere() -> None:
    points = candidates.near_centre(CUBE, np.random.default_rng(0), 500)
    anywhere = candidates.uniform(CUBE, np.random.default_rng(0), 500)
    assert np.abs(points[:, 0] - 0.9).mean() < 0.8 * np.abs(anywhere[:, 0] - 0.9).mean()
    assert np.mean(points[:, 2] == 2.0) > 0.5
    assert len(np.unique(points[:, 2])) == 3


def test_points_near_the_centre_are_as_far_from_it_with_many_axes_as_with_few() -> None:
    away = []
    for count in (9, 36):
        cube = Cube(tuple(Axis(str(place), FloatDistribution(0, 1), 0.5) for place in range(count)))
        points = candidates.near_centre(cube, np.random.default_rng(0), 200)
        away.append(np.linalg.norm(points - 0.5, axis=1).mean())
    assert abs(away[1] / away[0] - 1) < 0.2


def test_a_varied_config_differs_from_its_origin_and_keeps_most_of_it() -> None:
    base = CUBE.snapped(np.tile(CUBE.centre(), (400, 1)))
    points = candidates.varied(CUBE, np.random.default_rng(0), base, np.full(400, 0.05), 1.0)
    changed = (points != base).sum(axis=1)
    assert np.mean(changed > 0) > 0.8  # another draw of a set may be the same choice
    assert np.mean(changed) < 2
