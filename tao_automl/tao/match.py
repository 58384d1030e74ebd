"""Whether a value of a spec is what a skill's file asks for.

A plain value is compared; `vit*` and `*.pth` are a beginning and an end; `< train.num_epochs` compares with a number
or with another value of the spec. Of a list, one element is enough.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

Get = Callable[[str], Any]  # the value at a path, None if there is none

_COMPARISON = re.compile(r"(<=|>=|<|>)\s*(\S+)")
ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def holds(value: Any, wanted: Any, get: Get) -> bool:
    """Whether one value is what is wanted."""
    if isinstance(value, (list, tuple)) and not isinstance(wanted, (list, tuple)):
        return any(holds(element, wanted, get) for element in value)
    compared = comparison(wanted)
    if compared:
        bound = limit(compared[1], get)
        return is_number(value) and is_number(bound) and ORDER[compared[0]](value, bound)
    if isinstance(wanted, str) and (wanted.startswith("*") or wanted.endswith("*")):
        return isinstance(value, str) and _like(value, wanted)
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def all_hold(entry: Mapping[str, Any], get: Get) -> bool:
    """Whether every value that a mapping names by its path is what is wanted of it."""
    return all(holds(get(path), wanted, get) for path, wanted in entry.items())


def comparison(wanted: Any) -> tuple[str, Any] | None:
    """The operator and the other side, a number or the path of one; None for what is no comparison."""
    match = _COMPARISON.fullmatch(wanted.strip()) if isinstance(wanted, str) else None
    if not match:
        return None
    try:
        return match[1], float(match[2])
    except ValueError:
        return match[1], match[2]


def limit(side: Any, get: Get) -> Any:
    """The value of a comparison's other side."""
    return get(side) if isinstance(side, str) else side


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _like(text: str, pattern: str) -> bool:
    middle = pattern.removeprefix("*").removesuffix("*")
    if pattern.startswith("*") and pattern.endswith("*"):
        return middle in text
    return text.endswith(middle) if pattern.startswith("*") else text.startswith(middle)
