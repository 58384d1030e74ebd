"""Failures on request."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tao_automl.standin.faults import Faults


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        ("device_assert", 1, "device-side assert"),
        ("nan_assert", 1, "boxes1"),
        ("shm_bus", 1, "shared memory"),
        ("keyerror", 1, "KeyError"),
        ("hf_offline", 1, "huggingface.co"),
        ("spurious_failure_line", 0, "output layer_id 3 is nan"),
        ("half_line", 0, "PASS"),
        ("huge_line", 0, "skip layer: "),
        ("no_metric", 0, "PASS"),
        ("xid", 1, "NVRM: Xid"),
        ("exit0", 0, "return code 0"),
        ("oom_silent", 1, "return code -9"),
    ],
)
def test_faults_end_as_asked(trainer, fault: str, code: int, said: str) -> None:
    done = trainer("train", {"STANDIN_FAULT": fault}, train__num_epochs=2)
    assert done.returncode == code, done.stdout
    assert said in done.stdout
    text = (trainer.folder / "train" / "status.json").read_text()
    assert ("finished successfully" in text) is (code == 0 and fault != "exit0")
    assert ("val_mAP50" in text.replace("Validation mAP50", "")) is (fault not in ("no_metric", "hf_offline"))


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ("oom", {"oom": 1}),
        ("3:oom@2,nan@0", {"oom": 2, "nan": 0}),
        ("3.2:oom@2", {"oom": 2}),
        ("4:oom,33:oom,3.1:xid,3.22:nan", {}),
        ("3.1:oom@0,3.2:oom@5", {"oom": 5}),
    ],
)
def test_a_fault_may_be_for_one_trial_or_attempt(monkeypatch, entries: str, found: dict[str, int]) -> None:
    monkeypatch.setenv("STANDIN_FAULT", entries)
    assert Faults.wanted(Path("/studies/s/trials/0003/attempt-2/train")).epoch_of == found


def test_a_fault_for_a_trial_is_not_for_a_training_without_one(monkeypatch) -> None:
    monkeypatch.setenv("STANDIN_FAULT", "0:oom,0.1:nan")
    assert Faults.wanted(Path("/results/train")).epoch_of == {}
    monkeypatch.setenv("STANDIN_FAULT", "9:dance")
    with pytest.raises(SystemExit, match="no fault 'dance'"):
        Faults.wanted(Path("/results/train"))


def test_out_of_memory_above_a_batch_size_with_the_line_of_images_without_marshmallow(trainer) -> None:
    limit = {"STANDIN_OOM_ABOVE": "2", "STANDIN_FAULT": "oom_no_marshmallow@99"}
    assert trainer("train", limit, train__num_epochs=1).returncode == 0
    assert trainer("train", limit, train__num_epochs=2, dataset__batch_size=3).returncode == 1
    last = json.loads((trainer.folder / "train" / "status.json").read_text().splitlines()[-1])
    assert (last["status"], last["message"][:42]) == ("FAILURE", "Schema validation error: CUDA out of memor")


def test_out_of_memory_follows_batch_size_and_queries(trainer) -> None:
    limit = {"STANDIN_OOM_LIMIT": "600"}
    assert trainer("train", limit, train__num_epochs=1).returncode == 0
    done = trainer("train", limit, train__num_epochs=2, model__num_queries=301)
    assert done.returncode == 1
    assert "CUDA out of memory" in done.stdout


def test_a_half_line_can_be_seen_and_is_completed(trainer) -> None:
    trainer("train", {"STANDIN_FAULT": "half_line@0"}, train__num_epochs=1)
    lines = (trainer.folder / "train" / "status.json").read_text().splitlines()
    assert all(json.loads(line)["status"] for line in lines)
