"""Downstream actions that have finished, as their folders say: what the next one may start from.

`result.json` is written when an action has done what it was asked; a folder without it has not finished.
Paths inside the study are stored relative to it, so that a study can be moved.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tao_automl.errors import UsageError, near
from tao_automl.layout import AttemptPaths, StudyPaths

EVALUATE = "evaluate"


@dataclass(frozen=True)
class Run:
    """One finished action. `outputs` are the files it was asked to make, by their keys in its spec.

    `model` is the model file that it left without being asked for a name: the best checkpoint of a training.
    `after` is the run that it started from, None if it started from a trial's checkpoint. `metrics` are what it
    reported.
    """

    name: str
    action: str
    trial: int
    epoch: int | None
    after: str | None
    outputs: Mapping[str, Path]
    model: Path | None
    paths: AttemptPaths
    metrics: Mapping[str, Any] = field(default_factory=dict)


def record(study: StudyPaths, run: Run) -> None:
    """Write what a run has made."""
    document = {
        "schema": 1,
        "action": run.action,
        "trial": run.trial,
        "epoch": run.epoch,
        "after": run.after,
        "outputs": {key: _stored(study, path) for key, path in run.outputs.items()},
        "model": _stored(study, run.model) if run.model else None,
        "metrics": dict(run.metrics),
    }
    fresh = run.paths.result.with_suffix(".new")
    fresh.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    fresh.rename(run.paths.result)


def read(study: StudyPaths, name: str) -> Run | None:
    """The run of a folder such as `export-001`; None if it is not there or has not finished."""
    paths = study.action(name)
    try:
        document = json.loads(paths.result.read_text(encoding="utf-8"))
        return Run(
            name=name,
            action=document["action"],
            trial=document["trial"],
            epoch=document["epoch"],
            after=document["after"],
            outputs={key: study.folder / text for key, text in document["outputs"].items()},
            model=study.folder / document["model"] if document["model"] else None,
            paths=paths,
            metrics=document.get("metrics") or {},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def finished(study: StudyPaths) -> tuple[Run, ...]:
    """Every finished run, the newest last."""
    found = [run for folder in study.action_folders() if (run := read(study, folder.name)) is not None]
    return tuple(sorted(found, key=_age))


def evaluation(study: StudyPaths, trial: int, epoch: int) -> Run | None:
    """The newest evaluation of a trial's checkpoint."""
    of_it = [run for run in finished(study) if (run.action, run.trial, run.epoch) == (EVALUATE, trial, epoch)]
    return next((run for run in reversed(of_it) if run.after is None), None)


def find(study: StudyPaths, text: str, trial: int | None) -> Run:
    """The run that a user names: `export-002`, or the newest `export`, of a trial if one is given.

    Raises:
        UsageError: no such run has finished, or it is of another trial.
    """
    name, runs = study.folder.name, finished(study)
    exact = next((run for run in runs if run.name == text), None)
    if exact is not None and trial not in (None, exact.trial):
        raise UsageError(f"{text} of study '{name}' is of trial {exact.trial}, not of trial {trial}")
    fitting = [run for run in runs if run.action == text and trial in (None, run.trial)]
    if exact is not None or fitting:
        return exact or fitting[-1]
    if study.action(text).folder.is_dir():
        tip = f"its log: {study.action(text).log}"
        raise UsageError(f"{text} of study '{name}' has not finished", tip=tip, code="not-finished")
    of = f"trial {trial} of study '{name}'" if trial is not None else f"study '{name}'"
    known = [run.name for run in runs if trial in (None, run.trial)]
    raise UsageError(f"no {text} of {of} has finished", tip=near(text, known), code="not-finished")


def is_run(text: str) -> bool:
    """True for the name of a run, such as `export-002`, and false for that of an action."""
    return re.fullmatch(r".+-\d{3,}", text) is not None


def newest(study: StudyPaths, trial: int, leaf: str) -> Run | None:
    """The newest run of a trial that made a file whose key ends in `leaf`, and the file is still there."""
    for run in reversed(finished(study)):
        if run.trial == trial and any(leaf_of(key) == leaf and path.exists() for key, path in run.outputs.items()):
            return run
    return None


def leaf_of(key: str) -> str:
    """`onnx_file` of `export.onnx_file`: what a file is, whoever makes or takes it."""
    return key.rsplit(".", 1)[-1]


def _age(run: Run) -> tuple[int, str]:
    return run.paths.result.stat().st_mtime_ns, run.name


def _stored(study: StudyPaths, path: Path) -> str:
    return study.relative(path) if path.is_relative_to(study.folder) else str(path)
