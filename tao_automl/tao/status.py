"""status.json: one JSON object a line, appended while an action runs. What it says, and what the end means.

The trainer repeats the last `kpi` on every later line, so most of them are stale. The metrics of an epoch
are the kpi of the line "Eval metrics generated." that comes before the line with that `epoch`. Epochs count
from 0. A second run in the same folder appends to the file.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tao_automl.tao import failure
from tao_automl.tao.failure import FailureReason

Kpi = Mapping[str, float | str | None]

_EVALUATED = "Eval metrics generated."
_TRAINED = "Train metrics generated."
_LOOP = "Starting Training Loop."
_STARTED = re.compile(r"Starting .+ [a-z_]+\.")
_FINISHED = re.compile(r"\w+ finished successfully\.")
_VALIDATION = re.compile(r"(?<![a-z])val(?:id|idation)?(?![a-z])", re.IGNORECASE)
_DURATION = re.compile(r"(?:(-?\d+) days?, )?(\d+):(\d{1,2}):(\d{1,2}(?:\.\d+)?)")


@dataclass(frozen=True)
class Line:
    """One line. Numbers that are NaN or infinite are None in `kpi`; durations are in seconds."""

    status: str | None
    message: str
    kpi: Kpi | None = None
    epoch: int | None = None
    max_epoch: int | None = None
    step: int | None = None
    time_per_epoch_s: float | None = None


@dataclass(frozen=True)
class Chunk:
    """What was new in the file, and the offset in bytes at which to go on.

    `restarted`: the file is shorter than it was, so it is another one, and `lines` are all it has.
    """

    lines: tuple[Line, ...]
    offset: int
    restarted: bool = False


def read(path: Path, offset: int = 0) -> Chunk:
    """Read the lines behind `offset`.

    A missing file has no lines. Text without a line end stays for the next read. A line that is not a JSON
    object is passed over.
    """
    try:
        with path.open("rb") as file:
            restarted = file.seek(0, 2) < offset
            start = 0 if restarted else offset
            file.seek(start)
            data = file.read()
    except OSError:
        return Chunk((), offset)
    complete = data.rfind(b"\n") + 1
    lines = (_line(raw) for raw in data[:complete].split(b"\n"))
    return Chunk(tuple(line for line in lines if line is not None), start + complete, restarted)


def _line(raw: bytes) -> Line | None:
    try:
        entry = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict):
        return None
    kpi = entry.get("kpi")
    status = entry.get("status")
    return Line(
        status=status if isinstance(status, str) else None,
        message=str(entry.get("message", "")),
        kpi=kpi_of(kpi) if isinstance(kpi, dict) else None,
        epoch=_integer(entry.get("epoch")),
        max_epoch=_integer(entry.get("max_epoch")),
        step=_integer(entry.get("step")),
        time_per_epoch_s=seconds(entry.get("time_per_epoch")),
    )


def kpi_of(values: Mapping[Any, Any]) -> Kpi:
    """Metrics by name: numbers and texts; None for all else, NaN included."""
    return {str(name): _value(value) for name, value in values.items()}


def _value(value: Any) -> float | str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def seconds(text: Any) -> float | None:
    """A duration as Python prints it, `0:01:02.5` or `1 day, 0:00:01`, in seconds; None if it is none."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if not match:
        return None
    days, hours, minutes, rest = match.groups()
    return int(days or 0) * 86400.0 + int(hours) * 3600.0 + int(minutes) * 60.0 + float(rest)


