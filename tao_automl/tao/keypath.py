"""Paths into a spec: `train.optim.lr`, `dataset.train_data_sources[0].image_dir`.

A path is a row of mapping keys joined by dots; `[i]` behind a key is the i-th element of a list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tao_automl.errors import UsageError

_SEGMENT = re.compile(r"([^.\[\]]+)((?:\[\d+\])*)")
_PATH = re.compile(rf"{_SEGMENT.pattern}(\.{_SEGMENT.pattern})*")
_RAISE = object()

Part = str | int


def parse(text: str) -> tuple[Part, ...]:
    """The parts of a path: `a.b[0].c` is `("a", "b", 0, "c")`.

    Raises:
        UsageError: the text is no path.
    """
    if not valid(text):
        tip = "write keys as train.optim.lr or dataset.train_data_sources[0].image_dir"
        raise UsageError(f"'{text}' is no key", tip=tip)
    parts: list[Part] = []
    for name, indices in _SEGMENT.findall(text):
        parts.append(name)
        parts.extend(int(index) for index in re.findall(r"\d+", indices))
    return tuple(parts)


def valid(text: str) -> bool:
    """True if the text is a path, wherever it leads."""
    return _PATH.fullmatch(text) is not None


def render(parts: Sequence[Part]) -> str:
    """The text of a path; the inverse of `parse`."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def get(tree: Any, path: str, default: Any = _RAISE) -> Any:
    """The value at a path.

    Raises:
        UsageError: there is nothing at the path and no default is given, or the text is no path.
    """
    found = tree
    for part in parse(path):
        if _has(found, part):
            found = found[part]
        elif default is _RAISE:
            raise UsageError(f"the spec has no {path}")
        else:
            return default
    return found


def _has(node: Any, part: Part) -> bool:
    if isinstance(part, int):
        return isinstance(node, list) and part < len(node)
    return isinstance(node, Mapping) and part in node


def assign(tree: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A new tree with `value` at the path; `tree` stays as it is and shares what did not change.

    Missing mappings and lists are made, also in the place of a null. An index equal to the length of a list
    appends to it.

    Raises:
        UsageError: the path leads through a value that has no parts, or past the end of a list.
    """
    changed: dict[str, Any] = _assigned(tree, parse(path), value, path)
    return changed


def _assigned(node: Any, parts: tuple[Part, ...], value: Any, path: str) -> Any:
    if not parts:
        return value
    part, rest = parts[0], parts[1:]
    if isinstance(part, str):
        if node is not None and not isinstance(node, Mapping):
            raise UsageError(f"{path} cannot be set: '{part}' would be a key of {_kind(node)}")
        mapping = dict(node or {})
        mapping[part] = _assigned(mapping.get(part), rest, value, path)
        return mapping
    if node is not None and not isinstance(node, list):
        raise UsageError(f"{path} cannot be set: [{part}] would be an element of {_kind(node)}")
    elements = list(node or [])
    if part > len(elements):
        raise UsageError(f"{path} cannot be set: the list has {len(elements)} elements", tip=f"use [{len(elements)}]")
    present = elements[part] if part < len(elements) else None
    elements[part : part + 1] = [_assigned(present, rest, value, path)]
    return elements


def _kind(node: Any) -> str:
    return "a mapping" if isinstance(node, Mapping) else "a list" if isinstance(node, list) else repr(node)


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every leaf by its path. Lists and empty mappings are leaves."""
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        path = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, Mapping) and value:
            leaves.update(flatten(value, path))
        else:
            leaves[path] = value
    return leaves
