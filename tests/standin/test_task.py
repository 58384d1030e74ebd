"""The launcher and its child: arguments, surroundings, signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time


def test_an_unknown_key_is_refused_before_anything_is_made(trainer) -> None:
    done = trainer(train__foo=1)
    assert done.returncode == 1
    assert "Key 'foo' not in" in done.stdout
    assert "full_key: train.foo" in done.stdout
    assert not (trainer.folder / "train").exists()


def test_the_command_line_is_checked_as_taos_is(trainer) -> None:
    assert "requires the following argument" in trainer.command("dino", "train").stderr
    assert "doesn't exist" in trainer.command("dino", "train", "-e", "/nowhere.yaml").stderr
    assert trainer.command("dino", "dance").returncode == 2


def test_a_job_id_without_its_log_folder_kills_the_run(trainer) -> None:
    done = trainer("train", {"JOB_ID": "j", "TAO_MICROSERVICES_TTY_LOG": str(trainer.folder / "none")})
    assert done.returncode == 1
    assert not (trainer.folder / "train").exists()


def test_a_world_size_rewrites_the_spec(trainer) -> None:
    trainer("train", {"WORLD_SIZE": "2", "NUM_GPU_PER_NODE": "1"}, train__num_epochs=1)
    assert "num_nodes: 2" in (trainer.folder / "spec.yaml").read_text()


def test_a_launcher_that_is_terminated_leaves_a_trainer_that_dies_of_its_pipe(trainer) -> None:
    path = trainer.folder / "spec.yaml"
    path.write_text(json.dumps(trainer.spec({"train.num_epochs": 50})))
    launcher = subprocess.Popen(
        [sys.executable, "-m", "tao_automl.standin", "dino", "train", "-e", str(path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "STANDIN_EPOCH_S": "0.2"},
    )
    status = trainer.folder / "train" / "status.json"
    end = time.monotonic() + 20
    while not (status.exists() and '"epoch": 0' in status.read_text()):
        assert time.monotonic() < end
        time.sleep(0.05)
    launcher.send_signal(signal.SIGTERM)
    assert launcher.wait(10) == -signal.SIGTERM
    while "Broken pipe" not in status.read_text():
        assert time.monotonic() < end
        time.sleep(0.05)
