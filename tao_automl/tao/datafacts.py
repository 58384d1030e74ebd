"""What `automl.yaml` knows of a model's data: its line `data`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class DataFacts:
    """`format` is that of the training data: coco, odvg, or None for what is not looked into.

    `first_id` is the id that categories of validation data count from, None if any will do; then `gaps` says
    whether ids may be left out. `masks`: each object needs a mask. `captions` is the key that takes the names to
    look for.
    """

    format: str | None = None
    first_id: int | None = None
    gaps: bool = True
    masks: bool = False
    captions: str | None = None


def read(data: Mapping[str, Any]) -> DataFacts:
    """The facts of a checked `automl.yaml`."""
    return DataFacts(**data.get("data", {}))


def paths(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every key path that this part of the file names, and where it does."""
    captions = data.get("data", {}).get("captions")
    if captions is not None:
        yield captions, "data.captions"
