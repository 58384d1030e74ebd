"""What an inference leaves of the boxes it finds: images with them drawn, and a KITTI label file for each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from tao_automl.standin import examples as datasets
from tao_automl.standin import specfile
from tao_automl.standin.coco_map import Detections
from tao_automl.standin.learner import SIDE, Learner
from tao_automl.standin.masks import MaskHead
from tao_automl.standin.networks import Network

THRESHOLD = 0.5  # of the score, for boxes that are drawn
COLOUR = (255, 64, 0)
VEIL = 96  # of 255: how much of the colour lies over a mask


@dataclass(frozen=True)
class Finder:
    """A trained network, with the name of each class that is asked for."""

    learner: Learner
    names: Mapping[int, str]
    head: MaskHead | None = None


def image_paths(spec: dict[str, Any]) -> list[Path]:
    """The images of `dataset.infer_data_sources.image_dir`, a folder or a list of them.

    Raises:
        FileNotFoundError: a folder is not there.
    """
    named = specfile.get(spec, "dataset.infer_data_sources.image_dir", [])
    folders = [Path(item) for item in ([named] if isinstance(named, str) else named)]
    missing = [item for item in folders if not item.is_dir()]
    if missing:
        raise FileNotFoundError(f"[Errno 2] No such file or directory: '{missing[0]}'")
    return [path for item in folders for path in sorted(item.iterdir()) if path.suffix.lower() in datasets.SUFFIXES]


def names(spec: dict[str, Any], network: Network, classes: Sequence[str]) -> dict[int, str]:
    """The classes that are asked for: those of the class map, or of `classes` those that captions name.

    Raises:
        FileNotFoundError: the class map or the file of captions is not there.
        ValueError: a network that reads captions gets none.
    """
    if network.grounded:
        asked = _captions(specfile.get(spec, "dataset.infer_data_sources.captions"))
        return {number: name for number, name in enumerate(classes) if name in asked}
    path = specfile.get(spec, "dataset.infer_data_sources.classmap", "")
    if not path:
        return {}
    text = Path(path).read_text(encoding="utf-8")
    if text.lstrip().startswith("{"):
        return {int(key): str(name) for key, name in json.loads(text).items()}
    return dict(enumerate(filter(None, map(str.strip, text.splitlines())), start=1))


def _captions(said: Any) -> set[str]:
    """Captions of a list, or those of all images in a file with one JSON object an image."""
    if not said:
        raise ValueError("'captions' field needs to be passed")
    if not isinstance(said, str):
        return {str(caption).strip() for caption in said}
    lines = Path(said).read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines if line.strip()]
    return {str(entry.get("caption") or entry["grounding"]["caption"]).strip() for entry in entries}


def draw(finder: Finder, paths: Sequence[Path], threshold: float, folder: Path, only_named: bool) -> None:
    """Write images_annotated/ and labels/ in `folder`; with `only_named`, classes without a name are left out."""
    found = finder.learner.detect(datasets.images_only(paths, SIDE))
    wanted = found.score >= threshold
    if only_named:
        wanted &= np.isin(found.category, list(finder.names))
    for part in ("images_annotated", "labels"):
        (folder / part).mkdir(exist_ok=True)
    for number, path in enumerate(paths):
        rows = np.flatnonzero(wanted & (found.image == number))
        image = Image.open(path).convert("RGB")
        if finder.head is not None:
            _veil(image, finder.head, found, rows)
        pen, lines = ImageDraw.Draw(image), []
        for row in rows:
            left, top, width, height = (float(value) for value in found.box[row])
            pen.rectangle((left, top, left + width, top + height), outline=COLOUR)
            category = int(found.category[row])
            name = finder.names.get(category, str(category))
            box = f"{left:.2f} {top:.2f} {left + width:.2f} {top + height:.2f}"
            lines.append(f"{name} 0.00 0 0.00 {box} 0.00 0.00 0.00 0.00 0.00 0.00 0.00 {found.score[row]:.3f}\n")
        image.save(folder / "images_annotated" / path.name)
        (folder / "labels" / f"{path.stem}.txt").write_text("".join(lines), encoding="utf-8")


def _veil(image: Image.Image, head: MaskHead, found: Detections, rows: Any) -> None:
    """Colour the masks of some detections."""
    first = np.zeros(len(rows), dtype=np.int64)
    some = Detections(first, found.category[rows], found.box[rows], found.score[rows])
    for mask in head.paste(some, np.array([image.size], dtype=np.float64), SIDE):
        veil = Image.fromarray((mask * VEIL).astype(np.uint8)).resize(image.size)
        image.paste(COLOUR, mask=veil)
