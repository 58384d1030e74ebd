"""The train action: epochs, validation, status lines and checkpoints in the order a TAO container has them."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from tao_automl.standin import grounding, nodes, refusals, specfile, weights
from tao_automl.standin.dialect import Measure
from tao_automl.standin.environment import Diary
from tao_automl.standin.examples import Examples
from tao_automl.standin.faults import OUT_OF_MEMORY, Faults, out_of_memory
from tao_automl.standin.learner import Learner
from tao_automl.standin.networks import Network
from tao_automl.standin.recipe import Recipe
from tao_automl.standin.statuslog import StatusLog

FAULT_AFTER = 3  # batches of its epoch
SANITY_BATCHES = 2
SIGNAL_S = 0.02  # how long a signal may go unnoticed


class Stopped(Exception):  # noqa: N818  # nothing is wrong: it was asked for
    """A signal has asked the training to end after the current batch."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@dataclass(frozen=True)
class Schedule:
    """When to validate and save, in epochs."""

    epochs: int
    validate: int
    save: int
    topk: bool
    replace_periodic: bool

    @classmethod
    def of(cls, spec: dict[str, Any]) -> Schedule:
        """Raises:
        AssertionError: an interval is longer than the training.
        """
        epochs = int(specfile.get(spec, "train.num_epochs", 10))
        validate = int(specfile.get(spec, "train.validation_interval", 1))
        save = int(specfile.get(spec, "train.checkpoint_interval", 1))
        assert save <= epochs, f"Checkpoint interval {save} > Number of epochs {epochs}."
        assert validate <= epochs, f"Validation interval {validate} > Number of epochs {epochs}."
        checkpointer = specfile.get(spec, "train.checkpointer", {})
        topk = bool(checkpointer.get("enable_topk"))
        return cls(epochs, validate, save, topk, topk and bool(checkpointer.get("replace_periodic")))


