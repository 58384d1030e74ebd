from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl.search.box import Box
from tao_automl.tao.condition import Condition, parse
from tao_automl.tao.field import Field


def test_a_centre_on_an_excluded_end_stays_and_other_ends_stay_open(build, by_path):
    def hue(default):
        leaf = {"type": "float", "default": default, "minimum": 0.0, "maximum": 0.5, "math_cond": "> 0.0"}
        return by_path(build({"aug.hue": {**leaf, "automl_enabled": True}}))["aug.hue"]

    assert hue(0.0).low == 0.0
    assert 0 < hue(0.1).low < 0.001


def test_bounds_and_conditions_are_taken_together_and_the_tighter_wins():
    box = Box.of(Field("m.x", "float", minimum=0.0, maximum=2.0, conditions=parse("> 0.0 <= 1.0")))
    assert (box.low, box.open_low, box.high, box.open_high) == (0.0, True, 1.0, False)
    box = Box.of(Field("m.x", "float", minimum=0.5, maximum=1.0, conditions=parse(">= 0 < 1")))
    assert (box.low, box.open_low, box.high, box.open_high) == (0.5, False, 1.0, True)


@pytest.mark.parametrize(
    ("box", "text"),
    [
        (Box(False), "unbounded"),
        (Box(False, 0.0), "0 or more"),
        (Box(False, 0.0, open_low=True), "above 0"),
        (Box(False, None, 1.0), "1 or less"),
        (Box(False, None, 1.0, open_high=True), "below 1"),
        (Box(False, 0.0, 1.0), "0 to 1"),
        (Box(False, 0.0, 1.0, open_low=True), "above 0, up to 1"),
    ],
)
def test_a_box_says_its_bounds_in_words(box, text):
    assert str(box) == text


def test_a_box_of_three_decades_is_trusted_and_a_wider_or_open_one_is_not():
    assert Box(False, 1e-5, 1e-2).trusted
    assert not Box(False, 1e-6, 1e-2).trusted
    assert not Box(False, 0.0, 1.0).trusted
    assert not Box(False, 1e-5).trusted


def test_one_value_between_the_bounds_is_no_range():
    assert Box.of(Field("m.x", "int", minimum=3, maximum=3)).single
    assert Box.of(Field("m.x", "int", minimum=2, maximum=4, open_minimum=True, open_maximum=True)).single
    assert not Box.of(Field("m.x", "int")).single


def test_bounds_of_list_elements_and_bounds_beyond_any_number_bound_nothing():
    box = Box.of(Field("m.x", "float", minimum=(0, 1), maximum=1e300))
    assert (box.low, box.high) == (None, None)


def test_multiples_of_a_parent_are_no_grid_of_the_box():
    conditions = (*parse("/ 8"), *parse("!= 16"))
    alone = Box.of(Field("m.x", "int", conditions=conditions))
    assert (alone.multiple, alone.excluded) == (8, (16,))
    assert Box.of(Field("m.x", "int", conditions=conditions, depends_on=("m.y",))).multiple is None


_ENDS = st.one_of(st.none(), st.integers(-9, 9), st.floats(-9, 9))


@given(
    low=_ENDS,
    high=_ENDS,
    open_low=st.booleans(),
    open_high=st.booleans(),
    operand=st.integers(-9, 9),
    op=st.sampled_from([">", ">=", "<", "<="]),
    value=st.integers(-12, 12),
)
def test_a_whole_box_allows_just_the_numbers_that_obey_every_bound(low, high, open_low, open_high, operand, op, value):
    box = Box.of(Field("m.x", "int", None, low, high, open_low, open_high, conditions=(Condition(op, operand),)))
    expected = (
        (low is None or value > low or (value == low and not open_low)),
        (high is None or value < high or (value == high and not open_high)),
        {">": value > operand, ">=": value >= operand, "<": value < operand, "<=": value <= operand}[op],
    )
    assert box.allows(value) is all(expected)
    assert (box.open_low, box.open_high) == (False, False)
