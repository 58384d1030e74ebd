"""One attempt of a trial: what it writes while it runs, and what it was worth at its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tao_automl.execution.job import JobStatus
from tao_automl.layout import AttemptPaths
from tao_automl.ledger import attempt_of
from tao_automl.plan import Plan
from tao_automl.recovery import Decision, History
from tao_automl.search import attributes
from tao_automl.search.study import FrozenTrial
from tao_automl.segments import Segment
from tao_automl.tao import checkpoint, failure, keypath, metricfile, spec, status
from tao_automl.tao.failure import Diagnosis
from tao_automl.tao.status import Progress

MIN_QUIET_S = 600.0  # a trainer that is slow to start has this long
QUIET_EPOCHS = 5.0
KILLED = (None, 137, 143)  # how a job ends that was stopped, or lost with its machine


@dataclass
class Watched:
    """A trial whose status file is being read: a cache, made again from the file after a restart.

    `heard_s` is when this driver last learned anything from the job: a status line or, until the first epoch has
    shown how long one takes, a line of the log. The clock of a silence starts anew with each driver, so that one
    which was away takes nothing for a hang.
    """

    heard_s: float
    progress: Progress = field(default_factory=Progress)
    offset: int = 0
    history: bool = False  # its file has not been read since the driver started
    cancelled: bool = False  # this driver has told the cluster to stop it
    log_size: int = 0
    waits: str | None = None  # what it was last said to wait for

    def read(self, paths: AttemptPaths, now_s: float) -> None:
        """Read what the trainer has written since the last time."""
        chunk = status.read(paths.status("train"), self.offset)
        before = Progress() if chunk.restarted else self.progress
        self.offset, self.progress = chunk.offset, before.advance(chunk.lines)
        size = _size(paths.log) if self.progress.last_epoch is None else self.log_size
        if chunk.lines or size != self.log_size:
            self.heard_s, self.log_size = now_s, size

    def close(self, plan: Plan, paths: AttemptPaths, epochs: int) -> None:
        """Read what a trainer without a status file leaves at its end, after so many epochs."""
        name = plan.skill.actions["train"].metric_file
        if name is not None and self.progress.runs == 0:
            self.progress = metricfile.read(paths.folder / name, epochs) or self.progress

    def is_silent(self, now_s: float, limit_s: float | None) -> bool:
        """True if nothing was heard for `limit_s`; None: for ten minutes, or five epochs where they are longer."""
        if limit_s is None:
            limit_s = max(MIN_QUIET_S, QUIET_EPOCHS * (self.progress.time_per_epoch_s or 0.0))
        return now_s - self.heard_s > limit_s


def points(plan: Plan, progress: Progress) -> dict[int, float]:
    """The study metric by epoch; an epoch without a usable value has none."""
    kpis = {epoch: {**progress.trained.get(epoch, {}), **kpi} for epoch, kpi in progress.points.items()}
    values = {epoch: plan.metric.value(kpi) for epoch, kpi in {**progress.trained, **kpis}.items()}
    return {epoch: value for epoch, value in values.items() if value is not None}


def is_done(segment: Segment, state: JobStatus, progress: Progress) -> bool:
    """True if the training came to its end. A job killed after it had said so has lost nothing by that."""
    code = 0 if progress.finished and state.exit_code in KILLED else state.exit_code
    return status.verdict(code, progress, "train", segment.epochs).ok


def facts(
    plan: Plan, paths: AttemptPaths, state: JobStatus, values: Mapping[int, float], segment: Segment
) -> dict[str, Any]:
    """What is stored of an attempt that has ended: exit code, time, best epoch and its checkpoint.

    The best epoch may be one of the trial that it went on from. `values` are those of its own epochs.
    """
    found: dict[str, Any] = {}
    if state.exit_code != 0:  # each attribute is a commit, and most jobs end well
        found[attributes.EXIT_CODE] = state.exit_code
    if state.started_at_s is not None and state.ended_at_s is not None:
        found[attributes.TRAINER_TIME_S] = round(state.ended_at_s - state.started_at_s, 3)
    best = plan.metric.best(segment.whole(values)) if values else None
    if best is None:
        return found
    found[attributes.BEST_EPOCH], found[attributes.BEST_VALUE] = best
    names = plan.skill.facts.checkpoints
    files = checkpoint.scan(paths.checkpoints(names.folder), names)
    file = checkpoint.choose(files, values, plan.metric)
    if best[0] in segment.before and segment.best_before is not None:
        found[attributes.CHECKPOINT] = segment.best_before
    elif file is not None:
        found[attributes.CHECKPOINT] = plan.paths.relative(file.path)
    if (last := checkpoint.of_epoch(files, segment.epochs - 1)) is not None and segment.end < plan.epochs:
        found[attributes.END] = plan.paths.relative(last.path)
    return found


def without_metric(plan: Plan, progress: Progress) -> Diagnosis:
    """Why an attempt that came to its end failed: it has not said what it was worth."""
    return failure.without_metric((plan.metric.name, *plan.metric.aliases), progress.points)


def diagnose(paths: AttemptPaths, state: JobStatus, progress: Progress, silent: bool) -> Diagnosis:
    """Why an attempt failed: the logs of all its nodes know more than the exit code does.

    `silent`: it was stopped because nothing was heard of it.
    """
    logs = [paths.log, *sorted(paths.folder.glob("node-*/log.txt"))]
    tail = "\n".join(line for log in logs for line in failure.tail(log))
    if silent:
        last = "no epoch had ended" if progress.last_epoch is None else f"the last epoch was {progress.last_epoch}"
        return failure.hang(tail, progress.failures, f"no new line in status.json; {last}")
    code = state.exit_code
    return failure.classify(tail, progress.failures, code, oom_killed=state.oom_killed, error=state.error)


def history(plan: Plan, trial: FrozenTrial, trials: Iterable[FrozenTrial]) -> History:
    """What the rules of recovery need to know of a trial and its study."""
    done = {
        other.number: other.user_attrs.get(attributes.REASON)
        for other in trials
        if other.state.is_finished() and other.number != trial.number
    }
    return History(
        trial=trial.number,
        retries=trial.user_attrs.get(attributes.RETRIES) or {},
        batch_size=batch_size(plan, trial),
        finished=done,
    )


def avoidable(trial: FrozenTrial, state: JobStatus, decision: Decision) -> tuple[str, ...]:
    """What a decision says to avoid, in the form of `JobSpec.avoid`: the node, or the GPUs that the attempt had."""
    host = state.node or trial.user_attrs.get(attributes.NODE)
    if host is None:
        return ()
    if decision.avoid_node:
        return (host,)
    gpus = state.gpus or tuple(trial.user_attrs.get(attributes.GPUS) or ())
    return tuple(f"{host}/{gpu}" for gpu in gpus) if decision.avoid_gpus else ()


def again(plan: Plan, trial: FrozenTrial, found: Diagnosis, decision: Decision, now_s: float) -> dict[str, Any]:
    """What is stored of a failed attempt that is followed by another one."""
    retries = dict(trial.user_attrs.get(attributes.RETRIES) or {})
    retries[found.reason.value] = retries.get(found.reason.value, 0) + 1
    stored: dict[str, Any] = {attributes.RETRIES: retries}
    key = plan.skill.facts.keys.batch_size
    if decision.batch_size is not None and key is not None:
        stored[attributes.CHANGED] = {**(trial.user_attrs.get(attributes.CHANGED) or {}), key: decision.batch_size}
    if decision.backoff_s:
        stored[attributes.NOT_BEFORE_S] = now_s + decision.backoff_s
    return stored


def batch_size(plan: Plan, trial: FrozenTrial) -> int | None:
    """The batch size of a trial's current attempt, as its spec has it."""
    key = plan.skill.facts.keys.batch_size
    attempt = plan.paths.attempt(trial.number, attempt_of(trial))
    if key is None or not attempt.spec.exists():
        return None
    found = keypath.get(spec.load(attempt.spec.read_text(encoding="utf-8")), key, None)
    return int(found) if found else None


def _size(log: Path) -> int:
    try:
        return log.stat().st_size
    except OSError:
        return 0
