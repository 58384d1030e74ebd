"""What the cache of a node holds, and what of it may go: the contents that nobody has used for the longest time.

A content is used when a job asks for it, and while a watcher looks after a job that reads it: `touch`. What was used
within the last hour stays, whatever room it takes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tao_automl.errors import PlatformError
from tao_automl.execution.job import Staged

LOCK = "lock"  # held while a content is brought or removed; holds its address, and its time is that of the last use
IN_USE_S = 3600.0
TOUCH_EVERY_S = 600.0


@dataclass(frozen=True)
class Content:
    """One content of the cache. `url` is where it is from, None if that was not written down."""

    folder: Path
    url: str | None
    size_bytes: int
    used_s: float

    def in_use(self, now_s: float) -> bool:
        return now_s - self.used_s < IN_USE_S


def folder_of(staged: Staged) -> Path:
    """The folder of a content, below which its place is."""
    path = Path(staged.path)
    return next(folder for folder in path.parents if folder.name == staged.digest)


def touch(staged: Iterable[Staged]) -> None:
    """Say that contents are used now."""
    for item in staged:
        with contextlib.suppress(OSError):
            os.utime(folder_of(item) / LOCK)


def contents(cache: Path) -> tuple[Content, ...]:
    """Everything there is, the longest unused first."""
    folders = [path for path in (cache / "s3").glob("*") if (path / LOCK).is_file()]
    found = [content for folder in folders if (content := _content(folder)) is not None]
    return tuple(sorted(found, key=lambda item: (item.used_s, item.folder.name)))


def trim(cache: Path, keep_bytes: int, now_s: float | None = None) -> tuple[Content, ...]:
    """Remove contents, the longest unused first, until no more than `keep_bytes` is left. Returns what was removed.

    Raises:
        PlatformError: something cannot be removed.
    """
    now_s = time.time() if now_s is None else now_s
    held = contents(cache)
    left_bytes = sum(item.size_bytes for item in held)
    removed: list[Content] = []
    for item in held:
        if left_bytes <= keep_bytes:
            break
        if not item.in_use(now_s) and _remove(item):
            left_bytes -= item.size_bytes
            removed.append(item)
    return tuple(removed)


def _content(folder: Path) -> Content | None:
    size_bytes = sum(_size_bytes(path) for path in folder.rglob("*") if path.name != LOCK)
    try:
        lock = folder / LOCK
        url, used_s = lock.read_text(encoding="utf-8").strip(), lock.stat().st_mtime
    except OSError:
        return None
    return Content(folder, url or None, size_bytes, used_s) if size_bytes else None


def _size_bytes(path: Path) -> int:
    try:
        stat = path.lstat()
    except OSError:  # removed since it was listed
        return 0
    return 0 if path.is_dir() else stat.st_blocks * 512


def _remove(item: Content) -> bool:
    """False if somebody brings it at this moment, or has used it since it was listed.

    The lock stays, for who may wait for it. A content leaves its place by a rename, so that nobody sees half of it.
    """
    try:
        with (item.folder / LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(lock.fileno()).st_mtime != item.used_s:
                return False
            for path in _held(item.folder):
                gone = path.with_name(f".gone.{path.name}")
                path.rename(gone)
                shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    except BlockingIOError:
        return False
    except OSError as error:
        said = error.strerror or type(error).__name__
        raise PlatformError(f"{item.folder} cannot be removed: {said}", tip="is it yours?", code="cache") from None
    return True


def _held(folder: Path) -> Sequence[Path]:
    return [path for path in folder.iterdir() if path.name != LOCK]
