"""One driver per study: a lock file that names the host and process which hold it.

The kernel's file lock is what counts, so a driver that was killed leaves nothing to clean up; the text in
the file is for people. Readers need no lock.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import IO

from tao_automl.errors import StudyError


class StudyLock:
    """Context manager that holds a study's lock.

    Raises (on enter):
        StudyError: another driver holds it; the message names its host and process.
    """

    def __init__(self, path: Path, study: str) -> None:
        self._path = path
        self._study = study
        self._stream: IO[str] | None = None

    def __enter__(self) -> StudyLock:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        stream = self._path.open("a+", encoding="utf-8")
        if not _acquire(stream):
            stream.close()
            raise StudyError(
                f"study '{self._study}' is driven by {holder(self._path) or 'another process'}",
                tip=f"watch it: tao-automl status {self._study}; end it: tao-automl stop {self._study}",
                code="study-locked",
            )
        stream.seek(0)
        stream.truncate()
        json.dump({"host": socket.gethostname(), "pid": os.getpid()}, stream)
        stream.flush()
        self._stream = stream
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.truncate(0)
            self._stream.close()
            self._stream = None


def _acquire(stream: IO[str]) -> bool:
    """Take the lock; a reader that asks who holds it has it for an instant, so try a few times."""
    return any(_try(stream) for _ in range(10))


def _try(stream: IO[str]) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(0.02)
        return False
    return True


def holder(path: Path) -> str | None:
    """'process 4711 on box' while somebody holds the lock, else None."""
    try:
        with path.open(encoding="utf-8") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                try:
                    owner = json.load(stream)
                except ValueError:
                    return "another process"
                return f"process {owner['pid']} on {owner['host']}"
    except FileNotFoundError:
        pass
    return None
