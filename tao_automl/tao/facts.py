"""`automl.yaml`: what we know about a model that TAO's own files do not say.

The shape of the file is `configs/automl.schema.json`; here it becomes typed, and what a JSON Schema cannot say
is checked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from tao_automl.errors import ConfigError, near
from tao_automl.layout import configs_dir
from tao_automl.tao import keypath, yamlfile
from tao_automl.tao.metric import Direction, Metric

SCHEMA_NAME = "automl.schema.json"


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
    seed: str | None = None


@dataclass(frozen=True)
class CheckpointNames:
    """How checkpoint files are called, as format strings over `epoch` and `step`; `folder` is below results_dir."""

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

    It is live if any mapping of `when` holds, or if there are mappings in `unless` and none of them holds. A
    mapping holds if all its entries do: a plain value is compared, `"vit*"` is a prefix, `"< a.path"` compares
    with another value of the spec, and an entry over a list holds for any element.
    """

    path: str
    when: tuple[Mapping[str, Any], ...] = ()
    unless: tuple[Mapping[str, Any], ...] = ()
    why: str | None = None


@dataclass(frozen=True)
class SearchFacts:
    """What the model adds to the rules of the search space. `keep` maps a path to the reason."""

    ranges: Mapping[str, RangeFact]
    also: tuple[str, ...] = ()
    keep: Mapping[str, str] | None = None
    active: tuple[ActiveFact, ...] = ()
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """One `automl.yaml`. `metrics` is by name, and `metric` is the name that is tuned unless the user says so."""

    model: str
    title: str
    metric: str
    metrics: Mapping[str, Metric]
    keys: Keys
    checkpoints: CheckpointNames
    data_format: str | None
    launch: tuple[LaunchValue, ...]
    search: SearchFacts
    carry: tuple[str, ...]
