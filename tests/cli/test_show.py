"""`tao-automl show`: one study, or one trial with everything that tells what happened."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tao_automl.layout import StudiesPaths
from tao_automl.search import attributes
from tao_automl.search import study as studies
from tests.cli import study_on_disk


@pytest.fixture(autouse=True)
def study(tmp_path: Path) -> None:
    study_on_disk.make(tmp_path / "studies")


def test_a_failed_trial_names_its_class_the_telling_line_and_the_fix(call) -> None:
    said = call("show", "coco/3")
    assert said.code == 0
    assert "gpu_oom" in said.out
    assert "torch.OutOfMemoryError: CUDA out of memory." in said.out
    assert "Lower the batch size." in said.out


def test_a_trial_names_its_log_and_how_to_run_it_by_hand(call) -> None:
    said = call("show", "coco/1")
    assert "studies/coco/trials/0001/attempt-1/log.txt" in said.out
    assert "studies/coco/trials/0001/attempt-1/run.sh" in said.out


def test_parameters_stand_beside_the_defaults_they_differ_from(call) -> None:
    assert "train.optim.lr" in call("show", "coco/1").out
    assert "train.optim.lr" not in call("show", "coco/0").out


def test_as_json_it_has_points_by_epoch(call) -> None:
    document = call("show", "coco/1", "--json").document
    assert document["points"] == {"0": 0.21, "8": 0.5127, "9": 0.51}


@pytest.fixture
def infeasible(tmp_path: Path) -> Path:
    """Trial 5: out of memory, halved, out of memory again. Returns the events of its study."""
    paths = StudiesPaths(tmp_path / "studies")
    opened = studies.load(studies.open_storage(paths.storage_url, create=False), "coco")
    number, values = studies.ask(opened, study_on_disk.space())
    files = paths.study("coco").attempt(number, 2)
    files.folder.mkdir(parents=True)
    files.log.write_text(study_on_disk.LOG, encoding="utf-8")
    found = {
        attributes.ATTEMPT: 2,
        attributes.VALUES: {**values, "dataset.batch_size": 8},
        attributes.CHANGED: {"dataset.batch_size": 4},
        attributes.RETRIES: {"gpu_oom": 1},
        attributes.NODE: "gpu-1",
        attributes.GPUS: ["0", "3"],
        attributes.REASON: "gpu_oom",
        attributes.DETAIL: "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB.",
        attributes.FIX: "Lower the batch size.",
    }
    studies.set_trial_attributes(opened, number, found)
    studies.tell_infeasible(opened, number)
    studies.set_study_attributes(opened, {attributes.ABORTED: "no more", attributes.QUARANTINE: ["gpu-1/2"]})
    return paths.study("coco").events


def test_an_infeasible_trial_tells_what_was_tried_and_what_really_ran(call, infeasible: Path) -> None:
    said = call("show", "coco/5")
    assert "infeasible: gpu_oom" in said.out
    assert "torch.OutOfMemoryError: CUDA out of memory." in said.out
    assert "Lower the batch size." in said.out
    assert "dataset.batch_size 4, not 8 as proposed" in said.out
    assert "gpu-1, GPU 0, 3" in said.out
    assert "2, after 1 gpu_oom" in said.out
    retried = {"trial": 5, "attempt": 1, "reason": "gpu_oom", "detail": "gpu_oom: tried again with batch size 4"}
    lines = [{"event": "trial_retried", **retried}, {"event": "trial_retried", **retried, "trial": 4}]
    infeasible.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert "1 ended: gpu_oom: tried again with batch size 4" in call("show", "coco/5").out
    document = call("show", "coco/5", "--json").document
    assert (document["state"], document["value"], document["infeasible"]) == ("PRUNED", None, True)
    assert (document["ran"], document["gpus"]) == ({"dataset.batch_size": 4}, ["0", "3"])
    assert document["attempts"] == [{key: retried[key] for key in ("attempt", "reason", "detail")}]
    assert "infeasible:" in call("status", "coco").out
    best = call("best", "coco", "--json").document
    assert best["trial"] == 1


def test_a_study_tells_why_it_was_aborted_and_which_gpus_are_left_out(call, infeasible: Path) -> None:
    assert "no more" in call("show", "coco").out
    document = call("show", "coco", "--json").document
    assert (document["aborted"], document["quarantine"]) == ("no more", ["gpu-1/2"])


@pytest.mark.parametrize(("target", "named"), [("coco/99", "99"), ("coco/x", "x"), ("none/1", "none")])
def test_what_is_not_there_is_said(call, target: str, named: str) -> None:
    said = call("show", target)
    assert said.code == 2
    assert said.err.startswith("error: ")
    assert named in said.err


def test_a_study_shows_its_goal_and_folder(call) -> None:
    said = call("show", "coco")
    assert "maximize val_mAP50" in said.out
    assert "studies/coco" in said.out
