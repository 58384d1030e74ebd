"""What there is to know about studies and trials, for reading only: storage says it, the folder adds files.

Nothing here needs the study's skill, data or record, so it also works where only `studies.db` and `trials/`
are left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tao_automl import lock, results, runs
from tao_automl.errors import UsageError, near
from tao_automl.layout import AttemptPaths, StudiesPaths, StudyPaths
from tao_automl.results import Winner
from tao_automl.search import attributes, confirm
from tao_automl.search import study as storage
from tao_automl.search.confirm import Confirmed
from tao_automl.search.study import BaseStorage, FrozenTrial
from tao_automl.tao.metric import Direction, Metric


@dataclass(frozen=True)
class Where:
    """Where studies are looked for. `storage_url` is None for the SQLite file in the folder."""

    studies_dir: Path
    storage_url: str | None = None

    @property
    def layout(self) -> StudiesPaths:
        return StudiesPaths(self.studies_dir)

    @property
    def url(self) -> str:
        """The storage as Optuna's tools want it named."""
        return self.storage_url or self.layout.storage_url

    @property
    def is_empty(self) -> bool:
        """True before the first study."""
        return self.storage_url is None and not self.layout.database.exists()

    def open(self) -> BaseStorage:
        return storage.open_readonly(self.url)


@dataclass(frozen=True)
class Trial:
    """One trial. `state` is Optuna's; `epoch` is that of `value`, counted from 0; `epochs_done` is a count.

    `value` is the best one reported so far, also of a failed trial, which wins nothing. `ran` is what ran instead
    of what was proposed, by path; `retries` are the earlier attempts, by reason. `measured` are its other objectives
    and what constraints speak of, `broken` the constraints that it does not keep.
    """

    study: str
    number: int
    state: str
    attempt: int
    intent: str | None
    parked: bool
    epochs_done: int
    epochs: int | None
    metric: str
    value: float | None
    epoch: int | None
    params: Mapping[str, Any]
    ran: Mapping[str, Any]
    measured: Mapping[str, float]
    broken: tuple[str, ...]
    points: Mapping[int, float]
    started_at: datetime | None
    ended_at: datetime | None
    duration_s: float | None
    infeasible: bool
    reason: str | None
    detail: str | None
    fix: str | None
    exit_code: int | None
    retries: Mapping[str, int]
    node: str | None
    gpus: tuple[str, ...]
    kind: str | None  # what a schedule made it; None: a config like any other
    parent: int | None  # the trial that it goes on from
    checkpoint: Path | None
    files: AttemptPaths

    @property
    def is_finished(self) -> bool:
        return self.state in ("COMPLETE", "PRUNED", "FAIL")

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "trial": self.number,
            "state": self.state,
            "attempt": self.attempt,
            "intent": self.intent,
            "stopped": self.parked,
            "epochs_done": self.epochs_done,
            "epochs": self.epochs,
            "metric": self.metric,
            "value": self.value,
            "epoch": self.epoch,
            "measured": dict(self.measured),
            "broken": list(self.broken),
            "points": {str(epoch): value for epoch, value in sorted(self.points.items())},
            "params": dict(self.params),
            "ran": dict(self.ran),
            "started": _iso(self.started_at),
            "ended": _iso(self.ended_at),
            "duration_s": self.duration_s,
            "infeasible": self.infeasible,
            "reason": self.reason,
            "detail": self.detail,
            "fix": self.fix,
            "exit_code": self.exit_code,
            "retries": dict(self.retries),
            "node": self.node,
            "gpus": list(self.gpus),
            "kind": self.kind,
            "parent": self.parent,
            "checkpoint": str(self.checkpoint) if self.checkpoint else None,
            "folder": str(self.files.folder),
        }


