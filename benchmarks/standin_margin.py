"""How far good settings of the stand-in trainer are from its defaults, and bad ones, on the default shapes.

    python benchmarks/standin_margin.py [--seeds 5] [--epochs 10]

Prints mean, least and greatest best-epoch mAP50 over the seeds for each setting, and the processor time of a
trial with its validations. "best" takes the best of the good settings for each seed, as a search would.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")  # as trials have it

from tao_automl.standin import examples, shapes
from tao_automl.standin.learner import SIDE, Learner
from tao_automl.standin.recipe import Recipe

DEFAULTS = "defaults"
GOOD = {
    "lr x 3": {"lr": 6e-4},
    "lr x 4, lr_backbone x 5": {"lr": 8e-4, "lr_backbone": 1e-4},
    "lr x 3, lr_backbone x 3, batch 2": {"lr": 6e-4, "lr_backbone": 6e-5, "batch_size": 2},
}
BAD = {
    "lr x 100": {"lr": 2e-2},
    "lr x 100, lr_backbone x 100": {"lr": 2e-2, "lr_backbone": 2e-3},
    "lr / 100": {"lr": 2e-6},
}
SETTINGS: dict[str, dict[str, Any]] = {DEFAULTS: {}, **GOOD, **BAD}


def spec(values: Mapping[str, Any]) -> dict[str, Any]:
    """A spec with what is not TAO's default."""
    values = dict(values)
    dataset = {"batch_size": values.pop("batch_size")} if "batch_size" in values else {}
    return {"train": {"optim": values}, "dataset": dataset}


def trial(folder: str, setting: str, seed: int, epochs: int) -> tuple[float, float, float]:
    """Best-epoch mAP50, processor seconds, and the process's greatest memory in MiB."""
    began = time.process_time()
    train, val = (
        examples.load([(Path(folder, split, "images"), Path(folder, split, "annotations.json"))], SIDE)
        for split in ("train", "val")
    )
    learner = Learner(Recipe.of(spec(SETTINGS[setting])), len(shapes.SHAPES) + 1, seed)
    scores = []
    for epoch in range(epochs):
        learner.train_epoch(train, epoch)
        scores.append(learner.validate(val, val.categories)[0].map50)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return max(scores), time.process_time() - began, memory


def line(name: str, scores: list[float], rest: str) -> str:
    return f"{name:34} {statistics.mean(scores):5.3f}  {min(scores):5.3f}  {max(scores):5.3f}  {rest}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="print every seed's scores as one object")
    asked = parser.parse_args()
    results: dict[str, list[tuple[float, float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(os.cpu_count()) as pool:
        shapes.write(Path(folder))
        running = {
            name: [pool.submit(trial, folder, name, seed, asked.epochs) for seed in range(1, asked.seeds + 1)]
            for name in SETTINGS
        }
        results = {name: [future.result() for future in futures] for name, futures in running.items()}
    scores = {name: [score for score, _, _ in rows] for name, rows in results.items()}
    best = [max(scores[name][number] for name in GOOD) for number in range(asked.seeds)]
    if asked.json:
        print(json.dumps({**scores, "best": best}))
        return
    print(f"{'mAP50 over ' + str(asked.seeds) + ' seeds':34} mean   min    max    processor s, MiB")
    for name, rows in results.items():
        print(line(name, scores[name], f"{statistics.mean(row[1] for row in rows):.1f}, {rows[-1][2]:.0f}"))
    print(line("best of the good", best, ""))
    gaps = [good - default for good, default in zip(best, scores[DEFAULTS], strict=True)]
    print(line("best less defaults", gaps, ""))


if __name__ == "__main__":
    main()
