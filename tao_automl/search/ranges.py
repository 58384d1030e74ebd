"""From a field of the schema and its launched value to a parameter with a range, or the reason why not."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from tao_automl.search import lists
from tao_automl.search.box import Box
from tao_automl.search.overrides import Number
from tao_automl.search.parameter import Encoding, Parameter
from tao_automl.search.roles import POWER, Role, Scope, Window, role_of
from tao_automl.tao.field import LISTS
from tao_automl.tao.schema import MISSING, Field

LARGEST = 2.0**53  # Optuna stores ints as floats
NUMERIC = ("int", "float", "ordered_int")


def automatic(field: Field, launched: Any, scope: Scope) -> Parameter | str:
    """The range that the rules give a field around its launched value, or the reason why there is none."""
    if field.problem:
        return field.problem
    if field.type in LISTS:
        return lists.whole(field, launched, scope)
    if field.type == "bool":
        return _set(field, (True, False), launched)
    if field.choices is not None:
        return _enumerated(field, launched)
    if field.type not in NUMERIC:
        return _unsearchable(field)
    box, centre = Box.of(field), number(launched, field)
    if box.single:
        return f"its bounds leave one value, {box.low:g}"
    if centre is None:
        centre = middle(field)
    if centre is None:
        return f"it has no number to look around: its launched value is {launched!r}"
    if abs(centre) > LARGEST:
        return f"its launched value {centre:g} is too large to search around"
    if centre == -1 and box.low == -1 and box.high is None:
        return "its launched value -1 is a mark, not an amount"
    role = POWER if box.power and box.whole else role_of(field.path, box.whole)
    return _around(field, role, box, centre, scope)


def number(value: Any, field: Field) -> Number | None:
    """A launched value as a number of the field's type; None for null, text, lists and `???`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    if field.type == "float":
        return float(value)
    return int(value) if float(value).is_integer() else None


def middle(field: Field) -> Number | None:
    """Where to start without a launched value: the schema's default, else the middle of finite bounds."""
    known = number(field.default, field) if field.default is not MISSING else None
    box = Box.of(field)
    if known is not None or box.low is None or box.high is None:
        return known
    centre = math.sqrt(box.low * box.high) if box.low > 0 and box.high > 100 * box.low else (box.low + box.high) / 2
    return round(centre) if box.whole else clean(centre)


def clean(value: float) -> float:
    """Without the tail that arithmetic leaves: 0.0002 / 20 is 1e-05."""
    return float(f"{value:.12g}")


def _around(field: Field, role: Role, box: Box, centre: Number, scope: Scope) -> Parameter | str:
    if role.off and centre == 0 and not box.whole:
        return _switch(field, role, box, role.off)
    window = role.shape(centre, box, scope)
    if isinstance(window, str):
        return window
    notes: list[str] = []
    if window.centre is not None and window.centre != centre:
        notes.append(f"launched with {centre:g}, which {scope.epochs} epochs never reach")
        centre = int(window.centre) if box.whole else window.centre
    origin = f"role: {role.name}" if role.name else "schema"
    base = Parameter(field.path, "int" if box.whole else "float", centre, origin, window=role.words)
    if window.options is not None:
        return _from_options(base, window.options, centre, window.encoding, notes)
    trusted = role.trusts_box and box.trusted
    if trusted:
        assert box.high is not None
        capped = min(box.high, 0.3) if role.name == "weight decay" else box.high
        window = replace(window, low=box.low, high=max(capped, centre))
        base = replace(base, origin="schema", window="")
    found = _fitted(base, window, box, notes)
    if isinstance(found, str) or trusted or role.widens is None:
        return found
    return replace(found, reach=_reach(found, role.widens, box))


