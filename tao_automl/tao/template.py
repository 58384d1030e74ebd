"""Spec templates in the formats that TAO's containers read: YAML, TOML and JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from tao_automl.errors import ConfigError, SkillError
from tao_automl.tao import yamlfile

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SUFFIXES = (".yaml", ".yml", ".toml", ".json")


def load(path: Path) -> dict[str, Any]:
    """Read a template; its format is that of its name.

    Raises:
        SkillError: no mapping.
        ConfigError: the text is not of its format; file and line are named.
    """
    data = _toml(path) if path.suffix == ".toml" else _json(path) if path.suffix == ".json" else yamlfile.data(path)
    if not isinstance(data, dict):
        raise SkillError(f"{path} is no spec: a mapping is expected")
    return data


def dumps_json(spec: Mapping[str, Any]) -> str:
    """A spec as JSON."""
    return json.dumps(spec, indent=2) + "\n"


def dumps_toml(spec: Mapping[str, Any]) -> str:
    """A spec as TOML. What is null is left out: TOML has no such value, and its readers take a lacking key for it.

    Raises:
        ConfigError: a list holds null.
    """
    return tomli_w.dumps(_without_null(spec, ""))


def _without_null(value: Any, path: str) -> Any:
    if isinstance(value, Mapping):
        below = {key: (item, f"{path}.{key}" if path else str(key)) for key, item in value.items() if item is not None}
        return {key: _without_null(item, where) for key, (item, where) in below.items()}
    if isinstance(value, (list, tuple)):
        if None in value:
            raise ConfigError(f"the spec cannot be written as TOML: {path} holds null")
        return [_without_null(item, f"{path}[{index}]") for index, item in enumerate(value)]
    return value


def _toml(path: Path) -> Any:
    try:
        return tomllib.loads(yamlfile.read(path))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: broken TOML: {error}") from None


def _json(path: Path) -> Any:
    try:
        return json.loads(yamlfile.read(path))
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}:{error.lineno}:{error.colno}: broken JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: unreadable JSON: {error}") from None
