"""A trainer started as a container is: by its command, with a spec, in a folder of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tao_automl.standin import shapes, task
from tao_automl.standin.networks import NETWORKS

Start = Callable[..., subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class Trainer:
    """Runs the stand-in on a tiny set of shapes."""

    data: Path
    folder: Path
    network: str = "dino"

    def spec(self, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """A full enough spec; `overrides` by dotted key."""
        pair: dict[str, dict[str, Any]] = {
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
                "infer_data_sources": {
                    "image_dir": [pair["val"]["image_dir"]],
                    "classmap": str(self.data / "val" / "label_map.txt"),
                },
                "num_classes": 5,
                "eval_class_ids": [1, 2, 3, 4],
                "batch_size": 2,
            },
            "evaluate": {},
            "inference": {},
            "export": {},
        }
        if "grounding" in self.network:
            self._read_captions(spec["dataset"], pair)
        for path, value in overrides.items():
            *parents, last = path.split(".")
            group = spec
            for parent in parents:
                group = group.setdefault(parent, {})
            group[last] = value
        return spec

    def _read_captions(self, dataset: dict[str, Any], pair: dict[str, dict[str, Any]]) -> None:
        del dataset["num_classes"]
        train, val = self.data / "train", pair["val"]
        if "mask" in self.network:
            val["data_type"] = "OD"
        files = {"json_file": "annotations_odvg.jsonl", "label_map": "annotations_odvg_labelmap.json"}
        odvg = {"image_dir": str(train / "images"), **{key: str(train / name) for key, name in files.items()}}
        dataset["train_data_sources"] = [odvg]
        dataset["val_data_sources"] = dataset["test_data_sources"] = val
        dataset["infer_data_sources"] = {"image_dir": [val["image_dir"]], "captions": ["cross", "circle", "a dragon"]}
        dataset["eval_class_ids"] = [0, 1, 2, 3]

    def inside(self, action: str = "train", **overrides: Any) -> int:
        """The same in this process, without the launcher. Returns the exit code."""
        path = self.folder / "spec.yaml"
        spec = self.spec({key.replace("__", "."): value for key, value in overrides.items()})
        path.write_text(yaml.safe_dump(spec), encoding="utf-8")
        kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            return task.main(self.network, action, path, [])
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)

    def __call__(
        self, action: str = "train", env: Mapping[str, str] | None = None, **overrides: Any
    ) -> subprocess.CompletedProcess[str]:
        """Write the spec (keys with `__` for dots) and run an action on it."""
        path = self.folder / "spec.yaml"
        spec = self.spec({key.replace("__", "."): value for key, value in overrides.items()})
        path.write_text(yaml.safe_dump(spec), encoding="utf-8")
        return self.command(self.network, action, "-e", str(path), env=env)

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


@pytest.fixture(scope="session")
def tiny_odvg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "odvg"
    shapes.write(folder, train=8, val=4, odvg=True)
    return folder


@pytest.fixture
def trainer_of(tiny_data: Path, tiny_odvg: Path, tmp_path: Path) -> Callable[[str], Trainer]:
    """A trainer of each network."""
    return lambda name: Trainer(tiny_odvg if NETWORKS[name].grounded else tiny_data, tmp_path, name)


@pytest.fixture
def trainer(tiny_data: Path, tmp_path: Path) -> Trainer:
    return Trainer(tiny_data, tmp_path)
