"""The smallest study that can be planned: a skill, a COCO directory, settings, and drivers for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from PIL import Image

from tao_automl import events as event_log
from tao_automl import plan as plans
from tao_automl.config import Layer, Settings, resolve
from tao_automl.events import EventLog
from tao_automl.execution.job import JobSpec
from tao_automl.plan import Plan
from tao_automl.search import attributes
from tao_automl.search import study as studies
from tao_automl.tuner import Outcome, Tuner
from tests.fakes.cluster import FakeCluster, Machines, Script
from tests.fakes.storage import FakeStorage, Fuse, Fused

SKILL = Path(__file__).parents[1] / "data" / "trainable" / "tao-train-tiny"
NOW = datetime(2026, 1, 2, 12, 0, 0)


def coco(folder: Path, images: int = 3, categories: Sequence[int] = (1, 2)) -> Path:
    """A COCO directory of a few black images with one box each."""
    (folder / "images").mkdir(parents=True)
    for number in range(images):
        Image.new("RGB", (8, 8)).save(folder / "images" / f"{number}.png")
    box = {"bbox": [1, 1, 4, 4], "area": 16, "iscrowd": 0}
    document = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 8, "height": 8} for n in range(images)],
        "annotations": [
            {"id": n, "image_id": n, "category_id": categories[n % len(categories)], **box} for n in range(images)
        ],
        "categories": [{"id": number, "name": f"class {number}"} for number in categories],
    }
    (folder / "annotations.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def settings(tmp_path: Path, **flags: Any) -> Settings:
    """Flags of a `run` of the tiny model in `tmp_path`; a flag that is None is left out."""
    for split in ("train", "val"):
        if not (tmp_path / split).exists():
            coco(tmp_path / split)
    named = {
        "skill_dir": str(SKILL),
        "name": "s",
        "train_data": str(tmp_path / "train"),
        "val_data": str(tmp_path / "val"),
        "runtime": "process",
        "studies_dir": str(tmp_path / "studies"),
    }
    asked = {name: value for name, value in {**named, **flags}.items() if value is not None}
    return resolve([Layer("flag", asked)])


def plan(tmp_path: Path, **flags: Any) -> Plan:
    return plans.prepare(settings(tmp_path, **flags), NOW)


def attempt_of(job: JobSpec) -> tuple[int, int]:
    """Trial and attempt of a job, by its id."""
    _, trial, attempt = job.id.rsplit("-", 2)
    return int(trial), int(attempt)


class Bench:
    """A study, the machines it runs on, and one driver after another.

    `script` says what the job of (trial, attempt) does.
    """

    def __init__(
        self,
        plan: Plan,
        script: Callable[[int, int], Script],
        storage: optuna.storages.BaseStorage | None = None,
        algorithm: str = "random",
    ) -> None:
        self.plan = plan
        self.machines = Machines(lambda job: script(*attempt_of(job)))
        self.fuse = Fuse()
        self.storage = storage or FakeStorage(self.machines.now, self.fuse)
        plan.paths.folder.mkdir(parents=True, exist_ok=True)
        known = {
            attributes.ALGORITHM: algorithm,
            attributes.PRUNER: plan.pruner,
            attributes.SEED: plan.settings["seed"],
            attributes.EPOCHS: plan.epochs,
        }
        studies.create(self.storage, plan.name, plan.metric, plan.space, attributes=known)
        self.new_driver()

    def new_driver(self, plan: Plan | None = None) -> Tuner:
        """What `resume` does: nothing is taken over but storage, folder and machines."""
        self.plan = plan or self.plan
        self.study = studies.load(self.storage, self.plan.name)
        studies.set_study_attributes(self.study, {attributes.STOP: None})
        self.cluster = FakeCluster(self.machines, self.plan.parallel)
        log = EventLog(self.plan.paths.events, self.plan.name, self.machines.now)
        cluster = Fused(self.cluster, self.fuse, ("submit", "cancel", "release"))
        self.tuner = Tuner(self.plan, self.study, cluster, Fused(log, self.fuse, ("emit",)), self.machines.now)
        return self.tuner

    def run(self, step_s: float = 5.0) -> Outcome:
        """Drive to the end; `step_s` pass between two ticks."""
        rounds = iter(range(2000))

        def sleep(_: float) -> None:
            assert next(rounds, None) is not None, "the run does not end"
            self.machines.advance(step_s)

        return self.tuner.run(sleep)

    def ticks(self, count: int, step_s: float = 5.0) -> None:
        for _ in range(count):
            self.tuner.tick()
            self.machines.advance(step_s)

    @property
    def trials(self) -> list[studies.FrozenTrial]:
        return studies.trials(self.study)

    @property
    def states(self) -> list[str]:
        return [trial.state.name for trial in self.trials]

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in event_log.read(self.plan.paths.events) if event["event"] == kind]

    def checkpoints(self, number: int, attempt: int = 1) -> list[str]:
        folder = self.plan.paths.attempt(number, attempt).checkpoints("train")
        return sorted(path.name for path in folder.glob("model_epoch_*.pth"))


def odvg(folder: Path, images: int = 3, names: Sequence[str] = ("cat", "dog")) -> Path:
    """The same images for a model that is told in words what to find: ids from 0, ODVG beside COCO."""
    coco(folder, images, range(len(names)))
    lines = []
    for number in range(images):
        label = number % len(names)
        instance = {"bbox": [1, 1, 5, 5], "label": label, "category": names[label]}
        lines.append(json.dumps({"file_name": f"{number}.png", "detection": {"instances": [instance]}}) + "\n")
    (folder / "annotations_odvg.jsonl").write_text("".join(lines), encoding="utf-8")
    labels = {str(number): name for number, name in enumerate(names)}
    (folder / "annotations_odvg_labelmap.json").write_text(json.dumps(labels), encoding="utf-8")
    return folder