class Training:
    """One run of the train action in its results folder.

    Raises:
        AssertionError, ValueError, OSError …: the spec or the data is wrong, as TAO would raise.
    """

    def __init__(self, spec: dict[str, Any], network: Network, folder: Path, log: StatusLog) -> None:
        self._spec = spec
        self._network = network
        self._log = log
        self._faults = Faults.wanted(folder)
        first_node = nodes.rank() == 0
        self._files = weights.Folder(folder, network.latest, read_only=not first_node)
        self._folder = folder if first_node else None
        self._dialect = grounding.of(network, spec)
        self._batch = int(specfile.get(spec, "dataset.batch_size", 4))
        self._best: float | None = None
        self._signal: int | None = None
        self._epoch_s = float(os.environ.get("STANDIN_EPOCH_S", "0"))
        self._schedule = Schedule.of(spec)
        self._faults.start()
        refusals.at_start(spec, network)
        self._train, self._val = self._data()
        self._learner = self._fresh()
        if first_node:
            (folder / "lightning_logs" / "version_1").mkdir(parents=True, exist_ok=True)
            (folder / "lightning_logs" / "version_1" / "hparams.yaml").write_text("{}\n", encoding="utf-8")

    def run(self) -> None:
        """Train to the end.

        Raises:
            Stopped: SIGTERM or SIGINT came; the broken epoch is saved.
            RuntimeError …: what TAO would raise.
        """
        first, skip = self._begin()
        if first == self._schedule.epochs:
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        check = self._val.head(SANITY_BATCHES * self._batch)
        refusals.at_validation(self._spec, self._network, self._dialect.classes)
        self._log_lines(self._dialect.measure(self._learner.assess(check)[0], check))
        self._log.write("Starting Training Loop.", status="STARTED")
        refusals.in_training(self._spec, self._network, self._train, self._batch)
        for epoch in range(first, self._schedule.epochs):
            self._epoch(epoch, skip if epoch == first else 0)
        self._log.write("Training loop complete.")

    def teach(self, teacher: Callable[[Examples], Examples]) -> None:
        """Let a teacher add to the examples that are trained on."""
        self._train = teacher(self._train)

    def _fresh(self) -> Learner:
        seed = int(specfile.get(self._spec, "train.seed", 1234))
        print(f"Seed set to {seed}")
        return Learner(Recipe.of(self._spec), self._dialect.classes, seed)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signal = number

    def _data(self) -> tuple[Examples, Examples]:
        train_data, val_data = (
            specfile.sources(specfile.get(self._spec, f"dataset.{split}_data_sources")) for split in ("train", "val")
        )
        for source in (train_data, val_data):
            specfile.require_files(source)
        batch = self._batch
        gpus = int(specfile.get(self._spec, "train.num_gpus", 1))
        ids = specfile.get(self._spec, "train.gpu_ids", list(range(gpus)))
        if list(ids) != list(range(len(ids))):
            raise ValueError(f"gpu_ids {ids} are not visible: ids inside a container count from 0")
        dialect = self._dialect
        for split, source, word in (("train", train_data, "train"), ("val", val_data, "validation")):
            refusals.too_little(dialect.count(source, split), batch * gpus, word)
        train, val = dialect.training(train_data), dialect.scoring(val_data, "val")
        steps = int(os.environ.get("STANDIN_STEPS", "0"))
        return (train.head(steps * batch) if steps else train), val

    def _begin(self) -> tuple[int, int]:
        """Load the weights to start from. Returns the first epoch and how many of its batches are done."""
        learner = self._learner
        named = specfile.get(self._spec, "train.resume_training_checkpoint_path", "")
        path = Path(named) if named else self._files.newest()
        if path is not None:
            self._log.log(f"Setting resume checkpoint to {path}")
            self._log.write(f"Resuming training from checkpoint: {path}")
            saved = weights.load(path)
            weights.require_same_shapes(learner.state(), saved.arrays)
            learner.restore(saved.arrays)
            self._dialect.restore(saved.arrays)
            print(f"Restored all states from the checkpoint at {path}")
            return (saved.epoch, saved.batches) if saved.batches else (saved.epoch + 1, 0)
        pretrained = specfile.get(self._spec, "train.pretrained_model_path", "")
        if pretrained:
            learner.load_weights(weights.load(Path(pretrained)).arrays)
        return 0, 0

    def _epoch(self, epoch: int, skip: int) -> None:
        """One epoch with its validation, lines and checkpoint. `skip`: batches that are done already."""
        began = time.monotonic()
        self._faults.epoch(epoch, self._log)
        self._check_memory()
        train_loss = self._fit(epoch, skip, began)
        self._dialect.after_epoch(self._train)
        batches = self._learner.batches(self._train)
        step_s = (time.monotonic() - began) / batches
        validates = (epoch + 1) % self._schedule.validate == 0
        score = self._validate(epoch) if validates else None
        time.sleep(max(0.0, began + self._epoch_s - time.monotonic()))
        spent = time.monotonic() - began, step_s
        self._log.epoch(epoch, self._schedule.epochs, self._learner.step, batches, spent)
        self._log.kpi = {"train_loss": math.nan if self._faults.has("nan", epoch) else train_loss}
        self._log.write("Train metrics generated.")
        self._save(epoch, score)

    def _fit(self, epoch: int, skip: int, began_s: float) -> float:
        """Train through an epoch; whatever breaks it, what was learned is saved."""
        done = skip

        def on_batch(batch: int, of: int, loss: float) -> None:
            nonlocal done
            done = batch
            print(f"\rEpoch {epoch}: {batch}/{of} [train_loss_step={loss:.3f}]", end="", flush=True)
            if batch == min(FAULT_AFTER, of):
                self._faults.mid_epoch(epoch)
            self._wait_until(began_s + self._epoch_s * batch / (of + 1))
            if self._signal is not None:
                raise Stopped(self._signal)

        try:
            return self._learner.train_epoch(self._train, epoch, on_batch, skip)
        except BaseException:
            self._files.save(self._saved(epoch, done))
            raise

    def _wait_until(self, moment_s: float) -> None:
        """For batches that take their time; a signal ends it."""
        while self._signal is None and (rest_s := moment_s - time.monotonic()) > 0:
            time.sleep(min(rest_s, SIGNAL_S))

    def _check_memory(self) -> None:
        if out_of_memory(self._batch, int(specfile.get(self._spec, "model.num_queries", 300)), os.environ):
            raise RuntimeError(OUT_OF_MEMORY)

    def _validate(self, epoch: int) -> float | None:
        found, loss = self._learner.assess(self._val)
        measure = self._dialect.measure(found, self._val)
        self._log_lines(measure)
        if measure.file is not None and self._folder is not None:
            name, content = measure.file
            (self._folder / name).write_text(json.dumps(content, indent=4), encoding="utf-8")
        kpi = {} if self._faults.has("no_metric") else measure.kpi("val")
        self._log.kpi = {**kpi, "val_loss": math.nan if self._faults.has("nan", epoch) else loss}
        self._log.write("Eval metrics generated.")
        return measure.score

    def _log_lines(self, measure: Measure) -> None:
        for line in measure.lines:
            self._log.log(line)

    def _saved(self, epoch: int, batches: int) -> weights.Saved:
        arrays = {**self._learner.state(), **self._dialect.state()}
        names = self._dialect.names
        return weights.Saved(arrays, epoch, self._learner.step, batches, self._network.name, names)

    def _save(self, epoch: int, score: float | None) -> None:
        saved, schedule = self._saved(epoch, 0), self._schedule
        if schedule.topk and score is not None and (self._best is None or score > self._best):
            self._best = score
            best = self._files.save_best(saved)
            if schedule.replace_periodic:
                self._files.link(best)
        if (epoch + 1) % schedule.save == 0 and not schedule.replace_periodic:
            self._files.save(saved)


def run(spec: dict[str, Any], network: Network, folder: Path, log: StatusLog) -> None:
    """The train action."""
    with Diary(folder, spec):
        Training(spec, network, folder, log).run()
