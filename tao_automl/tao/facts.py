"""`automl.yaml`: what we know about a model that TAO's own files do not say.

The shape of the file is `configs/automl.schema.json`; here it becomes typed, and what a JSON Schema cannot
say is checked. A file may state less than a launch needs: `derived` says the rest, as far as TAO's files do.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tao_automl.errors import ConfigError, near
from tao_automl.layout import configs_dir
from tao_automl.tao import actionfacts, constraint, datafacts, keypath, spec, yamlfile
from tao_automl.tao.actionfacts import ActionFacts
from tao_automl.tao.constraint import Constraint
from tao_automl.tao.datafacts import DataFacts
from tao_automl.tao.metric import Direction, Metric

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

SCHEMA_NAME = "automl.schema.json"
NEEDED = frozenset({"model", "metric", "metrics", "keys", "checkpoints"})


@dataclass(frozen=True)
class Keys:
    """Where in the train spec a thing stands. None: the model has no such key."""

    epochs: str
    results_dir: str = "results_dir"
    validation_interval: str | None = None
    checkpoint_interval: str | None = None
    checkpoint_interval_unit: str | None = None
    num_classes: str | None = None
    eval_class_ids: str | None = None
    batch_size: str | None = None
    num_gpus: str | None = None
    gpu_ids: str | None = None
    num_nodes: str | None = None
    seed: str | None = None


@dataclass(frozen=True)
class CheckpointNames:
    """How checkpoint files are called: formats over `epoch` and `step`. `folder` is below results_dir."""

    folder: str
    file: str
    latest: str
    best_file: str | None = None


@dataclass(frozen=True)
class LaunchValue:
    """A value that every launch sets over the template, and why."""

    path: str
    value: Any
    why: str


@dataclass(frozen=True)
class RangeFact:
    """A range or choices where the rules by role are not enough."""

    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = None
    choices: tuple[Any, ...] | None = None
    why: str | None = None


@dataclass(frozen=True)
class ActiveFact:
    """A parameter that only matters under a condition on other values of the spec.

    Either it is live if any mapping of `when` holds, or it is live if none of `unless` does. A mapping holds
    if all its entries do: a plain value is compared, `"vit*"` is a prefix, `"< a.path"` compares with another
    value of the spec, and an entry over a list holds if it does for any element.
    """

    path: str
    when: tuple[Mapping[str, Any], ...] = ()
    unless: tuple[Mapping[str, Any], ...] = ()
    why: str | None = None


@dataclass(frozen=True)
class SearchFacts:
    """What the model adds to the rules of the search space. `keep` maps a path to the reason."""

    ranges: Mapping[str, RangeFact] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    keep: Mapping[str, str] = field(default_factory=dict)
    active: tuple[ActiveFact, ...] = ()
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """One `automl.yaml`. `metric` names the one of `metrics` that is tuned unless the user names another.

    `carry` lists the structural parameters that an action on a trained checkpoint takes over from its spec.
    `aliases` maps other names of keys to their paths. `after` is about the actions that follow, `data` about what
    data must look like, `require` about what must hold in every spec.
    `metric` is None if nothing says what is tuned; `listed` is False if nobody has listed the metrics, so that
    there may be more than `metrics`.
    """

    model: str
    title: str
    metric: str | None
    metrics: Mapping[str, Metric]
    keys: Keys
    checkpoints: CheckpointNames
    launch: tuple[LaunchValue, ...] = ()
    search: SearchFacts = field(default_factory=SearchFacts)
    carry: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    after: ActionFacts = field(default_factory=ActionFacts)
    data: DataFacts = field(default_factory=DataFacts)
    require: tuple[Constraint, ...] = ()
    listed: bool = True

    @classmethod
    def load(cls, path: Path) -> Facts:
        """Read and check one file.

        Raises:
            ConfigError: the file is missing or not YAML, or a key of it is wrong; file and line are named.
        """
        return cls.parse(*yamlfile.load(path), path)

    @classmethod
    def parse(cls, data: Any, locate: yamlfile.Locate, path: Path, derived: Mapping[str, Any] | None = None) -> Facts:
        """Check what a file says, laid over what is derived from TAO's files, and make it typed.

        Raises:
            ConfigError: a key of it is wrong or lacks; file and line are named.
        """
        listed = derived is None or (isinstance(data, Mapping) and "metrics" in data)
        data = _over(derived, data) if derived is not None and isinstance(data, Mapping) else data
        errors = sorted(_validator().iter_errors(data), key=_rank)
        if errors:
            at, message, tip = _describe(errors[0])
            raise ConfigError(f"{path}:{locate(at)}: {message}", tip=tip)
        for at, message in _contradictions(data):
            raise ConfigError(f"{path}:{locate(at)}: {message}")
        return cls(
            model=data["model"],
            title=data.get("title", data["model"]),
            metric=data.get("metric"),
            metrics={name: _metric(name, entry) for name, entry in data.get("metrics", {}).items()},
            keys=Keys(**data["keys"]),
            checkpoints=CheckpointNames(**data["checkpoints"]),
            launch=tuple(LaunchValue(**entry) for entry in data.get("launch", [])),
            search=_search(data.get("search", {})),
            carry=actionfacts.carried(data),
            after=actionfacts.read(data),
            data=datafacts.read(data),
            require=tuple(Constraint(**entry) for entry in data.get("require", [])),
            aliases=data.get("aliases", {}),
            listed=listed,
        )


def _over(derived: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The file over what is derived. Metrics are the file's alone if it lists any; of one, that one is tuned."""
    under = dict(derived)
    if own.get("metrics"):
        under.pop("metrics", None)
        under.pop("metric", None)
    merged = spec.merge(under, own)
    if "metric" not in merged and isinstance(merged.get("metrics"), Mapping) and len(merged["metrics"]) == 1:
        merged["metric"] = next(iter(merged["metrics"]))
    return merged


