"""A study as a driver leaves it: real storage, real files, no training. For what only reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tao_automl.layout import StudiesPaths, StudyPaths
from tao_automl.search import attributes, study
from tao_automl.search.overrides import Overrides
from tao_automl.search.space import Limits, SearchSpace
from tao_automl.search.study import TrialState
from tao_automl.tao.facts import SearchFacts
from tao_automl.tao.metric import Direction, Metric
from tao_automl.tao.schema import Schema

METRIC = Metric("val_mAP50", Direction.MAXIMIZE)
EPOCHS = 10
LOG = "epoch 0: 100%|####|\ntorch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB.\nbye\n"
LEAVES = {
    "lr": {"type": "float", "default": 2e-4, "minimum": 1e-5, "maximum": 1e-2, "automl_enabled": "TRUE"},
    "weight_decay": {"type": "float", "default": 1e-4, "minimum": 1e-6, "maximum": 1e-2, "automl_enabled": "TRUE"},
}


def space() -> SearchSpace:
    """Two parameters below `train.optim`."""
    optim = {"type": "collection", "properties": LEAVES}
    document = {
        "properties": {"train": {"type": "collection", "properties": {"optim": optim}}},
        "automl_default_parameters": ["train.optim.lr", "train.optim.weight_decay"],
    }
    launched = {"train": {"optim": {name: leaf["default"] for name, leaf in LEAVES.items()}}}
    return SearchSpace.build(Schema.parse(document, "test"), launched, SearchFacts(), Overrides(), Limits(EPOCHS))


def create(studies_dir: Path, name: str = "coco", trials: int = 4) -> study.Study:
    """A study without trials."""
    storage = study.open_storage(StudiesPaths(studies_dir).storage_url)
    known = {
        attributes.MODEL: "detector",
        attributes.RUNTIME: "process",
        attributes.TRIALS: trials,
        attributes.EPOCHS: EPOCHS,
        attributes.SEED: 1,
    }
    return study.create(storage, name, METRIC, space(), attributes=known)


def make(studies_dir: Path) -> StudyPaths:
    """Study `coco`: complete (defaults), complete (best), pruned, failed, running, and nobody who drives it."""
    made = create(studies_dir, trials=6)
    paths = StudiesPaths(studies_dir).study("coco")
    for number, points, seconds in (
        (0, {0: 0.19, 8: 0.4688, 9: 0.46}, 1741.0),
        (1, {0: 0.21, 8: 0.5127, 9: 0.51}, 1745.5),
        (2, {0: 0.01, 2: 0.02}, 480.0),
        (3, {0: 0.05, 1: 0.0912}, 361.0),
        (4, {0: 0.2}, None),
    ):
        _, values = study.ask(made, space())
        attempt = 2 if number == 4 else 1
        _files(paths, number, attempt)
        study.report(made, number, points)
        epoch, value = max(points.items(), key=lambda item: item[1])
        found: dict[str, Any] = {attributes.ATTEMPT: attempt, attributes.VALUES: values}
        if seconds is not None:
            file = f"trials/{number:04d}/attempt-1/train/model_epoch_{epoch:03d}_step_00100.pth"
            found |= {
                attributes.BEST_EPOCH: epoch,
                attributes.BEST_VALUE: value,
                attributes.CHECKPOINT: file,
                attributes.TRAINER_TIME_S: seconds,
                attributes.NODE: "gpu-1",
                attributes.EXIT_CODE: 0,
            }
            if number in (0, 1):
                (paths.folder / file).write_bytes(b"weights")
        if number == 3:
            found |= {
                attributes.EXIT_CODE: 1,
                attributes.REASON: "gpu_oom",
                attributes.DETAIL: "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB.",
                attributes.FIX: "Lower the batch size.",
            }
        study.set_trial_attributes(made, number, found)
        if number < 2:
            study.tell(made, number, TrialState.COMPLETE, value)
        elif number < 4:
            study.tell(made, number, TrialState.PRUNED if number == 2 else TrialState.FAIL)
    return paths


def _files(paths: StudyPaths, number: int, attempt: int) -> None:
    for each in range(1, attempt + 1):
        files = paths.attempt(number, each)
        (files.folder / "train").mkdir(parents=True)
        files.spec.write_text("train: {optim: {lr: 0.0002}}\n", encoding="utf-8")
        files.run_sh.write_text("#!/bin/sh\n", encoding="utf-8")
        files.job.write_text(json.dumps({"id": f"coco-{number:04d}-{each}"}), encoding="utf-8")
        files.log.write_text(LOG if number == 3 else "epoch 0\nepoch 1\n", encoding="utf-8")
