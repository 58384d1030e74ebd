"""Checkpoint files of a training: which there are, which belongs to the best epoch, which may go."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tao_automl.tao.facts import CheckpointNames
from tao_automl.tao.metric import Metric

_PLACE = re.compile(r"\{(epoch|step)(?::0?(\d*)d)?\}")


@dataclass(frozen=True)
class Checkpoint:
    """One file. `epoch` counts from 0; `step` is the optimizer step, None where the name has none.

    `best`: the trainer's own best-so-far file, which the trainer replaces by itself. `value` is the metric of
    the epoch where it is known.
    """

    path: Path
    epoch: int
    step: int | None = None
    best: bool = False
    value: float | None = None


def scan(folder: Path, names: CheckpointNames) -> tuple[Checkpoint, ...]:
    """The checkpoint files of a folder by epoch and step. Links and unfinished files are none."""
    try:
        files = [path for path in folder.iterdir() if not path.is_symlink() and path.is_file()]
    except OSError:
        return ()
    patterns = [(_pattern(names.file), False)]
    if names.best_file:
        patterns.append((_pattern(names.best_file), True))
    found = []
    for path in files:
        for pattern, best in patterns:
            if match := pattern.fullmatch(path.name):
                groups = match.groupdict()
                step = int(groups["step"]) if groups.get("step") else None
                found.append(Checkpoint(path, int(groups["epoch"]), step, best))
                break
    return tuple(sorted(found, key=_order))


def choose(files: Iterable[Checkpoint], points: Mapping[int, float | None], metric: Metric) -> Checkpoint | None:
    """The file of the best epoch, with its value; None if no epoch has both a file and a value.

    If the best epoch has no file, the best of those that have one is chosen: compare its epoch with that of
    `metric.best(points)`. Of several files of one epoch, all but the highest step were written in its middle.
    The trainer's own best file only serves where the epoch has no other.
    """
    by_epoch: dict[int, Checkpoint] = {}
    for file in files:
        present = by_epoch.get(file.epoch)
        if present is None or _rank(file) > _rank(present):
            by_epoch[file.epoch] = file
    best = metric.best({epoch: points.get(epoch) for epoch in by_epoch})
    return replace(by_epoch[best[0]], value=best[1]) if best else None


def of_epoch(files: Iterable[Checkpoint], epoch: int) -> Checkpoint | None:
    """The file of exactly this epoch, at its end; None if there is none."""
    own = [file for file in files if file.epoch == epoch and not file.best]
    return max(own, key=_order, default=None)


def superfluous(
    files: Iterable[Checkpoint], points: Mapping[int, float | None], metric: Metric
) -> tuple[Checkpoint, ...]:
    """The files that may be deleted while the training runs.

    What stays: the file of the best epoch, the newest file, those of epochs behind the last one with a value,
    because theirs may be still to come, and the trainer's own best files, which it deletes by itself.
    """
    own = [file for file in files if not file.best]
    chosen = choose(own, points, metric)
    newest = max(own, key=_order, default=None)
    last = max((epoch for epoch, value in points.items() if value is not None), default=-1)
    kept = {file.path for file in (chosen, newest) if file is not None}
    return tuple(file for file in own if file.path not in kept and file.epoch <= last)


def _order(file: Checkpoint) -> tuple[int, int, bool]:
    return file.epoch, -1 if file.step is None else file.step, file.best


def _rank(file: Checkpoint) -> tuple[bool, int]:
    return not file.best, -1 if file.step is None else file.step


def _pattern(name: str) -> re.Pattern[str]:
    """A format such as `model_epoch_{epoch:03d}.pth` as an expression; a width is the fewest digits."""
    text, end = "", 0
    for match in _PLACE.finditer(name):
        text += re.escape(name[end : match.start()]) + rf"(?P<{match[1]}>\d{{{match[2] or 1},}})"
        end = match.end()
    return re.compile(text + re.escape(name[end:]))
