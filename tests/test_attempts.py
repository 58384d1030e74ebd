"""What an attempt of a trial was worth."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tao_automl import attempts
from tao_automl.tao.metric import Direction, Metric
from tao_automl.tao.status import Progress
from tests.fakes.tiny import plan


def test_an_epochs_value_is_that_of_its_validation_or_of_its_training(tmp_path: Path) -> None:
    made = plan(tmp_path)
    progress = Progress(
        points={1: {"val_mAP50": "0.5"}}, trained={0: {"train_loss": 2.0}, 1: {"train_loss": 1.5}}, last_epoch=1
    )
    assert attempts.points(made, progress) == {1: 0.5}
    other = dataclasses.replace(made, metric=Metric("train_loss", Direction.MINIMIZE))
    assert attempts.points(other, progress) == {0: 2.0, 1: 1.5}
