"""What a node keeps of an object store: each content once, under a name made of what it is.

```
<cache>/s3/<digest>/lock          held while the content is brought; has its address, and the time of its last use
                    fresh/        what has come so far; the next try goes on with it, if it is of the same boot
                    <name>        there whole, or not at all
                    data/images/  of an archive, instead
```
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tao_automl.errors import AutoMLError, PlatformError, UsageError
from tao_automl.execution import shelf, staging
from tao_automl.execution.fetch import Wanted, fetch
from tao_automl.execution.job import JobSpec, Staged
from tao_automl.execution.store import AbsentError, ChangedError, Object, Store
from tao_automl.tao import remote
from tao_automl.tao.remote import Address

FILE, FOLDER, ARCHIVE = "file", "folder", "archive"
ARCHIVES = (".tar.gz", ".tgz", ".tar", ".tar.xz", ".tar.bz2")
BOOT = Path("/proc/sys/kernel/random/boot_id")
_UNITS = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
SAY_EVERY_S, LOCK_EVERY_S = 2.0, 0.1

Say = Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """What is at an address: one object, or all below it."""

    address: Address
    kind: str
    objects: tuple[Object, ...]

    @property
    def size_bytes(self) -> int:
        return sum(item.size_bytes for item in self.objects)

    def digest(self) -> str:
        """Another content has another one."""
        content = [str(self.address), self.kind, [(item.key, item.size_bytes, item.etag) for item in self.objects]]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]

    def wanted(self, into: Path) -> list[Wanted]:
        """Each object with its file below `into`.

        Raises:
            UsageError: a key would leave the folder.
        """
        if self.kind != FOLDER:
            return [Wanted(self.objects[0], into / self.address.name)]
        root = len(self.address.key) + 1 if self.address.key else 0
        return [Wanted(item, into / self.address.name / self._inside(item.key[root:])) for item in self.objects]

    def _inside(self, name: str) -> str:
        if name.startswith("/") or any(part in ("", ".", "..") for part in name.split("/")) or "\0" in name:
            raise UsageError(f"{self.address} holds the key '{name}', which is no plain path", tip="rename the object")
        return name


def within(listed: Found, url: str) -> Found | None:
    """What is at an address below a folder that was listed, without another question; None if nothing is."""
    address = remote.parse(url)
    same = tuple(item for item in listed.objects if item.key == address.key)
    below = tuple(item for item in listed.objects if item.key.startswith(f"{address.key}/"))
    if not same and not below:
        return None
    return _found(address, same[0]) if same else Found(address, FOLDER, below)


def look(store: Store, url: str) -> Found:
    """What is at an address now.

    Raises:
        UsageError: there is nothing, no such bucket, or the text is no address.
        PlatformError: the store cannot be asked, or does not answer for this address.
    """
    address = remote.parse(url)
    item, refused = None, None
    if address.key and not url.endswith("/"):
        try:
            item = store.head(address)
        except PlatformError as error:
            refused = error  # without the right to list, a store says so of what is not there too
    if item is not None:
        return _found(address, item)
    objects = tuple(item for item in store.list(address) if not item.key.endswith("/"))
    if objects:
        return Found(address, FOLDER, objects)
    raise refused or AbsentError(f"there is no {address}", tip="is the key right? It is case-sensitive")


def _found(address: Address, item: Object) -> Found:
    return Found(address, ARCHIVE if address.name.endswith(ARCHIVES) else FILE, (item,))


def placed(url: str, kind: str, digest: str, size_bytes: int, cache: Path) -> Staged:
    """Where a node with this cache keeps a content."""
    folder = cache / "s3" / digest
    path = folder / "data" / "images" if kind == ARCHIVE else folder / remote.parse(url).name
    return Staged(url, kind, digest, size_bytes, str(path))


def stage(wanted: Staged, say: Say, store: Store | None = None) -> None:
    """Bring a content to its place, unless it is there. Only one process of a node does, the others wait for it.

    Raises:
        ChangedError: the store has another content there by now.
        AutoMLError: it cannot be had, or is an archive that cannot be unpacked.
    """
    path, folder = Path(wanted.path), shelf.folder_of(wanted)
    if path.exists():
        shelf.touch([wanted])
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder / shelf.LOCK, lambda: say(f"waits for another job that brings {wanted.url}")):
            if not path.exists():
                _bring(wanted, folder, say, store or Store())
    except OSError as error:
        tip = "make room, or name another place with --cache-dir"
        said = error.strerror or type(error).__name__
        raise PlatformError(f"{wanted.url} cannot be written to {folder}: {said}", tip=tip, code="cache") from None


def missing(staged: Sequence[Staged]) -> tuple[Staged, ...]:
    """What this node lacks."""
    return tuple(item for item in staged if not Path(item.path).exists())


class Stager:
    """Brings what a job needs while its watcher goes on answering."""

    def __init__(self) -> None:
        self._work: threading.Thread | None = None
        self._said = ""
        self._problem: AutoMLError | None = None

    def waits(self, job: JobSpec) -> str | None:
        """What the job waits for; None once everything is there.

        Raises:
            AutoMLError: it cannot be had.
        """
        if self._work is None:
            lacks = missing(job.staged)
            if not lacks:
                return None
            self._said, self._problem = f"{lacks[0].url} is brought here", None
            self._work = threading.Thread(target=self._bring, args=(lacks,), daemon=True)
            self._work.start()
        elif not self._work.is_alive():
            self._work = None
            if self._problem is not None:
                raise self._problem
            return self.waits(job)
        return self._said

    def _bring(self, lacks: Sequence[Staged]) -> None:
        try:
            for item in lacks:
                stage(item, self._say)
        except AutoMLError as error:
            self._problem = error

    def _say(self, text: str) -> None:
        self._said = text


def _bring(wanted: Staged, folder: Path, say: Say, store: Store) -> None:
    found = look(store, wanted.url)
    if found.digest() != wanted.digest:
        raise ChangedError(
            f"{wanted.url} has changed since the study was started",
            tip="a study keeps the data that it was started with: start a new one",
        )
    fresh, name = _fresh(folder), found.address.name
    _check_room(wanted, folder, fresh)
    count = _Count(wanted.url, wanted.size_bytes, say)
    fetch(store, found.address.bucket, found.wanted(fresh), count)
    if wanted.kind == ARCHIVE:
        say(f"{wanted.url}: unpacking")
        _unpack(wanted.url, folder, fresh / name)
    (folder / shelf.LOCK).write_text(wanted.url, encoding="utf-8")
    os.sync()  # what a power cut leaves must not be taken for the whole
    if wanted.kind != ARCHIVE:
        (fresh / name).rename(folder / name)
    shutil.rmtree(fresh)


def _fresh(folder: Path) -> Path:
    """Where content comes to. After a power cut files may be there without their content: then nothing is."""
    fresh, boot = folder / "fresh", folder / "fresh" / ".boot"
    this_boot = BOOT.read_text(encoding="ascii")
    if not boot.exists() or boot.read_text(encoding="ascii") != this_boot:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        boot.write_text(this_boot, encoding="ascii")
    return fresh


def _unpack(url: str, folder: Path, archive: Path) -> None:
    for left in folder.glob(".data.*"):  # of a process that was killed
        shutil.rmtree(left)
    try:
        with named(archive, url):
            staging.unpack(archive, folder / "data")
    except UsageError:
        archive.unlink()
        raise


@contextlib.contextmanager
def named(path: Path, url: str) -> Iterator[None]:
    """Errors name the address that the user knows, not its place in the cache.

    Raises:
        AutoMLError: of the same kind.
    """
    try:
        yield
    except AutoMLError as error:
        message = error.message.replace(str(path), url)
        raise type(error)(message, error.tip, error.code) from None


def _check_room(wanted: Staged, folder: Path, fresh: Path) -> None:
    """Raises:
    PlatformError: the disk cannot take it.
    """
    there = sum(path.stat().st_blocks * 512 for path in fresh.rglob("*") if path.is_file()) if fresh.exists() else 0
    free, needed = shutil.disk_usage(folder).free, wanted.size_bytes - there
    if free < needed:
        raise PlatformError(
            f"{wanted.url} needs {needed / 2**30:.1f} GiB, and {folder.parent} has {free / 2**30:.1f} GiB free",
            tip="make room, or name another place with --cache-dir",
            code="disk-full",
        )


@contextlib.contextmanager
def _alone(lock: Path, wait: Callable[[], None]) -> Iterator[None]:
    """The kernel's lock of a file: it ends with whoever has it."""
    with lock.open("a") as stream:
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                wait()
                time.sleep(LOCK_EVERY_S)
        yield


class _Count:
    """Says now and then how much has come."""

    def __init__(self, url: str, total_bytes: int, say: Say) -> None:
        self._url, self._total_bytes, self._say = url, total_bytes, say
        self._done_bytes = 0
        self._said_s = 0.0
        self._lock = threading.Lock()

    def __call__(self, size_bytes: int) -> None:
        with self._lock:
            self._done_bytes += size_bytes
            now_s = time.monotonic()
            if now_s - self._said_s < SAY_EVERY_S and self._done_bytes < self._total_bytes:
                return
            self._said_s = now_s
            self._say(f"{self._url}: {_size(self._done_bytes)} of {_size(self._total_bytes)}")


def _size(size_bytes: int) -> str:
    unit, name = next(((unit, name) for unit, name in _UNITS if size_bytes >= unit), _UNITS[-1])
    return f"{size_bytes / unit:.1f} {name}"
