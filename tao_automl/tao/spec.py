"""A spec: the full YAML file one action runs with. Built from the template, never sparse.

What TAO takes for a key that is left out differs from what its template says, so a launch writes all keys.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import yaml

from tao_automl.errors import ConfigError, UsageError
from tao_automl.tao import keypath, yamlfile
from tao_automl.tao.yamlfile import Dumper, Loader


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """A new mapping: `overlay` over `base`, mappings merged at every depth, everything else replaced."""
    merged = dict(base)
    for key, value in overlay.items():
        below = merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def build(template: Mapping[str, Any], overrides: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """The full spec: `params` over `overrides` over `template`; both are by key path.

    Within each, a key is set before the keys below it. A mapping is merged into the mapping it meets, so that
    the siblings it does not name stay.

    Raises:
        UsageError: a path leads through a value that has no parts.
    """
    spec = dict(template)
    for layer in (overrides, params):
        for path in sorted(layer, key=lambda name: len(keypath.parse(name))):
            value = layer[path]
            present = keypath.get(spec, path, None)
            if isinstance(value, Mapping) and isinstance(present, Mapping):
                value = merge(present, value)
            spec = keypath.assign(spec, path, value)
    return spec


def dump(spec: Mapping[str, Any]) -> str:
    """The spec as YAML, in the order of its keys. Hydra and PyYAML read back the same values and types.

    Raises:
        ConfigError: the spec holds NaN, an infinity, a key that is no text, itself, or a value YAML lacks.
    """
    plain = _plain(spec, "", frozenset())
    return yaml.dump(plain, Dumper=Dumper, sort_keys=False, default_flow_style=False, width=100)


def _plain(value: Any, path: str, above: frozenset[int]) -> Any:
    """A copy made of YAML's own types only, without sharing, so that the file gets no anchors."""
    if id(value) in above:
        raise ConfigError(f"the spec cannot be written: {path} holds itself")
    if isinstance(value, Mapping):
        return {_key(key, path): _plain(item, _join(path, key), above | {id(value)}) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{path}[{index}]", above | {id(value)}) for index, item in enumerate(value)]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ConfigError(f"the spec cannot be written: {path} is {value}")
        return float(value)
    raise ConfigError(f"the spec cannot be written: {path} is a {type(value).__name__}")


def _key(key: Any, path: str) -> str:
    if isinstance(key, str):
        return str.__str__(key)
    raise ConfigError(f"the spec cannot be written: key {key!r} below '{path}' is not text", tip="put it in quotes")


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def load(text: str, source: str = "spec") -> dict[str, Any]:
    """Read a spec; `source` names the text in errors.

    Raises:
        ConfigError: the text is not YAML or no mapping.
    """
    data, _ = yamlfile.loads(text, source)
    if not isinstance(data, dict):
        raise ConfigError(f"{source}: a spec is a mapping of keys")
    return data


def parse_value(text: str) -> Any:
    """The value of a flag, by the rules of YAML: `1e-4` is a float, `null` nothing, `[1, 2]` a list.

    Raises:
        UsageError: the text is not YAML.
    """
    try:
        return yaml.load(text, Loader=Loader)
    except (yaml.YAMLError, ValueError):
        raise UsageError(f"{text!r} cannot be read as a value", tip="values follow YAML; put text in quotes") from None


def differences(spec: Mapping[str, Any], template: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Leaves in which a spec differs: path → (value in the spec, value in the template); absent is None."""
    ours, theirs = keypath.flatten(spec), keypath.flatten(template)
    paths = [*ours, *(path for path in theirs if path not in ours)]
    pairs = {path: (ours.get(path), theirs.get(path)) for path in paths}
    return {path: pair for path, pair in pairs.items() if pair[0] != pair[1]}
