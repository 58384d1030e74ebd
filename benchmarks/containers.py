"""What it costs to run trials as containers: on a real Docker engine, with GPUs that only the engine's hook sees.

    python benchmarks/containers.py [overhead] [stop] [idle] [--image IMAGE] [--trials 8] [--noop 200] [--asleep 40]

Uses the engine that DOCKER_HOST names, or starts one of its own with docker/engine. All trials are stand-in
trainings in `--image`. Times of containers are the engine's own. It prints

overhead  a study of `--trials` trials, one after another, against a bare `docker run` of each trial's own run.sh:
          the time of a trial, and the time from a trial's end to the next one's start on the same GPU
stop      from the decision to prune, when its intent is stored, to the stopped container
idle      `--noop` trials that train one step, and `--asleep` ones that sleep, on 4 GPUs: how long GPUs had no
          container between the first start and the last end, and what the driver and Ray used of the processors

Trainers share the processors of this machine with the engine and the driver: with few of them, one-step trials on
4 GPUs are bound by that, and trials that sleep show what is left when they are not.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from default_run import descendants

from tao_automl import events
from tao_automl.execution import containers
from tao_automl.execution.runtimes import standin
from tao_automl.layout import StudiesPaths, StudyPaths
from tao_automl.search import study as studies

IMAGE = "tao-automl-standin:latest"
ENGINE = Path(__file__).parents[1] / "docker" / "engine"
GPUS = 4
TICKS_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass
class Span:
    """One container: its name, GPU, start and end in seconds since 1970."""

    name: str
    gpu: str
    began_s: float
    ended_s: float = 0.0


@dataclass
class Watch:
    """The containers of a study, by the engine's own events."""

    study: str
    spans: dict[str, Span] = field(default_factory=dict)

    def __enter__(self) -> Watch:
        wanted = ["--filter", f"label={containers.LABEL}job", "--filter", "type=container"]
        words = ["docker", "events", *wanted, "--format", "{{json .}}"]
        self._stream = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        time.sleep(0.5)  # the last event is on its way
        self._stream.terminate()
        self._stream.wait()
        self._thread.join()

    def _read(self) -> None:
        for line in self._stream.stdout or ():
            event = json.loads(line)
            about, at_s = event["Actor"]["Attributes"], event["timeNano"] / 1e9
            if not about["name"].startswith(f"{self.study}-"):
                continue
            if event["Action"] == "start":
                self.spans[about["name"]] = Span(about["name"], about.get(f"{containers.LABEL}gpus", ""), at_s)
            elif event["Action"] == "die":
                self.spans[about["name"]].ended_s = at_s

    def by_gpu(self) -> dict[str, list[Span]]:
        found: dict[str, list[Span]] = defaultdict(list)
        for span in sorted(self.spans.values(), key=lambda span: span.began_s):
            found[span.gpu].append(span)
        return found

    def gaps_s(self) -> list[float]:
        """From each end to the next start on the same GPU."""
        return [after.began_s - before.ended_s for spans in self.by_gpu().values() for before, after in pairwise(spans)]

    def idle_share(self, gpus: int) -> float:
        """Of `gpus` GPUs, from the first start to the last end."""
        spans = list(self.spans.values())
        whole_s = max(span.ended_s for span in spans) - min(span.began_s for span in spans)
        return 1 - sum(span.ended_s - span.began_s for span in spans) / (gpus * whole_s)


@dataclass
class Run:
    """A study that has run: its containers, its wall time, and the processor time of driver and Ray in seconds."""

    paths: StudyPaths
    storage: str
    watch: Watch
    wall_s: float
    driver_s: float
    ray_s: float

    def trials(self) -> list[studies.FrozenTrial]:
        return studies.trials(studies.load(studies.open_readonly(self.storage), self.watch.study))


def processor_s(pids: set[int]) -> dict[int, float]:
    """What processes have used so far."""
    found = {}
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        found[pid] = (int(fields[11]) + int(fields[12])) * TICKS_S
    return found