@dataclass(frozen=True)
class Study:
    """One study with its trials. `state` is running, stopped or finished; `driver` says who runs it.

    `aborted` is the reason why no trial of it can run, `ended` the rule that ended its search, `quarantine` the
    GPUs it no longer uses, as host/gpu, `widened` the ends of ranges that it has moved. `metric` is the first of the
    `objectives`; `pareto` is empty if it is the only one. `confirmed` are the configs that were trained again,
    `evaluation` has what the evaluate action reported of the winner's checkpoint, `baseline` what the search is
    compared with.
    """

    name: str
    model: str | None
    state: str
    driver: str | None
    metric: Metric
    objectives: tuple[Metric, ...]
    constraints: tuple[str, ...]
    budget_trials: int | None
    epochs: int | None
    runtime: str | None
    aborted: str | None
    ended: str | None
    quarantine: tuple[str, ...]
    widened: tuple[Mapping[str, Any], ...]
    trials: tuple[Trial, ...]
    winner: Winner | None
    evaluation: Mapping[str, Any]
    baseline: Mapping[str, Any]
    eval_action: str | None
    confirmed: tuple[Confirmed, ...]
    pareto: tuple[Winner, ...]
    paths: StudyPaths

    @property
    def counts(self) -> Mapping[str, int]:
        """Trials by Optuna's state."""
        return Counter(trial.state for trial in self.trials)

    @property
    def finished(self) -> int:
        return sum(trial.is_finished for trial in self.trials)

    @property
    def defaults(self) -> Trial | None:
        """Trial 0, which runs with the model's defaults."""
        return next((trial for trial in self.trials if trial.number == 0), None)

    @property
    def started_at(self) -> datetime | None:
        return min((trial.started_at for trial in self.trials if trial.started_at), default=None)

    def trial(self, number: int) -> Trial:
        """One trial.

        Raises:
            UsageError: there is no such trial.
        """
        for item in self.trials:
            if item.number == number:
                return item
        last = max((item.number for item in self.trials), default=None)
        tip = "it has none yet" if last is None else f"its trials are 0 to {last}"
        raise UsageError(f"study '{self.name}' has no trial {number}", tip=tip, code="no-trial")

    def as_dict(self) -> dict[str, Any]:
        """For `--json`, without the trials."""
        return {
            "study": self.name,
            "model": self.model,
            "state": self.state,
            "driver": self.driver,
            "metric": self.metric.name,
            "direction": self.metric.direction.value,
            "objectives": [{"metric": item.name, "direction": item.direction.value} for item in self.objectives],
            "constraints": list(self.constraints),
            "budget_trials": self.budget_trials,
            "counts": dict(self.counts),
            "epochs": self.epochs,
            "runtime": self.runtime,
            "aborted": self.aborted,
            "widened": [dict(entry) for entry in self.widened],
            "ended": self.ended,
            "quarantine": list(self.quarantine),
            "best": self.winner.value if self.winner else None,
            "best_trial": self.winner.trial if self.winner else None,
            "eval_action": self.eval_action,
            "baseline": dict(self.baseline) or None,
            "evaluation": dict(self.evaluation) or None,
            "confirmed": [item.as_dict() for item in self.confirmed],
            "pareto": [won.trial for won in self.pareto],
            "started": _iso(self.started_at),
            "folder": str(self.paths.folder),
        }


def studies(where: Where, now: datetime) -> tuple[Study, ...]:
    """Every study, the latest first.

    Raises:
        StudyError: the storage cannot be read.
    """
    if where.is_empty:
        return ()
    opened = where.open()
    found = [_study(where, opened, name, now) for name in storage.names(opened)]
    return tuple(sorted(found, key=lambda item: item.started_at or datetime.min, reverse=True))


def study(where: Where, name: str | None, now: datetime) -> Study:
    """One study; without a name, the only one there is.

    Raises:
        StudyError: no such study, with near matches.
        UsageError: no name is given, and there is not exactly one.
    """
    opened = where.open()
    return _study(where, opened, name or _only(storage.names(opened), where), now)


def name_of(where: Where, name: str | None) -> str:
    """The name of a study that exists.

    Raises:
        StudyError, UsageError: as `study`.
    """
    opened = where.open()
    if name is None:
        return _only(storage.names(opened), where)
    storage.load(opened, name)
    return name


def _only(names: tuple[str, ...], where: Where) -> str:
    if len(names) == 1:
        return names[0]
    if not names:
        raise UsageError(f"there are no studies in {where.studies_dir}", tip="start one: tao-automl run")
    raise UsageError(f"which study? There are {len(names)}", tip=near("", names) or "tao-automl status lists them")


def _evaluation(paths: StudyPaths, won: FrozenTrial) -> Mapping[str, Any]:
    """What the evaluate action reported of a winner's checkpoint."""
    found = runs.evaluation(paths, won.number, won.user_attrs[attributes.BEST_EPOCH])
    return found.metrics if found else {}


def _confirmed(trials: Sequence[FrozenTrial], ranked: Sequence[FrozenTrial]) -> tuple[Confirmed, ...]:
    """Configs that were trained again, the winner's first."""
    found = confirm.confirmed(trials)
    return tuple(found[trial.number] for trial in ranked if trial.number in found)


