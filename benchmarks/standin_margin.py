"""What the stand-in learns with the defaults, with good settings and with a learning rate 100 times too high.

    python benchmarks/standin_margin.py [--seeds 5]

The best val_mAP50 of ten epochs on the synthetic shapes, over seeds; each seed changes weights and order.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

from tao_automl.standin import examples, shapes
from tao_automl.standin.learner import SIDE, Learner
from tao_automl.standin.recipe import Recipe

EPOCHS = 10
CLASS_IDS = (1, 2, 3, 4)
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "defaults": {},
    "good: lr 1e-3, lr_backbone 1e-4, batch 2": {
        "train": {"optim": {"lr": 1e-3, "lr_backbone": 1e-4}},
        "dataset": {"batch_size": 2},
    },
    "lr and lr_backbone x 100": {"train": {"optim": {"lr": 2e-2, "lr_backbone": 2e-3}}},
    "lr and lr_backbone / 100": {"train": {"optim": {"lr": 2e-6, "lr_backbone": 2e-7}}},
}


def best(spec: Mapping[str, Any], seed: int, train: examples.Examples, val: examples.Examples) -> float:
    """The best val_mAP50 of one training."""
    learner = Learner(Recipe.of(spec), len(CLASS_IDS) + 1, seed)
    found = []
    for epoch in range(EPOCHS):
        learner.train_epoch(train, epoch)
        found.append(learner.validate(val, CLASS_IDS)[0].map50)
    return max(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    with tempfile.TemporaryDirectory() as folder:
        shapes.write(Path(folder))
        train, val = (
            examples.load([(Path(folder, split, "images"), Path(folder, split, "annotations.json"))], SIDE)
            for split in ("train", "val")
        )
    for name, spec in SETTINGS.items():
        began = time.process_time()
        values = [best(spec, seed, train, val) for seed in range(1, seeds + 1)]
        spent_s = (time.process_time() - began) / seeds
        mean, low, high = statistics.mean(values), min(values), max(values)
        print(f"{name:42} mean {mean:.3f}, {low:.3f} to {high:.3f}; {spent_s:.1f} CPU seconds a training", flush=True)


if __name__ == "__main__":
    main()
