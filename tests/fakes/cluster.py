"""Machines with a clock of their own, and a cluster of them: jobs follow a script and leave real files.

`Machines` outlive a driver as real ones do; each driver makes its own `FakeCluster`, which knows nothing of
the jobs that an earlier one started until they are submitted to it again. No time passes but by `advance`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tao_automl.execution.job import JobSpec, JobStatus, Phase

SAMPLE = Path(__file__).parents[1] / "data" / "status_samples" / "success_3ep.status.json"
STEPS_PER_EPOCH = 10


@dataclass(frozen=True)
class Script:
    """What one job does.

    `values` has the metric of each epoch; None = an epoch without validation. The job ends by itself after
    its last epoch with `exit_code` (None: it is lost with its machine), and with `finishes` it says so in its
    status file. When it is told to stop it takes `stop_s` and ends with `stop_code`.
    """

    values: Sequence[float | None]
    epoch_s: float = 10.0
    exit_code: int | None = 0
    finishes: bool = True
    log: str = ""
    metric: str = "val_mAP50"
    saves: bool = True
    stop_s: float = 0.0
    stop_code: int | None = 137
    gpus: tuple[str, ...] = ()
    oom_killed: bool = False
    error: str | None = None
    waits: Callable[[float], str | None] | None = None  # by the seconds since the start
    first: int = 0  # the epoch that `values` begin with, after a resume


@dataclass
class Job:
    """A job that was started on the machines."""

    spec: JobSpec
    script: Script
    started_s: float
    steps: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    exited: bool = False
    exit_code: int | None = None
    ended_s: float | None = None
    stopping: bool = False

    def end(self, at_s: float, exit_code: int | None) -> None:
        self.exited, self.exit_code, self.ended_s, self.steps = True, exit_code, at_s, []

    def stop(self, now_s: float) -> None:
        """What is due after it has stopped does not happen any more."""
        if self.exited or self.stopping:
            return
        self.stopping = True
        at_s = now_s + self.script.stop_s
        due = [step for step in self.steps if step[0] < at_s]
        self.steps = [*due, (at_s, lambda: self.end(at_s, self.script.stop_code))]


class Machines:
    """Where jobs run. `script_of` says what a job does."""

    def __init__(self, script_of: Callable[[JobSpec], Script]) -> None:
        self.script_of = script_of
        self.clock = datetime.now()
        self.jobs: dict[str, Job] = {}
        self.removed: set[str] = set()
        self.most_at_once = 0

    def now(self) -> datetime:
        return self.clock

    @property
    def now_s(self) -> float:
        return self.clock.timestamp()

    def advance(self, seconds: float) -> None:
        """Let time pass; what is due in it happens, each job's steps in order."""
        self.clock += timedelta(seconds=seconds)
        for job in self.jobs.values():
            while job.steps and job.steps[0][0] <= self.now_s:
                job.steps.pop(0)[1]()

    def start(self, spec: JobSpec) -> None:
        assert spec.id not in self.jobs, f"{spec.id} is started twice"
        job = Job(spec, self.script_of(spec), self.now_s)
        job.steps = _steps(job)
        self.jobs[spec.id] = job
        self.most_at_once = max(self.most_at_once, len(self.running))

    @property
    def running(self) -> list[str]:
        return [name for name, job in self.jobs.items() if not job.exited]

    def status_of(self, name: str) -> JobStatus:
        job = self.jobs[name]
        phase = Phase.EXITED if job.exited else Phase.RUNNING
        ended_s = job.ended_s if job.exit_code is not None else None
        script = job.script
        return JobStatus(
            name,
            phase,
            job.exit_code,
            job.started_s,
            ended_s,
            "box",
            gpus=script.gpus,
            oom_killed=script.oom_killed and job.exited,
            error=script.error if job.exited else None,
            waits=script.waits(self.now_s - job.started_s) if script.waits and not job.exited else None,
        )

    def lose(self) -> None:
        """A power cut: whatever ran is gone, and nobody saw how it ended."""
        for job in self.jobs.values():
            if not job.exited:
                job.end(self.now_s, None)


