"""From a range that somebody stated, a user or `automl.yaml`, to a parameter."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from tao_automl.errors import UsageError
from tao_automl.search.box import Box
from tao_automl.search.overrides import Choices, Number, Range, Scalar
from tao_automl.search.parameter import Encoding, Parameter
from tao_automl.search.ranges import LARGEST, NUMERIC, article, clean, middle, number, same
from tao_automl.search.roles import POWER, role_of
from tao_automl.tao.schema import Field, Schema


@dataclass(frozen=True)
class Stated:
    """A range that somebody stated: `origin` is 'automl.yaml' or '--search'."""

    wanted: Range | Choices
    origin: str
    why: str = ""


def stated(schema: Schema, field: Field, launched: Any, given: Stated) -> Parameter:
    """The parameter of a range that was stated. The launched value is moved into it for trial 0.

    Raises:
        UsageError: outside the schema's bounds or options, or of another type than the field.
    """
    if field.problem:
        raise UsageError(f"{field.path} cannot be searched: {field.problem}")
    if isinstance(given.wanted, Choices):
        return _chosen(schema, field, launched, given, given.wanted)
    if field.type == "bool" or field.choices is not None or field.type not in NUMERIC:
        options = ",".join(str(option) for option in field.choices or ()) or "a,b"
        options = "true,false" if field.type == "bool" else options
        raise UsageError(
            f"{field.path} is {article(field)}, so it has no range from {given.wanted.low:g} to {given.wanted.high:g}",
            f"write --search {field.path}={options}" if "list" not in field.type else "keep it",
        )
    return _spanned(field, launched, given, given.wanted)


def _spanned(field: Field, launched: Any, given: Stated, wanted: Range) -> Parameter:
    """A stated range on the scale of the field's role."""
    box = Box.of(field)
    low, high = _ends(field, wanted, box)
    role = POWER if box.power and box.whole else role_of(field.path, box.whole)
    centre = number(launched, field)
    start = centre if centre is not None else middle(field)
    base = Parameter(field.path, "int" if box.whole else "float", None, given.origin, given.why, low=low, high=high)
    if role.encoding is Encoding.COMPLEMENT and not wanted.step and low >= 0 and high < 1:
        base = replace(base, encoding=Encoding.COMPLEMENT)
    elif role.encoding in (Encoding.LOG2, Encoding.INDEX) and not wanted.step and not wanted.log:
        base = _doublings(base, box.power or 2)
    else:
        base = replace(base, log=wanted.log or (role.log and low > 0 and not wanted.step), step=_step(field, wanted))
    return _centred(base, start, centre)


def _ends(field: Field, wanted: Range, box: Box) -> tuple[Number, Number]:
    for end in (wanted.low, wanted.high):
        if box.whole and not float(end).is_integer():
            raise UsageError(f"{field.path} is a whole number, not {end:g}", "write whole ends")
        if not box.allows(end):
            raise UsageError(
                f"{end:g} lies outside the bounds of {field.path}: {box}", "choose a range inside the bounds"
            )
        if abs(end) > LARGEST:
            raise UsageError(f"{end:g} is too large to search", "choose a smaller range")
    if box.whole:
        return int(wanted.low), int(wanted.high)
    return float(wanted.low), float(wanted.high)


def _step(field: Field, wanted: Range) -> Number | None:
    if wanted.step is None:
        return None
    if field.type == "float":
        return float(wanted.step)
    if not float(wanted.step).is_integer():
        raise UsageError(f"{field.path} is a whole number, so its step cannot be {wanted.step:g}", "write a whole step")
    return int(wanted.step)


def _doublings(base: Parameter, power: int) -> Parameter:
    """The powers inside a stated range; a range that holds fewer than two stays as it is."""
    assert base.low is not None
    assert base.high is not None
    values = [power**e for e in range(54) if base.low <= power**e <= base.high]
    if len(values) < 2:
        return base
    encoding = Encoding.LOG2 if power == 2 else Encoding.INDEX
    return replace(base, low=values[0], high=values[-1], choices=tuple(values), encoding=encoding)


def _centred(base: Parameter, start: Number | None, launched: Number | None) -> Parameter:
    """The parameter with its high end on the grid and the centre moved to the nearest value it can take."""
    assert base.low is not None
    assert base.high is not None
    if base.step:
        steps = math.floor((base.high - base.low) / base.step + 1e-9)
        high = base.low + steps * base.step
        base = replace(base, high=high if isinstance(high, int) else clean(high))
    assert base.low is not None
    assert base.high is not None
    low, high = base.low, base.high
    start = low if start is None else start
    if base.choices is not None:
        centre = min(base.choices, key=lambda value: (abs(value - start), value))
    elif base.encoding is Encoding.COMPLEMENT:
        centre = min(max(start, low), high)
    else:
        centre = base.domain().clip(start)
    note = ""
    if launched is not None and centre != launched:
        note = f"trial 0 takes {centre:g}, the nearest to the launched {launched:g}"
    return replace(base, default=centre, why="; ".join(part for part in (base.why, note) if part))


def _chosen(schema: Schema, field: Field, launched: Any, given: Stated, wanted: Choices) -> Parameter:
    values: list[Scalar] = []
    for value in wanted.values:
        schema.check(field.path, value)
        known = next((option for option in field.choices or () if same(option, value)), value)
        if field.choices is not None and not any(same(option, value) for option in field.choices):
            raise UsageError(
                f"{value} is no option of {field.path}",
                "there is " + ", ".join(str(option) for option in field.choices[:12]),
            )
        values.append(float(known) if field.type == "float" and isinstance(known, int) else known)
    if field.type in NUMERIC and all(isinstance(value, (int, float)) for value in values):
        return _listed(field, launched, given, [value for value in values if isinstance(value, (int, float))])
    if "list" in field.type or field.type == "collection":
        raise UsageError(f"{field.path} is {article(field)}, which is not searched", "set it with --set")
    centre = next((value for value in values if same(value, launched)), values[0])
    note = given.why
    if not same(centre, launched) and launched is not None:
        note = "; ".join(part for part in (note, f"trial 0 takes {centre}, not the launched {launched}") if part)
    rest = tuple(value for value in values if value is not centre)
    kind = "bool" if field.type == "bool" else "categorical"
    return Parameter(field.path, kind, centre, given.origin, note, choices=(centre, *rest))


def _listed(field: Field, launched: Any, given: Stated, values: list[Number]) -> Parameter:
    box = Box.of(field)
    for value in values:
        if field.choices is None and not box.allows(value):
            raise UsageError(f"{value:g} lies outside the bounds of {field.path}: {box}", "choose values inside")
    ordered = tuple(sorted(values))
    centre = number(launched, field)
    base = Parameter(
        field.path,
        "float" if field.type == "float" else "int",
        None,
        given.origin,
        given.why,
        low=ordered[0],
        high=ordered[-1],
        choices=ordered,
        encoding=Encoding.INDEX,
    )
    return _centred(base, centre if centre is not None else middle(field), centre)
