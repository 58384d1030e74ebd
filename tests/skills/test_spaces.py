"""What of each model is searched: with the template, and with specs that switch other parameters on."""

from __future__ import annotations

import math
from typing import Any

import optuna
import pytest

from tao_automl.layout import skills_dir
from tao_automl.search.overrides import Overrides
from tao_automl.search.space import Limits, SearchSpace
from tao_automl.tao import keypath, skill, spec
from tao_automl.tao.skill import Skill
from tests.search.flags import parse_search

JITTER_OFF = {"dataset.augmentation.fixed_random_crop": None}
SGD = {"train.optim.optimizer": "SGD"}
STEPS = {"train.optim.lr_scheduler": "StepLR"}
EARLY = {"train.optim.lr_steps": [8]}
CHANGES: list[dict[str, Any]] = [{}, JITTER_OFF, SGD, STEPS, EARLY, JITTER_OFF | SGD | STEPS]
FOLDERS = {
    "deformable_detr": "tao-train-deformable-detr",
    "grounding_dino": "tao-train-grounding-dino",
    "mask_grounding_dino": "tao-train-mask-grounding-dino",
}
SEVEN = {  # low, high, step, log
    "train.optim.lr": (1e-5, 1e-3, None, True),
    "train.optim.lr_backbone": (1e-6, 1e-4, None, True),
    "train.optim.lr_linear_proj_mult": (0.01, 1.0, None, True),
    "train.optim.weight_decay": (1e-6, 1e-2, None, True),
    "model.enc_layers": (3, 9, None, False),
    "model.dec_layers": (3, 9, None, False),
    "dataset.augmentation.horizontal_flip_prob": (0.0, 1.0, None, False),
}
LAYERS = {"model.enc_layers", "model.dec_layers"}
SEARCHED = {
    "deformable_detr": SEVEN | {"model.num_queries": (100, 900, 50, False)},
    "grounding_dino": SEVEN,
    "mask_grounding_dino": {path: span for path, span in SEVEN.items() if path not in LAYERS},
}
each_model = pytest.mark.parametrize("name", FOLDERS)


@pytest.fixture
def model(name: str) -> Skill:
    return skill.load(skills_dir() / FOLDERS[name])


def space_of(model: Skill, changes: dict[str, Any] | None = None, search: str | None = None) -> SearchSpace:
    values = {item.path: item.value for item in model.facts.launch} | (changes or {})
    launched = spec.build(model.template("train"), values, {})
    overrides = Overrides(search=dict([parse_search(search)] if search else []), keep={})
    return SearchSpace.build(model.schema("train"), launched, model.facts.search, overrides, Limits(epochs=10))


def searched(space: SearchSpace) -> set[str]:
    return {parameter.path for parameter in space.parameters}


@each_model
def test_with_the_template_these_are_searched(name: str, model: Skill) -> None:
    spans = {item.path: (item.low, item.high, item.step, item.log) for item in space_of(model).parameters}
    batch = spans.pop("dataset.batch_size", None)
    assert spans == SEARCHED[name]
    assert (batch is not None) is (name == "deformable_detr")


@each_model
def test_each_default_parameter_has_a_finite_range_or_a_reason(name: str, model: Skill) -> None:
    for changes in CHANGES:
        space = space_of(model, changes)
        for item in space.parameters:
            assert item.choices or (math.isfinite(item.low) and math.isfinite(item.high) and item.low < item.high)
        kept = {item.path: item.why for item in space.kept}
        assert searched(space) | set(kept) == set(model.schema("train").default_set)
        assert not searched(space) & set(kept)
        assert all(kept.values())


@each_model
def test_trial_zero_is_the_template(name: str, model: Skill) -> None:
    space = space_of(model, JITTER_OFF)
    launched = spec.build(model.template("train"), JITTER_OFF, {})
    for path, value in space.decode(space.centre()).items():
        assert value == pytest.approx(keypath.get(launched, path))


@each_model
def test_a_launched_value_switches_a_parameter_on(name: str, model: Skill) -> None:
    before = searched(space_of(model))
    on = {
        "train.optim.lr_step_size": STEPS,
        "train.optim.lr_decay": EARLY,
        "dataset.augmentation.train_random_crop_min": JITTER_OFF,
        "dataset.augmentation.train_random_crop_max": JITTER_OFF,
    }
    for path, changes in on.items():
        after = searched(space_of(model, changes))
        assert path in after - before
        assert before <= after


@each_model
def test_momentum_is_searched_where_there_is_an_optimizer_that_has_it(name: str, model: Skill) -> None:
    space = space_of(model, SGD)
    assert ("train.optim.momentum" in searched(space)) is (name == "deformable_detr")
    if name != "deformable_detr":
        kept = {item.path: item.why for item in space.kept}
        assert kept["train.optim.momentum"] == "the trainer has no optimizer but AdamW"


@each_model
def test_proposals_keep_the_rules(name: str, model: Skill) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    queries = keypath.get(model.template("train"), "model.num_queries")
    for search in (None, "model.num_select=100..900"):
        space = space_of(model, JITTER_OFF, search)
        for _ in range(100):
            values = space.suggest(study.ask())
            assert values.get("model.num_select", 300) <= values.get("model.num_queries", queries)
            low = values["dataset.augmentation.train_random_crop_min"]
            assert 32 <= low <= 400
            assert low < values["dataset.augmentation.train_random_crop_max"] <= 1333


def test_what_tao_pins_cannot_be_searched() -> None:
    masks = skill.load(skills_dir() / FOLDERS["mask_grounding_dino"])
    fields = masks.schema("train").fields
    assert all((fields[path].minimum, fields[path].maximum) == (6, 6) for path in LAYERS)
    with pytest.raises(Exception, match=r"model\.enc_layers cannot be searched"):
        space_of(masks, search="model.enc_layers=3..9")
