"""Runs a study from this process: opens what a tuner needs, in an order that leaves nothing half made.

Everything that can be wrong is checked before the study exists; from then on `resume` goes on from whatever
state a driver left.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

from tao_automl import copies, jobs, pins, studyfile
from tao_automl import plan as plans
from tao_automl.config import Settings
from tao_automl.errors import PlatformError, StudyError
from tao_automl.events import EventLog, Listener
from tao_automl.execution import staging
from tao_automl.execution.cluster import Cluster, RayCluster
from tao_automl.layout import StudiesPaths
from tao_automl.lock import StudyLock, holder
from tao_automl.plan import Plan
from tao_automl.search import attributes
from tao_automl.search import study as studies
from tao_automl.tuner import Outcome, Tuner


def prepare(settings: Settings, now: datetime) -> Plan:
    """The plan of a new study.

    Raises:
        AutoMLError: whatever is asked wrongly, a study of that name exists, or there is no room on disk; nothing
            has been made or changed then.
    """
    _check_room(settings)

    def check(plan: Plan) -> None:
        _refuse_existing(plan)
        copies.check(plan)

    return plans.prepare(settings, now, check)


def run(plan: Plan, listeners: Sequence[Listener] = (), now: Callable[[], datetime] = datetime.now) -> Outcome:
    """Start a new study and drive it to the end of its budget.

    Raises:
        StudyError: there is a study of that name by now.
        PlatformError: Ray does not start, or no node can hold a trial.
    """
    with _cluster(plan) as cluster:
        plan.studies.folder.mkdir(parents=True, exist_ok=True)
        with StudyLock(plan.paths.lock, plan.name):
            _refuse_existing(plan)
            _unpack(plan)
            _prepare(plan, cluster, listeners, now)
            studyfile.freeze(plan.settings, plan.name, plan.paths.study_file, now())
            pins.write(plan.pinned.values(), plan.paths.pins)
            storage = studies.open_storage(plan.storage_url, create=True)
            study = studies.create(storage, plan.name, plan.metric, plan.space, attributes=_attributes(plan))
            return _drive(plan, study, cluster, _events(plan, listeners, now), "study_started")


def resume(
    name: str,
    studies_dir: Path,
    changes: Mapping[str, Any],
    listeners: Sequence[Listener] = (),
    now: Callable[[], datetime] = datetime.now,
) -> Outcome:
    """Go on with a study: attach to what still runs, start what is left of the budget.

    Args:
        changes: settings that may change, such as `trials`; None values are ignored.

    Raises:
        StudyError: no such study, or it was started with another space, metric or direction.
    """
    plan = plan_of(name, studies_dir, changes, now)
    plans.check_machine(plan)
    copies.check(plan)
    _check_room(plan.settings)
    with StudyLock(plan.paths.lock, name):
        study = studies.load(studies.open_storage(plan.storage_url, create=False), name)
        studies.require_same(study, plan.metric, plan.space)
        fresh = {attributes.STOP: None, attributes.ABORTED: None, attributes.TRIALS: plan.trials}
        studies.set_study_attributes(study, fresh)
        _unpack(plan)
        with _cluster(plan) as cluster:
            _prepare(plan, cluster, listeners, now)
            return _drive(plan, study, cluster, _events(plan, listeners, now), "study_resumed")


def plan_of(
    name: str, studies_dir: Path, changes: Mapping[str, Any], now: Callable[[], datetime] = datetime.now
) -> Plan:
    """The plan of a study that exists, made again from its record: enough to show it."""
    asked = {key: value for key, value in changes.items() if value is not None}
    paths = StudiesPaths(studies_dir).study(name)
    if not paths.folder.exists():
        url = asked.get("storage") or StudiesPaths(studies_dir).storage_url
        studies.load(studies.open_storage(url, create=False), name)
    settings = studyfile.thaw(paths, studies_dir).with_values("flag", name=name, **asked)
    return plans.known(settings, now(), pinned=pins.read(paths.pins))


def request_stop(name: str, studies_dir: Path, storage_url: str | None, *, at_once: bool) -> bool:
    """Leave a wish in storage that the driver's next tick reads. False if no driver is there to read it."""
    layout = StudiesPaths(studies_dir)
    study = studies.load(studies.open_storage(storage_url or layout.storage_url, create=False), name)
    if holder(layout.study(name).lock) is None:
        return False
    studies.set_study_attributes(study, {attributes.STOP: "now" if at_once else "drain"})
    return True


