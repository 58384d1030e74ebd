"""What holds of every space: those of the shipped skills, with other parameters switched on, and those of the bank."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tao_automl.layout import skills_dir
from tao_automl.search.overrides import Overrides
from tao_automl.search.parameter import Encoding, Parameter
from tao_automl.search.space import Limits, SearchSpace
from tao_automl.tao import keypath, spec
from tao_automl.tao.bank import Bank
from tests.search.bank_rows import models
from tests.search.flags import parse_search

LR, BACKBONE = "train.optim.lr", "train.optim.lr_backbone"
CHANGES: list[dict[str, Any]] = [
    {},
    {"dataset.augmentation.fixed_random_crop": None},
    {"train.optim.optimizer": "SGD", "train.optim.lr_scheduler": "StepLR", "train.optim.lr_steps": [8]},
    {"train.optim.weight_decay": 0.0, "model.backbone": "vit_large_dinov2"},
    {LR: 3.3e-4, BACKBONE: 7.7e-5, "model.num_queries": 230},
]
ASKED = ([], [f"{BACKBONE}=0.01..1:ratio"], ["model.num_select=150..400"], [f"{LR}=1e-4..1e-3:log"])
BANK = [model.space() for model in models()]
SKILLS = ("dino", "deformable_detr", "grounding_dino", "mask_grounding_dino")


@cache
def shipped(name: str, change: int, asked: int, epochs: int) -> SearchSpace | None:
    """None for a wish that this model cannot meet."""
    skill = Bank.of(skills_dir()).find(name)
    schema = skill.schema("train")
    known = {path: value for path, value in CHANGES[change].items() if path in schema.fields}
    launched = spec.build(skill.template("train"), known, {})
    wanted = dict(parse_search(text) for text in ASKED[asked])
    if any(path == BACKBONE and str(keypath.get(launched, "model.backbone", "")).startswith("vit") for path in wanted):
        return None
    if not wanted.keys() <= {path for path, field in schema.fields.items() if field.automl_enabled is not False}:
        return None
    return SearchSpace.build(schema, launched, skill.facts.search, Overrides(wanted), Limits(epochs))


spaces = st.one_of(
    st.sampled_from(BANK),
    st.builds(
        shipped, st.sampled_from(SKILLS), st.integers(0, len(CHANGES) - 1), st.integers(0, len(ASKED) - 1), st.just(10)
    ).filter(lambda space: space is not None),
)


@settings(deadline=None, max_examples=50)
@given(spaces)
def test_the_centre_is_the_default_of_every_parameter_as_far_as_the_rules_allow(space: SearchSpace) -> None:
    values = space.decode(space.centre())

    def get(path: str) -> Any:
        return values.get(path, space.given.get(path))

    for item in space.parameters:
        allowed = all(rule.holds(item.default, get) for rule in space.rules if rule.left == item.path)
        if item.path in values and allowed:
            assert values[item.path] == item.default


@settings(deadline=None, max_examples=50)
@given(spaces, st.integers(0, 2**31))
def test_every_proposal_lies_in_its_ranges_and_keeps_the_rules(space: SearchSpace, seed: int) -> None:
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()
    values = space.suggest(trial)
    assert space.decode(trial.params) == values
    for item in space.parameters:
        if item.path in values:
            assert _is_inside(item, values[item.path]), (item, values[item.path])
    for rule in space.rules:
        if rule.left in values:
            assert rule.holds(values[rule.left], lambda path: values.get(path, space.given.get(path))), rule


def _is_inside(item: Parameter, value: Any) -> bool:
    if item.choices is not None:
        return value in item.choices
    assert item.low is not None
    assert item.high is not None
    if item.encoding is Encoding.SWITCH and value == 0:
        return True
    ends = item.low * (1 - 1e-9), item.high * (1 + 1e-9)
    on_grid = item.encoding is not Encoding.PLAIN or not item.step or (value - item.low) % item.step == 0
    return math.isfinite(value) and ends[0] <= value <= ends[1] and on_grid


@pytest.mark.parametrize("name", SKILLS)
def test_every_number_says_where_its_range_is_from(name: str) -> None:
    space = shipped(name, 0, 0, 10)
    assert space is not None
    assert all(item.window for item in space.parameters if item.origin.startswith("role: "))
