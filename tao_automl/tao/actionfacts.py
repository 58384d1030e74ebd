"""What `automl.yaml` knows of the actions after training: what they take over, and what does not work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Move:
    """What an action takes over under another name: what stands at or below `source` goes to `target`."""

    source: str
    target: str


@dataclass(frozen=True)
class Refusal:
    """What is known not to work, so that it is not started.

    An action, perhaps only in some images (`*-pyt`), only with some values of its spec, or unless it has some.
    """

    action: str
    why: str
    tip: str = ""
    image: str | None = None
    when: Mapping[str, Any] = field(default_factory=dict)
    unless: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ActionFacts:
    """`moves` are the entries of `carry` that have another name in the action; `refusals` those of `refuse`."""

    moves: tuple[Move, ...] = ()
    refusals: tuple[Refusal, ...] = ()


def read(data: Mapping[str, Any]) -> ActionFacts:
    """The facts of a checked `automl.yaml`."""
    return ActionFacts(
        moves=tuple(Move(entry["from"], entry["to"]) for entry in data.get("carry", []) if isinstance(entry, Mapping)),
        refusals=tuple(Refusal(**entry) for entry in data.get("refuse", [])),
    )


def carried(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The entries of `carry` that keep their name."""
    return tuple(entry for entry in data.get("carry", []) if isinstance(entry, str))


def paths(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every key path that these parts of the file name, and where they do."""
    for index, entry in enumerate(data.get("carry", [])):
        for path in entry.values() if isinstance(entry, Mapping) else (entry,):
            yield path, f"carry[{index}]"
    for index, entry in enumerate(data.get("refuse", [])):
        for word in ("when", "unless"):
            for path in entry.get(word, {}):
                yield path, f"refuse[{index}].{word}"
