"""Studies in Optuna's storage: ask and tell, and what may be read of them.

Studies and trials are Optuna's own objects, so each Optuna tool works on them. A trial's step is TAO's epoch,
which counts from 0. The sampler and the pruner are made anew for every question, from attributes of the
study and its stored trials: a resumed study needs nothing else.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from tao_automl.errors import StudyError, near
from tao_automl.search import algorithms, widening
from tao_automl.search.attributes import (
    ALGORITHM,
    EPOCHS,
    INFEASIBLE,
    KIND,
    METRIC,
    OBJECTIVES,
    POINTS,
    PRUNER,
    SEED,
    SPACE,
    WIDENED,
)
from tao_automl.search.proposal import PLAIN, Proposal, is_proposed
from tao_automl.search.storage import START, open_readonly, open_storage, storage_errors

if TYPE_CHECKING:
    from tao_automl.search.space import SearchSpace
    from tao_automl.tao.metric import Metric

__all__ = [
    "BaseStorage",
    "FrozenTrial",
    "Study",
    "TrialState",
    "ask",
    "constrain",
    "create",
    "current",
    "load",
    "maximizes",
    "names",
    "objectives",
    "open_readonly",
    "open_storage",
    "report",
    "require_same",
    "resume_ask",
    "running",
    "set_study_attributes",
    "set_trial_attributes",
    "should_prune",
    "tell",
    "tell_infeasible",
    "trials",
    "widen",
]

# What Optuna says at INFO we say ourselves; its handler writes to stderr.
optuna.logging.set_verbosity(optuna.logging.WARNING)


def names(storage: BaseStorage) -> tuple[str, ...]:
    """Names of our studies, sorted."""
    with storage_errors(""):
        found = storage.get_all_studies()
    return tuple(sorted(study.study_name for study in found if SPACE in study.user_attrs))


def create(
    storage: BaseStorage,
    name: str,
    goal: Metric | Sequence[Metric],
    space: SearchSpace,
    *,
    attributes: Mapping[str, Any],
) -> Study:
    """A new study with its trial 0, the centre of the space, waiting to be asked.

    `attributes` are kept with the study; ALGORITHM, PRUNER, SEED and EPOCHS decide how it is searched, and those
    of POINTS are asked for next. `goal` is the study's metric, or its objectives, the first of which is the study's
    metric.

    Raises:
        StudyError: there is a study of this name.
        UsageError: an algorithm or a pruner that does not exist.
    """
    algorithms.check(attributes.get(ALGORITHM, "auto"), attributes.get(PRUNER, "median"))
    with storage_errors(name):
        _make_room(storage, name)
        metrics = _metrics(goal)
        ways = [StudyDirection[item.direction.name] for item in metrics]
        study = optuna.create_study(storage=storage, study_name=name, directions=ways)
        with _silent():
            study.set_metric_names([item.name for item in metrics])
        named = {METRIC: metrics[0].name, **({OBJECTIVES: _named(metrics)} if len(metrics) > 1 else {})}
        for key, value in {**attributes, **named}.items():
            study.set_user_attr(key, value)
        study.enqueue_trial(space.centre())
        for point in attributes.get(POINTS, ()):
            study.enqueue_trial(point["params"])
        study.set_user_attr(SPACE, space.fingerprint())
    return study


def load(storage: BaseStorage, name: str) -> Study:
    """A study that exists.

    Raises:
        StudyError: no such study, with near matches; or one that we did not make.
    """
    with storage_errors(name):
        try:
            study = optuna.load_study(study_name=name, storage=storage)
        except KeyError:
            known = names(storage)
            raise StudyError(f"there is no study '{name}'", near(name, known) or START, "no_study") from None
        if SPACE not in study.user_attrs:
            raise StudyError(
                f"the study '{name}' was not made by tao-automl, or its creation was cut short",
                "choose another name, or start it again with `tao-automl run`",
            )
    return study


def require_same(study: Study, goal: Metric | Sequence[Metric], space: SearchSpace) -> None:
    """Raises:
    StudyError: the study was made for another metric, direction or search space.
    """
    tip = "resume it as it was started, or give the new study another --name"
    stored, asked = objectives(study), _named(_metrics(goal))
    if stored != asked:
        several = len(stored) > 1
        raise StudyError(
            f"the study '{study.study_name}' has the objective{'s' * several} {_said(stored)}, not {_said(asked)}", tip
        )
    if study.user_attrs.get(SPACE) != space.fingerprint():
        raise StudyError(f"the study '{study.study_name}' has another search space", tip)


def objectives(study: Study) -> list[dict[str, str]]:
    """Metric and direction of each objective of a study."""
    stored: list[dict[str, str]] | None = study.user_attrs.get(OBJECTIVES)
    one = {"metric": study.user_attrs.get(METRIC, ""), "direction": study.directions[0].name.lower()}
    return stored or [one]


def _metrics(goal: Metric | Sequence[Metric]) -> list[Metric]:
    return list(goal) if isinstance(goal, Sequence) else [goal]


def _named(metrics: Sequence[Metric]) -> list[dict[str, str]]:
    return [{"metric": metric.name, "direction": metric.direction.value} for metric in metrics]


def _said(goals: Sequence[Mapping[str, str]]) -> str:
    return ", ".join(f"{goal['direction']} {goal['metric']}" for goal in goals)


def maximizes(study: Study) -> bool:
    """Whether the larger value of the study's metric is the better one."""
    return study.directions[0].name == "MAXIMIZE"


