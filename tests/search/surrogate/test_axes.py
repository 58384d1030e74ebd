"""Configs as points of the unit cube."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tao_automl.search.surrogate.axes import Axis, Cube

floats = st.builds(
    lambda low, width, log: FloatDistribution(low, low + width, log=log),
    st.floats(1e-6, 1e3),
    st.floats(1e-3, 1e4),
    st.booleans(),
)
ints = st.builds(
    lambda low, count, step: IntDistribution(low, low + count * step, step=step),
    st.integers(-50, 50),
    st.integers(0, 40),
    st.integers(1, 50),
)
log_ints = st.builds(
    lambda low, width: IntDistribution(low, low + width, log=True), st.integers(1, 50), st.integers(0, 3000)
)
sets = st.lists(
    st.one_of(st.booleans(), st.text(max_size=3), st.integers(2)), min_size=1, max_size=6, unique_by=repr
).map(lambda choices: CategoricalDistribution(tuple(choices)))
distributions = st.one_of(floats, ints, log_ints, sets)


def value_of(data: st.DataObject, known: BaseDistribution) -> Any:
    if isinstance(known, CategoricalDistribution):
        return data.draw(st.sampled_from(known.choices))
    if isinstance(known, IntDistribution):
        return known.low + known.step * data.draw(st.integers(0, (known.high - known.low) // known.step))
    assert isinstance(known, FloatDistribution)
    return data.draw(st.floats(known.low, known.high))


@given(distributions, st.data())
def test_a_value_comes_back_from_its_place(known: BaseDistribution, data: st.DataObject) -> None:
    axis, value = Axis("p", known), value_of(data, known)
    back = axis.code(axis.place(value))
    if isinstance(known, FloatDistribution):
        assert abs(back - value) <= 1e-6 * max(1.0, abs(value))
    else:
        assert back == value
        assert type(back) is type(value)


@given(st.lists(distributions, min_size=1, max_size=5), st.data())
def test_a_snapped_point_is_a_config_that_exists(known: list[BaseDistribution], data: st.DataObject) -> None:
    cube = Cube(tuple(Axis(f"p{index}", each) for index, each in enumerate(known)))
    raw = np.array([data.draw(st.floats(-0.5, 7.0)) for _ in known])
    point = cube.snapped(raw[None])[0]
    params = cube.params(point)
    for axis in cube.axes:
        stored = axis.distribution.to_internal_repr(params[axis.name])
        assert axis.distribution.to_external_repr(stored) == params[axis.name]
    assert np.allclose(cube.snapped(cube.point(params)[None])[0], point, atol=1e-6)


@given(distributions.filter(lambda known: not isinstance(known, CategoricalDistribution)), st.data())
def test_larger_values_lie_further_on(known: BaseDistribution, data: st.DataObject) -> None:
    axis = Axis("p", known)
    low, high = sorted((value_of(data, known), value_of(data, known)))
    assert 0 <= axis.place(low) <= axis.place(high) <= 1


def test_what_a_trial_does_not_have_is_at_its_centre() -> None:
    cube = Cube((Axis("a", FloatDistribution(0, 1), 0.25), Axis("b", CategoricalDistribution(("x", "y")), 1.0)))
    assert cube.point({}).tolist() == [0.25, 1.0]
    assert cube.point({"a": 1.0}).tolist() == [1.0, 1.0]


def test_a_number_outside_its_range_lies_at_the_nearer_end() -> None:
    axis = Axis("p", FloatDistribution(1e-3, 1e-1, log=True))
    assert (axis.place(1.0), axis.place(1e-9), axis.place(0.0)) == (1.0, 0.0, 0.0)


def test_choices_that_are_numbers_in_order_lie_along_the_axis() -> None:
    rising = Axis("p", CategoricalDistribution((16, 32, 128, 1024)))
    assert rising.choices == 0
    assert list(rising.places_of([16, 32, 128, 1024])) == [0, 1 / 3, 2 / 3, 1]
    assert Axis("p", CategoricalDistribution((0.1, 0.01, 0.001))).choices == 0


def test_other_choices_are_a_set_without_order() -> None:
    for choices in ((32, 16, 128), (True, False), (1, "a"), ("a", "b"), (7,)):
        assert Axis("p", CategoricalDistribution(choices)).choices == len(choices)
