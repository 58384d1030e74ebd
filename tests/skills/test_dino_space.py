"""What of DINO is searched, for the template and for specs that switch other parameters on."""

from __future__ import annotations

import math
from typing import Any

import optuna
import pytest

from tao_automl.layout import skills_dir
from tao_automl.search.overrides import Overrides
from tao_automl.search.space import Limits, SearchSpace
from tao_automl.tao import skill, spec
from tao_automl.tao.skill import Skill
from tests.search.flags import parse_search

JITTER_OFF = {"dataset.augmentation.fixed_random_crop": None}
SGD = {"train.optim.optimizer": "SGD"}
STEPS = {"train.optim.lr_scheduler": "StepLR"}
VIT = {"model.backbone": "vit_large_dinov2"}


@pytest.fixture(scope="module")
def dino() -> Skill:
    return skill.load(skills_dir() / "tao-train-dino")


def space_of(
    model: Skill, changes: dict[str, Any] | None = None, epochs: int = 10, search: str | None = None
) -> SearchSpace:
    values = {item.path: item.value for item in model.facts.launch} | (changes or {})
    launched = spec.build(model.template("train"), {**values, "train.num_epochs": epochs}, {})
    overrides = Overrides(search=dict([parse_search(search)] if search else []), keep={})
    return SearchSpace.build(model.schema("train"), launched, model.facts.search, overrides, Limits(epochs=epochs))


def searched(space: SearchSpace) -> set[str]:
    return {parameter.path for parameter in space.parameters}


def samples(space: SearchSpace, count: int = 300) -> list[dict[str, Any]]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    return [space.suggest(study.ask()) for _ in range(count)]


def test_the_template_is_searched_in_eight_dimensions(dino: Skill) -> None:
    found = {item.path: item for item in space_of(dino).parameters}
    spans = {path: (item.low, item.high, item.step, item.log) for path, item in found.items()}
    batch = "dataset.batch_size"
    assert {path: span for path, span in spans.items() if path != batch} == {
        "train.optim.lr": (1e-5, 1e-3, None, True),
        "train.optim.lr_backbone": (1e-6, 1e-4, None, True),
        "train.optim.weight_decay": (1e-6, 1e-2, None, True),
        "model.enc_layers": (3, 9, None, False),
        "model.dec_layers": (3, 9, None, False),
        "model.num_queries": (100, 900, 50, False),
        "dataset.augmentation.horizontal_flip_prob": (0.0, 1.0, None, False),
    }
    assert found[batch].choices == (1, 2, 4, 8, 16)


@pytest.mark.parametrize("changes", [{}, JITTER_OFF, SGD, STEPS, VIT, JITTER_OFF | SGD | STEPS])
def test_each_default_parameter_has_a_finite_range_or_a_reason(changes: dict[str, Any], dino: Skill) -> None:
    space = space_of(dino, changes, epochs=30)
    for item in space.parameters:
        assert item.choices or (math.isfinite(item.low) and math.isfinite(item.high) and item.low < item.high)
    kept = {item.path: item.why for item in space.kept}
    assert searched(space) | set(kept) == set(dino.schema("train").default_set)
    assert not searched(space) & set(kept)
    assert all(kept.values())


def test_trial_zero_is_the_template(dino: Skill) -> None:
    for changes in ({}, JITTER_OFF | SGD | STEPS):
        space = space_of(dino, changes, epochs=30)
        launched = spec.build(dino.template("train"), changes, {})
        for path, value in space.decode(space.centre()).items():
            given = launched
            for part in path.split("."):
                given = given[part]
            assert value == pytest.approx(given)


@pytest.mark.parametrize(
    ("changes", "on", "off"),
    [
        (SGD, "train.optim.momentum", None),
        (STEPS, "train.optim.lr_step_size", None),
        (VIT, "train.optim.layer_decay_rate", "train.optim.lr_backbone"),
        (JITTER_OFF, "dataset.augmentation.train_random_crop_min", None),
        (JITTER_OFF, "dataset.augmentation.train_random_crop_max", None),
        ({"train.optim.lr_steps": [8]}, "train.optim.lr_decay", None),
    ],
)
def test_a_launched_value_switches_a_parameter_on_or_off(
    changes: dict[str, Any], on: str, off: str | None, dino: Skill
) -> None:
    before, after = searched(space_of(dino)), searched(space_of(dino, changes))
    assert on in after - before
    assert before - after == ({off} if off else set())


def test_proposed_crops_fit_the_resized_image(dino: Skill) -> None:
    for values in samples(space_of(dino, JITTER_OFF)):
        low = values["dataset.augmentation.train_random_crop_min"]
        high = values["dataset.augmentation.train_random_crop_max"]
        assert 32 <= low <= 400
        assert low < high <= 1333


def test_no_more_boxes_are_kept_than_there_are_queries(dino: Skill) -> None:
    for space in (space_of(dino), space_of(dino, search="model.num_select=100..900")):
        assert all(values.get("model.num_select", 300) <= values["model.num_queries"] for values in samples(space))


def test_what_the_trainer_never_reads_is_never_searched(dino: Skill) -> None:
    kept = {item.path: item.why for item in space_of(dino).kept}
    assert kept["train.optim.lr_linear_proj_mult"] == "the DINO trainer never reads it"
