from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tao_automl.standin.recipe import PATHS, Recipe

PARAMETERS = Path(__file__).parents[1] / "data" / "dino_params.csv"


def test_an_empty_spec_has_the_templates_defaults() -> None:
    with PARAMETERS.open(newline="") as file:
        defaults = {row["path"]: row["default"] for row in csv.DictReader(file)}
    recipe = Recipe.of({})
    for name, path in PATHS.items():
        value = getattr(recipe, name)
        assert (list(value) if isinstance(value, tuple) else value) == json.loads(defaults[path]), path


def test_values_are_read_by_their_key_paths() -> None:
    spec = {
        "train": {"clip_grad_norm": 1, "optim": {"lr": "3e-4", "lr_steps": [4, 8], "optimizer": "SGD"}},
        "dataset": {"batch_size": 8, "augmentation": {"horizontal_flip_prob": 0}},
        "model": {"backbone": "fan_tiny", "dropout_ratio": 0.2},
    }
    recipe = Recipe.of(spec)
    assert (recipe.lr, recipe.lr_steps, recipe.optimizer) == (3e-4, (4, 8), "SGD")
    assert (recipe.batch_size, recipe.flip_prob, recipe.clip_grad_norm) == (8, 0.0, 1.0)
    assert (recipe.backbone, recipe.dropout_ratio) == ("fan_tiny", 0.2)


def test_null_groups_and_values_are_as_if_absent() -> None:
    spec = {"train": None, "model": {"hidden_dim": None}, "dataset": {"augmentation": []}}
    assert Recipe.of(spec) == Recipe()


def test_an_unreadable_number_is_refused() -> None:
    with pytest.raises(ValueError):
        Recipe.of({"train": {"optim": {"lr": "fast"}}})


def test_multistep_drops_the_rate_from_each_named_epoch_on() -> None:
    recipe = Recipe(lr_steps=(2, 4), lr_decay=0.5)
    assert [recipe.decay(epoch) for epoch in range(6)] == [1, 1, 0.5, 0.5, 0.25, 0.25]


def test_steplr_drops_the_rate_every_so_many_epochs() -> None:
    recipe = Recipe(lr_scheduler="StepLR", lr_step_size=3, lr_decay=0.1, lr_steps=(1,))
    assert [recipe.decay(epoch) for epoch in range(7)] == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01])
