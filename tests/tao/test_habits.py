"""Which parameters of TAO's models another value switches off, told from names and options."""

from __future__ import annotations

from typing import Any

import pytest

from tao_automl.tao import habits
from tao_automl.tao.schema import Schema
from tests.fakes.bank import document

EPOCHS = "train.num_epochs"


def rules(**leaves: Any) -> dict[str, Any]:
    """The search rules of a spec: names have two underscores for a dot, values are defaults or whole leaves."""
    made = {
        name.replace("__", "."): leaf if isinstance(leaf, dict) else {"type": "string", "default": leaf}
        for name, leaf in leaves.items()
    }
    made[EPOCHS] = {"type": "int", "default": 10}
    text = document(made)
    return habits.search(Schema.parse(text, "test"), text["default"], EPOCHS)


def one_of(default: str, *options: str) -> dict[str, Any]:
    return {"type": "categorical", "default": default, "enum": list(options)}


@pytest.mark.parametrize(
    ("options", "off"),
    [
        (("AdamW", "SGD"), ["AdamW"]),
        (("adamw", "adam", "sgd", "rmsprop", "lars"), ["adamw", "adam"]),
        (("SGD", "Lamb"), ["Lamb"]),
    ],
)
def test_momentum_belongs_to_optimizers_that_have_one(options: tuple[str, ...], off: list[str]) -> None:
    (active,) = rules(train__optim__momentum=0.9, train__optim__optimizer=one_of(options[0], *options))["active"]
    assert active["path"] == "train.optim.momentum"
    assert active["unless"] == [{"train.optim.optimizer": option} for option in off]


@pytest.mark.parametrize("key", ["train__optim__type", "train__optim_type", "train__optim__optim"])
def test_the_optimizer_is_found_by_what_it_is_called(key: str) -> None:
    (active,) = rules(train__optim__momentum=0.9, **{key: "adamw"})["active"]
    assert active["unless"] == [{key.replace("__", "."): "adamw"}]


@pytest.mark.parametrize("more", [{}, {"train__optim__optimizer": one_of("SGD", "SGD")}])
def test_momentum_that_nothing_switches_off_has_no_rule(more: dict[str, Any]) -> None:
    assert rules(train__optim__momentum=0.9, **more) == {}


def test_a_factor_acts_at_a_milestone_that_is_reached() -> None:
    found = rules(
        train__optim__lr_decay=0.1,
        train__optim__lr_steps={"type": "list", "default": [40]},
        train__optim__lr_step_size=11,
        train__optim__lr_scheduler=one_of("MultiStep", "MultiStep", "StepLR", "Cosine", "AutoReduce"),
    )["active"]
    step, decay = sorted(found, key=lambda entry: entry["path"] == "train.optim.lr_decay")
    scheduler = "train.optim.lr_scheduler"
    assert step == {
        "path": "train.optim.lr_step_size",
        "unless": [{scheduler: "MultiStep"}, {scheduler: "Cosine"}, {scheduler: "AutoReduce"}],
    }
    assert decay["when"] == [
        {scheduler: "MultiStep", "train.optim.lr_steps": f"< {EPOCHS}"},
        {scheduler: "StepLR", "train.optim.lr_step_size": f"< {EPOCHS}"},
        {scheduler: "AutoReduce"},
    ]


def test_an_option_of_the_template_counts_like_those_of_the_schema() -> None:
    found = rules(
        train__optim__lr_decay=0.1,
        train__optim__lr_steps={"type": "list", "default": [1000]},
        train__optim__lr_scheduler={**one_of("MultiStepLR", "MultiStep", "StepLR")},
    )["active"]
    assert {"train.optim.lr_scheduler": "MultiStepLR", "train.optim.lr_steps": f"< {EPOCHS}"} in found[0]["when"]


def test_without_a_scheduler_the_milestones_alone_decide() -> None:
    (active,) = rules(train__optim__gamma=0.1, train__optim__milestones={"type": "list", "default": [1]})["active"]
    assert active["when"] == [{"train.optim.milestones": f"< {EPOCHS}"}]
    assert rules(train__optim__gamma=0.1) == {}


def test_a_fixed_crop_switches_random_ones_off_and_crops_fit_the_image() -> None:
    found = rules(
        dataset__train_random_crop_min={"type": "int", "default": 384},
        dataset__fixed_random_crop={"type": "int", "default": 1024},
        dataset__train_random_resize={"type": "list", "default": [400, 500]},
    )
    assert found["active"] == [{"path": "dataset.train_random_crop_min", "when": {"dataset.fixed_random_crop": None}}]
    assert found["rules"] == ["dataset.train_random_crop_min <= dataset.train_random_resize"]


def test_no_more_boxes_are_kept_than_there_are_queries() -> None:
    select = {"type": "int", "default": 300, "depends_on": "model.num_queries"}
    assert rules(model__num_select=select, model__num_queries={"type": "int", "default": 300}) == {
        "rules": ["model.num_select <= model.num_queries"]
    }
