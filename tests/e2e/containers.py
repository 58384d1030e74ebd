"""What the fault tests share: studies on a real engine, its diary, and what holds of a study after any fault."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import docker
import requests
import urllib3

from tao_automl.errors import StudyError
from tao_automl.search import study
from tao_automl.search.study import FrozenTrial, TrialState
from tests.engine import IMAGE, Engine, seconds

EPOCHS = 2
SHOWN = tuple(state for state in TrialState if state is not TrialState.WAITING)
AWAY = (docker.errors.DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)

# A model that trains in no time: what is tested is what goes wrong around it.
TINY = {"model.num_queries": 20, "model.num_select": 20, "model.enc_layers": 1, "model.dec_layers": 1}


@dataclass
class Run:
    """One time that a container of ours ran, as the engine saw it."""

    job: str
    gpus: tuple[str, ...]
    began_s: float
    ended_s: float | None = None


class Diary(threading.Thread):
    """Notes when the containers of an engine start and end, also over restarts of the engine."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True, name="diary")
        self._address = address
        self._since_s = time.time()
        self._seen: set[tuple[str, str, int]] = set()
        self._open: dict[str, Run] = {}
        self._done = threading.Event()
        self._stream: Any = None
        self.runs: list[Run] = []

    def run(self) -> None:
        while not self._done.wait(0.05):
            with contextlib.suppress(*AWAY):
                self._read()

    def _read(self) -> None:
        with contextlib.closing(docker.APIClient(base_url=self._address, version="auto")) as api:
            for container, run in list(self._open.items()):
                self._catch_up(api, container, run)
            self._stream = api.events(decode=True, since=f"{self._since_s:.6f}", filters={"type": "container"})
            for event in self._stream:
                self._note(event)

    def close(self) -> None:
        self._done.set()
        if self._stream is not None:
            self._stream.close()
        self.join(5.0)

    def of(self, study_name: str) -> dict[str, list[Run]]:
        """The runs of a study's jobs."""
        found: dict[str, list[Run]] = {}
        for run in self.runs:
            if is_of(study_name, run.job):
                found.setdefault(run.job, []).append(run)
        return found

    def _catch_up(self, api: Any, container: str, run: Run) -> None:
        """One that ended while its engine was away has said nothing."""
        try:
            state = api.inspect_container(container)["State"]
        except docker.errors.NotFound:
            run.ended_s = time.time()
        else:
            run.ended_s = None if state["Running"] else seconds(state["FinishedAt"])
        if run.ended_s is not None:
            del self._open[container]

    def _note(self, event: Mapping[str, Any]) -> None:
        about, at_s = event["Actor"], event["timeNano"] / 1e9
        key = (about["ID"], event["Action"], event["timeNano"])
        if key in self._seen:
            return
        self._seen.add(key)
        self._since_s = at_s
        job = about["Attributes"].get("tao-automl.job")
        if job is None:
            return
        if event["Action"] == "start":
            gpus = tuple(filter(None, about["Attributes"].get("tao-automl.gpus", "").split(",")))
            self._open[about["ID"]] = Run(job, gpus, at_s)
            self.runs.append(self._open[about["ID"]])
        elif event["Action"] == "die" and about["ID"] in self._open:
            self._open.pop(about["ID"]).ended_s = at_s


@dataclass(frozen=True)
class Lab:
    """A folder with data, a command line and an engine."""

    cli: Any
    engine: Engine
    diary: Diary
    data: Path
    drivers: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def studies(self) -> Path:
        return self.cli.studies

    def words(self, name: str, trials: int, *more: str, epochs: int = EPOCHS, epoch_s: float = 0.0) -> tuple[str, ...]:
        """A command that tunes in containers, each with one of four GPUs."""
        sets = [word for path, value in TINY.items() for word in ("--set", f"{path}={value}", "--keep", path)]
        return (
            *("run", "--name", name, "--model", "dino", "--runtime", "docker", "--image", IMAGE, "--network", "none"),
            *("--train-data", str(self.data / "train"), "--val-data", str(self.data / "val")),
            *("--trials", str(trials), "--epochs", str(epochs), "--parallel", "4", "--node-gpus", "4", "--gpus", "1"),
            *("--pruner", "none", "--shm-size", "64MiB", "--set", "dataset.batch_size=4"),
            *("--keep", "dataset.batch_size", *sets),
            *("--env", "STANDIN_STEPS=2", "--env", f"STANDIN_EPOCH_S={epoch_s}", *more),
        )

    def start(self, *words: str, **extra: str) -> subprocess.Popen[str]:
        self.drivers.append(self.cli.start(*words, **self.engine.env(), **extra))
        return self.drivers[-1]

    def end(self, driver: subprocess.Popen[str], code: int = 0, timeout_s: float = 120.0) -> str:
        """Wait for a driver that is to end by itself; returns all it said."""
        out, err = driver.communicate(timeout=timeout_s)
        assert driver.returncode == code, f"exit {driver.returncode}\n{out}\n{err}"
        assert "Traceback" not in out + err
        return out + err

    def __call__(self, *words: str, code: int = 0, **extra: str) -> str:
        return self.end(self.start(*words, **extra), code)

    def containers(self, study_name: str | None = None, *, every: bool = True) -> list[str]:
        """Names of containers: all there are, or those of a study's trials; `every`: also those that have ended."""
        with self.engine.client() as client:
            names = [entry["Names"][0].strip("/") for entry in client.api.containers(all=every)]
        return sorted(name for name in names if study_name is None or is_of(study_name, name))

    def status_of(self, job: str) -> str:
        """What a trainer has written so far."""
        name, number, attempt = job.rsplit("-", 2)
        path = self.studies / name / "trials" / number / f"attempt-{attempt}" / "train" / "status.json"
        return path.read_text() if path.exists() else ""

    def trains(self, job: str) -> bool:
        return "Starting Training Loop" in self.status_of(job)

    def events(self, name: str) -> list[dict[str, Any]]:
        path = self.studies / name / "events.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def said(self, name: str, kind: str) -> list[dict[str, Any]]:
        """Events of one kind."""
        return [event for event in self.events(name) if event["event"] == kind]

    def trials(self, name: str) -> list[FrozenTrial]:
        """What a reader sees, without a wish to change anything."""
        try:
            storage = study.open_readonly(f"sqlite:///{self.studies / 'studies.db'}")
            return study.load(storage, name).get_trials(states=SHOWN)
        except StudyError:
            return []

    def exists(self, name: str) -> bool:
        """A driver that dies early leaves a study without a trial, or none."""
        try:
            return name in study.names(study.open_readonly(f"sqlite:///{self.studies / 'studies.db'}"))
        except StudyError:
            return False


