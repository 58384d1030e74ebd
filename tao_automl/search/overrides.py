"""What the user says about the search: `--search KEY[=RANGE]` and `--keep KEY`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tao_automl.errors import UsageError

Number = int | float
Scalar = bool | int | float | str | None

_FORMS = "write KEY, KEY=LOW..HIGH, KEY=LOW..HIGH:log or KEY=a,b,c"
_SCALES = ("log", "ratio")
_NUMBER = re.compile(r"[+-]?(\d[\d_]*\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WORDS: Mapping[str, Scalar] = {"true": True, "false": False, "null": None, "none": None}


@dataclass(frozen=True)
class Range:
    """From `low` to `high`, both included; `step` counts from `low`; `log` and `step` exclude each other.

    `ratio`: the ends are shares of the learning rate beside it.
    """

    low: Number
    high: Number
    log: bool = False
    step: Number | None = None
    ratio: bool = False

    def __str__(self) -> str:
        tail = ":ratio" if self.ratio else ":log" if self.log else f":{self.step:g}" if self.step else ""
        return f"{self.low:g}..{self.high:g}{tail}"


@dataclass(frozen=True)
class Choices:
    """One of these, at least two, none twice."""

    values: tuple[Scalar, ...]

    def __str__(self) -> str:
        return ",".join(_text(value) for value in self.values)


@dataclass(frozen=True)
class Overrides:
    """`search`: path to its range, None = the range of its role. `keep`: path to the reason."""

    search: Mapping[str, Range | Choices | None] = field(default_factory=dict)
    keep: Mapping[str, str] = field(default_factory=dict)


def read(search: Mapping[str, Any], keep: Iterable[str]) -> Overrides:
    """Overrides from settings: a range is text as on the command line, a list, or {low, high, log, step}.

    Raises:
        UsageError: a range that cannot be read, or a key that is both searched and kept.
    """
    wanted = {key: parse_range(key, value) for key, value in search.items()}
    kept = dict.fromkeys(keep, "kept by --keep")
    for path in wanted.keys() & kept.keys():
        raise UsageError(f"{path} is both searched and kept", "give --search or --keep, not both")
    return Overrides(wanted, kept)


def parse_range(path: str, value: Any) -> Range | Choices | None:
    """What is to be searched at a key: LOW..HIGH, LOW..HIGH:log, :STEP or :ratio, a,b,c, a list or a mapping.

    None is the range of the key's role.

    Raises:
        UsageError: unreadable, low end above high end, or fewer than two choices.
    """
    if value is None:
        return None
    if isinstance(value, Mapping):
        return _from_mapping(path, value)
    if isinstance(value, (list, tuple)):
        return _choices(path, tuple(value))
    text = str(value).strip()
    if not text:
        raise UsageError(f"cannot read --search {path}=", _FORMS)
    if ".." in text:
        return _from_text(path, text)
    return _choices(path, tuple(_scalar(part.strip()) for part in text.split(",")))


def _from_mapping(path: str, value: Mapping[str, Any]) -> Range | Choices:
    if set(value) == {"choices"} and isinstance(value["choices"], (list, tuple)):
        return _choices(path, tuple(value["choices"]))
    if not {"low", "high"} <= set(value) or set(value) - {"low", "high", "step", *_SCALES}:
        raise UsageError(f"cannot read the range of {path}", "its keys are low, high, log, ratio and step, or choices")
    ends, scales = (value["low"], value["high"]), [value.get(scale, False) for scale in _SCALES]
    if not all(_is_number(end) for end in ends) or not all(isinstance(scale, bool) for scale in scales):
        raise UsageError(f"cannot read the range of {path}", "low and high are numbers, log and ratio true or false")
    return _checked(path, Range(*ends, log=scales[0] or scales[1], step=value.get("step"), ratio=scales[1]))


def _from_text(path: str, text: str) -> Range:
    ends, colon, scale = text.partition(":")
    low, _, high = (_scalar(part.strip()) for part in ends.partition(".."))
    step = _scalar(scale.strip()) if colon and scale.strip() not in _SCALES else None
    if not _is_number(low) or not _is_number(high) or (step is not None and not _is_number(step)):
        raise UsageError(f"cannot read the range of {path}: {text}", _FORMS)
    assert isinstance(low, (int, float))
    assert isinstance(high, (int, float))
    assert step is None or isinstance(step, (int, float))
    return _checked(path, Range(low, high, log=bool(colon) and step is None, step=step, ratio=scale.strip() == "ratio"))


def _checked(path: str, wanted: Range) -> Range:
    numbers = [wanted.low, wanted.high] + ([wanted.step] if wanted.step is not None else [])
    if not all(_is_number(number) and math.isfinite(number) for number in numbers):
        raise UsageError(f"the range of {path} must be finite: {wanted}", _FORMS)
    if wanted.low > wanted.high:
        swapped = replace(wanted, low=wanted.high, high=wanted.low)
        raise UsageError(f"the low end of {path} is above its high end: {wanted}", f"write --search {path}={swapped}")
    if wanted.low == wanted.high:
        raise UsageError(f"the range of {path} holds one value only: {wanted}", f"write --set {path}={wanted.low:g}")
    if wanted.log and wanted.low <= 0:
        raise UsageError(f"a log range must begin above 0: {path}={wanted}", "raise its low end, or drop :log")
    if wanted.step is not None and (wanted.log or wanted.step <= 0):
        raise UsageError(f"the step of {path} must be above 0, and a log range has none", _FORMS)
    return wanted


def _choices(path: str, values: tuple[Any, ...]) -> Choices:
    if any(value == "" or not isinstance(value, (bool, int, float, str, type(None))) for value in values):
        raise UsageError(f"cannot read the choices of {path}", _FORMS)
    texts = [_text(value) for value in values]
    if len(texts) < 2:
        raise UsageError(f"{path} has one choice only", f"write --set {path}={','.join(texts)}")
    twice = sorted({text for text in texts if texts.count(text) > 1})
    if twice:
        raise UsageError(f"the choices of {path} name {twice[0]} twice", "name each once")
    return Choices(values)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _scalar(text: str) -> Scalar:
    """A flag's value. 1e-4 is a float, also without the dot that YAML wants."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if not _NUMBER.fullmatch(text):
        return text
    return int(text) if re.fullmatch(r"[+-]?\d[\d_]*", text) else float(text)


def _text(value: Scalar) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
