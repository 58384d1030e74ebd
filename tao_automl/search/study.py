"""Studies in Optuna's storage: ask and tell, and what may be read of them.

Studies and trials are Optuna's own objects, so each Optuna tool works on them. A trial's step is TAO's epoch,
which counts from 0. The sampler and the pruner are made anew for every question, from attributes of the
study and its stored trials: a resumed study needs nothing else.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from tao_automl.errors import StudyError, near
from tao_automl.search import algorithms, sqlite
from tao_automl.search.attributes import (
    ALGORITHM,
    EPOCHS,
    INFEASIBLE,
    METRIC,
    PRUNER,
    SEED,
    SPACE,
)
from tao_automl.search.readonly import ReadOnlyStorage

if TYPE_CHECKING:
    from tao_automl.search.space import SearchSpace
    from tao_automl.tao.metric import Metric

__all__ = [
    "BaseStorage",
    "FrozenTrial",
    "Study",
    "TrialState",
    "ask",
    "create",
    "load",
    "names",
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
]

# What Optuna says at INFO we say ourselves; its handler writes to stderr.
optuna.logging.set_verbosity(optuna.logging.WARNING)


def open_storage(url: str, *, create: bool = True) -> BaseStorage:
    """The storage behind an SQLAlchemy URL, for reading and writing.

    SQLite keeps its rollback journal (not WAL, which fails on network disks); who meets another process's
    commit waits for it. `create=False` makes no file and no table.

    Raises:
        StudyError: missing (`create=False`), unreadable, of another program or of another Optuna version.
    """
    path = sqlite.path_of(url)
    if path is None:
        return _open(None, url, make_tables=create)
    if create and not path.exists():
        _make_file(path)
    empty = _state(path, create) is sqlite.State.EMPTY
    return _open(path, url, make_tables=empty)


def open_readonly(url: str) -> BaseStorage:
    """The same storage for commands that only look: fast, and it can neither create nor change anything.

    Raises:
        StudyError: as `open_storage(url, create=False)`.
    """
    path = sqlite.path_of(url)
    if path is not None and _state(path, create=False) is sqlite.State.READY:
        return ReadOnlyStorage(path)
    return open_storage(url, create=False)


def names(storage: BaseStorage) -> tuple[str, ...]:
    """Names of our studies, sorted."""
    with _storage_errors(""):
        found = storage.get_all_studies()
    return tuple(sorted(study.study_name for study in found if SPACE in study.user_attrs))


def create(
    storage: BaseStorage,
    name: str,
    metric: Metric,
    space: SearchSpace,
    *,
    attributes: Mapping[str, Any],
) -> Study:
    """A new study with its trial 0, the centre of the space, waiting to be asked.

    `attributes` are kept with the study; ALGORITHM, PRUNER, SEED and EPOCHS decide how it is searched.

    Raises:
        StudyError: there is a study of this name.
        UsageError: an algorithm or a pruner that does not exist.
    """
    algorithms.check(attributes.get(ALGORITHM, "bayesian"), attributes.get(PRUNER, "median"))
    with _storage_errors(name):
        _make_room(storage, name)
        study = optuna.create_study(storage=storage, study_name=name, direction=metric.direction.value)
        with _silent():
            study.set_metric_names([metric.name])
        for key, value in {**attributes, METRIC: metric.name}.items():
            study.set_user_attr(key, value)
        study.enqueue_trial(space.centre())
        study.set_user_attr(SPACE, space.fingerprint())
    return study


def load(storage: BaseStorage, name: str) -> Study:
    """A study that exists.

    Raises:
        StudyError: no such study, with near matches; or one that we did not make.
    """
    with _storage_errors(name):
        try:
            study = optuna.load_study(study_name=name, storage=storage)
        except KeyError:
            known = names(storage)
            raise StudyError(f"there is no study '{name}'", near(name, known) or _START, "no_study") from None
        if SPACE not in study.user_attrs:
            raise StudyError(
                f"the study '{name}' was not made by tao-automl, or its creation was cut short",
                "choose another name, or start it again with `tao-automl run`",
            )
    return study


def require_same(study: Study, metric: Metric, space: SearchSpace) -> None:
    """Raises:
    StudyError: the study was made for another metric, direction or search space.
    """
    tip = "resume it as it was started, or give the new study another --name"
    stored, direction = study.user_attrs.get(METRIC), study.direction.name.lower()
    if stored != metric.name or direction != metric.direction.value:
        raise StudyError(
            f"the study '{study.study_name}' has the objective {direction} {stored}, "
            f"not {metric.direction.value} {metric.name}",
            tip,
        )
    if study.user_attrs.get(SPACE) != space.fingerprint():
        raise StudyError(f"the study '{study.study_name}' has another search space", tip)


def trials(study: Study) -> list[FrozenTrial]:
    """All trials in the order of their numbers. Not to be changed."""
    with _storage_errors(study.study_name):
        return study.get_trials(deepcopy=False)


def running(study: Study) -> list[FrozenTrial]:
    """Trials that have been asked and not been told."""
    return [trial for trial in trials(study) if trial.state == TrialState.RUNNING]


def ask(study: Study, space: SearchSpace) -> tuple[int, dict[str, Any]]:
    """A new trial: its number and the values of the spec by path. The first is the centre of the space."""
    started = [trial for trial in trials(study) if trial.state != TrialState.WAITING]
    with _storage_errors(study.study_name):
        study.sampler = _sampler(study, space, len(started))
        trial = study.ask()
        return trial.number, space.suggest(trial)


def resume_ask(study: Study, number: int, space: SearchSpace) -> dict[str, Any]:
    """The values of a trial that is running, also when its driver died while it was asked."""
    frozen = _trial(study, number)
    if frozen.state != TrialState.RUNNING:
        return space.decode(frozen.params)
    with _storage_errors(study.study_name):
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
    with _storage_errors(study.study_name):
        for epoch in new:
            study._storage.set_trial_intermediate_value(frozen._trial_id, epoch, float(points[epoch] or 0.0))
    return new


def should_prune(study: Study, number: int) -> bool:
    """Whether the study's pruner gives up on a running trial, by what has been reported so far."""
    frozen = _trial(study, number)
    if frozen.state != TrialState.RUNNING or not frozen.intermediate_values:
        return False
    pruner = algorithms.pruner(
        study.user_attrs.get(PRUNER, "median"),
        int(study.user_attrs.get(EPOCHS, 1)),
        study.direction.name.lower(),
    )
    return pruner.prune(study, frozen)


