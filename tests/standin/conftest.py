"""A trainer started as a container is: by its command, with a spec, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

Start = Callable[..., subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class Trainer:
    """Runs the stand-in on a tiny set of shapes."""

    data: Path
    folder: Path

    def spec(self, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """A full enough spec; `overrides` by dotted key."""
        pair = {
            split: {
                "image_dir": str(self.data / split / "images"),
                "json_file": str(self.data / split / "annotations.json"),
            }
            for split in ("train", "val")
        }
        spec: dict[str, Any] = {
            "results_dir": str(self.folder),
            "train": {"num_epochs": 3, "seed": 1, "optim": {"lr": 0.0002}},
            "model": {"num_queries": 300},
            "dataset": {
                "train_data_sources": [pair["train"]],
                "val_data_sources": [pair["val"]],
                "test_data_sources": pair["val"],
                "infer_data_sources": {"image_dir": [pair["val"]["image_dir"]], "classmap": ""},
                "num_classes": 5,
                "eval_class_ids": [1, 2, 3, 4],
                "batch_size": 2,
            },
            "evaluate": {},
            "inference": {},
            "export": {},
        }
        for path, value in overrides.items():
            *parents, last = path.split(".")
            group = spec
            for parent in parents:
                group = group.setdefault(parent, {})
            group[last] = value
        return spec

    def __call__(
        self, action: str = "train", env: Mapping[str, str] | None = None, **overrides: Any
    ) -> subprocess.CompletedProcess[str]:
        """Write the spec (keys with `__` for dots) and run an action on it."""
        path = self.folder / "spec.yaml"
        spec = self.spec({key.replace("__", "."): value for key, value in overrides.items()})
        path.write_text(yaml.safe_dump(spec), encoding="utf-8")
        return self.command("dino", action, "-e", str(path), env=env)

    def command(self, *words: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        foreign = ("WORLD_SIZE", "JOB_ID", "RAY_")  # Ray may have been started in this process
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return subprocess.run(
            [sys.executable, "-m", "tao_automl.standin", *words],
            env={**kept, "TELEMETRY_OPT_OUT": "1", "OMP_NUM_THREADS": "1", **(env or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "shapes"
    words = ["shapes", str(folder), "--train", "8", "--val", "4"]
    subprocess.run([sys.executable, "-m", "tao_automl.standin", *words], check=True)
    return folder


@pytest.fixture
def trainer(tiny_data: Path, tmp_path: Path) -> Trainer:
    return Trainer(tiny_data, tmp_path)
