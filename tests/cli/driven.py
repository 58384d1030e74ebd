"""Command lines that drive the smallest model in this process; their jobs run on machines of the tests."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from tao_automl import cli, driver
from tao_automl.execution.cluster import Cluster, Room
from tests.fakes.cluster import FakeCluster, Machines, Script
from tests.fakes.tiny import SKILL, coco

GOOD = Script([0.1, 0.3, 0.2])
FAILING = Script([], exit_code=1, finishes=False, log="epoch 0\ntorch.OutOfMemoryError: CUDA out of memory.\nbye\n")


def replace_ray(patch: pytest.MonkeyPatch, script: Script = GOOD, signals: Sequence[int] = ()) -> Machines:
    """What jobs run on instead of Ray: an epoch passes whenever somebody asks how they are.

    `signals` reach this process one after the other as soon as a job runs, as Ctrl-C would send them.
    """
    found, left = Machines(lambda _job: script), list(signals)

    def pass_time() -> None:
        while found.running and left:
            os.kill(os.getpid(), left.pop(0))
        found.advance(script.epoch_s)

    def cluster(room: Room) -> Cluster:
        made = FakeCluster(found, room.slots)
        made.on_status = pass_time
        return made

    patch.setattr(driver, "RayCluster", cluster)
    return found


def data(folder: Path) -> tuple[str, ...]:
    """The options that name a model and its data; the data is made below `folder`."""
    for split in ("train", "val"):
        if not (folder / split).exists():
            coco(folder / split)
    return (
        *("--skill-dir", str(SKILL), "--runtime", "process"),
        *("--train-data", str(folder / "train"), "--val-data", str(folder / "val")),
    )


def run(folder: Path, trials: int = 2) -> tuple[str, ...]:
    """`tao-automl run` of study `s` in `folder`."""
    budget = ("--trials", str(trials), "--parallel", "2", "--pruner", "none", "--seed", "1")
    return ("run", *data(folder), "--name", "s", "--studies-dir", str(folder / "studies"), *budget)


@dataclass(frozen=True)
class Ran:
    """A command line that was driven once, for all tests of a module: its place and what it printed."""

    folder: Path
    machines: Machines
    code: int
    out: str
    err: str


def ran(folder: Path, *options: str, trials: int = 2, script: Script = GOOD, signals: Sequence[int] = ()) -> Ran:
    """`run` in `folder`, which is the working directory meanwhile; both streams are pipes."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(folder)
        patch.delenv("COLUMNS", raising=False)
        machines = replace_ray(patch, script, signals)
        code = cli.execute([*run(folder, trials), *options])
    return Ran(folder, machines, code, out.getvalue(), err.getvalue())