def trials(study: Study) -> list[FrozenTrial]:
    """All trials in the order of their numbers. Not to be changed."""
    with storage_errors(study.study_name):
        return study.get_trials(deepcopy=False)


def running(study: Study) -> list[FrozenTrial]:
    """Trials that have been asked and not been told."""
    return [trial for trial in trials(study) if trial.state == TrialState.RUNNING]


def current(study: Study, space: SearchSpace) -> SearchSpace:
    """The space with the ranges that the study has widened since it was created."""
    return widening.widened(space, study.user_attrs.get(WIDENED, ()))


def widen(study: Study, space: SearchSpace) -> list[dict[str, Any]]:
    """Decide from the finished trials which ends of ranges are moved; returns those of WIDENED that are new."""
    if len(study.directions) > 1:
        return []
    known = list(study.user_attrs.get(WIDENED, ()))
    maximize = study.direction == optuna.study.StudyDirection.MAXIMIZE
    new = widening.decide(space, trials(study), maximize, known)
    if new:
        set_study_attributes(study, {WIDENED: [*known, *new]})
    return new


def ask(study: Study, space: SearchSpace, proposal: Proposal = PLAIN) -> tuple[int, dict[str, Any]]:
    """A new trial: its number and the values of the spec by path.

    The first is the centre of the space. A proposal that a driver stored before it died comes before this one. One of
    a config takes the next point that waits, if there is any: the centre, or what a user has enqueued.
    """
    with storage_errors(study.study_name):
        waiting = _waiting(study, proposal)
        space = current(study, space)
        number = len(trials(study)) if waiting is None else waiting.number
        study.sampler = _sampler(study, space, number)
        if waiting is None:
            trial = study.ask()
        else:
            study._storage.set_trial_state_values(waiting._trial_id, TrialState.RUNNING)
            trial = Trial(study, waiting._trial_id)
        return trial.number, space.suggest(trial)


def _waiting(study: Study, proposal: Proposal) -> FrozenTrial | None:
    """The trial that holds a proposal, made for it if need be; None if nothing has to be stored of it."""
    found = [trial for trial in trials(study) if trial.state == TrialState.WAITING]
    stored = [trial for trial in found if is_proposed(trial)]
    if stored:
        return stored[0]
    if found and proposal.params is None:
        attributes = proposal.attributes()
        for key, value in sorted(attributes.items(), key=lambda item: item[0] == KIND):  # the last one: all are there
            study._storage.set_trial_user_attr(found[0]._trial_id, key, value)
        return found[0]
    if proposal.is_plain:
        return None
    study.enqueue_trial(dict(proposal.params or {}), user_attrs=proposal.attributes())
    return trials(study)[-1]


def resume_ask(study: Study, number: int, space: SearchSpace) -> dict[str, Any]:
    """The values of a trial that is running, also when its driver died while it was asked."""
    frozen = _trial(study, number)
    if frozen.state != TrialState.RUNNING:
        return space.decode(frozen.params)
    with storage_errors(study.study_name):
        space = current(study, space)
        study.sampler = _sampler(study, space, number)
        return space.suggest(Trial(study, frozen._trial_id))


def report(study: Study, number: int, points: Mapping[int, float | None]) -> tuple[int, ...]:
    """Store the metric of validated epochs; returns those that are new.

    The first value of an epoch stays. None, NaN and infinity are not stored; a finished trial takes none.
    """
    frozen = _trial(study, number)
    if frozen.state.is_finished():
        return ()
    new = tuple(
        epoch
        for epoch, value in sorted(points.items())
        if epoch not in frozen.intermediate_values and value is not None and math.isfinite(value)
    )
    with storage_errors(study.study_name):
        for epoch in new:
            study._storage.set_trial_intermediate_value(frozen._trial_id, epoch, float(points[epoch] or 0.0))
    return new


