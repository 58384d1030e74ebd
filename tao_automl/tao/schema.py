"""One `<action>.schema.json` in the dialect of TAO: every leaf of a spec, as TAO describes it.

The file looks like JSON Schema and is not. It may hold a bare `Infinity`, type names of its own, conditions
as text, and a list between the properties. Bounds and enums are hints: TAO's own defaults break them. So
nothing is rejected here; a leaf that cannot be understood is kept, and its `problem` says why.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tao_automl.errors import SkillError, UsageError, near
from tao_automl.tao import condition, keypath
from tao_automl.tao.condition import Condition
from tao_automl.tao.field import MISSING, SCALARS, WORDS, Bound, Field, example, fits, kind

__all__ = ["MISSING", "Condition", "Field", "Schema"]


@dataclass(frozen=True)
class Schema:
    """All leaves of one action's spec by path, in the order of the file.

    `default` is the nested spec of defaults, which differs from what TAO does when a key is left out: launch
    the full template. `default_set` are the leaves searched when the user names none, sorted; `strays` the
    names in that list which are no leaves. `disabled` may name paths of other actions.
    """

    source: str
    fields: Mapping[str, Field]
    branches: frozenset[str]
    default: Mapping[str, Any]
    default_set: tuple[str, ...]
    strays: tuple[str, ...]
    disabled: frozenset[str]
    action: str | None
    model: str | None

    @classmethod
    def load(cls, path: Path) -> Schema:
        """Read a file.

        Raises:
            SkillError: no such file, broken JSON (with line and column), or no schema.
        """
        try:
            document = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise SkillError(f"{path} is missing") from None
        except OSError as error:
            raise SkillError(f"{path} cannot be read: {error.strerror}") from None
        except json.JSONDecodeError as error:
            raise SkillError(
                f"{path}:{error.lineno}:{error.colno}: broken JSON: {error.msg}",
                tip="generate the schemas of this skill again",
            ) from None
        except (ValueError, RecursionError) as error:
            raise SkillError(f"{path}: unreadable JSON: {error}") from None
        return cls.parse(document, str(path))

    @classmethod
    def parse(cls, document: Any, source: str) -> Schema:
        """Make a schema of a JSON document that Python's `json` has read.

        Raises:
            SkillError: the document is not a schema at all.
        """
        if not isinstance(document, dict) or not isinstance(document.get("properties"), dict):
            raise SkillError(f"{source} is no schema: it has no properties", tip="generate it again")
        fields: dict[str, Field] = {}
        branches: set[str] = set()
        for path, node in _walk(document["properties"], ""):
            if _is_branch(node):
                branches.add(path)
            else:
                fields[path] = _field(path, node)
        listed = _texts(document.get("automl_default_parameters"))
        if listed is None:
            listed = [path for path, field in fields.items() if field.automl_enabled]
        origin = document.get("x_tao_schema")
        origin = origin if isinstance(origin, dict) else {}
        return cls(
            source=source,
            fields=fields,
            branches=frozenset(branches),
            default=_default(document, fields),
            default_set=tuple(sorted({path for path in listed if path in fields})),
            strays=tuple(sorted({path for path in listed if path not in fields})),
            disabled=frozenset(_texts(document.get("automl_disabled_parameters")) or ()),
            action=origin.get("action") or document.get("schema_action"),
            model=origin.get("model") or origin.get("network_arch"),
        )

    def field(self, path: str) -> Field:
        """The leaf of a path.

        Raises:
            UsageError: there is none; near matches are named.
        """
        if path in self.fields:
            return self.fields[path]
        if path in self.branches:
            known = [name for name in self.fields if name.startswith(path + ".")]
            raise UsageError(
                f"{path} is a group of keys in the {self.title}",
                tip="name one of them, such as " + known[0] if known else "",
            )
        raise UsageError(f"{path} is not in the {self.title}", tip=near(path, self.fields))

    @property
    def title(self) -> str:
        """`train schema of dino`, as errors name it."""
        words = [self.action, "schema"] if self.action else ["schema"]
        return " ".join([*words, "of", self.model] if self.model else words)

    def check(self, path: str, value: Any) -> None:
        """Check that a key exists and can hold a value of this type. Bounds and enums are not checked.

        Null is a legal value of every leaf: TAO reads it as "not set".

        Raises:
            UsageError: unknown key, or a value of the wrong type.
        """
        if path in self.branches and path not in self.fields:
            if not isinstance(value, Mapping):
                raise UsageError(f"{path} is a group of keys, not {value!r}", tip=f"set a key below it: {path}.…")
            for name, below in value.items():
                self.check(f"{path}.{name}", below)
            return
        if path not in self.fields and self._in_opaque(path):
            return
        field = self.field(path)
        if not fits(field, value):
            raise UsageError(f"{path} takes {kind(field)}, not {value!r}", tip=example(field), code="wrong-type")

    def has(self, path: str) -> bool:
        """True if a spec can have the key: a leaf, or a part of one whose parts are not described."""
        try:
            self.check(path, None)
        except UsageError:
            return False
        return True

    def _in_opaque(self, path: str) -> bool:
        parts = keypath.parse(path)
        for length in range(len(parts) - 1, 0, -1):
            above = keypath.render(parts[:length])
            if above in self.fields:
                if self.fields[above].opaque:
                    return True
                raise UsageError(f"{above} takes {kind(self.fields[above])}, so it has no {path[len(above) :]}")
        return False


def _walk(properties: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every node below `properties` with its path. What is no object is no node: TAO leaves a list there."""
    for name, node in properties.items():
        if isinstance(node, dict):
            path = f"{prefix}.{name}" if prefix else name
            yield path, node
            if _is_branch(node):
                yield from _walk(node["properties"], path)


