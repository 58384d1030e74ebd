"""Training data of models that are told in words what to find: ODVG, one JSON object an image.

    {"file_name": "a.jpg", "height": 8, "width": 8,
     "detection": {"instances": [{"bbox": [left, top, right, bottom], "label": 0, "category": "cat"}]}}

The label map, a JSON object, has the names of the labels, which count from 0: `{"0": "cat", "1": "dog"}`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tao_automl.tao.dataset import document, images
from tao_automl.tao.dataset.contents import Dataset
from tao_automl.tao.dataset.document import bad, refuse

CORRECT = "correct or remove what is named"


def read(folder: Path, image: str, annotations: str, label_map: str, *, masks: bool = False) -> Dataset:
    """Find and check images, annotations and label map.

    Raises:
        UsageError: something is missing or cannot be trained on; lines are named.
    """
    found = images.find(folder, image)
    known, names = annotated(folder / annotations, folder / label_map, masks=masks)
    images.check(found, names, folder / annotations)
    return replace(known, folder=folder, images=found)


def annotated(file: Path, label_map: Path, *, masks: bool = False) -> tuple[Dataset, Collection[str]]:
    """What the annotations say, and the names of their images; where those are, they do not say.

    Raises:
        UsageError: they cannot be trained on.
    """
    labels = _labels(label_map)
    names, count = [], 0
    problems: dict[str, list[str]] = {}
    for number, entry in document.lines(file):
        where = f"{file}:{number}"
        name = entry.get("file_name")
        if not isinstance(name, str) or not name:
            raise bad(f"{where}: the image has no file_name")
        names.append(name)
        instances = _instances(entry, where)
        count += len(instances)
        for instance in instances:
            if problem := _problem(instance, labels, masks=masks):
                problems.setdefault(problem, []).append(where)
    for problem, cases in problems.items():
        refuse(cases, problem, "objects", CORRECT)
    if not names:
        raise bad(f"{file} has no images")
    if not count:
        raise bad(f"{file} has no objects")
    return Dataset(Path(), Path(), file, len(names), count, labels), names


def _labels(file: Path) -> dict[int, str]:
    """The names by label. Labels count from 0, without a gap."""
    entries = document.load(file)
    labels: dict[int, str] = {}
    for key, name in entries.items():
        if not key.isdecimal() or not isinstance(name, str) or not name:
            raise bad(f"{file} is no label map: '{key}' is not a number with a name")
        labels[int(key)] = name
    if not labels:
        raise bad(f"{file} has no labels")
    missing = next((number for number in range(len(labels)) if number not in labels), None)
    if missing is not None:
        raise bad(f"{file}: labels count from 0 without a gap, and {missing} is missing", tip="number them again")
    return dict(sorted(labels.items()))


def _instances(entry: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    detection = entry.get("detection")
    instances = detection.get("instances") if isinstance(detection, dict) else None
    if not isinstance(instances, list) or not all(isinstance(item, dict) for item in instances):
        tip = "each line needs detection: {instances: [...]}"
        raise bad(f"{where}: this is no ODVG detection: 'instances' is not a list of objects", tip=tip)
    return instances


def _problem(instance: Mapping[str, Any], labels: Mapping[int, str], *, masks: bool) -> str | None:
    """What is wrong with one object, in words that follow the place."""
    label, category = instance.get("label"), instance.get("category")
    if not isinstance(label, int) or isinstance(label, bool) or label not in labels:
        return f"has label {label!r}, which the label map does not have"
    if category is not None and category != labels[label]:
        return f"calls label {label} '{category}', and the label map '{labels[label]}'"
    if not _has_area(instance.get("bbox")):
        return "has a box without area"
    return "has an object without a mask" if masks and not instance.get("mask") else None


def _has_area(box: Any) -> bool:
    """True for [left, top, right, bottom] of finite numbers with an area above 0."""
    numbers = isinstance(box, list) and len(box) == 4
    if not numbers or not all(isinstance(side, (int, float)) and math.isfinite(side) for side in box):
        return False
    return bool(box[2] > box[0] and box[3] > box[1])
