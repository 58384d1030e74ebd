"""The metric of a study, and targets of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl.errors import UsageError
from tao_automl.tao import objective, skill
from tao_automl.tao.metric import Direction, Metric
from tests.fakes.tiny import SKILL

SHARE = Metric("val_mAP50", Direction.MAXIMIZE, low=0, high=1)
ERROR = Metric("val_error", Direction.MINIMIZE, low=0, high=1)
FREE = Metric("score", Direction.MAXIMIZE)


@pytest.mark.parametrize(
    ("metric", "target"), [(SHARE, 0.5), (SHARE, 1), (SHARE, None), (ERROR, 0), (ERROR, 0.2), (FREE, -50), (FREE, 1e9)]
)
def test_a_target_that_some_trials_may_reach_is_taken(metric, target):
    objective.check_target(metric, target)


@pytest.mark.parametrize(
    ("metric", "target", "said"),
    [
        (SHARE, 50, "--target 50 is out of reach: val_mAP50 is never above 1"),
        (ERROR, -0.1, "--target -0.1 is out of reach: val_error is never below 0"),
        (SHARE, 0, "--target 0 is in the wrong direction: val_mAP50 is maximized, so every trial would reach it"),
        (SHARE, -1, "--target -1 is in the wrong direction: val_mAP50 is maximized, so every trial would reach it"),
        (ERROR, 1.5, "--target 1.5 is in the wrong direction: val_error is minimized, so every trial would reach it"),
    ],
)
def test_a_target_that_all_or_none_reach_is_refused(metric, target, said):
    with pytest.raises(UsageError) as raised:
        objective.check_target(metric, target)
    assert raised.value.message == said
    assert raised.value.tip


FACTS = skill.load(SKILL).facts


def chosen(*names: str, direction: str | None = None, scored: bool = False) -> list[tuple[str, str]]:
    asked = objective.Words(names, direction, scored)
    return [(item.name, item.direction.value) for item in objective.choose_all(FACTS, asked, Path("automl.yaml"))]


def test_several_metrics_each_have_their_direction():
    assert chosen() == [("val_mAP50", "maximize")]
    assert chosen("mAP50", "train_time_s") == [("val_mAP50", "maximize"), ("train_time_s", "minimize")]
    assert chosen("val_loss:minimize", "train_time_s:maximize") == [
        ("val_loss", "minimize"),
        ("train_time_s", "maximize"),
    ]
    assert chosen("val_mAP50", "latency_ms:minimize", scored=True)[1] == ("latency_ms", "minimize")


@pytest.mark.parametrize(
    ("names", "direction", "said"),
    [
        (["val_mAP50", "val_los"], None, "model 'tiny' reports no metric 'val_los'"),
        (["val_mAP50", "latency_ms:minimize"], None, "model 'tiny' reports no metric 'latency_ms'"),
        (["train_time_s"], None, "model 'tiny' reports no metric 'train_time_s'"),
        (["val_mAP50", "mAP50:minimize"], None, "--metric val_mAP50 is named twice"),
        (["val_mAP50", "val_loss"], "minimize", "--direction is of one metric, and several are named"),
    ],
)
def test_objectives_that_nobody_measures_are_refused(names, direction, said):
    with pytest.raises(UsageError) as raised:
        chosen(*names, direction=direction)
    assert raised.value.message == said


@given(st.floats(-1e6, 1e6), st.sampled_from(["<=", ">="]), st.sampled_from(["", " "]), st.floats(-1e6, 1e6))
def test_a_constraint_is_broken_on_one_side(bound, op, gap, value):
    read = objective.constraint(f"latency_ms{gap}{op}{gap}{bound!r}")
    assert (read.name, read.bound) == ("latency_ms", bound)
    assert (read.violation(value) > 0) == (value > bound if op == "<=" else value < bound)


@pytest.mark.parametrize("text", ["latency_ms", "latency_ms<30", "<=3", "latency_ms<=fast", "latency_ms<=nan", ""])
def test_what_is_no_constraint_is_said(text):
    with pytest.raises(UsageError, match="is no constraint"):
        objective.constraint(text)


def test_a_constraint_is_of_something_that_is_measured():
    (kept, metric), *_ = objective.limits(FACTS, ["mAP50>=0.3"], scored=False)
    assert (kept.text, metric.name) == ("val_mAP50>=0.3", "val_mAP50")
    with pytest.raises(UsageError, match="nothing measures 'latency_ms'"):
        objective.limits(FACTS, ["latency_ms<=30"], scored=False)
    assert objective.limits(FACTS, ["latency_ms<=30"], scored=True)[0][1].name == "latency_ms"
