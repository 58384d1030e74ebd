"""TAO's inference functions: what `spec_params` of an action says where a value comes from.

| function | value |
|---|---|
| output_dir | the folder of this run |
| key | the encryption key that the model was trained with |
| parent_model, parent_model_folder | the file that the action starts from, or its folder |
| resume_model | the same, for a training that goes on |
| ptm_if_no_resume_model | the pretrained model; none where a training goes on |
| create_onnx_file, create_engine_file, create_cal_cache | a new file in the folder of this run |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao_automl.errors import UsageError
from tao_automl.parents import PARENT, RESUMED, Parent
from tao_automl.tao import keypath
from tao_automl.tao.skill import Action

CREATED = {
    "create_onnx_file": "model.onnx",
    "create_engine_file": "model.engine",
    "create_cal_cache": "cal.bin",
}


@dataclass(frozen=True)
class Given:
    """What the functions draw from. `keys` are those that take the parent's file."""

    folder: Path
    parent: Parent | None
    keys: Sequence[str]
    trained: Mapping[str, Any]


def values(action: Action, given: Given) -> dict[str, Any]:
    """The value of every key of `spec_params` whose function has one; the others keep the template's."""
    found: dict[str, Any] = {}
    resumes = any(action.spec_params[key] in RESUMED for key in given.keys)
    for key, function in action.spec_params.items():
        if function == "output_dir":
            found[key] = str(given.folder)
        elif function == "key":
            found[key] = keypath.get(given.trained, key, "")
        elif function == "ptm_if_no_resume_model" and resumes:
            found[key] = ""
        elif function in (*PARENT, *RESUMED) and given.parent is not None and key in given.keys:
            file = given.parent.url or str(given.parent.file.resolve())
            found[key] = file.rpartition("/")[0] if function == "parent_model_folder" else file
    return found


def created(action: Action, folder: Path, asked: Mapping[str, Any]) -> dict[str, Path]:
    """The new files of a run, by key: where the user wants them, else in its folder.

    A file that is there is never written over: the new one gets the next free number.

    Raises:
        UsageError: the user names a folder that does not exist.
    """
    found: dict[str, Path] = {}
    for key, function in action.spec_params.items():
        if function not in CREATED:
            continue
        path = folder / str(asked.get(key) or CREATED[function])  # an absolute path stays what it is
        if path.parent != folder and not path.parent.is_dir():
            raise UsageError(f"--set {key}={path}: {path.parent} is no directory", tip="name one that exists")
        found[key] = _free(path)
    return found


def _free(path: Path) -> Path:
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free
