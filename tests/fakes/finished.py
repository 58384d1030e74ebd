"""A finished DINO study as a driver leaves it (real skill, storage and specs, no training), and what an action does."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tao_automl import jobs, studyfile
from tao_automl import plan as plans
from tao_automl.execution.job import JobSpec, JobStatus, Phase
from tao_automl.plan import Plan
from tao_automl.search import attributes
from tao_automl.search import study as studies
from tao_automl.search.study import TrialState
from tao_automl.tao import keypath, spec
from tests.fakes.tiny import NOW, coco, settings

EVALUATED = Path(__file__).parents[1] / "data" / "status_samples" / "evaluate_dino.status.json"
BEST, LAST = "model_epoch_001_step_00020.pth", "model_epoch_002_step_00030.pth"
WINNING = {
    "model.num_queries": 500,
    "model.enc_layers": 4,
    "dataset.batch_size": 2,
    "train.optim.lr": 1e-3,
}


def make(folder: Path) -> Plan:
    """Study `done` of four images, categories 1 and 3: trial 0 is complete, trial 1 is better, trial 2 failed."""
    for split in ("train", "val"):
        coco(folder / split, images=4, categories=(1, 3))
    asked = settings(folder, skill_dir=None, model="dino", name="done", trials=3, epochs=3)
    plan = plans.prepare(asked, NOW)
    plan.paths.folder.mkdir(parents=True)
    studyfile.freeze(plan.settings, plan.name, plan.paths.study_file, NOW)
    storage = studies.open_storage(plan.storage_url, create=True)
    known = {attributes.MODEL: "dino", attributes.RUNTIME: "process", attributes.TRIALS: 3, attributes.EPOCHS: 3}
    study = studies.create(storage, plan.name, plan.metric, plan.space, attributes=known)
    for value in (0.2, 0.5, None):
        _trial(plan, study, value)
    return plan


def _trial(plan: Plan, study: studies.Study, value: float | None) -> None:
    number, values = studies.ask(study, plan.space)
    values = {**values, **(WINNING if number == 1 else {})}
    files = plan.paths.attempt(number, 1)
    jobs.write_job(files, jobs.trial_job(plan, number, 1), jobs.trial_spec(plan, values, files))
    found: dict[str, Any] = {attributes.ATTEMPT: 1, attributes.VALUES: values}
    if value is None:
        studies.set_trial_attributes(study, number, found)
        studies.tell(study, number, TrialState.FAIL)
        return
    folder = files.checkpoints("train")
    folder.mkdir()
    for name in (BEST, LAST):
        (folder / name).write_bytes(name.encode())
    (folder / "dino_model_latest.pth").symlink_to(LAST)
    stored = plan.paths.relative(folder / BEST)
    found |= {attributes.BEST_EPOCH: 1, attributes.BEST_VALUE: value, attributes.CHECKPOINT: stored}
    studies.report(study, number, {0: value - 0.1, 1: value, 2: value - 0.05})
    studies.set_trial_attributes(study, number, found)
    studies.tell(study, number, TrialState.COMPLETE, value)


def evaluates(job: JobSpec) -> int:
    """What an evaluation leaves."""
    (job.folder / "evaluate").mkdir()
    shutil.copyfile(EVALUATED, job.folder / "evaluate" / "status.json")
    (job.folder / "log.txt").write_text("Testing: 100%\n", encoding="utf-8")
    return 0


def makes(job: JobSpec) -> int:
    """Every new file that the spec names below the job's own folder."""
    for value in keypath.flatten(spec.load((job.folder / "spec.yaml").read_text(encoding="utf-8"))).values():
        if isinstance(value, str) and value.startswith(f"{job.folder}/") and not Path(value).exists():
            Path(value).write_bytes(b"made" * 1024)
    return 0


def trains(job: JobSpec) -> int:
    """What a training of three epochs leaves, whatever the action: the second epoch is the best."""
    folder = job.folder / job.action
    folder.mkdir()
    shutil.copyfile(EVALUATED.with_name("success_3ep.status.json"), folder / "status.json")
    for epoch in range(3):
        (folder / f"model_epoch_{epoch:03d}_step_{10 * (epoch + 1):05d}.pth").write_bytes(b"w")
    return 0


def breaks(job: JobSpec) -> int:
    """A job that fails half way."""
    log = "Loading checkpoint\nRuntimeError: CUDA out of memory. Tried to allocate 2 GiB.\nExecution status: FAIL\n"
    (job.folder / "log.txt").write_text(log, encoding="utf-8")
    return 1


@dataclass
class OneJob:
    """A cluster whose jobs are done as soon as they are submitted: `work` leaves their files."""

    work: Callable[[JobSpec], int]
    jobs: dict[str, JobStatus] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    closed: bool = False

    def prepare(self, job: JobSpec, token: Path | None, say: Callable[[str, str], None]) -> None:
        pass

    def release(self, job_id: str) -> None:
        self.released.append(job_id)

    def submit(self, job: JobSpec) -> None:
        self.jobs[job.id] = JobStatus(job.id, Phase.EXITED, self.work(job), 100.0, 112.0)

    def status(self, ids: Sequence[str]) -> Mapping[str, JobStatus]:
        return {name: self.jobs[name] for name in ids}

    def cancel(self, job_id: str, grace_s: float) -> None:
        self.cancelled.append(job_id)

    def close(self) -> None:
        self.closed = True
