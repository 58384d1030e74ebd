"""COCO sets in memory: every image at one working size, the boxes as they were annotated."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tao_automl.standin.coco_map import Truth

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
Source = tuple[Path, Path]  # image folder, annotation file


@dataclass(frozen=True)
class Examples:
    """Images (n, side, side, 3) and what is on them. `size` (n, 2) is their own width and height in pixels.

    `truth.image` counts the images from 0; boxes are in the images' own pixels.
    """

    images: NDArray[np.uint8]
    size: NDArray[np.float64]
    truth: Truth

    def __len__(self) -> int:
        return len(self.images)

    def head(self, count: int) -> Examples:
        """The first images with their boxes."""
        boxes = self.truth
        keep = boxes.image < count
        truth = Truth(boxes.image[keep], boxes.category[keep], boxes.box[keep], boxes.area[keep], boxes.crowd[keep])
        return Examples(self.images[:count], self.size[:count], truth)


def count(sources: Sequence[Source]) -> int:
    """Images in the annotation files."""
    return sum(len(_document(path)["images"]) for _, path in sources)


def load(sources: Sequence[Source], side: int) -> Examples:
    """Read COCO sets, one after the other.

    Raises:
        FileNotFoundError: an annotation file or an image is not there.
    """
    paths: list[Path] = []
    rows: list[tuple[int, int, list[float], float, bool]] = []
    for folder, file in sources:
        document = _document(file)
        number = {image["id"]: len(paths) + place for place, image in enumerate(document["images"])}
        paths += [folder / image["file_name"] for image in document["images"]]
        for entry in document["annotations"]:
            box = [float(value) for value in entry["bbox"]]
            area = float(entry.get("area", box[2] * box[3]))
            crowd = bool(entry.get("iscrowd", 0))
            rows.append((number[entry["image_id"]], int(entry["category_id"]), box, area, crowd))
    pictures = images_only(paths, side)
    truth = Truth(
        image=np.array([row[0] for row in rows], dtype=np.int64),
        category=np.array([row[1] for row in rows], dtype=np.int64),
        box=np.array([row[2] for row in rows], dtype=np.float64).reshape(-1, 4),
        area=np.array([row[3] for row in rows], dtype=np.float64),
        crowd=np.array([row[4] for row in rows], dtype=bool),
    )
    return Examples(pictures.images, pictures.size, truth)


def images_only(paths: Sequence[Path], side: int) -> Examples:
    """Images without annotations.

    Raises:
        FileNotFoundError: one is not there.
    """
    images = np.zeros((len(paths), side, side, 3), dtype=np.uint8)
    size = np.ones((len(paths), 2))
    for number, path in enumerate(paths):
        if not path.exists():
            raise FileNotFoundError(f"[Errno 2] No such file or directory: '{path}'")
        with Image.open(path) as image:
            size[number] = image.size
            images[number] = np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BILINEAR))
    none = np.zeros(0)
    nothing = Truth(none.astype(int), none.astype(int), none.reshape(0, 4), none, none.astype(bool))
    return Examples(images, size, nothing)


def _document(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document
