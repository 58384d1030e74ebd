"""What an attempt of a trial was worth."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tao_automl import attempts
from tao_automl.attempts import Watched
from tao_automl.execution.job import JobStatus, Phase
from tao_automl.goals import Goals
from tao_automl.tao.metric import Direction, Metric
from tao_automl.tao.status import Progress
from tests.fakes import bank
from tests.fakes.tiny import plan


def test_an_epochs_value_is_that_of_its_validation_or_of_its_training(tmp_path: Path) -> None:
    made = plan(tmp_path)
    progress = Progress(
        points={1: {"val_mAP50": "0.5"}}, trained={0: {"train_loss": 2.0}, 1: {"train_loss": 1.5}}, last_epoch=1
    )
    assert attempts.points(made, progress) == {1: 0.5}
    other = dataclasses.replace(made, goals=Goals(Metric("train_loss", Direction.MINIMIZE)))
    assert attempts.points(other, progress) == {0: 2.0, 1: 1.5}


def test_a_trainer_without_a_status_file_is_judged_by_the_file_that_its_skill_names(tmp_path: Path) -> None:
    train = {
        "command": "net {config_path}",
        "metric": "val_mse",
        "metric_direction": "minimize",
        "metric_file": "m.json",
    }
    bank.write(tmp_path / "bank", "tao-train-net", actions={"train": train}, text=None)
    flags = {"train_data": None, "val_data": None, "set": f"dataset.root_dir={tmp_path}", "epochs": 3}
    made = plan(tmp_path, skill_dir=str(tmp_path / "bank"), **flags)
    assert made.metric == Metric("val_mse", Direction.MINIMIZE, ("mse",), "test_mse")
    paths, watched = made.paths.attempt(0, 1), Watched(0.0)
    watched.read(paths, 1.0)
    watched.close(made, paths, made.epochs)
    assert attempts.points(made, watched.progress) == {}
    paths.folder.mkdir(parents=True)
    (paths.folder / "m.json").write_text('{"val_mse": 0.5}')
    watched.close(made, paths, made.epochs)
    assert attempts.points(made, watched.progress) == {2: 0.5}
    assert attempts.is_done(made, JobStatus("s-0000-1", Phase.EXITED, exit_code=0), watched.progress)