def tell(study: Study, number: int, state: TrialState, value: float | None = None) -> bool:
    """Finish a trial; False when it was finished before, which changes nothing.

    A COMPLETE trial needs a finite `value`. A PRUNED one gets its last reported value, from Optuna.

    Raises:
        ValueError: COMPLETE without a finite value.
    """
    if _trial(study, number).state.is_finished():
        return False
    complete = state == TrialState.COMPLETE
    if complete and (value is None or not math.isfinite(value)):
        raise ValueError(f"trial {number} cannot be complete with the value {value}")
    with _storage_errors(study.study_name):
        study.tell(number, value if complete else None, state=state, skip_if_finished=True)
    return True


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
    with _storage_errors(study.study_name):
        # Trial.set_constraint would do, but making a Trial asks the sampler, which stores what it proposes.
        study._storage.set_trial_system_attr(frozen._trial_id, _CONSTRAINT, float(violation))
    return tell(study, number, TrialState.PRUNED)


def set_trial_attributes(study: Study, number: int, attributes: Mapping[str, Any]) -> None:
    """Store attributes of a running trial; a finished trial can no longer be changed, and is left alone."""
    frozen = _trial(study, number)
    if frozen.state.is_finished():
        return
    with _storage_errors(study.study_name):
        for key, value in attributes.items():
            if frozen.user_attrs.get(key, _ABSENT) != value:
                study._storage.set_trial_user_attr(frozen._trial_id, key, value)


def set_study_attributes(study: Study, attributes: Mapping[str, Any]) -> None:
    """Store attributes of the study."""
    with _storage_errors(study.study_name):
        for key, value in attributes.items():
            study.set_user_attr(key, value)


_START = "start one with `tao-automl run`"
_ABSENT = object()
_CONSTRAINT = "constraints:feasible"  # as Trial.set_constraint("feasible", …) stores it


def _trial(study: Study, number: int) -> FrozenTrial:
    found = trials(study)  # fills Optuna's cache too, which writing to a trial of another process needs
    if not 0 <= number < len(found):
        raise StudyError(f"the study '{study.study_name}' has no trial {number}", f"it has {len(found)} trials")
    return found[number]


def _sampler(study: Study, space: SearchSpace, trials_so_far: int) -> optuna.samplers.BaseSampler:
    attributes = study.user_attrs
    return algorithms.sampler(attributes.get(ALGORITHM, "bayesian"), space, int(attributes.get(SEED, 0)), trials_so_far)


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


def _state(path: Path, create: bool) -> sqlite.State:
    if not path.exists():
        if not create:
            raise StudyError(f"there are no studies: {path} does not exist", _START, "no_study")
        return sqlite.State.EMPTY
    state = sqlite.inspect(path)
    if state is sqlite.State.EMPTY and not create:
        raise StudyError(f"there are no studies in {path} yet", _START, "no_study")
    return state


def _make_file(path: Path) -> None:
    """Make the database beside its place and link it there: nobody meets half of its tables, the first one wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _open(fresh, f"sqlite:///{fresh}", make_tables=True).engine.dispose()
        with suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def _open(path: Path | None, url: str, make_tables: bool) -> RDBStorage:
    from sqlalchemy import event  # noqa: PLC0415
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 0.2 s that readers do not need

    engine = {"connect_args": {"timeout": sqlite.BUSY_TIMEOUT_S}} if path else {}
    try:
        # Optuna fills {SCHEMA_VERSION} into a URL: a brace in a path must not be read as that.
        escaped = url.replace("{", "{{").replace("}", "}}")
        storage = RDBStorage(escaped, engine_kwargs=engine, skip_table_creation=not make_tables)
    except StorageInternalError as error:
        raise _unusable(path or url, error.__cause__ or error) from error
    except (SQLAlchemyError, ImportError, RuntimeError) as error:  # RuntimeError: tables of another Optuna
        raise _unusable(path or url, error) from error
    if path:
        event.listen(storage.engine, "connect", _sync_less)
        storage.engine.dispose()  # the connections that were made before
    return storage


def _sync_less(connection: Any, _record: Any) -> None:
    """One flush to disk less a commit: safe when a process is killed, and when power fails on a journaling disk."""
    connection.execute("PRAGMA synchronous = NORMAL")


def _unusable(where: Path | str, error: BaseException) -> StudyError:
    cause = getattr(error, "orig", None) or error
    said = " ".join(str(cause).split()).rstrip(".")
    return StudyError(f"cannot use the storage {where}: {said}", "name another with --storage", "storage")


@contextmanager
def _storage_errors(study: str) -> Iterator[None]:
    """Raises:
    StudyError: what the database says, in one sentence, instead of SQLAlchemy's traceback.
    """
    try:
        yield
    except StorageInternalError as error:
        raise _unusable(f"of the study '{study}'", error.__cause__ or error) from error


@contextmanager
def _silent() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield
