from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl.tao.metric import Direction, Metric

MAP50 = Metric("val_mAP50", Direction.MAXIMIZE, ("mAP50",), "test_mAP50")
LOSS = Metric("val_loss", Direction.MINIMIZE)
values = st.none() | st.floats(-10, 10) | st.sampled_from([math.nan, math.inf, 0.5])


@pytest.mark.parametrize(
    ("kpi", "value"),
    [
        ({"val_mAP50": "0.16000000000000003"}, 0.16000000000000003),
        ({"val_mAP50": 0.5, "mAP50": 0.7}, 0.5),
        ({"mAP50": "0.7"}, 0.7),
        ({"val_mAP50": "nan", "mAP50": "0.7"}, 0.7),
        ({"val_mAP50": math.nan}, None),
        ({"val_mAP50": math.inf}, None),
        ({"val_mAP50": "inf"}, None),
        ({"val_mAP50": "coco_variant"}, None),
        ({"val_mAP50": None}, None),
        ({"val_mAP50": True}, None),
        ({"val_mAP50": 10**400}, None),
        ({"test_mAP50": 0.4}, None),
        ({}, None),
        (None, None),
    ],
)
def test_a_value_is_a_finite_number_or_none(kpi: dict[str, object] | None, value: float | None) -> None:
    assert MAP50.value(kpi) == value


def test_an_evaluate_action_reports_the_metric_under_another_name() -> None:
    assert MAP50.evaluated({"test_mAP50": "0.65", "test_mAP": "0.41"}) == 0.65
    assert LOSS.evaluated({"val_loss": 1.5}) == 1.5


def test_any_value_is_better_than_none() -> None:
    assert MAP50.better(-1.0, None)
    assert not MAP50.better(None, -1.0)
    assert not MAP50.better(None, None)


def test_of_equal_values_the_earliest_epoch_is_the_best() -> None:
    assert MAP50.best({3: 0.5, 1: 0.5, 2: 0.4}) == (1, 0.5)
    assert LOSS.best({3: 0.5, 1: 0.5, 2: 0.4}) == (2, 0.4)
    assert MAP50.best({1: None}) is None


@given(st.dictionaries(st.integers(0, 20), values))
def test_nothing_is_better_than_the_best(points: dict[int, float | None]) -> None:
    best = MAP50.best(points)
    usable = [value for value in points.values() if value is not None and math.isfinite(value)]
    if best is None:
        assert not usable
    else:
        assert best[1] == max(usable)
        assert points[best[0]] == best[1]
        assert not any(MAP50.better(value, best[1]) for value in usable)
