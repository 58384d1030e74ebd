"""The learned memory limit."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution

from tao_automl.search.surrogate import memory
from tao_automl.search.surrogate.axes import Axis, Cube

CUBE = Cube(
    (
        Axis("batch", FloatDistribution(0, 1), 0.5, grows=True),
        Axis("queries", FloatDistribution(0, 1), 0.5, grows=True),
        Axis("rate", FloatDistribution(0, 1), 0.5),
    )
)
NONE = np.zeros((0, 3))
unit = st.floats(0, 1)


@given(st.tuples(unit, unit, unit), st.tuples(unit, unit, unit))
def test_what_needs_at_least_as_much_is_beyond_the_limit(failed: tuple[float, ...], asked: tuple[float, ...]) -> None:
    limit = memory.learn(CUBE, NONE, np.array([failed]))
    needs_more = asked[0] >= failed[0] and asked[1] >= failed[1]
    close = abs(asked[0] - failed[0]) < 1e-6 or abs(asked[1] - failed[1]) < 1e-6
    assert close or limit.beyond(np.array([asked]))[0] == needs_more


def test_a_few_failures_tell_where_the_limit_is() -> None:
    rng = np.random.default_rng(0)
    points = rng.random((25, 3))
    fails = points[:, 0] + points[:, 1] > 1.2
    limit = memory.learn(CUBE, points[~fails], points[fails])
    fresh = rng.random((500, 3))
    clear = np.abs(fresh[:, 0] + fresh[:, 1] - 1.2) > 0.15
    assert np.mean((limit.risky(fresh) == (fresh[:, 0] + fresh[:, 1] > 1.2))[clear]) > 0.95


def test_without_a_failure_everything_is_thought_to_run() -> None:
    limit = memory.learn(CUBE, np.random.default_rng(0).random((5, 3)), NONE)
    points = np.random.default_rng(1).random((50, 3))
    assert not limit.risky(points).any()
    assert (limit.log_fits(points) == 0).all()


def test_without_an_axis_that_takes_memory_nothing_is_ruled_out() -> None:
    cube = Cube((Axis("rate", FloatDistribution(0, 1)),))
    limit = memory.learn(cube, np.zeros((0, 1)), np.array([[0.5]]))
    assert not limit.risky(np.array([[0.5], [0.9]])).any()
