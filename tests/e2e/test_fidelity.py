"""Trials that go on from others, with the real stand-in trainer: resumed exactly, or from another one's weights."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tao_automl.tao import spec, status
from tao_automl.tao.status import Progress
from tests.e2e.conftest import Cli
from tests.execution.nodes import Nodes

STEPS = "12"  # batches an epoch: enough to learn something
pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    nodes = Nodes({"one": "0,1"})
    yield nodes.address
    nodes.close()


def run(cli: Cli, address: str, algorithm: str, *more: str) -> list[dict]:
    here = ("--studies-dir", "studies", "--address", address, "--name", algorithm, "--env", f"STANDIN_STEPS={STEPS}")
    cli("run", "--model", "dino", "--algorithm", algorithm, "--seed", "3", *here, *more)
    return cli.json("status", algorithm)["trials"]


def test_a_promotion_goes_on_as_if_it_had_never_been_interrupted(cli: Cli, address: str) -> None:
    trials = run(cli, address, "asha", "--trials", "4", "--epochs", "3", "--min-epochs", "1")
    promoted = next(trial for trial in trials if _spec(trial)["train"]["resume_training_checkpoint_path"])
    written = _spec(promoted)
    assert Path(written["train"]["resume_training_checkpoint_path"]).name.startswith("model_epoch_000_")
    alone = cli.folder / "alone"
    written["train"]["resume_training_checkpoint_path"] = ""
    written["results_dir"] = str(alone)
    file = cli.folder / "spec.yaml"
    file.write_text(spec.dump(written))
    command = [sys.executable, "-m", "tao_automl.standin", "dino", "train", "-e", str(file)]
    subprocess.run(command, env=cli.environment(STANDIN_STEPS=STEPS), check=True, capture_output=True)
    progress = Progress().advance(status.read(alone / "train" / "status.json").lines)
    expected = {str(epoch): float(kpi["val_mAP50"]) for epoch, kpi in progress.points.items()}
    assert promoted["points"] == expected
    assert max(expected.values()) > 0


def test_pbt_trains_its_members_on_from_the_weights_of_others(cli: Cli, address: str) -> None:
    trials = run(cli, address, "pbt", "--trials", "4", "--epochs", "2", "--pbt-interval", "1")
    assert [trial["state"] for trial in trials] == ["PRUNED"] * 4 + ["COMPLETE"] * 4
    assert all(list(trial["points"]) == ["0", "1"] for trial in trials[4:])
    started = [_spec(trial)["train"]["pretrained_model_path"] for trial in trials[4:]]
    assert len([path for path in started if path]) == 1, "the worst of four takes over the weights of the best"
    best = cli.json("best", "pbt")
    assert Path(best["checkpoint"]).is_file()


def _spec(trial: dict) -> dict:
    return spec.load((Path(trial["folder"]) / "spec.yaml").read_text())