@cache
def _validator() -> Draft202012Validator:
    from jsonschema import Draft202012Validator  # 90 ms that `status` need not wait for

    text = (configs_dir() / SCHEMA_NAME).read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(text))


def _rank(error: ValidationError) -> tuple[list[str], bool]:
    """Which error to tell first: by place, and a misspelt key before the key that is missing for it."""
    return [str(part) for part in error.absolute_path], error.validator != "additionalProperties"


def _describe(error: ValidationError) -> tuple[str, str, str]:
    """Where a JSON Schema error is, as a key path; what is wrong, as a sentence; and a tip."""
    at = _render(error.absolute_path)
    where = f"{at}: " if at else ""
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = error.schema.get("properties", {}) if isinstance(error.schema, Mapping) else {}
        name = next(str(key) for key in error.instance if key not in known)
        return f"{at}.{name}" if at else name, f"{where}unknown key '{name}'", near(name, known)
    return at, where + error.message, ""


def _render(parts: Any) -> str:
    """Like `keypath.render`; a name with dots, such as a path in `search.ranges`, stays as it is written."""
    return keypath.render([part if isinstance(part, int) else str(part) for part in parts])


def _contradictions(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a JSON Schema cannot say: key path and sentence of everything that does not fit together."""
    found: list[tuple[str, str]] = []
    if "metric" in data and data["metric"] not in data.get("metrics", {}):
        found.append(("metric", f"metric '{data['metric']}' is not among the metrics"))
    for name, entry in data.get("search", {}).get("ranges", {}).items():
        problem = _range_problem(entry)
        if problem:
            found.append((f"search.ranges.{name}", f"search.ranges.{name}: {problem}"))
    for index, entry in enumerate(data.get("search", {}).get("active", [])):
        if "when" in entry and "unless" in entry:
            at = f"search.active[{index}]"
            found.append((at, f"{at}: when and unless exclude each other"))
    for index, entry in enumerate(data.get("require", [])):
        if wrong := constraint.problem(entry["rule"]):
            found.append((f"require[{index}].rule", f"require[{index}].rule: {wrong}"))
    found += [(at, f"{at}: '{path}' is no key path") for path, at in _paths(data) if not keypath.valid(path)]
    return found


def _range_problem(entry: Mapping[str, Any]) -> str | None:
    low, high = entry.get("low"), entry.get("high")
    if "choices" in entry:
        return "choices exclude low, high, log and step" if {"low", "high", "log", "step"} & set(entry) else None
    if low is None or high is None:
        return "low and high are both needed, or choices"
    if not (math.isfinite(low) and math.isfinite(high)):
        return "low and high must be finite"
    if low >= high:
        return f"low {low} is not below high {high}"
    if entry.get("log") and low <= 0:
        return "a log range needs low above 0"
    return "log and step exclude each other" if entry.get("log") and "step" in entry else None


def _paths(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every key path that the file names, and where it does."""
    search = data.get("search", {})
    named = [(path, f"keys.{name}") for name, path in data["keys"].items()]
    named += [(entry["path"], f"launch[{i}].path") for i, entry in enumerate(data.get("launch", []))]
    named += [*actionfacts.paths(data), *datafacts.paths(data)]
    named += [(path, f"aliases.{name}") for name, path in data.get("aliases", {}).items()]
    for name, entry in data.get("metrics", {}).items():
        named += [(path, f"metrics.{name}.needs") for path in entry.get("needs", {})]
    named += [(path, f"search.also[{i}]") for i, path in enumerate(search.get("also", []))]
    named += [(path, f"search.ranges.{path}") for path in search.get("ranges", {})]
    for part in ("keep", "active"):
        named += [(entry["path"], f"search.{part}[{i}].path") for i, entry in enumerate(search.get(part, []))]
    return named


def _metric(name: str, entry: Mapping[str, Any]) -> Metric:
    aliases = tuple(entry.get("aliases", []))
    return Metric(
        name,
        Direction(entry["direction"]),
        aliases,
        entry.get("evaluate"),
        entry.get("needs", {}),
        low=entry.get("low"),
        high=entry.get("high"),
    )


def _search(entry: Mapping[str, Any]) -> SearchFacts:
    return SearchFacts(
        ranges={path: _range(item) for path, item in entry.get("ranges", {}).items()},
        also=tuple(entry.get("also", [])),
        keep={item["path"]: item["why"] for item in entry.get("keep", [])},
        active=tuple(_active(item) for item in entry.get("active", [])),
        rules=tuple(entry.get("rules", [])),
    )


def _range(entry: Mapping[str, Any]) -> RangeFact:
    choices = tuple(entry["choices"]) if "choices" in entry else None
    return RangeFact(**{**entry, "choices": choices})


def _active(entry: Mapping[str, Any]) -> ActiveFact:
    when, unless = (
        tuple(part if isinstance(part, list) else [part]) if (part := entry.get(word)) is not None else ()
        for word in ("when", "unless")
    )
    return ActiveFact(entry["path"], when, unless, entry.get("why"))
