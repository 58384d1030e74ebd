"""Brings data to where jobs read it. Here: archives of images become folders, once."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path, PurePosixPath

from tao_automl.errors import UsageError

LIMIT_BYTES = 2 * 2**40  # of what an archive may unpack to


def unpack(archive: Path, into: Path, limit_bytes: int = LIMIT_BYTES) -> Path:
    """Unpack an archive of images into `into`/images, which is there whole or not at all.

    Both layouts are understood: members below `images/`, and members at the top.

    Raises:
        UsageError: no archive, a member that would leave the folder, a link or device, or too large.
    """
    images = into / "images"
    if images.is_dir():
        return images
    fresh = into.with_name(f".{into.name}.{os.getpid()}")
    try:
        fresh.mkdir(parents=True)
        with tarfile.open(archive) as tar:
            _extract(tar, archive, fresh, limit_bytes)
        if not (fresh / "images").is_dir():
            _move_down(fresh)
        _publish(fresh, into)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UsageError(f"{archive} cannot be unpacked: {error}", tip="is it a complete .tar.gz file?") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return images


def _extract(tar: tarfile.TarFile, archive: Path, fresh: Path, limit_bytes: int) -> None:
    total = 0
    for member in tar:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
            raise UsageError(
                f"{archive} holds '{member.name}', which is no plain file below it",
                tip="pack plain files with relative names only",
            )
        total += member.size
        if total > limit_bytes:
            raise UsageError(f"{archive} unpacks to more than {limit_bytes / 2**30:.1f} GiB")
        if member.isfile():
            _write(tar, member, fresh / Path(*path.parts))


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    """Only the content: owner, mode and times of an archive are not taken over."""
    source = tar.extractfile(member)
    if source is None:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with source, target.open("wb") as file:
        shutil.copyfileobj(source, file, 2**20)


def _move_down(fresh: Path) -> None:
    """Members at the top, or below a folder of another name, become `images`."""
    content = list(fresh.iterdir())
    if len(content) == 1 and content[0].is_dir():
        content[0].rename(fresh / "images")
        return
    images = fresh / "images"
    images.mkdir()
    for path in content:
        path.rename(images / path.name)


def _publish(fresh: Path, into: Path) -> None:
    try:
        fresh.rename(into)
    except OSError:
        if not (into / "images").is_dir():  # else another process was faster, with the same content
            raise
