"""The default run as a user starts it, measured from outside.

    python benchmarks/default_run.py [--trials 10]

Prints wall time, time to the first trial's process, memory of the driver and Ray (proportional set size, so
that shared pages count once; trainers are left out), and the engine's overhead per trial: the trial's time in
storage less the time of its trainer process.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
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


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=10)
    trials = parser.parse_args().trials
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tao_automl", "run", "--model", "dino", "--name", "bench"]
        command += ["--trials", str(trials), "--studies-dir", folder]
        began, peak = time.time(), 0
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as driver:
            while driver.poll() is None:
                peak = max(peak, memory_bytes(descendants(driver.pid)))
                time.sleep(0.5)
        wall_s = time.time() - began
        study = optuna.load_study(study_name="bench", storage=f"sqlite:///{folder}/studies.db")
        logs = Path(folder).glob("bench/trials/*/attempt-1/log.txt")
        first_s = min(path.with_name("pid.json").stat().st_mtime for path in logs) - began
    times = [
        ((trial.datetime_complete - trial.datetime_start).total_seconds(), trial.user_attrs["trainer_time_s"])
        for trial in study.trials
        if trial.datetime_complete and trial.datetime_start and "trainer_time_s" in trial.user_attrs
    ]
    overhead = [whole - trainer for whole, trainer in times]
    print(f"exit code                  {driver.returncode}")
    print(f"trials                     {len(study.trials)}")
    print(f"wall time                  {wall_s:.1f} s")
    print(f"to the first process       {first_s:.1f} s")
    print(f"driver and Ray, peak       {peak / 2**20:.0f} MiB")
    print(f"trainer time, median       {statistics.median(trainer for _, trainer in times):.2f} s")
    print(f"overhead per trial, median {statistics.median(overhead):.2f} s, worst {max(overhead):.2f} s")


if __name__ == "__main__":
    main()
