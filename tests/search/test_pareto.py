"""The Pareto set."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tao_automl.search.pareto import front

POINTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12)


def test_a_point_is_out_if_another_is_as_good_in_all_and_better_in_one():
    points = [(0.5, 100.0), (0.6, 200.0), (0.5, 120.0), (0.6, 200.0), (0.4, 90.0)]
    assert front(points, [True, False]) == [0, 1, 3, 4]


def test_nothing_is_the_set_of_nothing():
    assert front([], [True]) == []


@given(POINTS)
def test_every_point_outside_is_beaten_by_one_inside(points):
    inside = front(points, [True, False])

    def beats(one, other):
        return one[0] >= other[0] and one[1] <= other[1] and one != other

    for place, point in enumerate(points):
        beaten = any(beats(points[other], point) for other in inside)
        assert beaten == (place not in inside)


@given(POINTS)
def test_of_one_objective_the_set_has_the_best(points):
    best = max((first for first, _ in points), default=None)
    assert [points[place][0] for place in front([(first,) for first, _ in points], [True])] == [
        first for first, _ in points if first == best
    ]
