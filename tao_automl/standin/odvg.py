"""ODVG files, the training data of networks that read captions: one image a line, as JSON.

A source with a label map has detections, whose labels the map names; one without has phrases and their regions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tao_automl.standin import examples
from tao_automl.standin.examples import Examples


def count(sources: Sequence[tuple[Path, ...]]) -> int:
    """How many images the files list.

    Raises:
        FileNotFoundError: a file is not there.
    """
    return sum(len(_lines(path)) for _, path, *_ in sources)


def load(sources: Sequence[tuple[Path, ...]], side: int) -> Examples:
    """Read (image folder, file[, label map]) sources; equal names of several sources are one category.

    Categories are numbered from 0 in the order of the label maps, then of the phrases.

    Raises:
        FileNotFoundError: a folder, a file or a listed image is not there.
        KeyError: a line lacks what its kind of source has, or a label is not in the map.
        ValueError: a line or a label map is not JSON.
    """
    vocabulary: dict[str, int] = {}
    documents = [(folder, document(path, rest[0] if rest else None, vocabulary)) for folder, path, *rest in sources]
    return examples.assemble(documents, side)


def document(path: Path, label_map: Path | None, vocabulary: dict[str, int]) -> dict[str, Any]:
    """A file as a COCO document; new names get the next numbers of the vocabulary."""
    labels = _labels(label_map) if label_map is not None else None
    for name in (labels or {}).values():
        vocabulary.setdefault(name, len(vocabulary))
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, line in enumerate(_lines(path)):
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path}: image {number + 1} is not JSON: {error}") from None
        images.append({"id": number, "file_name": entry["file_name"]})
        for found in entry["grounding"]["regions"] if labels is None else entry["detection"]["instances"]:
            name = found["phrase"] if labels is None else labels[str(found["label"])]
            left, top, right, bottom = found["bbox"]
            box = {"image_id": number, "category_id": vocabulary.setdefault(name, len(vocabulary))}
            outline = {"segmentation": found["mask"]} if "mask" in found else {}
            annotations.append({**box, "bbox": [left, top, right - left, bottom - top], **outline})
    categories = [{"id": number, "name": name} for name, number in vocabulary.items()]
    return {"images": images, "annotations": annotations, "categories": categories}


def _lines(path: Path) -> list[str]:
    examples.require(path)
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _labels(path: Path) -> dict[str, str]:
    """Names by label, in the order of the labels."""
    examples.require(path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {str(key): str(found[key]) for key in sorted(found, key=int)}
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is no label map: {error}") from None
