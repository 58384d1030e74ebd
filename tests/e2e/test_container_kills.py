"""Whatever dies, of ours or around us: no trial is lost, none runs twice, nothing is left over."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.conftest import Cli
from tests.e2e.containers import Lab, assert_sound, attempts, processes_like, wait_for
from tests.engine import IMAGE, SCRIPT
from tests.execution.nodes import Nodes

pytestmark = [pytest.mark.docker, pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(280)]

TRIALS = 5


@pytest.fixture
def standing(lab: Lab) -> Iterator[Nodes]:
    """A Ray that outlives its drivers: they start faster, so more of them can be killed."""
    nodes = Nodes({"box": "0,1,2,3"}, lab.engine.env())
    yield nodes
    nodes.close()


def test_thirty_kills_of_drivers_lose_nothing(lab: Lab, standing: Nodes) -> None:
    """Three studies share the GPUs, one with a Ray of its own, and each driver is killed again and again."""
    there = ("--address", standing.address, "--parallel", "2")
    shares = [(0, 6, ("--parallel", "1")), (1, 12, there), (2, 12, there)]
    with ThreadPoolExecutor(len(shares)) as pool:
        killed = list(pool.map(lambda share: kill_often(lab, *share), shares))
    assert sum(killed) == 30
    assert lab.containers() == []


def kill_often(lab: Lab, seed: int, kills: int, more: tuple[str, ...]) -> int:
    """A study may well end before the last kill on a fast machine: then the next one takes the rest."""
    rng, done, studies = random.Random(seed), 0, 0
    while done < kills:
        words = lab.words(f"k{seed}{studies}", TRIALS, *more, epoch_s=1.5)
        done += kill_until_it_ends(lab, f"k{seed}{studies}", words, kills - done, rng)
        studies += 1
    return done


def kill_until_it_ends(lab: Lab, name: str, words: tuple[str, ...], most: int, rng: random.Random) -> int:
    """One study, killed at random moments and resumed, checked at its end; how often it was killed."""
    finished: dict[int, tuple] = {}
    kills, ended = 0, False
    while not ended:
        driver = lab.start(*(("resume", name) if lab.exists(name) else words))
        if kills < most:
            die_soon(lab, name, driver, rng)
        said = driver.communicate(timeout=120)
        ended = driver.returncode != -signal.SIGKILL
        assert driver.returncode in (0, -signal.SIGKILL), said
        kills += not ended
        for trial in lab.trials(name):
            if trial.state.is_finished():
                seen = (trial.state, trial.value, trial.params, trial.datetime_complete)
                assert finished.setdefault(trial.number, seen) == seen
    for trial in assert_sound(lab, name, TRIALS):
        assert (trial.state.name, len(attempts(lab, name, trial.number))) == ("COMPLETE", 1)
    return kills


def die_soon(lab: Lab, name: str, driver: subprocess.Popen[str], rng: random.Random) -> None:
    """At a random moment of its start, or at one of its work: that is short beside the start."""
    began = len(lab.events(name))
    if rng.random() < 0.8:
        while driver.poll() is None and len(lab.events(name)) <= began:
            time.sleep(0.02)
        time.sleep(rng.uniform(0.0, 1.5))
    else:
        time.sleep(rng.uniform(0.2, 5.0))
    driver.kill()  # which does nothing to a driver that has ended


def test_watcher_container_shim_and_engine_may_die_and_the_study_goes_on(lab: Lab) -> None:
    """One study, to which all of that happens."""
    driver = lab.start(*lab.words("d", 8, "--parallel", "3", epoch_s=2.0))
    first = running(lab, "d", 3)
    os.kill(min(watchers_of(driver.pid)), signal.SIGKILL)
    lab.engine.stop()  # as for an upgrade: what runs goes on
    time.sleep(0.5)
    lab.engine.start()
    wait_for(lambda: {*first} <= {*done(lab, "d")}, "the first trials end")
    second = running(lab, "d", 2)
    os.kill(pid_of(lab, f"d-{second[0]:04d}-1"), signal.SIGKILL)
    os.kill(shim_of(lab, f"d-{second[1]:04d}-1"), signal.SIGKILL)
    wait_for(lambda: {*second} <= {*done(lab, "d")}, "both end in another attempt")
    running(lab, "d", 1)
    subprocess.run([SCRIPT, "stop", lab.engine.folder], check=True, capture_output=True)  # and its containers with it
    lab.engine.start()
    lab.end(driver)
    tried = {trial.number: trial.user_attrs["attempt"] for trial in assert_sound(lab, "d", 8)}
    assert {trial.state.name for trial in lab.trials("d")} == {"COMPLETE"}
    assert {tried[number] for number in first} == {1}
    assert {tried[number] for number in second} == {2}
    assert 2 in {tried[number] for number in tried if number not in (*first, *second)}


def running(lab: Lab, name: str, count: int) -> list[int]:
    """Numbers of trials in their first attempt which have just begun to train."""

    def begun() -> list[str]:
        jobs = [job for job in lab.containers(name, every=False) if job.endswith("-1")]
        return [job for job in jobs if lab.trains(job) and '"epoch": 0' not in lab.status_of(job)]

    wait_for(lambda: len(begun()) >= count, f"{count} trials run")
    return [int(job.split("-")[-2]) for job in begun()[:count]]


def done(lab: Lab, name: str) -> list[int]:
    return [trial.number for trial in lab.trials(name) if trial.state.is_finished()]


def watchers_of(driver: int) -> Iterator[int]:
    """Ray's workers that watch a job for this driver: they are of its session."""
    for pid in processes_like(r"ray::Watcher"):
        with contextlib.suppress(ProcessLookupError):
            if os.getsid(pid) == driver:
                yield pid