def should_prune(study: Study, number: int) -> bool:
    """Whether the study's pruner gives up on a running trial, by what has been reported so far."""
    frozen = _trial(study, number)
    if frozen.state != TrialState.RUNNING or not frozen.intermediate_values or len(study.directions) > 1:
        return False
    pruner = algorithms.pruner(
        study.user_attrs.get(PRUNER, "median"),
        int(study.user_attrs.get(EPOCHS, 1)),
        study.direction.name.lower(),
    )
    return pruner.prune(study, frozen)


def tell(study: Study, number: int, state: TrialState, value: float | Sequence[float] | None = None) -> bool:
    """Finish a trial; False when it was finished before, which changes nothing.

    A COMPLETE trial needs a finite `value`, or one for each objective. A PRUNED one gets its last reported
    value, from Optuna.

    Raises:
        ValueError: COMPLETE without a finite value.
    """
    if _trial(study, number).state.is_finished():
        return False
    complete = state == TrialState.COMPLETE
    numbers = [] if value is None else [value] if isinstance(value, (int, float)) else list(value)
    if complete and (not numbers or not all(map(math.isfinite, numbers))):
        raise ValueError(f"trial {number} cannot be complete with the value {value}")
    with storage_errors(study.study_name):
        study.tell(number, value if complete else None, state=state, skip_if_finished=True)
    return True


def constrain(study: Study, number: int, violations: Mapping[str, float]) -> None:
    """Store how far a running trial breaks each constraint: samplers rank those above 0 behind all others."""
    frozen = _trial(study, number)
    with storage_errors(study.study_name):
        for name, violation in violations.items():
            study._storage.set_trial_system_attr(frozen._trial_id, _CONSTRAINT + name, float(violation))


def tell_infeasible(study: Study, number: int, violation: float = 1.0) -> bool:
    """Finish a trial whose config cannot run; False when it was finished before, which changes nothing.

    Optuna's samplers learn from COMPLETE and PRUNED trials, and rank those with a constraint above 0 behind all
    others; a trial without constraints counts as feasible. So it is PRUNED with the constraint `violation`,
    which is larger the further the config is from one that runs.

    Raises:
        ValueError: a violation that is not above 0, or not finite.
    """
    if not (math.isfinite(violation) and violation > 0):
        raise ValueError(f"trial {number} cannot be infeasible with the violation {violation}")
    frozen = _trial(study, number)
    if frozen.state.is_finished():
        return False
    set_trial_attributes(study, number, {INFEASIBLE: True})
    with storage_errors(study.study_name):
        # Trial.set_constraint would do, but making a Trial asks the sampler, which stores what it proposes.
        study._storage.set_trial_system_attr(frozen._trial_id, f"{_CONSTRAINT}feasible", float(violation))
    return tell(study, number, TrialState.PRUNED)


def set_trial_attributes(study: Study, number: int, attributes: Mapping[str, Any]) -> None:
    """Store attributes of a running trial; a finished trial can no longer be changed, and is left alone."""
    frozen = _trial(study, number)
    if frozen.state.is_finished():
        return
    with storage_errors(study.study_name):
        for key, value in attributes.items():
            if frozen.user_attrs.get(key, _ABSENT) != value:
                study._storage.set_trial_user_attr(frozen._trial_id, key, value)


def set_study_attributes(study: Study, attributes: Mapping[str, Any]) -> None:
    """Store attributes of the study."""
    with storage_errors(study.study_name):
        for key, value in attributes.items():
            study.set_user_attr(key, value)


_ABSENT = object()
_CONSTRAINT = "constraints:"  # as Trial.set_constraint(name, …) stores it


def _trial(study: Study, number: int) -> FrozenTrial:
    found = trials(study)  # fills Optuna's cache too, which writing to a trial of another process needs
    if not 0 <= number < len(found):
        raise StudyError(f"the study '{study.study_name}' has no trial {number}", f"it has {len(found)} trials")
    return found[number]


def _sampler(study: Study, space: SearchSpace, trials_so_far: int) -> optuna.samplers.BaseSampler:
    attributes = study.user_attrs
    return algorithms.sampler(attributes.get(ALGORITHM, "auto"), space, int(attributes.get(SEED, 0)), trials_so_far)


def _make_room(storage: BaseStorage, name: str) -> None:
    """A study whose creation was cut short is removed; any other keeps its name."""
    found = [study for study in storage.get_all_studies() if study.study_name == name]
    if not found:
        return
    started = any(trial.state != TrialState.WAITING for trial in storage.get_all_trials(found[0]._study_id))
    if SPACE in found[0].user_attrs or started:
        raise StudyError(
            f"there is a study '{name}' already",
            "continue it with `tao-automl resume`, or give another --name",
            "exists",
        )
    storage.delete_study(found[0]._study_id)


@contextmanager
def _silent() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield
