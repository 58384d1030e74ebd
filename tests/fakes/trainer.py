"""A trainer of no network in particular, for skills of `tests.fakes.bank`: it keeps the contract of a TAO container.

    python -m tests.fakes.trainer SPEC

Its metric says how near the learning rate comes to 3e-4. The spec may be TOML.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any, TextIO

from tao_automl.tao import template


def train(spec: dict[str, Any], status: TextIO, folder: Path) -> None:
    def say(message: str, state: str = "RUNNING", **more: Any) -> None:
        line = {**more, "date": "11/21/2026", "time": "2:16:43", "status": state, "message": message}
        status.write(json.dumps(line) + "\n")
        status.flush()

    epochs, rate = spec["train"]["num_epochs"], spec["train"]["optim"]["lr"]
    say("Starting Net train.", "STARTED")
    say("Starting Training Loop.", "STARTED")
    for epoch in range(epochs):
        value = 1 - abs(math.log10(rate / 3e-4)) / 10 - 0.1 / (epoch + 1)
        step = 10 * (epoch + 1)
        say("Eval metrics generated.", kpi={"val_miou": str(value), "val_loss": 1 - value})
        times = {"time_per_epoch": "0:00:00.1", "time_per_step": "0:00:00.01", "eta": "0:00:00"}
        place = {"epoch": epoch, "step": step, "max_epoch": epochs - 1, "max_step": 10 * epochs}
        say("Training loop in progress", **place, **times, kpi={"val_miou": str(value), "val_loss": 1 - value})
        say("Train metrics generated.", kpi={"train_loss": 1 - value})
        (folder / f"model_epoch_{epoch:03d}_step_{step:05d}.pth").write_text(f"{value}\n")
    say("Train finished successfully.", kpi={"train_loss": 1 - value})


if __name__ == "__main__":
    given = template.load(Path(sys.argv[1]))
    results = Path(given["results_dir"]) / "train"
    results.mkdir(parents=True, exist_ok=True)
    with (results / "status.json").open("a") as file:
        train(given, file, results)
