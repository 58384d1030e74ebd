"""The winner, its folder, and which checkpoints stay."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import FrozenTrial, TrialState, create_trial

from tao_automl import results
from tao_automl.layout import StudiesPaths, StudyPaths
from tao_automl.search import attributes
from tao_automl.tao.facts import CheckpointNames
from tao_automl.tao.metric import Direction, Metric

MAP = Metric("val_mAP50", Direction.MAXIMIZE)
LOSS = Metric("val_loss", Direction.MINIMIZE)
NAMES = CheckpointNames("train", "model_epoch_{epoch:03d}.pth", "latest.pth", None)
COMPLETE, PRUNED, FAIL, RUNNING = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    return StudiesPaths(tmp_path).study("s")


def trial(number: int, state: TrialState, value: float | None, **found: Any) -> FrozenTrial:
    attrs: dict[str, Any] = {attributes.ATTEMPT: 1, **found}
    if value is not None:
        attrs |= {attributes.BEST_VALUE: value, attributes.BEST_EPOCH: 1}
    made = create_trial(state=state, value=value if state == COMPLETE else None, user_attrs=attrs)
    made.number = number
    return made


def saved(paths: StudyPaths, number: int, epochs: range, attempt: int = 1) -> Path:
    """Checkpoints of an attempt, and the link to the latest."""
    folder = paths.attempt(number, attempt).checkpoints("train")
    folder.mkdir(parents=True)
    for epoch in epochs:
        (folder / f"model_epoch_{epoch:03d}.pth").write_bytes(b"w")
    (folder / "latest.pth").symlink_to(f"model_epoch_{epochs[-1]:03d}.pth")
    (folder.parent / "spec.yaml").write_text("a: 1\n")
    return folder


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def every_file(paths: StudyPaths) -> list[str]:
    return sorted(str(file.relative_to(paths.folder)) for file in paths.folder.rglob("*"))


def test_trials_with_a_value_are_ranked_the_best_first():
    trials = [trial(0, COMPLETE, 0.2), trial(1, PRUNED, 0.7), trial(2, COMPLETE, 0.5)]
    assert [found.number for found in results.ranking(trials, MAP)] == [1, 2, 0]
    assert [found.number for found in results.ranking(trials, LOSS)] == [0, 2, 1]


def test_of_equal_trials_the_earlier_is_the_better():
    trials = [trial(2, COMPLETE, 0.5), trial(1, COMPLETE, 0.5)]
    assert [found.number for found in results.ranking(trials, MAP)] == [1, 2]
    assert [found.number for found in results.ranking(trials, LOSS)] == [1, 2]


def test_failed_running_and_valueless_trials_are_not_ranked():
    trials = [trial(0, FAIL, 0.9), trial(1, RUNNING, 0.9), trial(2, PRUNED, None)]
    assert results.ranking(trials, MAP) == []


def test_a_winner_is_a_json_object_with_absolute_paths(paths):
    folder = saved(paths, 3, range(2))
    stored = {attributes.CHECKPOINT: "trials/0003/attempt-1/train/model_epoch_001.pth", attributes.VALUES: {"lr": 0.1}}
    won = results.winner(trial(3, COMPLETE, 0.5, **stored), "s", paths, MAP)
    assert won.as_dict() == {
        "schema": 1,
        "study": "s",
        "trial": 3,
        "epoch": 1,
        "metric": "val_mAP50",
        "value": 0.5,
        "checkpoint": str(folder / "model_epoch_001.pth"),
        "spec": str(folder.parent / "spec.yaml"),
        "params": {"lr": 0.1},
    }


@pytest.mark.parametrize("stored", [{}, {attributes.CHECKPOINT: "trials/0003/attempt-1/train/gone.pth"}])
def test_a_winner_whose_file_is_gone_has_no_checkpoint(paths, stored):
    won = results.winner(trial(3, COMPLETE, 0.5, **stored), "s", paths, MAP)
    assert won.checkpoint is None
    assert won.as_dict()["checkpoint"] is None


def publish(paths: StudyPaths, number: int, metrics: Mapping[str, Any]) -> None:
    stored = {attributes.CHECKPOINT: f"trials/{number:04d}/attempt-1/train/model_epoch_001.pth"}
    results.publish(results.winner(trial(number, COMPLETE, 0.5, **stored), "s", paths, MAP), paths, metrics)


def test_best_survives_moving_the_studies(paths, tmp_path):
    saved(paths, 3, range(2))
    publish(paths, 3, {"val_mAP50": "0.5", "val_loss": None})
    moved = StudyPaths((tmp_path / "elsewhere").absolute())
    paths.folder.rename(moved.folder)
    assert (moved.best / "model_epoch_001.pth").read_bytes() == b"w"
    assert moved.best_spec.read_text() == "a: 1\n"
    assert json.loads(moved.best_metrics.read_text())["metrics"] == {"val_mAP50": "0.5", "val_loss": None}


def test_a_new_best_replaces_the_old_one_whole(paths):
    for number in (3, 4):
        saved(paths, number, range(2))
        publish(paths, number, {})
    (paths.folder / "best.new").mkdir()  # what a driver left that died in the middle
    publish(paths, 4, {})
    assert files(paths.best) == ["metrics.json", "model_epoch_001.pth", "spec.yaml"]
    assert json.loads(paths.best_metrics.read_text())["trial"] == 4
    assert not (paths.folder / "best.new").exists()


def test_while_a_trial_runs_best_and_latest_stay(paths):
    folder = saved(paths, 0, range(5))
    results.trim(folder, NAMES, {0: 0.1, 1: 0.9, 2: 0.2, 3: 0.3}, MAP)
    assert files(folder) == ["latest.pth", "model_epoch_001.pth", "model_epoch_004.pth"]
    results.trim(folder, NAMES, {}, MAP)
    assert files(folder) == ["latest.pth", "model_epoch_001.pth", "model_epoch_004.pth"]


def test_of_a_folder_that_is_not_there_nothing_is_removed(paths):
    results.trim(paths.folder / "none", NAMES, {0: 1.0}, MAP)
    assert not paths.folder.exists()


def test_the_best_checkpoints_of_the_top_trials_stay(paths):
    folders = [saved(paths, number, range(3)) for number in range(4)]
    trials = [
        trial(
            number, state, value, **{attributes.CHECKPOINT: f"trials/{number:04d}/attempt-1/train/model_epoch_001.pth"}
        )
        for number, (state, value) in enumerate([(COMPLETE, 0.5), (FAIL, 0.9), (PRUNED, 0.6), (COMPLETE, 0.4)])
    ]
    results.retain(paths, trials, results.Criteria(MAP, NAMES, 2))
    assert [files(folder) for folder in folders] == [["model_epoch_001.pth"], [], ["model_epoch_001.pth"], []]


def test_a_running_trial_keeps_its_checkpoints_and_an_old_attempt_none(paths):
    running, old, new = saved(paths, 0, range(2)), saved(paths, 1, range(2)), saved(paths, 1, range(2), attempt=2)
    stored = {attributes.ATTEMPT: 2, attributes.CHECKPOINT: "trials/0001/attempt-2/train/model_epoch_001.pth"}
    results.retain(paths, [trial(0, RUNNING, None), trial(1, COMPLETE, 0.4, **stored)], results.Criteria(MAP, NAMES, 1))
    assert len(files(running)) == 3
    assert (files(old), files(new)) == ([], ["latest.pth", "model_epoch_001.pth"])


@settings(max_examples=40)
@given(
    ends=st.lists(
        st.tuples(st.sampled_from([PRUNED, FAIL]), st.sampled_from([None, 0.1, 0.2, 0.3]))
        | st.tuples(st.just(COMPLETE), st.sampled_from([0.1, 0.2, 0.3, 0.4])),
        max_size=7,
    ),
    top=st.integers(1, 3),
    order=st.randoms(use_true_random=False),
)
def test_to_look_at_the_told_trial_alone_keeps_what_a_look_at_all_keeps(tmp_path_factory, ends, top, order) -> None:
    one, other = (StudiesPaths(tmp_path_factory.mktemp("kept")).study("s") for _ in range(2))
    for paths in (one, other):
        for number in range(len(ends)):
            saved(paths, number, range(3))
    trials = [trial(number, RUNNING, None) for number in range(len(ends))]
    for told in order.sample(range(len(ends)), len(ends)):
        state, value = ends[told]
        stored = {attributes.CHECKPOINT: f"trials/{told:04d}/attempt-1/train/model_epoch_001.pth"}
        trials[told] = trial(told, state, value, **(stored if value is not None else {}))
        results.retain(one, trials, results.Criteria(MAP, NAMES, top), told)
        results.retain(other, trials, results.Criteria(MAP, NAMES, top))
        assert every_file(one) == every_file(other)
