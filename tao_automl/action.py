"""What comes after training: evaluate, export and whatever else a skill declares, on the winning checkpoint.

An action is a job like a training trial: a full spec, a folder of its own, a command. Its spec is the
action's template with the structural parameters of the winning spec, the exact checkpoint file and the data.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao_automl import copies, launch, results
from tao_automl import plan as plans
from tao_automl.errors import JobError, UsageError, near
from tao_automl.execution.cluster import Cluster, RayCluster
from tao_automl.execution.job import JobSpec, JobStatus, Phase
from tao_automl.layout import AttemptPaths
from tao_automl.plan import Plan
from tao_automl.results import Winner
from tao_automl.search import study as studies
from tao_automl.tao import failure, keypath, remote, spec, status
from tao_automl.tao.schema import Schema
from tao_automl.tao.skill import Action

POLL_S = 0.1
CREATED = {
    "create_onnx_file": "model.onnx",
    "create_engine_file": "model.engine",
    "create_cal_cache": "cal.bin",
}


@dataclass(frozen=True)
class Prepared:
    """An action that is ready to start."""

    action: Action
    won: Winner
    checkpoint: Path
    spec: Mapping[str, Any]
    job: JobSpec
    paths: AttemptPaths


@dataclass(frozen=True)
class Done:
    """A finished action: the metrics it reported and the files it was asked to make."""

    prepared: Prepared
    metrics: Mapping[str, Any]
    outputs: Mapping[str, str]
    duration_s: float | None

    def as_dict(self) -> dict[str, Any]:
        won = self.prepared.won
        return {
            "schema": 1,
            "action": self.prepared.action.name,
            "study": won.study,
            "trial": won.trial,
            "epoch": won.epoch,
            "checkpoint": str(self.prepared.checkpoint),
            "folder": str(self.prepared.paths.folder),
            "metrics": dict(self.metrics),
            "outputs": dict(self.outputs),
            "duration_s": self.duration_s,
        }


def winner_of(plan: Plan, trial: int | None) -> Winner:
    """The best trial of a study, or the named one.

    Raises:
        UsageError: there is no such trial, or it has no result.
    """
    study = studies.load(studies.open_storage(plan.storage_url, create=False), plan.name)
    ranked = results.ranking(studies.trials(study), plan.metric)
    chosen = next((item for item in ranked if trial is None or item.number == trial), None)
    if chosen is None:
        which = f"trial {trial} of study '{plan.name}'" if trial is not None else f"study '{plan.name}'"
        raise UsageError(f"{which} has no result", tip=f"tao-automl status {plan.name} shows what it has")
    return results.winner(chosen, plan.name, plan.paths, plan.metric)


def prepare(plan: Plan, name: str, won: Winner, given: Mapping[str, Any], checkpoint: Path | None) -> Prepared:
    """Choose checkpoint, spec and folder of an action. Writes nothing.

    Args:
        given: `--set` values by key path.
        checkpoint: a file to use instead of the winner's.

    Raises:
        UsageError: the skill has no such action, an input is not known, or the checkpoint is gone.
    """
    if name not in plan.skill.actions:
        raise UsageError(f"model '{plan.skill.model}' has no action '{name}'", tip=near(name, plan.skill.actions))
    action, schema = plan.skill.actions[name], plan.skill.schema(name)
    file = checkpoint or won.checkpoint
    if checkpoint is not None and not checkpoint.exists():
        raise UsageError(f"checkpoint {checkpoint} is missing", tip="leave --checkpoint out to take the winner's")
    if file is None or not file.exists():
        raise UsageError(
            f"the checkpoint of trial {won.trial} of study '{won.study}' is gone",
            tip="--checkpoint FILE names another, or take another trial: STUDY/TRIAL",
        )
    paths = plan.paths.next_action(name)
    values = {item.path: item.value for item in plan.skill.facts.launch if item.path in schema.fields}
    values |= _carried(plan, won, schema)
    values |= _functions(action, file, paths)
    set_values = launch.user_values(plan.skill, schema, given, name)
    values |= _data(plan, action, set_values)
    values |= set_values
    full = spec.build(plan.skill.template(name), values, {})
    _check_inputs(action, full)
    plan = plans.reading(plan, full)
    full = remote.replaced(full, plan.places)
    identity = f"{plan.name}-{paths.folder.name}"
    job = plans.job(plan, identity, action, paths, values)
    return Prepared(action, won, file, full, job, paths)


def run(plan: Plan, prepared: Prepared, sleep: Callable[[float], None] = time.sleep) -> Done:
    """Run a prepared action to its end, on the same cluster as trials.

    Raises:
        JobError: it failed; the message has the telling line of its log.
    """
    plans.check_machine(plan)
    copies.check(plan)
    cluster = RayCluster(dataclasses.replace(plan.room(slots=1), nodes=1))
    try:
        cluster.prepare(prepared.job, None, lambda _node, _text: None)
        plans.write_job(prepared.paths, prepared.job, prepared.spec)
        state = _follow(cluster, prepared.job, sleep)
    finally:
        cluster.close()
    copy = copies.of_action(plan, prepared.paths)
    if copy is not None:
        copy.once()
    return finish(prepared, state)


def finish(prepared: Prepared, state: JobStatus) -> Done:
    """Read what the job left.

    Raises:
        JobError: it failed, or a file it was to make is not there.
    """
    action, paths = prepared.action, prepared.paths
    progress = status.Progress().advance(status.read(paths.status(action.name)).lines)
    verdict = status.verdict(state.exit_code, progress, action.name)
    by_hand = f"log: {paths.log}; by hand: {paths.run_sh}"
    if not verdict.ok:
        tail = "\n".join(failure.tail(paths.log))
        code, oom_killed = state.exit_code or 1, state.oom_killed  # what ends with 0 has written why
        found = failure.classify(tail, progress.failures, code, oom_killed=oom_killed, error=state.error)
        said = found.line or verdict.detail
        raise JobError(f"{action.name} failed: {said}", tip=f"{found.fix} {by_hand}".strip(), code=found.reason.value)
    outputs = {}
    for key, kind in action.outputs.items():
        path = Path(str(keypath.get(prepared.spec, key, "")))
        if kind == "file" and not path.is_file():
            raise JobError(f"{action.name} made no {key}: {path} is missing", tip=by_hand)
        outputs[key] = str(path)
    spent = state.ended_at_s - state.started_at_s if state.ended_at_s and state.started_at_s else None
    metrics = {name: _number(value) for name, value in (progress.kpi or {}).items()}
    return Done(prepared, metrics, outputs, spent)


def _number(value: Any) -> Any:
    """TAO writes some metrics as text; what is no finite number stays as it is."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return value
    return number if math.isfinite(number) else str(value)


