"""Brings data to where jobs read it. Here: archives of images become folders, once."""

from __future__ import annotations

import contextlib
import errno
import lzma
import shutil
import tarfile
import tempfile
import zlib
from pathlib import Path, PurePosixPath

from tao_automl.errors import PlatformError, UsageError

LIMIT_BYTES = 2 * 2**40  # of what an archive may unpack to
RESERVE_BYTES = 500 * 2**20  # what stays free on the disk
BOMB_BYTES, BOMB_RATIO = 2**30, 200  # images hardly shrink: what grows by more than this is no archive of images

_BROKEN = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, ValueError, OSError)
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


def unpack(archive: Path, into: Path, limit_bytes: int | None = None) -> Path:
    """Unpack an archive of images into `into`/images, which is there whole or not at all.

    Both layouts are understood: members below `images/`, and members at the top.

    Args:
        limit_bytes: of what it may unpack to; else what the disk holds, and what an archive of its size may.

    Raises:
        UsageError: no archive, a member that would leave the folder, a link or device, or too large.
        PlatformError: the disk cannot take it.
    """
    images = into / "images"
    if images.is_dir():
        return images
    if not archive.is_file():
        raise UsageError(f"there is no archive {archive}", tip="name a .tar.gz file of images")
    absent = [folder for folder in into.parents if not folder.exists()]
    try:
        _unpack(archive, into, limit_bytes)
    except _BROKEN as error:
        if isinstance(error, OSError) and error.errno in _DISK:
            tip = "make room, or name another place with --studies-dir"
            raise PlatformError(f"{archive} cannot be unpacked to {into}: {error.strerror}", tip=tip) from None
        line = str(error).partition("\n")[0].rstrip(": ")
        raise UsageError(f"{archive} cannot be unpacked: {line}", tip="is it a complete .tar.gz file?") from None
    finally:
        for folder in absent:  # those that stayed empty
            with contextlib.suppress(OSError):
                folder.rmdir()
    return images


def _limit_bytes(archive: Path, folder: Path) -> int:
    free = shutil.disk_usage(folder).free - RESERVE_BYTES
    return max(0, min(LIMIT_BYTES, free, max(BOMB_BYTES, BOMB_RATIO * archive.stat().st_size)))


def _unpack(archive: Path, into: Path, limit_bytes: int | None) -> None:
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{into.name}.", dir=into.parent) as folder:
        fresh = Path(folder) / "whole"  # with the usual mode; the temporary folder is closed to others
        fresh.mkdir()
        limit = _limit_bytes(archive, fresh) if limit_bytes is None else limit_bytes
        with tarfile.open(archive) as tar:
            _extract(tar, archive, fresh, limit)
        if not (fresh / "images").is_dir():
            _move_down(fresh)
        _publish(fresh, into)


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
            raise UsageError(
                f"{archive} unpacks to more than {limit_bytes / 2**30:.1f} GiB",
                tip="is it an archive of images? If so, make room, or unpack it yourself and name the folder",
            )
        if member.isfile():
            _write(tar, member, fresh / Path(*path.parts))
    while tar.fileobj is not None and tar.fileobj.read(2**20):
        pass  # a compressed stream's checksum stands at its end


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
