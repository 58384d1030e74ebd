"""A skill whose actions follow one another: train, export, build, and two that score, one in each container."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tao_automl.layout import AttemptPaths, StudyPaths
from tao_automl.results import Winner
from tao_automl.runs import Run
from tao_automl.tao import skill
from tao_automl.tao.skill import Action, Input, Skill
from tests.fakes.tiny import SKILL

TRAINS, DEPLOYS = "registry.example/tiny:1-pyt", "registry.example/tiny:1-deploy"


def action(name: str, params: dict[str, str], outputs: dict[str, str], task: str = "", **changed: Any) -> Action:
    known = {
        "name": name,
        "command": f"tiny {task or name} -e {{config_path}}",
        "image": TRAINS,
        "inputs": {key: Input("file") for key, function in params.items() if function.startswith("parent")},
        "outputs": {"results_dir": "folder", **outputs},
        "spec_params": {"results_dir": "output_dir", **params},
        "data_sources": (),
        "config_format": "yaml",
        "upload_excludes": (),
    }
    return Action(**{**known, **changed})


ACTIONS = (
    action("train", {"train.resume": "resume_model", "train.weights": "ptm_if_no_resume_model", "secret": "key"}, {}),
    action(
        "export",
        {"export.checkpoint": "parent_model", "export.onnx_file": "create_onnx_file"},
        {"export.onnx_file": "file"},
    ),
    action(
        "build",
        {"build.onnx_file": "parent_model", "build.engine": "create_engine_file", "build.cache": "create_cal_cache"},
        {"build.engine": "file"},
        image=DEPLOYS,
    ),
    action("score", {"score.checkpoint": "parent_model"}, {}),
    action("deploy_score", {"score.engine": "parent_model"}, {}, "score", image=DEPLOYS, deploy=True),
    action("shrink", {"shrink.model_path": "parent_model", "shrink.folder": "parent_model_folder"}, {}),
    action("count", {}, {}),
)


def made() -> Skill:
    return replace(skill.load(SKILL), actions={item.name: item for item in ACTIONS})


def winner(study: StudyPaths, trial: int = 3) -> Winner:
    """A winner with a checkpoint of epoch 4 and one of epoch 5, to which the newest's link leads."""
    attempt = study.attempt(trial, 1)
    folder = attempt.checkpoints("train")
    folder.mkdir(parents=True)
    for epoch in (4, 5):
        (folder / f"model_epoch_{epoch:03d}_step_00010.pth").write_bytes(b"w")
    (folder / "tiny_model_latest.pth").symlink_to("model_epoch_005_step_00010.pth")
    best = folder / "model_epoch_004_step_00010.pth"
    return Winner(study.folder.name, trial, 4, "val_mAP50", 0.5, attempt, best, {})


def run(study: StudyPaths, name: str, **changed: Any) -> Run:
    """A run that has made what it was asked for, of trial 3 unless `changed` says otherwise."""
    paths: AttemptPaths = study.action(name)
    paths.folder.mkdir(parents=True)
    files = {"export": ("export.onnx_file", "model.onnx"), "build": ("build.engine", "model.engine")}
    kind = name.rsplit("-", 1)[0]
    outputs: dict[str, Path] = {}
    if kind in files:
        key, file = files[kind]
        outputs[key] = paths.folder / file
        outputs[key].write_bytes(b"made")
    known = {"name": name, "action": kind, "trial": 3, "epoch": 4, "after": None, "outputs": outputs, "model": None}
    return Run(**{**known, "paths": paths, **changed})
