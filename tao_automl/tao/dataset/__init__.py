"""Datasets on disk: found, and checked before anything is trained on them. One format, one file.

Which files a dataset must have is said by a skill: `images.tar.gz`, `annotations.json` … Images may always be a
folder instead of an archive: `images/`. The form of the annotations follows from the name of their file and
from the skill's `data.format`; what is of no form known here must be there, and is not looked into.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from tao_automl.errors import UsageError
from tao_automl.tao.datafacts import DataFacts
from tao_automl.tao.dataset import coco, odvg, plain
from tao_automl.tao.dataset.contents import Data, Dataset
from tao_automl.tao.dataset.images import ARCHIVES

__all__ = ["Data", "Dataset", "inspect", "read", "shown"]

IMAGES, ANNOTATIONS = "images.tar.gz", "annotations.json"


def inspect(folder: Path | str, image: str = IMAGES, annotations: str = ANNOTATIONS) -> Dataset:
    """Find and check a COCO dataset: an image folder or archive, and an annotation file.

    Raises:
        UsageError: as `read`.
    """
    return read(folder, (image, annotations), DataFacts("coco"))


def read(folder: Path | str, files: Collection[str], facts: DataFacts) -> Dataset:
    """Find and check the parts of a dataset.

    Args:
        files: what the skill needs of it, such as images.tar.gz and annotations.json.

    Raises:
        UsageError: something is missing or cannot be trained on; the first case is named, and how many there
            are.
    """
    folder = Path(folder).expanduser()
    needed = sorted(files)
    if not folder.is_dir():
        parts = " and ".join(shown(name) for name in needed)
        raise UsageError(f"{folder} is no directory", tip=f"name one with {parts}" if parts else "")
    image = next((name for name in needed if name.endswith(ARCHIVES)), None)
    lines = next((name for name in needed if name.endswith(".jsonl")), None)
    document = next((name for name in needed if name.endswith(".json")), None)
    if facts.format == "odvg" and lines and document and image:
        return odvg.read(folder, image, lines, document, masks=facts.masks)
    if facts.format in ("coco", "odvg") and not lines and document and image:
        return coco.read(folder, image, document, masks=facts.masks)
    return plain.read(folder, image, needed)


def shown(name: str) -> str:
    """How users may give a part: `images.tar.gz or images/`."""
    return f"{name} or {name.split('.', 1)[0]}/" if name.endswith(ARCHIVES) else name
