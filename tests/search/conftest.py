from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tao_automl.search.overrides import Overrides, parse_search
from tao_automl.search.space import Limits, SearchSpace
from tao_automl.tao import keypath
from tao_automl.tao.facts import ActiveFact, SearchFacts
from tao_automl.tao.metric import Direction, Metric
from tao_automl.tao.schema import Schema

TEN_EPOCHS = Limits(epochs=10)
_DETR = Path(__file__).parents[1] / "data" / "detr_train.json"


def schema_of(leaves: Mapping[str, Mapping[str, Any]]) -> Schema:
    """A train schema with these leaves, in TAO's dialect."""
    properties: dict[str, Any] = {}
    for path, leaf in leaves.items():
        *above, last = path.split(".")
        below = properties
        for name in above:
            below = below.setdefault(name, {"type": "collection", "properties": {}})["properties"]
        below[last] = dict(leaf)
    listed = [path for path, leaf in leaves.items() if leaf.get("automl_enabled")]
    document = {
        "properties": properties,
        "automl_default_parameters": listed,
        "x_tao_schema": {"action": "train", "model": "detr"},
    }
    return Schema.parse(document, "test")


def launched_from(leaves: Mapping[str, Mapping[str, Any]], **changes: Any) -> dict[str, Any]:
    """The spec of all defaults; `changes` are written with two underscores for a dot."""
    spec: dict[str, Any] = {}
    for path, leaf in leaves.items():
        if "default" in leaf:
            spec = keypath.assign(spec, path, leaf["default"])
    for name, value in changes.items():
        spec = keypath.assign(spec, name.replace("__", "."), value)
    return spec


@dataclass(frozen=True)
class Detr:
    """A detector with the default set of a real one."""

    schema: Schema
    leaves: Mapping[str, Mapping[str, Any]]
    facts: SearchFacts

    def space(
        self,
        *search: str,
        keep: Mapping[str, str] | None = None,
        limits: Limits = TEN_EPOCHS,
        facts: SearchFacts | None = None,
        **changes: Any,
    ) -> SearchSpace:
        overrides = Overrides(dict(parse_search(text) for text in search), keep or {})
        launched = launched_from(self.leaves, **changes)
        return SearchSpace.build(self.schema, launched, facts or self.facts, overrides, limits)


@pytest.fixture(scope="session")
def detr() -> Detr:
    document = json.loads(_DETR.read_text())
    search = document["search"]
    active = tuple(
        ActiveFact(fact["path"], tuple(fact.get("when", ())), tuple(fact.get("unless", ())))
        for fact in search["active"]
    )
    facts = SearchFacts(keep=search["keep"], active=active, rules=tuple(search["rules"]))
    return Detr(schema_of(document["leaves"]), document["leaves"], facts)


@pytest.fixture
def build():
    """A space over a few leaves: build({path: leaf}, *searches, limits=…, facts=…, **launched)."""

    def make(
        leaves: Mapping[str, Mapping[str, Any]],
        *search: str,
        facts: SearchFacts | None = None,
        limits: Limits = TEN_EPOCHS,
        **changes: Any,
    ) -> SearchSpace:
        overrides = Overrides(dict(parse_search(text) for text in search))
        launched = launched_from(leaves, **changes)
        return SearchSpace.build(schema_of(leaves), launched, facts or SearchFacts(), overrides, limits)

    return make


@pytest.fixture(scope="session")
def metric() -> Metric:
    return Metric("val_mAP50", Direction.MAXIMIZE)