def _is_branch(node: Mapping[str, Any]) -> bool:
    properties = node.get("properties")
    return isinstance(properties, dict) and any(isinstance(child, dict) for child in properties.values())


def _field(path: str, node: Mapping[str, Any]) -> Field:
    branches = _union(node)
    merged = {**(branches[0] if branches else {}), **node}
    word, problem = _type(merged)
    default = merged.get("default", MISSING)
    field = Field(
        path=path,
        type=word,
        default=None if isinstance(default, float) and not math.isfinite(default) else default,
        choices=_choices(merged, default, branches),
        is_parent=str(merged.get("parent_param", "")).strip().upper() == "TRUE",
        automl_enabled=merged["automl_enabled"] if isinstance(merged.get("automl_enabled"), bool) else None,
        title=_text(merged.get("title")),
        description=_text(merged.get("description")),
        others=tuple(dict.fromkeys(_type(branch)[0] for branch in branches[1:])),
        problem=problem,
    )
    field = _with_bounds(field, merged)
    return _with_weights(_with_conditions(field, merged), merged)


def _union(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The branches of an `anyOf` but null, the first scalar one first."""
    found = node.get("anyOf")
    branches = [branch for branch in found if isinstance(branch, dict)] if isinstance(found, list) else []
    branches = [branch for branch in branches if branch.get("type") not in ("null", ["null"])]
    return sorted(branches, key=lambda branch: _type(branch)[0] not in SCALARS.values())


def _type(node: Mapping[str, Any]) -> tuple[str, str | None]:
    """The type word of a node, and what is wrong with it."""
    word = node.get("type")
    if isinstance(word, list):
        word = next((item for item in word if item != "null"), None)
    if isinstance(word, str) and word in WORDS:
        return WORDS[word], None
    if word is None and ("enum" in node or "const" in node):
        return "categorical", None
    if word is None:
        return "any", "it states no type"
    return str(word), f"its type '{word}' is not known"


def _choices(node: Mapping[str, Any], default: Any, branches: list[Mapping[str, Any]]) -> tuple[Any, ...] | None:
    """The enum. TAO's generator loses blanks, so a spelling that is found elsewhere in the node wins."""
    enum = node.get("enum")
    if not isinstance(enum, list):
        return (node["const"],) if "const" in node else None
    known: dict[str, str] = {}
    for branch in branches:
        options = branch.get("enum")
        known.update({_squeezed(item): item for item in options if isinstance(item, str)} if options else {})
    if isinstance(default, str):
        known[_squeezed(default)] = default
    choices: list[Any] = []
    for item in enum:
        choice = known.get(_squeezed(item), item.strip()) if isinstance(item, str) else item
        if not any(choice == other and type(choice) is type(other) for other in choices):
            choices.append(choice)
    return tuple(choices)


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _with_weights(field: Field, node: Mapping[str, Any]) -> Field:
    weights = node.get("option_weights")
    if weights is None:
        return field
    usable = isinstance(weights, list) and all(_is_number(weight) and weight >= 0 for weight in weights)
    if not usable or len(weights) != len(field.choices or ()) or not sum(weights) > 0:
        return field
    return replace(field, weights=tuple(float(weight) for weight in weights))


def _with_bounds(field: Field, node: Mapping[str, Any]) -> Field:
    minimum, open_minimum = _bound(node.get("minimum"), node.get("exclusiveMinimum"), lower=True)
    maximum, open_maximum = _bound(node.get("maximum"), node.get("exclusiveMaximum"), lower=False)
    return replace(field, minimum=minimum, maximum=maximum, open_minimum=open_minimum, open_maximum=open_maximum)


def _bound(closed: Any, opened: Any, lower: bool) -> tuple[Bound, bool]:
    """A bound and whether the bound itself is excluded. `opened` may be a number or, as of old, a flag."""
    bound = _finite(closed)
    if opened is True:
        return bound, bound is not None
    limit = _finite(opened)
    if not _is_number(limit):
        return bound, False
    if not _is_number(bound) or (limit >= bound if lower else limit <= bound):
        return limit, True
    return bound, False


def _finite(value: Any) -> Any:
    """A bound as written; None for what bounds nothing. Lists become tuples."""
    if isinstance(value, list):
        return tuple(_finite(item) if not isinstance(item, list) else None for item in value) or None
    return value if _is_number(value) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _with_conditions(field: Field, node: Mapping[str, Any]) -> Field:
    """The field with its conditions; one that is not understood becomes its problem."""
    try:
        parents, inherited = condition.parse_parents(node["depends_on"]) if "depends_on" in node else ((), ())
        own = condition.parse(node["math_cond"]) if "math_cond" in node else ()
    except ValueError as error:
        return replace(field, problem=field.problem or f"its {error}")
    conditions = (*own, *(item for item in inherited if item not in own))
    field = replace(field, conditions=conditions, depends_on=parents)
    if any(item.operand is None for item in conditions) and len(parents) != 1:
        return replace(field, problem=field.problem or "its math_cond does not say which parameter it depends on")
    return field


def _default(document: Mapping[str, Any], fields: Mapping[str, Field]) -> dict[str, Any]:
    default = document.get("default")
    if isinstance(default, dict):
        return default
    tree: dict[str, Any] = {}
    for path, field in fields.items():
        if field.default is not MISSING and "[" not in path and keypath.valid(path):
            tree = keypath.assign(tree, path, field.default)
    return tree


def _texts(value: Any) -> list[str] | None:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
