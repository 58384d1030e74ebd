"""Learns to detect: epochs over COCO examples, validation, and a state that goes on bit for bit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tao_automl.standin import augment, coco_map, grid, network
from tao_automl.standin.augment import Views
from tao_automl.standin.coco_map import Detections, Scores
from tao_automl.standin.examples import Examples
from tao_automl.standin.network import Floats
from tao_automl.standin.optim import Optimizer
from tao_automl.standin.recipe import Recipe

SIDE = 64  # pixels of the working size
CELLS = SIDE // grid.CELL
VALIDATION_BATCH = 16
MEAN, SPREAD = 118.0, 64.0  # of a pixel
OnBatch = Callable[[int, int, float], None]  # batches done, of, loss


class Learner:
    """A network with its optimizer. The same recipe, seed and examples give the same bits."""

    def __init__(self, recipe: Recipe, num_classes: int, seed: int) -> None:
        self._recipe = recipe
        self._seed = seed
        self._plan = network.layers(recipe.width, recipe.context, recipe.hidden, grid.CLASSES + num_classes)
        self._weights = network.initial(self._plan, np.random.default_rng(seed))
        self._weights["head.1.bias"][0] = -2.0  # most cells are empty
        self._optimizer = Optimizer(recipe, self._weights)

    @property
    def step(self) -> int:
        """Optimizer steps so far."""
        return self._optimizer.step

    def batches(self, examples: Examples) -> int:
        """Steps of an epoch; what is left over of the images waits for another epoch."""
        return max(1, len(examples) // self._recipe.batch_size)

    def train_epoch(self, examples: Examples, epoch: int, on_batch: OnBatch | None = None, skip: int = 0) -> float:
        """Train through an epoch, without its first `skip` batches. Returns the mean loss; NaN if it diverged."""
        rng = np.random.default_rng((self._seed, epoch))
        order = rng.permutation(len(examples))
        views = augment.draw(rng, len(examples), self._recipe.flip)
        total, of = 0.0, self.batches(examples)
        for batch in range(skip, of):
            chosen = order[batch * self._recipe.batch_size : (batch + 1) * self._recipe.batch_size]
            with np.errstate(all="ignore"):
                loss = self._train_batch(examples, chosen, views.of(chosen), epoch)
            total += loss
            if on_batch is not None:
                on_batch(batch + 1, of, loss)
        return total / max(1, of - skip)

    def validate(self, examples: Examples, class_ids: Sequence[int]) -> tuple[Scores, float]:
        """COCO scores over `class_ids` and the mean loss."""
        outputs = self._outputs(examples)
        with np.errstate(all="ignore"):
            wanted = self._targets(examples, np.arange(len(examples)), augment.plain(len(examples)))
            loss, _ = grid.loss(outputs, wanted, self._loss_weights)
            found = grid.detections(outputs, self._recipe.candidates, examples.size, 0)
        return coco_map.evaluate(examples.truth, found, class_ids), loss

    def detect(self, examples: Examples) -> Detections:
        """Boxes in the images' own pixels."""
        with np.errstate(all="ignore"):
            return grid.detections(self._outputs(examples), self._recipe.candidates, examples.size, 0)

    def state(self) -> dict[str, NDArray[Any]]:
        """Weights and optimizer, enough to go on exactly."""
        return {**{name: value.copy() for name, value in self._weights.items()}, **self._optimizer.state()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `state` gave."""
        self._weights = {name: state[name].copy() for name in self._weights}
        self._optimizer.restore(dict(state))

    def load_weights(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Start from other weights where shapes agree; the optimizer stays fresh."""
        for name, value in self._weights.items():
            if name in state and state[name].shape == value.shape:
                self._weights[name] = state[name].copy()

    @property
    def _loss_weights(self) -> tuple[float, float, float]:
        recipe = self._recipe
        return recipe.class_weight, recipe.box_weight, recipe.size_weight

    def _train_batch(self, examples: Examples, chosen: NDArray[np.int64], views: Views, epoch: int) -> float:
        images = views.images(_normal(examples.images[chosen]))
        outputs, traces = network.forward(self._plan, self._weights, images)
        loss, gradient = grid.loss(outputs, self._targets(examples, chosen, views), self._loss_weights)
        gradients = network.backward(self._weights, traces, gradient)
        self._optimizer.update(self._weights, gradients, self._recipe.rate(epoch))
        return loss if math.isfinite(loss) else math.nan

    def _outputs(self, examples: Examples) -> Floats:
        parts = []
        with np.errstate(all="ignore"):
            for start in range(0, len(examples), VALIDATION_BATCH):
                images = _normal(examples.images[start : start + VALIDATION_BATCH])
                parts.append(network.forward(self._plan, self._weights, images)[0])
        return np.concatenate(parts) if parts else np.zeros((0, CELLS, CELLS, grid.CLASSES + 1), dtype=np.float32)

    def _targets(self, examples: Examples, chosen: NDArray[np.int64], views: Views) -> grid.Targets:
        truth = examples.truth
        place = {int(image): number for number, image in enumerate(chosen)}
        rows = np.array([row for row, image in enumerate(truth.image) if int(image) in place], dtype=np.int64)
        rows = rows[~truth.crowd[rows]]
        image = np.array([place[int(number)] for number in truth.image[rows]], dtype=np.int64)
        scale = CELLS / np.tile(examples.size[truth.image[rows]], 2)
        box = truth.box[rows] * scale.reshape(-1, 4)
        box[:, :2] += box[:, 2:] / 2
        box = views.boxes(box, image, CELLS)
        classes = np.minimum(truth.category[rows], self._plan[-1].outputs - grid.CLASSES - 1)
        return grid.targets(CELLS, len(chosen), image, classes, box.astype(np.float32))


def _normal(images: NDArray[np.uint8]) -> Floats:
    result: Floats = (images.astype(np.float32) - np.float32(MEAN)) / np.float32(SPREAD)
    return result
