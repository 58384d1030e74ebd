"""Conditions of the schema dialect, `math_cond` and `depends_on`, read into values. Nothing is evaluated."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

Operator = Literal[">", ">=", "<", "<=", "!=", "multiple", "power"]

_WORDS: dict[str, Operator] = {
    ">": ">",
    ">=": ">=",
    "<": "<",
    "<=": "<=",
    "!=": "!=",
    "/": "multiple",
    "^": "power",
}
_OPERATOR = r"(>=|<=|!=|>|<|/|\^)"
_TERM = re.compile(rf"\s*{_OPERATOR}\s*(depends_on|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?=\s|$|[<>!/^])")
_PARENT = re.compile(rf"{_OPERATOR}?\s*([^\s<>=!/^]+)")


@dataclass(frozen=True)
class Condition:
    """One condition on a parameter. `operand` is None where it is the value of the parameter's `depends_on`.

    `multiple` of 8: the value is a multiple of 8, or, with a `depends_on`, that value // 8. `power` of 2: the
    value is 2, 4, 8 …
    """

    op: Operator
    operand: float | int | None


def parse(text: Any) -> tuple[Condition, ...]:
    """The conditions of a `math_cond`: `> 0.0 <= 1.0`, `>0`, `/ 8`, `^ 2`, `> depends_on` …

    Raises:
        ValueError: the text, or a part of it, is no condition.
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"math_cond {text!r} is not understood")
    conditions: list[Condition] = []
    position = 0
    while match := _TERM.match(text, position):
        conditions.append(_condition(_WORDS[match[1]], match[2], text))
        position = match.end()
    if text[position:].strip():
        raise ValueError(f"math_cond {text!r} is not understood")
    return tuple(conditions)


def parse_parents(text: Any) -> tuple[tuple[str, ...], tuple[Condition, ...]]:
    """The names in a `depends_on`, between commas, and the conditions of operators that stand before them.

    Raises:
        ValueError: the text holds no name, or something else than names.
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"depends_on {text!r} is not understood")
    names: list[str] = []
    conditions: list[Condition] = []
    for part in text.split(","):
        match = _PARENT.fullmatch(part.strip())
        if not match or match[1] in ("/", "^"):
            raise ValueError(f"depends_on {text!r} is not understood")
        names.append(match[2])
        if match[1]:
            conditions.append(Condition(_WORDS[match[1]], None))
    return tuple(dict.fromkeys(names)), tuple(conditions)


def _condition(operator: Operator, operand: str, text: str) -> Condition:
    if operand == "depends_on":
        if operator in ("multiple", "power"):
            raise ValueError(f"math_cond {text!r} is not understood")
        return Condition(operator, None)
    number = _number(operand)
    if not math.isfinite(number):
        raise ValueError(f"math_cond {text!r} has no finite number")
    smallest = {"multiple": 0, "power": 1}.get(operator)
    if smallest is not None and number <= smallest:
        raise ValueError(f"math_cond {text!r} needs a number above {smallest}")
    return Condition(operator, number)


def _number(text: str) -> int | float:
    return int(text) if re.fullmatch(r"[-+]?\d{1,300}", text) else float(text)
