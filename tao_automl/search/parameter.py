"""One searched parameter: its range, and how its values are written to Optuna and read back.

Optuna knows floats and ints on a linear or log scale and sets without order. A scale that it does not know is
written as a code that it does: the name in the storage then says so (`dataset.batch_size@log2`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from tao_automl.search.overrides import Number

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

    from tao_automl.search.activity import Activity


class Encoding(Enum):
    """How a value becomes the code that Optuna samples. The value of each member is the name's suffix."""

    PLAIN = ""  # the value itself
    LOG2 = "log2"  # its exponent of two
    INDEX = "index"  # its place among the ordered choices
    COMPLEMENT = "log10(1-x)"  # for values just below one
    SWITCH = "0|log10"  # its decimal exponent, and in the decade below the range: zero
    GAP = "gap"  # how far it lies above its parent
    RATIO = "ratio"  # its share of its parent


@dataclass(frozen=True)
class Bounds:
    """What the rules allow a value in one trial; None = no bound. `parent` is the value it is counted from."""

    lower: Number | None = None
    upper: Number | None = None
    parent: Number = 0


@dataclass(frozen=True)
class Domain:
    """The codes of a parameter in one trial. `step` counts from `low`; `choices` excludes the others."""

    low: Number = 0
    high: Number = 0
    step: Number | None = None
    log: bool = False
    choices: tuple[Any, ...] | None = None

    @property
    def is_int(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    def distribution(self) -> BaseDistribution:
        """As Optuna states it."""
        if self.choices is not None:
            return CategoricalDistribution(self.choices)
        if self.is_int:
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return FloatDistribution(float(self.low), float(self.high), log=self.log, step=self.step)

    def suggest(self, trial: BaseTrial, name: str) -> Any:
        """The trial's code: sampled, or what the trial has already."""
        if self.choices is not None:
            return trial.suggest_categorical(name, self.choices)
        if self.is_int:
            return trial.suggest_int(name, int(self.low), int(self.high), step=int(self.step or 1), log=self.log)
        return trial.suggest_float(name, float(self.low), float(self.high), step=self.step, log=self.log)

    def clip(self, code: Any) -> Any:
        """The nearest code of the domain."""
        if self.choices is not None:
            return code if code in self.choices else self.choices[0]
        inside = min(max(code, self.low), self.high)
        if self.step:
            inside = self.low + round((inside - self.low) / self.step) * self.step
            inside = inside if inside <= self.high else inside - self.step
        return int(inside) if self.is_int else inside


@dataclass(frozen=True)
class Kept:
    """A parameter of the default set that is not searched. `default` is its launched value."""

    path: str
    default: Any
    why: str


@dataclass(frozen=True)
class Parameter:
    """What is searched.

    `low`, `high`, `step` and `choices` are values of the spec; `default` is the centre, which trial 0 takes.
    Under SWITCH it may also be 0, below `low`. The choices of type 'list' are lists, ordered.
    `origin` is where the range comes from: 'schema', 'role: …', 'automl.yaml' or '--search'. `gap` is the
    range above `parent`, or under RATIO that of its share. `active` holds conditions on other searched parameters.
    `grows`: a larger value takes more memory. `reach`: how far each end of the range may be moved once a study
    shows that the best lies there; None = not. `window` says how a role finds its range.
    """

    path: str
    type: str
    default: Any
    origin: str
    why: str = ""
    low: Number | None = None
    high: Number | None = None
    step: Number | None = None
    log: bool = False
    choices: tuple[Any, ...] | None = None
    encoding: Encoding = Encoding.PLAIN
    parent: str | None = None
    gap: tuple[Number, Number] | None = None
    active: tuple[Activity, ...] = field(default=())
    grows: bool = False
    reach: tuple[Number | None, Number | None] = (None, None)
    window: str = ""

    @property
    def name(self) -> str:
        """The parameter's name in Optuna."""
        return f"{self.path}@{self.encoding.value}" if self.encoding.value else self.path

    def domain(self, bounds: Bounds = Bounds()) -> Domain:
        """The codes that stand for allowed values. A rule that leaves nothing of the range beats it."""
        if self.choices is not None:
            return self._among(bounds)
        if self.encoding is Encoding.GAP:
            return self._above_parent(bounds)
        if self.encoding is Encoding.RATIO:
            return self._share_of_parent(bounds)
        low, high = self._ends()
        if self.encoding is Encoding.COMPLEMENT:
            low = low if bounds.lower is None else max(low, min(bounds.lower, high))
            high = high if bounds.upper is None else min(high, max(bounds.upper, low))
            return Domain(_to_complement(high), _to_complement(low))
        if self.encoding is Encoding.SWITCH:
            first, last = math.log10(low) - 1, math.log10(high)
            first = first if not bounds.lower or bounds.lower <= 0 else min(max(first, math.log10(bounds.lower)), last)
            last = last if bounds.upper is None else max(first, min(last, _exponent(bounds.upper)))
            return Domain(first, last)
        return _between(Domain(low, high, self.step, self.log), bounds)

    def encode(self, value: Any, parent: Number = 0) -> Any:
        """The code of a value; `decode` is its inverse."""
        if self.encoding is Encoding.LOG2:
            return value.bit_length() - 1
        if self.encoding is Encoding.INDEX:
            assert self.choices is not None
            return self.choices.index(value)
        if self.encoding is Encoding.COMPLEMENT:
            return _to_complement(value)
        if self.encoding is Encoding.SWITCH:
            return math.log10(value) if value > 0 else math.log10(self._ends()[0]) - 0.5
        if self.encoding is Encoding.GAP:
            return value - parent
        if self.encoding is Encoding.RATIO:
            return value / parent
        return value

    def decode(self, code: Any, parent: Number = 0) -> Any:
        """The value of the spec that a code stands for."""
        if self.encoding is Encoding.LOG2:
            return 2 ** int(code)
        if self.encoding is Encoding.INDEX:
            assert self.choices is not None
            return self.choices[int(code)]
        if self.encoding is Encoding.COMPLEMENT:
            return self.default if code == _to_complement(self.default) else round(1 - 10**code, 12)
        if self.encoding is Encoding.SWITCH:
            low, high = self._ends()
            return 0.0 if code < math.log10(low) else float(f"{min(max(10**code, low), high):.12g}")
        if self.encoding is Encoding.GAP:
            return parent + code
        if self.encoding is Encoding.RATIO:
            value = parent * code
            return self.default if math.isclose(value, self.default, rel_tol=1e-12) else float(f"{value:.12g}")
        return code

    def as_dict(self) -> dict[str, Any]:
        """For `space --json`."""
        return {
            "path": self.path,
            "type": self.type,
            "low": self.low,
            "high": self.high,
            "log": self.log,
            "step": self.step,
            "choices": None if self.choices is None else list(self.choices),
            "default": self.default,
            "origin": self.origin,
            "window": self.window,
            "why": self.why,
            "name": self.name,
            "parent": self.parent,
            "when": [condition.text for condition in self.active],
            "reach": list(self.reach),
        }

    def identity(self) -> Mapping[str, Any]:
        """What decides which values can be proposed; JSON."""
        known = self.as_dict()
        for words in ("origin", "why", "reach", "window"):
            del known[words]
        return {**known, "gap": self.gap}

    def _ends(self) -> tuple[Number, Number]:
        assert self.low is not None
        assert self.high is not None
        return self.low, self.high

    def _among(self, bounds: Bounds) -> Domain:
        assert self.choices is not None
        if self.encoding is Encoding.PLAIN:
            return Domain(choices=self.choices)
        if self.type == "list":  # rules compare numbers
            return Domain(0, len(self.choices) - 1)
        allowed = [
            value
            for value in self.choices
            if (bounds.lower is None or value >= bounds.lower) and (bounds.upper is None or value <= bounds.upper)
        ]
        nearest = self.choices[0] if bounds.upper is not None else self.choices[-1]
        ends = (allowed[0], allowed[-1]) if allowed else (nearest, nearest)
        return Domain(self.encode(ends[0]), self.encode(ends[1]))

    def _above_parent(self, bounds: Bounds) -> Domain:
        """The gap keeps the value in its range too, as far as it can still lie above its parent."""
        assert self.gap is not None
        first, last = self.gap
        low, high = self._ends()
        lower = low if bounds.lower is None else max(low, bounds.lower)
        upper = high if bounds.upper is None else min(high, bounds.upper)
        inside = Bounds(lower - bounds.parent, max(upper - bounds.parent, first))
        return _between(Domain(first, last, self.step), inside)

    def _share_of_parent(self, bounds: Bounds) -> Domain:
        assert self.gap is not None
        low, high = self._ends()
        lower = low if bounds.lower is None else max(low, bounds.lower)
        upper = high if bounds.upper is None else min(high, bounds.upper)
        inside = Bounds(lower / bounds.parent, upper / bounds.parent)
        return _between(Domain(*self.gap, log=True), inside)


def _between(domain: Domain, bounds: Bounds) -> Domain:
    """The part of a domain inside the bounds, on the same grid; one value if the bounds leave none."""
    low, high, step = domain.low, domain.high, domain.step
    lower, upper = bounds.lower, bounds.upper
    if domain.is_int:
        lower = None if lower is None else math.ceil(lower)
        upper = None if upper is None else math.floor(upper)
    if lower is not None and lower > low:
        low = low + math.ceil((lower - low) / step) * step if step else lower
    if upper is not None and upper < high:
        high = low + math.floor((upper - low) / step) * step if step else upper
    if high < low:
        low = high = upper if upper is not None else lower if lower is not None else low
    return Domain(low, high, step if high > low else None, domain.log and low > 0)


def _exponent(value: float) -> float:
    return math.log10(value) if value > 0 else -math.inf


def _to_complement(value: float) -> float:
    return math.log10(1 - value)
