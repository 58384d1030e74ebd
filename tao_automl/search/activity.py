"""When a parameter matters: conditions on other values of the spec, as `automl.yaml` states them.

A mapping of conditions holds if all its entries do. An entry compares a value of the spec with a plain value,
with a prefix (`vit*`), or with a number or another value (`< train.num_epochs`); of a list, one element is
enough. The fact is live if any mapping of `when` holds, or if none of `unless` does.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tao_automl.tao.facts import ActiveFact

Get = Callable[[str], Any]

_COMPARISON = re.compile(r"(<=|>=|<|>)\s*(\S+)")
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_WORDS = {"<": "below", "<=": "at most", ">": "above", ">=": "at least"}


@dataclass(frozen=True)
class Activity:
    """The condition of one parameter."""

    fact: ActiveFact

    @property
    def text(self) -> str:
        """For people: `train.optim.optimizer is SGD`."""
        wanted = [" and ".join(_wanted(key, value) for key, value in entry.items()) for entry in self.fact.when]
        excluded = [" and ".join(_wanted(key, value) for key, value in entry.items()) for entry in self.fact.unless]
        return " or ".join(wanted + (["not " + " and not ".join(excluded)] if excluded else []))

    def keys(self) -> Iterator[str]:
        """Every path that the condition looks at."""
        for entry in (*self.fact.when, *self.fact.unless):
            yield from _looks_at(entry)

    def holds(self, get: Get) -> bool:
        """Whether the parameter matters in a spec; `get` gives the value of a path, None if absent."""
        if any(_all_hold(entry, get) for entry in self.fact.when):
            return True
        return bool(self.fact.unless) and not any(_all_hold(entry, get) for entry in self.fact.unless)

    def possible(self, get: Get, free: frozenset[str]) -> bool:
        """Whether it can come to hold while the values of `free` may become anything."""
        if any(_all_hold(entry, get, free) for entry in self.fact.when):
            return True
        fixed = (entry for entry in self.fact.unless if not free.intersection(_looks_at(entry)))
        return bool(self.fact.unless) and not any(_all_hold(entry, get) for entry in fixed)

    def reason(self, get: Get) -> str:
        """Why it does not matter: the entry that fails in the mapping that comes nearest."""
        if not self.fact.when:
            entry = next(entry for entry in self.fact.unless if _all_hold(entry, get))
            key = next(iter(entry))
            return f"no effect: {key} is {_text(get(key))}"
        key, wanted = self._failing(get)
        comparison = _comparison(wanted)
        value = f"{key} is {_text(get(key))}"
        if not comparison:
            return f"no effect: {value}"
        limit = _limit(comparison[1], get)
        name = _text(comparison[1]) if _is_number(comparison[1]) else f"{comparison[1]} ({_text(limit)})"
        return f"no effect: {value}, not {_WORDS[comparison[0]]} {name}"

    def tip(self, get: Get) -> str:
        """What would make it matter."""
        if not self.fact.when:
            entry = next(iter(self.fact.unless))
            return "it matters unless " + " and ".join(_wanted(key, value) for key, value in entry.items())
        key, wanted = self._failing(get)
        comparison = _comparison(wanted)
        if comparison:
            return f"set {key} {_WORDS[comparison[0]]} {_text(_limit(comparison[1], get))} with --set {key}=…"
        if isinstance(wanted, str) and wanted.endswith("*"):
            return f"set it to one that begins with {wanted[:-1]}: --set {key}={wanted[:-1]}…"
        return f"add --set {key}={_text(wanted)}"

    def _failing(self, get: Get) -> tuple[str, Any]:
        def failures(entry: Mapping[str, Any]) -> list[tuple[str, Any]]:
            return [(key, wanted) for key, wanted in entry.items() if not _holds(get(key), wanted, get)]

        return min((failures(entry) for entry in self.fact.when), key=len)[0]


def _looks_at(entry: Mapping[str, Any]) -> Iterator[str]:
    for key, wanted in entry.items():
        yield key
        comparison = _comparison(wanted)
        if comparison and isinstance(comparison[1], str):
            yield comparison[1]


def _all_hold(entry: Mapping[str, Any], get: Get, free: frozenset[str] = frozenset()) -> bool:
    return all(
        bool(free.intersection(_looks_at({key: wanted}))) or _holds(get(key), wanted, get)
        for key, wanted in entry.items()
    )


def _holds(value: Any, wanted: Any, get: Get) -> bool:
    if isinstance(value, (list, tuple)) and not isinstance(wanted, (list, tuple)):
        return any(_holds(element, wanted, get) for element in value)
    comparison = _comparison(wanted)
    if comparison:
        limit = _limit(comparison[1], get)
        return _is_number(value) and _is_number(limit) and _OPERATORS[comparison[0]](value, limit)
    if isinstance(wanted, str) and wanted.endswith("*"):
        return isinstance(value, str) and value.startswith(wanted[:-1])
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def _comparison(wanted: Any) -> tuple[str, Any] | None:
    """The operator and the other side: a number, or the path of one."""
    match = _COMPARISON.fullmatch(wanted.strip()) if isinstance(wanted, str) else None
    if not match:
        return None
    try:
        return match[1], float(match[2])
    except ValueError:
        return match[1], match[2]


def _limit(side: Any, get: Get) -> Any:
    return get(side) if isinstance(side, str) else side


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _wanted(key: str, wanted: Any) -> str:
    comparison = _comparison(wanted)
    if comparison:
        return f"{key} is {_WORDS[comparison[0]]} {_text(comparison[1])}"
    if isinstance(wanted, str) and wanted.endswith("*"):
        return f"{key} begins with {wanted[:-1]}"
    return f"{key} is {_text(wanted)}"


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