def _drive(plan: Plan, study: studies.Study, cluster: Cluster, events: EventLog, kind: str) -> Outcome:
    events.emit(
        kind,
        model=plan.skill.model,
        metric=plan.metric.name,
        direction=plan.metric.direction.value,
        trials=plan.trials,
        parallel=plan.parallel,
        epochs=plan.epochs,
        runtime=plan.runtime,
    )
    tuner = Tuner(plan, study, cluster, events)
    try:
        with _uploaded(plan, events), _interrupts(tuner):
            return tuner.run()
    except (OSError, StudyError) as error:
        if not _is_full(error):
            raise
        raise PlatformError(
            f"{plan.studies.folder} is full",
            tip=f"make room; what runs goes on, and tao-automl resume {plan.name} attaches to it",
            code="disk-full",
        ) from None


@contextmanager
def _uploaded(plan: Plan, events: EventLog) -> Iterator[None]:
    """The study's folder has a copy in a store, where one is asked for.

    Raises:
        AutoMLError: the store does not take it at the start, or not all of it at the end.
    """
    copy = copies.of_study(plan)
    if copy is None:
        yield
        return
    with copy.going_on(lambda text: events.emit("upload_failed", detail=text)):
        yield


def _is_full(error: OSError | StudyError) -> bool:
    """A full disk, met by a file or by the database."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "disk is full" in error.message


def _events(plan: Plan, listeners: Sequence[Listener], now: Callable[[], datetime]) -> EventLog:
    events = EventLog(plan.paths.events, plan.name, now)
    for listener in listeners:
        events.listen(listener)
    return events


@contextmanager
def _cluster(plan: Plan) -> Iterator[Cluster]:
    cluster = RayCluster(plan.room(plan.parallel))
    try:
        yield cluster
    finally:
        cluster.close()


def _prepare(plan: Plan, cluster: Cluster, listeners: Sequence[Listener], now: Callable[[], datetime]) -> None:
    """Each node sees the data and the studies, and has the image: said and checked before the first trial.

    Raises:
        PlatformError: a node does not; it is named.
    """
    events = EventLog(None, plan.name, now)
    for listener in listeners:
        events.listen(listener)
    token = plan.studies.folder / f".{plan.name}.{os.getpid()}"
    try:
        token.write_text("", encoding="utf-8")
        job = jobs.trial_job(plan, 0, 1)
        cluster.prepare(job, token, lambda node, text: events.emit("preparing", node=node, detail=text))
    finally:
        token.unlink(missing_ok=True)


def _refuse_existing(plan: Plan) -> None:
    """A name is used once; what to say depends on what the old study is."""
    if plan.settings["storage"] is None and not plan.studies.database.exists():
        return
    storage = studies.open_storage(plan.storage_url, create=False)
    if plan.name not in studies.names(storage):
        return
    studies.require_same(studies.load(storage, plan.name), plan.metric, plan.space)
    raise StudyError(
        f"study '{plan.name}' exists already",
        tip=f"tao-automl resume {plan.name} goes on with it; --name gives the new one another name",
        code="study-exists",
    )


def _check_room(settings: Settings) -> None:
    folder: Path = settings["studies_dir"]
    while not folder.exists():
        folder = folder.parent
    free, needed = shutil.disk_usage(folder).free, settings["min_free"]
    if free < needed:
        raise PlatformError(
            f"{folder} has {free / 2**30:.1f} GiB free, {needed / 2**30:.1f} GiB are needed",
            tip="make room, name another place with --studies-dir, or lower --min-free",
            code="disk-full",
        )
    if not os.access(folder, os.W_OK):
        raise PlatformError(f"{folder} is not writable", tip="name another place with --studies-dir")


def _unpack(plan: Plan) -> None:
    """Archives of images become folders, once for all studies."""
    for item in (*plan.data.train, *plan.data.val):
        if item.archive is not None:
            staging.unpack(item.archive, plan.studies.unpacked(item.archive))


def _attributes(plan: Plan) -> dict[str, Any]:
    """What readers need although the study's folder may be gone."""
    settings = plan.settings
    return {
        attributes.MODEL: plan.skill.model,
        attributes.RUNTIME: plan.runtime,
        attributes.TRIALS: plan.trials,
        attributes.EPOCHS: plan.epochs,
        attributes.ALGORITHM: settings["algorithm"],
        attributes.PRUNER: plan.pruner,
        attributes.SEED: settings["seed"],
    }


@contextmanager
def _interrupts(tuner: Tuner) -> Iterator[None]:
    """First Ctrl-C: start no more trials. Second, or SIGTERM: stop the active ones too."""
    seen = []

    def on_interrupt(number: int, _frame: FrameType | None) -> None:
        seen.append(number)
        if number == signal.SIGTERM or len(seen) > 1:
            tuner.cancel("interrupted")
        else:
            tuner.drain("interrupted")

    before = {number: signal.signal(number, on_interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
