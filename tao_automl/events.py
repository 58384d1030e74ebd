"""What happened in a study, one JSON object a line, appended and never rewritten.

Kinds: preparing, study_started, study_resumed, trial_started, trial_attached, trial_waiting, epoch,
trial_stopping, trial_retried, gpu_quarantined, orphan_stopped, upload_failed, trial_scoring, trial_finished,
new_best, baseline, final_evaluation, final_evaluation_failed, study_finished. The log is for people and
programs that watch; no decision is ever read from it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

Event = Mapping[str, Any]
Listener = Callable[[Event], None]


class EventLog:
    """Appends events to a file, if there is one yet, and tells listeners (the terminal, `--json`)."""

    def __init__(self, path: Path | None, study: str, now: Callable[[], datetime]) -> None:
        self._path = path
        self._study = study
        self._now = now
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()  # an upload tells its own

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def emit(self, kind: str, **fields: Any) -> None:
        """Write one event. `fields` are JSON values; a field that is None is left out."""
        event: dict[str, Any] = {
            "schema": 1,
            "time": self._now().astimezone().isoformat(timespec="milliseconds"),
            "event": kind,
            "study": self._study,
        }
        event.update({name: value for name, value in fields.items() if value is not None})
        with self._lock:
            if self._path is not None:
                with self._path.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(event, allow_nan=False) + "\n")
            for listener in self._listeners:
                listener(event)


def read(path: Path) -> list[dict[str, Any]]:
    """The events of a study so far; a half-written last line is left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]
