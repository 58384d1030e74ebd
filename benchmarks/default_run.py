"""The default run as a user starts it, measured from outside.

    python benchmarks/default_run.py [--trials 10] [--seeds 1]

Prints for each seed of the search: wall time, time to the first trial's process, memory of the driver and Ray
(proportional set size, so that shared pages count once; trainers are left out), the engine's overhead a trial
(the trial's time in storage less the time of its trainer process), and what the search found.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import optuna

TRAINER = ("tao_automl.standin", "supervisor.py")


def descendants(root: int) -> set[int]:
    """Process ids of `root` and everything below it."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    found, grew = {root}, True
    while grew:
        below = {pid for pid, parent in parents.items() if parent in found} - found
        found |= below
        grew = bool(below)
    return found


def memory_bytes(pids: set[int]) -> int:
    """Proportional set size of the processes that are no trainers."""
    total = 0
    for pid in pids:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_text()
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        if not any(word in command for word in TRAINER):
            total += next(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
    return total


def measure(seed: int, trials: int) -> dict[str, float]:
    """One default run in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tao_automl", "run", "--model", "dino", "--name", "bench"]
        command += ["--trials", str(trials), "--seed", str(seed), "--studies-dir", folder]
        began, peak, first_s = time.time(), 0, math.inf
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as driver:
            while driver.poll() is None:
                peak = max(peak, memory_bytes(descendants(driver.pid)))
                for job in Path(folder).glob("bench/trials/*/attempt-1/pid.json"):  # it goes when its trial is told
                    with suppress(FileNotFoundError):
                        first_s = min(first_s, job.stat().st_mtime - began)
                time.sleep(0.5)
        wall_s = time.time() - began
        study = optuna.load_study(study_name="bench", storage=f"sqlite:///{folder}/studies.db")
    finished = [trial for trial in study.trials if trial.datetime_complete and "trainer_time_s" in trial.user_attrs]
    trainer = [trial.user_attrs["trainer_time_s"] for trial in finished]
    whole = [(trial.datetime_complete - trial.datetime_start).total_seconds() for trial in finished]
    return {
        "exit code": driver.returncode,
        "trials": len(finished),
        "wall time, s": wall_s,
        "to the first process, s": first_s,
        "driver and Ray, peak MiB": peak / 2**20,
        "trainer time, median s": statistics.median(trainer),
        "overhead a trial, median s": statistics.median(one - other for one, other in zip(whole, trainer, strict=True)),
        "defaults (trial 0), val_mAP50": study.trials[0].value,
        "best, val_mAP50": study.best_value,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=1, help="runs, with the search seeds 1, 2 …")
    asked = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    runs = [measure(seed, asked.trials) for seed in range(1, asked.seeds + 1)]
    for name in runs[0]:
        print(f"{name:32}" + "".join(f"{run[name]:10.3f}" for run in runs))


if __name__ == "__main__":
    main()