def _follow(cluster: Cluster, job: JobSpec, sleep: Callable[[float], None]) -> JobStatus:
    cluster.submit(job)
    try:
        while True:
            state = cluster.status([job.id])[job.id]
            if state.phase is Phase.EXITED:
                cluster.release(job.id)
                return state
            sleep(POLL_S)
    except KeyboardInterrupt:
        cluster.cancel(job.id, 0.0)
        raise


def _carried(plan: Plan, won: Winner, schema: Schema) -> dict[str, Any]:
    """The winning spec's structural parameters: those the skill names, and all it changed in shared groups.

    What trained the model (`train.…`) and the data of training stay behind.
    """
    addresses = {place: url for url, place in plan.places.items()}
    trained = remote.replaced(spec.load(won.attempt.spec.read_text(encoding="utf-8")), addresses)
    sources = [source.key for source in plan.skill.actions["train"].data_sources]
    keys = plan.skill.facts.keys
    changed = spec.differences(trained, plan.skill.template("train"))
    wanted = [path for path in changed if path.split(".", 1)[0] in ("model", "dataset")]
    wanted += [path for path in (*plan.skill.facts.carry, keys.num_classes, keys.eval_class_ids) if path]
    return {
        path: keypath.get(trained, path)
        for path in dict.fromkeys(wanted)
        if path in schema.fields and not any(launch.is_below(path, source) for source in sources)
    }


def _functions(action: Action, checkpoint: Path, paths: AttemptPaths) -> dict[str, Any]:
    """TAO's inference functions that an action needs, by name. The others keep the template's value."""
    made: dict[str, Any] = {
        "output_dir": str(paths.folder),
        "parent_model": str(checkpoint.resolve()),
        "parent_model_folder": str(checkpoint.resolve().parent),
        **{function: str(paths.folder / name) for function, name in CREATED.items()},
    }
    return {key: made[function] for key, function in action.spec_params.items() if function in made}


def _data(plan: Plan, action: Action, given: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for source in action.data_sources:
        datasets = plan.data.of(source.source)[: None if source.many else 1]
        if datasets and not any(launch.is_below(path, source.key) for path in given):
            values[source.key] = launch.source_value(source, datasets, plan.studies)
    return values


def _check_inputs(action: Action, full: Mapping[str, Any]) -> None:
    for key, needed in action.inputs.items():
        value = keypath.get(full, key, None)
        if value in (None, "", [], "???") and not needed.optional:
            raise UsageError(
                f"{action.name} needs {key}: nothing says what it is",
                tip=f"--set {key}=PATH",
                code="input-missing",
            )
