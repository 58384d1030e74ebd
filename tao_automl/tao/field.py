"""One leaf of a schema: what TAO says about it, and which values it can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tao_automl.tao.condition import Condition

Bound = float | int | tuple[float | int | None, ...] | None


class _Missing:
    """The type of MISSING: a leaf without a default, which is not the default null."""

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = _Missing()

# Type words of the dialect, and plain JSON Schema's words for the same.
SCALARS = {
    "int": "int",
    "integer": "int",
    "float": "float",
    "number": "float",
    "bool": "bool",
    "boolean": "bool",
    "string": "string",
    "str": "string",
    "categorical": "categorical",
    "const": "categorical",
    "enum": "categorical",
    "ordered_int": "ordered_int",
    "ordered": "ordered",
}
LISTS = {"list", "list_1_backbone", "list_1_normal", "list_2", "list_3", "subset_list", "optional_list"}
GROUPS = {"collection", "object", "dict"}
WORDS: Mapping[str, str] = {
    **SCALARS,
    **{name: name for name in LISTS},
    "array": "list",
    **dict.fromkeys(GROUPS, "collection"),
}


@dataclass(frozen=True)
class Field:
    """One leaf. `type` is a word of the dialect: int, float, bool, string, categorical, ordered_int, list … .

    Bounds are None where unbounded, and tuples for lists whose elements have bounds of their own. `weights`
    belong to `choices`. `automl_enabled` has three states: True, searched by default; False, never; None,
    only if the user names it. `others` are the further types of a union. `problem` says why a leaf cannot be
    searched.
    """

    path: str
    type: str
    default: Any = MISSING
    minimum: Bound = None
    maximum: Bound = None
    open_minimum: bool = False
    open_maximum: bool = False
    choices: tuple[Any, ...] | None = None
    weights: tuple[float, ...] | None = None
    conditions: tuple[Condition, ...] = ()
    depends_on: tuple[str, ...] = ()
    is_parent: bool = False
    automl_enabled: bool | None = None
    title: str | None = None
    description: str | None = None
    others: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def opaque(self) -> bool:
        """True if the leaf has parts that the schema does not describe: a list or an open mapping."""
        return self.type == "collection" or self.type in LISTS or bool(LISTS & set(self.others))


_ACCEPTS: Mapping[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "string": (str,),
    "categorical": (str,),
    "ordered_int": (int,),
    "ordered": (int, float, str),
    "collection": (dict,),
    **dict.fromkeys(LISTS, (list,)),
}
_KINDS: Mapping[str, str] = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "categorical": "text",
    "ordered_int": "a whole number",
    "ordered": "a number or text",
    "collection": "a mapping",
    **dict.fromkeys(LISTS, "a list"),
}


def fits(field: Field, value: Any) -> bool:
    """True if the leaf can hold the value. The types of its default and choices are legal in any case."""
    if value is None or field.type not in _ACCEPTS:
        return True
    if isinstance(value, float) and not math.isfinite(value):
        return False
    known = (field.default, *(() if field.opaque else field.choices or ()))
    if any(type(value) is type(item) for item in known):
        return True
    types = {kind for name in (field.type, *field.others) for kind in _ACCEPTS.get(name, (object,))}
    return type(value) in types or object in types


def kind(field: Field) -> str:
    return " or ".join(dict.fromkeys(_KINDS.get(name, name) for name in (field.type, *field.others)))


def example(field: Field) -> str:
    if field.choices and not field.opaque:
        return "one of " + ", ".join(str(choice) for choice in field.choices[:12])
    return "" if field.default is MISSING or field.default in (None, "") else f"for example {field.default!r}"
