"""A COCO dataset on disk: found, and checked before anything is trained on it."""

from __future__ import annotations

import json
import os
import tarfile
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tao_automl.errors import UsageError


@dataclass(frozen=True)
class Dataset:
    """A checked dataset. `images` is a folder or an archive; `categories` are the names by id.

    With a `url` it lies in an object store: `folder` and `images` are relative to that, `annotations` is a copy.
    """

    folder: Path
    images: Path
    annotations: Path
    image_count: int
    annotation_count: int
    categories: Mapping[int, str]
    url: str | None = None

    @property
    def archive(self) -> Path | None:
        """The archive that has to be unpacked on this machine."""
        return None if self.url is not None or self.images.is_dir() else self.images


def inspect(folder: Path | str, image: str = "images.tar.gz", annotations: str = "annotations.json") -> Dataset:
    """Find and check the parts of a dataset: an image folder or archive, and a COCO annotation file.

    Raises:
        UsageError: something is missing or cannot be trained on; the first case is named, and how many
            there are.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise UsageError(f"{folder} is no directory", tip=f"name one with {image} or images/ and {annotations}")
    images = _images(folder, image)
    found, names = _annotated(folder / annotations)
    if images.is_dir():
        _check_files(images, names, found.annotations)
    else:
        _check_archive(images)
    return replace(found, folder=folder, images=images)


def stored(url: str, images: str, annotations: Path, present: Collection[str] | None) -> Dataset:
    """A dataset in an object store, checked as far as that can be done without its images.

    Args:
        images: the name of the folder or archive below `url`.
        annotations: a copy of the file on this machine.
        present: the names in the folder of images; None if they are not known.

    Raises:
        UsageError: as `inspect`.
    """
    found, names = _annotated(annotations)
    if present is not None:
        _refuse_missing([name for name in names if name not in present], f"{url}/{images}", annotations)
    return replace(found, images=Path(images), url=url)


def _annotated(file: Path) -> tuple[Dataset, Collection[str]]:
    """What an annotation file says, and the names of its images; where those are, it does not say."""
    document = _document(file)
    entries = _list(document, "images", file)
    boxes = _list(document, "annotations", file)
    categories = _categories(_list(document, "categories", file), file)
    names = _names(entries, file)
    _check_annotations(boxes, set(categories), set(names), file)
    return Dataset(Path(), Path(), file, len(names), len(boxes), categories), names.values()


def _images(folder: Path, image: str) -> Path:
    """The image folder, which goes before the archive of the same name."""
    for path in (folder / image.split(".", 1)[0], folder / image):
        if path.exists():
            return path
    raise UsageError(
        f"{folder} has no images", tip=f"put {image} or {image.split('.', 1)[0]}/ there", code="data-missing"
    )


def _document(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_bytes())
    except FileNotFoundError:
        tip = "name a directory with COCO annotations"
        raise UsageError(f"{file} is missing", tip=tip, code="data-missing") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise _bad(f"{file}:{error.lineno}:{error.colno}: broken JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise _bad(f"{file}: unreadable JSON: {error}") from None
    if not isinstance(document, dict):
        raise _bad(f"{file} is not a COCO file: a JSON object is expected")
    return document


def _list(document: Mapping[str, Any], key: str, file: Path) -> list[dict[str, Any]]:
    entries = document.get(key)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _bad(f"{file} is not a COCO file: '{key}' is not a list of objects")
    if not entries:
        raise _bad(f"{file} has no {key}")
    return entries


def _categories(entries: list[dict[str, Any]], file: Path) -> dict[int, str]:
    categories: dict[int, str] = {}
    for entry in entries:
        number = entry.get("id")
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise _bad(f"{file}: category id {number!r} is not a whole number from 0 up")
        categories[number] = str(entry.get("name", number))
    return dict(sorted(categories.items()))


def _names(entries: list[dict[str, Any]], file: Path) -> dict[int | str, str]:
    """The file names of the images by id."""
    names: dict[int | str, str] = {}
    for entry in entries:
        number, name = entry.get("id"), entry.get("file_name")
        if not isinstance(number, (int, str)) or not isinstance(name, str) or not name:
            raise _bad(f"{file}: image {number!r} lacks an id or a file_name")
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


def _refuse(bad: list[dict[str, Any]], what: str, file: Path) -> None:
    if bad:
        count = f" ({len(bad)} such annotations)" if len(bad) > 1 else ""
        raise _bad(f"{file}: annotation {bad[0].get('id')} {what}{count}", tip="correct or remove what is named")


def _check_files(folder: Path, names: Iterable[str], file: Path) -> None:
    with os.scandir(folder) as entries:
        present = {entry.name for entry in entries}
    missing = [name for name in names if name not in present and not (folder / name).is_file()]
    _refuse_missing(missing, str(folder), file)


def _refuse_missing(missing: Sequence[str], folder: str, file: Path) -> None:
    if missing:
        count = f" ({len(missing)} such images)" if len(missing) > 1 else ""
        tip = f"put the images that {file.name} names there"
        raise UsageError(f"{folder}/{missing[0]} is missing{count}", tip=tip, code="data-missing")


def _check_archive(archive: Path) -> None:
    try:
        with tarfile.open(archive) as members:
            empty = members.next() is None
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise _bad(f"{archive} is no readable archive: {error}", tip="pack it again with tar") from None
    if empty:
        raise _bad(f"{archive} is empty", tip="pack the images into it")


def _bad(message: str, tip: str = "") -> UsageError:
    return UsageError(message, tip=tip, code="bad-data")
