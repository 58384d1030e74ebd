"""Parameters that are lists: milestones and sizes are scaled, betas are two parameters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FixedTrial

from tao_automl.errors import UsageError
from tao_automl.search import lists
from tao_automl.search.parameter import Parameter
from tao_automl.search.roles import Scope
from tao_automl.search.space import Limits
from tao_automl.tao.schema import MISSING, Field

LR = {"train.optim.lr": {"type": "float", "default": 1e-4, "maximum": 1.0, "automl_enabled": True}}


def one(path: str, default: list, **leaf):
    return {**LR, path: {"type": "list", "default": default, "automl_enabled": True, **leaf}}


def options(path: str, value: list, epochs: int = 100) -> list[list[int]]:
    found = lists.whole(Field(path, "list_2"), value, Scope(epochs))
    assert isinstance(found, Parameter), found
    assert found.default == value
    return list(found.choices)


def test_milestones_keep_their_proportions_within_the_epochs() -> None:
    found = options("train.optim.lr_steps", [40, 70])
    assert [40, 70] in found
    assert found[0] == [10, 17]
    assert max(found[-1]) <= 99
    assert all(first / second == pytest.approx(4 / 7, abs=0.05) for first, second in found)
    assert found == sorted(found, key=max)


def test_milestones_beyond_the_epochs_are_brought_inside_and_stay_as_they_are_too() -> None:
    found = options("train.decay_step_list", [35, 45], epochs=10)
    assert found[-1] == [35, 45]
    assert max(max(option) for option in found[:-1]) < 10


def test_sizes_are_scaled_on_their_grid() -> None:
    found = options("dataset.augmentation.scales", [480, 512, 800])
    assert [480, 512, 800] in found
    assert found[0] == [288, 320, 512]
    assert all(item % 32 == 0 for option in found for item in option)


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("dataset.mean", [1, 2], "searched only if it holds"),
        ("train.optim.lr_steps", [], "searched only if it holds"),
        ("train.optim.lr_steps", ["a"], "searched only if it holds"),
        ("train.optim.lr_steps", [0.5, 0.9], "searched only if it holds"),
        ("train.optim.lr_steps", [-1], "searched only if it holds"),
        ("train.optim.lr_steps", None, "searched only if it holds"),
        ("train.optim.lr_steps", [1], "no other milestones within the epochs than [1]"),
    ],
)
def test_a_list_that_is_none_of_these_is_kept_and_says_so(path: str, value: object, why: str) -> None:
    assert why in lists.whole(Field(path, "list", MISSING), value, Scope(2))


@given(st.lists(st.integers(1, 200), min_size=1, max_size=4), st.integers(1, 300))
def test_any_milestones_give_lists_that_can_be_trained(value: list[int], epochs: int) -> None:
    found = lists.whole(Field("train.optim.lr_steps", "list"), value, Scope(epochs))
    if isinstance(found, Parameter):
        assert value in found.choices
        assert 2 <= len(found.choices) <= 14
        for option in found.choices:
            assert len(option) == len(value)
            assert option == value or 1 <= min(option) <= max(option) < epochs


def test_a_list_is_sampled_as_a_whole(build, by_path, study_of) -> None:
    space = build(one("train.optim.lr_steps", [4, 8]), limits=Limits(20))
    steps = by_path(space)["train.optim.lr_steps"]
    assert (steps.type, steps.name) == ("list", "train.optim.lr_steps@index")
    assert space.suggest(FixedTrial(space.centre()))["train.optim.lr_steps"] == [4, 8]
    for _ in range(20):
        trial = study_of().ask()
        assert space.suggest(trial)["train.optim.lr_steps"] in steps.choices
        assert space.decode(trial.params) == space.suggest(trial)


def test_betas_are_two_numbers_just_below_one(build, by_path) -> None:
    found = by_path(build(one("train.optim.betas", [0.9, 0.999])))
    first, second = found["train.optim.betas[0]"], found["train.optim.betas[1]"]
    assert (first.low, first.high, first.default) == (pytest.approx(0.8), pytest.approx(0.99), 0.9)
    assert (second.low, second.high, second.default) == (pytest.approx(0.998), pytest.approx(0.9999), 0.999)
    assert "train.optim.betas" not in found


def test_betas_obey_the_bounds_of_each_element(build, by_path) -> None:
    leaves = one("train.optm_betas", [0.9, 0.999], type="list_2", minimum=[0.85, 0.9], maximum=[0.95, 0.9995])
    found = by_path(build(leaves))
    assert (found["train.optm_betas[0]"].low, found["train.optm_betas[0]"].high) == (0.85, 0.95)
    assert found["train.optm_betas[1]"].high == 0.9995


def test_betas_may_be_named_together_or_one_of_them_with_a_range(build, by_path) -> None:
    leaves = {**LR, "train.optim.betas": {"type": "list", "default": [0.9, 0.999]}}
    assert {"train.optim.betas[0]", "train.optim.betas[1]"} <= set(by_path(build(leaves, "train.optim.betas")))
    found = by_path(build(leaves, "train.optim.betas[0]=0.8..0.95"))
    assert (found["train.optim.betas[0]"].high, "train.optim.betas[1]" in found) == (0.95, False)
    with pytest.raises(UsageError, match=r"betas\[2\] is not in the train schema"):
        build(leaves, "train.optim.betas[2]=0.8..0.95")


@pytest.mark.parametrize("value", [[0.9, 1.5], ["a"], [], None, 0.9])
def test_betas_that_are_none_are_kept(build, by_path, why_kept, value) -> None:
    space = build(one("train.optim.betas", value))
    assert list(by_path(space)) == ["train.optim.lr"]
    assert why_kept(space)["train.optim.betas"]
