from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl.tao import condition
from tao_automl.tao.condition import Condition

pieces = st.sampled_from(
    [
        ">",
        ">=",
        "<",
        "<=",
        "!=",
        "/",
        "^",
        "depends_on",
        "0",
        "1",
        "2.5",
        "-3",
        "1e-4",
        "1e999",
        " ",
        "x",
        ",",
    ]
)


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ("> 0.0", [(">", 0.0)]),
        ("> 0", [(">", 0)]),
        (">0", [(">", 0)]),
        (">= 0", [(">=", 0)]),
        (">=0", [(">=", 0)]),
        (">= 0.0", [(">=", 0.0)]),
        (">= 1", [(">=", 1)]),
        ("> 0.0 <= 1.0", [(">", 0.0), ("<=", 1.0)]),
        (">0<=1", [(">", 0), ("<=", 1)]),
        ("!= 0", [("!=", 0)]),
        ("/ 8", [("multiple", 8)]),
        ("/2", [("multiple", 2)]),
        ("^ 2", [("power", 2)]),
        ("> depends_on", [(">", None)]),
        (">= depends_on", [(">=", None)]),
        ("< depends_on", [("<", None)]),
        ("<= depends_on", [("<=", None)]),
        ("< 12", [("<", 12)]),
        ("> 1e-4", [(">", 1e-4)]),
        ("> -3", [(">", -3)]),
    ],
)
def test_every_form_of_math_cond_is_read(text: str, conditions: list[tuple[str, float | None]]) -> None:
    found = condition.parse(text)
    assert [(item.op, item.operand) for item in found] == conditions
    assert [type(item.operand) for item in found] == [type(operand) for _, operand in conditions]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "is prime",
        "> ",
        "> x",
        "== 3",
        "> 0 and",
        "/ 0",
        "/ -2",
        "^ 1",
        "/ depends_on",
        "> 1e999",
        "> depends_onx",
        3,
        None,
    ],
)
def test_what_is_no_condition_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="math_cond"):
        condition.parse(text)


@given(st.text(max_size=20) | st.lists(pieces, max_size=8).map("".join))
def test_any_text_gives_conditions_or_one_kind_of_error(text: str) -> None:
    try:
        found = condition.parse(text)
    except ValueError:
        return
    assert found
    assert all(isinstance(item, Condition) for item in found)


def test_names_of_parents_are_split_at_commas() -> None:
    names, conditions = condition.parse_parents("model.input_height, model.input_width")
    assert names == ("model.input_height", "model.input_width")
    assert conditions == ()


@pytest.mark.parametrize("text", ["> model.rank", ">model.rank", " > model.rank "])
def test_an_operator_may_stand_before_the_parent(text: str) -> None:
    assert condition.parse_parents(text) == (("model.rank",), (Condition(">", None),))


@pytest.mark.parametrize("text", ["", ",", "a,,b", "a b", "/ a", None, 4])
def test_parents_that_are_no_names_are_refused(text: object) -> None:
    with pytest.raises(ValueError, match="depends_on"):
        condition.parse_parents(text)
