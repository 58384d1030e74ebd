"""What a study costs as it grows: memory of its driver, and the time of what a driver and a reader do.

    python benchmarks/scale.py [--memory 1 100 1000] [--trials 10000] [--profile]

The first trial of the study really runs, with the stand-in trainer; the others are written into the storage as
told trials, with 17 parameters and 10 epochs each, and have folders as a driver leaves them. Beyond a thousand they
are copies in the database, because Optuna is slow to write one. Then it prints

- with so many finished trials: memory of a driver that runs one more, with Ray (proportional set size, so that
  shared pages count once; trainers are left out)
- with `--trials` told trials and 4 running ones, on a cluster that answers at once: one ask, one tick in which
  nothing happens, one that reports an epoch, one that ends a trial and starts the next; and the commands that look

`--profile` adds where the time of an ask and of a tick goes.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import os
import pstats
import random
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from default_run import descendants, memory_bytes

from tao_automl import driver
from tao_automl.events import EventLog
from tao_automl.execution.job import JobSpec, JobStatus, Phase
from tao_automl.plan import Plan
from tao_automl.search import attributes
from tao_automl.search import study as studies
from tao_automl.standin.statuslog import StatusLog
from tao_automl.tuner import Tuner

NAME, EPOCHS, PARALLEL = "bench", 10, 4
# What makes the default space of 8 parameters one of 17.
SPACE = [
    *("--set", "train.optim.lr_steps=[4]", "--set", "train.optim.optimizer=SGD"),
    *("--set", "dataset.augmentation.fixed_random_crop=null"),
    *("--search", "dataset.workers", "--search", "model.dropout_ratio", "--search", "model.num_select=100..300:50"),
    *("--search", "model.cls_loss_coef=1..4", "--search", "train.clip_grad_norm=0.05..1"),
]
PARTS = (
    "trial_params",
    "trial_values",
    "trial_intermediate_values",
    "trial_user_attributes",
    "trial_system_attributes",
)
ONE_STEP = {"STANDIN_STEPS": "1"}


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "tao_automl", *words]


def begin(folder: str) -> None:
    """A study with one finished trial."""
    words = ["run", "--model", "dino", "--name", NAME, "--trials", "1", "--epochs", str(EPOCHS), *SPACE]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(command(*words, "--studies-dir", folder), check=True, env={**os.environ, **ONE_STEP}, **quiet)


def fill(plan: Plan, study: studies.Study, count: int) -> None:
    """Add told trials up to `count`, each with a folder: an eighth of them pruned."""
    rng = random.Random(1)
    proposing = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    began = datetime.now() - timedelta(minutes=count)
    for number in range(len(studies.trials(study)), count):
        if number % 500 == 0:  # a study that stays small proposes fast
            proposing = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=number))
        trial = proposing.ask()
        values = plan.space.suggest(trial)
        points = {epoch: round(rng.random() * epoch / EPOCHS, 4) for epoch in range(3 if number % 8 == 0 else EPOCHS)}
        epoch, value = plan.metric.best(points) or (0, 0.0)
        pruned = number % 8 == 0
        known: dict[str, Any] = {
            attributes.ATTEMPT: 1,
            attributes.VALUES: values,
            attributes.NODE: "node",
            attributes.TRAINER_TIME_S: 50.0,
            attributes.BEST_EPOCH: epoch,
            attributes.BEST_VALUE: value,
            attributes.CHECKPOINT: plan.paths.relative(plan.paths.attempt(number, 1).folder / "train" / "gone.pth"),
        }
        study.add_trial(
            optuna.trial.FrozenTrial(
                number=number,
                trial_id=number,
                state=optuna.trial.TrialState.PRUNED if pruned else optuna.trial.TrialState.COMPLETE,
                value=points[max(points)] if pruned else value,
                datetime_start=began + timedelta(minutes=number),
                datetime_complete=began + timedelta(minutes=number, seconds=50),
                params=trial.params,
                distributions=trial.distributions,
                user_attrs=known | ({attributes.INTENT: "pruned"} if pruned else {}),
                system_attrs={},
                intermediate_values=points,
            )
        )
        make_folder(plan, number)


def multiply(plan: Plan, count: int) -> None:
    """Copy all trials, in the database, until there are `count`."""
    with closing(sqlite3.connect(plan.studies.database)) as database, database:
        while (there := database.execute("SELECT COUNT(*) FROM trials").fetchone()[0]) < count:
            of = f"trial_id <= {min(there, count - there)}"
            names = "study_id, state, datetime_start, datetime_complete"
            added = f"trial_id + {there}, number + {there}, {names} FROM trials WHERE {of}"
            for table in PARTS:
                columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})") if not row[5]]
                shifted = ", ".join(f"trial_id + {there}" if name == "trial_id" else f'"{name}"' for name in columns)
                into = ", ".join(f'"{name}"' for name in columns)
                database.execute(f"INSERT INTO {table} ({into}) SELECT {shifted} FROM {table} WHERE {of}")
            database.execute(f"INSERT INTO trials (trial_id, number, {names}) SELECT {added}")
    for number in range(count):
        make_folder(plan, number)


def make_folder(plan: Plan, number: int) -> None:
    """The files that count, as hard links to those of the first trial."""
    first, folder = plan.paths.attempt(0, 1).folder, plan.paths.attempt(number, 1).folder
    if not folder.exists():
        (folder / "train").mkdir(parents=True)
        for name in ("spec.yaml", "train/status.json"):
            os.link(first / name, folder / name)


def opened(folder: str, **changes: Any) -> tuple[Plan, studies.Study]:
    plan = driver.plan_of(NAME, Path(folder), changes)
    return plan, studies.load(studies.open_storage(plan.storage_url, create=False), NAME)


def driver_bytes(folder: str, finished: int) -> int:
    """Greatest memory of a driver that runs one more trial."""
    words = command("resume", NAME, "--trials", str(finished + 1), "--studies-dir", folder)
    peak, null = 0, subprocess.DEVNULL
    with subprocess.Popen(words, stdout=null, stderr=null, env={**os.environ, **ONE_STEP}) as process:
        while process.poll() is None:
            peak = max(peak, memory_bytes(descendants(process.pid)))
            time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"the driver ended with {process.returncode}")
    return peak


class StillCluster:
    """Jobs that run until they are said to have ended; it answers at once."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.jobs: dict[str, JobSpec] = {}
        self.ended: set[str] = set()

    def prepare(self, job: JobSpec, token: Path | None, say: Callable[[str, str], None]) -> None:
        """Nothing is to be done."""

    def survey(self) -> dict[str, JobStatus]:
        return {}

    def end(self, job_id: str) -> None:
        self.jobs.pop(job_id, None)

    def submit(self, job: JobSpec) -> None:
        self.jobs[job.id] = job

    def status(self, ids: Sequence[str]) -> dict[str, JobStatus]:
        return {name: self._status(name) for name in ids}

    def _status(self, name: str) -> JobStatus:
        if name not in self.jobs:
            return JobStatus(name, Phase.UNKNOWN)
        over = name in self.ended
        now_s = time.time()
        phase = Phase.EXITED if over else Phase.RUNNING
        return JobStatus(name, phase, 0 if over else None, now_s - 50, now_s if over else None, "node")

    def cancel(self, job_id: str, grace_s: float) -> None:
        raise SystemExit(f"{job_id} would be stopped within {grace_s:g} s")

    def free(self, avoid: Sequence[str] = ()) -> int:
        if avoid:
            raise SystemExit(f"{', '.join(avoid)} would be avoided")
        return self.slots - len(self.jobs)

    def release(self, job_id: str) -> None:
        self.jobs.pop(job_id, None)

    def close(self) -> None:
        self.jobs.clear()


