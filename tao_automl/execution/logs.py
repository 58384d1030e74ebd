"""Copies what a container prints into its job's log.txt, whoever does it and however often it begins again.

A carriage return becomes a line end, byte for byte: so the size of the file says how much of the stream it has,
and a copier that comes later goes on where the last one stopped. It follows that nothing else may be written to
the file while the container lives.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import threading
import time
from collections.abc import Iterable, Iterator
from io import FileIO
from pathlib import Path

from tao_automl.execution.connection import Connection, NoAnswerError, RefusedError

AGAIN_S = 0.5


class Follower(threading.Thread):
    """Copies what a container prints until it has ended, over restarts of the engine and full disks."""

    def __init__(self, path: Path, engine: Connection, name: str) -> None:
        super().__init__(daemon=True, name=f"log of {name}")
        self._path, self._engine, self._name = path, engine, name

    def run(self) -> None:
        while self._running():
            with contextlib.suppress(OSError, NoAnswerError, RefusedError):
                copy(self._path, stream(self._engine, self._name, follow=True))
            time.sleep(AGAIN_S if self._running() else 0)

    def _running(self) -> bool:
        try:
            return bool(self._engine.ask(lambda api: api.inspect_container(self._name))["State"]["Running"])
        except NoAnswerError:
            return True
        except RefusedError:
            return False


def stream(engine: Connection, name: str, *, follow: bool = False) -> Iterator[bytes]:
    """What a container has printed so far, or till its end."""
    return engine.stream(lambda api: api.logs(name, stream=True, follow=follow))


def copy(path: Path, chunks: Iterable[bytes], last: bytes = b"") -> None:
    """Append what `path` does not have yet of a stream that is read from its beginning, and then of `last`.

    Raises:
        BlockingIOError: another one copies into this file.
        OSError: it cannot be written; what has been written is right.
    """
    with FileIO(path, "a") as log:
        _claim(log)
        known = log.seek(0, 2)
        for chunk in chunks:
            known = _append(log, chunk.replace(b"\r", b"\n"), known)
        _append(log, last, known)


def _claim(log: FileIO) -> None:
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:  # some shared file systems have no locks: then one copier a job is the rule
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            raise


def _append(log: FileIO, chunk: bytes, known: int) -> int:
    """Write a chunk but for its first `known` bytes; returns how many of the next one are there already."""
    rest = memoryview(chunk)[known:]
    while rest:
        rest = rest[log.write(rest) or 0 :]
    return max(0, known - len(chunk))