def run(folder: Path, image: str, name: str, flags: Sequence[str], env: Mapping[str, str]) -> Run:
    """Drive a study of containers to its end."""
    layout = StudiesPaths(folder)
    words = [sys.executable, "-m", "tao_automl", "run", "--model", "dino", "--name", name, "--studies-dir", str(folder)]
    words += ["--train-data", str(folder / "shapes" / "train"), "--val-data", str(folder / "shapes" / "val")]
    words += ["--runtime", "docker", "--image", image, "--image-policy", "never", "--network", "none", "--gpus", "1"]
    words += [*flags, *(word for pair in env.items() for word in ("--env", "=".join(pair)))]
    used: dict[int, float] = {}
    began = time.monotonic()
    with Watch(name) as watch, subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as driver:
        while driver.poll() is None:
            used |= processor_s(descendants(driver.pid))
            time.sleep(0.2)
        said = driver.stderr.read().decode() if driver.stderr else ""
    if driver.returncode:
        raise SystemExit(f"the study {name} ended with {driver.returncode}: {said}")
    own_s = used.pop(driver.pid)
    return Run(layout.study(name), layout.storage_url, watch, time.monotonic() - began, own_s, sum(used.values()))


def say(what: str, values: Sequence[float], unit: str = "s") -> None:
    """Median, 95th percentile and worst."""
    if not values:
        print(f"{what:56} none")
        return
    ordered = sorted(values)
    high = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    times = f"median {statistics.median(ordered):6.3f} {unit}, p95 {high:6.3f} {unit}, worst {ordered[-1]:6.3f} {unit}"
    print(f"{what:56} {times}  ({len(ordered)})", flush=True)


def bare_s(paths: StudyPaths, number: int) -> float:
    """The wall time of a trial's run.sh, in a folder where nothing has been trained."""
    attempt = paths.attempt(number, 1)
    subprocess.run(["rm", "-rf", str(attempt.folder / "train")], check=True)
    began = time.monotonic()
    subprocess.run([str(attempt.run_sh)], check=True, capture_output=True)
    return time.monotonic() - began


