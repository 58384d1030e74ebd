from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest

from tao_automl.search import attributes, study
from tao_automl.search.overrides import Overrides
from tao_automl.search.space import Limits, Parameter, SearchSpace
from tao_automl.tao import keypath
from tao_automl.tao.facts import ActiveFact, SearchFacts
from tao_automl.tao.metric import Direction, Metric
from tao_automl.tao.schema import Schema
from tests.search.flags import parse_search

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


@pytest.fixture(scope="session")
def by_path() -> Callable[[SearchSpace], dict[str, Parameter]]:
    """What a space searches: by_path(space)[path]."""
    return lambda space: {parameter.path: parameter for parameter in space.parameters}


@pytest.fixture(scope="session")
def why_kept() -> Callable[[SearchSpace], dict[str, str]]:
    """What a space keeps, and why: why_kept(space)[path]."""
    return lambda space: {entry.path: entry.why for entry in space.kept}


@pytest.fixture(scope="session")
def study_of() -> Callable[..., optuna.Study]:
    """A study of Optuna's own that samples at random: study_of(seed)."""

    def make(seed: int = 1) -> optuna.Study:
        return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))

    return make


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'studies.db'}"


@pytest.fixture
def space(detr: Detr) -> SearchSpace:
    return detr.space()


@pytest.fixture(scope="session")
def made() -> Callable[..., optuna.Study]:
    """A study of ours in a storage: made(storage, metric, space, name, **attributes)."""
    settings = {
        attributes.ALGORITHM: "tpe",
        attributes.PRUNER: "median",
        attributes.SEED: 7,
        attributes.EPOCHS: 10,
    }

    def make(
        storage: optuna.storages.BaseStorage, metric: Metric, space: SearchSpace, name: str = "first", **changes: Any
    ) -> optuna.Study:
        return study.create(storage, name, metric, space, attributes={**settings, **changes})

    return make
