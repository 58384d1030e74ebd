"""Where the spec of an action takes data, and which files of a dataset that needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tao_automl.tao import keypath
from tao_automl.tao.dataset import shown as shown_file
from tao_automl.tao.skill import Action, DataSource

_ELEMENT = re.compile(r"(.+)\[0\]\.([^.\[\]]+)")  # a part of the first entry of a list


def of(action: Action) -> tuple[DataSource, ...]:
    """The data sources of an action. `a.list[0].image_dir` and `a.list[0].json_file` are parts of one, `a.list`."""
    found: dict[str, DataSource] = {}
    for source in action.data_sources:
        match = _ELEMENT.fullmatch(source.key)
        if match is None or set(source.files) != {""}:
            found[source.key] = source
            continue
        key, part = match[1], match[2]
        present = found.get(key, replace(source, key=key, files={}, many=True, as_list=True))
        files = {**present.files, part: source.files[""]}
        found[key] = replace(present, files=files, optional=present.optional and source.optional)
    return tuple(found.values())


def left(source: DataSource, user: Mapping[str, Any]) -> DataSource | None:
    """What of a source is still open when a user sets some keys; None if nothing is.

    The entries of a list are the user's as soon as one of them is.
    """
    named = [part for path, value in user.items() for part in _parts(source, path, value)]
    if "" in named or (named and source.as_list):
        return None
    files = {part: name for part, name in source.files.items() if part not in named}
    return replace(source, files=files) if files else None


def pairs(source: DataSource, tree: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Images and COCO file of every entry of a source that a tree of values has, where an entry is such a pair."""
    ends = {name.partition(".")[2]: part for part, name in source.files.items() if part}
    if set(ends) != {"tar.gz", "json"}:
        return ()
    value = keypath.get(tree, source.key, None)
    entries = value if isinstance(value, list) else [value]
    found = [(entry.get(ends["tar.gz"]), entry.get(ends["json"])) for entry in entries if isinstance(entry, Mapping)]
    return tuple((images, file) for images, file in found if isinstance(images, str) and isinstance(file, str))


def is_named(action: Action, user: Mapping[str, Any]) -> bool:
    """True if a user sets any part of the data by its key, or by one above it."""
    return any(_parts(source, path, value) for source in of(action) for path, value in user.items())


def _parts(source: DataSource, path: str, value: Any) -> tuple[str, ...]:
    """Which parts of a source a value at a key path is, "" for all of it. A group may hold the source."""
    if source.key.startswith(f"{path}.") and isinstance(value, Mapping):
        inner = keypath.get(value, source.key[len(path) + 1 :], None)
        within = tuple(part for part in source.files if isinstance(inner, Mapping) and part in inner)
        return within if within or inner is None else ("",)
    part = _part(source, path)
    return () if part is None else (part,)


def _part(source: DataSource, path: str) -> str | None:
    """Which part of a source a key path is, "" for all of it; None if it is none."""
    if path == source.key:
        return ""
    rest = re.fullmatch(r"(\[\d+\])*\.?([^.\[\]]*)", path[len(source.key) :]) if path.startswith(source.key) else None
    if rest is None or path[len(source.key)] not in ".[":
        return None
    part = rest[2]
    return part if part in source.files else "" if not part else None


def files(action: Action, source: str) -> frozenset[str]:
    """The files that an action needs of a dataset, by TAO's word for what it is for."""
    return frozenset(name for item in of(action) if item.source == source for name in item.files.values() if name)


def shown(action: Action, source: str) -> str:
    """The same for people: `images.tar.gz or images/, annotations.json`."""
    return ", ".join(shown_file(name) for name in sorted(files(action, source), key=_images_first))


def _images_first(name: str) -> tuple[bool, str]:
    return not name.startswith("images"), name