def overhead(folder: Path, asked: argparse.Namespace) -> None:
    """One trial after another, against the same containers by hand, in turns: a study, its bare containers, again."""
    env = {"STANDIN_STEPS": "1", "STANDIN_EPOCH_S": str(asked.epoch_s)}
    by_hand, whole, inside, gaps, between, used = [], [], [], [], [], []
    for turn in range(2):
        flags = ["--trials", str(asked.trials // 2), "--epochs", "2", "--parallel", "1", "--node-gpus", "1"]
        done = run(folder, asked.image, f"overhead-{turn}", [*flags, "--pruner", "none"], env)
        trials = done.trials()
        by_hand += [bare_s(done.paths, trial.number) for trial in trials]
        whole += [seconds(trial, trial) for trial in trials]
        between += [seconds(trials[0], trials[-1]) / len(trials)] * len(trials)
        inside += [span.ended_s - span.began_s for span in done.watch.spans.values()]
        gaps += done.watch.gaps_s()
        used.append((done.driver_s + done.ray_s) / done.wall_s)
    say("a bare docker run of a trial", by_hand)
    say("a trial, from asked to told", whole)
    say("its container, from start to end", inside)
    say("end of a trial to the next start on its GPU", gaps)
    say("a trial over its own bare docker run", [one / bare for one, bare in zip(whole, by_hand, strict=True)], "x")
    more = statistics.mean(between) - statistics.mean(by_hand)
    ratio = statistics.mean(between) / statistics.mean(by_hand)
    print(f"a study over its bare docker runs: {ratio:.3f} x, {more:.3f} s more a trial")
    print(f"driver and Ray: {statistics.mean(used):.1%} of a processor, with starting and ending them")


def seconds(first: studies.FrozenTrial, last: studies.FrozenTrial) -> float:
    """From the start of one trial to the end of another."""
    if first.datetime_start is None or last.datetime_complete is None:
        raise SystemExit(f"trial {last.number} has not ended")
    return (last.datetime_complete - first.datetime_start).total_seconds()


def stop(folder: Path, asked: argparse.Namespace) -> None:
    """How long a pruned trial's container goes on."""
    env = {"STANDIN_STEPS": "1", "STANDIN_EPOCH_S": "0.5"}
    flags = ["--trials", str(asked.pruned), "--epochs", "6", "--parallel", "2", "--node-gpus", "2"]
    done = run(folder, asked.image, "stop", [*flags, "--algorithm", "random"], env)
    took, told = [], []
    ended = {
        event["trial"]: event["time"] for event in events.read(done.paths.events) if event["event"] == "trial_finished"
    }
    for event in events.read(done.paths.events):
        if event["event"] == "trial_stopping":
            decided_s = datetime.fromisoformat(event["time"]).timestamp()
            took.append(done.watch.spans[f"stop-{event['trial']:04d}-1"].ended_s - decided_s)
            told.append(datetime.fromisoformat(ended[event["trial"]]).timestamp() - decided_s)
    if not took:
        raise SystemExit("no trial was pruned")
    say("decision to prune to stopped container", took)
    say("decision to prune to told trial", told)


def idle(folder: Path, asked: argparse.Namespace) -> None:
    """GPUs without a container, when trials are as short as they can be and when they do not compute."""
    kinds = {"one step": (asked.noop, "0"), "asleep": (asked.asleep, "8")}
    for name, (trials, epoch_s) in kinds.items():
        if not trials:
            continue
        env = {"STANDIN_STEPS": "1", "STANDIN_EPOCH_S": epoch_s}
        flags = ["--trials", str(trials), "--epochs", "1", "--parallel", str(GPUS), "--node-gpus", str(GPUS)]
        done = run(folder, asked.image, f"idle-{name.replace(' ', '-')}", [*flags, "--pruner", "none"], env)
        spans = done.watch.spans.values()
        good = sum(trial.state == studies.TrialState.COMPLETE for trial in done.trials())
        print(f"{trials} trials, {name}, {GPUS} GPUs, {os.cpu_count()} processors: {good} complete")
        say("  a container, from start to end", [span.ended_s - span.began_s for span in spans])
        print(
            f"  GPUs without a container {done.watch.idle_share(GPUS):.1%} of the time; wall time {done.wall_s:.1f} s"
        )
        say("  end of a trial to the next start on its GPU", done.watch.gaps_s())
        driver, ray = done.driver_s / done.wall_s, done.ray_s / done.wall_s
        print(f"  driver {driver:.1%} of a processor ({done.driver_s / trials:.3f} s a trial), Ray {ray:.1%}")


@contextmanager
def engine(folder: Path) -> Iterator[None]:
    """The engine that DOCKER_HOST names, or one of our own for as long as this lasts."""
    if os.environ.get("DOCKER_HOST"):
        yield
        return
    try:
        for command in ("start", "image"):
            subprocess.run([str(ENGINE), command, str(folder / "engine")], check=True)
        os.environ["DOCKER_HOST"] = f"unix://{folder / 'engine' / 'docker.sock'}"
        yield
    finally:
        subprocess.run([str(ENGINE), "stop", str(folder / "engine")], check=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=["overhead", "stop", "idle", []])
    parser.add_argument("--image", default=IMAGE)
    parser.add_argument("--trials", type=int, default=8, help="of the study against bare containers")
    parser.add_argument("--epoch-s", type=float, default=2.0, help="how long an epoch of its trials takes at least")
    parser.add_argument("--pruned", type=int, default=24, help="trials of the study with a pruner")
    parser.add_argument("--noop", type=int, default=200, help="trials of the study that keeps 4 GPUs busy")
    parser.add_argument("--asleep", type=int, default=40, help="trials of the study that mostly sleeps on them")
    asked = parser.parse_args()
    parts = {"overhead": overhead, "stop": stop, "idle": idle}
    with tempfile.TemporaryDirectory() as name, engine(Path(name)):
        folder = Path(name)
        standin.sample_data(folder / "shapes")
        for part in asked.parts or parts:
            parts[part](folder, asked)


if __name__ == "__main__":
    main()
