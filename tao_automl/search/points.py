"""Points of a space by the values of the spec: the configs that users and earlier studies name.

Optuna takes an enqueued point as it is, outside its range too, so that each is checked or translated here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from tao_automl.errors import UsageError, near
from tao_automl.search.overrides import Number
from tao_automl.search.parameter import Domain, Encoding, Parameter
from tao_automl.search.ranges import same
from tao_automl.search.space import SearchSpace

_SMALL = 1e-9  # of a range: what writing a number as text may cost


class OutsideError(ValueError):
    """A value that a parameter cannot take in this point; the text says what it can."""


def encode(space: SearchSpace, values: Mapping[str, Any]) -> dict[str, Any]:
    """The params of a point that somebody names; what it does not name is at the centre.

    Raises:
        UsageError: a key that is not searched, or has no effect in this point; a value outside its range, off its
            grid, or against a rule. The message gives the bounds.
    """
    for path in values:
        _check_searched(space, path)
    used: set[str] = set()

    def pick(parameter: Parameter, domain: Domain, parent: Number) -> Any:
        if parameter.path not in values:
            return domain.clip(parameter.encode(parameter.default, parent))
        used.add(parameter.path)
        try:
            return code_of(parameter, domain, values[parameter.path], parent)
        except OutsideError as error:
            raise UsageError(
                f"a point has {parameter.path}={_text(values[parameter.path])}, which {error}",
                f"choose a value inside, or search more: --search {parameter.path}=LOW..HIGH",
                "point-outside",
            ) from None

    params = space.params(pick)
    for parameter in space.parameters:
        if parameter.path in values and parameter.path not in used:
            why = " or ".join(condition.text for condition in parameter.active)
            raise UsageError(
                f"a point has {parameter.path}, which has no effect in it: it is searched only while {why}",
                "leave it out of the point, or add what it needs",
                "point-inactive",
            )
    return params


def code_of(parameter: Parameter, domain: Domain, value: Any, parent: Number) -> Any:
    """The code of a value that the domain holds.

    Raises:
        OutsideError: it does not hold it.
    """
    if parameter.choices is not None:
        return _code_of_choice(parameter, domain, value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise OutsideError("is not a number")
    if parameter.type == "int" and not float(value).is_integer():
        raise OutsideError("is not a whole number")
    low, high = span(parameter, domain, parent)
    slack = _SMALL * max(abs(low), abs(high))
    zero = parameter.encoding is Encoding.SWITCH and value == 0 and domain.clip(parameter.encode(0)) != domain.high
    if not (low - slack <= value <= high + slack or zero):
        also = "0 or " if parameter.encoding is Encoding.SWITCH else ""
        raise OutsideError(f"lies outside its range {also}{low:g}..{high:g}")
    number = int(value) if parameter.type == "int" else float(value)
    code = parameter.encode(min(max(number, low), high) if not zero else number, parent)
    nearest = domain.clip(code)
    if domain.step and abs(nearest - code) > _SMALL * max(1.0, abs(code)):
        raise OutsideError(f"is not on its grid: {low:g}..{high:g} in steps of {domain.step:g}")
    return nearest


def span(parameter: Parameter, domain: Domain, parent: Number) -> tuple[Number, Number]:
    """The least and the greatest value of a numeric parameter without choices in one trial; zero of a switch not
    counted."""
    if parameter.encoding is Encoding.SWITCH:
        assert parameter.low is not None
        return parameter.low, float(parameter.decode(domain.high))
    ends = parameter.decode(domain.low, parent), parameter.decode(domain.high, parent)
    return min(ends), max(ends)


def distinct(entries: Iterable[Mapping[str, Any]], known: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The entries whose `params` are neither among those `known` nor those of an earlier entry, in their order."""
    seen, found = list(known), []
    for entry in entries:
        if entry["params"] not in seen:
            seen.append(entry["params"])
            found.append(entry)
    return found


def _check_searched(space: SearchSpace, path: str) -> None:
    searched = [parameter.path for parameter in space.parameters]
    if path in searched:
        return
    kept = next((entry.why for entry in space.kept if entry.path == path), None)
    if kept is None:
        raise UsageError(
            f"a point has {path}, which is not searched",
            near(path, searched) or f"--search {path}=LOW..HIGH searches it",
            "point-unknown",
        )
    raise UsageError(
        f"a point has {path}, which is not searched: {kept}",
        f"--search {path} searches it; --set {path}=… gives every trial a value",
        "point-unknown",
    )


def _code_of_choice(parameter: Parameter, domain: Domain, value: Any) -> Any:
    assert parameter.choices is not None
    known = next((choice for choice in parameter.choices if _is(choice, value)), None)
    if known is None and not (value is None and None in parameter.choices):
        raise OutsideError("is none of " + ", ".join(_text(choice) for choice in parameter.choices))
    code = parameter.encode(known)
    if domain.choices is None and not domain.low <= code <= domain.high:
        ends = _text(parameter.decode(domain.low)), _text(parameter.decode(domain.high))
        raise OutsideError(f"breaks a rule in this point, which leaves {ends[0]}..{ends[1]}")
    return code


def _is(choice: Any, value: Any) -> bool:
    numbers = [isinstance(item, (int, float)) and not isinstance(item, bool) for item in (choice, value)]
    return bool(choice == value) if all(numbers) or isinstance(choice, list) else same(choice, value)


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
