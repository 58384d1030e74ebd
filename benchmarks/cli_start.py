"""How long a user waits for a command that only looks: median and worst of N starts, in processes of their own.

    python benchmarks/cli_start.py [--starts 15]

The shipped trials of `status` are made here: one study of 50 trials with 10 epochs each.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import optuna

COMMANDS = (("--help",), ("run", "--help"), ("status",), ("status", "bench"), ("best", "bench"))


def make_study(folder: Path) -> None:
    """A study whose trials have values by epoch, in the storage that the commands read."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder}/studies.db")
    study = optuna.create_study(study_name="bench", storage=storage, direction="maximize")
    for number in range(50):
        trial = study.ask()
        trial.suggest_float("lr", 1e-5, 1e-3, log=True)
        for epoch in range(10):
            trial.report(epoch / 10 + number / 1000, epoch)
        study.tell(trial, number / 1000)


def seconds(command: tuple[str, ...], folder: str) -> float:
    """Wall time of one start."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    words = [sys.executable, "-m", "tao_automl", *command]
    began = time.perf_counter()
    subprocess.run(words, cwd=folder, env=environment, check=False, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--starts", type=int, default=15)
    starts = parser.parse_args().starts
    with tempfile.TemporaryDirectory() as folder:
        studies = Path(folder, "studies")
        studies.mkdir()
        make_study(studies)
        for command in COMMANDS:
            seconds(command, folder)  # the first start compiles, and reads the files from disk
            times = [seconds(command, folder) for _ in range(starts)]
            median, worst = statistics.median(times) * 1000, max(times) * 1000
            print(f"tao-automl {' '.join(command):14}  median {median:4.0f} ms, worst {worst:4.0f} ms")


if __name__ == "__main__":
    main()
