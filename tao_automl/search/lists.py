"""Parameters that are lists: as a whole, scaled up and down, or element by element.

Milestones of a schedule and image sizes keep their proportions: the list is one ordered choice among scaled
ones. The two betas of an optimizer are two parameters, `betas[0]` and `betas[1]`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tao_automl.search.overrides import Overrides
from tao_automl.search.parameter import Encoding, Parameter
from tao_automl.search.roles import Scope
from tao_automl.tao import keypath
from tao_automl.tao.field import LISTS
from tao_automl.tao.schema import MISSING, Field, Schema

_BETAS = re.compile(r"(.*_)?betas")
_MILESTONES = re.compile(r"(lr_|decay_)?(steps?|milestones?)(_list)?")
_SIZES = re.compile(r".*(scales|sizes|resize)")
_STEPS = 12  # scaled lists on offer
_FACTORS = (0.5, 0.625, 0.75, 0.875, 1.0, 1.25, 1.5, 1.75, 2.0)
_GRIDS = (32, 16, 8, 4, 2, 1)


def by_element(schema: Schema, launched: Mapping[str, Any], overrides: Overrides) -> tuple[Schema, Overrides]:
    """Schema and wishes with the elements of such lists as leaves of their own, in the place of the list."""
    elements = {
        path: found
        for path, field in schema.fields.items()
        if field.type in LISTS and not field.problem and (found := _elements(field, launched))
    }
    if not elements:
        return schema, overrides
    named = {part.path: part for found in elements.values() for part in found}
    listed = [part for path in schema.default_set for part in _places(path, elements)]
    search = {
        part: wanted
        for path, wanted in overrides.search.items()
        for part in (_places(path, elements) if wanted is None else (path,))
    }
    keep = {part: why for path, why in overrides.keep.items() for part in _places(path, elements)}
    expanded = replace(schema, fields={**schema.fields, **named}, default_set=tuple(sorted(listed)))
    return expanded, Overrides(search, keep)


def whole(field: Field, launched: Any, scope: Scope) -> Parameter | str:
    """An ordered choice among scaled lists, or the reason why there is none."""
    name = field.path.rpartition(".")[2]
    value = launched if launched is not None else field.default
    if not _is_list_of(value, int) or min(value) < 1:
        return "it is a list, which is searched only if it holds milestones, sizes or betas"
    if _MILESTONES.fullmatch(name):
        return _choice(field, value, _milestones(value, scope.epochs), "milestones within the epochs")
    if _SIZES.fullmatch(name):
        return _choice(field, value, _sizes(value), "sizes")
    return "it is a list, which is searched only if it holds milestones, sizes or betas"


def are_milestones(path: str, value: Any) -> bool:
    """Whether a list says at which epochs a schedule takes its steps."""
    return _is_list_of(value, int) and bool(_MILESTONES.fullmatch(path.rpartition(".")[2]))


def within(epochs: int) -> list[int] | None:
    """The one milestone that short trainings are advised to have, at four fifths of the epochs; None for one epoch."""
    return [max(1, round(0.8 * epochs))] if epochs > 1 else None


def _places(path: str, elements: Mapping[str, Sequence[Field]]) -> tuple[str, ...]:
    return tuple(part.path for part in elements[path]) if path in elements else (path,)


def _elements(field: Field, launched: Mapping[str, Any]) -> tuple[Field, ...]:
    if not _BETAS.fullmatch(field.path.rpartition(".")[2]) or not keypath.valid(field.path):
        return ()
    value = keypath.get(launched, field.path, field.default)
    if not _is_list_of(value, float) or not all(0 <= item < 1 for item in value):
        return ()
    return tuple(
        replace(
            field,
            path=f"{field.path}[{index}]",
            type="float",
            default=item,
            minimum=_at(field.minimum, index),
            maximum=_at(field.maximum, index),
            choices=None,
            weights=None,
        )
        for index, item in enumerate(value)
    )


def _at(bound: Any, index: int) -> Any:
    """The bound of one element: bounds of a list are a list, or hold for all of it."""
    if isinstance(bound, tuple):
        return bound[index] if index < len(bound) else None
    return bound


def _choice(field: Field, launched: list[int], scaled: list[list[int]], what: str) -> Parameter | str:
    options = [option for option in scaled if option == sorted(set(option)) or sorted(set(launched)) != launched]
    options = [*options, launched] if launched not in options else options
    ordered = sorted((list(option) for option in _once(options)), key=lambda option: (max(option), option))
    if len(ordered) < 2:
        return f"no other {what} than {launched}"
    return Parameter(
        field.path, "list", list(launched), f"role: {what}", choices=tuple(ordered), encoding=Encoding.INDEX
    )


def _milestones(launched: list[int], epochs: int) -> list[list[int]]:
    """The same schedule, compressed and stretched: its last milestone between a quarter and twice as far."""
    last = max(launched)
    first, end = max(len(launched), min(last, epochs) // 4, 1), min(epochs - 1, 2 * last)
    width = max(1, -(-(end - first + 1) // _STEPS))
    return [[max(1, round(item * place / last)) for item in launched] for place in range(first, end + 1, width)]


def _sizes(launched: list[int]) -> list[list[int]]:
    grid = next(grid for grid in _GRIDS if all(item % grid == 0 for item in launched))
    return [[max(grid, round(item * factor / grid) * grid) for item in launched] for factor in _FACTORS]


def _once(options: list[list[int]]) -> list[list[int]]:
    return [option for index, option in enumerate(options) if option not in options[:index]]


def _is_list_of(value: Any, kind: type) -> bool:
    kinds = (int, float) if kind is float else (int,)
    if value is MISSING or not isinstance(value, list) or not value:
        return False
    return all(isinstance(item, kinds) and not isinstance(item, bool) for item in value)
