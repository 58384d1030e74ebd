"""Trains the grid detector on examples, scores it and finds boxes with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tao_automl.standin import coco_map, losses
from tao_automl.standin.examples import Examples
from tao_automl.standin.network import BOX, STRIDE, Network, Plan
from tao_automl.standin.optim import Optimizer, clip
from tao_automl.standin.recipe import Recipe

Array = NDArray[Any]

SIDE = 96  # pixels: images are stretched to this
GRID = SIDE // STRIDE
# A network this small takes larger steps than the one whose rates the spec means.
RATE = {"AdamW": 2.5, "SGD": 500.0}
# Channels of the first layer by a word in the backbone's name.
STEMS = {"tiny": 12, "small": 14, "base": 20, "large": 24, "resnet_34": 12, "b0": 10, "b1": 12}
STEM = 16  # resnet_50 and the rest
FLOOR = 0.01  # score: boxes below are not listed
SAME = 0.5  # IoU of two boxes of a class that are taken for one object
LISTED = 100  # boxes an image: more are not looked at by the COCO rule
CHUNK = 16  # images at a time where no batch size is asked for


def plan(recipe: Recipe, num_classes: int) -> Plan:
    """The network's sizes: for 256 channels and 6 + 6 layers of the spec 48 channels and 2 + 3 layers."""
    stem = next((width for word, width in STEMS.items() if word in recipe.backbone), STEM)
    width = min(64, max(8, recipe.hidden_dim * 3 // 16))
    enc = 1 + (recipe.enc_layers >= 4) + (recipe.enc_layers >= 8)
    dec = min(5, max(1, recipe.dec_layers // 2))
    return Plan(stem, width, enc, dec, num_classes)


class Learner:
    """A detector in training. The same recipe, classes, seed and examples give the same weights, bit by bit.

    `step` counts the optimizer's steps so far.

    Raises:
        ValueError: the recipe's optimizer is not known.
    """

    def __init__(self, recipe: Recipe, num_classes: int, seed: int) -> None:
        self._recipe = recipe
        self._classes = num_classes
        self._seed = seed % 2**32
        self._network = Network(plan(recipe, num_classes), np.random.default_rng((self._seed, 0)))
        self._coefficients = losses.Coefficients(
            recipe.cls_loss_coef, recipe.bbox_loss_coef, recipe.giou_loss_coef, recipe.focal_alpha
        )
        rates, decays = self._groups()
        self._optimizer = Optimizer(recipe.optimizer, rates, decays, recipe.momentum)

    @property
    def step(self) -> int:
        return self._optimizer.steps

    def _groups(self) -> tuple[Array, Array]:
        """Learning rate and weight decay of each weight; biases do not decay."""
        recipe = self._recipe
        rates, decays = (np.zeros_like(self._network.weights) for _ in range(2))
        factor = RATE.get(recipe.optimizer, 1.0)
        backbone = (recipe.lr_backbone, recipe.lr_backbone)
        if recipe.backbone.startswith("vit"):  # TAO: the deeper the layer, the smaller its rate
            backbone = (recipe.lr * recipe.layer_decay_rate**2, recipe.lr * recipe.layer_decay_rate)
        for name, view in self._network.views(rates):
            group, place = name.split(".")[:2]
            view[:] = factor * (backbone[int(place)] if group == "backbone" else recipe.lr)
        for name, view in self._network.views(decays):
            view[:] = recipe.weight_decay if name.endswith("weight") else 0.0
        return rates, decays

    def batches(self, examples: Examples) -> int:
        """Batches an epoch; images that do not fill one are left for another epoch."""
        return max(1, len(examples.images) // max(1, self._recipe.batch_size))

    def train_epoch(
        self,
        examples: Examples,
        epoch: int,
        on_batch: Callable[[int, int, float], None] | None = None,
        skip: int = 0,
    ) -> float:
        """Train through an epoch (counted from 0) without its first `skip` batches; returns the mean loss.

        The loss may be NaN or huge. `on_batch` is told the batches done, their number and the batch's loss.

        Raises:
            ValueError: an annotation's category is not among the classes.
        """
        self._check(examples)
        order = np.random.default_rng((self._seed, 1, epoch)).permutation(len(examples.images))
        size, number = max(1, self._recipe.batch_size), self.batches(examples)
        spent: list[float] = []
        with np.errstate(all="ignore"):
            for batch in range(skip, number):
                rng = np.random.default_rng((self._seed, 2, epoch, batch))
                chosen = order[batch * size : (batch + 1) * size]
                spent.append(self._train_batch(examples, chosen, epoch, rng))
                if on_batch is not None:
                    on_batch(batch + 1, number, spent[-1])
            return float(np.mean(spent)) if spent else 0.0

    def _train_batch(self, examples: Examples, chosen: Array, epoch: int, rng: np.random.Generator) -> float:
        recipe, network = self._recipe, self._network
        flipped = rng.random(len(chosen)) < recipe.flip_prob
        outputs = network.forward(_inputs(examples, chosen, flipped), recipe.dropout_ratio, rng)
        value, slope = losses.loss(outputs, _targets(examples, chosen, flipped), self._coefficients)
        network.backward(slope, recipe.dropout_ratio)
        clip(network.gradient, recipe.clip_grad_norm)
        self._optimizer.step(network.weights, network.gradient, recipe.decay(epoch))
        return value

    def _check(self, examples: Examples) -> None:
        highest = int(examples.truth.category.max(initial=0))
        if highest >= self._classes:
            raise ValueError(f"category id {highest} does not fit {self._classes} classes")

    def validate(self, examples: Examples, class_ids: Sequence[int]) -> tuple[coco_map.Scores, float]:
        """COCO scores over `class_ids`, and the mean loss.

        Raises:
            ValueError: an annotation's category is not among the classes.
        """
        found, loss = self.assess(examples)
        return coco_map.evaluate(examples.truth, found, class_ids), loss

    def assess(self, examples: Examples) -> tuple[coco_map.Detections, float]:
        """The boxes of `detect`, and the mean loss.

        Raises:
            ValueError: an annotation's category is not among the classes.
        """
        self._check(examples)
        found, spent = [], []
        with np.errstate(all="ignore"):
            for chosen in _chunks(examples):
                outputs = self._network.forward(_inputs(examples, chosen, None))
                value, _ = losses.loss(outputs, _targets(examples, chosen, None), self._coefficients)
                spent.append(value * len(chosen))
                found.append(self._read(outputs, examples, chosen))
        return _joined(found), sum(spent) / max(1, len(examples.images))

    def detect(self, examples: Examples) -> coco_map.Detections:
        """Boxes in original pixels, at most `num_select` an image."""
        found = []
        with np.errstate(all="ignore"):
            for chosen in _chunks(examples):
                outputs = self._network.forward(_inputs(examples, chosen, None))
                found.append(self._read(outputs, examples, chosen))
        return _joined(found)

    def ranges(self, examples: Examples) -> dict[str, Array]:
        """The highest output of each layer on the examples."""
        highest: dict[str, float] = {}
        for chosen in _chunks(examples):
            self._network.forward(_inputs(examples, chosen, None))
            highest = {name: max(value, highest.get(name, 0.0)) for name, value in self._network.ranges().items()}
        return {name: np.array(value) for name, value in highest.items()}

    def _read(self, outputs: Array, examples: Examples, chosen: Array) -> coco_map.Detections:
        """The boxes that outputs say."""
        parts = []
        cells = losses.centres(GRID)
        for number, output in zip(chosen, outputs.astype(np.float64), strict=True):
            flat = output.reshape(GRID * GRID, -1)
            best = np.argsort(-flat[:, :-BOX].max(axis=1), kind="stable")[: self._recipe.num_queries]
            score = 1 / (1 + np.exp(-flat[best, :-BOX]))
            row, category = np.nonzero(score > FLOOR)
            score = score[row, category]
            corners = losses.boxes(flat[best[row], -BOX:], cells[best[row]], GRID).clip(0, 1)
            good = np.isfinite(corners).all(axis=1) & np.isfinite(score)
            order = np.argsort(-score[good], kind="stable")[: min(LISTED, self._recipe.num_select)]
            kept = np.flatnonzero(good)[order]
            kept = kept[_distinct(corners[kept], category[kept])]
            width, height = examples.sizes[number]
            pixels = corners[kept] * [width, height, width, height]
            pixels[:, 2:] -= pixels[:, :2]
            image = np.full(len(kept), number, dtype=np.int64)
            parts.append(coco_map.Detections(image, category[kept].astype(np.int64), pixels, score[kept]))
        return _joined(parts)

    def state(self) -> dict[str, Array]:
        """Weights, optimizer and step: what the next epoch depends on."""
        weights = {name: array.copy() for name, array in self._network.arrays.items()}
        return {**weights, **self._optimizer.state()}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go on from a state.

        Raises:
            KeyError, ValueError: it is that of another network.
        """
        for name, array in self._network.arrays.items():
            array[:] = state[name]
        self._optimizer.restore(state)

    def load_weights(self, state: Mapping[str, Array]) -> None:
        """Begin with the weights of a state; arrays of another shape are left as they are."""
        for name, array in self._network.arrays.items():
            if name in state and state[name].shape == array.shape:
                array[:] = state[name]


def _chunks(examples: Examples) -> list[Array]:
    numbers = np.arange(len(examples.images))
    return [numbers[start : start + CHUNK] for start in range(0, len(numbers), CHUNK)]


def _inputs(examples: Examples, chosen: Array, flipped: Array | None) -> Array:
    """Images as the network takes them: brightness of each brought to mean 0, spread 1."""
    images = examples.images[chosen].astype(np.float32)
    images -= images.mean(axis=(1, 2, 3), keepdims=True)
    images /= images.std(axis=(1, 2, 3), keepdims=True) + 1.0
    if flipped is not None:
        images[flipped] = images[flipped, :, ::-1]
    return images


def _targets(examples: Examples, chosen: Array, flipped: Array | None) -> losses.Targets:
    """What the cells of chosen images are responsible for; crowds teach nothing."""
    truth = examples.truth
    place, row = np.nonzero(truth.image[None, :] == chosen[:, None])
    usable = ~truth.crowd[row] & (truth.box[row, 2:] > 0).all(axis=1)
    place, row = place[usable], row[usable]
    corners = truth.box[row].copy()
    corners[:, 2:] += corners[:, :2]
    corners /= np.tile(examples.sizes[chosen[place]], 2)
    if flipped is not None:
        turned = flipped[place]
        corners[turned] = np.abs([1.0, 0.0, 1.0, 0.0] - corners[turned][:, [2, 1, 0, 3]])
    return losses.assign(place, truth.category[row], corners, GRID)


def _distinct(box: Array, category: Array) -> Array:
    """Rows of boxes, best first, without those that overlap a better one of their class."""
    sides = np.concatenate([box[:, :2], box[:, 2:] - box[:, :2]], axis=1)
    iou = coco_map.overlaps(sides, sides, np.zeros(len(box), dtype=bool))
    rival = (iou > SAME) & (category[:, None] == category[None, :])
    kept = np.ones(len(box), dtype=bool)
    for row in range(len(box)):
        if kept[row]:
            kept[row + 1 :] &= ~rival[row, row + 1 :]
    return np.flatnonzero(kept)


def _joined(parts: Sequence[coco_map.Detections]) -> coco_map.Detections:
    if not parts:
        empty = np.zeros(0, dtype=np.int64)
        return coco_map.Detections(empty, empty, np.zeros((0, 4)), np.zeros(0))
    names = ("image", "category", "box", "score")
    return coco_map.Detections(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
