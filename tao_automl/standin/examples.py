"""Images of COCO sources at one working size, with their annotated boxes in original pixels."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tao_automl.standin.coco_map import Truth

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".webp")


@dataclass(frozen=True)
class Examples:
    """A set of images. An image's number is its row here; `truth.image` holds such numbers.

    images: (n, side, side, 3), stretched to a square.
    sizes: (n, 2), original width and height in pixels.
    truth: boxes in original pixels.
    categories: the ids that the annotation files name, sorted.
    """

    images: NDArray[np.uint8]
    sizes: NDArray[np.float64]
    truth: Truth
    categories: tuple[int, ...]

    def head(self, number: int) -> Examples:
        """The first `number` images."""
        kept = self.truth.image < number
        truth = Truth(
            self.truth.image[kept],
            self.truth.category[kept],
            self.truth.box[kept],
            self.truth.area[kept],
            self.truth.crowd[kept],
        )
        return Examples(self.images[:number], self.sizes[:number], truth, self.categories)


def count(sources: Sequence[tuple[Path, Path]]) -> int:
    """How many images the annotation files list.

    Raises:
        FileNotFoundError: an annotation file is not there.
        ValueError: it is not COCO.
    """
    return sum(len(_document(path)["images"]) for _, path in sources)


def load(sources: Sequence[tuple[Path, Path]], side: int) -> Examples:
    """Read (image folder, annotation file) pairs.

    Raises:
        FileNotFoundError: a folder, a file or a listed image is not there.
        ValueError: an annotation file is not COCO.
        OSError: an image cannot be read.
    """
    paths: list[Path] = []
    boxes: list[dict[str, Any]] = []
    categories: set[int] = set()
    for folder, path in sources:
        _require(folder)
        document = _document(path)
        numbers = {image["id"]: len(paths) + row for row, image in enumerate(document["images"])}
        paths += [folder / image["file_name"] for image in document["images"]]
        boxes += [
            {**box, "image": numbers[box["image_id"]]}
            for box in document.get("annotations", [])
            if box["image_id"] in numbers
        ]
        categories |= {int(category["id"]) for category in document.get("categories", [])}
    images, sizes = _read(paths, side)
    return Examples(images, sizes, _truth(boxes), tuple(sorted(categories)))


def images_only(paths: Sequence[Path], side: int) -> Examples:
    """Images without annotations, numbered in the order of `paths`.

    Raises:
        FileNotFoundError: an image is not there.
        OSError: an image cannot be read.
    """
    images, sizes = _read(paths, side)
    return Examples(images, sizes, _truth([]), ())


def _require(path: Path) -> None:
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def _document(path: Path) -> dict[str, Any]:
    _require(path)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if isinstance(document, dict) and isinstance(document.get("images"), list):
        return document
    raise ValueError(f"{path} is not a COCO annotation file: it has no list of images")


def _read(paths: Sequence[Path], side: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    images = np.zeros((len(paths), side, side, 3), dtype=np.uint8)
    sizes = np.zeros((len(paths), 2))
    for row, path in enumerate(paths):
        _require(path)
        with Image.open(path) as file:
            sizes[row] = file.size
            image = file.convert("RGB")
        if image.size != (side, side):
            image = image.resize((side, side), Image.Resampling.BILINEAR)
        images[row] = np.asarray(image)
    return images, sizes


def _truth(boxes: Sequence[dict[str, Any]]) -> Truth:
    corners = np.array([box["bbox"] for box in boxes], dtype=np.float64).reshape(-1, 4)
    areas = [box.get("area", box["bbox"][2] * box["bbox"][3]) for box in boxes]
    return Truth(
        np.array([box["image"] for box in boxes], dtype=np.int64),
        np.array([box["category_id"] for box in boxes], dtype=np.int64),
        corners,
        np.array(areas, dtype=np.float64),
        np.array([bool(box.get("iscrowd", 0)) for box in boxes], dtype=np.bool_),
    )
