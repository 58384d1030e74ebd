"""When a parameter matters: conditions on other values of the spec, as `automl.yaml` states them.

A mapping of conditions holds if all its entries do. An entry compares a value of the spec with a plain value,
with a prefix (`vit*`), or with a number or another value (`< train.num_epochs`); of a list, one element is
enough. The fact is live if any mapping of `when` holds, or if none of `unless` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tao_automl.tao import match
from tao_automl.tao.facts import ActiveFact
from tao_automl.tao.match import Get

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
        comparison = match.comparison(wanted)
        value = f"{key} is {_text(get(key))}"
        if not comparison:
            return f"no effect: {value}"
        limit = match.limit(comparison[1], get)
        name = _text(comparison[1]) if match.is_number(comparison[1]) else f"{comparison[1]} ({_text(limit)})"
        return f"no effect: {value}, not {_WORDS[comparison[0]]} {name}"

    def tip(self, get: Get) -> str:
        """What would make it matter."""
        if not self.fact.when:
            entry = next(iter(self.fact.unless))
            return "it matters unless " + " and ".join(_wanted(key, value) for key, value in entry.items())
        key, wanted = self._failing(get)
        comparison = match.comparison(wanted)
        if comparison:
            return f"set {key} {_WORDS[comparison[0]]} {_text(match.limit(comparison[1], get))} with --set {key}=…"
        if isinstance(wanted, str) and wanted.endswith("*"):
            return f"set it to one that begins with {wanted[:-1]}: --set {key}={wanted[:-1]}…"
        return f"add --set {key}={_text(wanted)}"

    def failing(self, get: Get) -> str | None:
        """The key whose value would have to change for it to matter; None if it matters unless something else holds."""
        return self._failing(get)[0] if self.fact.when else None

    def _failing(self, get: Get) -> tuple[str, Any]:
        def failures(entry: Mapping[str, Any]) -> list[tuple[str, Any]]:
            return [(key, wanted) for key, wanted in entry.items() if not match.holds(get(key), wanted, get)]

        return min((failures(entry) for entry in self.fact.when), key=len)[0]


def _looks_at(entry: Mapping[str, Any]) -> Iterator[str]:
    for key, wanted in entry.items():
        yield key
        comparison = match.comparison(wanted)
        if comparison and isinstance(comparison[1], str):
            yield comparison[1]


def _all_hold(entry: Mapping[str, Any], get: Get, free: frozenset[str] = frozenset()) -> bool:
    return all(
        bool(free.intersection(_looks_at({key: wanted}))) or match.holds(get(key), wanted, get)
        for key, wanted in entry.items()
    )


def _wanted(key: str, wanted: Any) -> str:
    comparison = match.comparison(wanted)
    if comparison:
        return f"{key} is {_WORDS[comparison[0]]} {_text(comparison[1])}"
    if isinstance(wanted, str) and wanted.endswith("*"):
        return f"{key} begins with {wanted[:-1]}"
    return f"{key} is {_text(wanted)}"


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