def pid_of(lab: Lab, job: str) -> int:
    return int(lab.engine.docker("inspect", "--format", "{{.State.Pid}}", job))


def shim_of(lab: Lab, job: str) -> int:
    identity = lab.engine.docker("inspect", "--format", "{{.Id}}", job)
    [pid] = processes_like(rf"containerd-shim.* -id {identity}")
    return pid


@pytest.fixture
def small_disk(lab: Lab, tmp_path: Path) -> Iterator[Lab]:
    """The same with studies on a disk of a few MiB."""
    there = replace(lab, cli=Cli(tmp_path))
    there.studies.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", there.studies], check=True)
    yield there
    subprocess.run(["umount", there.studies], check=True)


def test_a_full_disk_is_said_plainly_and_with_more_room_the_study_ends_well(small_disk: Lab) -> None:
    """What trains goes on, and `resume` attaches to it. The last trial's metric is no number at all."""
    lab = small_disk
    more = ("--parallel", "2", "--min-free", "1MiB", "--metric", "val_loss", "--env", "STANDIN_FAULT=2:nan@0")
    driver = lab.start(*lab.words("full", 3, *more, epoch_s=5.0))
    running(lab, "full", 2)
    fill(lab.studies / "filler")
    driver.terminate()  # which it would write down
    said = lab.end(driver, code=3)
    assert "is full" in said
    assert "resume" in said
    assert len(lab.containers("full", every=False)) == 2
    (lab.studies / "filler").unlink()
    lab("resume", "full")
    trials = assert_sound(lab, "full", 3)
    assert [trial.state.name for trial in trials] == ["COMPLETE", "COMPLETE", "PRUNED"]
    assert {trial.user_attrs["attempt"] for trial in trials} == {1}
    assert trials[2].user_attrs["reason"] == "diverged"


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


SECRET = "hush-hush-0815"  # no other text looks like it


def test_a_study_keeps_to_itself_and_leaves_nothing_however_it_is_ended(lab: Lab) -> None:
    """A stale lock, a second driver, Ctrl-C twice, `stop --now`, an orphan, a secret, and containers of others."""
    others = [
        stranger(lab, "foreign", "--gpus", '"device=3"'),
        stranger(lab, "m-0000-1", *labels("m@/elsewhere", "m-0000-1")),
        stranger(lab, "n-0099-1", *labels("n@/elsewhere", "n-0099-1")),
    ]
    (lab.studies / "n").mkdir(parents=True)
    (lab.studies / "n" / "lock").write_text('{"host": "a-dead-host", "pid": 4711}')
    env = {"MY_SECRET": SECRET}
    driver = lab.start(*lab.words("n", 3, "--env", "MY_SECRET", epoch_s=3.0), **env)
    first = running(lab, "n", 2)
    seen = json.loads(lab.engine.docker("inspect", f"n-{first[0]:04d}-1"))[0]
    assert f"MY_SECRET={SECRET}" in seen["Config"].pop("Env")
    assert SECRET not in json.dumps(seen)
    mine = seen["Config"]["Labels"]["tao-automl.study"]

    said = lab("resume", "n", code=2, **env)
    assert f"driven by process {driver.pid} on {socket.gethostname()}" in " ".join(said.split())

    os.killpg(driver.pid, signal.SIGINT)
    wait_for(lambda: len(lab.containers("n", every=False)) >= 1, "trials go on after the first")
    time.sleep(0.3)
    os.killpg(driver.pid, signal.SIGINT)
    assert "resume n" in lab.end(driver, code=130)
    assert lab.containers("n") == ["n-0099-1"]

    stranger(lab, "n-0050-1", *labels(mine, "n-0050-1"))
    driver = lab.start("resume", "n", **env)
    wait_for(lambda: lab.said("n", "orphan_stopped"), "the orphan is named")
    assert "n-0050-1" not in lab.containers()
    wait_for(lambda: len(lab.containers("n", every=False)) >= 2, "trials run again")
    lab("stop", "n", "--now", **env)
    lab.end(driver, code=130)
    assert lab.containers("n") == ["n-0099-1"]

    said = lab("resume", "n", **env)
    assert sorted(set(others) & set(lab.containers(every=False))) == sorted(others)
    for name in others:
        lab.engine.docker("rm", "--force", name)
    trials = assert_sound(lab, "n", 3)
    assert {trial.state.name for trial in trials} == {"COMPLETE"}
    assert not [run.job for runs in lab.diary.of("n").values() for run in runs if "3" in run.gpus]
    assert_written_nowhere(lab, SECRET, said)


def stranger(lab: Lab, name: str, *words: str) -> str:
    """A container that this study has not started."""
    lab.engine.docker("run", "--detach", "--network", "none", "--name", name, *words, IMAGE, "sleep", "600")
    return name


def labels(study: str, job: str) -> tuple[str, ...]:
    return ("--label", f"tao-automl.study={study}", "--label", f"tao-automl.job={job}")


def assert_written_nowhere(lab: Lab, secret: str, said: str) -> None:
    assert secret not in said
    files = [path for path in lab.studies.rglob("*") if path.is_file()]
    assert any(path.name == "run.sh" and "MY_SECRET" in path.read_text() for path in files)
    assert not [path for path in files if secret.encode() in path.read_bytes()]