class Bench:
    """A driver of the grown study."""

    def __init__(self, folder: str, trials: int) -> None:
        self.plan, self.study = opened(folder, trials=2 * trials, parallel=PARALLEL)
        self.cluster = StillCluster(PARALLEL)
        self.tuner = Tuner(self.plan, self.study, self.cluster, EventLog(self.plan.paths.events, NAME, datetime.now))
        self.epochs: dict[str, int] = {}

    def ask(self) -> None:
        """A trial that is told at once; telling it is not measured."""
        self.asked, _ = studies.ask(self.study, self.plan.space)

    def told(self) -> None:
        studies.tell(self.study, self.asked, studies.TrialState.COMPLETE, 0.0)

    def oldest(self) -> tuple[str, StatusLog]:
        """The job that has run longest, and where it writes."""
        name, job = next(iter(self.cluster.jobs.items()))
        path = job.folder / "train" / "status.json"
        if not path.exists():
            path.parent.mkdir()
            StatusLog(path).write("Starting DINO train.", status="STARTED")
        return name, StatusLog(path)

    def epoch(self) -> None:
        """The oldest job ends an epoch."""
        name, log = self.oldest()
        number = self.epochs.get(name, 0)
        self.epochs[name] = number + 1
        log.kpi = {self.plan.metric.name: str(1.0 + number / 100)}
        log.write("Eval metrics generated.")
        log.epoch(number, EPOCHS, number + 1, 1, (5.0, 5.0))

    def end(self) -> None:
        """The oldest job has ended its last epoch, which has been reported, and ends."""
        name, log = self.oldest()
        while self.epochs.get(name, 0) < EPOCHS:
            self.epoch()
        self.tuner.tick()
        log.write("Train finished successfully.")
        self.cluster.ended.add(name)
        self.ending = int(name.split("-")[1])

    def check(self) -> None:
        state = studies.trials(self.study)[self.ending].state
        if state != studies.TrialState.COMPLETE or len(self.cluster.jobs) != PARALLEL:
            raise SystemExit(f"trial {self.ending} is {state.name}, {len(self.cluster.jobs)} jobs run")


