"""What must hold between values of a spec: the lines `require` of a skill's `automl.yaml`. Nothing is evaluated.

A rule is `LEFT OP RIGHT` with <, <=, >, >=, ==, !=, `in` or `has`. A side is a number, a word, a list in brackets, a
key path, `len(PATH)`, `min(PATH)`, `max(PATH)` or `distinct(PATH)`, and `A * B` or `A % B` of such. A rule that
looks at something that the spec does not say holds, unless it asks for it: `a.b != null`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tao_automl.errors import UsageError
from tao_automl.tao import keypath, match, spec

_RULE = re.compile(r"\s*(.+?)\s+(<=|>=|==|!=|<|>|in|has)\s+(.+?)\s*")
_SIDE = re.compile(r"(\S+)\s+([*%])\s+(\S+)")
_CALL = re.compile(r"(len|min|max|distinct)\(([^()]+)\)")
_CALLS: Mapping[str, Callable[[list[Any]], Any]] = {
    "len": len,
    "min": lambda items: min(filter(match.is_number, items), default=None),
    "max": lambda items: max(filter(match.is_number, items), default=None),
    "distinct": lambda items: len(set(map(str, items))),
}


@dataclass(frozen=True)
class Constraint:
    """One rule, and why the trainer needs it. It counts only while `when` holds."""

    rule: str
    why: str
    when: Mapping[str, Any] = field(default_factory=dict)

    def holds(self, get: match.Get) -> bool:
        """Whether a spec obeys; `get` gives the value at a path, None if it says nothing."""
        if not match.all_hold(self.when, get):
            return True
        left, op, right = _parts(self.rule)
        return _compare(_side(left, get), op, _side(right, get))

    def paths(self) -> Iterator[str]:
        """Every key path that the rule looks at."""
        yield from self.when
        for side in (_parts(self.rule)[0], _parts(self.rule)[2]):
            terms = _SIDE.fullmatch(side)
            for term in (terms[1], terms[3]) if terms else (side,):
                call = _CALL.fullmatch(term)
                if call or _is_path(term):
                    yield call[2] if call else term

    def said(self, get: match.Get) -> str:
        """The values that the rule looks at, for people: `model.num_queries is 300`."""
        paths = dict.fromkeys(path for path in self.paths() if path not in self.when)
        return " and ".join(f"{path} is {_text(get(path))}" for path in paths)


def problem(rule: str) -> str | None:
    """What is wrong with the text of a rule, None if nothing is."""
    if _RULE.fullmatch(rule) is None:
        return "write LEFT OP RIGHT, with <, <=, >, >=, ==, !=, in or has between blanks"
    for path in Constraint(rule, "").paths():
        if not keypath.valid(path):
            return f"'{path}' is no key path"
    try:
        Constraint(rule, "").holds(lambda _path: None)
    except UsageError as error:
        return error.message
    return None


def _parts(rule: str) -> tuple[str, str, str]:
    found = _RULE.fullmatch(rule)
    if found is None:
        raise ValueError(f"no rule: {rule}")
    return found[1], found[2], found[3]


def _compare(left: Any, op: str, right: Any) -> bool:
    if op == "!=":
        return bool(left != right)
    if left is None or right is None:
        return True
    if op == "==":
        return bool(left == right)
    if op == "has":
        return not isinstance(left, list) or right in left
    if op == "in":
        return not isinstance(right, list) or left in right
    return not (match.is_number(left) and match.is_number(right)) or match.ORDER[op](left, right)


def _side(text: str, get: match.Get) -> Any:
    terms = _SIDE.fullmatch(text)
    if terms is None:
        return _term(text, get)
    left, right = _term(terms[1], get), _term(terms[3], get)
    if not (match.is_number(left) and match.is_number(right)):
        return None
    if terms[2] == "*":
        return left * right
    return left % right if right else None


def _term(text: str, get: match.Get) -> Any:
    call = _CALL.fullmatch(text)
    if call:
        value = get(call[2])
        return _CALLS[call[1]](value) if isinstance(value, list) else None
    return get(text) if _is_path(text) else spec.parse_value(text)


def _is_path(text: str) -> bool:
    """Words and numbers are no paths: a path has a dot, and begins with a letter."""
    return "." in text and text[:1].isalpha()


def _text(value: Any) -> str:
    return "not set" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
