from __future__ import annotations

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FixedTrial

from tao_automl.search.parameter import Bounds, Domain, Encoding, Parameter


def _parameter(low, high, **changes):
    values = {"type": "int", "default": low, "origin": "schema", "low": low, "high": high}
    return Parameter("m.x", **{**values, **changes})


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        (Encoding.PLAIN, "m.x"),
        (Encoding.LOG2, "m.x@log2"),
        (Encoding.INDEX, "m.x@index"),
        (Encoding.COMPLEMENT, "m.x@log10(1-x)"),
        (Encoding.GAP, "m.x@gap"),
    ],
)
def test_the_name_in_the_storage_says_the_scale(encoding, name):
    assert _parameter(1, 8, encoding=encoding).name == name


@given(values=st.lists(st.integers(-99, 99), min_size=2, unique=True).map(sorted), parent=st.integers(-50, 50))
def test_a_code_stands_for_one_value(values, parent):
    listed = _parameter(values[0], values[-1], choices=tuple(values), encoding=Encoding.INDEX)
    above = _parameter(values[0], values[-1], encoding=Encoding.GAP, gap=(1, 200))
    assert [listed.decode(listed.encode(value)) for value in values] == values
    assert [above.decode(above.encode(value, parent), parent) for value in values] == values


@given(exponent=st.integers(0, 52), fraction=st.floats(0, 0.9999))
def test_powers_and_fractions_below_one_come_back(exponent, fraction):
    power = _parameter(1, 2**52, encoding=Encoding.LOG2)
    assert power.encode(2**exponent) == exponent
    assert power.decode(exponent) == 2**exponent
    momentum = _parameter(0.0, 0.9999, type="float", default=0.9, encoding=Encoding.COMPLEMENT)
    assert momentum.decode(momentum.encode(fraction)) == pytest.approx(fraction, abs=1e-12)
    assert momentum.decode(momentum.encode(0.9)) == 0.9


@given(
    low=st.integers(-50, 50),
    steps=st.integers(1, 20),
    step=st.integers(1, 9),
    ends=st.tuples(st.integers(-80, 200), st.integers(-80, 200)).map(sorted),
)
def test_bounds_leave_the_codes_of_the_grid_that_obey_them(low, steps, step, ends):
    grid = range(low, low + steps * step + 1, step)
    domain = _parameter(low, grid[-1], step=step).domain(Bounds(*ends))
    left = list(range(domain.low, domain.high + 1, domain.step or 1))
    obeying = [value for value in grid if ends[0] <= value <= ends[1]]
    assert left == obeying if obeying else len(left) == 1


def test_bounds_of_choices_leave_the_places_of_those_inside():
    batch = _parameter(1, 16, choices=(1, 2, 4, 8, 16), encoding=Encoding.LOG2)
    assert batch.domain(Bounds(lower=2, upper=9)) == Domain(1, 3)
    assert batch.domain(Bounds(upper=0)) == Domain(0, 0)
    assert batch.domain(Bounds(lower=17)) == Domain(4, 4)


def test_a_gap_ends_where_the_value_would_leave_its_range():
    crop = _parameter(100, 300, encoding=Encoding.GAP, gap=(10, 250), step=10, parent="m.y")
    assert crop.domain(Bounds(parent=0)) == Domain(100, 250, 10)
    assert crop.domain(Bounds(upper=280, parent=200)) == Domain(10, 80, 10)
    assert crop.domain(Bounds(parent=400)) == Domain(10, 10)


@given(
    low=st.integers(-50, 50), steps=st.integers(0, 20), step=st.one_of(st.none(), st.integers(1, 9)), code=st.integers()
)
def test_the_nearest_code_is_one_that_optuna_takes(low, steps, step, code):
    domain = Domain(low, low + steps * (step or 1), step)
    nearest = domain.clip(code)
    assert domain.suggest(FixedTrial({"x": nearest}), "x") == nearest
    codes = range(domain.low, domain.high + 1, step or 1)
    assert nearest in codes
    assert abs(nearest - code) == min(abs(other - code) for other in codes)


def test_a_domain_is_stated_as_optuna_states_it():
    assert Domain(1, 9, 4).distribution() == optuna.distributions.IntDistribution(1, 9, step=4)
    assert Domain(1e-5, 1e-3, log=True).distribution() == optuna.distributions.FloatDistribution(1e-5, 1e-3, log=True)
    words = Domain(choices=("a", "b"))
    assert words.distribution() == optuna.distributions.CategoricalDistribution(("a", "b"))
    assert (words.clip("b"), words.clip("c")) == ("b", "a")


def test_the_identity_looks_at_values_and_not_at_words():
    first, other = _parameter(1, 8, why="a reason"), _parameter(1, 8, why="another", origin="--search")
    assert first.identity() == other.identity()
    assert first.identity() != _parameter(1, 9).identity()
    assert first.identity() != _parameter(1, 8, gap=(1, 2)).identity()


def test_a_switch_is_zero_in_the_decade_below_its_range():
    decay = _parameter(1e-6, 1e-2, type="float", default=0.0, log=True, encoding=Encoding.SWITCH)
    assert decay.name == "m.x@0|log10"
    domain = decay.domain()
    assert (domain.low, domain.high) == (-7, -2)
    assert decay.decode(decay.encode(0.0)) == 0.0
    assert [decay.decode(code) for code in (-7.0, -6.01, -6.0, -3.0, -2.0)] == [0.0, 0.0, 1e-6, 1e-3, 1e-2]


@given(value=st.floats(1e-6, 1e-2))
def test_what_a_switch_is_set_to_comes_back(value):
    decay = _parameter(1e-6, 1e-2, type="float", default=0.0, log=True, encoding=Encoding.SWITCH)
    assert decay.decode(decay.encode(value)) == pytest.approx(value, rel=1e-9)


@given(ends=st.tuples(st.floats(0, 0.1), st.floats(0, 0.1)).map(sorted))
def test_a_switch_obeys_rules(ends):
    decay = _parameter(1e-6, 1e-2, type="float", default=0.0, log=True, encoding=Encoding.SWITCH)
    domain = decay.domain(Bounds(upper=ends[0]))
    assert domain.low <= domain.high
    assert decay.decode(domain.high) <= max(ends[0] * (1 + 1e-9), 0.0)
    above = decay.domain(Bounds(lower=ends[1]))
    assert decay.decode(above.low) >= min(ends[1] * (1 - 1e-9), 1e-2) or ends[1] < 1e-6


def test_the_choices_of_a_list_are_its_places():
    listed = _parameter(None, None, type="list", choices=([1, 2], [3, 4]), encoding=Encoding.INDEX)
    assert listed.domain(Bounds(upper=2)) == Domain(0, 1)
    assert [listed.decode(code) for code in (0, 1)] == [[1, 2], [3, 4]]
    assert listed.encode([3, 4]) == 1