class FakeCluster:
    """The `Cluster` that one driver has. `on_status` is called while a status is asked for."""

    def __init__(self, machines: Machines, slots: int = 1) -> None:
        self.machines = machines
        self.slots = slots
        self.mine: set[str] = set()
        self.on_status: Callable[[], None] = lambda: None

    def prepare(self, job: JobSpec, token: Path | None, say: Callable[[str, str], None]) -> None:
        """There is nothing to get."""

    def survey(self) -> dict[str, JobStatus]:
        return {name: self.machines.status_of(name) for name in self.machines.jobs if name not in self.machines.removed}

    def end(self, job_id: str) -> None:
        self.machines.jobs[job_id].stop(self.machines.now_s)
        self.machines.removed.add(job_id)

    def submit(self, job: JobSpec) -> None:
        if job.id in self.mine:
            return
        if self.free() <= 0:
            raise RuntimeError(f"no slot is free for job {job.id}")
        self.mine.add(job.id)
        if job.id not in self.machines.jobs:
            self.machines.start(job)

    def status(self, ids: Sequence[str]) -> dict[str, JobStatus]:
        self.on_status()
        return {name: self.status_of(name) for name in ids}

    def cancel(self, job_id: str, grace_s: float) -> None:
        if job_id in self.mine:
            self.machines.jobs[job_id].stop(self.machines.now_s)

    def free(self, avoid: Sequence[str] = ()) -> int:
        return self.slots - len(self.mine)

    def release(self, job_id: str) -> None:
        self.mine.discard(job_id)
        if job_id in self.machines.jobs and self.machines.jobs[job_id].exited:
            self.machines.removed.add(job_id)

    def close(self) -> None:
        self.mine.clear()

    def status_of(self, name: str) -> JobStatus:
        return self.machines.status_of(name) if name in self.mine else JobStatus(name, Phase.UNKNOWN)


def status_lines(
    values: Sequence[float | None], metric: str = "val_mAP50", finishes: bool = True, first: int = 0
) -> list[list[str]]:
    """status.json of a training in its real shape: the head, one block an epoch, the end."""
    sample = [json.loads(line) for line in SAMPLE.read_text(encoding="utf-8").splitlines()]
    start = next(index for index, line in enumerate(sample) if line.get("epoch") == 0)
    evaluated, epoch_line, trained = sample[start - 1 : start + 2]
    blocks = [sample[: start - 3]]
    for epoch, value in enumerate(values, first):
        numbers = {"epoch": epoch, "step": (epoch + 1) * STEPS_PER_EPOCH, "max_epoch": first + len(values) - 1}
        if value is None:
            blocks.append([{**epoch_line, **numbers, "kpi": trained["kpi"]}, trained])
        else:
            kpi = {**evaluated["kpi"], "val_mAP50": "0.0", metric: str(value)}
            blocks.append([{**evaluated, "kpi": kpi}, {**epoch_line, **numbers, "kpi": kpi}, trained])
    blocks.append(sample[-2:] if finishes else [])
    return [[json.dumps(line) for line in block] for block in blocks]


def _steps(job: Job) -> list[tuple[float, Callable[[], None]]]:
    script, folder = job.script, job.spec.folder / job.spec.action
    head, *epochs, end = status_lines(script.values, script.metric, script.finishes, script.first)
    if job.spec.action != "train":  # its last lines have its metrics
        kpi = dict.fromkeys([script.metric] if script.values else [], str([*script.values, None][0]))
        end = [json.dumps({**json.loads(line), "kpi": kpi}) for line in end]
    steps: list[tuple[float, Callable[[], None]]] = [(job.started_s, lambda: _append(folder, head))]
    for epoch, block in enumerate(epochs):
        at_s = job.started_s + (epoch + 1) * script.epoch_s
        if script.saves:
            steps.append((at_s, lambda epoch=script.first + epoch: _save(folder, epoch)))
        steps.append((at_s, lambda block=block: _append(folder, block)))

    def finish() -> None:
        _append(folder, end)
        (job.spec.folder / "log.txt").write_text(script.log, encoding="utf-8")
        job.end(last_s, script.exit_code)

    last_s = job.started_s + len(epochs) * script.epoch_s
    return [*steps, (last_s, finish)]


def _append(folder: Path, lines: Sequence[Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "status.json").open("a", encoding="utf-8") as stream:
        stream.writelines(f"{line}\n" for line in lines)


def _save(folder: Path, epoch: int) -> None:
    """A checkpoint and the link to the latest one."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"model_epoch_{epoch:03d}_step_{(epoch + 1) * STEPS_PER_EPOCH:05d}.pth"
    file.write_bytes(b"weights")
    latest = folder / "tiny_model_latest.pth"
    latest.unlink(missing_ok=True)
    latest.symlink_to(file.name)
