"""What a study has found: the winner, its `best/` folder, and which checkpoints stay on disk.

A trial's value is that of its best epoch, and its checkpoint is the file of that epoch. Pruned trials count
with the epochs they had; a failed trial never wins anything.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from tao_automl.layout import AttemptPaths, StudyPaths
from tao_automl.search import attributes
from tao_automl.search.study import FrozenTrial, TrialState
from tao_automl.tao import checkpoint, status
from tao_automl.tao.facts import CheckpointNames
from tao_automl.tao.metric import Metric
from tao_automl.tao.status import Progress


@dataclass(frozen=True)
class Winner:
    """The best epoch of one trial. `checkpoint` is None if its file is gone."""

    study: str
    trial: int
    epoch: int
    metric: str
    value: float
    attempt: AttemptPaths
    checkpoint: Path | None
    params: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """The form of `best --json`."""
        return {
            "schema": 1,
            "study": self.study,
            "trial": self.trial,
            "epoch": self.epoch,
            "metric": self.metric,
            "value": self.value,
            "checkpoint": str(self.checkpoint) if self.checkpoint else None,
            "spec": str(self.attempt.spec),
            "params": dict(self.params),
        }


@dataclass(frozen=True)
class Criteria:
    """What decides which checkpoints stay: of how many trials (or "all"), by which metric, in which files.

    `needed`: trials from whose last checkpoint another goes on, or may. None: no trial ever does.
    """

    metric: Metric
    names: CheckpointNames
    keep: int | str
    needed: frozenset[int] | None = None


def ranking(trials: Iterable[FrozenTrial], metric: Metric) -> list[FrozenTrial]:
    """Finished trials that have a value, the best first; of equal ones the earlier."""
    usable = [
        trial
        for trial in trials
        if trial.state.is_finished()
        and trial.state != TrialState.FAIL
        and not trial.user_attrs.get(attributes.INFEASIBLE)
        and trial.user_attrs.get(attributes.BEST_VALUE) is not None
    ]
    sign = -1.0 if metric.maximizes else 1.0
    return sorted(usable, key=lambda trial: (sign * trial.user_attrs[attributes.BEST_VALUE], trial.number))


def winner(trial: FrozenTrial, study: str, paths: StudyPaths, metric: Metric) -> Winner:
    """A ranked trial's best epoch with its files."""
    stored = trial.user_attrs.get(attributes.CHECKPOINT)
    path = paths.folder / stored if stored else None
    return Winner(
        study=study,
        trial=trial.number,
        epoch=trial.user_attrs[attributes.BEST_EPOCH],
        metric=metric.name,
        value=trial.user_attrs[attributes.BEST_VALUE],
        attempt=paths.attempt(trial.number, trial.user_attrs[attributes.ATTEMPT]),
        checkpoint=path if path is not None and path.exists() else None,
        params=trial.user_attrs.get(attributes.VALUES, {}),
    )


def best(paths: StudyPaths, study: str, trials: Iterable[FrozenTrial], metric: Metric) -> Winner | None:
    """The best trial of a study; None while it has no result."""
    ranked = ranking(trials, metric)
    return winner(ranked[0], study, paths, metric) if ranked else None


def refresh(
    paths: StudyPaths, study: str, trials: Sequence[FrozenTrial], criteria: Criteria, told: int | None = None
) -> Winner | None:
    """Remove checkpoints that no longer count and renew `best/`; returns the winner if it is a new one.

    `told`: the trial that has just been finished, when all others were refreshed before.
    """
    if not isinstance(criteria.keep, str):
        retain(paths, trials, criteria, told)
    won = best(paths, study, trials, criteria.metric)
    if won is None or _published(paths.best_metrics) == (won.trial, won.epoch) or not won.attempt.spec.exists():
        return None
    progress = Progress().advance(status.read(won.attempt.status("train")).lines)
    publish(won, paths, progress.points.get(won.epoch, {}))
    return won


def publish(won: Winner, paths: StudyPaths, metrics: Mapping[str, Any]) -> None:
    """Write `best/`: the spec, a relative link to the exact checkpoint file, the metrics of its epoch."""
    fresh = paths.best.with_name("best.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    shutil.copyfile(won.attempt.spec, fresh / paths.best_spec.name)
    if won.checkpoint is not None:
        (fresh / won.checkpoint.name).symlink_to(os.path.relpath(won.checkpoint, paths.best))
    text = json.dumps({**won.as_dict(), "metrics": dict(metrics)}, indent=2, sort_keys=True)
    (fresh / paths.best_metrics.name).write_text(text + "\n", encoding="utf-8")
    shutil.rmtree(paths.best, ignore_errors=True)
    fresh.rename(paths.best)


def trim(folder: Path, names: CheckpointNames, points: Mapping[int, float], metric: Metric) -> None:
    """While a trial runs: only its best and its latest checkpoint stay."""
    for file in checkpoint.superfluous(checkpoint.scan(folder, names), points, metric):
        file.path.unlink(missing_ok=True)


def discard(folder: Path, names: CheckpointNames) -> None:
    """An attempt is followed by another one: none of its checkpoints stays."""
    _remove_others(folder, names, set())


def retain(paths: StudyPaths, trials: Sequence[FrozenTrial], criteria: Criteria, told: int | None = None) -> None:
    """After a trial: of the best trials their best checkpoint stays, of the others none.

    With the number of the trial that was `told` last, only it and what it has displaced are looked at, unless trials
    go on from others. From those that are needed for that, the last checkpoint stays too, and the best.
    """
    top, ranked = int(criteria.keep), ranking(trials, criteria.metric)
    stored = [trial.user_attrs.get(attributes.CHECKPOINT) for trial in ranked[:top]]
    for number in criteria.needed or ():
        stored += [trials[number].user_attrs.get(name) for name in (attributes.CHECKPOINT, attributes.END)]
    kept = {paths.folder / path for path in stored if path}
    looked = (
        trials
        if told is None or criteria.needed is not None
        else [trial for trial in trials if trial.number == told] + ranked[: top + 1]
    )
    for trial in looked:
        if not trial.state.is_finished():
            continue
        for attempt in paths.attempts(trial.number):
            _remove_others(attempt.checkpoints(criteria.names.folder), criteria.names, kept)


def _remove_others(folder: Path, names: CheckpointNames, kept: set[Path]) -> None:
    for file in checkpoint.scan(folder, names):
        if file.path not in kept:
            file.path.unlink(missing_ok=True)
    links = [path for path in folder.iterdir() if path.is_symlink()] if folder.is_dir() else []
    for latest in links:
        if fnmatch(latest.name, names.latest) and not latest.exists():
            latest.unlink()


def _published(metrics: Path) -> tuple[int, int] | None:
    try:
        stored = json.loads(metrics.read_text(encoding="utf-8"))
        return stored["trial"], stored["epoch"]
    except (OSError, ValueError, KeyError):
        return None
