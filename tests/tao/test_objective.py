"""The metric of a study, and targets of it."""

from __future__ import annotations

import pytest

from tao_automl.errors import UsageError
from tao_automl.tao import objective
from tao_automl.tao.metric import Direction, Metric

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
