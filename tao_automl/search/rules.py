"""Rules between parameters.

They hold by construction: parents are sampled first, and the range of a dependent parameter ends at its
parent's value in that trial. One that is not searched follows its parent.
"""

from __future__ import annotations

import graphlib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tao_automl.errors import SkillError, near
from tao_automl.search.overrides import Number
from tao_automl.search.parameter import Bounds
from tao_automl.tao.schema import Field, Schema

_RULE = re.compile(r"\s*(\S+)\s*(<=|>=|<|>)\s*(\S+)\s*")


@dataclass(frozen=True)
class Rule:
    """`left op right`; `right` is a path or a number. Of a list on the right every element counts.

    `op` is <, <=, > or >=, or // for a value that is always its parent divided by `divisor`.
    """

    left: str
    op: str
    right: str | float
    origin: str
    divisor: int = 1

    @property
    def text(self) -> str:
        """`model.num_select <= model.num_queries`."""
        right = self.right if isinstance(self.right, str) else f"{self.right:g}"
        return f"{self.left} = {right} // {self.divisor}" if self.op == "//" else f"{self.left} {self.op} {right}"

    def __str__(self) -> str:
        return self.text

    def limit(self, get: Callable[[str], Any]) -> Number | None:
        """The right side's value; None where there is nothing to compare with."""
        value = get(self.right) if isinstance(self.right, str) else self.right
        if isinstance(value, (list, tuple)):
            numbers = [item for item in value if _is_number(item)]
            return (min if self.op in ("<", "<=") else max)(numbers, default=None)
        return value if _is_number(value) else None

    def holds(self, value: Any, get: Callable[[str], Any]) -> bool:
        """Whether a value of the left side obeys; True where there is nothing to compare."""
        limit = self.limit(get)
        if limit is None or not _is_number(value):
            return True
        if self.op == "//":
            return bool(value == limit // self.divisor)
        return bool({"<": value < limit, "<=": value <= limit, ">": value > limit, ">=": value >= limit}[self.op])

    def obeyed(self, value: Any, get: Callable[[str], Any]) -> Any:
        """The value, or the nearest one that obeys."""
        limit = self.limit(get)
        if limit is None or not _is_number(value):
            return value
        if self.op == "//":
            return limit // self.divisor
        if self.holds(value, get):
            return value
        return self.beside(limit, whole=isinstance(value, int))

    def beside(self, limit: Number, whole: bool) -> Number:
        """The outermost value that obeys `op limit`."""
        if whole:
            outer = {
                "<": math.ceil(limit) - 1,
                "<=": math.floor(limit),
                ">": math.floor(limit) + 1,
                ">=": math.ceil(limit),
            }
            return outer[self.op]
        outer_float = {"<": math.nextafter(limit, -math.inf), ">": math.nextafter(limit, math.inf)}
        return outer_float.get(self.op, float(limit))


def read(texts: Iterable[str], schema: Schema) -> tuple[Rule, ...]:
    """The rules of `automl.yaml`.

    Raises:
        SkillError: no rule, or a path that the schema does not have.
    """
    found = []
    for text in texts:
        match = _RULE.fullmatch(text)
        if not match:
            raise SkillError(f"cannot read the rule '{text}' in automl.yaml", "write A <= B, with paths or a number")
        try:
            right: str | float = float(match[3])
        except ValueError:
            right = match[3]
        for path in (match[1], right):
            if isinstance(path, str) and path not in schema.fields:
                raise SkillError(
                    f"the rule '{text}' in automl.yaml names {path}, which is not in the {schema.title}",
                    near(path, schema.fields),
                )
        found.append(Rule(match[1], match[2], right, "automl.yaml"))
    return tuple(found)


def of_field(field: Field) -> tuple[Rule, ...]:
    """The rules that the schema states about a field: `> depends_on`, or `/ 2` of its parent."""
    if len(field.depends_on) != 1 or field.problem:
        return ()
    parent, found = field.depends_on[0], []
    for condition in field.conditions:
        if condition.operand is None and condition.op in ("<", "<=", ">", ">="):
            found.append(Rule(field.path, condition.op, parent, "schema"))
        if condition.op == "multiple" and condition.operand is not None:
            found.append(Rule(field.path, "//", parent, "schema", int(condition.operand)))
    return tuple(found)


def bounds(rules: Iterable[Rule], whole: bool, get: Callable[[str], Any]) -> Bounds:
    """What the rules of one path allow in a trial."""
    lower: Number | None = None
    upper: Number | None = None
    for rule in rules:
        limit = rule.limit(get)
        if limit is None or rule.op == "//":
            continue
        end = rule.beside(limit, whole)
        if rule.op in ("<", "<="):
            upper = end if upper is None else min(upper, end)
        else:
            lower = end if lower is None else max(lower, end)
    return Bounds(lower, upper)


def order(paths: Iterable[str], parents: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """All paths, each after its parents.

    Raises:
        SkillError: the paths depend on each other in a circle.
    """
    graph = {path: sorted(set(parents.get(path, ()))) for path in sorted(set(paths) | set(parents))}
    try:
        return tuple(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        circle = " -> ".join(error.args[1])
        raise SkillError(f"the rules go round in a circle: {circle}", "take one of them out of automl.yaml") from None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