def _study(where: Where, opened: BaseStorage, name: str, now: datetime) -> Study:
    loaded = storage.load(opened, name)
    stored = loaded.user_attrs
    goals = tuple(Metric(item["metric"], Direction(item["direction"])) for item in storage.objectives(loaded))
    metric = goals[0]
    paths = where.layout.study(name)
    frozen = [trial for trial in storage.trials(loaded) if trial.state.name != "WAITING"]
    ranked = results.ranking(frozen, metric)
    unbeaten = results.pareto(frozen, goals) if len(goals) > 1 else []
    driver = lock.holder(paths.lock)
    budget = stored.get(attributes.TRIALS)
    epochs = stored.get(attributes.EPOCHS)
    finished = sum(trial.state.is_finished() for trial in frozen)
    ended = stored.get(attributes.ENDED)
    done = finished == len(frozen) and (budget is None or finished >= budget or ended is not None)
    return Study(
        name=name,
        model=stored.get(attributes.MODEL),
        state="running" if driver else "finished" if done else "stopped",
        driver=driver,
        metric=metric,
        objectives=goals,
        constraints=tuple(stored.get(attributes.CONSTRAINTS) or ()),
        budget_trials=budget,
        epochs=epochs,
        runtime=stored.get(attributes.RUNTIME),
        aborted=stored.get(attributes.ABORTED),
        ended=ended,
        quarantine=tuple(stored.get(attributes.QUARANTINE) or ()),
        widened=tuple(stored.get(attributes.WIDENED) or ()),
        trials=tuple(_trial(trial, _Of(name, epochs, metric, paths), now) for trial in frozen),
        winner=results.winner(ranked[0], name, paths, metric) if ranked else None,
        evaluation=_evaluation(paths, ranked[0]) if ranked else {},
        baseline=stored.get(attributes.BASELINE) or {},
        eval_action=stored.get(attributes.EVAL_ACTION),
        confirmed=_confirmed(frozen, ranked),
        pareto=tuple(results.winner(trial, name, paths, metric) for trial in unbeaten),
        paths=paths,
    )


@dataclass(frozen=True)
class _Of:
    """What a trial shares with the others of its study."""

    study: str
    epochs: int | None
    metric: Metric
    paths: StudyPaths


def _trial(frozen: FrozenTrial, of: _Of, now: datetime) -> Trial:
    known = frozen.user_attrs
    attempt = int(known.get(attributes.ATTEMPT, 1))
    points = {int(epoch): value for epoch, value in frozen.intermediate_values.items()}
    best = of.metric.best(points)
    if attributes.LOGGED in known and attributes.BEST_VALUE in known:  # an action's score is what counts
        best = known[attributes.BEST_EPOCH], known[attributes.BEST_VALUE]
    complete = frozen.state.name == "COMPLETE"
    checkpoint = known.get(attributes.CHECKPOINT)
    file = of.paths.folder / checkpoint if checkpoint else None
    return Trial(
        study=of.study,
        number=frozen.number,
        state=frozen.state.name,
        attempt=attempt,
        intent=known.get(attributes.INTENT),
        parked=known.get(attributes.PARKED_S) is not None,
        epochs_done=of.epochs if complete and of.epochs else max(points, default=-1) + 1,
        epochs=known.get(attributes.BUDGET) or of.epochs,
        kind=known.get(attributes.KIND),
        parent=known.get(attributes.PARENT),
        metric=of.metric.name,
        value=best[1] if best else None,
        epoch=best[0] if best else None,
        params=known.get(attributes.VALUES, {}),
        ran=known.get(attributes.CHANGED) or {},
        measured=known.get(attributes.MEASURED) or {},
        broken=tuple(known.get(attributes.BROKEN) or ()),
        points=points,
        started_at=frozen.datetime_start,
        ended_at=frozen.datetime_complete,
        duration_s=_duration(frozen, now),
        infeasible=bool(known.get(attributes.INFEASIBLE)),
        reason=known.get(attributes.REASON),
        detail=known.get(attributes.DETAIL),
        fix=known.get(attributes.FIX),
        exit_code=known.get(attributes.EXIT_CODE, 0 if complete else None),
        retries=known.get(attributes.RETRIES) or {},
        node=known.get(attributes.NODE),
        gpus=tuple(known.get(attributes.GPUS) or ()),
        checkpoint=file if file is not None and file.exists() else None,
        files=of.paths.attempt(frozen.number, attempt),
    )


def _duration(frozen: FrozenTrial, now: datetime) -> float | None:
    """Seconds the trainer ran, or, while it runs, since the trial started."""
    trained: float | None = frozen.user_attrs.get(attributes.TRAINER_TIME_S)
    if trained is not None or frozen.datetime_start is None:
        return trained
    return ((frozen.datetime_complete or now) - frozen.datetime_start).total_seconds()


def _iso(moment: datetime | None) -> str | None:
    return moment.astimezone().isoformat(timespec="seconds") if moment else None
