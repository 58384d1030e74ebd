"""Failures on request."""

from __future__ import annotations

import json

import pytest


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
    ],
)
def test_faults_end_as_asked(trainer, fault: str, code: int, said: str) -> None:
    done = trainer("train", {"STANDIN_FAULT": fault}, train__num_epochs=2)
    assert done.returncode == code, done.stdout
    assert said in done.stdout
    text = (trainer.folder / "train" / "status.json").read_text()
    assert ("val_mAP50" in text.replace("Validation mAP50", "")) is (fault not in ("no_metric", "hf_offline"))


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
