"""Configs as numbers: each parameter's place in its range, and configs near a centre."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from optuna.trial import BaseTrial

from benchmarks.search.problems.problem import Values
from tao_automl.search.parameter import Bounds, Encoding, Parameter
from tao_automl.search.space import SearchSpace


def place(parameter: Parameter, values: Values) -> float | None:
    """0 at the range's lower end, 1 at its upper end, in the parameter's scale; outside the range beyond that.

    None for a set without order, and for a parameter that the config does not have.
    """
    value = values.get(parameter.path)
    if value is None or is_set(parameter):
        return None
    parent = values.get(parameter.parent, 0) if parameter.parent else 0
    domain = parameter.domain(Bounds(parent=parent))
    if parameter.encoding is Encoding.LOG2:
        code: float = math.log2(value)
    elif parameter.encoding is Encoding.INDEX:
        assert parameter.choices is not None
        code = float(np.interp(value, parameter.choices, range(len(parameter.choices))))
    else:
        code = parameter.encode(value, parent)
    low, high = float(domain.low), float(domain.high)
    if domain.log:
        code, low, high = math.log(max(code, 1e-300)), math.log(low), math.log(high)
    return (code - low) / (high - low) if high > low else 0.5


def is_set(parameter: Parameter) -> bool:
    """A set without order."""
    return parameter.choices is not None and parameter.encoding is Encoding.PLAIN


def nearby(space: SearchSpace, spread: float, rng: np.random.Generator) -> dict[str, Any]:
    """A config drawn around the centre: normal, `spread` of each range; a set keeps its value."""
    return space.suggest(cast("BaseTrial", _Nearby(space.centre(), spread, rng)))


class _Nearby:
    """Stands for a trial whose parameters lie around those of another."""

    def __init__(self, centre: Mapping[str, Any], spread: float, rng: np.random.Generator) -> None:
        self._centre, self._spread, self._rng = centre, spread, rng

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        if log:
            return float(np.exp(self._around(math.log(self._centre.get(name, low)), math.log(low), math.log(high))))
        found = self._around(self._centre.get(name, (low + high) / 2), low, high)
        return low + round((found - low) / step) * step if step else found

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:  # noqa: ARG002
        found = self._around(self._centre.get(name, (low + high) / 2), low, high)
        return int(min(low + round((found - low) / step) * step, low + (high - low) // step * step))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._centre.get(name, choices[0])

    def _around(self, centre: float, low: float, high: float) -> float:
        return float(min(max(centre + self._rng.normal() * self._spread * (high - low), low), high))
