"""Keeps a copy of a folder in an object store while it grows: what a study leaves, also of trials that failed.

A file goes up again when its size or its time is another one than when it was sent. Links stay here: the file that
a link leads to goes up under its own name. A checkpoint that is removed here is removed there, if it was sent from
here; where the whole folder of a file is gone, nothing is removed.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tao_automl.errors import AutoMLError, PlatformError
from tao_automl.execution.store import QUICK, UPLOAD_PART_BYTES, Object, Store
from tao_automl.tao.remote import Address

EVERY_S = 30.0
THREADS = 4
OURS = ("lock", "*.new", ".*")  # half made, or of use here only

LeftOut = Callable[[PurePosixPath], bool]


@dataclass(frozen=True)
class Snapshot:
    """A file elsewhere that changes as a whole: `take` makes a sound copy of it, which is sent as `name`."""

    name: str
    source: Path
    take: Callable[[Path], None]


class Upload:
    """One folder and its copy. `left_out` says of a path below the folder that it stays here."""

    def __init__(self, folder: Path, to: Address, left_out: LeftOut, snapshot: Snapshot | None = None) -> None:
        self._folder, self._to, self._left_out, self._snapshot = folder, to, left_out, snapshot
        self._taken: tuple[int, int] | None = None  # size and time of the snapshot's source when it was sent
        self._store = Store()
        self._sent: dict[str, tuple[int, int]] = {}  # size and time of each file when it was sent
        self._there: Mapping[str, Object] | None = None  # what an earlier driver has sent
        self._over = threading.Event()

    @contextlib.contextmanager
    def going_on(self, say: Callable[[str], None]) -> Iterator[None]:
        """Send what there is, then what comes, and at the end the rest.

        `say` hears of what fails in between: that is tried again.

        Raises:
            AutoMLError: the store does not take it at the start, or not all of it at the end.
        """
        self.once()
        worker = threading.Thread(target=self._repeat, args=(say,), daemon=True)
        worker.start()
        with self.at_end():
            try:
                yield
            finally:
                self._over.set()
                worker.join()

    @contextlib.contextmanager
    def at_end(self) -> Iterator[None]:
        """Send what there is when the block is over, also when it breaks off.

        Raises:
            AutoMLError: the store does not take all of it.
        """
        try:
            yield
        except BaseException:
            with contextlib.suppress(AutoMLError):  # what ended it is what counts
                self.once()
            raise
        self.once()

    def once(self) -> None:
        """Bring the copy up to date.

        Raises:
            AutoMLError: the store does not take a file; the others were tried.
        """
        if self._there is None:
            root = len(self._to.key) + 1 if self._to.key else 0
            self._there = {item.key[root:]: item for item in self._store.list(self._to)}
        files = dict(self._files())
        with ThreadPoolExecutor(THREADS) as pool:
            changed = [name for name, seen in files.items() if self._sent.get(name) != seen]
            problems = [found for found in pool.map(self._try, changed, map(files.get, changed)) if found is not None]
        for name in [name for name in self._sent if name not in files and (self._folder / name).parent.is_dir()]:
            self._store.delete(self._to.below(name))
            del self._sent[name]
        self._send_snapshot()
        if problems:
            raise problems[0]

    def _send_snapshot(self) -> None:
        if self._snapshot is None or not self._snapshot.source.is_file():
            return
        stat = self._snapshot.source.stat()
        seen = stat.st_size, stat.st_mtime_ns
        if seen != self._taken:
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(folder) / self._snapshot.name
                self._snapshot.take(copy)
                self._store.put(copy, self._to.below(self._snapshot.name))
            self._taken = seen

    def _repeat(self, say: Callable[[str], None]) -> None:
        said = None
        while not self._over.wait(EVERY_S):
            problem = self._problem()
            if problem and problem != said:
                say(problem)
            said = problem

    def _problem(self) -> str | None:
        try:
            self.once()
        except AutoMLError as error:
            return error.message
        return None

    def _files(self) -> Iterator[tuple[str, tuple[int, int]]]:
        for folder, folders, names in os.walk(self._folder):
            inside = PurePosixPath(Path(folder).relative_to(self._folder))
            folders[:] = [name for name in folders if not _is_ours(name)]
            for name in names:
                path = Path(folder, name)
                if _is_ours(name) or path.is_symlink() or not path.is_file() or self._left_out(inside / name):
                    continue
                with contextlib.suppress(FileNotFoundError):  # removed since it was listed
                    stat = path.stat()
                    yield str(inside / name), (stat.st_size, stat.st_mtime_ns)

    def _try(self, name: str, seen: tuple[int, int]) -> AutoMLError | None:
        file, there = self._folder / name, (self._there or {}).get(name)
        try:
            if name in self._sent or there is None or not _is_copy(there, file):
                self._store.put(file, self._to.below(name))
        except FileNotFoundError:
            return None  # removed since it was listed
        except OSError as error:
            return PlatformError(f"{file} cannot be read to upload it: {error.strerror}")
        except AutoMLError as error:
            return error
        self._sent[name] = seen
        return None


def check(to: Address) -> None:
    """Ask the store that is to get a copy, without changing anything there.

    Raises:
        AutoMLError: no such bucket, no credentials, a wrong endpoint.
    """
    next(Store(QUICK).list(to), None)


def matches(patterns: Sequence[str], path: PurePosixPath) -> bool:
    """True if a pattern names the path or a folder above it: `inputs/`, `inputs/*`, `*.pth`, `train/events*`."""
    each = [str(part) for part in (path, *path.parents) if str(part) != "."]
    return any(fnmatch.fnmatchcase(name, pattern.rstrip("/")) for pattern in patterns for name in each)


def _is_ours(name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in OURS)


def _is_copy(there: Object, file: Path) -> bool:
    """True if the store has this content: by the digest of the whole, or the one made of those of our parts."""
    if there.size_bytes != file.stat().st_size:
        return False
    whole, parts = hashlib.md5(usedforsecurity=False), []
    with file.open("rb") as stream:
        while chunk := stream.read(UPLOAD_PART_BYTES):
            whole.update(chunk)
            parts.append(hashlib.md5(chunk, usedforsecurity=False).digest())
    of_parts = hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()
    return there.etag in (whole.hexdigest(), f"{of_parts}-{len(parts)}")
