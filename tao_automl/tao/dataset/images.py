"""The images of a dataset: a folder, or an archive that becomes one."""

from __future__ import annotations

import os
import tarfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from tao_automl.errors import UsageError

ARCHIVES = (".tar.gz", ".tgz", ".tar")


def find(folder: Path, image: str) -> Path:
    """The image folder, which goes before the archive of the same name.

    Raises:
        UsageError: there is neither.
    """
    for path in (folder / image.split(".", 1)[0], folder / image):
        if path.exists():
            return path
    raise UsageError(
        f"{folder} has no images", tip=f"put {image} or {image.split('.', 1)[0]}/ there", code="data-missing"
    )


def check(images: Path, names: Iterable[str], file: Path) -> None:
    """Refuse images that `file` names and that are not there, or an archive that cannot be read.

    Raises:
        UsageError: the first case is named, and how many there are.
    """
    if images.is_dir():
        _check_files(images, names, file)
    else:
        check_archive(images)


def check_archive(archive: Path) -> None:
    """Refuse an archive that is broken at its beginning, or empty.

    Raises:
        UsageError: it is.
    """
    try:
        with tarfile.open(archive) as members:
            empty = members.next() is None
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise UsageError(
            f"{archive} is no readable archive: {error}", tip="pack it again with tar", code="bad-data"
        ) from None
    if empty:
        raise UsageError(f"{archive} is empty", tip="pack the images into it", code="bad-data")


def refuse_missing(missing: Sequence[str], folder: str, file: Path) -> None:
    """Refuse images that `file` names and that are not in `folder`.

    Raises:
        UsageError: there are any; the first is named, and how many there are.
    """
    if missing:
        count = f" ({len(missing)} such images)" if len(missing) > 1 else ""
        tip = f"put the images that {file.name} names there"
        raise UsageError(f"{folder}/{missing[0]} is missing{count}", tip=tip, code="data-missing")


def _check_files(folder: Path, names: Iterable[str], file: Path) -> None:
    with os.scandir(folder) as entries:
        present = {entry.name for entry in entries}
    missing = [name for name in names if name not in present and not (folder / name).is_file()]
    refuse_missing(missing, str(folder), file)