def nothing() -> None:
    """No work."""


def measure(
    what: str,
    call: Callable[[], object],
    times: int,
    before: Callable[[], object] = nothing,
    after: Callable[[], object] = nothing,
) -> None:
    """Print how long each call takes, and how much of it is processor time; `before` and `after` are not measured."""
    wall, processor = [], []
    for _ in range(times):
        before()
        began, used = time.perf_counter(), processor_s()
        call()
        wall.append((time.perf_counter() - began) * 1000)
        processor.append((processor_s() - used) * 1000)
        after()
    median, own, worst = statistics.median(wall), statistics.median(processor), max(wall)
    print(f"{what:46} median {median:8.1f} ms, of the processor {own:8.1f} ms; worst {worst:8.1f} ms ({times} times)")
    sys.stdout.flush()


def processor_s() -> float:
    """Of this process and of those that it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def profile(what: str, call: Callable[[], object]) -> None:
    """The functions that hold most of the time, with what they call."""
    profiler, text = cProfile.Profile(), io.StringIO()
    profiler.runcall(call)
    pstats.Stats(profiler, stream=text).sort_stats("cumulative").print_stats(25)
    print(f"\n{what}\n{text.getvalue()}")


def large(folder: str, trials: int, *, profiled: bool) -> None:
    """Times in a study of many told trials."""
    print(f"storage of {trials} told trials: {Path(folder, 'studies.db').stat().st_size / 2**20:.0f} MiB")
    bench = Bench(folder, trials)
    bench.ask()  # the first one reads all trials
    bench.told()
    measure("one ask", bench.ask, 5, after=bench.told)
    measure("resume: adopt what an earlier driver left", bench.tuner.adopt, 1)
    measure(f"the tick that starts {PARALLEL} trials", bench.tuner.tick, 1)
    bench.tuner.tick()
    measure(f"an idle tick, {PARALLEL} running", bench.tuner.tick, 50)
    measure("a tick that reports an epoch", bench.tuner.tick, 8, bench.epoch)
    measure("a tick that ends a trial and starts the next", bench.tuner.tick, 5, bench.end, bench.check)
    if profiled:
        profile("one ask", bench.ask)
        bench.told()
        profile("ten idle ticks", lambda: [bench.tuner.tick() for _ in range(10)])
        bench.epoch()
        profile("a tick that reports an epoch", bench.tuner.tick)
        bench.end()
        profile("a tick that ends a trial and starts the next", bench.tuner.tick)
    for words in (("status", NAME), ("status",), ("best", NAME), ("status", NAME, "--json")):
        line = command(*words, "--studies-dir", folder)
        look = partial(subprocess.run, line, check=True, capture_output=True)
        look()  # the first start reads the files from disk
        measure(f"tao-automl {' '.join(words)}", look, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--memory", type=int, nargs="*", default=[1, 100, 1000], help="finished trials")
    parser.add_argument("--trials", type=int, default=10_000, help="told trials of the large study; 0: none")
    parser.add_argument("--profile", action="store_true")
    asked = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sizes = sorted(asked.memory)
    with tempfile.TemporaryDirectory() as folder:
        begin(folder)
        plan, study = opened(folder)
        print(f"{len(plan.space.parameters)} parameters, {EPOCHS} epochs")
        for size in sizes:
            fill(plan, study, size)
            print(f"driver and Ray with {size:5} finished trials: peak {driver_bytes(folder, size) / 2**20:6.1f} MiB")
        if asked.trials:
            fill(plan, study, min(asked.trials, 1000))
            multiply(plan, asked.trials)
            large(folder, asked.trials, profiled=asked.profile)


if __name__ == "__main__":
    main()
