"""Rules and ranges that leave no point are said before anything starts; others make room for each other."""

from __future__ import annotations

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tao_automl.errors import UsageError
from tao_automl.search.space import SearchSpace
from tao_automl.tao.facts import SearchFacts

A, B, C = "model.a_size", "model.b_size", "model.c_size"
LEAVES = {path: {"type": "int", "default": 64, "minimum": 1, "maximum": 1024} for path in (A, B, C)}


def facts(*rules: str) -> SearchFacts:
    return SearchFacts(rules=rules)


def draws(space: SearchSpace, count: int = 50) -> list[dict]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    return [space.suggest(study.ask()) for _ in range(count)]


@pytest.mark.parametrize(
    ("rules", "search", "named"),
    [
        (
            [f"{A} <= {B}"],
            [f"{A}=500..900", f"{B}=100..300"],
            [f"--search {B}=100..300", f"{A} <= {B}", f"{A}=500..900"],
        ),
        ([f"{A} > 500", f"{A} <= {B}"], [A, f"{B}=100..300"], [f"{A} > 500", f"{A} <= {B}"]),
        ([f"{A} < 10", f"{A} > 20"], [A], [f"{A} < 10", f"{A} > 20"]),
        ([f"{A} < {B}"], [f"{A}=500..900", B], [f"--search {A}=500..900", f"{A} < {B} with {B}=32..128 (role: size)"]),
        (
            [f"{A} < {B}", f"{B} < {C}"],
            [f"{A}=500..900", f"{B}=1..1000", f"{C}=10..300"],
            [f"--search {C}=10..300", f"{B} < {C}", f"--search {A}=500..900"],
        ),
        ([f"{A} >= {B}"], [f"{A}=2..40"], [f"--search {A}=2..40", f"{A} >= {B}"]),
    ],
)
def test_what_no_point_meets_is_named_by_the_two_that_contradict(build, rules, search, named) -> None:
    with pytest.raises(UsageError) as raised:
        build(LEAVES, *search, facts=facts(*rules))
    assert raised.value.message.startswith("no point meets both ")
    for words in named:
        assert words in raised.value.message


def test_a_parent_leaves_its_child_room(build, by_path) -> None:
    space = build(LEAVES, f"{A}=500..900", f"{B}=100..700", facts=facts(f"{A} <= {B}"))
    parent = by_path(space)[B]
    assert (parent.low, parent.high, parent.default) == (500, 700, 500)
    assert f"narrowed for {A} <= {B} with --search {A}=500..900" in parent.why
    for values in draws(space):
        assert 500 <= values[A] <= values[B] <= 700


def test_a_range_of_a_role_gives_way_to_a_rule(build) -> None:
    space = build(LEAVES, A, facts=facts(f"{A} >= 500"))
    assert {values[A] for values in draws(space)} == {500}


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_is_stated_every_proposal_keeps_rules_and_ranges_or_the_plan_says_no(build, data) -> None:
    def stated(path: str) -> tuple[int, int]:
        low = data.draw(st.integers(1, 1000))
        return low, data.draw(st.integers(low + 1, 1024))

    ranges = {path: stated(path) for path in (A, B, C)}
    first, second = (data.draw(st.sampled_from(["<", "<=", ">", ">="])) for _ in range(2))
    search = [f"{path}={low}..{high}" for path, (low, high) in ranges.items()]
    try:
        space = build(LEAVES, *search, facts=facts(f"{A} {first} {B}", f"{B} {second} {C}"))
    except UsageError as error:
        assert error.code == "contradiction"
        return
    holds = {"<": int.__lt__, "<=": int.__le__, ">": int.__gt__, ">=": int.__ge__}
    for values in draws(space, 10):
        assert all(low <= values[path] <= high for path, (low, high) in ranges.items())
        assert holds[first](values[A], values[B])
        assert holds[second](values[B], values[C])
