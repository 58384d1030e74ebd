"""What is measured around a search: the checkpoint that it starts from, and at its end the winner's.

Both are jobs of the evaluate action on the study's own cluster. Neither decides anything: if one cannot be run, that
is said, and the study goes on.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tao_automl import action, actionplan, fidelity, jobs, runs
from tao_automl.actionplan import Asked, Prepared
from tao_automl.errors import AutoMLError
from tao_automl.events import EventLog
from tao_automl.execution.cluster import Cluster
from tao_automl.parents import Origin
from tao_automl.plan import Plan
from tao_automl.results import Winner
from tao_automl.runs import EVALUATE
from tao_automl.search import attributes
from tao_automl.search import study as studies
from tao_automl.search.study import Study
from tao_automl.tao import keypath
from tao_automl.tao import spec as spec_file

CHECKPOINT, DEFAULTS = "checkpoint", "defaults"  # what a baseline is of


def baseline(plan: Plan, study: Study, cluster: Cluster, events: EventLog) -> None:
    """Evaluate what the trainings start from, once for a study; without one, trial 0 is the baseline."""
    if plan.settings["baseline"] != "on" or study.user_attrs.get(attributes.BASELINE):
        return
    found: dict[str, Any] = {"of": DEFAULTS, "value": None, "file": None, "detail": None}
    file = starting_checkpoint(plan)
    if file is not None:
        try:
            done = action.run_on(cluster, plan, _of_start(plan, file))
            value = plan.metric.evaluated(done.metrics)
            found = {"of": CHECKPOINT, "value": value, "file": str(file), "detail": None}
        except AutoMLError as error:
            found["detail"] = f"{file} could not be evaluated: {error.message}"
    studies.set_study_attributes(study, {attributes.BASELINE: found})
    events.emit("baseline", **found)


def starting_checkpoint(plan: Plan) -> Path | None:
    """The model that every training starts from; None if there is none on this machine."""
    key = fidelity.key(plan.skill, plan.launch.spec, fidelity.WEIGHTS)
    value = keypath.get(plan.launch.spec, key, None) if key else None
    return Path(value) if isinstance(value, str) and value and Path(value).is_file() else None


def _of_start(plan: Plan, file: Path) -> Prepared:
    """The evaluation of the launched config with the weights that it starts from."""
    paths = plan.paths.baseline
    paths.folder.mkdir(parents=True, exist_ok=True)
    training = dataclasses.replace(paths, folder=paths.folder / "launched")
    training.folder.mkdir(exist_ok=True)
    training.spec.write_text(spec_file.dump(jobs.first_spec(plan)), encoding="utf-8")
    start = Winner(plan.name, 0, 0, plan.metric.name, 0.0, training, file, {})
    made = actionplan.compose(plan, Asked(EVALUATE), Origin(plan.paths, start, str(file)), paths)
    return dataclasses.replace(made, job=dataclasses.replace(made.job, id=f"{plan.name}-baseline"))


def evaluate(plan: Plan, cluster: Cluster, events: EventLog, is_stopping: Callable[[], bool]) -> None:
    """Evaluate the winner's checkpoint, unless that has been done, or each trial was scored so already.

    `is_stopping`: somebody wants it to end.
    """

    def sleep(time_s: float) -> None:
        if is_stopping():
            raise KeyboardInterrupt
        time.sleep(time_s)

    if plan.settings["final_evaluation"] != "on" or plan.settings["eval_action"]:
        return
    if EVALUATE not in plan.skill.actions:
        return
    try:
        prepared = actionplan.prepare(plan, Asked(EVALUATE))
        won = prepared.won
        if runs.evaluation(plan.paths, won.trial, won.epoch) is None:
            prepared = action.claim(plan, Asked(EVALUATE))
            job = dataclasses.replace(prepared.job, id=jobs.final_id(prepared.job.id))
            prepared = dataclasses.replace(prepared, job=job)
            events.emit("final_evaluation", trial=won.trial, epoch=won.epoch, folder=str(prepared.paths.folder))
            action.run_on(cluster, plan, prepared, sleep)
    except AutoMLError as error:
        events.emit("final_evaluation_failed", detail=error.message)
    except KeyboardInterrupt:
        events.emit("final_evaluation_failed", detail="interrupted")
