"""COCO: one JSON file with images, annotations and categories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tao_automl.tao.dataset import document, images
from tao_automl.tao.dataset.contents import Dataset
from tao_automl.tao.dataset.document import bad, refuse

CORRECT = "correct or remove what is named"


def read(folder: Path, image: str, annotations: str, *, masks: bool = False) -> Dataset:
    """Find and check an image folder or archive, and an annotation file.

    Raises:
        UsageError: something is missing or cannot be trained on.
    """
    found = images.find(folder, image)
    known, names = annotated(folder / annotations, masks=masks)
    images.check(found, names, folder / annotations)
    return replace(known, folder=folder, images=found)


def annotated(file: Path, *, masks: bool = False) -> tuple[Dataset, Collection[str]]:
    """What an annotation file says, and the names of its images; where those are, it does not say.

    Raises:
        UsageError: it cannot be trained on.
    """
    content = document.load(file)
    entries = _list(content, "images", file)
    boxes = _list(content, "annotations", file)
    categories = _categories(_list(content, "categories", file), file)
    names = _names(entries, file)
    _check_annotations(boxes, set(categories), set(names), file)
    if masks:
        _refuse([box for box in boxes if not box.get("segmentation")], "has no mask in 'segmentation'", file)
    known = Dataset(Path(), Path(), file, len(names), len(boxes), categories, image_ids=frozenset(names))
    return known, names.values()


def _list(document: Mapping[str, Any], key: str, file: Path) -> list[dict[str, Any]]:
    entries = document.get(key)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        tip = "it has images, annotations and categories, each a list of objects"
        raise bad(f"{file} is not a COCO file: '{key}' is not a list of objects", tip)
    if not entries:
        raise bad(f"{file} has no {key}")
    return entries


def _categories(entries: list[dict[str, Any]], file: Path) -> dict[int, str]:
    categories: dict[int, str] = {}
    for entry in entries:
        number = entry.get("id")
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise bad(f"{file}: category id {number!r} is not a whole number from 0 up")
        if number in categories:
            raise bad(f"{file}: category id {number} stands there twice")
        categories[number] = str(entry.get("name", number))
    return dict(sorted(categories.items()))


def _names(entries: list[dict[str, Any]], file: Path) -> dict[int | str, str]:
    """The file names of the images by id."""
    names: dict[int | str, str] = {}
    counts = Counter(str(entry.get("id")) for entry in entries)
    refuse(
        [f"{file}: image id {number}" for number, count in counts.items() if count > 1],
        "stands there more than once",
        "ids",
        "give each image an id of its own",
    )
    for entry in entries:
        number, name = entry.get("id"), entry.get("file_name")
        if not isinstance(number, (int, str)) or not isinstance(name, str) or not name:
            raise bad(f"{file}: image {number!r} lacks an id or a file_name")
        names[number] = name
    return names


def _check_annotations(boxes: list[dict[str, Any]], categories: set[int], images: set[int | str], file: Path) -> None:
    _refuse([box for box in boxes if not _in(box.get("image_id"), images)], "is of an unknown image", file)
    _refuse(
        [box for box in boxes if not _in(box.get("category_id"), categories)],
        "is of an unknown category",
        file,
    )
    _refuse([box for box in boxes if not _has_area(box.get("bbox"))], "has a box without area", file)


def _in(value: Any, known: set[Any]) -> bool:
    return isinstance(value, (int, str)) and value in known


def _has_area(box: Any) -> bool:
    """True for [x, y, width, height] of numbers with both sides above 0; NaN is above nothing."""
    numbers = isinstance(box, list) and len(box) == 4
    return numbers and all(isinstance(side, (int, float)) for side in box) and box[2] > 0 and box[3] > 0


def _refuse(cases: list[dict[str, Any]], what: str, file: Path) -> None:
    refuse([f"{file}: annotation {box.get('id')}" for box in cases], what, "annotations", CORRECT)
