"""Images of COCO sources at one working size, with their annotated boxes in original pixels."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    names: what the files call them.
    outlines: of each box its polygons in original pixels, None where the file has none.
    """

    images: NDArray[np.uint8]
    sizes: NDArray[np.float64]
    truth: Truth
    categories: tuple[int, ...]
    names: Mapping[int, str] = field(default_factory=dict)
    outlines: tuple[Any, ...] = ()

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
        outlines = tuple(outline for outline, stays in zip(self.outlines, kept, strict=True) if stays)
        return Examples(self.images[:number], self.sizes[:number], truth, self.categories, self.names, outlines)


def count(sources: Sequence[tuple[Path, ...]]) -> int:
    """How many images the annotation files list.

    Raises:
        FileNotFoundError: an annotation file is not there.
        ValueError: it is not COCO.
    """
    return sum(len(_document(path)["images"]) for _, path, *_ in sources)


def load(sources: Sequence[tuple[Path, ...]], side: int) -> Examples:
    """Read (image folder, annotation file) pairs.

    Raises:
        FileNotFoundError: a folder, a file or a listed image is not there.
        ValueError: an annotation file is not COCO.
        OSError: an image cannot be read.
    """
    return assemble([(folder, _document(path)) for folder, path, *_ in sources], side)


def assemble(documents: Sequence[tuple[Path, dict[str, Any]]], side: int) -> Examples:
    """The examples of (image folder, COCO document) pairs.

    Raises:
        FileNotFoundError: a folder or a listed image is not there.
        OSError: an image cannot be read.
    """
    paths: list[Path] = []
    boxes: list[dict[str, Any]] = []
    names: dict[int, str] = {}
    for folder, document in documents:
        require(folder)
        numbers = {image["id"]: len(paths) + row for row, image in enumerate(document["images"])}
        paths += [folder / image["file_name"] for image in document["images"]]
        boxes += [
            {**box, "image": numbers[box["image_id"]]}
            for box in document.get("annotations", [])
            if box["image_id"] in numbers
        ]
        for category in document.get("categories", []):
            names.setdefault(int(category["id"]), str(category.get("name", category["id"])))
    images, sizes = _read(paths, side)
    outlines = tuple(box.get("segmentation") for box in boxes)
    return Examples(images, sizes, _truth(boxes), tuple(sorted(names)), names, outlines)


def images_only(paths: Sequence[Path], side: int) -> Examples:
    """Images without annotations, numbered in the order of `paths`.

    Raises:
        FileNotFoundError: an image is not there.
        OSError: an image cannot be read.
    """
    images, sizes = _read(paths, side)
    return Examples(images, sizes, _truth([]), ())


def require(path: Path) -> None:
    """Raises:
    FileNotFoundError: it is not there.
    """
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def _document(path: Path) -> dict[str, Any]:
    require(path)
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
        require(path)
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
