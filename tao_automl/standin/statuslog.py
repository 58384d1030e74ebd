"""Writes status.json: one JSON object a line, with the keys and their order of TAO's own logger."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any


class StatusLog:
    """Appends to a status file. `kpi` is sticky: once set, each later line repeats it until it is replaced.

    A silent one writes nothing: of the nodes that train together only the first does.
    """

    def __init__(self, path: Path, silent: bool = False) -> None:
        self._path = path
        self._silent = silent
        self.kpi: dict[str, Any] = {}
        self.half_line_s: float | None = None  # a fault: the next line is flushed in two halves this far apart

    def write(self, message: str, status: str = "RUNNING", first: dict[str, Any] | None = None) -> None:
        """One line. `first` are the keys that stand before the date."""
        now = datetime.now()
        line = {
            **(first or {}),
            "date": f"{now.month}/{now.day}/{now.year}",
            "time": f"{now.hour}:{now.minute}:{now.second}",
            "status": status,
            "verbosity": "INFO",
        }
        if message:
            line["message"] = message
        if self.kpi:
            line["kpi"] = self.kpi
        self._append(json.dumps(line) + "\n")

    def log(self, message: str, level: str = "INFO") -> None:
        """A log line: it goes to the console and, as TAO does since 6.25, into the status file too."""
        colour = "\x1b[33;20m" if level == "WARNING" else "\x1b[31;20m" if level == "ERROR" else "\x1b[38;20m"
        stamp = datetime.now().strftime("%Y-%m-%d %H:%M:%S,%f")[:-3]
        print(f"\r{colour}{stamp} - [TAO Toolkit] - {level} - {message} (standin)\x1b[0m", flush=True)
        self.write(message, "FAILURE" if level == "ERROR" else "RUNNING")

    def epoch(self, epoch: int, epochs: int, step: int, batches: int, spent: tuple[float, float]) -> None:
        """The line of an epoch's end. `spent` are seconds for the epoch and for one step."""
        epoch_s, step_s = spent
        first = {
            "epoch": epoch,
            "step": step,
            "max_epoch": epochs - 1,
            "max_step": epochs * batches,
            "time_per_epoch": str(timedelta(seconds=epoch_s)),
            "time_per_step": str(timedelta(seconds=step_s)),
            "eta": str(timedelta(seconds=(epochs - 1 - epoch) * epoch_s)),
        }
        self.write("Training loop in progress", first=first)

    def _append(self, text: str) -> None:
        if self._silent:
            return
        with self._path.open("a", encoding="utf-8") as file:
            if self.half_line_s is not None:
                half = len(text) // 2
                file.write(text[:half])
                file.flush()
                time.sleep(self.half_line_s)
                text, self.half_line_s = text[half:], None
            file.write(text)