@dataclass(frozen=True)
class Progress:
    """What the lines so far say. `advance` gives the next state, however the lines are cut into reads.

    `points` has the kpi of every validated epoch of all runs in the file, `trained` that of training itself, which
    is all that models without a validation have. `last_epoch`, `max_epoch` and `step` are of the newest epoch
    line. `finished` and `failures` are about the time since the last start only, and so is `kpi`, the last one
    that was written: for an evaluate action, its result.
    """

    points: Mapping[int, Kpi] = field(default_factory=dict)
    last_epoch: int | None = None
    max_epoch: int | None = None
    step: int | None = None
    runs: int = 0
    finished: bool = False
    failures: tuple[str, ...] = ()
    time_per_epoch_s: float | None = None
    kpi: Kpi | None = None
    validated: Kpi | None = None  # of the epoch whose own line is still to come
    trained: Mapping[int, Kpi] = field(default_factory=dict)

    def advance(self, lines: Iterable[Line]) -> Progress:
        progress = self
        for line in lines:
            progress = progress._after(line)
        return progress

    def _after(self, line: Line) -> Progress:
        if line.status == "STARTED" and _STARTED.fullmatch(line.message):
            return replace(self, runs=self.runs + 1, finished=False, failures=(), kpi=None, validated=None)
        if line.epoch is not None:
            return self._after_epoch(line, line.epoch)
        after = self if line.kpi is None else replace(self, kpi=line.kpi)
        if line.status == "FAILURE":
            return replace(after, failures=(*self.failures, line.message))
        if line.message == _EVALUATED and line.kpi is not None:
            return replace(after, validated=line.kpi)
        if line.message == _TRAINED and line.kpi is not None and self.last_epoch is not None:
            return replace(after, trained={**self.trained, self.last_epoch: line.kpi})
        if line.message == _LOOP:
            return replace(after, validated=None)  # what came before was the sanity check
        if _FINISHED.fullmatch(line.message):
            return replace(after, finished=True)
        return after

    def _after_epoch(self, line: Line, epoch: int) -> Progress:
        point = self.validated
        if point is None and line.kpi and line.kpi != self.kpi and any(map(_VALIDATION.search, line.kpi)):
            point = line.kpi
        return replace(
            self,
            points=self.points if point is None else {**self.points, epoch: point},
            last_epoch=epoch,
            max_epoch=line.max_epoch,
            step=line.step,
            time_per_epoch_s=line.time_per_epoch_s,
            kpi=line.kpi if line.kpi is not None else self.kpi,
            validated=None,
        )


@dataclass(frozen=True)
class Verdict:
    """Whether a job did what it was asked. `reason` is None exactly if it did; `detail` is one sentence."""

    ok: bool
    reason: FailureReason | None
    detail: str


def verdict(exit_code: int | None, progress: Progress, action: str, epochs: int | None = None) -> Verdict:
    """What an exit code and a status file mean together.

    Neither is enough: a trainer that is stopped with SIGTERM exits with 0, and a trainer that finishes may
    fail after that. So a job is good if it exits with 0, and the line "… finished successfully." comes after
    its last start, and, where `epochs` is given, its last epoch is `epochs` - 1. Only an action other than
    train that leaves no status lines at all, as some images do, is judged by its exit code and FAILURE lines
    alone.
    """
    if exit_code is None:
        return Verdict(False, FailureReason.INTERRUPTED, f"{action} ended, and nobody saw its exit code")
    if exit_code != 0:
        found = failure.classify("", progress.failures, exit_code)
        return Verdict(False, found.reason, f"{action} exited with {exit_code}" + _because(progress))
    silent = progress.runs == 0 and not progress.finished and action != "train"
    if silent and progress.failures:
        found = failure.classify("", progress.failures, 1)
        return Verdict(False, found.reason, f"{action} reported a failure" + _because(progress))
    if not progress.finished and not silent:
        end = f"{action} exited with 0 without having finished"
        return Verdict(False, FailureReason.INTERRUPTED, end + _because(progress))
    if epochs is not None and progress.last_epoch != epochs - 1:
        done = 0 if progress.last_epoch is None else progress.last_epoch + 1
        return Verdict(False, FailureReason.INTERRUPTED, f"{action} finished after {done} of {epochs} epochs")
    return Verdict(True, None, f"{action} finished")


def _because(progress: Progress) -> str:
    return f": {failure.one_line(progress.failures[-1])}" if progress.failures else ""
