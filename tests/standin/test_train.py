"""The train action leaves what a TAO container leaves: the same lines, files and exit code, numbers aside."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.standin.lines import EXIT_CODES, SAMPLES, checkpoints, sample_tree, shapes, tree

RUNS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "success_3ep": ({}, {}),
    "val_every_2_ckpt_every_4_6ep": (
        {},
        {"train__num_epochs": 6, "train__validation_interval": 2, "train__checkpoint_interval": 4},
    ),
    "topk_val_mAP_max_6ep": (
        {},
        {
            "train__num_epochs": 6,
            "train__checkpoint_interval": 6,
            "train__checkpointer": {"enable_topk": True, "monitor": "val_mAP50", "mode": "max"},
        },
    ),
    "bad_interval": ({}, {"train__checkpoint_interval": 99}),
    "fail_oom": ({"STANDIN_FAULT": "oom@1"}, {}),
    "fail_oom_no_marshmallow": ({"STANDIN_FAULT": "oom_no_marshmallow@1"}, {}),
    "fail_value": ({"STANDIN_FAULT": "value@1"}, {}),
    "fail_fnf": ({"STANDIN_FAULT": "fnf"}, {}),
    "fail_oserror": ({"STANDIN_FAULT": "disk"}, {}),
    "fail_nan": ({"STANDIN_FAULT": "nan@0"}, {}),
    "fail_sigterm": ({"STANDIN_FAULT": "sigterm_child@1"}, {}),
    "fail_sigkill": ({"STANDIN_FAULT": "sigkill_child@1"}, {}),
    "fail_sigint": ({"STANDIN_FAULT": "sigint_child@1"}, {}),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_leaves_what_the_sample_shows(trainer, name: str) -> None:
    env, overrides = RUNS[name]
    done = trainer("train", env, **overrides)
    assert str(done.returncode) == EXIT_CODES[name], done.stdout
    assert shapes(trainer.folder / "train" / "status.json") == shapes(SAMPLES / f"{name}.status.json")
    assert tree(trainer.folder) == sample_tree(name)


def test_the_same_folder_goes_on_from_its_latest_checkpoint(trainer) -> None:
    assert trainer(train__num_epochs=2).returncode == 0
    assert trainer(train__num_epochs=4).returncode == 0
    name = "resume_same_dir"
    assert shapes(trainer.folder / "train" / "status.json") == shapes(SAMPLES / f"{name}.status.json")
    assert tree(trainer.folder) == sample_tree(name)


def test_a_resumed_training_equals_one_that_was_never_cut(trainer, tmp_path_factory) -> None:
    whole = type(trainer)(trainer.data, tmp_path_factory.mktemp("whole"))
    assert whole(train__num_epochs=4).returncode == 0
    assert trainer("train", {"STANDIN_FAULT": "sigterm_child@2"}, train__num_epochs=4).returncode == 0
    assert trainer(train__num_epochs=4).returncode == 0
    assert checkpoints(trainer.folder)[-1].read_bytes() == checkpoints(whole.folder)[-1].read_bytes()


def test_a_finished_training_has_nothing_left_to_do(trainer) -> None:
    assert trainer().returncode == 0
    before = checkpoints(trainer.folder)
    assert trainer().returncode == 0
    assert checkpoints(trainer.folder) == before
    assert "Train finished successfully." in (trainer.folder / "train" / "status.json").read_text().splitlines()[-1]


def test_too_little_data_for_a_batch_is_a_failure_line(trainer) -> None:
    assert trainer(dataset__batch_size=6).returncode == 1
    last = json.loads((trainer.folder / "train" / "status.json").read_text().splitlines()[-1])
    assert last["status"] == "FAILURE"
    assert "Dataset size (4) is smaller than the total batch size (6)" in last["message"]
    assert "validation" in last["message"]


def test_missing_data_is_a_failure_line(trainer) -> None:
    gone = {"image_dir": "/nowhere", "json_file": "/nowhere/annotations.json"}
    assert trainer(dataset__val_data_sources=[gone]).returncode == 1
    last = (trainer.folder / "train" / "status.json").read_text().splitlines()[-1]
    assert "File system error: [Errno 2] No such file or directory: '/nowhere'" in last


def test_no_validation_data_is_a_missing_file(trainer) -> None:
    assert trainer.inside(dataset__val_data_sources=[{"image_dir": "", "json_file": ""}]) == 1
    last = (trainer.folder / "train" / "status.json").read_text().splitlines()[-1]
    assert "File system error: [Errno 2] No such file or directory: ''" in last


def test_what_the_trainer_sees_is_written_down(trainer) -> None:
    trainer("train", {"NVIDIA_VISIBLE_DEVICES": "3", "MASTER_PORT": "1"}, train__num_epochs=1)
    seen = json.loads((trainer.folder / "train" / "standin_env.json").read_text())
    assert seen["NVIDIA_VISIBLE_DEVICES"] == "3"
    assert seen["leaked"] == ["MASTER_PORT"]
