"""AdamW and SGD with momentum over one flat vector of parameters, each parameter with a rate of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class Optimizer:
    """Moves a vector against its gradient.

    `rates` has a rate for each parameter, multiplied by what `step` is given, `decays` its weight decay.
    `kind` is AdamW or SGD; `momentum` is used by SGD only.

    Raises:
        ValueError: no such kind.
    """

    def __init__(self, kind: str, rates: NDArray[Any], decays: NDArray[Any], momentum: float) -> None:
        if kind not in ("AdamW", "SGD"):
            raise ValueError(f"optimizer {kind} is not known: AdamW or SGD")
        self.kind = kind
        self.steps = 0
        self._rates = rates
        self._decays = decays
        self._momentum = momentum
        self._first = np.zeros_like(rates)
        self._second = np.zeros_like(rates)

    def step(self, weights: NDArray[Any], gradient: NDArray[Any], factor: float) -> None:
        """Change `weights` in place; `factor` is the schedule's."""
        self.steps += 1
        move = self._adamw(weights, gradient) if self.kind == "AdamW" else self._sgd(weights, gradient)
        move *= self._rates
        move *= factor
        weights -= move

    def _adamw(self, weights: NDArray[Any], gradient: NDArray[Any]) -> NDArray[Any]:
        """Decoupled decay: it is not part of the moments."""
        self._first *= BETAS[0]
        self._first += (1 - BETAS[0]) * gradient
        self._second *= BETAS[1]
        self._second += (1 - BETAS[1]) * gradient**2
        scale = float(np.sqrt(1 - BETAS[1] ** self.steps))
        move: NDArray[Any] = np.sqrt(self._second)
        move += EPSILON * scale
        np.divide(self._first, move, out=move)
        move *= scale / (1 - BETAS[0] ** self.steps)
        move += self._decays * weights
        return move

    def _sgd(self, weights: NDArray[Any], gradient: NDArray[Any]) -> NDArray[Any]:
        self._first *= self._momentum
        self._first += gradient
        self._first += self._decays * weights
        move: NDArray[Any] = self._first.copy()
        return move

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything the next step depends on besides weights and gradient."""
        return {
            "optimizer.first": self._first.copy(),
            "optimizer.second": self._second.copy(),
            "optimizer.steps": np.array(self.steps, dtype=np.int64),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a state.

        Raises:
            ValueError: it is that of another number of parameters.
        """
        if state["optimizer.first"].shape != self._first.shape:
            raise ValueError("the optimizer's state is that of another network")
        self._first[:] = state["optimizer.first"]
        self._second[:] = state["optimizer.second"]
        self.steps = int(state["optimizer.steps"])


def clip(gradient: NDArray[Any], limit: float) -> None:
    """Shorten a gradient in place to the norm `limit`; a limit of 0 or less clips nothing."""
    norm = float(np.sqrt(np.dot(gradient, gradient)))
    if 0 < limit < norm:
        gradient *= limit / (norm + 1e-6)