def _reach(parameter: Parameter, limits: tuple[float, float], box: Box) -> tuple[Number | None, Number | None]:
    """Each end half as far again from the centre, within the box and the role's limits; None where that is no move."""
    low, high, centre = parameter.low, parameter.high, parameter.default
    assert low is not None
    assert high is not None
    if parameter.log:
        wider = Window(low * math.sqrt(low / centre), high * math.sqrt(high / centre))
    else:
        wider = Window(low - (centre - low) / 2, high + (high - centre) / 2)
    first, last = _inside(wider, box, centre)
    first, last = max(first, limits[0]), min(last, limits[1])
    first, last = _on_grid(first, last, centre, _whole_step(parameter)) if box.whole else (clean(first), clean(last))
    return first if first < low else None, last if last > high else None


def _whole_step(parameter: Parameter) -> int | None:
    return None if parameter.step is None else int(parameter.step)


def _switch(field: Field, role: Role, box: Box, window: tuple[float, float]) -> Parameter | str:
    """Launched with none of it: zero, or the usual range of its role inside the box."""
    low = window[0] if box.low is None else max(window[0], box.low)
    high = window[1] if box.high is None else min(window[1], box.high)
    if not low < high:
        return f"its launched value is 0, and its bounds ({box}) leave nothing to compare with"
    note = "0 as it is launched, or this range"
    origin = f"role: {role.name}"
    return Parameter(field.path, "float", 0.0, origin, note, low, high, log=True, encoding=Encoding.SWITCH)


def _from_options(
    base: Parameter, options: tuple[Number, ...], centre: Number, encoding: Encoding, notes: list[str]
) -> Parameter | str:
    if len(options) < 2:
        return f"only {options[0]:g} is left of its range"
    if centre not in options:
        nearest = max((option for option in options if option <= centre), default=options[0])
        notes.append(f"trial 0 takes {nearest:g}: the launched {centre:g} is more than the data fill")
        centre = nearest
    return replace(
        base,
        default=centre,
        low=options[0],
        high=options[-1],
        choices=options,
        encoding=encoding,
        why="; ".join(notes),
    )


def _fitted(base: Parameter, window: Window, box: Box, notes: list[str]) -> Parameter | str:
    """The window inside the box, on the grid, around the centre."""
    centre, whole = base.default, box.whole
    assert window.low is not None
    assert window.high is not None
    low, high = _inside(window, box, centre)
    if low > high:
        low, high = window.low, window.high
        notes.append("its bounds and its window do not meet")
    if not box.allows(centre) and not (box.open_low and centre == box.low):
        notes.append(f"widened to the launched {centre:g}, which lies outside the schema's bounds ({box})")
    low, high = min(low, centre), max(high, centre)
    if window.encoding is Encoding.COMPLEMENT:
        high = min(high, max(centre, 0.9999))
    step = int(window.step) if window.step and whole and window.step > 1 else None
    low, high = _on_grid(low, high, centre, step) if whole else (clean(low), clean(high))
    low, high = min(low, centre), max(high, centre)
    if not low < high or not math.isfinite(high - low) or max(abs(low), abs(high)) > LARGEST:
        return f"its range has no width: {low:g} to {high:g}"
    if window.log and low <= 0:
        return f"its launched value is {centre:g}, and a log scale cannot hold that"
    parameter = replace(
        base,
        low=low,
        high=high,
        step=step,
        log=window.log,
        encoding=window.encoding,
        why="; ".join(notes),
    )
    return _without(parameter, box)


def _inside(window: Window, box: Box, centre: Number) -> tuple[Number, Number]:
    assert window.low is not None
    assert window.high is not None
    low = window.low if box.low is None else max(window.low, box.low)
    high = window.high if box.high is None else min(window.high, box.high)
    # The end of a linear range is drawn now and then; an open end must not be.
    if box.open_low and low == box.low and centre != low:
        low = low + (high - low) / 1000
    if box.open_high and high == box.high and centre != high:
        high = high - (high - low) / 1000
    return low, high


def _on_grid(low: Number, high: Number, centre: Number, step: int | None) -> tuple[int, int]:
    """Both ends moved inwards to whole numbers, and to multiples of the step if the centre is one."""
    grid = step or 1
    anchor = int(centre) % grid
    first = math.ceil((low - anchor) / grid) * grid + anchor
    last = math.floor((high - anchor) / grid) * grid + anchor
    return min(first, int(centre)), max(last, int(centre))


