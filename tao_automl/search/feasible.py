"""Whether the rules leave anything of the ranges, before a trial is asked for.

The ends of all ranges are drawn in along the rules until nothing moves. Where that leaves nothing, a rule beats a
range that was found by a role; a rule against another, or against a range that the user stated, is a contradiction,
named by the two that make it. A parent's range that holds values which leave its child nothing is narrowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tao_automl.errors import UsageError
from tao_automl.search.overrides import Number
from tao_automl.search.parameter import Bounds, Encoding, Parameter
from tao_automl.search.rules import Rule

_PASSES = 100
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True)
class _Cause:
    """What put an end of a range where it is; one that is not `firm` gives way to a rule."""

    text: str
    firm: bool = True


@dataclass(frozen=True)
class _Span:
    """The ends of a range, and why they are there."""

    low: Number
    high: Number
    low_by: _Cause
    high_by: _Cause


def checked(found: Mapping[str, Parameter], stated: Iterable[Rule], get: Callable[[str], Any]) -> dict[str, Parameter]:
    """The parameters with their ranges drawn in where another one needs room; `get` gives launched values.

    Raises:
        UsageError: no point meets all rules; the message names the two that contradict each other.
    """
    spans = {path: span for path, item in found.items() if (span := _span(item)) is not None}
    rules = [rule for rule in stated if rule.op in _FLIPPED and _is_simple(rule, found, spans)]
    followers = {rule.left for rule in stated if rule.left not in found and rule.right in found}
    for _ in range(_PASSES):
        before = dict(spans)
        for rule in rules:
            if rule.right not in followers:
                _draw_in(spans, found, rule, get)
        if spans == before:
            break
    parents = {str(rule.right) for rule in rules if rule.right in spans and rule.left in spans}
    return {path: _narrowed(item, spans[path]) if path in parents else item for path, item in found.items()}


def _span(item: Parameter) -> _Span | None:
    """None for what has no order, or matters in some trials only."""
    if item.active or item.low is None or item.high is None:
        return None
    stated = item.origin == "--search"
    ends = f"{item.path}={item.low:g}..{item.high:g}"
    cause = _Cause(f"--search {ends}" if stated else f"{ends} ({item.origin})", firm=stated)
    return _Span(item.low, item.high, cause, cause)


def _is_simple(rule: Rule, found: Mapping[str, Parameter], spans: Mapping[str, _Span]) -> bool:
    return rule.left in spans and (rule.right in spans or rule.right not in found)


def _draw_in(spans: dict[str, _Span], found: Mapping[str, Parameter], rule: Rule, get: Callable[[str], Any]) -> None:
    """Both sides of one rule. The gap to a parent is part of the child's encoding, so only contradictions count."""
    left, whole = spans[rule.left], found[rule.left].type == "int"
    right = spans.get(str(rule.right))
    up = rule.op in ("<", "<=")
    limit = rule.limit(get) if right is None else right.high if up else right.low
    if limit is None:
        return
    spans[rule.left] = _limited(left, rule.op, limit, whole, _because(rule, _end(right, not up) if right else None))
    if right is not None:
        left = spans[rule.left]
        back, whole = left.low if up else left.high, found[str(rule.right)].type == "int"
        spans[str(rule.right)] = _limited(right, _FLIPPED[rule.op], back, whole, _because(rule, _end(left, up)))


def _end(span: _Span, low: bool) -> _Cause:
    return span.low_by if low else span.high_by


def _because(rule: Rule, other: _Cause | None) -> _Cause:
    """The rule, with what makes it bind on its other side."""
    return _Cause(f"{rule.text} with {other.text}" if other and rule.text not in other.text else rule.text)


def _limited(span: _Span, op: str, limit: Number, whole: bool, why: _Cause) -> _Span:
    bound, up = Rule("", op, limit, "").beside(limit, whole), op in ("<", "<=")
    against = span.low_by if up else span.high_by
    if (bound >= span.high) if up else (bound <= span.low):
        return span
    if span.low <= bound <= span.high:
        return replace(span, high=bound, high_by=why) if up else replace(span, low=bound, low_by=why)
    if not against.firm:
        return _Span(bound, bound, why, why)
    raise UsageError(
        f"no point meets both {against.text} and {why.text}",
        "state ranges that overlap with --search, or take one of them out of the search with --keep",
        "contradiction",
    )


def _narrowed(item: Parameter, span: _Span) -> Parameter:
    """The range drawn in to a span. A centre that is left outside moves to the nearest end."""
    if (span.low, span.high) == (item.low, item.high) or item.encoding not in (Encoding.PLAIN, Encoding.LOG2):
        return item
    domain = item.domain(Bounds(span.low, span.high))
    low, high = item.decode(domain.low), item.decode(domain.high)
    choices = tuple(value for value in item.choices if low <= value <= high) if item.choices else None
    centre = min(max(item.default, low), high)
    reason = span.low_by if span.low != item.low else span.high_by
    notes = [item.why, f"narrowed for {reason.text}"]
    if centre != item.default:
        notes.append(f"trial 0 takes {centre:g}, the nearest to the launched {item.default:g}")
    return replace(
        item,
        low=low,
        high=high,
        choices=choices,
        default=centre,
        why="; ".join(note for note in notes if note),
        reach=(None, None),
    )
