from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl.tao import constraint
from tao_automl.tao.constraint import Constraint

SPEC: dict[str, Any] = {
    "m.queries": 300,
    "m.select": 300,
    "m.classes": 4,
    "m.stages": [1, 2, 3, 4],
    "m.twice": [1, 1, 2],
    "m.levels": 4,
    "m.none": None,
    "m.word": "no",
    "m.losses": ["labels", "boxes"],
    "t.precision": "fp16",
}


@pytest.mark.parametrize(
    "rule",
    [
        "m.select < m.queries * m.classes",
        "m.select <= 300",
        "len(m.stages) == m.levels",
        "distinct(m.stages) == len(m.stages)",
        "min(m.stages) >= 0",
        "max(m.stages) <= 4",
        "m.queries % m.levels == 0",
        "m.levels != 5",
        "m.word == 'no'",
        "m.losses has boxes",
        "t.precision in [fp16, fp32]",
        "m.missing < m.queries",
        "m.queries < m.missing * 2",
        "m.missing in [1, 2]",
        "m.missing has 1",
        "len(m.missing) > 3",
        "m.queries % m.zero == 0",
    ],
)
def test_what_holds(rule: str) -> None:
    assert constraint.problem(rule) is None
    assert Constraint(rule, "").holds(SPEC.get)


@pytest.mark.parametrize(
    "rule",
    [
        "m.select < m.queries",
        "m.queries * m.classes <= m.select",
        "len(m.twice) == m.levels",
        "distinct(m.twice) == len(m.twice)",
        "m.queries % 7 == 0",
        "m.word == 'yes'",
        "m.losses has masks",
        "t.precision in [bf16, fp32]",
        "m.none != null",
    ],
)
def test_what_does_not(rule: str) -> None:
    assert constraint.problem(rule) is None
    assert not Constraint(rule, "").holds(SPEC.get)


def test_a_rule_counts_only_under_its_condition() -> None:
    assert Constraint("m.word == 'yes'", "", {"m.levels": 1}).holds(SPEC.get)
    assert not Constraint("m.word == 'yes'", "", {"m.levels": "> 1"}).holds(SPEC.get)


def test_the_values_are_said_that_the_rule_looks_at() -> None:
    rule = Constraint("len(m.stages) == m.levels", "", {"m.word": "no"})
    assert rule.said(SPEC.get) == "m.stages is [1, 2, 3, 4] and m.levels is 4"
    assert list(rule.paths()) == ["m.word", "m.stages", "m.levels"]
    assert Constraint("m.none != null", "").said(SPEC.get) == "m.none is not set"


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("m.select", "write LEFT OP RIGHT"),
        ("m.a=3", "write LEFT"),
        ("m..a < 3", "'m..a' is no key path"),
        ("", "write"),
        ("m.a in [1", "[1"),
    ],
)
def test_what_is_no_rule_is_told(rule: str, words: str) -> None:
    assert words in str(constraint.problem(rule))


@given(st.text(), st.dictionaries(st.sampled_from(list(SPEC)), st.none() | st.integers() | st.text()))
def test_any_text_is_a_rule_that_can_be_looked_at_or_none(text: str, values: dict[str, Any]) -> None:
    if constraint.problem(text) is None:
        rule = Constraint(text, "")
        assert isinstance(rule.holds(values.get), bool)
        rule.said(values.get)
