"""What comes after training: evaluate, export and whatever else a skill declares, each after what it needs.

An action is a job like a training trial: a full spec, a folder of its own, a command, on the same cluster.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao_automl import copies, jobs, runs
from tao_automl import plan as plans
from tao_automl.actionplan import Prepared
from tao_automl.errors import JobError
from tao_automl.execution import staging
from tao_automl.execution.cluster import Cluster, RayCluster
from tao_automl.execution.job import JobSpec, JobStatus, Phase
from tao_automl.plan import Plan
from tao_automl.runs import Run
from tao_automl.tao import checkpoint, failure, keypath, status
from tao_automl.tao.status import Progress

POLL_S = 0.1
MODELS = (".pth", ".tlt", ".onnx", ".engine")  # suffixes of model files that an action may leave


@dataclass(frozen=True)
class Done:
    """A finished action: the metrics it reported and what it made."""

    prepared: Prepared
    metrics: Mapping[str, Any]
    run: Run
    duration_s: float | None

    def as_dict(self) -> dict[str, Any]:
        prepared, run = self.prepared, self.run
        parent = prepared.parent
        return {
            "schema": 1,
            "action": run.action,
            "study": prepared.won.study,
            "trial": run.trial,
            "epoch": run.epoch,
            "checkpoint": str(parent.file) if parent else None,
            "after": run.after,
            "run": run.name,
            "folder": str(prepared.paths.folder),
            "metrics": dict(self.metrics),
            "outputs": {key: str(keypath.get(prepared.spec, key, "")) for key in prepared.action.outputs},
            "model": str(run.model) if run.model else None,
            "duration_s": self.duration_s,
        }


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
        _write(plan, prepared)
        state = _follow(cluster, prepared.job, sleep)
    finally:
        cluster.close()
    copy = copies.of_action(plan, prepared.paths)
    try:
        return finish(plan, prepared, state)
    finally:
        if copy is not None:
            copy.once()


def _write(plan: Plan, prepared: Prepared) -> None:
    """Everything that the job reads: its data, and its folder with the spec last."""
    for item in prepared.feed.used:
        if item.archive is not None:
            staging.unpack(item.archive, plan.studies.unpacked(item.archive))
    prepared.paths.folder.mkdir(parents=True, exist_ok=True)
    for path, text in prepared.feed.files.items():
        path.write_text(text, encoding="utf-8")
    jobs.write_job(prepared.paths, prepared.job, prepared.spec)


def finish(plan: Plan, prepared: Prepared, state: JobStatus) -> Done:
    """Read what the job left, and record it for the action that comes after.

    Raises:
        JobError: it failed, or a file it was to make is not there.
    """
    action, paths = prepared.action, prepared.paths
    folder = _results(prepared)
    progress = status.Progress().advance(status.read(folder / "status.json").lines)
    epochs = keypath.get(prepared.spec, plan.skill.facts.keys.epochs, None) if action.name == "train" else None
    verdict = status.verdict(state.exit_code, progress, action.task, epochs)
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
        if kind == "file":
            outputs[key] = path
    run = _run(plan, prepared, progress, outputs)
    runs.record(plan.paths, run)
    spent = state.ended_at_s - state.started_at_s if state.ended_at_s and state.started_at_s else None
    metrics = {name: _number(value) for name, value in (progress.kpi or _scores(folder)).items()}
    return Done(prepared, metrics, run, spent)


def _results(prepared: Prepared) -> Path:
    """Where the container wrote its results: the folder of its task, to which the deploy image adds a word."""
    names = (prepared.action.task, f"trt_{prepared.action.task}")
    folders = [prepared.paths.folder / name for name in names]
    return next((folder for folder in folders if folder.is_dir()), folders[0])


def _scores(folder: Path) -> Mapping[str, Any]:
    """What the deploy image writes instead of metrics in its status file."""
    try:
        found = json.loads((folder / "results.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _run(plan: Plan, prepared: Prepared, progress: Progress, outputs: Mapping[str, Path]) -> Run:
    """What the next action may start from. A training leaves the checkpoint of its best epoch."""
    parent, paths, names = prepared.parent, prepared.paths, plan.skill.facts.checkpoints
    files = checkpoint.scan(paths.checkpoints(prepared.action.task), names)
    values = {epoch: plan.metric.value(point) for epoch, point in progress.points.items()}
    best = checkpoint.choose(files, values, plan.metric) or (files[-1] if files else None)
    left = [best.path] if best else _models(paths.folder, set(outputs.values()))
    return Run(
        name=paths.folder.name,
        action=prepared.action.name,
        trial=prepared.won.trial,
        epoch=best.epoch if best else parent.epoch if parent else None,
        after=parent.run.name if parent and parent.run else None,
        outputs=outputs,
        model=left[0] if len(left) == 1 else None,
        paths=paths,
    )


def _models(folder: Path, known: set[Path]) -> list[Path]:
    """Model files that a job has left without being asked for them by name."""
    files = (path for path in folder.rglob("*") if path.suffix in MODELS and not path.is_symlink())
    return sorted(path for path in files if path.is_file() and path not in known)


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
