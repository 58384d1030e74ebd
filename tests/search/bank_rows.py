"""The default-searched parameters of the public bank as skills: a schema and a launched spec for each."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tao_automl.search.overrides import Overrides
from tao_automl.search.space import Limits, SearchSpace
from tao_automl.tao import habits, keypath
from tao_automl.tao.facts import Facts
from tao_automl.tao.schema import Schema
from tests.fakes.bank import document

FILE = Path(__file__).parents[1] / "data" / "bank" / "default_params.csv"
EPOCHS = "train.num_epochs"
_KEYS = ("default", "minimum", "maximum", "enum")


@dataclass(frozen=True)
class Row:
    """One parameter: its leaf, the launched value and the range it should have."""

    skill: str
    action: str
    path: str
    leaf: Mapping[str, Any]
    launched: Any
    distribution: str
    low: float | None
    high: float | None
    grid: Any
    inert: str


def rows() -> list[Row]:
    with FILE.open(newline="") as file:
        return [_row(line) for line in csv.DictReader(file)]


def _row(line: Mapping[str, str]) -> Row:
    leaf: dict[str, Any] = {"automl_enabled": True}
    leaf |= {"anyOf": [{"type": "number"}, {"type": "array"}]} if line["type"] == "anyOf" else {"type": line["type"]}
    leaf |= {name: json.loads(line[name]) for name in _KEYS if line[name]}
    leaf |= {name: line[name] for name in ("math_cond", "depends_on") if line[name]}
    low, high, grid, launched = (_json(line[name]) for name in ("low", "high", "grid", "launched"))
    names = (line[name] for name in ("skill", "action", "path"))
    return Row(*names, leaf, launched, line["distribution"], low, high, grid, line["inert"])


def _json(text: str) -> Any:
    return json.loads(text) if text else None


@dataclass(frozen=True)
class Model:
    """All rows of one train action, and beside them the keys that the rows' last column speaks of."""

    name: str
    rows: tuple[Row, ...]

    @cached_property
    def leaves(self) -> dict[str, dict[str, Any]]:
        leaves = {row.path: dict(row.leaf) for row in self.rows}
        for row in self.rows:
            for parent in row.leaf.get("depends_on", "").split(","):
                if parent:
                    leaves.setdefault(parent, {"type": "int", "default": row.launched, "automl_enabled": False})
            for path, leaf in _beside(row):
                leaves.setdefault(path, leaf)
        leaves.setdefault(EPOCHS, {"type": "int", "default": 10})
        return leaves

    @cached_property
    def launched(self) -> dict[str, Any]:
        spec: dict[str, Any] = {}
        for path, leaf in self.leaves.items():
            spec = keypath.assign(spec, path, leaf.get("default"))
        for row in self.rows:
            spec = keypath.assign(spec, row.path, row.launched)
        absent = {row.path for row in self.rows if row.inert.startswith("absent")}
        return _without(spec, absent)

    @cached_property
    def schema(self) -> Schema:
        return Schema.parse(document(self.leaves, model=self.name), self.name)

    def space(self, epochs: int = 10) -> SearchSpace:
        """The space, with the rules that hold for all models and nothing that is known of this one."""
        known = habits.search(self.schema, self.launched, EPOCHS)
        text = {
            "model": "m",
            "keys": {"epochs": EPOCHS, "results_dir": "results_dir"},
            "checkpoints": {"folder": "train", "file": "{epoch}", "latest": "l"},
        }
        facts = Facts.parse({**text, "search": known} if known else text, lambda _path: 1, FILE).search
        return SearchSpace.build(self.schema, self.launched, facts, Overrides(), Limits(epochs))


def models() -> list[Model]:
    """Every train action of the bank."""
    found: dict[str, list[Row]] = {}
    for row in rows():
        found.setdefault(f"{row.skill} {row.action}", []).append(row)
    return [Model(name, tuple(items)) for name, items in found.items()]


def _beside(row: Row) -> list[tuple[str, dict[str, Any]]]:
    """The switch that makes a row inert, as its last column gives it: `optimizer=AdamW`, `lr_steps=[40] >= …`."""
    block = row.path.rpartition(".")[0]
    key, equals, value = row.inert.partition("=")
    if not equals:
        return []
    if key == "lr_steps":
        steps = {"type": "list", "default": json.loads(value.split(" >= ")[0])}
        scheduler = {"type": "categorical", "default": "MultiStep", "enum": ["MultiStep", "StepLR"]}
        return [(f"{block}.lr_steps", steps), (f"{block}.lr_scheduler", scheduler)]
    if key == "fixed_random_crop":
        return [
            (f"{block}.{key}", {"type": "int", "default": int(value)}),
            (f"{block}.train_random_resize", {"type": "list", "default": [400, 500, 600]}),
        ]
    return [(f"{block}.{key}", {"type": "categorical", "default": value, "enum": [value, "SGD", "StepLR"]})]


def _without(spec: Mapping[str, Any], absent: set[str], prefix: str = "") -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in spec.items():
        path = f"{prefix}.{name}" if prefix else name
        if path in absent:
            continue
        kept[name] = _without(value, absent, path) if isinstance(value, dict) and value else value
    return kept
