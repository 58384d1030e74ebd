"""The intent to stop a container, kept in its job's folder, and the thread that carries it out.

The file outlives the thread: whoever watches the job next goes on.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tao_automl.execution import containers
from tao_automl.execution.connection import Connection, NoAnswerError, RefusedError
from tao_automl.execution.runtimes import supervisor

POLL_S = 0.2
FILE = "stop.json"


@dataclass(frozen=True)
class Intent:
    """When a job is to be killed, whether it was asked to end before, and the line that its log then ends with."""

    kill_at_s: float
    asked: bool = False
    line: str = ""


def read(folder: Path) -> Intent | None:
    values = supervisor.read(folder / FILE)
    return None if values is None or "kill_at_s" not in values else Intent(**values)


def intend(folder: Path, kill_at_s: float, line: str = "") -> Intent:
    """Write down that a job is to be killed then; an earlier time that is there already holds."""
    known = read(folder) or Intent(kill_at_s)
    intent = replace(known, kill_at_s=min(kill_at_s, known.kill_at_s), line=line or known.line)
    with contextlib.suppress(OSError):  # a full disk must not keep a job from being stopped
        supervisor.write(folder / FILE, asdict(intent))
    return intent


class Container:
    """A container that is to be stopped. Its name may be taken by another one: only that of the folder counts."""

    def __init__(self, engine: Connection, name: str, folder: Path) -> None:
        self._engine, self._name, self._folder = engine, name, folder

    def running(self) -> bool:
        try:
            found = self._engine.ask(lambda api: api.inspect_container(self._name))
        except RefusedError as error:
            return error.status != 404
        return bool(found["State"]["Running"]) and found["Config"].get("WorkingDir") == str(self._folder)

    def ask(self) -> None:
        """Ask the trainer in it to save what it has and to end."""
        with contextlib.suppress(RefusedError):  # it has just ended, or has no shell: it is killed at its time
            made = self._engine.ask(lambda api: api.exec_create(self._name, ["sh", "-c", containers.ASK]))
            self._engine.ask(lambda api: api.exec_start(made["Id"], detach=True))

    def kill(self) -> None:
        try:
            self._engine.ask(lambda api: api.kill(self._name))
        except RefusedError:
            with contextlib.suppress(RefusedError):  # a paused one cannot be killed
                self._engine.ask(lambda api: api.unpause(self._name))


class Stop(threading.Thread):
    """Asks, waits out the grace and kills. It ends with its target."""

    def __init__(self, folder: Path, kill_at_s: float, target: Container) -> None:
        super().__init__(daemon=True, name=f"stop {folder.name}")
        self._folder, self._target, self._kill_at_s = folder, target, kill_at_s
        self._changed = threading.Event()

    def hasten(self, kill_at_s: float) -> None:
        """Kill at an earlier time."""
        if kill_at_s < self._kill_at_s:
            self._kill_at_s = kill_at_s
            self._changed.set()

    def run(self) -> None:
        known = read(self._folder)
        asked = known is not None and known.asked  # twice would break the trainer off while it saves
        while True:
            with contextlib.suppress(NoAnswerError):
                if not self._target.running():
                    return
                if time.time() >= self._kill_at_s:
                    self._target.kill()
                elif not asked:
                    self._target.ask()
                    asked = True
                    self._remember()
            self._changed.wait(min(POLL_S, max(0.01, self._kill_at_s - time.time())))
            self._changed.clear()

    def _remember(self) -> None:
        known = read(self._folder)
        if known is not None:
            with contextlib.suppress(OSError):
                supervisor.write(self._folder / FILE, asdict(replace(known, asked=True)))
