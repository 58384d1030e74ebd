"""The hard box of a number: what the schema says it may be, which is no range to search yet."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tao_automl.search.overrides import Number
from tao_automl.tao.schema import Field

# A box of up to three decades was drawn by somebody who knew the parameter.
_TRUSTED_RATIO = 1000.0
_LARGEST = 2.0**53  # beyond it a float no longer holds every int, and Optuna stores ints as floats


@dataclass(frozen=True)
class Box:
    """Bounds and conditions of one field, together. None = unbounded.

    `open_low` and `open_high` only occur with floats: an int's open end is moved to the next int.
    """

    whole: bool
    low: Number | None = None
    high: Number | None = None
    open_low: bool = False
    open_high: bool = False
    multiple: int | None = None
    power: int | None = None
    excluded: tuple[Number, ...] = ()

    @classmethod
    def of(cls, field: Field) -> Box:
        """The box of a numeric field."""
        low, open_low = _end(field.minimum), field.open_minimum
        high, open_high = _end(field.maximum), field.open_maximum
        for condition in field.conditions:
            operand = condition.operand
            if operand is None:
                continue
            strict = condition.op in (">", "<")
            if condition.op in (">", ">=") and (low is None or (operand, strict) > (low, open_low)):
                low, open_low = operand, strict
            if condition.op in ("<", "<=") and (high is None or (-operand, strict) > (-high, open_high)):
                high, open_high = operand, strict
        box = cls(
            whole=field.type in ("int", "ordered_int"),
            low=low,
            high=high,
            open_low=open_low,
            open_high=open_high,
            multiple=_operand(field, "multiple") if not field.depends_on else None,
            power=_operand(field, "power"),
            excluded=tuple(c.operand for c in field.conditions if c.op == "!=" and c.operand is not None),
        )
        return box._in_whole_numbers() if box.whole else box

    @property
    def trusted(self) -> bool:
        """Finite, positive and at most three decades wide."""
        if self.low is None or self.high is None or self.low <= 0:
            return False
        return self.high / self.low <= _TRUSTED_RATIO * (1 + 1e-9)

    @property
    def single(self) -> bool:
        """Both bounds are one value."""
        return self.low is not None and self.low == self.high

    def allows(self, value: Number) -> bool:
        """Whether a value lies inside; multiples, powers and excluded values are not looked at."""
        if self.low is not None and (value < self.low or (self.open_low and value == self.low)):
            return False
        return not (self.high is not None and (value > self.high or (self.open_high and value == self.high)))

    def __str__(self) -> str:
        low = None if self.low is None else f"above {self.low:g}" if self.open_low else f"{self.low:g}"
        high = None if self.high is None else f"below {self.high:g}" if self.open_high else f"{self.high:g}"
        if low and high:
            return f"{low} to {high}" if not self.open_low else f"{low}, up to {high}"
        if low:
            return low if self.open_low else f"{low} or more"
        return (high if self.open_high else f"{high} or less") if high else "unbounded"

    def _in_whole_numbers(self) -> Box:
        low = None if self.low is None else math.floor(self.low) + 1 if self.open_low else math.ceil(self.low)
        high = None if self.high is None else math.ceil(self.high) - 1 if self.open_high else math.floor(self.high)
        return Box(True, low, high, multiple=self.multiple, power=self.power, excluded=self.excluded)


def _end(bound: object) -> Number | None:
    """A bound that bounds: numbers only, as lists bound elements, and 1e300 bounds nothing."""
    if not isinstance(bound, (int, float)) or isinstance(bound, bool):
        return None
    return bound if abs(bound) < _LARGEST else None


def _operand(field: Field, op: str) -> int | None:
    for condition in field.conditions:
        if condition.op == op and condition.operand is not None and condition.operand >= 1:
            return int(condition.operand)
    return None
