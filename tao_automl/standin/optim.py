"""AdamW and SGD with momentum, with a learning rate for the backbone of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tao_automl.standin.network import Floats
from tao_automl.standin.recipe import Recipe

BETAS = (0.9, 0.999)
EPSILON = 1e-8
SCALE = 1.4  # this small network wants larger steps than the networks whose learning rates specs hold
BACKBONE_SCALE = 5.0  # its backbone starts untrained
SGD_SCALE = 60.0
DECAY_SCALE = 20.0


class Optimizer:
    """Updates weights in place. Its state are the running means and the number of steps."""

    def __init__(self, recipe: Recipe, weights: dict[str, Floats]) -> None:
        self._recipe = recipe
        self.step = 0
        self._first = {name: np.zeros_like(value) for name, value in weights.items()}
        self._second = {name: np.zeros_like(value) for name, value in weights.items()}

    def update(self, weights: dict[str, Floats], gradients: dict[str, Floats], share: float) -> None:
        """One step; `share` is what the schedule leaves of the learning rates."""
        recipe = self._recipe
        self.step += 1
        norm = float(np.sqrt(sum(float((value.astype(np.float64) ** 2).sum()) for value in gradients.values())))
        clip = min(1.0, 10 * recipe.clip_norm / norm) if recipe.clip_norm > 0 and norm > 0 else 1.0
        for name, weight in weights.items():
            lr = (recipe.lr_backbone * BACKBONE_SCALE if name.startswith("backbone.") else recipe.lr) * share
            if recipe.optimizer == "SGD":
                first = self._first[name]
                first *= recipe.momentum
                first += gradients[name] * np.float32(clip)
                change, lr = first, lr * SGD_SCALE
            else:
                change, lr = self._adam(name, gradients[name] * np.float32(clip)), lr * SCALE
            if name.endswith("weight"):
                np.multiply(weight, np.float32(1 - lr * recipe.weight_decay * DECAY_SCALE), out=weight)
            np.subtract(weight, np.float32(lr) * change, out=weight)

    def _adam(self, name: str, gradient: Floats) -> Floats:
        first, second = self._first[name], self._second[name]
        first += np.float32(1 - BETAS[0]) * (gradient - first)
        second += np.float32(1 - BETAS[1]) * (gradient * gradient - second)
        scale = np.float32(np.sqrt(1 - BETAS[1] ** self.step) / (1 - BETAS[0] ** self.step))
        change: Floats = scale * first / (np.sqrt(second) + np.float32(EPSILON))
        return change

    def state(self) -> dict[str, NDArray[Any]]:
        """Copies, by name."""
        arrays: dict[str, NDArray[Any]] = {"optimizer.step": np.array(self.step)}
        arrays |= {f"optimizer.first.{name}": value.copy() for name, value in self._first.items()}
        arrays |= {f"optimizer.second.{name}": value.copy() for name, value in self._second.items()}
        return arrays

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take over what `state` gave."""
        self.step = int(arrays["optimizer.step"])
        self._first = {name: arrays[f"optimizer.first.{name}"].copy() for name in self._first}
        self._second = {name: arrays[f"optimizer.second.{name}"].copy() for name in self._second}
