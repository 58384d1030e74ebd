"""YAML files that people write: the data, and the line each key stands on."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tao_automl.errors import ConfigError

# YAML 1.1 takes `1e-4` for text. Hydra's reader takes it for a number, and so does everybody who writes it.
_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9_]+)[eE][-+]?[0-9]+$")
_FLOAT_STARTS = list("-+0123456789.")
_TIMESTAMP = "tag:yaml.org,2002:timestamp"

Locate = Callable[[str], int]


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader with two differences: `1e-4` is a float, and a date stays text."""


class _Quick(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The same in C, where PyYAML has it: ten times as fast. What is broken it says in other words, and not as well."""


class Dumper(yaml.SafeDumper):
    """The writer for `Loader`: text that either reader would take for a number gets quotes."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Quick.yaml_implicit_resolvers = {first: list(pairs) for first, pairs in Loader.yaml_implicit_resolvers.items()}
for _resolver in (Loader, _Quick, Dumper):
    _resolver.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, _FLOAT_STARTS)


def load(path: Path) -> tuple[Any, Locate]:
    """The data of a file, and `locate(path)`: the line of a key such as `data.format` or `launch[0].path`.

    A key that the file lacks is located at the nearest key above it. Lines count from 1.

    Raises:
        ConfigError: no such file, not text, not YAML, or a key stands twice in one mapping.
    """
    return loads(read(path), str(path))


def read(path: Path) -> str:
    """The text of a file.

    Raises:
        ConfigError: no such file, or not text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None


def data(path: Path) -> Any:
    """The data of a file that a program has written, quickly. Of a key that stands twice the last one counts.

    Raises:
        ConfigError: no such file, not text, or not YAML.
    """
    text = read(path)
    try:
        return yaml.load(text, Loader=_Quick)
    except (yaml.YAMLError, ValueError):
        return loads(text, str(path))[0]


def loads(text: str, source: str) -> tuple[Any, Locate]:
    """`load` for text that is at hand; `source` names it in errors.

    Raises:
        ConfigError: not YAML, or a key stands twice in one mapping.
    """
    try:
        data, lines = _parsed(_Quick, text, source)
    except (yaml.YAMLError, ValueError):
        data, lines = _said(text, source)
    return data, lambda path: _line(path, lines)


def _said(text: str, source: str) -> tuple[Any, dict[str, int]]:
    """`_parsed` with errors that a user can read.

    Raises:
        ConfigError: as `loads`.
    """
    try:
        return _parsed(Loader, text, source)
    except yaml.YAMLError as error:
        raise ConfigError(_sentence(error, source), tip="check indentation, quotes and brackets there") from None
    except ValueError as error:  # the constructors of numbers, for text such as `0x_`
        raise ConfigError(f"{source}: {error}") from None


def _parsed(kind: type[Loader | _Quick], text: str, source: str) -> tuple[Any, dict[str, int]]:
    """The data, and the line of each key."""
    lines: dict[str, int] = {}
    loader = kind(text)
    node = loader.get_single_node()
    if node is None:
        return None, lines
    _collect(node, "", lines, source)
    return loader.construct_document(node), lines


def _collect(node: yaml.Node, path: str, lines: dict[str, int], source: str) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen:
                raise ConfigError(f"{source}:{line}: key '{name}' stands here for the second time")
            seen.add(name)
            below = f"{path}.{name}" if path else name
            lines[below] = line
            if value.start_mark.index > key.start_mark.index:  # an anchor that holds itself leads back
                _collect(value, below, lines, source)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            if value.start_mark.index > node.start_mark.index:
                _collect(value, f"{path}[{index}]", lines, source)


def _line(path: str, lines: dict[str, int]) -> int:
    while path and path not in lines:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return lines.get(path, 1)


def _sentence(error: yaml.YAMLError, source: str) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark else source
    problem = getattr(error, "problem", None) or str(error).split("\n", 1)[0]
    return f"{where}: {problem}"
