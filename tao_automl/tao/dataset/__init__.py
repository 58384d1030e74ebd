"""Datasets on disk: found, and checked before anything is trained on them. One format, one file.

Which files a dataset must have is said by a skill: `images.tar.gz`, `annotations.json` … Images may always be a
folder instead of an archive: `images/`. The form of the annotations follows from the name of their file and
from the skill's `data.format`; what is of no form known here must be there, and is not looked into.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from tao_automl.errors import UsageError
from tao_automl.tao.datafacts import DataFacts
from tao_automl.tao.dataset import coco, images, odvg, plain
from tao_automl.tao.dataset.contents import Data, Dataset
from tao_automl.tao.dataset.images import ARCHIVES, refuse_missing

__all__ = ["Data", "Dataset", "inspect", "pair", "read", "shown", "stored"]

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
    lines, document = _annotations(needed)
    if facts.format == "odvg" and lines and document and image:
        return odvg.read(folder, image, lines, document, masks=facts.masks)
    if facts.format in ("coco", "odvg") and not lines and document and image:
        return coco.read(folder, image, document, masks=facts.masks)
    return plain.read(folder, image, needed)


def pair(folder: Path, annotations: Path, facts: DataFacts) -> Dataset:
    """Check a folder of images, or an archive of them, and the COCO file that lies somewhere else.

    Raises:
        UsageError: as `read`.
    """
    found, names = coco.annotated(annotations, masks=facts.masks)
    images.check(folder, names, annotations)
    return replace(found, folder=annotations.parent, images=folder)


def stored(
    url: str, image: str, copies: Mapping[str, Path], present: Collection[str] | None, facts: DataFacts
) -> Dataset:
    """A dataset in an object store, checked as far as that can be done without its images.

    Args:
        image: the name of the folder or archive below `url`.
        copies: the other files that the skill needs of it, by name, on this machine.
        present: the names in the folder of images; None if they are not known.

    Raises:
        UsageError: as `read`.
    """
    lines, document = _annotations(copies)
    if facts.format == "odvg" and lines and document:
        found, names = odvg.annotated(copies[lines], copies[document], masks=facts.masks)
    elif facts.format in ("coco", "odvg") and not lines and document:
        found, names = coco.annotated(copies[document], masks=facts.masks)
    else:
        found, names = Dataset(Path(), Path(), None, None, 0, {}), ()
    if present is not None and found.annotations is not None:
        refuse_missing([name for name in names if name not in present], f"{url}/{image}", found.annotations)
    return replace(found, images=Path(image), url=url)


def _annotations(files: Iterable[str]) -> tuple[str | None, str | None]:
    """The names of the lines and of the document among the files of a dataset."""
    names = sorted(files)
    lines = next((name for name in names if name.endswith(".jsonl")), None)
    return lines, next((name for name in names if name.endswith(".json")), None)


def shown(name: str) -> str:
    """How users may give a part: `images.tar.gz or images/`."""
    return f"{name} or {name.split('.', 1)[0]}/" if name.endswith(ARCHIVES) else name
