"""The launcher and its child: arguments, surroundings, signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


def seen(path: Path, text: str) -> None:
    """Wait for a text in a file."""
    end = time.monotonic() + 30
    while not (path.exists() and text in path.read_text()):
        assert time.monotonic() < end
        time.sleep(0.05)


def child(trainer, **env: str) -> subprocess.Popen[bytes]:
    """The launcher's child alone, when it trains."""
    path = trainer.folder / "spec.yaml"
    path.write_text(json.dumps(trainer.spec({})))
    process = subprocess.Popen(
        [sys.executable, "-m", "tao_automl.standin.task", "dino", "train", str(path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **env},
    )
    seen(trainer.folder / "train" / "status.json", "Starting Training Loop.")
    return process


def test_a_trainer_that_is_terminated_in_a_long_epoch_saves_it_at_once(trainer) -> None:
    process = child(trainer, STANDIN_EPOCH_S="600")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert (trainer.folder / "train" / "dino_model_latest.pth").exists()
    assert "finished" not in (trainer.folder / "train" / "status.json").read_text()


def test_a_trainer_that_hangs_hears_no_signal(trainer) -> None:
    process = child(trainer, STANDIN_FAULT="hang@0", STANDIN_STEPS="1")
    process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    process.kill()
    assert process.wait(20) == -signal.SIGKILL


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


def test_values_of_the_command_line_come_before_or_after_the_spec(trainer) -> None:
    path = trainer.folder / "spec.yaml"
    path.write_text(json.dumps(trainer.spec({})))
    done = trainer.command("dino", "train", "train.num_epochs=2", "-e", str(path), "train.checkpoint_interval=2")
    assert done.returncode == 0, done.stderr
    assert len(list((trainer.folder / "train").glob("model_epoch_*.pth"))) == 1


def test_a_job_id_without_its_log_folder_kills_the_run(trainer) -> None:
    done = trainer("train", {"JOB_ID": "j", "TAO_MICROSERVICES_TTY_LOG": str(trainer.folder / "none")})
    assert done.returncode == 1
    assert not (trainer.folder / "train").exists()


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
    seen(status, '"epoch": 0')
    launcher.send_signal(signal.SIGTERM)
    assert launcher.wait(10) == -signal.SIGTERM
    seen(status, "Broken pipe")
