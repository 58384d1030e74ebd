"""Brings objects of a store to files: many at once, large ones in parts, and each one whole or not at all.

What an earlier try has left is gone on with. A large object is written to one file with holes; beside it, a
journal says which parts are in it.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tao_automl.errors import PlatformError
from tao_automl.execution.store import Object, Store
from tao_automl.tao.remote import Address

PART_BYTES = 64 * 2**20
THREADS = 16
DAMAGED_TIMES = 3  # the same object, arrived with another digest than its own
_MD5 = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Wanted:
    """An object and the file that it becomes."""

    item: Object
    target: Path


def fetch(store: Store, bucket: str, wanted: Sequence[Wanted], count: Callable[[int], None]) -> None:
    """Bring objects to their files.

    Args:
        count: gets the number of bytes that have come, as they come; also those of an earlier try.

    Raises:
        AutoMLError: an object changed, is gone, or cannot be read.
        OSError: the disk does not take it.
    """
    _at_once(_tasks(_Source(store, bucket, count), wanted))


@dataclass(frozen=True)
class _Source:
    store: Store
    bucket: str
    count: Callable[[int], None]

    def is_sound(self, item: Object, digest: str) -> bool:
        """False if what has come is not what the store has. An etag that is no digest says nothing of it."""
        if not _MD5.fullmatch(item.etag) or item.etag == digest:
            return True
        return not self.store.is_md5(Address(self.bucket, item.key))

    def damaged(self, item: Object) -> PlatformError:
        address = Address(self.bucket, item.key)
        tip = "is something between this node and the store that changes what passes?"
        return PlatformError(f"{address} arrived damaged {DAMAGED_TIMES} times", tip=tip, code="s3-damaged")


def _tasks(source: _Source, wanted: Sequence[Wanted]) -> Iterator[Callable[[], None]]:
    for each in wanted:
        if each.target.exists():
            source.count(each.item.size_bytes)
            continue
        each.target.parent.mkdir(parents=True, exist_ok=True)
        if each.item.size_bytes <= PART_BYTES:
            yield partial(_whole, source, each)
        else:
            yield from _Large(source, each).parts()


def _at_once(tasks: Iterator[Callable[[], None]]) -> None:
    """Do tasks on many threads; after the first error no more are begun."""
    lock, stop = threading.Lock(), threading.Event()

    def take() -> Callable[[], None] | None:
        with lock:
            return None if stop.is_set() else next(tasks, None)

    def work() -> None:
        try:
            while task := take():
                task()
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(THREADS) as pool:
        try:
            working = [pool.submit(work) for _ in range(THREADS)]
            for each in working:
                each.result()
        except BaseException:  # also Ctrl-C, which only this thread gets
            stop.set()
            raise


def _whole(source: _Source, wanted: Wanted) -> None:
    """A small object in one read."""
    item, fresh = wanted.item, wanted.target.with_name(f"{wanted.target.name}.part")
    for _ in range(DAMAGED_TIMES):
        digest = hashlib.md5(usedforsecurity=False)
        with fresh.open("wb") as file:
            for chunk in source.store.read(source.bucket, item, 0, item.size_bytes):
                file.write(chunk)
                digest.update(chunk)
        if source.is_sound(item, digest.hexdigest()):
            fresh.rename(wanted.target)
            source.count(item.size_bytes)
            return
    raise source.damaged(item)


@dataclass
class _Large:
    """An object that comes in parts, each of which is read once, also over several tries."""

    source: _Source
    wanted: Wanted
    left: set[int] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def fresh(self) -> Path:
        return self.wanted.target.with_name(f"{self.wanted.target.name}.part")

    @property
    def journal(self) -> Path:
        return self.wanted.target.with_name(f"{self.wanted.target.name}.journal")

    def parts(self) -> Iterator[Callable[[], None]]:
        """What is left to do. The last part to come in makes the file whole."""
        size_bytes = self.wanted.item.size_bytes
        numbers = range((size_bytes + PART_BYTES - 1) // PART_BYTES)
        done = self._begin()
        for number in done:
            self.source.count(self._end(number) - number * PART_BYTES)
        self.left = {number for number in numbers if number not in done}
        if not self.left:
            yield self._finish
        for number in sorted(self.left):
            yield partial(self._bring, number)

    def _begin(self) -> set[int]:
        """The parts that an earlier try has brought; without any, an empty file of the full size."""
        head = [self.wanted.item.etag, str(PART_BYTES)]
        try:
            lines = self.journal.read_text(encoding="ascii").split("\n")
            if lines[:2] == head and self.fresh.stat().st_size == self.wanted.item.size_bytes:
                return {int(line) for line in lines[2:-1]}
        except (OSError, ValueError):
            pass
        with self.fresh.open("wb") as file:
            file.truncate(self.wanted.item.size_bytes)
        self.journal.write_text("\n".join([*head, ""]), encoding="ascii")
        return set()

    def _end(self, number: int) -> int:
        return min(self.wanted.item.size_bytes, (number + 1) * PART_BYTES)

    def _bring(self, number: int) -> None:
        at = number * PART_BYTES
        with self.fresh.open("r+b") as file:
            file.seek(at)
            for chunk in self.source.store.read(self.source.bucket, self.wanted.item, at, self._end(number)):
                file.write(chunk)
        with self.lock:
            with self.journal.open("a", encoding="ascii") as journal:
                journal.write(f"{number}\n")
            self.left.discard(number)
            last = not self.left
        self.source.count(self._end(number) - at)
        if last:
            self._finish()

    def _finish(self) -> None:
        item = self.wanted.item
        for _ in range(DAMAGED_TIMES):
            with self.fresh.open("rb") as file:
                digest = _md5(file.fileno()) if _MD5.fullmatch(item.etag) else ""
            if self.source.is_sound(item, digest):
                self.fresh.rename(self.wanted.target)
                self.journal.unlink(missing_ok=True)
                return
            with self.fresh.open("r+b") as file:
                for chunk in self.source.store.read(self.source.bucket, item, 0, item.size_bytes):
                    file.write(chunk)
        self.fresh.unlink()
        self.journal.unlink(missing_ok=True)
        raise self.source.damaged(item)


def _md5(file: int) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    while chunk := os.read(file, 2**20):
        digest.update(chunk)
    return digest.hexdigest()
