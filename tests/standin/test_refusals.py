"""What TAO refuses of a spec once it runs."""

from __future__ import annotations

from typing import Any

import pytest

from tao_automl.standin import refusals
from tao_automl.standin.networks import NETWORKS


def spec(path: str, value: Any) -> dict[str, Any]:
    """A spec with one value, or one group of values."""
    made: dict[str, Any] = {}
    group = made
    *parents, last = path.split(".")
    for parent in parents:
        group = group.setdefault(parent, {})
    group[last] = value
    return made


@pytest.mark.parametrize(
    ("network", "path", "value", "error"),
    [
        ("dino", "model", {"num_feature_levels": 4, "return_interm_indices": [1, 2]}, ValueError),
        ("deformable_detr", "model", {"hidden_dim": 100, "nheads": 8}, ValueError),
        ("dino", "train.optim.lr_scheduler", "Cosine", NotImplementedError),
        ("dino", "train.precision", "bf16", NotImplementedError),
        ("grounding_dino", "train.precision", "int8", NotImplementedError),
        ("grounding_dino", "train.optim.optimizer", "SGD", NotImplementedError),
        ("grounding_dino", "model.text_encoder_type", "/nowhere/bert", OSError),
        ("mask_grounding_dino", "model.enc_layers", 3, AssertionError),
        ("mask_grounding_dino", "model.loss_types", ["labels", "boxes"], AssertionError),
    ],
)
def test_a_bad_combination_is_refused_at_the_start(network: str, path: str, value: Any, error: type) -> None:
    with pytest.raises(error):
        refusals.at_start(spec(path, value), NETWORKS[network])


@pytest.mark.parametrize(
    ("network", "path", "value"),
    [
        ("grounding_dino", "train.precision", "bf16"),
        ("grounding_dino", "model.text_encoder_type", "google-bert/bert-base-uncased"),
        ("grounding_dino", "model.enc_layers", 3),
        ("dino", "train.optim.optimizer", "SGD"),
        ("mask_grounding_dino", "model.loss_types", ["labels", "boxes", "masks"]),
    ],
)
def test_what_another_network_does_not_take_may_be_right_for_this_one(network: str, path: str, value: Any) -> None:
    refusals.at_start(spec(path, value), NETWORKS[network])


def test_more_selected_boxes_than_there_are_break_the_validation() -> None:
    few = spec("model", {"num_queries": 50, "num_select": 300})
    refusals.at_validation(few, NETWORKS["dino"], 6)
    with pytest.raises(RuntimeError, match="selected index k out of range"):
        refusals.at_validation(few, NETWORKS["dino"], 5)


def test_a_text_cut_short_breaks_the_validation_of_networks_that_read() -> None:
    short = spec("model.max_text_len", 128)
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        refusals.at_validation(short, NETWORKS["grounding_dino"], 4)