def is_of(study_name: str, job: str) -> bool:
    return re.fullmatch(rf"{re.escape(study_name)}-\d{{4,}}-\d+", job) is not None


def make_data(folder: Path) -> Path:
    """A few images to train on."""
    words = ("-m", "tao_automl.standin", "shapes", str(folder), "--train", "8", "--val", "4")
    subprocess.run([sys.executable, *words], check=True)
    return folder


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"it did not happen: {what}"
        time.sleep(0.05)


def assert_sound(lab: Lab, name: str, count: int) -> list[FrozenTrial]:
    """A study at its end: nothing lost, nothing run twice, nothing left over, no GPU held twice."""
    trials = lab.trials(name)
    assert [trial.number for trial in trials] == list(range(count))
    assert all(trial.state.is_finished() for trial in trials), [trial.state.name for trial in trials]
    assert_told_once(lab, name)
    for trial in trials:
        assert_attempts(lab, name, trial)
    assert_ran_once(lab, name)
    assert_gpus_held_once(lab)
    wait_for(lambda: lab.containers(name) == [], "the last container is removed", 10)
    return trials


def attempts(lab: Lab, name: str, number: int) -> list[Path]:
    folders = (lab.studies / name / "trials" / f"{number:04d}").glob("attempt-*")
    return sorted(folders, key=lambda path: int(path.name.rpartition("-")[2]))


def assert_told_once(lab: Lab, name: str) -> None:
    """A driver killed between telling and saying so has said nothing; nobody says it twice."""
    told = [event["trial"] for event in lab.said(name, "trial_finished")]
    assert len(told) == len(set(told)), told


def assert_attempts(lab: Lab, name: str, trial: FrozenTrial) -> None:
    """Only a trial's last attempt may have come to a good end, and that is what its value is."""
    *earlier, last = [status_lines(folder) for folder in attempts(lab, name, trial.number)]
    assert len(earlier) + 1 == trial.user_attrs.get("attempt", 1)
    assert not any(finished(lines) for lines in earlier), f"trial {trial.number} had finished and ran again"
    if trial.state is not TrialState.COMPLETE:
        assert trial.user_attrs["reason"], f"trial {trial.number} is {trial.state.name} for no reason"
        return
    assert finished(last)
    values = trial.intermediate_values
    assert sorted(values) == list(range(EPOCHS))
    assert trial.value in (max(values.values()), min(values.values()))
    assert "reason" not in trial.user_attrs


def status_lines(folder: Path) -> list[dict[str, Any]]:
    path = folder / "train" / "status.json"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def finished(lines: list[dict[str, Any]]) -> bool:
    return any(line.get("message") == "Train finished successfully." for line in lines)


def assert_ran_once(lab: Lab, name: str) -> None:
    """Each attempt is one container that was started once."""
    for job, runs in lab.diary.of(name).items():
        assert len(runs) == 1, f"{job} was started {len(runs)} times"
        assert lab.status_of(job).count("Starting DINO train.") <= 1


def assert_gpus_held_once(lab: Lab) -> None:
    """Of all containers of the engine so far, as they themselves saw their GPUs."""
    held: dict[str, list[tuple[float, float, str]]] = {}
    for run in list(lab.diary.runs):
        for gpu in seen_by(lab, run):
            held.setdefault(gpu, []).append((run.began_s, run.ended_s or float("inf"), run.job))
    for gpu, times in held.items():
        for (_, end_s, first), (begin_s, _, second) in pairwise(sorted(times)):
            assert end_s <= begin_s, f"GPU {gpu} was held by {first} and {second} at once"


def seen_by(lab: Lab, run: Run) -> tuple[str, ...]:
    """A container's GPUs: what it saw itself, if it got as far as to write that down."""
    name, number, attempt = run.job.rsplit("-", 2)
    side = lab.studies / name / "trials" / number / f"attempt-{attempt}" / "train" / "standin_env.json"
    if not side.exists():
        return run.gpus
    own = json.loads(side.read_text())["NVIDIA_VISIBLE_DEVICES"]
    assert tuple(own.split(",")) == run.gpus, f"{run.job} sees GPUs {own} and is labelled {run.gpus}"
    return run.gpus


def processes_like(pattern: str) -> Iterator[int]:
    """Ids of processes whose command line matches."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if re.search(pattern, command):
            yield int(path.parent.name)
