"""Points that somebody names: into the params of a space, or refused with the bound."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tao_automl.errors import UsageError
from tao_automl.search import points
from tao_automl.search.space import SearchSpace
from tests.search.bank_rows import models

SPACES = [space for model in models() if (space := model.space()).parameters]
SGD = {"train__optim__optimizer": "SGD"}


def test_what_a_point_does_not_name_is_at_the_centre(space: SearchSpace) -> None:
    params = points.encode(space, {"train.optim.lr": 3e-4, "dataset.batch_size": 8})
    assert params == {**space.centre(), "train.optim.lr": 3e-4, "dataset.batch_size@log2": 3}


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("train.optim.lr", 3e-2, "lies outside its range 1e-05..0.001"),
        ("train.optim.lr", "fast", "is not a number"),
        ("train.optim.lr", True, "is not a number"),
        ("train.optim.lr", math.nan, "is not a number"),
        ("dataset.batch_size", 3, "is none of 1, 2, 4, 8, 16"),
        ("model.num_queries", 310, "is not on its grid: 100..900 in steps of 50"),
        ("model.num_queries", 950, "lies outside its range 100..900"),
        ("model.enc_layers", 2.5, "is not a whole number"),
        ("train.optim.momentum", 0.8, "is not searched: no effect: train.optim.optimizer is AdamW"),
        ("train.optim.lrr", 1e-4, "is not searched"),
    ],
)
def test_what_the_space_does_not_hold_is_refused_with_the_bound(space, path, value, says) -> None:
    with pytest.raises(UsageError) as raised:
        points.encode(space, {path: value})
    assert path in raised.value.message
    assert says in raised.value.message
    assert raised.value.tip


def test_a_rule_bounds_a_point_too(detr) -> None:
    space = detr.space("model.num_select=100..900")
    assert points.encode(space, {"model.num_select": 500, "model.num_queries": 600})["model.num_select"] == 500
    with pytest.raises(UsageError, match=r"model.num_select=500, which lies outside its range 100..400"):
        points.encode(space, {"model.num_select": 500, "model.num_queries": 400})


def test_a_parameter_that_another_one_switches_off_cannot_be_named(build) -> None:
    leaves = {
        "train.ema.enable": {"type": "bool", "default": False, "automl_enabled": True},
        "train.ema.decay": {"type": "float", "default": 0.99, "automl_enabled": True},
    }
    space = build(leaves)
    assert points.encode(space, {"train.ema.enable": True, "train.ema.decay": 0.98})
    with pytest.raises(UsageError, match=r"no effect in it: it is searched only while train.ema.enable is true"):
        points.encode(space, {"train.ema.decay": 0.98})


def test_zero_is_a_value_where_it_switches_off(build) -> None:
    space = build({"train.optim.weight_decay": {"type": "float", "default": 0.0, "minimum": 0, "automl_enabled": True}})
    for value in (0, 1e-3):
        params = points.encode(space, {"train.optim.weight_decay": value})
        assert space.decode(params)["train.optim.weight_decay"] == pytest.approx(value)
    with pytest.raises(UsageError, match=r"0 or 1e-06..0.01"):
        points.encode(space, {"train.optim.weight_decay": 1.0})


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(SPACES), st.integers(0, 2**31))
def test_whatever_a_space_proposes_can_be_named_as_a_point(space: SearchSpace, seed: int) -> None:
    import optuna

    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()
    values = space.suggest(trial)
    searched = {parameter.path for parameter in space.parameters}
    params = points.encode(space, {path: value for path, value in values.items() if path in searched})
    again = space.decode(params)
    assert again.keys() == values.keys()
    for path, value in values.items():
        assert again[path] == (pytest.approx(value, rel=1e-6) if isinstance(value, float) else value)
