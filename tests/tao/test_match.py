from __future__ import annotations

from typing import Any

import pytest

from tao_automl.tao import match

SPEC = {"train.num_epochs": 10, "name": "vit_large", "steps": [3, 12], "flag": True, "none": None}


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (1, 1),
        ("SGD", "SGD"),
        (None, None),
        ("vit_large", "vit*"),
        ("model.pth", "*.pth"),
        ("tao:7.0.0-rc-226-pyt", "*7.0.0-rc-226*"),
        ([3, 12], 12),
        ([3, 12], "< train.num_epochs"),
        (3, "<= 3"),
        (9.5, "> 9"),
        ([1, 2], [1, 2]),
        (True, True),
    ],
)
def test_what_is_wanted_holds(value: Any, wanted: Any) -> None:
    assert match.holds(value, wanted, SPEC.get)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (2, 1),
        (None, "SGD"),
        (None, "vit*"),
        (7, "*7*"),
        ("model.onnx", "*.pth"),
        ([], 1),
        ([12, 11], "< train.num_epochs"),
        (3, "< missing"),
        ("3", "< 4"),
        (True, 1),
        (1, True),
        (True, "> 0"),
    ],
)
def test_what_is_not_wanted_does_not(value: Any, wanted: Any) -> None:
    assert not match.holds(value, wanted, SPEC.get)


def test_all_values_of_a_mapping_count() -> None:
    assert match.all_hold({"name": "vit*", "flag": True}, SPEC.get)
    assert not match.all_hold({"name": "vit*", "flag": False}, SPEC.get)
    assert match.all_hold({}, SPEC.get)