def _without(parameter: Parameter, box: Box) -> Parameter | str:
    """Leave out the values that the schema excludes: the rest becomes ordered choices."""
    assert parameter.low is not None
    assert parameter.high is not None
    hit = [value for value in box.excluded if parameter.low <= value <= parameter.high]
    ends = int(parameter.low), int(parameter.high)
    if not hit or not box.whole or ends[1] - ends[0] > 4096:
        return parameter
    values = tuple(
        value
        for value in range(ends[0], ends[1] + 1, int(parameter.step or 1))
        if value not in hit or value == parameter.default
    )
    if len(values) < 2:
        return f"only {values[0]:g} is left of its range"
    return replace(
        parameter,
        low=values[0],
        high=values[-1],
        step=None,
        choices=values,
        encoding=Encoding.INDEX,
        log=False,
    )


def _enumerated(field: Field, launched: Any) -> Parameter | str:
    """Options of the enum; numbers keep their order. Options of weight 0 are left out."""
    assert field.choices is not None
    weights = field.weights or (1.0,) * len(field.choices)
    weighted = zip(field.choices, weights, strict=True)
    options = tuple(option for option, weight in weighted if weight > 0 and not _endless(option))
    if not options:
        return "its enum is empty"
    if all(isinstance(option, (int, float)) and not isinstance(option, bool) for option in options):
        return _ordered_set(field, options, launched)
    return _set(field, options, launched)


def _ordered_set(field: Field, options: tuple[Any, ...], launched: Any) -> Parameter | str:
    values = set(options)
    known = isinstance(launched, (int, float)) and not isinstance(launched, bool) and not _endless(launched)
    centre = launched if known else None
    if centre is None:
        centre = next((option for option in options if same(option, field.default)), min(values))
    ordered = tuple(sorted(values | {centre}))
    if len(ordered) < 2:
        return f"it has one option, {ordered[0]}"
    kind = "int" if all(isinstance(value, int) for value in ordered) else "float"
    return Parameter(
        field.path,
        kind,
        centre,
        "schema",
        low=ordered[0],
        high=ordered[-1],
        choices=ordered,
        encoding=Encoding.INDEX,
    )


def _set(field: Field, options: tuple[Any, ...], launched: Any) -> Parameter | str:
    """Choices without order, the centre first. An option that differs in blanks only is the centre."""
    if not all(isinstance(option, (bool, int, float, str, type(None))) for option in options):
        return "its options are no single values"
    usable = isinstance(launched, (bool, int, float, str)) and launched != "???" and not _endless(launched)
    centre = launched if usable and (field.type != "bool" or isinstance(launched, bool)) else None
    if centre is None:
        centre = field.default if any(same(field.default, option) for option in options) else options[0]
    choices = (centre, *(option for option in options if not same(option, centre)))
    if len(choices) < 2:
        return f"it has one option, {choices[0]}"
    note = "" if any(same(centre, option) for option in options) else f"{centre} is launched, though no option"
    return Parameter(
        field.path, "bool" if field.type == "bool" else "categorical", centre, "schema", note, choices=choices
    )


def _endless(value: Any) -> bool:
    """NaN and infinities are no values of a spec."""
    return isinstance(value, float) and not math.isfinite(value)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, str) and isinstance(b, str):
        return "".join(a.split()) == "".join(b.split())
    return type(a) is type(b) and bool(a == b)


def _unsearchable(field: Field) -> str:
    if field.type == "collection":
        return f"it is {article(field)}, which is not searched"
    return f"it is {article(field)} without options to choose from"


def article(field: Field) -> str:
    words = {
        "bool": "a switch",
        "int": "a whole number",
        "float": "a number",
        "categorical": "a set of options",
    }
    words |= {"string": "text", "collection": "a mapping", "any": "of no stated type"}
    return words.get(field.type, "a list" if "list" in field.type else f"of type {field.type}")
